"""Heatmaps of the AUC, white where it is that of chance."""

from collections.abc import Sequence
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from deepfake.reports import svg
from deepfake.reports.figures import STYLE, WIDTH, save, wrapped

MOST = 25
"""So many sources are drawn, the hardest; all are in the table."""
_DARK = 0.33
"""So far from chance a cell is dark."""


def sources(rows: pd.DataFrame, path: Path) -> None:
    """Draw the AUC of each run by source of the fakes; few sources side by side, many one below the other.

    Args:
        rows: one row a run, its name the index, a column a source.
        path: the PNG to write.
    """
    kinds = len(rows.columns)
    shown = rows[rows.mean().sort_values(kind="stable").index[:MOST]] if kinds > MOST else rows
    upright = len(shown.columns) > 7
    values = shown.T if upright else shown
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(figsize=(WIDTH, 0.9 + 0.33 * len(values) + (0.5 if upright else 0)))
        cells(axes, values, [[f"{value:.3f}" for value in row] for row in values.to_numpy()])
        if upright:
            axes.tick_params(axis="x", rotation=30 if len(values.columns) > 4 else 0)
        axes.set_title("AUC, white: chance" + (f"; the {MOST} hardest of {kinds} sources" if kinds > MOST else ""))
        save(figure, path)


def cells(axes: Axes, values: pd.DataFrame, texts: Sequence[Sequence[str]]) -> None:
    """Draw AUCs with what stands in each cell; one that is missing is empty."""
    numbers = values.to_numpy(np.float64)
    axes.pcolormesh(np.ma.masked_invalid(numbers), cmap="PuOr", vmin=0, vmax=1, edgecolors="white", lw=1)
    for (row, column), value in np.ndenumerate(numbers):
        if value == value:
            ink = svg.ON_DARK if abs(value - 0.5) > _DARK else svg.ON_LIGHT
            axes.text(column + 0.5, row + 0.5, str(texts[row][column]), ha="center", va="center", color=ink, fontsize=8)
    axes.invert_yaxis()
    axes.set_xticks(np.arange(len(values.columns)) + 0.5, [wrapped(str(name), 18) for name in values.columns])
    axes.set_yticks(np.arange(len(values)) + 0.5, [wrapped(str(name), 30) for name in values.index])
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
