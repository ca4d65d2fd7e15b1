"""Versioned data: what DVC keeps of a data set comes back bit for bit, from wherever it lies."""

import json
import os
import re
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import yaml
from dvc.exceptions import DvcException
from dvc.repo import Repo

from conftest import ROOT
from dvc_repository import (
    RAW,
    VERSION,
    add,
    call,
    checkout,
    commit,
    configure,
    contents,
    fails,
    isolate,
    lose,
    make_repository,
    objects,
    pull,
    push,
    write,
    write_pictures,
)
from remote_servers import HOST, SSHD, Bottleneck, S3Server, SshServer, free_port, s3_server, ssh_server

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::DeprecationWarning")]  # DVC's own

STORAGE = Path(".dvc/storage")
CLOUD = "'remote \"cloud\"'"
"""The section of DVC's configuration about a remote of this name."""
CREDENTIALS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")


@pytest.fixture
def repository(tmp_path, monkeypatch) -> Path:
    """A repository with one data set, which DVC has added and git has committed; the current folder."""
    isolate(tmp_path, monkeypatch)
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    # nobody else is asked for credentials, nor more than once
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    monkeypatch.setenv("NO_PROXY", HOST)
    root = tmp_path / "repository"
    root.mkdir()
    monkeypatch.chdir(root)
    make_repository(root)
    write_pictures(real=3, fake=3)
    add()
    commit("a data set")
    return root


def add_remote(url: str, **local: object) -> None:
    """Make a URL the default remote, as a team would commit it, and set what only this machine needs."""
    configure("core", remote="cloud")
    configure(CLOUD, url=url)
    configure(CLOUD, local=True, **local)


# --- there and back


@pytest.fixture(scope="module")
def sshd():
    if SSHD is None or shutil.which("ssh-keygen") is None:
        pytest.skip("no OpenSSH server: install openssh-server and openssh-client")
    with ssh_server() as server:
        yield server


@pytest.fixture(scope="module")
def s3():
    with s3_server("bucket") as server:
        yield server


@pytest.fixture
def ssh_remote(repository, sshd, tmp_path) -> SshServer:
    add_ssh_remote(sshd, tmp_path)
    return sshd


def add_ssh_remote(sshd: SshServer, tmp_path: Path, **changes: object) -> Path:
    """Make a folder of the SSH server the remote; return the folder."""
    folder = sshd.folder / tmp_path.name
    login = {"port": sshd.port, "user": sshd.user, "keyfile": sshd.keyfile}
    add_remote(f"ssh://{HOST}{folder}", **login | changes)
    return folder


@pytest.fixture
def s3_remote(repository, s3, tmp_path, monkeypatch) -> S3Server:
    add_remote(f"s3://{s3.bucket}/{tmp_path.name}", endpointurl=s3.url)
    for name, value in zip(CREDENTIALS, (s3.key, s3.secret), strict=True):
        monkeypatch.setenv(name, value)
    return s3


@pytest.mark.parametrize("remote", ["repository", "ssh_remote", "s3_remote"])
def test_what_was_pushed_comes_back_bit_for_bit(repository, remote, request):
    request.getfixturevalue(remote)
    before = contents()
    call("dvc", "push", str(VERSION))
    lose()
    call("dvc", "pull", str(VERSION))
    assert contents() == before
    # what is committed names the place, and nobody's way into it
    assert set(call("git", "status", "--porcelain").split()) <= {"M", ".dvc/config"}
    assert not re.search("key|secret|user|endpoint", Path(".dvc/config").read_text())


def test_a_push_without_targets_finds_the_data_sets(repository):
    """DVC reads .gitignore by rules of its own, and looks for no .dvc file in a folder that it takes for ignored."""
    with Repo() as repo:
        repo.push()
    assert len(objects(STORAGE)) == 7
    with Repo() as repo:
        repo.gc(workspace=True)
    assert objects(Path(".dvc/cache")) == objects(STORAGE)


def test_a_fresh_clone_works_before_anything_was_pushed(repository):
    write("dvc.yaml", {"stages": {"one": {"cmd": "mkdir -p runs && echo 1 > runs/one", "outs": ["runs/one"]}}})
    commit("a stage")
    call("git", "clone", "-q", ".", "../clone")
    os.chdir("../clone")
    with Repo() as repo:
        assert [stage.addressing for stage in repo.reproduce("one")] == ["one"]
        assert repo.status(cloud=True) == {"runs/one": "new"}
    assert str(RAW) in fails("dvc", "pull", str(VERSION))
    assert not STORAGE.exists()
    call("dvc", "push", "one")
    assert call("git", "status", "--porcelain", "--untracked-files=all").split() == ["??", "dvc.lock"]


# --- what goes wrong, and what the user then reads


def test_data_that_the_remote_lacks_are_named(repository):
    lose()
    assert str(RAW) in fails("dvc", "pull", str(VERSION))
    assert not RAW.exists()


