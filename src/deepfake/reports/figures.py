"""The pictures of the report, drawn from its tables."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from textwrap import wrap
from typing import Any

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from matplotlib.transforms import Bbox

from deepfake.reports import svg
from deepfake.reports.columns import source_columns
from deepfake.tables import atomic, write_text

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000", "#999999")
"""Okabe and Ito's palette (gray for their yellow, which white swallows), told apart by colour-blind readers too."""
MARKERS = "osD^vPX*"
WIDTH = 6.0
"""Inches that all figures are wide, so that their text has one size on a page and can be read on a phone."""
STYLE: Any = {
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 9,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "legend.fontsize": 8,
    "legend.frameon": False,
    "figure.constrained_layout.use": True,
    "figure.dpi": 160,
    "path.simplify_threshold": 0.3,
    "text.parse_math": False,  # a $ in the name of a source is a $
}
_SOURCES = 6
"""So many sources have a marker each; of more the heatmap shows the AUC."""


def auc(rows: pd.DataFrame, folds: pd.DataFrame, titles: Mapping[str, str], path: Path) -> None:
    """Draw each experiment's AUC: mean, interval and folds on the left, sources on the right.

    Args:
        rows: a comparison table.
        folds: its metrics by fold.
        titles: what each experiment is called.
        path: the PNG to write.
    """
    sources = [column.removeprefix("auc_") for column in source_columns(rows)]
    count = 2 if len(sources) <= _SOURCES else 1
    with plt.rc_context(STYLE):
        figure, panels = plt.subplots(
            1, count, figsize=(WIDTH, 1.3 + 0.45 * len(rows)), sharey=True, sharex=True, squeeze=False
        )
        left = panels[0, 0]
        places = np.arange(len(rows))[::-1]
        for place, (_, row), colour in zip(places, rows.iterrows(), colours(len(rows)), strict=True):
            values = folds.loc[folds["experiment"] == row["experiment"], "auc"]
            left.hlines(place, row["auc_low"], row["auc_high"], color=colour, lw=2)
            left.plot(row["auc"], place, "D", color=colour, ms=7, mec="white")
            # below the interval, which they would hide
            left.plot(values, np.full(len(values), place - 0.24), "|", color=colour, ms=6, alpha=0.8)
        left.set_yticks(places, [wrapped(titles[name], 26) for name in rows["experiment"]])
        left.set_title("held-out AUC with the interval\nof its test; ticks: folds, all pairs")
        if count > 1:
            for source, marker in zip(sources, MARKERS, strict=False):
                panels[0, 1].plot(rows[f"auc_{source}"], places, marker, color="0.3", ms=6, label=source, alpha=0.8)
            panels[0, 1].set_title("AUC of each source of fakes,\nall pairs with reals")
            figure.legend(loc="outside lower right", ncols=3)
        for axes in panels.flat:
            _chance(axes)
            axes.set_ylim(-0.6, len(rows) - 0.4)
        save(figure, path)


