"""What a branch changed, as git and DVC tell it, and whether the committed results still belong to the code.

Nothing here needs data, a cache or a remote: DVC's metrics, tables and figures are committed.
"""

import contextlib
import io
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deepfake.errors import InputError
from deepfake.project import Project, paths

if TYPE_CHECKING:
    from dvc.repo import Repo

Change = dict[str, Any]
"""One value before and after, as DVC gives it: `old`, `new`, and `diff` where both are numbers."""
Changes = dict[str, dict[str, Change]]
"""By file and dotted key."""


@dataclass(frozen=True)
class Comparison:
    """The commits that are compared."""

    rev: str
    """What the user named."""
    base: str
    """Where the branch left it (abbreviated hash)."""
    head: str
    """The commit that is checked out (abbreviated hash)."""
    moved_on: int
    """Commits that `rev` has and the branch does not."""
    uncommitted: bool
    """Whether the working tree differs from `head`: it is what is compared."""

    def sentence(self) -> str:
        """Say what is compared."""
        since = {0: "", 1: ", which has one commit more since"}.get(
            self.moved_on, f", which has {self.moved_on} commits more since"
        )
        head = f"`{self.head}` + uncommitted changes" if self.uncommitted else f"`{self.head}`"
        return f"Compared: `{self.base}`, where the branch left `{self.rev}`{since}, with {head}."


@dataclass(frozen=True)
class Staleness:
    """What `dvc repro` would run."""

    runs: list[str]
    """Stages whose code, parameters, dependencies or committed results are not those that dvc.lock records."""
    follow: list[str]
    """Stages that read what these write, and run too if it comes out differently."""


def commits(rev: str) -> Comparison:
    """Find the commits to compare: the working tree with the point where the branch left a revision.

    Raises:
        InputError: this is no git repository, the revision is unknown, or the two have no commit in common.
    """
    if _git("rev-parse", "--is-inside-work-tree") is None:
        raise InputError("ci-report: not inside a git repository; run it in a clone of the project")
    if _git("rev-parse", "--verify", "--quiet", "HEAD^{commit}") is None:
        raise InputError("ci-report: nothing is committed yet; there is no branch to report on")
    # without --end-of-options a revision that begins with a dash would be taken for an option
    tip = _git("rev-parse", "--verify", "--quiet", "--end-of-options", f"{rev}^{{commit}}")
    if tip is None:
        raise InputError(f"--base: git knows no revision {rev!r}; fetch it first (actions/checkout: fetch-depth: 0)")
    base = _git("merge-base", tip.strip(), "HEAD")
    if base is None:
        raise InputError(
            f"--base: {rev} and HEAD have no commit in common; the clone may lack history (actions/checkout: "
            "fetch-depth: 0, elsewhere: git fetch --unshallow)"
        )
    return Comparison(
        rev=rev,
        base=_read("rev-parse", "--short", base.strip()).strip(),
        head=_read("rev-parse", "--short", "HEAD").strip(),
        moved_on=int(_read("rev-list", "--count", tip.strip(), "^HEAD")),
        uncommitted=bool(_read("status", "--porcelain")),
    )


def _git(*arguments: str) -> str | None:
    """Return what git prints, or None where it fails."""
    done = subprocess.run(["git", *arguments], cwd=paths().root, capture_output=True, check=False)
    return None if done.returncode else done.stdout.decode()


def _read(*arguments: str) -> str:
    """Return what git prints.

    Raises:
        InputError: git failed; the message is its own.
    """
    done = subprocess.run(["git", *arguments], cwd=paths().root, capture_output=True, check=False)
    if done.returncode:
        raise InputError(f"git {arguments[0]}: {' '.join(done.stderr.decode().split())}")
    return done.stdout.decode()


@contextlib.contextmanager
def _repository(**settings: Any) -> "Iterator[Repo]":
    """Open the DVC repository of the current folder; an error of DVC becomes one line."""
    from dvc.exceptions import DvcException
    from dvc.repo import Repo, lock_repo

    try:
        # under one lock DVC reads its files once: a second each time on the whole study
        with Repo(os.fspath(paths().root), config=settings) as repo, lock_repo(repo):
            yield repo
    except DvcException as error:
        raise InputError(f"dvc: {_line(error)}") from error


def _line(error: Exception) -> str:
    """Return what an error says, in one line."""
    return " ".join(str(error).split())


