"""What the cells of a table are sorted and aligned by: the number they begin with."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

MISSING = ("", "-", "–", "nan")
"""What stands in a cell that has no value; it is sorted last, whichever way."""
WIDE = 9
"""Columns of a table that paper holds in small print only, when it has more."""
_LONG = 100
_NUMBER = re.compile(
    r"(?P<measure>[^\W\d_][^\[\]<>:,;]*?\s)?"  # ΔAUC +0.078, shift in SD 1.259
    r"(?P<below><\s?)?"
    r"(?P<value>[+\-−]?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?(?:e[+\-]?\d+)?)"
    r"(?P<percent>\s?%)?"
    r"(?:\s(?:px|s|ms|min|SD|pp|MB|KB|GB|images/s))?"
    r"(?:\s(?:±|\[|\(|×|of\s|†).*|×\d+)?",
    re.DOTALL,
)
_INTERVAL = re.compile(r"\[(?P<low>[^,\]]+),\s*(?P<high>[^,\]]+)\]")


@dataclass(frozen=True)
class Cell:
    """One cell of a table: what stands there, and the number it is sorted by, if it is one."""

    text: str
    sort: str | None


@dataclass(frozen=True)
class Grid:
    """A table as pages show it: headings, rows of cells, which columns hold numbers alone, and which long texts."""

    headings: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    numeric: Sequence[bool]
    long: Sequence[bool]

    @property
    def wide(self) -> bool:
        """Return whether paper holds the table in small print only."""
        return len(self.headings) > WIDE


def number(text: str) -> float | None:
    """Return the number that a cell is sorted by: that it begins with, or None.

    A measure's name may stand before it, and after it an interval, a spread, a size, a unit or a share's whole; a
    percentage is a share of 1, `<0.001` a little less than 0.001, and an interval alone has its middle.
    """
    plain = text.strip()
    if found := _INTERVAL.fullmatch(plain):
        ends = [number(found["low"]), number(found["high"])]
        return None if None in ends else sum(ends) / 2  # type: ignore[arg-type]
    found = _NUMBER.fullmatch(plain)
    if found is None:
        return None
    value = float(found["value"].replace(",", "").replace("−", "-"))
    value = value / 100 if found["percent"] else value
    return value * (1 - 1e-6) if found["below"] else value


def sort_key(text: str) -> str | None:
    """Return the number that a cell is sorted by as text, the shortest that is exact to nine digits."""
    value = number(text)
    return None if value is None else f"{value:.9g}"


def measured(text: str) -> bool:
    """Return whether a cell begins with a number, not with the name of a measure: such columns stand to the right."""
    found = _NUMBER.fullmatch(text.strip())
    return _INTERVAL.fullmatch(text.strip()) is not None or (found is not None and not found["measure"])


def numeric(texts: Sequence[str]) -> bool:
    """Return whether a column holds numbers, but for missing ones."""
    known = [text for text in texts if text.strip() not in MISSING]
    return bool(known) and all(measured(text) for text in known)


def long(texts: Sequence[str]) -> bool:
    """Return whether a column holds sentences, which need room."""
    return any(len(text) > _LONG for text in texts)


def grid(frame: pd.DataFrame) -> Grid:
    """Return a frame's cells as pages show them: numbers to three places, counts with commas, a dash for none."""
    texts = [[_shown(value) for value in row] for row in frame.itertuples(index=False, name=None)]
    columns = [[row[place] for row in texts] for place in range(frame.shape[1])]
    rows = [[Cell(text, sort_key(text)) for text in row] for row in texts]
    return Grid([str(name) for name in frame], rows, [*map(numeric, columns)], [*map(long, columns)])


def _shown(value: Any) -> str:
    if value is None or value != value:
        return "-"
    if isinstance(value, bool) or type(value).__name__ == "bool":
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.3f}"
    return f"{value:,}" if isinstance(value, int) else str(value)
