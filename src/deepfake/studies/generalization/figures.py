"""The figures of the comparison across data sets."""

from itertools import cycle
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, Rectangle

from deepfake.reports import heatmap
from deepfake.reports.figures import COLOURS, MARKERS, STYLE, WIDTH, colours, save, wrapped
from deepfake.studies.generalization.analysis import Found
from deepfake.studies.results import title

_GOOD, _FAIR = 0.7, 0.5
"""Accuracies above which the design's bars are green, and orange; below they are red."""
_GREEN, _ORANGE, _RED = COLOURS[2], COLOURS[4], COLOURS[1]
"""The design's colours as colour-blind readers can tell them apart."""


def label(row: Any) -> str:
    """Return what a row is called: external detectors have names of their own."""
    if row["kind"] == "trained":
        return f"{row['dataset']}{' (in-domain)' if row['in_domain'] == 1 else ''}"
    return str(row["experiment"])


def accuracy(rows: pd.DataFrame, path: Path) -> None:
    """Draw the design's bars: accuracy, green above 70%, orange above 50%, else red; F1 beside it, where it is known.

    Lines are 95% CIs. Diamonds mark what predicting the majority class would give.

    Args:
        rows: of the comparison's table, one a bar.
        path: the PNG to write.
    """
    with plt.rc_context(STYLE):
        figure, (left, right) = plt.subplots(1, 2, figsize=(WIDTH, 1.5 + 0.36 * len(rows)))
        known = rows[rows["accuracy"].notna()]
        shades = [_GREEN if value > _GOOD else _ORANGE if value > _FAIR else _RED for value in known["accuracy"]]
        shares = known["reals"].astype(float) / known["samples"].astype(float)
        blind = 100 * np.asarray(np.maximum(shares, 1 - shares))
        _bars(left, known, "accuracy", shades, blind)
        left.axvline(50, color="0.6", ls="--", lw=0.8)
        left.plot(blind, np.arange(len(known))[::-1], "D", color="white", mec="black", ms=5, zorder=3)
        handles: list[Line2D | Patch] = [
            Patch(color=colour, alpha=0.75, label=label)
            for colour, label in ((_GREEN, "over 70%"), (_ORANGE, "over 50%"), (_RED, "50% or less"))
        ]
        handles += [
            Line2D([], [], color="0.6", ls="--", label="chance, where classes are equal"),
            Line2D([], [], ls="", marker="D", mfc="white", mec="black", label="always the majority class"),
        ]
        figure.legend(handles=handles, loc="outside lower center", ncols=2)
        left.set(title="accuracy", xlabel="accuracy (%)")
        scored = rows[rows["f1"].notna() & (rows["kind"] != "reported")]
        _bars(right, scored, "f1", [COLOURS[0]] * len(scored), np.full(len(scored), np.nan))
        right.set(title="F1 (fake)", xlabel="F1 (%)")
        save(figure, path)


def _bars(axes: Axes, rows: pd.DataFrame, key: str, shades: list[str], marks: np.ndarray) -> None:
    """Draw one bar a row, with its interval, and its number beyond all that is drawn, marks included."""
    places = np.arange(len(rows))[::-1]
    values = 100 * rows[key].astype(float).to_numpy()
    axes.barh(places, values, color=shades, alpha=0.75, height=0.65)
    low, high = (100 * rows[f"{key}_{end}"].astype(float).to_numpy() for end in ("low", "high"))
    axes.hlines(places, low, high, color="black", lw=1.5)
    ends = np.fmax(np.fmax(values, high), marks + 2)
    for place, value, end in zip(places.tolist(), values.tolist(), ends.tolist(), strict=True):
        axes.text(end + 2, place, f"{value:.1f}", va="center", fontsize=8)
    axes.set_yticks(places, [wrapped(label(row), 16) for _, row in rows.iterrows()])
    axes.set(xlim=(0, 118), ylim=(-0.6, len(rows) - 0.4))
    axes.set_xticks(range(0, 101, 20))