def differences(base: str) -> dict[str, Changes]:
    """Return the `metrics` and the `params` that differ between a commit and the working tree.

    They are those of `dvc metrics diff` and `dvc params diff`, which would read every revision once each.

    Raises:
        InputError: DVC cannot read a revision.
    """
    from dvc.utils.diff import diff, format_dict

    found: dict[str, dict[str, Any]] = {"metrics": {}, "params": {}}
    with _repository() as repo:
        for rev in repo.brancher(revs=[base]):
            for kind in found:
                shown = getattr(repo, kind).show(hide_workspace=False)[""]
                if "error" in shown:
                    raise InputError(f"dvc {kind} of {rev}: {_line(shown['error'])}")
                found[kind][rev] = format_dict(shown["data"])
    # in their order: DVC's own is another one each time
    return {
        kind: dict(sorted(diff(values.get(base, {}), values["workspace"]).items())) for kind, values in found.items()
    }


def markdown(kind: str, changes: Changes, base: str) -> str:
    """Return changes of `metrics` or `params` as `dvc KIND diff --md BASE` prints them."""
    from dvc.compare import show_diff

    # as DVC's own commands call it
    options: dict[str, Any] = {"show_changes": False} if kind == "params" else {"precision": 5, "round_digits": True}
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        show_diff(changes, title=kind.capitalize()[:-1], markdown=True, a_rev=base, **options)
    return printed.getvalue()


def tables(base: str) -> dict[str, tuple[str | None, str | None]]:
    """Return the text of each committed table that changed, before and after; None where there is none.

    Tables are known by their names, wherever they lie.
    """
    listed = _read("ls-tree", "-r", "--name-only", "-z", base, f"./{_reports()}/").split("\0")
    old = {path.stem: path for path in map(Path, listed) if _is_table(path)}
    new = {path.stem: path for path in paths().reports.rglob("*") if _is_table(path)}
    pairs = {
        name: (
            _read("show", f"{base}:./{old[name].as_posix()}") if name in old else None,
            new[name].read_text("utf-8") if name in new else None,
        )
        for name in sorted({*old, *new})
    }
    return {name: (before, after) for name, (before, after) in pairs.items() if before != after}


def read_base(base: str, folder: Path) -> "Iterator[tuple[Path, str]]":
    """Yield path and text of each file that a folder of results has in a commit."""
    place = folder.relative_to(paths().root).as_posix()
    listed = _read("ls-tree", "-r", "--name-only", "-z", base, f"./{place}/").split("\0")
    for name in filter(None, listed):
        yield Path(name), _read("show", f"{base}:./{name}")


def _reports() -> str:
    """Return the folder of results as git names it in the project's root."""
    return paths().reports.relative_to(paths().root).as_posix()


def _is_table(path: Path) -> bool:
    return path.suffix == ".csv" and not is_curve(path)


def is_curve(path: Path) -> bool:
    """Tell whether a committed CSV is the data of a plot (`comparison.CURVES`), not a table of results."""
    return path.stem.endswith(("_history", "_roc", "_confusion"))


def staleness() -> Staleness:
    """Find out which stages DVC would run, in a copy without data, as `dvc repro --dry --allow-missing` does.

    The working tree stays as it is, and the answer is the same with and without data.

    Raises:
        InputError: DVC cannot read the pipeline.
    """
    kept = _read("ls-files", "-z", "--cached").split("\0")
    # new files count where DVC looks for them; elsewhere may lie anything of any size
    new = _read("ls-files", "-z", "--others", "--exclude-standard", "--", "src", _reports()).split("\0")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name, "copy")
        for path in filter(None, {*kept, *new}):
            if (paths().root / path).is_file():
                (folder / path).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(paths().root / path, folder / path)
        with Project(folder).entered():
            return _would_run(Path(name, "site"))


def _would_run(site: Path) -> Staleness:
    """Return what DVC would run in this project, which is no git repository."""
    import networkx
    from dvc.repo.reproduce import get_active_graph

    with _repository(core={"no_scm": True, "site_cache_dir": str(site)}) as repo:
        graph = get_active_graph(repo.index.graph)
        # what `dvc repro` asks of each stage before it runs it; with --dry it goes on to look for the result in its run
        # cache, which fails where a dependency is missing
        found = [
            stage
            for stage in networkx.dfs_postorder_nodes(graph)
            if stage.changed(allow_missing=True, upstream=list(graph.successors(stage)))
        ]
        runs = [_named(stage) for stage in found]
        readers = set().union(*(networkx.ancestors(graph, stage) for stage in found))
        follow = {_named(stage) for stage in readers} - set(runs)
    return Staleness(runs, sorted(follow))


def _named(stage: Any) -> str:
    """Return a stage's name, or the file of one that has none; DVC's own way depends on the working directory."""
    return getattr(stage, "name", stage.path_in_repo)
