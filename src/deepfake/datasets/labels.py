"""The table of labels that somebody wrote for images of their own: each file's path and label, its source and group."""

import difflib
import re
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import pandas as pd

from deepfake import tables
from deepfake.datasets import label_evidence, text_tables
from deepfake.datasets.external.columns import NAMES, NOTHING
from deepfake.datasets.label_vocabulary import Classes, is_number, listed, meaning, named_class, normal
from deepfake.errors import InputError, unknown

COLUMNS = {
    "path": "path file filename file_name filepath file_path image image_path img img_path audio audio_path "
    "original_path",
    "label": "label labels class target truth ground_truth gt y",
    "source": "source",
    "group": NAMES["group"],
}
"""What columns are called, each by its own name first. Labels also stand in columns called `is_real`, `fake`, ..."""
_REQUIRED = ("path", "label")
_UNKNOWN = "unknown label"
_SHOWN = 5
"""Bad rows that a message shows; all are counted."""
_HINT = "write real or fake (or 0 and 1 throughout), and paths below the table's folder"


@dataclass(frozen=True, slots=True)
class Row:
    """A row of the table.

    Args:
        path: of the file, from the folder that the table lies in.
        label: `tables.REAL` or `tables.FAKE`.
        source: who made it; the label's name when the table does not say.
        group: what it must not be parted from; empty when the table does not say.
    """

    path: str
    label: int
    source: str
    group: str


def read(
    path: Path,
    *,
    positive: Sequence[str] = (),
    negative: Sequence[str] = (),
    columns: Mapping[str, str] | None = None,
) -> list[Row]:
    """Read and check a table of labels.

    Args:
        path: a table as people save it (`text_tables.read`), with a header.
        positive: the labels of fakes, if the user says so; one label beside them is then real.
        negative: the labels of reals; all others are then fake, and where they are several, each is a source unless a
            column names these.
        columns: the names of columns by what they hold (`COLUMNS`), if they are not called so; without a header their
            numbers.

    Raises:
        InputError: a column is missing or may be several, rows have an empty, repeated, unknown or unsafe value, or
            numbers contradict words about which class is which; bad lines are counted as an editor does, and the first
            ones shown.
    """
    table = text_tables.read(path)
    try:
        found = _found(table, columns or {})
        cells = pd.DataFrame({role: table.cells[name] for role, name in found.items()})
        cells["path"] = _places(cells["path"])
        bad = _bad_paths(cells["path"]) | _bad_labels(cells["label"], is_told=bool(positive or negative))
        if bad:
            shown = "; ".join(f"line {line}: {bad[line]}" for line in sorted(bad)[:_SHOWN])
            more = f"; and {len(bad) - _SHOWN:,} more" if len(bad) > _SHOWN else ""
            strange = any(what.startswith(_UNKNOWN) for what in bad.values())
            told = ", or which labels are real in the catalog (negative: LABEL); all others are then fake" * strange
            raise InputError(f"{len(bad):,} of {len(cells):,} rows cannot be used: {shown}{more}; {_HINT}{told}")
        fake = _fake(cells["label"], found["label"], positive, negative)
        if not (positive or negative) and len(cells) and _each(cells["label"], is_number).all():
            _check_numbers(fake, cells, found, table.cells)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    named = fake.map({True: "fake", False: "real"})
    if negative and cells["label"][fake].nunique() > 1:
        named = cells["label"]
    sources = cells["source"].where(~_is_nothing(cells["source"]), named) if "source" in cells else named
    groups = cells["group"].where(~_is_nothing(cells["group"]), "") if "group" in cells else pd.Series("", cells.index)
    rows = zip(cells["path"], fake, sources, groups, strict=True)
    return [
        Row(place, tables.FAKE if is_fake else tables.REAL, source, group) for place, is_fake, source, group in rows
    ]


def _is_nothing(cells: pd.Series) -> pd.Series:
    """Tell where cells say that there is no value: empty, NA, none, -."""
    return cells.str.casefold().isin(NOTHING)


def unused(path: Path) -> list[str]:
    """Return the columns of a table of labels from which nothing is taken."""
    table = text_tables.read(path)
    found = _found(table, {}).values()
    return [str(name) for name in table.cells if str(name) not in found]


def _found(table: text_tables.TextTable, given: Mapping[str, str]) -> dict[str, str]:
    """Return the name of each column that counts, by its role."""
    names = [str(name) for name in table.cells]
    if not table.named and not given:
        raise InputError(
            "line 1: it names no columns; write path,label above the first row, or say in the catalog what is in which "
            "column: columns: {path: 1, label: 2}"
        )
    found = {}
    for role, name in given.items():
        if name not in names:
            raise InputError(f"columns.{role} in the catalog: {unknown('column', name, names)}")
        found[role] = name
    for role, known in COLUMNS.items():
        free = [name for name in names if name not in found.values()]
        called = [name for name in free if re.sub(r"[\s.-]+", "_", name.casefold()) in known.split()]
        if role == "label":
            called += [name for name in free if named_class(name) is not None and name not in called]
            called = [name for name in called if name.casefold() == role or _says_classes(table.cells[name])]
        exact = [name for name in called if name.casefold() == role]
        if role in found or not called:
            continue
        if len(exact or called) > 1:
            raise InputError(
                f"line 1: each of the columns {listed(exact or called)} may hold the {role}; rename one to {role}, or "
                f"say in the catalog which: columns: {{{role}: {called[0]}}}"
            )
        found[role] = (exact or called)[0]
    _check_columns(names, found)
    return found


