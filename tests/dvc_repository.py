"""A git and DVC repository with the project's own settings, and the commands in it."""

import configparser
import hashlib
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml
from dvc.repo import Repo

from conftest import ROOT, encoded

RAW = Path("data/raw/mine")
VERSION = Path("data/raw/mine.dvc")
"""The data set, and the file in git that is its version."""
OBJECT = re.compile(r"files/md5/([0-9a-f]{2})/([0-9a-f]{30}(?:\.dir)?)")


def isolate(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep git and DVC from the settings of whoever runs the tests; put the project's commands first."""
    home = folder / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("DVC_SITE_CACHE_DIR", str(folder / "site"))
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")


def make_repository(root: Path) -> None:
    """Make the current folder, which is the root, a git and DVC repository without a pipeline."""
    (root / ".dvc").mkdir()
    for name in (".gitignore", ".dvcignore", ".dvc/config", ".dvc/.gitignore"):
        shutil.copy(ROOT / name, root / name)
    call("git", "init", "-q", "-b", "main")
    call("git", "config", "user.name", "test")
    call("git", "config", "user.email", "test@localhost")


def call(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def commit(message: str) -> None:
    call("git", "add", "-A")
    call("git", "commit", "-q", "-m", message)


def write(path: str, values: dict) -> None:
    Path(path).write_text(yaml.safe_dump(values, sort_keys=False))


def fails(*command: str) -> str:
    """Run a command that must fail; return what it says."""
    done = subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    assert done.returncode > 0, done.stdout
    assert "Traceback" not in done.stderr
    return done.stderr


# --- a data set in it


def write_pictures(**count: int) -> None:
    """Write pictures of noise below folders; those that are there stay."""
    for folder, wanted in count.items():
        for number in range(wanted):
            path = RAW / folder / f"{number}.png"
            if not path.exists():
                rng = np.random.default_rng([number, *folder.encode()])
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(encoded(rng.integers(0, 256, (16, 16, 3), dtype=np.uint8)))


# in this process, because DVC takes longer to start than to do this; with servers not, as connections would stay open


def add() -> None:
    """Make the data set as it is now a version."""
    with Repo() as repo:
        repo.add(str(RAW))


def push() -> None:
    with Repo() as repo:
        repo.push([str(VERSION)])


def pull() -> None:
    with Repo() as repo:
        repo.pull([str(VERSION)])


def checkout() -> None:
    with Repo() as repo:
        repo.checkout([str(VERSION)])


def lose() -> None:
    """Lose the cache and the files of the data set."""
    shutil.rmtree(".dvc/cache")
    shutil.rmtree(RAW)


def contents(folder: Path = RAW) -> dict[str, str]:
    """Return a digest of every file below a folder."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def objects(storage: Path) -> set[str]:
    """Return the names of the objects in a remote or cache, all of which must hold what their names say."""
    found = set()
    for path in storage.rglob("*"):
        match = OBJECT.fullmatch(str(path.relative_to(storage)))
        if match and path.is_file():
            name = match[1] + match[2]
            assert hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest() == name.removesuffix(".dir")
            found.add(name)
    return found


def configure(section: str, *, local: bool = False, **values: object) -> None:
    """Set values in DVC's configuration, the committed one or the user's own."""
    path = Path(".dvc/config.local" if local else ".dvc/config")
    config = configparser.ConfigParser()
    config.read(path)
    config[section] = dict(config[section] if config.has_section(section) else {}) | {
        key: str(value) for key, value in values.items()
    }
    with path.open("w") as file:
        config.write(file)