def test_a_damaged_object_is_not_taken_for_data(repository):
    push()
    lose()
    damaged = max((path for path in STORAGE.rglob("*") if path.is_file()), key=lambda path: path.stat().st_size)
    damaged.chmod(0o644)
    damaged.write_bytes(damaged.read_bytes()[:100])
    assert str(RAW) in fails("dvc", "pull", str(VERSION))
    assert len(objects(Path(".dvc/cache"))) == 6


@pytest.mark.parametrize(
    ("secret", "said"),
    [("wrong", "Forbidden"), (None, "Unable to locate credentials")],
)
def test_wrong_and_missing_credentials_of_s3_are_told(s3_remote, monkeypatch, secret, said):
    lose()
    for name in CREDENTIALS:
        monkeypatch.delenv(name)
    if secret:
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", s3_remote.key)
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", secret)
    assert re.search(rf"failed to connect to s3 \({s3_remote.bucket}/.*{said}", fails("dvc", "pull", str(VERSION)))


def test_a_key_that_the_ssh_server_does_not_know_is_told(repository, sshd, tmp_path):
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / "stranger"], check=True)
    folder = add_ssh_remote(sshd, tmp_path, keyfile=tmp_path / "stranger")
    lose()
    said = fails("dvc", "pull", str(VERSION))
    assert f"failed to connect to ssh ({folder}" in said
    assert f"Permission denied for user {sshd.user} on host {HOST}" in said


@pytest.mark.parametrize("remote", ["ssh_remote", "s3_remote"])
def test_a_remote_that_nobody_answers_for_is_named(repository, remote, request):
    request.getfixturevalue(remote)
    port = free_port()
    place = {"port": port} if remote == "ssh_remote" else {"endpointurl": f"http://{HOST}:{port}"}
    configure(CLOUD, local=True, **place)
    lose()
    said = fails("dvc", "pull", str(VERSION))
    assert f"failed to connect to {remote.removesuffix('_remote')} (" in said
    assert HOST in said
    assert str(port) in said


# --- killed in the middle


DVC_UNTIL_AN_OBJECT_GETS_ITS_NAME = """
# Runs DVC until it has written the fourth object of a remote and is about to give it its name; halves the object then,
# as if the kill had come while it was written, and waits for the kill. Were objects written under their names, this
# moment would never come.
import os, sys, threading
from dvc.cli import main

storage, named = sys.argv.pop(1), []

def watch(event, arguments):
    if event == "os.rename" and os.fspath(arguments[1]).startswith(storage):
        named.append(arguments[1])
        if len(named) == 4:
            os.truncate(arguments[0], os.path.getsize(arguments[0]) // 2)
            print("half an object", flush=True)
            threading.Event().wait()

sys.addaudithook(watch)
sys.exit(main(sys.argv[1:]))
"""


@contextmanager
def killed(*command: str) -> Iterator[subprocess.Popen]:
    """Run a command that is killed at the end of the block, at the latest."""
    running = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        yield running
        assert running.poll() is None, "it was over before it was killed"
    finally:
        running.kill()
        running.communicate()


def check_that_a_second_push_completes(storage: Path, before: dict[str, str]) -> None:
    """Check what a killed push left in a remote, and that the next one and a pull give all."""
    wanted = objects(Path(".dvc/cache"))
    assert 0 < len(objects(storage)) < len(wanted)
    # the list of the data set's files comes last: without it nobody takes the data set for whole
    assert not any(name.endswith(".dir") for name in objects(storage))
    call("dvc", "push", str(VERSION))
    assert objects(storage) == wanted
    lose()
    call("dvc", "pull", str(VERSION))
    assert contents() == before


def test_a_killed_push_to_a_folder_goes_on(repository):
    before = contents()
    dvc = [sys.executable, "-c", DVC_UNTIL_AN_OBJECT_GETS_ITS_NAME, str(STORAGE.resolve())]
    with killed(*dvc, "push", str(VERSION)) as running:
        assert running.stdout.readline() == "half an object\n"
    assert len(objects(STORAGE)) == 3
    check_that_a_second_push_completes(STORAGE, before)


def test_a_killed_push_over_ssh_goes_on(repository, sshd, tmp_path):
    rng = np.random.default_rng(0)
    for number in range(6):
        (RAW / f"{number}.bin").write_bytes(rng.bytes(1 << 18))
    shutil.rmtree(".dvc/cache")
    add()
    before = contents()
    # four of the six big files fit through, and a part of another one
    with Bottleneck(sshd.port, limit=9 << 17) as bottleneck:
        folder = add_ssh_remote(sshd, tmp_path, port=bottleneck.port)
        with killed("dvc", "push", "--jobs", "1", str(VERSION)):
            assert bottleneck.reached.wait(timeout=60)
    unfinished = [path for path in folder.rglob("*.tmp") if path.is_file()]
    assert [path.stat().st_size < 1 << 18 for path in unfinished] == [True]
    add_ssh_remote(sshd, tmp_path)
    check_that_a_second_push_completes(folder, before)


