"""Result tables as notebooks show them: rows and columns chosen, each figure in one cell with what belongs to it."""

from collections.abc import Iterable, Sequence
from typing import Any

import pandas as pd

from deepfake.errors import InputError, unknown
from deepfake.reports.columns import Column, Table, estimate, number, p_value, source_columns, text
from deepfake.reports.findings import Finding

_ENDS = ("difference", "value", "excess", "change", "delta", "residual")
"""The figures whose interval columns `low` and `high` are, the first that a table has."""
_SPREADS = {"auc_all": "auc_std"}
"""The standard deviation over folds that belongs to a mean, where its name does not say it."""
_HEADINGS = {"experiment": "run", "auc_all": "AUC, all pairs", "p": "p (Holm)", "train_val_gap": "train/val gap"}
_ABBREVIATIONS = {"auc": "AUC", "ece": "ECE", "eer": "EER", "f1": "F1", "fpr": "FPR", "tpr": "TPR", "sd": "SD"}
_SIGNED = ("difference", "change", "delta", "gap", "excess", "gain", "shift")

_SHARES = ("fraction",)
_WHOLE = ("samples", "reals", "groups", "repeats", "folds", "count", "images", "parameters")
"""Counts, which a table with empty cells has as other numbers."""
_FLAGS = ("in_domain",)
"""What is 1 or 0 in tables in which it may be unknown."""
_VERDICTS = ("chance", "verdict", "beyond")
SOURCES = "auc_*"
"""Stands, among columns, for the AUC of each source of fakes."""


def named(frame: pd.DataFrame, columns: Sequence[str]) -> list[str]:
    """Return columns with those of all sources, which depend on the data, where `SOURCES` stands for them."""
    return [name for column in columns for name in (source_columns(frame) if column == SOURCES else [column])]


def chosen(frame: pd.DataFrame, name: str, columns: Sequence[str] | None, rows: dict[str, Any] | None) -> pd.DataFrame:
    """Return the rows of a table that have the wanted values, in the table's order.

    Raises:
        InputError: it lacks a column that is asked for.
    """
    for column in (*(columns or ()), *(rows or ())):
        if column not in frame.columns:
            raise InputError(f"table {name}: {unknown('column', column, map(str, frame.columns))}")
    for column, wanted in (rows or {}).items():
        wanted = wanted if isinstance(wanted, list) else [wanted]
        frame = frame[frame[column].isin(wanted)]
    return frame.reset_index(drop=True)


def described(frame: pd.DataFrame, columns: Iterable[str], interval: str | None) -> Table:
    """Return a table's columns as people read them.

    Args:
        frame: its rows.
        columns: those to show, but for empty ones; an interval or a standard deviation is part of its figure's cell.
        interval: the figure that columns `low` and `high` belong to; None: a difference, or the like.
    """
    parts = {column: _parts(frame, column, interval) for column in map(str, frame)}
    inside = {part for found in parts.values() for part in found}
    told = [column for column in columns if column not in inside and frame[column].notna().any()]
    shown = [_column(frame, column, parts[column]) for column in told]
    return Table(frame, shown)


def spread(folds: pd.DataFrame, metrics: list[str]) -> pd.DataFrame:
    """Return for each run the mean of each metric over folds, its standard deviation, and the number of folds."""
    by_run = folds.groupby("experiment", sort=False)
    means, deviations = by_run[metrics].mean(), by_run[metrics].std(ddof=1).add_suffix("_std")
    return pd.concat([by_run.size().rename("folds"), means, deviations], axis=1).reset_index()


def questions(found: list[Finding]) -> Table:
    """Return findings as a table, without columns that are empty."""
    rows = pd.DataFrame(
        {"question": one.question, "answer": one.answer, "effect": one.figures, "p": one.p, "size": one.size}
        | {"note": one.note}
        for one in found
    )
    shown = {
        "question": text("Question", "question"),
        "answer": text("Answer", "answer"),
        "effect": text("Effect [interval]", "effect"),
        "p": p_value("p (Holm)", "p"),
        "size": text("n (groups) × repeats", "size"),
        "note": text("Note", "note"),
    }
    told = rows.replace("", None).notna().any()
    return Table(rows, [column for key, column in shown.items() if told[key]])


