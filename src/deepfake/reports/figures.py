"""The pictures of the report, drawn from its tables."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from deepfake.reports import svg
from deepfake.reports.columns import source_columns
from deepfake.tables import atomic, write_text

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000", "#999999")
"""Okabe and Ito's palette (gray for their yellow, which white swallows), told apart by colour-blind readers too."""
STYLE: Any = {
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 10,
    "figure.dpi": 130,
    "savefig.bbox": "tight",
    "legend.frameon": False,
}


def auc(rows: pd.DataFrame, folds: pd.DataFrame, titles: Mapping[str, str], path: Path) -> None:
    """Draw each experiment's AUC: folds, mean and interval on the left, sources on the right.

    Args:
        rows: a comparison table.
        folds: its metrics by fold.
        titles: what each experiment is called.
        path: the PNG to write.
    """
    with plt.rc_context(STYLE):
        figure, (left, right) = plt.subplots(1, 2, figsize=(8.5, 1.6 + 0.5 * len(rows)), sharey=True)
        places = np.arange(len(rows))[::-1]
        for place, (_, row), colour in zip(places, rows.iterrows(), colours(len(rows)), strict=True):
            values = folds.loc[folds["experiment"] == row["experiment"], "auc"]
            left.hlines(place, row["auc_low"], row["auc_high"], color=colour, lw=5, alpha=0.25)
            left.plot(values, np.full(len(values), place), "o", color=colour, ms=4, alpha=0.6)
            left.plot(row["auc"], place, "D", color=colour, ms=7, mec="white")
        left.set_yticks(places, [titles[name] for name in rows["experiment"]])
        left.set_title("held-out AUC: mean (diamond) with interval\nover groups (band), and folds (dots)")
        sources = [column.removeprefix("auc_") for column in source_columns(rows)]
        for source, marker in zip(sources, "osv^P*", strict=False):
            right.plot(rows[f"auc_{source}"], places, marker, color="0.25", ms=6, label=source, alpha=0.8)
        right.set_title("AUC by source of the fakes,\nagainst all reals")
        right.legend(loc="upper center", bbox_to_anchor=(0.5, -0.25), ncols=3)
        for axes in (left, right):
            _chance(axes)
            axes.set_ylim(-0.6, len(rows) - 0.4)
        save(figure, path)


def curves(history: dict[str, pd.DataFrame], path: Path) -> None:
    """Draw each experiment's AUC over epochs, a thin line a fold: training and inner validation."""
    with plt.rc_context(STYLE):
        across = min(len(history), 4)
        down = -(-len(history) // across)
        size = (4.2 * across, 3) if down == 1 else (3 * across, 2.4 * down)
        figure, panels = plt.subplots(down, across, figsize=size, sharex=True, sharey=True, squeeze=False)
        figure.subplots_adjust(hspace=0.4)
        for axes in panels.flat[len(history) :]:
            axes.set_visible(False)
        for axes, (name, rows) in zip(panels.flat[: len(history)], history.items(), strict=True):
            for label, column, colour in (
                ("train (while training)", "train_auc", COLOURS[0]),
                ("inner validation", "validation_auc", COLOURS[1]),
            ):
                for _, fold in rows.groupby("fold"):
                    axes.plot(fold["epoch"], fold[column], color=colour, lw=0.8, alpha=0.45)
                mean = rows.groupby("epoch")[column].mean()
                axes.plot(mean.index, mean, color=colour, lw=2, label=f"{label}, mean of running folds")
            axes.axhline(0.5, color="0.6", lw=0.8, ls="--")
            axes.set_title(name.replace(" (", "\n("))
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        for axes in panels[-1]:
            axes.set_xlabel("epoch")
        for axes in panels[:, 0]:
            axes.set_ylabel("AUC")
        panels[0, 0].legend(loc="lower center", bbox_to_anchor=(0.5, 1.12), fontsize=8)
        save(figure, path)


def roc(curves: dict[str, pd.DataFrame], confusion: dict[str, pd.DataFrame], path: Path) -> None:
    """Draw each experiment's ROC curves, a line a fold, and below it its confusion matrix."""
    with plt.rc_context(STYLE):
        figure, panels = plt.subplots(
            2, len(curves), figsize=(3.4 * len(curves), 6.2), squeeze=False, height_ratios=(1.2, 1)
        )
        for column, (name, colour) in enumerate(zip(curves, colours(len(curves)), strict=True)):
            axes = panels[0, column]
            for _, fold in curves[name].groupby("fold"):
                axes.plot(fold["fpr"], fold["tpr"], color=colour, lw=1.2, alpha=0.7)
            axes.plot([0, 1], [0, 1], color="0.6", lw=0.8, ls="--")
            axes.set(title=name, xlabel="false positive rate", ylabel="true positive rate", aspect="equal")
            _matrix(panels[1, column], confusion[name])
        figure.tight_layout()
        save(figure, path)


def _matrix(axes: Axes, counts: pd.DataFrame) -> None:
    """Draw a confusion matrix: counts, and each row's shares as shades."""
    names = ["real", "fake"]
    cells = counts.pivot(index="actual", columns="predicted", values="count").loc[names, names].to_numpy()
    shares = cells / cells.sum(axis=1, keepdims=True)
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for (row, column), count in np.ndenumerate(cells):
        dark = shares[row, column] > 0.6
        text = f"{count}\n{shares[row, column]:.0%}"
        axes.text(column, row, text, ha="center", va="center", color="white" if dark else "black")
    axes.set_xticks([0, 1], names)
    axes.set_yticks([0, 1], names)
    axes.set(xlabel="predicted", ylabel="actual")
    axes.spines[:].set_visible(False)


def _chance(axes: Axes) -> None:
    """Mark the AUC of guessing and leave room around it."""
    axes.axvline(0.5, color="0.6", lw=0.8, ls="--")
    low, high = axes.get_xlim()
    axes.set_xlim(min(low, 0.45), min(max(high, 0.75), 1.02))
    axes.set_xlabel("AUC (dashed: chance)")


def colours(count: int) -> list[str]:
    """Return that many colours, repeating when they run out."""
    return [COLOURS[number % len(COLOURS)] for number in range(count)]


def save(figure: Figure, path: Path) -> None:
    """Write a figure as PNG and, beside it, as SVG; neither has dates: the same numbers give the same bytes."""
    with atomic(path) as temporary:
        figure.savefig(temporary, format="png")
    write_text(svg.drawn(figure), path.with_suffix(".svg"))
    plt.close(figure)
