"""The folder that a command works in: whether it can be written, and whether git and DVC can use it."""

import logging
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from deepfake import layout
from deepfake.errors import InputError

_LOGGERS = ("dvc", "dvc_data", "dvc_objects")


def require_writable(folder: Path = Path()) -> None:
    """Check that results can be written into a folder.

    Raises:
        InputError: it is mounted read-only, or belongs to somebody else.
    """
    if os.access(folder, os.W_OK):
        return
    place, owner = folder.resolve(), folder.stat()
    if os.statvfs(folder).f_flag & os.ST_RDONLY:
        raise InputError(f"{place}: is mounted read-only, so nothing can be written; mount it writable (without :ro)")
    raise InputError(
        f"{place}: belongs to uid {owner.st_uid} and cannot be written by uid {os.geteuid()}; run as its owner, "
        f"in a container with --user {owner.st_uid}:{owner.st_gid}"
    )


def uses_dvc() -> bool:
    """Tell whether DVC can be used here: it and git are installed, and this is the root of a repository of both.

    Raises:
        InputError: `.git` is there, but git cannot use it.
    """
    if not (layout.GIT.exists() and shutil.which("git")):
        return False
    done = subprocess.run(["git", "rev-parse", "--git-dir"], capture_output=True, text=True, check=False)
    if done.returncode:
        cause = done.stderr.strip().splitlines()[0].removeprefix("fatal: ")
        if "dubious ownership" in cause:
            remedy = f"run as its owner, or: git config --global --add safe.directory {Path.cwd()}"
        elif layout.GIT.is_file():
            remedy = "give the whole repository, not a worktree or submodule of it"
        else:
            remedy = "see git status"
        raise InputError(f".git: git cannot use it ({cause}); {remedy}")
    return layout.DVC.is_dir() and shutil.which("dvc") is not None


def pull(dataset: str) -> bool:
    """Bring the raw files of a versioned data set from the remote, where they are missing; tell whether it was done.

    Raises:
        InputError: there is no remote, it cannot be reached, or it does not have the data; which, and what to do.
    """
    pointer = layout.pointer(dataset)
    if layout.raw(dataset).exists() or not pointer.exists():
        return False
    from dvc.exceptions import DvcException
    from dvc.repo import Repo

    with Repo() as repo, _listening() as heard:
        remote = repo.config["core"].get("remote")
        try:
            repo.pull([str(pointer)])
        except (DvcException, OSError) as error:
            raise InputError(f"{pointer}: cannot be pulled: {_cause(remote, [*heard, _line(error)])}") from None
    return True


def _cause(remote: str | None, messages: list[str]) -> str:
    """Say in one line why data could not be pulled, and what to do.

    Args:
        remote: the default one.
        messages: what DVC said, the error that it ended with last.
    """
    if remote is None:
        return "no remote is configured; name the one that has it: dvc remote add --default NAME URL"
    where = f"remote {remote!r}"
    if any("neither locally nor on remote" in message for message in messages):
        return f"{where} does not have it; run `dvc push` where the data is"
    connecting = [message for message in messages if message.startswith("failed to connect")]
    if not connecting:
        # DVC's own last words are about its cache
        said = messages[-1].partition(" Is your cache up to date?")[0].removesuffix(".")
        return f"what {where} has of it is damaged or incomplete ({said}); see `dvc pull --verbose`"
    cause = connecting[0].removesuffix(".")
    if "credentials" in cause:
        return (
            f"{where} wants credentials; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or give them to "
            f"`dvc remote modify --local {remote}`"
        )
    return f"{where} cannot be reached ({cause.partition(' - ')[2] or cause}); see `dvc remote list`"


def _line(error: BaseException) -> str:
    """Return an error's message in one line."""
    return " ".join(str(error).split())


@contextmanager
def _listening() -> Iterator[list[str]]:
    """Collect what DVC would print about its troubles, so that one line can be made of it; bars stay."""
    heard: list[str] = []

    class Collect(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            cause = record.exc_info[1] if record.exc_info else None
            heard.append(record.getMessage() + (f" - {_line(cause)}" if cause else ""))

    handler = Collect(logging.WARNING)
    before = {}
    for name in _LOGGERS:
        logger = logging.getLogger(name)
        before[logger] = (logger.handlers, logger.propagate)
        logger.handlers, logger.propagate = [handler], False
    try:
        yield heard
    finally:
        for logger, (handlers, propagate) in before.items():
            logger.handlers, logger.propagate = handlers, propagate