def absent(shown: Table, frame: pd.DataFrame, wanted: dict[str, dict[str, str]]) -> list[list[str]]:
    """Return a row for each value that a reader looks for and the table does not have, with what would bring it.

    Args:
        shown: the table as it is shown.
        frame: all of its rows.
        wanted: by column its values, each with what would bring it.
    """
    keys = [next(iter(column.keys.values())) for column in shown.columns]
    rows = []
    for column, values in wanted.items():
        for value, remedy in values.items():
            if not frame[column].astype(str).eq(value).any():
                row = ["-"] * len(keys)
                place = keys.index(column)
                row[place], row[(place + 1) % len(keys)] = value, f"not run: {remedy}"
                rows.append(row)
    return rows


def words(value: Any) -> str:
    """Return a value as people write it."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _parts(frame: pd.DataFrame, column: str, interval: str | None) -> tuple[str, ...]:
    """Return the columns that stand in a figure's cell: its interval, or its standard deviation."""
    owner = interval or next((name for name in _ENDS if name in frame), None)
    stems = (column, column.removesuffix("_change"), column.removesuffix("_excess"))
    pairs = [(f"{stem}_low", f"{stem}_high") for stem in stems] + [("low", "high")] * (column == owner)
    for pair in pairs:
        if all(end in frame for end in pair):
            return pair
    deviation = _SPREADS.get(column, f"{column}_std")
    # where there is a mean that it belongs to by another name, it is not that of its own
    taken = column not in _SPREADS and any(name in frame and deviation == of for name, of in _SPREADS.items())
    return (deviation,) if deviation in frame and not taken else ()


def _column(frame: pd.DataFrame, key: str, parts: tuple[str, ...]) -> Column:
    """Return how to show one column, by its name and kind."""
    heading, values = _heading(key, parts, tested=_tested(frame, key, parts)), frame[key]
    form = "{:+.3f}" if key.split("_")[-1] in _SIGNED or key in _SIGNED else "{:.3f}"
    if values.dtype.kind == "b":
        return Column(heading, {"": key}, words)
    if key in _FLAGS:
        return Column(heading, {"": key}, lambda value: words(bool(value)))
    if key in _VERDICTS and values.dtype.kind not in "iuf":
        return Column(heading, {"": key}, lambda value: value.replace("_", " "))
    if key == "p" or key.startswith("p_") or key.endswith("_p"):
        return p_value(heading, key)
    if len(parts) == 2:
        return estimate(heading, key, *parts, form)
    if len(parts) == 1:
        return Column(heading, {"": key, "std": parts[0]}, f"{form} ± {{:.3f}}".format, form.format)
    if values.dtype.kind in "iu" or key in _WHOLE:
        return number(heading, key, "{:,.0f}")
    if key in _SHARES:
        return number(heading, key, "{:.0%}")
    if values.dtype.kind == "f":
        return Column(heading, {"": key}, _mixed) if values.abs().median() >= 100 else number(heading, key, form)
    return text(heading, key)


def _mixed(value: float) -> str:
    """Return a number of a column that holds large ones and ratios alike."""
    return f"{value:,.0f}" if abs(value) >= 10 or value == round(value) else f"{value:.3f}"


def _tested(frame: pd.DataFrame, key: str, parts: tuple[str, ...]) -> bool:
    """Return whether an interval is that of a test, as wide as its verdict and Holm's correction ask for."""
    of_contrast = "verdict" in frame and (key == "delta" or (parts == ("low", "high") and "p" in frame))
    # cells of train set by test set say beside a plain interval whether it lies above chance
    of_auc = parts == ("auc_low", "auc_high") and not set(_FLAGS) & set(frame)
    return of_contrast or (of_auc and not {"chance", "p_holm"}.isdisjoint(frame))


def _heading(key: str, parts: tuple[str, ...], *, tested: bool) -> str:
    """Return what stands above a column."""
    said = _HEADINGS.get(key) or " ".join(_ABBREVIATIONS.get(word, word) for word in key.split("_"))
    return said + {0: "", 1: " (mean ± std)", 2: " [interval]" if tested else " [95% CI]"}[len(parts)]
