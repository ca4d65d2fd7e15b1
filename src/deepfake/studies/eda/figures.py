"""The pictures of the data, drawn from the study's tables."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from deepfake import tables
from deepfake.reports.figures import COLOURS, STYLE, save

SHOWN = 12
"""Sources in a figure, the largest; all are in the CSV."""
_OF_LABEL = {tables.REAL: COLOURS[0], tables.FAKE: COLOURS[1]}
_NAMES = {tables.REAL: "real", tables.FAKE: "fake"}
_MARKERS = {tables.REAL: "s", tables.FAKE: "o"}
_LONGEST = 28
"""Letters of a name on an axis."""
_WIDTH = 7.4


def largest(rows: pd.DataFrame) -> list[tuple[str, str]]:
    """Return the data sets and sources that a figure shows: the largest ones, in the order of the table.

    Args:
        rows: with `dataset`, `source` and `samples`.
    """
    sizes = rows.groupby(["dataset", "source"], sort=False)["samples"].sum()
    chosen = sizes.sort_values(ascending=False, kind="stable").index[:SHOWN]
    return [pair for pair in sizes.index if pair in chosen]


def distributions(
    rows: pd.DataFrame, measures: Mapping[str, str], shown: Sequence[tuple[str, str]], path: Path
) -> None:
    """Draw how measures are distributed in each source, a panel a measure.

    Args:
        rows: the table of distributions.
        measures: what each measure is called; those that the table lacks are left out.
        shown: the data sets and sources, from top to bottom.
        path: the PNG to write.
    """
    present = {measure: name for measure, name in measures.items() if measure in set(rows["measure"])}
    across = min(3, len(present))
    down = -(-len(present) // across)
    with plt.rc_context(STYLE | {"font.size": 8}):
        size = (_WIDTH, 0.7 + down * (0.6 + 0.17 * len(shown)))
        figure, panels = plt.subplots(down, across, figsize=size, sharey=True, squeeze=False)
        figure.set_layout_engine("constrained", h_pad=0.08)
        for axes in panels.flat[len(present) :]:
            axes.set_visible(False)
        for axes, (measure, name) in zip(panels.flat, present.items(), strict=False):
            found = rows[rows["measure"] == measure].set_index(["dataset", "source"])
            for place, pair in enumerate(shown):
                if pair in found.index:
                    _quantiles(axes, found.loc[[pair]].iloc[0], place)
            axes.set_title(name)
            axes.margins(x=0.08)
            values = found.loc[found.index.isin(shown), ["q05", "q95"]].to_numpy()
            if np.ptp(values) == 0:  # the same everywhere: a scale of thousandths would look like a difference
                axes.set_xlim(values.min() - 1, values.min() + 1)
        _rows(panels[:, 0], shown)
        _legend(figure, "median; thick: middle half; thin: 5% to 95%")
        save(figure, path)


def _quantiles(axes: Axes, row: pd.Series, place: float) -> None:
    """Draw a distribution from left to right."""
    colour = _OF_LABEL[row["label"]]
    axes.hlines(place, row["q05"], row["q95"], color=colour, lw=1)
    axes.hlines(place, row["q25"], row["q75"], color=colour, lw=4, alpha=0.5)
    axes.plot(row["median"], place, _MARKERS[row["label"]], color=colour, ms=4)


def counts(rows: pd.DataFrame, shown: Sequence[tuple[str, str]], path: Path) -> None:
    """Draw samples and groups of each source; what is in the test set is faint.

    Args:
        rows: the table `eda_sources`.
        shown: the data sets and sources, from top to bottom.
        path: the PNG to write.
    """
    with plt.rc_context(STYLE | {"font.size": 8}):
        size = (_WIDTH, 0.9 + 0.22 * len(shown))
        figure, panels = plt.subplots(1, 2, figsize=size, sharey=True, layout="constrained")
        for axes, what in zip(panels, ("samples", "groups"), strict=True):
            for place, (dataset, source) in enumerate(shown):
                start = 0
                mine = rows[(rows["dataset"] == dataset) & (rows["source"] == source)]
                for row in mine.sort_values("split").to_dict("records"):
                    alpha = 0.45 if row["split"] == "test" else 1
                    axes.barh(place, row[what], left=start, color=_OF_LABEL[row["label"]], alpha=alpha, height=0.7)
                    start += row[what]
            axes.set_title(what)
        _rows(panels[:1], shown)
        _legend(figure, "faint: test set")
        save(figure, path)


def shares(rows: pd.DataFrame, path: Path) -> None:
    """Draw the share of fakes of each fold's held-out samples and of the test set, a panel a data set.

    Args:
        rows: the table `eda_splits`.
        path: the PNG to write.
    """
    names = list(dict.fromkeys(rows["dataset"]))[:SHOWN]
    across = min(3, len(names))
    down = -(-len(names) // across)
    with plt.rc_context(STYLE | {"font.size": 8}):
        size = (_WIDTH, 0.6 + 2.0 * down)
        figure, panels = plt.subplots(down, across, figsize=size, sharey=True, squeeze=False, layout="constrained")
        for axes in panels.flat[len(names) :]:
            axes.set_visible(False)
        for axes, name in zip(panels.flat, names, strict=False):
            mine = rows[rows["dataset"] == name]
            folds = mine[mine["part"] == "held_out"]
            places = folds["fold"].to_numpy()
            axes.bar(places, folds["share_fake"], color=COLOURS[1], width=0.7)
            for first in folds.groupby("repeat")["fold"].min().iloc[1:]:
                axes.axvline(first - 0.5, color="0.6", lw=0.8, ls=":")
            test = mine.loc[mine["part"] == "test", "share_fake"]
            if len(test):
                axes.bar(places.max() + 1.5, test.iloc[0], color=COLOURS[1], alpha=0.45, width=0.7)
            axes.axhline(folds["share_fake"].mean(), color="0.3", lw=0.8, ls="--")
            axes.set(title=_label(name), ylim=(0, 1), xlabel="fold (dotted: next repeat)")
            axes.xaxis.get_major_locator().set_params(integer=True)
        for axes in panels[:, 0]:
            axes.set_ylabel("share of fakes")
        figure.suptitle("dashed: mean over folds; faint: test set", fontsize=8)
        save(figure, path)


def zscores(rows: pd.DataFrame, path: Path) -> None:
    """Draw where the images of each source lie under each statistics: mean with interval, and a standard deviation.

    Args:
        rows: the table `eda_zscores`.
        path: the PNG to write.
    """
    names = list(dict.fromkeys(rows["statistics"]))
    sources = list(dict.fromkeys(rows.sort_values("samples", ascending=False, kind="stable")["source"]))[:SHOWN]
    rows = rows[rows["source"].isin(sources)]
    order = list(dict.fromkeys(rows["source"]))
    with plt.rc_context(STYLE | {"font.size": 8}):
        size = (_WIDTH, 1.0 + 0.22 * len(order))
        figure, panels = plt.subplots(1, len(names), figsize=size, sharey=True, sharex=True, squeeze=False)
        for axes, name in zip(panels[0], names, strict=True):
            for row in rows[rows["statistics"] == name].to_dict("records"):
                place, colour = order.index(row["source"]), _OF_LABEL[row["label"]]
                axes.hlines(place, row["z"] - row["sd"], row["z"] + row["sd"], color=colour, lw=1)
                axes.hlines(place, row["low"], row["high"], color=colour, lw=5, alpha=0.4)
                axes.plot(row["z"], place, _MARKERS[row["label"]], color=colour, ms=4)
            axes.axvline(0, color="0.6", lw=0.8, ls="--")
            axes.set_title(_label(name, 60).replace(" (", "\n("), fontsize=8)
            axes.set_xlabel("z-score")
        panels[0, 0].set_yticks(range(len(order)), [_label(source) for source in order])
        panels[0, 0].set_ylim(len(order) - 0.5, -0.5)
        figure.set_layout_engine("constrained")
        _legend(figure, "mean; band: its interval; line: ± SD of the pixels")
        save(figure, path)


def faces(rows: pd.DataFrame, shown: Sequence[tuple[str, str]], path: Path) -> None:
    """Draw the detection rate of each source with its interval, and how large the faces are.

    Args:
        rows: the table `eda_faces`.
        shown: the data sets and sources, from top to bottom.
        path: the PNG to write.
    """
    found = rows.set_index(["dataset", "source"])
    with plt.rc_context(STYLE | {"font.size": 8}):
        size = (_WIDTH, 1.2 + 0.22 * len(shown))
        figure, (rate, box) = plt.subplots(1, 2, figsize=size, sharey=True, layout="constrained")
        for place, pair in enumerate(shown):
            row = found.loc[[pair]].iloc[0]
            colour = _OF_LABEL[row["label"]]
            rate.hlines(place, row["low"], row["high"], color=colour, lw=5, alpha=0.4)
            rate.plot(row["share"], place, _MARKERS[row["label"]], color=colour, ms=4)
            box.hlines(place, row["box_q05"], row["box_q95"], color=colour, lw=1)
            box.plot(row["box_median"], place, _MARKERS[row["label"]], color=colour, ms=4)
        rate.set(title="images in which a face is found", xlabel="share, with interval over groups")
        box.set(title="face box", xlabel="share of the image (median, 5% to 95%)")
        _rows(np.array([rate]), shown)
        _legend(figure)
        save(figure, path)


def _rows(first: np.ndarray, shown: Sequence[tuple[str, str]]) -> None:
    """Name the rows of the panels at the left, from top to bottom."""
    several = len({dataset for dataset, _ in shown}) > 1
    labels = [_label(f"{dataset}: {source}" if several else source) for dataset, source in shown]
    for axes in first:
        axes.set_yticks(range(len(shown)), labels)
        axes.set_ylim(len(shown) - 0.5, -0.5)


def _label(name: str, longest: int = _LONGEST) -> str:
    """Return a name as an axis shows it: short, and on one line."""
    plain = " ".join(name.split())
    return plain if len(plain) <= longest else f"{plain[: longest - 1]}…"


def _legend(figure: Figure, note: str = "") -> None:
    """Say above the panels what the colours mean."""
    handles = [
        Line2D([], [], color=colour, marker=_MARKERS[label], lw=2, ms=4, label=_NAMES[label])
        for label, colour in _OF_LABEL.items()
    ]
    figure.legend(handles=handles, loc="outside upper center", ncols=2, title=note, title_fontsize=8)
