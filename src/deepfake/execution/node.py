"""A job on a node of a Ray cluster: which files it reads, where its results go, what it tells."""

import errno
import os
import pickle
import shutil
import tempfile
import time
import traceback
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

import filelock

from deepfake import runtime, tables
from deepfake.errors import InputError
from deepfake.execution.base import ENGINE
from deepfake.execution.orders import Input, Parcel
from deepfake.project import Project

PROJECT = "DEEPFAKE_PROJECT"
"""Environment variable of a node: where the project lies there, when not at the caller's path."""
CACHE = "DEEPFAKE_NODE_CACHE"
"""Environment variable of a node: where it keeps files that came through Ray, when not below the temporary folder."""
_KEPT = 7 * 86400
"""Seconds that a file is kept which no job has asked for."""
_BATCH = 0.5
"""Seconds of news that are told together."""

Fetch = Callable[[str, Path], None]
"""Writes the caller's file of a hash to a path."""


def carry_out(parcel: bytes, tell: Callable[[list[bytes]], None], fetch: Fetch) -> "dict[str, bytes] | list[str]":
    """Carry out a job.

    Args:
        parcel: a pickled `Parcel`.
        tell: hears pickled news, several at a time.
        fetch: gets a file from the caller.

    Returns:
        The files of the results; only their names where the caller's own folder was worked in.

    Raises:
        InputError: whatever the job raises, as one line.
    """
    order: Parcel = pickle.loads(parcel)
    root = Path(os.environ.get(PROJECT, order.root))
    shared = Path(os.path.normpath(root / os.path.relpath(order.folder, order.root)))
    here = (shared.parent / order.token).exists() and os.access(shared.parent, os.W_OK)
    folder = shared
    try:
        own = _own_folder()
        try:
            # a project in which every file stands where the job looks for it, whether it was here or came
            project = Project(own / "project")
            places = {path: _placed(each, order.root, root, project.root, fetch) for path, each in order.inputs.items()}
            folder = shared if here else own / "results"
            folder.mkdir(parents=True, exist_ok=True)
            news = _News(tell)
            if order.engine is not None:
                ENGINE.set(order.engine)
            with project.entered():
                order.function(order.job.moved(lambda path: places.get(path, folder)), news)
            news.flush()
            found = sorted(path for path in folder.iterdir() if path.is_file() and not path.name.startswith("."))
            return [path.name for path in found] if here else {path.name: path.read_bytes() for path in found}
        finally:
            shutil.rmtree(own, ignore_errors=True)
    except InputError:
        raise
    except Exception as error:
        raise InputError(_line(error, folder)) from None


def _line(error: Exception, folder: Path) -> str:
    """Return what went wrong as one line: what it was and where."""
    if (isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)) or "No space left" in str(error):
        return f"{getattr(error, 'filename', None) or folder}: no space left on device"
    if isinstance(error, OSError) and error.filename:
        return f"{error.filename}: {error.strerror}"
    last = traceback.extract_tb(error.__traceback__)[-1]
    words = " ".join(str(error).split())
    return f"{type(error).__name__}: {words} ({Path(last.filename).name}, line {last.lineno})"


class _News:
    """Tells what a job tells, several at a time: an epoch may take milliseconds."""

    def __init__(self, tell: Callable[[list[bytes]], None]) -> None:
        self._tell = tell
        self._kept: list[bytes] = []
        self._told = 0.0

    def __call__(self, news: Any) -> None:
        self._kept.append(pickle.dumps(news))
        if time.monotonic() - self._told > _BATCH:
            self.flush()

    def flush(self) -> None:
        """Tell what has not been told."""
        if self._kept:
            self._tell(self._kept)
        self._kept, self._told = [], time.monotonic()


def _cache() -> Path:
    """Return the folder of what this node keeps, which nobody else can write."""
    user = os.getuid() if hasattr(os, "getuid") else 0
    folder = Path(os.environ.get(CACHE) or Path(tempfile.gettempdir()) / f"deepfake-{user}")
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if hasattr(os, "getuid") and folder.stat().st_uid != user:
        raise InputError(f"{folder}: it belongs to somebody else; set {CACHE} to another folder where Ray is started")
    return folder


def _own_folder() -> Path:
    """Return an empty folder of this process, and remove those of processes that were killed."""
    jobs = _cache() / "jobs"
    jobs.mkdir(exist_ok=True)
    for old in jobs.iterdir():
        if not Path(f"/proc/{old.name.split('-')[0]}").exists() and Path("/proc").exists():
            shutil.rmtree(old, ignore_errors=True)
    return Path(tempfile.mkdtemp(prefix=f"{os.getpid()}-", dir=jobs))


def _placed(wanted: Input, above: str, root: Path, project: Path, fetch: Fetch) -> Path:
    """Put a file where a job looks for it, and return that place.

    Args:
        wanted: the file.
        above: the caller's project.
        root: this node's.
        project: the job's.
        fetch: gets what this node has not.
    """
    relative = os.path.relpath(wanted.place, above)
    if relative.startswith(".."):  # outside of the project: the same absolute path
        own, place = Path(wanted.place), project / "outside" / wanted.place.lstrip("/")
    else:
        own, place = root / relative, project / relative
    place.parent.mkdir(parents=True, exist_ok=True)
    place.symlink_to(own.absolute() if _is(own, wanted) else _fetched(wanted, fetch))
    return place


def _is(path: Path, wanted: Input) -> bool:
    """Tell whether a file of this node is the one that is wanted."""
    try:
        stat = path.stat()
        return stat.st_size == wanted.size and _hash(path, stat.st_size, stat.st_mtime_ns) == wanted.sha256
    except OSError:
        return False


@lru_cache(maxsize=256)
def _hash(path: Path, size: int, changed: int) -> str:
    """Return the hash of a file, computed once while it stays as it is."""
    return runtime.file_hash(path)


def _fetched(wanted: Input, fetch: Fetch) -> Path:
    """Return a file of the caller's in this node's cache; of several jobs that want it one fetches it."""
    folder = _cache() / "files"
    folder.mkdir(exist_ok=True)
    path = folder / wanted.sha256
    with filelock.FileLock(f"{path}.lock"):
        if not _is(path, wanted):
            for old in folder.iterdir():
                if time.time() - old.stat().st_atime > _KEPT:
                    old.unlink(missing_ok=True)
            with tables.atomic(path) as temporary:
                fetch(wanted.sha256, temporary)
                if runtime.file_hash(temporary) != wanted.sha256:
                    raise InputError(f"{wanted.place}: changed while the jobs ran; run the same command again")
        os.utime(path, (time.time(), path.stat().st_mtime))  # asked for; the hash is known by the other time
    return path