# --- versions


DESCRIBE = """
import json
import pyarrow.parquet

labels = pyarrow.parquet.read_table("data/mine/samples.parquet", columns=["label"])["label"].to_pylist()
with open("metrics.json", "w") as file:
    json.dump({"samples": len(labels), "fakes": sum(labels) / len(labels)}, file)
"""


def make_pipeline() -> None:
    """Make the committed stage that reads raw data, and one that says in metrics what it found."""
    entry = {
        "title": "mine",
        "modality": "image",
        "adapter": "folder",
        "group": "file",
        "licence": "mine",
        "obtain": "-",
    }
    write("data/catalog.yaml", {"mine": entry})
    shutil.copy(ROOT / "params.yaml", "params.yaml")
    stages = yaml.safe_load((ROOT / "dvc.yaml").read_text("utf-8"))["stages"]
    ingest = stages["ingest"]["do"] | {"deps": ["data/catalog.yaml", str(RAW)]}
    describe = {
        "cmd": f"{sys.executable} describe.py",
        "deps": ["data/mine/samples.parquet", "describe.py"],
        "metrics": [{"metrics.json": {"cache": False}}],
    }
    Path("describe.py").write_text(DESCRIBE)
    ingest = json.loads(json.dumps(ingest).replace("${item}", "mine"))
    write("dvc.yaml", {"stages": {"ingest": ingest, "describe": describe}})


def reproduce() -> set[str]:
    """Bring the pipeline up to date; return the stages that ran."""
    with Repo() as repo:
        return {stage.addressing for stage in repo.reproduce()}


def test_an_old_version_of_the_data_comes_back_and_metrics_tell_the_two_apart(repository):
    make_pipeline()
    old = contents()
    assert {"ingest", "describe"} <= reproduce()
    commit("old data")
    call("git", "tag", "old")
    push()
    kept = objects(STORAGE)
    written = VERSION.read_text()

    write_pictures(fake=8)
    (RAW / "real/0.png").unlink()
    add()
    new = contents()
    assert VERSION.read_text() != written
    assert {"ingest", "describe"} <= reproduce()
    commit("new data")
    call("git", "tag", "new")
    push()
    assert kept < objects(STORAGE)

    changes = json.loads(call("dvc", "metrics", "diff", "old", "new", "--json"))["metrics.json"]
    assert {name: (change["old"], change["new"]) for name, change in changes.items()} == {
        "samples": (6, 10),
        "fakes": (0.5, 0.8),
    }

    # as long as the cache has it, a checkout is enough; without, it comes from the remote
    call("git", "checkout", "-q", "old")
    checkout()
    assert contents() == old
    lose()
    pull()
    assert contents() == old
    call("git", "checkout", "-q", "new")
    pull()
    assert contents() == new


def test_a_linked_raw_folder_is_versioned_as_a_copy(repository, tmp_path):
    """`deepfake ingest --raw` makes a link, which DVC cannot version."""
    shutil.move(RAW, tmp_path / "elsewhere")
    VERSION.unlink()
    RAW.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(DvcException, match="Cannot add files inside symlinked directories"):
        add()
    RAW.unlink()
    with Repo() as repo:
        repo.add(str(tmp_path / "elsewhere"), out=str(RAW))
    assert not RAW.is_symlink()
    assert contents() == contents(tmp_path / "elsewhere")
    assert call("git", "status", "--porcelain", "--untracked-files=all") == ""  # the same version as before
    assert str(tmp_path) not in VERSION.read_text()


# --- one cache for several clones


@pytest.mark.parametrize("kind", ["hardlink", "symlink"])
def test_clones_share_a_cache_and_cannot_spoil_it(repository, tmp_path, kind):
    shared = tmp_path / "shared"
    configure("cache", local=True, dir=shared, shared="group", type=kind)
    add()
    before = contents()
    assert len(objects(shared)) == 7
    assert all(path.stat().st_mode & stat.S_ISGID for path in shared.rglob("*") if path.is_dir())

    call("git", "clone", "-q", ".", str(tmp_path / "clone"))
    shutil.copy(".dvc/config.local", tmp_path / "clone/.dvc/config.local")
    os.chdir(tmp_path / "clone")
    checkout()
    assert contents() == before
    assert not Path(".dvc/cache").exists()
    for path in (RAW / name for name in before):
        assert path.is_symlink() == (kind == "symlink")
        assert path.stat().st_nlink == (3 if kind == "hardlink" else 1)  # the cache and two clones
        assert not path.stat().st_mode & 0o222
    if os.getuid():
        with pytest.raises(PermissionError):
            path.write_bytes(b"")
