"""Servers on loopback that a DVC remote can lie on: a real OpenSSH server, S3, and a connection that breaks off."""

import json
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

HOST = "127.0.0.1"
SSHD = shutil.which("sshd", path=os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"]))
"""The server is rarely on an ordinary user's path; None where openssh-server is not installed."""


# --- SSH


@dataclass(frozen=True)
class SshServer:
    """A server and what its one user needs to get in."""

    port: int
    user: str
    keyfile: Path
    folder: Path
    """The user may write here."""


@contextmanager
def ssh_server() -> Iterator[SshServer]:
    """Run sshd as an ordinary process on a free port, with keys of its own."""
    # As root the server would want a folder in /run, so there it runs as somebody else, for whom pytest's own folders
    # are closed. The account is one that every system has and that is not locked, as nobody's may be.
    account = pwd.getpwnam("daemon") if os.getuid() == 0 else pwd.getpwuid(os.getuid())
    folder = Path(tempfile.mkdtemp(prefix="sshd-"))
    keyfile = _key(folder / "user_key")
    shutil.copy(keyfile.with_suffix(".pub"), folder / "authorized_keys")
    _key(folder / "host_key")
    (folder / "storage").mkdir()
    port = free_port()
    config = {
        "Port": port,
        "ListenAddress": HOST,
        "HostKey": folder / "host_key",
        "AuthorizedKeysFile": folder / "authorized_keys",
        "PidFile": "none",
        "StrictModes": "no",
        "UsePAM": "no",
        "PasswordAuthentication": "no",
        "KbdInteractiveAuthentication": "no",
        "Subsystem": "sftp internal-sftp",
    }
    (folder / "config").write_text("".join(f"{key} {value}\n" for key, value in config.items()))
    other = {}
    if os.getuid() == 0:
        for path in (folder, *folder.iterdir()):
            os.chown(path, account.pw_uid, account.pw_gid)
        other = {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}
    command = [SSHD, "-D", "-e", "-f", str(folder / "config")]
    server = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, **other)
    try:
        _wait_until_it_listens(server)
        yield SshServer(port, account.pw_name, keyfile, folder / "storage")
    finally:
        server.terminate()
        server.wait()
        # not read to its end, which a connection that is still open would put off
        server.stderr.close()
        shutil.rmtree(folder)


def _wait_until_it_listens(server: subprocess.Popen) -> None:
    """Read what the server says until it says that it listens."""
    said = []
    for line in server.stderr:
        if "Server listening" in line:
            return
        said.append(line)
    raise AssertionError(f"sshd ended: {''.join(said)}")


def _key(path: Path) -> Path:
    """Write a pair of keys without a passphrase; return the private one."""
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", path], check=True)
    return path


# --- S3


@dataclass(frozen=True)
class S3Server:
    """An endpoint with one bucket, and the only credentials that it takes."""

    url: str
    bucket: str
    key: str
    secret: str


@contextmanager
def s3_server(bucket: str) -> Iterator[S3Server]:
    """Run an S3 endpoint on a free port that checks who asks."""
    import boto3
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(HOST, port=0, verbose=False)
    server.start()
    try:
        url = "http://{}:{}".format(*server.get_host_and_port())

        def client(service: str):
            return boto3.client(
                service, "us-east-1", endpoint_url=url, aws_access_key_id="admin", aws_secret_access_key="admin"
            )

        client("s3").create_bucket(Bucket=bucket)
        users = client("iam")
        users.create_user(UserName="user")
        everything = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]}
        users.put_user_policy(UserName="user", PolicyName="all", PolicyDocument=json.dumps(everything))
        key = users.create_access_key(UserName="user")["AccessKey"]
        _ask_for_credentials(url, after=0)
        yield S3Server(url, bucket, key["AccessKeyId"], key["SecretAccessKey"])
        # the setting and the bucket would outlive the server
        _ask_for_credentials(url, after=float("inf"))
        _post(f"{url}/moto-api/reset")
    finally:
        server.stop()


def _ask_for_credentials(url: str, after: float) -> None:
    """Let nobody in without right credentials, after a number of actions."""
    _post(f"{url}/moto-api/reset-auth", str(after).encode())


def _post(url: str, data: bytes = b"") -> None:
    """Send text to the endpoint's own controls."""
    request = urllib.request.Request(url, data=data, headers={"Content-Type": "text/plain"})
    urllib.request.urlopen(request).close()


# --- connections


def free_port() -> int:
    """Return a port on which nobody listens."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return probe.getsockname()[1]


class Bottleneck:
    """A connection to a server that carries a number of bytes and no more: a push through it stops at that place."""

    def __init__(self, port: int, limit: int):
        self.reached = threading.Event()
        """The server has got its last byte, or the client is gone."""
        self._limit = limit
        self._server = port
        self._listener = socket.create_server((HOST, 0))
        self._listener.settimeout(60)
        self.port = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._serve)

    def __enter__(self) -> "Bottleneck":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Wait until the client is gone and the server has dealt with all that it got."""
        self._thread.join()

    def _serve(self) -> None:
        """Carry one connection in both directions."""
        with self._listener:
            client, _ = self._listener.accept()
        with client, socket.create_connection((HOST, self._server)) as server:
            for end in (client, server):
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            back = threading.Thread(target=self._carry_back, args=(server, client))
            back.start()
            left = self._limit
            while left and (data := client.recv(min(left, 1 << 16))):
                server.sendall(data)
                left -= len(data)
            self.reached.set()
            with suppress(OSError):
                while client.recv(1 << 16):
                    pass
            server.shutdown(socket.SHUT_WR)
            back.join()

    @staticmethod
    def _carry_back(server: socket.socket, client: socket.socket) -> None:
        """Carry what the server answers, until it has no more to say."""
        while data := server.recv(1 << 16):
            with suppress(OSError):
                client.sendall(data)
