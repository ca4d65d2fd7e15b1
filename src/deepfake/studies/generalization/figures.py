"""The pictures of the comparison across data sets."""

from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle

from deepfake.reports.figures import STYLE, colours, save
from deepfake.studies.generalization.results import Found
from deepfake.studies.results import TITLES

_GOOD, _FAIR = 0.7, 0.5
"""Accuracies above which the plan's bars are green, and orange; below they are red."""


def label(row: Any) -> str:
    """Return what a row is called: other people's have names of their own."""
    return f"{row['dataset']}{' (home)' if row['home'] == 1 else ''}" if row["kind"] == "trained" else row["model"]


def accuracy(rows: pd.DataFrame, path: Path) -> None:
    """Draw the plan's bars: accuracy, green above 70%, orange above 50%, else red; F1 beside it, where it is known.

    Error bars are the intervals over groups. Diamonds mark what calling everything the commoner class would give.

    Args:
        rows: of the comparison's table, one a bar.
        path: the PNG to write.
    """
    with plt.rc_context(STYLE):
        figure, (left, right) = plt.subplots(1, 2, figsize=(11, 1.5 + 0.45 * len(rows)), layout="constrained")
        known = rows[rows["accuracy"].notna()]
        shades = ["green" if value > _GOOD else "orange" if value > _FAIR else "red" for value in known["accuracy"]]
        shares = known["reals"].astype(float) / known["files"].astype(float)
        blind = 100 * np.asarray(np.maximum(shares, 1 - shares))
        _bars(left, known, "accuracy", shades, blind)
        left.axvline(50, color="gray", ls="--", alpha=0.7)
        left.plot(blind, np.arange(len(known))[::-1], "D", color="white", mec="black", ms=5)
        handles = [
            Line2D([], [], color="gray", ls="--", label="50%: guessing, where classes are equal"),
            Line2D([], [], ls="", marker="D", mfc="white", mec="black", label="always the commoner class"),
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
    ends = np.fmax(np.fmax(values, high), marks + 1)
    for place, value, end in zip(places.tolist(), values.tolist(), ends.tolist(), strict=True):
        axes.text(end + 2, place, f"{value:.1f}", va="center", fontsize=8)
    axes.set_yticks(places, [label(row) for _, row in rows.iterrows()])
    axes.set(xlim=(0, 112), ylim=(-0.6, len(rows) - 0.4))
    axes.set_xticks(range(0, 101, 20))


def matrix(found: Found, path: Path) -> None:
    """Draw the AUC by what a detector was trained on and tested on, a panel an architecture, with intervals."""
    architectures = found.matrix["architecture"].unique()
    sizes = [len(_of(found, name)) for name in architectures]
    with plt.rc_context(STYLE):
        figure, panels = plt.subplots(
            len(architectures),
            1,
            figsize=(2.6 + 1.75 * len(found.datasets), 0.9 + 0.75 * sum(sizes) + 0.5 * len(sizes)),
            squeeze=False,
            height_ratios=sizes,
            layout="constrained",
        )
        shown = None
        for axes, name in zip(panels.flat, architectures, strict=True):
            shown = _heatmap(axes, found, name)
        panels[-1, 0].set_xlabel("tested on (framed: seen in training, other people)")
        if shown is not None:
            figure.colorbar(shown, ax=panels, label="AUC", shrink=0.8)
        save(figure, path)


def _of(found: Found, architecture: str) -> pd.DataFrame:
    """Return the AUC of an architecture, trained on by tested on."""
    rows = found.matrix[found.matrix["architecture"] == architecture]
    order = rows["trained_on"].drop_duplicates()
    return rows.pivot(index="trained_on", columns="tested_on", values="auc").loc[order, found.datasets]


def _heatmap(axes: Axes, found: Found, architecture: str) -> Any:
    """Draw the panel of one architecture."""
    cells = _of(found, architecture)
    rows = found.matrix[found.matrix["architecture"] == architecture].set_index(["trained_on", "tested_on"])
    shown = axes.imshow(cells, cmap="RdYlGn", vmin=0.3, vmax=1, aspect="auto")
    for (down, across), value in np.ndenumerate(cells.to_numpy()):
        row = rows.loc[(cells.index[down], cells.columns[across])]
        guess = "" if row["learned"] else "\nnot told from guessing"
        text = f"{value:.3f}\n[{row['auc_low']:.3f}, {row['auc_high']:.3f}]{guess}"
        axes.text(across, down, text, ha="center", va="center", fontsize=7.5)
        if row["home"] == 1:
            axes.add_patch(Rectangle((across - 0.47, down - 0.45), 0.94, 0.9, fill=False, lw=1.8))
    axes.set_xticks(range(len(cells.columns)), cells.columns)
    axes.set_yticks(range(len(cells)), [name.replace(" + ", "\n+ ") for name in cells.index])
    axes.set(title=TITLES.get(architecture, architecture), ylabel="trained on")
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
    return shown


def sources(found: Found, path: Path) -> None:
    """Draw the AUC of each source's fakes and the share of each source that is called fake, a row a data set.

    Of the detectors of the matrix: the first of each architecture and training data that is not fine-tuned, joined or
    blinded.
    """
    names = found.matrix["model"].drop_duplicates().tolist()
    with plt.rc_context(STYLE):
        figure, panels = plt.subplots(
            len(found.datasets), 2, figsize=(10.5, 0.9 + 2 * len(found.datasets)), squeeze=False, layout="constrained"
        )
        for row, dataset in zip(panels, found.datasets, strict=True):
            rows = found.sources[(found.sources["dataset"] == dataset) & found.sources["model"].isin(names)]
            _points(row[0], rows[rows["label"] == "fake"], "auc", names)
            _points(row[1], rows, "called", names)
            row[0].axhline(0.5, color="0.6", lw=0.8, ls="--")
            row[0].set(ylabel=dataset, ylim=(min(0.4, rows["auc_low"].min() - 0.02), 1.02))
            row[1].set(ylim=(-0.03, 1.03))
        panels[0, 0].set_title("AUC of each kind of fakes against all reals (dashed: chance)")
        panels[0, 1].set_title("share called fake at the detector's own threshold")
        figure.legend(*panels[0, 1].get_legend_handles_labels(), loc="outside lower center", ncols=3)
        save(figure, path)


def _points(axes: Axes, rows: pd.DataFrame, key: str, names: list[str]) -> None:
    """Draw a value with its interval for each source, the detectors side by side."""
    kinds = rows.drop_duplicates("source")[["source", "label"]]
    for number, (name, colour) in enumerate(zip(names, colours(len(names)), strict=True)):
        own = rows[rows["model"] == name].set_index("source").loc[kinds["source"]]
        places = np.arange(len(own)) + (number - (len(names) - 1) / 2) * 0.6 / len(names)
        axes.vlines(places, own[f"{key}_low"], own[f"{key}_high"], color=colour, lw=1.5)
        axes.plot(places, own[key], "o", color=colour, ms=5, label=name)
    axes.set_xticks(range(len(kinds)), [f"{row['source']}\n({row['label']})" for _, row in kinds.iterrows()])


_CUTS = {"balanced_accuracy": "own threshold", "retuned_balanced_accuracy": "re-tuned on that data set"}


def thresholds(found: Found, path: Path) -> None:
    """Draw balanced accuracy at the detector's own threshold and at a re-tuned one, a panel a data set."""
    with plt.rc_context(STYLE):
        figure, panels = plt.subplots(
            1,
            len(found.datasets),
            figsize=(11, 1.5 + 0.34 * len(found.models)),
            sharey=True,
            sharex=True,
            squeeze=False,
            layout="constrained",
        )
        for axes, dataset in zip(panels.flat, found.datasets, strict=True):
            rows = found.trained[found.trained["dataset"] == dataset].set_index("model").loc[found.models]
            for (key, words), colour, shift in zip(_CUTS.items(), colours(2), (0.13, -0.13), strict=True):
                places = np.arange(len(rows))[::-1] + shift
                axes.hlines(places, 100 * rows[f"{key}_low"], 100 * rows[f"{key}_high"], color=colour, lw=2)
                axes.plot(100 * rows[key], places, "o", color=colour, ms=5, label=words)
            for place, seen in zip(np.arange(len(rows))[::-1].tolist(), rows["home"], strict=True):
                if seen == 1:
                    axes.axhspan(place - 0.4, place + 0.4, color="0.93", lw=0, zorder=0)
            axes.axvline(50, color="0.6", lw=0.8, ls="--")
            axes.set(title=dataset, xlabel="balanced accuracy (%)")
        panels[0, 0].set_yticks(np.arange(len(found.models))[::-1], found.models)
        figure.legend(*panels[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
        save(figure, path)
