"""The folder that a command works in: whether it can be written, and whether git and DVC can use it."""

import logging
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, cast

from deepfake.errors import InputError
from deepfake.project import paths

if TYPE_CHECKING:
    from dvc.config import Config

_LOGGERS = ("dvc", "dvc_data", "dvc_objects")
_WITHOUT_GIT = "no git repository here: DVC keeps what the last runs made in .dvc/cache, and there is no history of it"
_LEFT_OVER = (
    "DVC works without git here (core.no_scm), although there is a repository; to use it: "
    "dvc config --local core.no_scm false"
)


def require_writable(folder: Path) -> None:
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


def prepare() -> str | None:
    """Make DVC usable here, with git or without it; return a line to tell where results get no place in git's history.

    Where no git repository has this folder, `.dvc/config.local` says so to DVC, as `dvc init --no-scm` would. Of a git
    repository no settings are changed.

    Raises:
        InputError: `.git` is there, but git cannot use it; or DVC's settings are wrong or cannot be written.
    """
    from dvc.config import Config, ConfigError

    git = _has_git()
    try:
        settings = Config(os.fspath(paths().dvc))
        if not paths().dvc.is_dir():
            # as in the project's own settings, which are lost here
            _set_core(settings, "repo", analytics=False, check_update=False)
        if git:
            return _LEFT_OVER if settings["core"]["no_scm"] else None
        if not settings["core"]["no_scm"]:
            require_writable(paths().dvc)
            _set_core(settings, "local", no_scm=True)
    except ConfigError as error:
        raise InputError(f"{paths().dvc}: {_line(error)}") from None
    return _WITHOUT_GIT


def _set_core(settings: "Config", level: str, **core: bool) -> None:
    """Set values in one of DVC's configuration files, `.dvc/config` (repo) or `.dvc/config.local` (local)."""
    with settings.edit(level) as values:
        cast("dict[str, dict[str, object]]", values)["core"] |= core


def _has_git() -> bool:
    """Tell whether a git repository has this folder: one that begins here, or one further up with dvc.yaml in it.

    Raises:
        InputError: `.git` is there, but git cannot use it.
    """
    if shutil.which("git") is None:
        return paths().git.exists()  # DVC can read it on its own
    if not paths().git.exists():
        # further up may be any repository, which may even ignore this folder; then it is none for DVC
        return _git("ls-files", "--error-unmatch", "dvc.yaml").returncode == 0
    done = _git("rev-parse", "--git-dir")
    if done.returncode == 0:
        return True
    cause = done.stderr.strip().splitlines()[0].removeprefix("fatal: ")
    if "dubious ownership" in cause:
        remedy = f"run as its owner, or: git config --global --add safe.directory {paths().root.resolve()}"
    elif paths().git.is_file():
        remedy = "give the whole repository, not a worktree or submodule of it"
    else:
        remedy = "see git status"
    raise InputError(f".git: git cannot use it ({cause}); {remedy}")


def _git(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["git", *arguments], cwd=paths().root, capture_output=True, text=True, check=False)


def pull(dataset: str) -> bool:
    """Bring the raw files of a versioned data set from the remote, where they are missing; tell whether it was done.

    Raises:
        InputError: there is no remote, it cannot be reached, or it does not have the data; which, and what to do.
    """
    pointer = paths().pointer(dataset)
    if paths().raw(dataset).exists() or not pointer.exists():
        return False
    from dvc.exceptions import DvcException
    from dvc.repo import Repo

    with Repo(os.fspath(paths().root)) as repo, _listening() as heard:
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
