"""The result files of a git revision and those of the working tree, as rows of cells."""

import csv
import io
import json
import subprocess
from pathlib import Path
from typing import Any

from deepfake.errors import InputError
from deepfake.ops.verify import tolerance
from deepfake.ops.verify.comparison import Compared, Row, compare
from deepfake.project import paths


def against(rev: str) -> list[Compared]:
    """Compare every figure below `reports` in the working tree with a revision's.

    Raises:
        InputError: there is no git repository, it does not know the revision or has no figures there, or a file cannot
            be read.
    """
    if _git("rev-parse", "--is-inside-work-tree") is None:
        raise InputError("verify: not inside a git repository; run it in a clone of the project")
    # without --end-of-options a revision that begins with a dash would be taken for an option
    commit = _git("rev-parse", "--verify", "--quiet", "--end-of-options", f"{rev}^{{commit}}")
    if commit is None:
        raise InputError(f"--against: git knows no revision {rev!r}; see git log, or git fetch it first")
    commit = commit.strip()
    listed = (
        _git("ls-tree", "-r", "-z", "--name-only", commit, "--", paths().reports.relative_to(paths().root).as_posix())
        or ""
    )
    committed = {path for path in listed.split("\0") if tolerance.compared(path)}
    if not committed:
        raise InputError(f"--against: {rev} has no figures below {paths().reports}; name a revision with results")
    here = {path.relative_to(paths().root).as_posix() for path in paths().reports.rglob("*") if path.is_file()}
    here = {path for path in here if tolerance.compared(path)}
    found = []
    for path in sorted(committed | here):
        old = _git("show", f"{commit}:./{path}") if path in committed else None
        new = _text(paths().root / path) if path in here else None
        found += compare(path, _rows(path, old, f" in {rev}"), _rows(path, new, ""))
    return found


def _git(*arguments: str) -> str | None:
    """Return what git prints, or None where it fails or is not installed."""
    try:
        done = subprocess.run(["git", *arguments], cwd=paths().root, capture_output=True, check=False)
    except FileNotFoundError:
        return None
    return None if done.returncode else done.stdout.decode("utf-8", "replace")


def _text(path: Path) -> str:
    """Return a file's text; what is no text is found when it is parsed."""
    return path.read_text("utf-8", "replace")


def _rows(path: str, text: str | None, where: str) -> list[Row]:
    """Return the rows of a CSV or JSON file, none where there is no file.

    Raises:
        InputError: it cannot be parsed.
    """
    if text is None:
        return []
    try:
        if path.endswith(".json"):
            return flat(json.loads(text))
        return [_row(row) for row in csv.DictReader(io.StringIO(text, newline=""), strict=True)]
    except (ValueError, csv.Error) as error:
        raise InputError(f"{path}{where}: cannot be read ({' '.join(str(error).split())}); make it again") from None


def _row(cells: dict[str | Any, str | Any]) -> Row:
    """Return a row of a CSV file, where a blank and a NaN are the same.

    Raises:
        ValueError: it has more or fewer cells than the header.
    """
    if None in cells or None in cells.values():
        raise ValueError("a row has another number of cells than the header")
    return {column: "" if value.lower() == "nan" else value for column, value in cells.items()}


def flat(value: Any, place: str = "") -> list[Row]:
    """Return nested JSON as rows: one for each object, named by the dotted keys that lead there.

    Items of lists have their number as key.
    """
    items = dict(enumerate(value)) if isinstance(value, list) else value
    if not isinstance(items, dict):
        return [{tolerance.PLACE: place, "value": _cell(value)}]
    row, below = {}, []
    for key, item in items.items():
        if isinstance(item, dict | list):
            below += flat(item, f"{place}.{key}".strip("."))
        else:
            row[str(key)] = _cell(item)
    return ([{tolerance.PLACE: place} | row] if row else []) + below


def _cell(value: Any) -> str:
    """Return a JSON value as a CSV file would hold it."""
    return "" if value is None or value != value else str(value)
