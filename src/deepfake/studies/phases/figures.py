"""The pictures that compare: differences between conditions, sizes of models, amounts of data."""

from collections.abc import Mapping
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter

from deepfake.reports.figures import MARKERS, STYLE, WIDTH, colours, save
from deepfake.reports.forest import point


def shortcuts(changes: pd.DataFrame, headings: Mapping[str, str], path: Path) -> None:
    """Draw what augmentation changes: AUCs and gap above, source variance below; a column a table.

    Args:
        changes: `design_tables.shortcut_removal`.
        headings: of the tables, in their order.
        path: the PNG to write.
    """
    models = changes["model"].unique().tolist()
    small = changes["metric"] == "AUC Variance"
    rows = [changes[~small], changes[small]]
    heights = [part["metric"].nunique() + 0.6 for part in rows]
    with plt.rc_context(STYLE):
        figure, panels = plt.subplots(
            2,
            len(headings),
            figsize=(WIDTH, 1.1 + 0.36 * sum(heights)),
            sharex="row",
            sharey="row",
            height_ratios=heights,
            squeeze=False,
        )
        for (table, heading), column in zip(headings.items(), panels.T, strict=True):
            for axes, part in zip(column, rows, strict=True):
                _changes(axes, part[part["table"] == table], models)
            column[0].set_title(heading)
            column[1].set_xlabel("with minus without augmentation")
            for axes in column:
                axes.locator_params(axis="x", nbins=4)  # small numbers, long to write
        handles = [
            Line2D([], [], color=colour, marker=marker, mfc="white", mew=1.5, lw=1.8, label=model)
            for model, colour, marker in zip(models, colours(len(models)), MARKERS, strict=False)
        ]
        figure.legend(handles=handles, loc="outside lower center", ncols=min(len(models), 3))
        save(figure, path)


def _changes(axes: Axes, changes: pd.DataFrame, models: list[str]) -> None:
    """Draw the change of each metric, the models side by side; a full marker has an interval that excludes 0."""
    metrics = changes["metric"].unique().tolist()
    for number, (model, colour) in enumerate(zip(models, colours(len(models)), strict=True)):
        shift = 0.3 * ((len(models) - 1) / 2 - number)
        for _, row in changes[changes["model"] == model].iterrows():
            place = len(metrics) - 1 - metrics.index(row["metric"]) + shift
            full = not row["low"] <= 0 <= row["high"]
            point(axes, row["change"], place, (row["low"], row["high"]), colour, full=full, marker=MARKERS[number % 8])
    axes.axvline(0, color="0.6", lw=0.8, ls="--")
    axes.set_yticks(range(len(metrics)), metrics[::-1])
    axes.set_ylim(-0.6, len(metrics) - 0.4)


def size(rows: pd.DataFrame, titles: Mapping[str, str], path: Path) -> None:
    """Draw AUC against the number of parameters."""
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(figsize=(WIDTH, 3.4))
        ordered = rows.sort_values("parameters")
        for number, ((_, row), colour) in enumerate(zip(ordered.iterrows(), colours(len(rows)), strict=True)):
            error = [[max(0.0, row["auc"] - row["auc_low"])], [max(0.0, row["auc_high"] - row["auc"])]]
            axes.errorbar(
                row["parameters"],
                row["auc"],
                yerr=error,
                fmt=MARKERS[number % len(MARKERS)],
                color=colour,
                mfc=colour,
                mew=1.5,
                ms=7,
                capsize=3,
                label=titles[row["experiment"]],
            )
        axes.axhline(0.5, color="0.6", lw=0.8, ls="--")
        axes.text(0.01, 0.5, "chance", transform=axes.get_yaxis_transform(), ha="left", va="bottom", color="0.4")
        axes.set_xscale("log")
        axes.set(xlabel="parameters (millions, log scale)", ylabel="held-out AUC with the interval of its test")
        axes.xaxis.set_major_formatter(FuncFormatter(_millions))
        axes.xaxis.set_minor_formatter(FuncFormatter(_millions))
        axes.set_ylim(bottom=min(0.45, axes.get_ylim()[0]))
        figure.legend(loc="outside lower center", ncols=2)
        save(figure, path)


def _millions(value: float, _: int) -> str:
    """Return parameters in millions at 1, 2 and 5 of each power of ten, where labels do not collide."""
    return f"{value / 1e6:g}" if f"{value:e}"[0] in "125" and f"{value:.0e}"[0] == f"{value:e}"[0] else ""


def scaling(numbers: pd.DataFrame, rows: pd.DataFrame, fractions: list[str], path: Path) -> None:
    """Draw AUC against the share of the data, a line a model.

    Args:
        numbers: pairs of experiments by model: columns `title` and, for each of `fractions`, its experiment.
        rows: a comparison table.
        fractions: the columns of `numbers` that name experiments, from small to all.
        path: the PNG to write.
    """
    points = [rows.set_index("experiment").loc[list(model[fractions])] for _, model in numbers.iterrows()]
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(figsize=(WIDTH, 3.4))
        shares = points[0]["fraction"].to_numpy(np.float64) * 100
        step = 0.012 * max(float(np.ptp(shares)), 1)
        each = zip(numbers["title"], points, colours(len(numbers)), strict=True)
        for number, (title, model, colour) in enumerate(each):
            shifted = shares + step * (number - (len(numbers) - 1) / 2)
            axes.vlines(shifted, model["auc_low"], model["auc_high"], color=colour, lw=4, alpha=0.25)
            marker = MARKERS[number % len(MARKERS)]
            axes.plot(shifted, model["auc"], f"{marker}-", color=colour, ms=6, lw=1.6, label=title)
        axes.set_xticks(shares, [f"{share:.0f}%" for share in shares])
        axes.set(
            xlabel="share of the training groups",
            ylabel="AUC on the same held-out samples\n(bands: intervals of their tests)",
        )
        figure.legend(loc="outside lower center", ncols=2)
        save(figure, path)
