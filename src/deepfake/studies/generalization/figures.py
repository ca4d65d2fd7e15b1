"""The figures of the comparison across data sets."""

from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle

from deepfake.reports.figures import STYLE, colours, save
from deepfake.studies.generalization.analysis import Found
from deepfake.studies.results import title

_GOOD, _FAIR = 0.7, 0.5
"""Accuracies above which the design's bars are green, and orange; below they are red."""


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
        figure, (left, right) = plt.subplots(1, 2, figsize=(11, 1.5 + 0.45 * len(rows)), layout="constrained")
        known = rows[rows["accuracy"].notna()]
        shades = ["green" if value > _GOOD else "orange" if value > _FAIR else "red" for value in known["accuracy"]]
        shares = known["reals"].astype(float) / known["samples"].astype(float)
        blind = 100 * np.asarray(np.maximum(shares, 1 - shares))
        _bars(left, known, "accuracy", shades, blind)
        left.axvline(50, color="gray", ls="--", alpha=0.7)
        left.plot(blind, np.arange(len(known))[::-1], "D", color="white", mec="black", ms=5)
        handles = [
            Line2D([], [], color="gray", ls="--", label="50%: chance, where classes are equal"),
            Line2D([], [], ls="", marker="D", mfc="white", mec="black", label="always the majority class"),
        ]
        figure.legend(handles=handles, loc="outside lower center", ncols=2)
        left.set(title="accuracy", xlabel="accuracy (%)")
        scored = rows[rows["f1"].notna() & (rows["kind"] != "reported")]
        _bars(right, scored, "f1", ["steelblue"] * len(scored), np.full(len(scored), np.nan))
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
    axes.set_yticks(places, [label(row) for _, row in rows.iterrows()])
    axes.set(xlim=(0, 112), ylim=(-0.6, len(rows) - 0.4))
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
            figsize=(2.6 + 1.75 * len(found.datasets), 0.9 + 0.75 * sum(sizes) + 0.5 * len(sizes)),
            squeeze=False,
            height_ratios=sizes,
            layout="constrained",
        )
        shown = None
        for panel, part in zip(axes.flat, panels, strict=True):
            shown = _heatmap(panel, part.drop_duplicates(["trained_on", "dataset"]), found.datasets)
        axes[-1, 0].set_xlabel("tested on (framed: in-domain)")
        if shown is not None:
            figure.colorbar(shown, ax=axes, label="AUC", shrink=0.8)
        save(figure, path)


def _heatmap(axes: Axes, rows: pd.DataFrame, datasets: list[str]) -> Any:
    """Draw the panel of one model."""
    order = rows["trained_on"].drop_duplicates().tolist()
    shown = axes.imshow(
        rows.pivot(index="trained_on", columns="dataset", values="auc").loc[order, datasets],
        cmap="RdYlGn",
        vmin=0.3,
        vmax=1,
        aspect="auto",
    )
    for row in rows.to_dict("records"):
        down, across = order.index(row["trained_on"]), datasets.index(row["dataset"])
        chance = "" if row["chance"] == "above_chance" else "\nnot above chance"
        ends = f"\n[{row['auc_low']:.3f}, {row['auc_high']:.3f}]" if row["auc_low"] == row["auc_low"] else ""
        axes.text(across, down, f"{row['auc']:.3f}{ends}{chance}", ha="center", va="center", fontsize=7.5)
        if row["in_domain"] == 1:
            axes.add_patch(Rectangle((across - 0.47, down - 0.45), 0.94, 0.9, fill=False, lw=1.8))
    axes.set_xticks(range(len(datasets)), datasets)
    axes.set_yticks(range(len(order)), [name.replace(" + ", "\n+ ") for name in order])
    axes.set(title=rows["title"].iloc[0], ylabel="trained on")
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
    return shown


def sources(found: Found, path: Path) -> None:
    """Draw the AUC of each source of fakes against all reals, a panel a data set, for the plain detectors."""
    rows = found.trained[found.trained["recipe"] == "plain"].drop_duplicates("experiment")
    names = {row["experiment"]: f"{title(row)}, trained on {row['trained_on']}" for row in rows.to_dict("records")}
    with plt.rc_context(STYLE):
        figure, panels = plt.subplots(
            len(found.datasets), 1, figsize=(8, 1.1 + 2 * len(found.datasets)), squeeze=False, layout="constrained"
        )
        for axes, dataset in zip(panels.flat, found.datasets, strict=True):
            known = found.sources[found.sources["dataset"] == dataset]
            kinds = known["source"].drop_duplicates().tolist()
            for number, (name, colour) in enumerate(zip(names, colours(len(names)), strict=True)):
                own = known[known["experiment"] == name].set_index("source").reindex(kinds)
                places = np.arange(len(kinds)) + (number - (len(names) - 1) / 2) * 0.6 / len(names)
                axes.vlines(places, own["auc_low"], own["auc_high"], color=colour, lw=1.5)
                axes.plot(places, own["auc"], "o", color=colour, ms=5, label=names[name])
            axes.axhline(0.5, color="0.6", lw=0.8, ls="--")
            axes.set_xticks(range(len(kinds)), kinds)
            axes.set(title=dataset, ylabel="AUC", ylim=(min(0.4, np.nanmin(known["auc_low"].fillna(0.4)) - 0.02), 1.02))
        figure.legend(*panels[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
        save(figure, path)
