"""The pictures of the deep dive and of agreement: filters, features on two axes, and who agrees with whom."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import QuadMesh
from matplotlib.lines import Line2D

from deepfake import tables
from deepfake.project import paths
from deepfake.reports import figures, svg

_ACROSS = 16
"""Filters in a row."""
_MOST = 64
"""Filters of a network that are drawn: those of the largest norm."""
_NUMBERED = 14
"""Detectors up to which the cells of a heatmap have room for numbers."""


def filters(networks: Sequence[tuple[str, np.ndarray, np.ndarray]]) -> None:
    """Draw first-layer filters before and after training by falling norm after it; those it left alone once.

    All filters of a network are on one scale, around gray for 0: a weak one looks gray.

    Args:
        networks: title, and float [n, 3, h, w] before and after.
    """
    changed = [each for each in networks if not np.array_equal(each[1], each[2])]
    left_alone = [each for each in networks if np.array_equal(each[1], each[2])]
    drawn: list[tuple[str, np.ndarray]] = []
    for title, before, after in (*changed, *left_alone):
        order = np.argsort(-np.linalg.norm(after.reshape(len(after), -1), axis=1), kind="stable")[:_MOST]
        greatest = max(np.abs(before).max(), np.abs(after).max(), 1e-12)
        if np.array_equal(before, after):
            drawn.append((f"{title}, as it is", _mosaic(after[order] / greatest)))
        else:
            drawn.append((f"{title}, before training", _mosaic(before[order] / greatest)))
            drawn.append(("after training", _mosaic(after[order] / greatest)))
    lines = [drawn[start : start + 2] for start in range(0, len(drawn), 2)]
    heights = [max(picture.shape[0] / picture.shape[1] for _, picture in line) for line in lines]
    with plt.rc_context(figures.STYLE):
        size = (figures.WIDTH, 0.1 + sum(0.3 + 2.9 * height for height in heights))
        figure, panels = plt.subplots(
            *(len(lines), 2), figsize=size, squeeze=False, height_ratios=heights, layout="constrained"
        )
        for axes in panels.flat:
            axes.set_axis_off()
        for line, pictures in zip(panels, lines, strict=True):
            for axes, (title, picture) in zip(line, pictures, strict=False):
                axes.imshow(picture, interpolation="none")
                axes.set_anchor("N")
                axes.set_title(title, fontsize=8, loc="left")
        figures.save(figure, paths().figure("explain_filters"))


def _mosaic(kernels: np.ndarray) -> np.ndarray:
    """Return filters [n, 3, h, w] in [-1, 1] side by side, as a picture with nothing between them."""
    count, _, high, wide = kernels.shape
    scale = -(-12 // max(high, wide))  # lines are thin beside small filters, too
    high, wide = high * scale, wide * scale
    across = min(count, _ACROSS)
    canvas = np.zeros((-(-count // across) * (high + 1) - 1, across * (wide + 1) - 1, 4))
    for number, kernel in enumerate(kernels):
        top, left = number // across * (high + 1), number % across * (wide + 1)
        picture = (kernel.transpose(1, 2, 0) + 1) / 2
        shown = canvas[top : top + high, left : left + wide]
        shown[..., :3], shown[..., 3] = picture.repeat(scale, axis=0).repeat(scale, axis=1), 1
    return canvas


def embedding(points: pd.DataFrame, titles: Mapping[str, str]) -> None:
    """Draw features on two axes: a row a run, a column a method, colours for sources, circles for reals.

    Args:
        points: the table `explain_embedding`.
        titles: what each run is called.
    """
    methods = points["method"].unique()
    sources = points.drop_duplicates("source").sort_values(["label", "source"])
    shown = dict(zip(sources["source"], figures.COLOURS[: len(figures.COLOURS) - 1], strict=False))
    real = sources.loc[sources["label"] == tables.REAL, "source"].tolist()
    with plt.rc_context(figures.STYLE):
        size = (figures.WIDTH, 2.7 * len(titles) + 0.4)
        figure, panels = plt.subplots(len(titles), len(methods), figsize=size, squeeze=False, layout="constrained")
        for line, (name, title) in zip(panels, titles.items(), strict=True):
            for axes, method in zip(line, methods, strict=True):
                part = points[(points["experiment"] == name) & (points["method"] == method)]
                for source, rows in part.groupby("source"):
                    colour, marker = shown.get(str(source), figures.COLOURS[-1]), _marker(source in real)
                    axes.plot(rows["x"], rows["y"], marker, color=colour, ms=3.5, mew=1, alpha=0.8, mfc="none")
                axes.set(xticks=[], yticks=[], title=f"{title}\n{method}")
                axes.spines[["top", "right"]].set_visible(True)
        handles = [
            Line2D([], [], ls="", marker=_marker(source in real), color=colour, mfc="none", mew=1.2,
                   label=f"{source} ({'real' if source in real else 'fake'})")
            for source, colour in shown.items()
        ]  # fmt: skip
        if len(sources) > len(shown):
            label = f"{len(sources) - len(shown)} other sources"
            handles.append(Line2D([], [], ls="", marker="s", color=figures.COLOURS[-1], label=label))
        figure.legend(handles=handles, loc="outside lower center", ncols=min(len(handles), 4))
        figures.save(figure, paths().figure("explain_embedding"))


def _marker(real: bool) -> str:
    return "o" if real else "^"


def agreement(rows: pd.DataFrame) -> None:
    """Draw who agrees with whom: decisions below the diagonal and logits above it; below them, errors.

    Args:
        rows: the table `explain_agreement`.
    """
    names = list(dict.fromkeys([*rows["first"], *rows["second"]]))
    place = {name: number for number, name in enumerate(names)}
    first, second = (rows[side].map(place).to_numpy() for side in ("first", "second"))
    decided, errors = np.full((2, len(names), len(names)), np.nan)
    decided[first, second], decided[second, first] = rows["spearman"], rows["kappa"]
    errors[second, first] = rows["error_kappa"]
    with plt.rc_context(figures.STYLE):
        size = (figures.WIDTH, 1.8 + 0.5 * len(names))
        figure, panels = plt.subplots(2, 1, figsize=size, sharex=True, layout="constrained")
        titles = (
            "κ of decisions (below the diagonal), rank correlation of logits (above)",
            "κ of errors within sources",
        )
        shades = [_heatmap(axes, values, names) for axes, values in zip(panels, (decided, errors), strict=True)]
        for axes, title in zip(panels, titles, strict=True):
            axes.set_title(title)
        panels[0].tick_params(labelbottom=False)
        panels[1].tick_params(axis="x", rotation=90)
        figure.colorbar(shades[0], ax=panels, shrink=0.6, aspect=30, extend="min")
        figures.save(figure, paths().figure("explain_agreement"))


def _heatmap(axes: Axes, values: np.ndarray, names: list[str]) -> QuadMesh:
    """Draw a matrix in shades from 0 to 1, with its numbers where there is room."""
    shades = axes.pcolormesh(np.ma.masked_invalid(values), cmap="Blues", vmin=0, vmax=1)
    if len(names) <= _NUMBERED:
        for (row, column), value in np.ndenumerate(values):
            if np.isfinite(value):
                ink = svg.ON_DARK if value > 0.6 else svg.ON_LIGHT
                text = f"{value:.2f}".replace("0.", ".")
                axes.text(column + 0.5, row + 0.5, text, ha="center", va="center", fontsize=7, color=ink)
    places, broken = np.arange(len(names)) + 0.5, [figures.wrapped(name, 22) for name in names]
    axes.set_xticks(places, broken, fontsize=7)
    axes.set_yticks(places, broken, fontsize=7)
    axes.set_ylim(len(names), 0)
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
    return shades
