"""The run store: finished runs, found by all that decides their numbers, whole or not at all.

An entry is a folder. It lies at `runs/<study>/<run>`, where DVC keeps it as a part of its study; what another
configuration or other code pushes out of there is kept in `.store` until `deepfake runs prune`. Unfinished work lies in
`.store`, too, under the same key. Entries are renamed into place, so that none is ever seen half written.

Experiments that DVC runs in copies of the workspace share its `.store`: they wait for each other's runs of the same
key, and leave there what they have trained.
"""

import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal, NamedTuple

import filelock
from pydantic import ValidationError

from deepfake import originals, run_files, runtime, tables
from deepfake.config.section import Section
from deepfake.progress import SILENT, Progress
from deepfake.project import paths

Kind = Literal["trained", "fine-tuned", "re-evaluated", "ensemble"]


_NEW = ".new"
"""The end of the name of a folder that an entry is written into before it is renamed."""


class Entry(Section):
    """What an entry says of itself; written last."""

    run: str
    kind: Kind
    key: str
    """A hash of all that decides the numbers (`key`)."""
    files: dict[str, str]
    """The SHA-256 of every other file of the entry, by its path in it."""


class Found(NamedTuple):
    """An entry and where it lies."""

    entry: Entry
    folder: Path


def key(*parts: object) -> str:
    """Return the key of a run: a hash of all that decides its numbers."""
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]


def entries() -> Iterator[Found]:
    """Yield every entry that says what it is, those of studies first; what is damaged says nothing."""
    kept = [path for path in paths().store.glob(f"*/{run_files.ENTRY}") if path.parent.suffix != _NEW]
    for path in (*sorted(paths().runs.glob(f"*/*/{run_files.ENTRY}")), *sorted(kept)):
        try:
            yield Found(Entry.model_validate_json(path.read_text(encoding="utf-8")), path.parent)
        except (ValidationError, UnicodeDecodeError, FileNotFoundError):  # another process may have moved it away
            continue


def find(wanted: str, *, run: str = "", progress: Progress = SILENT) -> Found | None:
    """Return a whole entry of a key, that of a certain run rather than another one's.

    Args:
        wanted: the key.
        run: the run that it is to be used for.
        progress: told of entries that are not what they say.
    """
    same = [found for found in entries() if found.entry.key == wanted]
    for found in sorted(same, key=lambda found: found.entry.run != run):
        if not (damaged := damage(found)):
            return found
        progress.say(f"{found.folder}: {damaged}; this entry of the run store is computed again")
    return None


def damage(found: Found) -> str:
    """Say what of an entry is missing or not as it was written, or nothing."""
    for name, expected in found.entry.files.items():
        path = found.folder / name
        if not path.is_file():
            return f"{name} is missing"
        if runtime.file_hash(path) != expected:
            return f"{name} is not what was written"
    return ""


def unfinished(wanted: str) -> Path:
    """Return the folder of a run's unfinished work."""
    return paths().store / f"{wanted}.part"


def put(study: str, run: str, kind: Kind, wanted: str, write: Callable[[Path], None]) -> None:
    """Make an entry and put it into its study's folder; another one that lies there is kept in the store.

    Args:
        study: whose folder it goes to.
        run: its name.
        kind: what kind of run it is.
        wanted: its key.
        write: writes all its files into the folder that it is given.
    """
    new = paths().store / f"{wanted}-{run}{_NEW}"
    shutil.rmtree(new, ignore_errors=True)
    new.mkdir(parents=True)
    write(new)
    files = {str(path.relative_to(new)): runtime.file_hash(path) for path in sorted(new.rglob("*")) if path.is_file()}
    entry = Entry(run=run, kind=kind, key=wanted, files=files)
    tables.write_text(entry.model_dump_json(indent=2) + "\n", new / run_files.ENTRY)
    target = paths().study(study) / run
    _set_aside(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    new.rename(target)
    if originals.original(paths().root):
        _share(target, wanted)
    shutil.rmtree(unfinished(wanted), ignore_errors=True)


def bring_back(study: str, run: str, wanted: str, progress: Progress = SILENT) -> bool:
    """See to it that an entry of a key lies in its study's folder, as it is; tell whether there is one."""
    found = find(wanted, run=run, progress=progress)
    if found is None:
        return False
    if found.folder != paths().study(study) / run:
        put(study, run, found.entry.kind, wanted, lambda folder: copy(found.folder, folder))
    return True


def copy(source: Path, folder: Path) -> None:
    """Copy all files of an entry into a folder that is to become another one."""
    shutil.copytree(source, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns(run_files.ENTRY))


def keep_only(study: str, runs: Collection[str]) -> None:
    """Take all out of a study's folder that is none of its runs; whole entries are kept in the store."""
    folder = paths().study(study)
    folder.mkdir(parents=True, exist_ok=True)
    for path in sorted(folder.iterdir()):
        if path.name not in runs:
            _set_aside(path)


def prune() -> int:
    """Remove what no study holds, unfinished work included, and return how many folders that were.

    What another process works on stays.
    """
    count = 0
    for path in paths().store.glob("*"):
        if not path.is_dir() or path.name == paths().provenances.name:
            continue
        lock = _lock(path.name.split(".")[0].split("-")[0])  # what is being written has the run's name behind the key
        try:
            with lock.acquire(timeout=0):
                shutil.rmtree(path)
                count += 1
        except filelock.Timeout:
            continue
    return count


@contextmanager
def locked(wanted: Collection[str], progress: Progress) -> Iterator[None]:
    """Let no other process compute the same entries; wait for one that does."""
    paths().store.mkdir(exist_ok=True)
    locks = [_lock(one) for one in sorted(wanted)]
    try:
        for lock in locks:
            try:
                lock.acquire(timeout=0)
            except filelock.Timeout:
                progress.say("another process computes the same run; waiting for it")
                lock.acquire()
        yield
    finally:
        for lock in locks:
            lock.release()


def _lock(wanted: str) -> filelock.BaseFileLock:
    """Return the lock of a key, which one process holds at a time."""
    return filelock.FileLock(paths().store / f"{wanted}.lock")


def _set_aside(path: Path) -> None:
    """Move a whole entry into the store; remove what is none."""
    if path.is_dir() and not path.is_symlink():
        whole = _whole(path)
        kept = paths().store / whole.key if whole else None
        if kept and not _whole(kept):
            _keep(path, kept)
            return
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _share(entry: Path, wanted: str) -> None:
    """Leave an entry of a copy of the workspace in the store, as hard links: the copy goes when its experiment ends."""
    kept = paths().store / wanted
    if not _whole(kept):
        new = Path(tempfile.mkdtemp(prefix=f"{wanted}-", suffix=_NEW, dir=paths().store))
        shutil.copytree(entry, new, copy_function=_link, dirs_exist_ok=True)
        _keep(new, kept)


def _link(source: str, target: str) -> None:
    """Make a file a second name of another one, or a copy where the disk is another one."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


def _keep(path: Path, kept: Path) -> None:
    """Move a whole entry into the store, unless another process has done so just now."""
    shutil.rmtree(kept, ignore_errors=True)
    kept.parent.mkdir(exist_ok=True)
    try:
        path.rename(kept)
    except OSError:
        if not kept.is_dir():  # another disk, say: what was trained stays where it is
            raise
        shutil.rmtree(path)


def _whole(folder: Path) -> Entry | None:
    """Return what an entry says of itself, if it is whole."""
    return next((found.entry for found in entries() if found.folder == folder and not damage(found)), None)