def matrix(found: Found, path: Path) -> None:
    """Draw the AUC of plain detectors by train set and test set, a panel a model; framed: in-domain."""
    rows = found.trained[found.trained["recipe"] == "plain"]
    rows = rows.assign(title=[title(row) for row in rows.to_dict("records")])
    panels = [part for _, part in rows.groupby("title", sort=False)]
    sizes = [part["trained_on"].nunique() for part in panels]
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(
            len(panels),
            1,
            figsize=(WIDTH, 0.9 + 0.62 * sum(sizes) + 0.4 * len(sizes)),
            squeeze=False,
            height_ratios=sizes,
        )
        for panel, part in zip(axes.flat, panels, strict=True):
            _heatmap(panel, part.drop_duplicates(["trained_on", "dataset"]), found.datasets)
        axes[-1, 0].set_xlabel("tested on (framed: in-domain; white: AUC of chance)")
        save(figure, path)


def _heatmap(axes: Axes, rows: pd.DataFrame, datasets: list[str]) -> None:
    """Draw the panel of one model."""
    order = rows["trained_on"].drop_duplicates().tolist()
    texts = [["" for _ in datasets] for _ in order]
    for row in rows.to_dict("records"):
        down, across = order.index(row["trained_on"]), datasets.index(row["dataset"])
        chance = "" if row["chance"] == "above_chance" else "\nnot above chance"
        ends = f"\n[{row['auc_low']:.3f}, {row['auc_high']:.3f}]" if row["auc_low"] == row["auc_low"] else ""
        texts[down][across] = f"{row['auc']:.3f}{ends}{chance}"
        if row["in_domain"] == 1:
            # around the cell's own edge, which is drawn later
            axes.add_patch(Rectangle((across + 0.03, down + 0.05), 0.94, 0.9, fill=False, ec="0.1", lw=1.8, zorder=3))
    values = rows.pivot(index="trained_on", columns="dataset", values="auc").reindex(index=order, columns=datasets)
    heatmap.cells(axes, values, texts)
    axes.set(title=rows["title"].iloc[0], ylabel="trained on")


def many(sources: pd.Series) -> bool:
    """Tell whether there are more sources than a figure has room for."""
    return len(sources) > heatmap.MOST


def sources(found: Found, path: Path) -> None:
    """Draw the AUC of each source of fakes against all reals, a panel a data set, for the plain detectors."""
    rows = found.trained[found.trained["recipe"] == "plain"].drop_duplicates("experiment")
    names = {row["experiment"]: f"{title(row)}, trained on {row['trained_on']}" for row in rows.to_dict("records")}
    with plt.rc_context(STYLE):
        size = (WIDTH, 0.8 + 0.2 * len(names) + 1.7 * len(found.datasets))
        figure, panels = plt.subplots(len(found.datasets), 1, figsize=size, squeeze=False)
        for axes, dataset in zip(panels.flat, found.datasets, strict=True):
            known = found.sources[found.sources["dataset"] == dataset]
            every = known.groupby("source", sort=False)["auc"].mean()
            kinds = (
                every.sort_values(kind="stable").index[: heatmap.MOST].tolist() if many(every) else list(every.index)
            )
            for number, (name, colour, marker) in enumerate(zip(names, colours(len(names)), cycle(MARKERS))):
                own = known[known["experiment"] == name].set_index("source").reindex(kinds)
                places = np.arange(len(kinds)) + (number - (len(names) - 1) / 2) * 0.6 / len(names)
                axes.vlines(places, own["auc_low"], own["auc_high"], color=colour, lw=1.5)
                axes.plot(places, own["auc"], marker, color=colour, ms=5, label=names[name])
            axes.axhline(0.5, color="0.6", lw=0.8, ls="--")
            axes.set_xticks(range(len(kinds)), [wrapped(kind, 14) for kind in kinds])
            title_of = f"{dataset}: the {heatmap.MOST} hardest of {len(every)} sources" if many(every) else dataset
            axes.set(
                title=title_of, ylabel="AUC", ylim=(min(0.4, np.nanmin(known["auc_low"].fillna(0.4)) - 0.02), 1.02)
            )
            if len(kinds) > 6:
                axes.tick_params(axis="x", rotation=90, labelsize=7)
        figure.legend(*panels[0, 0].get_legend_handles_labels(), loc="outside lower center")
        save(figure, path)
