"""The table of labels that somebody wrote for images of their own: a CSV `path,label[,source,group]`."""

import csv
import difflib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from deepfake import tables
from deepfake.errors import InputError

_REQUIRED = ("path", "label")
_OPTIONAL = ("source", "group")
_LABELS = {"real": tables.REAL, "0": tables.REAL, "fake": tables.FAKE, "1": tables.FAKE}
_NAMES = {tables.REAL: "real", tables.FAKE: "fake"}


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


def read(path: Path) -> list[Row]:
    """Read and check a table of labels.

    Args:
        path: a CSV file in UTF-8 with a header, with or without a byte order mark.

    Raises:
        InputError: a column is missing, or a row has an empty, repeated, unknown or unsafe value; it names the line as
            an editor counts them.
    """
    rows: list[Row] = []
    line_of: dict[str, int] = {}
    for line, cells in _cells(path):
        row = _row(cells, f"{path}: line {line}")
        first = line_of.setdefault(row.path, line)
        if first != line:
            raise InputError(f"{path}: line {line}: {row.path} stands in line {first} already; remove one of them")
        rows.append(row)
    return rows


def _row(cells: dict[str, str], where: str) -> Row:
    """Check one row."""
    for column, value in cells.items():
        if not value:
            raise InputError(f"{where}: no {column}; fill it in or remove the row")
    label = _LABELS.get(cells["label"])
    if label is None:
        raise InputError(f"{where}: unknown label {cells['label']!r}; write real or fake (or 0 or 1)")
    place = PurePosixPath(cells["path"])
    if place.is_absolute() or ".." in place.parts or {"\\", "\0"} & set(cells["path"]):
        raise InputError(
            f"{where}: {cells['path']!r} does not stay in the table's folder; write a path below it, with / between "
            "folders (a link in that folder may lead elsewhere)"
        )
    return Row(str(place), label, cells.get("source", _NAMES[label]), cells.get("group", ""))


def _cells(path: Path) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield the line that a row begins in, and its cells by column; lines that are blank are passed over."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.reader(file, strict=True, skipinitialspace=True)
        columns: list[str] = []
        line = 1
        try:
            for cells in reader:
                if cells and not columns:
                    columns = _columns(cells, path)
                elif cells:
                    if len(cells) != len(columns):
                        raise InputError(
                            f"{path}: line {line}: {len(cells)} values for {len(columns)} columns; put a value with a "
                            'comma in it between "quotes"'
                        )
                    known = zip(columns, cells, strict=True)
                    yield line, {column: cell for column, cell in known if column in _REQUIRED + _OPTIONAL}
                line = reader.line_num + 1
        except csv.Error as error:
            raise InputError(f"{path}: line {line}: not valid CSV ({error}); mend the quotes there") from None
        except UnicodeDecodeError:
            raise InputError(f"{path}: not UTF-8; save it again as CSV UTF-8") from None
    if not columns:
        raise InputError(f"{path}: the file is empty; it needs the columns path and label")


def _columns(header: list[str], path: Path) -> list[str]:
    """Check the header; columns that mean nothing here are allowed, but not one that looks like a slip."""
    missing = [column for column in _REQUIRED if column not in header]
    if missing and len(header) == 1 and any(separator in header[0] for separator in ";\t"):
        raise InputError(f"{path}: line 1: the columns are not separated by commas; save it with commas")
    if missing:
        raise InputError(f"{path}: line 1: no column {' and '.join(missing)}; found: {', '.join(header)}")
    for column in header:
        near = difflib.get_close_matches(column.strip().lower(), _REQUIRED + _OPTIONAL, n=1, cutoff=0.75)
        if near and near[0] not in header:
            raise InputError(f"{path}: line 1: unknown column {column!r}; did you mean {near[0]}?")
        if header.count(column) > 1:
            raise InputError(f"{path}: line 1: column {column!r} stands there more than once; remove one")
    return header