def _says_classes(cells: pd.Series) -> bool:
    """Tell whether most cells are labels, known words or 0 and 1."""
    return bool(_each(cells, lambda word: is_number(word) or meaning(word) is not None).mean() > 0.5)


def _check_columns(names: list[str], found: Mapping[str, str]) -> None:
    """Check that there are paths and labels, and that no other column looks like a slip."""
    for name in names:
        near = difflib.get_close_matches(name.strip().lower(), COLUMNS, n=1, cutoff=0.75)
        if near and near[0] not in found:
            raise InputError(f"line 1: unknown column {name!r}; did you mean {near[0]}?")
    missing = [role for role in _REQUIRED if role not in found]
    if missing:
        raise InputError(
            f"line 1: no column {' and '.join(missing)}; found: {', '.join(names)}; rename it, or say in the catalog "
            f"which it is: columns: {{{missing[0]}: {names[0]}}}"
        )


def _places(paths: pd.Series) -> pd.Series:
    """Return paths as they are written under any system, / between folders and no . among them."""
    paths = paths.str.replace("\\", "/", regex=False)
    odd = paths.str.contains(r"(?:^|/)\.?(?:/|$)") & (paths != "")
    plain = [str(PurePosixPath(path)) for path in paths[odd].astype(str)]
    return paths.where(~odd, pd.Series(plain, paths.index[odd], dtype="str"))


def _bad_paths(paths: pd.Series) -> dict[int, str]:
    """Return what is wrong with the paths of some lines."""
    first = paths.drop_duplicates()
    line_of = dict(zip(first, first.index, strict=True))
    repeated = paths[paths.duplicated()]
    bad = {_line(line): f"{path} is listed in line {line_of[path]} already" for line, path in repeated.items()}
    away = paths[paths.str.match(r"/|[A-Za-z]:|(?:.*/)?\.\.(?:/|$)")]
    said = "does not stay in the table's folder (a link in that folder may lead elsewhere)"
    bad |= {_line(line): f"path {path!r} {said}" for line, path in away.items()}
    return bad | {_line(line): "no path" for line in paths.index[paths == ""]}


def _bad_labels(labels: pd.Series, *, is_told: bool) -> dict[int, str]:
    """Return what is wrong with the labels of some lines; which class any word is of may have been told."""
    bad = {_line(line): "no label" for line in labels.index[labels == ""]}
    if is_told:
        return bad
    words = _each(labels, lambda word: meaning(word) is not None)
    numbers = _each(labels, is_number)
    unknown_ones = labels[~words & ~numbers & (labels != "")]
    bad |= {_line(line): f"{_UNKNOWN} {label!r}" for line, label in unknown_ones.items()}
    if words.any():
        bad |= {_line(line): f"label {label!r} is a number among words" for line, label in labels[numbers].items()}
    return bad


def _each(cells: pd.Series, judge: Callable[[str], bool]) -> "pd.Series[bool]":
    """Return for each cell what is said of its text; each text is judged once."""
    return cells.map({text: judge(text) for text in cells.unique()}).astype(bool)


def _line(index: Hashable) -> int:
    """Return an entry of a table's index as the number that it is."""
    return int(str(index))


def _fake(labels: pd.Series, column: str, positive: Sequence[str], negative: Sequence[str]) -> "pd.Series[bool]":
    """Return which labels mean fake."""
    try:
        told = Classes.of(labels.unique(), positive, negative, column).positive
    except InputError as error:
        # the catalog has keys where `deepfake evaluate` has options
        raise InputError(str(error).replace("--positive", "positive").replace("--negative", "negative")) from None
    return _each(labels, lambda label: told[normal(label)])


def _check_numbers(fake: "pd.Series[bool]", cells: pd.DataFrame, found: Mapping[str, str], table: pd.DataFrame) -> None:
    """Check that no word in a path or another column contradicts labels that are numbers."""
    others = [_in_words(table[name]) for name in table if name not in (found["path"], found["label"])]
    label_evidence.contradictions(
        fake.to_numpy(),
        cells["label"].rename(found["label"]),
        cells["path"].rename(found["path"]),
        others,
        remedy="say in the catalog which number means fake: positive: 0, or positive: 1",
    )


def _in_words(cells: pd.Series) -> pd.Series:
    """Return a column that is called after a class (`is_real`) and holds numbers as words; any other one as it is."""
    if named_class(str(cells.name)) is None or not _each(cells, is_number).all():
        return cells
    return _fake(cells, str(cells.name), (), ()).map({True: "fake", False: "real"})
