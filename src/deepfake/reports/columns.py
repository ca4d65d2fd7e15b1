"""Tables of the report: numbers as CSV for machines, and as Markdown for people, from one description."""

from collections.abc import Callable
from dataclasses import dataclass

import pandas as pd


@dataclass(frozen=True)
class Column:
    """One column of a table.

    Args:
        heading: what stands above it.
        keys: the columns of the numbers that it shows; "" is the one that has the heading to itself in a CSV, the
            others follow there to the right of the table, with their own names behind the heading.
        form: writes their values, in this order, into one cell.
        alone: writes the first of them where another is missing; without it the cell is a dash.
    """

    heading: str
    keys: dict[str, str]
    form: Callable[..., str]
    alone: Callable[..., str] | None = None


@dataclass(frozen=True)
class Table:
    """Numbers, and the columns that show them."""

    numbers: pd.DataFrame
    columns: list[Column]

    def csv(self) -> pd.DataFrame:
        """Return the numbers under the table's headings."""
        named = [
            (f"{column.heading} {name}".strip(), key) for column in self.columns for name, key in column.keys.items()
        ]
        headings = {column.heading for column in self.columns}
        ordered = sorted(named, key=lambda pair: pair[0] not in headings)
        frame = self.numbers[[key for _, key in ordered]]
        return frame.set_axis([heading for heading, _ in ordered], axis=1)

    def shown(self) -> pd.DataFrame:
        """Return the table's cells as people read them; what does not apply is a dash."""
        records = self.numbers.to_dict("records")
        cells = [
            [_cell(column, [row[key] for key in column.keys.values()]) for column in self.columns] for row in records
        ]
        return pd.DataFrame(cells, columns=[column.heading for column in self.columns])

    def markdown(self) -> str:
        """Return the table as the report's pages hold it."""
        return self.shown().to_markdown(index=False, disable_numparse=True)


def _cell(column: Column, values: list[object]) -> str:
    missing = [value is None or value != value for value in values]
    if not any(missing):
        return column.form(*values)
    return "-" if missing[0] or column.alone is None else column.alone(values[0])


def text(heading: str, key: str) -> Column:
    """Return a column of words."""
    return Column(heading, {"": key}, str)


def number(heading: str, key: str, form: str = "{:.3f}") -> Column:
    """Return a column of single numbers."""
    return Column(heading, {"": key}, form.format)


def mean(heading: str, key: str, std: str | None = None) -> Column:
    """Return a column of means over folds, with their standard deviations."""
    return Column(heading, {"": key, "std": std or f"{key}_std"}, "{:.3f} ± {:.3f}".format)


def interval(heading: str, low: str, high: str, form: str = "{:.3f}") -> Column:
    """Return a column of intervals."""
    return Column(heading, {"low": low, "high": high}, f"[{form}, {form}]".format)


def estimate(heading: str, key: str, low: str, high: str, form: str = "{:.3f}") -> Column:
    """Return a column of figures with their intervals, where there are any."""
    return Column(heading, {"": key, "low": low, "high": high}, f"{form} [{form}, {form}]".format, form.format)


def p_value(heading: str, key: str) -> Column:
    """Return a column of p-values."""
    return Column(heading, {"": key}, lambda value: "<0.001" if value < 0.001 else f"{value:.3f}")


def source_columns(rows: pd.DataFrame) -> list[str]:
    """Return the columns of a comparison table that hold the AUC of one source."""
    figures = ("auc_all", "auc_std", "auc_low", "auc_high")
    return [column for column in map(str, rows) if column.startswith("auc_") and column not in figures]
