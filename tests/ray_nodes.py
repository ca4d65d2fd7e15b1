"""A Ray cluster of several nodes on this machine, each a `ray start` of its own."""

import os
import shutil
import socket
import sys
import tempfile
import time
from pathlib import Path

import psutil

import deepfake

IDLE = "idle"
"""The name of a head that does no work itself."""
_STORE = 80_000_000
"""Bytes of each node's object store: the least that Ray takes."""


class Nodes:
    """Nodes by name; the first one is the head. All end with the block, whatever was left of them."""

    def __init__(self):
        # sockets have short names
        self._folder = Path(tempfile.mkdtemp(prefix="ray", dir="/tmp"))
        self._started: dict[str, psutil.Popen] = {}
        self._all: set[psutil.Process] = set()
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self._port = free.getsockname()[1]
        self.address = f"127.0.0.1:{self._port}"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for name in list(self._started):
            self.kill(name)
        shutil.rmtree(self._folder, ignore_errors=True)

    def only(self, *names: str) -> None:
        """Have no nodes but these, the head first; those that are there stay."""
        if names[:1] != tuple(self._started)[:1]:
            kept: set[str] = set()  # another head is another cluster
        else:
            kept = set(names)
        for name in self._started.keys() - kept:
            self.kill(name)
        for name in names:
            if name not in self._started:
                self.start(name)

    def start(self, name: str, **environment: str) -> None:
        """Start a node with one core (`IDLE`: none) and wait until the head knows it.

        Args:
            name: of the node.
            environment: its own variables; `code` is the folder of its code of this project.
        """
        place = ["--head", f"--port={self._port}", "--include-dashboard=false"]
        if self._started:
            # a machine of its own: the driver is on the head's
            place = [f"--address={self.address}", f"--node-ip-address=127.0.0.{len(self._started) + 1}"]
        command = [sys.executable, "-m", "ray.scripts.scripts", "start", "--block", *place, f"--node-name={name}"]
        options = [
            f"--num-cpus={int(name != IDLE)}",
            f"--object-store-memory={_STORE}",
            f"--temp-dir={self._folder / name}",
        ]
        code = str(Path(deepfake.__file__).parents[1])
        variables = os.environ | {
            "RAY_USAGE_STATS_ENABLED": "0",
            "DEEPFAKE_NODE_CACHE": str(self.cache(name)),
            "PYTHONPATH": f"{environment.pop('code', code)}{os.pathsep}{Path(__file__).parent}",
        }
        log = self._folder / f"{name}.log"
        with log.open("w") as output:
            self._started[name] = psutil.Popen(
                command + options, env=variables | environment, stdout=output, stderr=output, start_new_session=True
            )
        deadline = time.monotonic() + 60
        while "--block" not in (text := log.read_text()):  # what it says last
            assert time.monotonic() < deadline and self._started[name].poll() is None, text
            time.sleep(0.1)

    @property
    def names(self) -> list[str]:
        """Return the nodes that are there."""
        return list(self._started)

    def cache(self, name: str) -> Path:
        """Return the folder in which a node keeps what came to it."""
        return self._folder / f"{name}-cache"

    def processes(self, name: str) -> list[psutil.Process]:
        """Return all processes of a node."""
        started = self._started[name]
        return [started, *started.children(recursive=True)] if started.is_running() else []

    def workers(self, name: str) -> list[psutil.Process]:
        """Return the processes of a node that are at work on a fold, by what Ray calls them."""
        return [each for each in self.processes(name) if "fold" in " ".join(each.cmdline())]

    def kill(self, name: str) -> None:
        """Kill all processes of a node at once, as when its machine loses power."""
        for process in self.processes(name):
            try:
                process.kill()
            except psutil.NoSuchProcess:
                continue
        self._started.pop(name).wait(timeout=10)