def panels_of(count: int, height: float, across: int = 2, **shared: Any) -> tuple[Figure, list[Axes]]:
    """Return a figure of small multiples, at most so many side by side, or three where three are all.

    Args:
        count: how many there are.
        height: of each, inches.
        across: how many stand side by side.
        **shared: what `plt.subplots` shares between them.
    """
    across = min(count, max(across, 3 if count == 3 else 0))
    down = -(-count // across)
    figure, panels = plt.subplots(down, across, figsize=(WIDTH, 0.5 + height * down), squeeze=False, **shared)
    for axes in panels.flat[count:]:
        axes.set_visible(False)
    return figure, list(panels.flat[:count])


def heading(name: str, count: int) -> str:
    """Return what stands above one of so many panels, on as many lines as it needs."""
    return wrapped(name, 26 if count == 3 else 38)


def square(count: int) -> float:
    """Return how high so many square panels are, inches."""
    return 2.2 if count == 3 else 3.0


def label_outer(panels: Sequence[Axes]) -> None:
    """Leave labels left of the first column and below the last panel of each column, where all share their axes."""
    for axes in panels:
        place = axes.get_subplotspec()
        assert place is not None
        across = place.get_gridspec().ncols
        if place.num1 % across:
            axes.set_ylabel("")
        lowest = place.num1 + across >= len(panels)
        axes.tick_params(labelbottom=lowest)
        if not lowest:
            axes.set_xlabel("")
        if across > 2:
            axes.locator_params(axis="x", nbins=4)


def curves(history: Mapping[str, pd.DataFrame], path: Path) -> None:
    """Draw each experiment's AUC over epochs, a thin line a fold: training and inner validation."""
    with plt.rc_context(STYLE):
        figure, panels = panels_of(len(history), 2.3, sharex=True, sharey=True)
        for axes, (name, rows) in zip(panels, history.items(), strict=True):
            for label, column, colour in (
                ("train (while training)", "train_auc", COLOURS[0]),
                ("inner validation", "validation_auc", COLOURS[1]),
            ):
                for _, fold in rows.groupby("fold"):
                    axes.plot(fold["epoch"], fold[column], color=colour, lw=0.7, alpha=0.35)
                mean = rows.groupby("epoch")[column].mean()
                axes.plot(mean.index, mean, color=colour, lw=2.2, label=label)
            axes.axhline(0.5, color="0.6", lw=0.8, ls="--")
            axes.set(title=heading(name, len(panels)), xlabel="epoch", ylabel="AUC")
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        label_outer(panels)
        handles, labels = panels[0].get_legend_handles_labels()
        figure.legend(handles, [f"{label}, mean of running folds" for label in labels], loc="outside upper center")
        save(figure, path)


def confusion(counts: Mapping[str, pd.DataFrame], path: Path) -> None:
    """Draw each experiment's confusion matrix: counts, and each row's shares as shades."""
    with plt.rc_context(STYLE):
        figure, panels = panels_of(len(counts), 1.9, across=3)
        for axes, (name, one) in zip(panels, counts.items(), strict=True):
            matrix(axes, one.pivot(index="actual", columns="predicted", values="count").loc[CLASSES, CLASSES])
            axes.set(title=wrapped(name), xlabel="predicted", ylabel="actual")
        save(figure, path)


CLASSES = ["real", "fake"]


def matrix(axes: Axes, counts: pd.DataFrame) -> None:
    """Draw counts of real and fake, actual by predicted, and each row's shares as shades."""
    cells = counts.to_numpy(np.float64)
    shares = cells / cells.sum(axis=1, keepdims=True)
    axes.pcolormesh(shares, cmap="Blues", vmin=0, vmax=1, edgecolors="white", lw=1)
    for (row, column), count in np.ndenumerate(cells):
        ink = svg.ON_DARK if shares[row, column] > 0.6 else svg.ON_LIGHT
        text = f"{count:,.0f}\n{shares[row, column]:.0%}"
        axes.text(column + 0.5, row + 0.5, text, ha="center", va="center", color=ink, fontsize=8)
    axes.invert_yaxis()
    axes.set_aspect("equal")
    axes.set_xticks([0.5, 1.5], CLASSES)
    axes.set_yticks([0.5, 1.5], CLASSES)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)


def _chance(axes: Axes) -> None:
    """Mark the AUC of guessing and leave room around it."""
    axes.axvline(0.5, color="0.6", lw=0.8, ls="--")
    low, high = axes.get_xlim()
    axes.set_xlim(min(low, 0.45), min(max(high, 0.75), 1.02))
    axes.set_xlabel("AUC (dashed: chance)")
    axes.locator_params(axis="x", nbins=5)


def wrapped(name: str, width: int = 20) -> str:
    """Return a name with its long lines broken, at an underscore where there is one."""
    spaced = [wrap(line.replace("_", "_ "), width, break_on_hyphens=False) for line in name.split("\n")]
    return "\n".join(part.replace("_ ", "_") for parts in spaced for part in parts)


def colours(count: int) -> list[str]:
    """Return that many colours, repeating when they run out."""
    return [COLOURS[number % len(COLOURS)] for number in range(count)]


def save(figure: Figure, path: Path) -> None:
    """Write a figure as PNG and, beside it, as SVG; neither has dates: the same numbers give the same bytes.

    It is cut to what is drawn from above and below, but never narrower than it was made.
    """
    figure.draw_without_rendering()  # which lays it out
    drawn, margin = figure.get_tightbbox(), 0.06
    sides = min(0.0, drawn.x0 - margin), max(float(figure.get_figwidth()), drawn.x1 + margin)
    cut = Bbox.from_extents(sides[0], drawn.y0 - margin, sides[1], drawn.y1 + margin)
    with atomic(path) as temporary:
        figure.savefig(temporary, format="png", bbox_inches=cut)
    write_text(svg.drawn(figure, cut), path.with_suffix(".svg"))
    plt.close(figure)
