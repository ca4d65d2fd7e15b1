"""The project: its params.yaml, git, and whether this user may write here."""

import os
import shutil
import subprocess
from pathlib import Path

from deepfake import config
from deepfake.config.params import Params
from deepfake.errors import InputError
from deepfake.ops import repository
from deepfake.ops.doctor.finding import Finding
from deepfake.project import paths

_WITHOUT_GIT = "dvc exp run fails, and results do not name their commit"


def settings() -> tuple[Finding, Params | None]:
    """Say whether params.yaml is right, and return it when it is."""
    if not paths().params.exists():
        text = f"no {paths().params} in {Path.cwd()} or above"
        remedy = 'cd to the project; in a container: docker run -v "$PWD":/workspace'
        return Finding("missing", "project", text, remedy), None
    try:
        found = config.load()
    except InputError as error:
        return Finding("missing", "project", str(error), f"mend {paths().params}"), None
    text = (
        f"{paths().root.resolve()}: preset {found.preset}, data set {found.dataset}, {len(config.entries(found))} runs"
    )
    return Finding("ok", "project", text), found


def git() -> Finding:
    """Say whether git finds its repository."""
    if not shutil.which("git"):
        return Finding("note", "git", f"not installed: {_WITHOUT_GIT}", "install git")
    try:
        lost = _lost_worktree(paths().git)
    except OSError as error:
        return Finding("missing", "git", f".git cannot be read: {error.strerror}", _as_owner(paths().git))
    if lost is not None:
        text = f".git belongs to a worktree of {lost}, which is not here: {_WITHOUT_GIT}"
        return Finding("missing", "git", text, "mount that folder too, at the same path; or use a clone")
    done = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=paths().root, capture_output=True, text=True, check=False
    )
    said = done.stderr.strip()
    if "dubious ownership" in said:
        owner = paths().root.stat().st_uid
        text = f"the folder belongs to user {owner}, and this is user {os.geteuid()}: {_WITHOUT_GIT}"
        remedy = f"{_as_owner(paths().root)}; or: git config --global --add safe.directory {paths().root.resolve()}"
        return Finding("missing", "git", text, remedy)
    if "not a git repository" in said:
        text = "not a repository; results have no history and do not name their commit"
        return Finding("note", "git", text, "clone the project instead of copying it")
    if done.returncode:
        return Finding("note", "git", "a repository without a commit", "commit, so that results name what made them")
    return Finding("ok", "git", f"at commit {done.stdout.strip()}")


def _lost_worktree(path: Path) -> Path | None:
    """Return the folder that a worktree's .git file names, when it is not there."""
    if not path.is_file():
        return None
    _, _, named = path.read_text(encoding="utf-8").strip().partition("gitdir: ")
    folder = Path(named)
    return None if folder.exists() else folder


def writable() -> Finding:
    """Say whether this user may write where a run writes."""
    here = paths()
    written = (here.root, here.root / "data", here.runs, here.reports, here.scratch, here.store, here.dvc)
    for folder in (*written, here.dvc / "cache"):
        try:
            if folder.is_dir():
                repository.require_writable(folder)
        except InputError as error:
            text, _, remedy = str(error).partition("; ")
            return Finding("missing", "folder", text, remedy)
    return Finding("ok", "folder", "may be written")


def _as_owner(folder: Path) -> str:
    """Say how to become the one whom a folder belongs to, or have it."""
    try:
        found = folder.stat()
        owner = f"{found.st_uid}:{found.st_gid}"
    except OSError:
        owner = "$(id -u):$(id -g)"
    return f"sudo chown -R {os.geteuid()} {paths().root.resolve()}; in a container: docker run --user {owner}"
