"""A picture of what decided about a clip or a recording: what was seen or heard, and its scores over time."""

import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from PIL import Image
from scipy.special import expit

from deepfake.inference.verdicts import Verdict
from deepfake.reports import figures
from deepfake.tables import atomic

DECIDING = 3
"""Parts that are marked: those that speak most for the verdict."""
_SHOWN = 8
"""Frames that are shown at most, the marked ones among them."""
_DECIDED = "decided most"
_HEIGHT = 128
_COLUMNS = 1200
"""Pixels over time of a picture of sound."""
_WIDTH = 9.0
_NAME = 120
"""Signs of a file's name that its picture is called by."""


def write(verdict: Verdict, folder: Path) -> Path | None:
    """Write the picture of a file.

    Args:
        verdict: on it.
        folder: where pictures go; that of an earlier file of the same name is written over.

    Returns:
        Where it lies; None of a file without a course of time, such as an image.
    """
    spans = [part.span for part in verdict.parts if part.span is not None]
    if verdict.pictures is None or not spans:
        return None
    times = np.array(spans)
    with plt.rc_context(figures.STYLE):
        if (times[:, 0] == times[:, 1]).all():
            figure = _of_moments(verdict, times, verdict.pictures)
        else:
            figure = _of_stretches(verdict, times, verdict.pictures)
        word = "fake" if verdict.fake else "real"
        said = f"{word}: {verdict.probability:.3f} (threshold {verdict.threshold_probability:.3f})"
        figure.suptitle(f"{_shortened(verdict.file)}\n{said}", fontsize=10)
        path = folder / f"{_plain(verdict.file)}.png"
        with atomic(path) as temporary:
            figure.savefig(temporary, format="png", bbox_inches="tight", metadata={"Software": None})
        plt.close(figure)
    return path


def _of_moments(verdict: Verdict, times: np.ndarray, pictures: Callable[[int], Iterator[np.ndarray]]) -> Figure:
    """Draw frames side by side, above their scores."""
    deciding = verdict.deciding(DECIDING)
    chosen = _chosen(len(times), deciding)
    kept = {place: picture for place, picture in enumerate(pictures(_HEIGHT)) if place in chosen}
    figure = plt.figure(figsize=(_WIDTH, 3.9))
    grid = figure.add_gridspec(2, len(chosen), height_ratios=(1.0, 1.6))
    probabilities = expit(np.array(verdict.scores))
    for column, place in enumerate(chosen):
        axes = figure.add_subplot(grid[0, column])
        axes.imshow(kept[place])
        axes.set_xticks([])
        axes.set_yticks([])
        marked = place in deciding
        for spine in axes.spines.values():
            spine.set_visible(True)
            spine.set_color(_colour(verdict) if marked else "0.7")
            spine.set_linewidth(3 if marked else 0.8)
        axes.set_title(f"{times[place, 0]:.1f} s\n{probabilities[place]:.2f}", fontweight="bold" if marked else None)
    axes = figure.add_subplot(grid[1, :])
    axes.plot(times[:, 0], probabilities, "o-", color="0.35", ms=4, lw=1)
    axes.plot(times[deciding, 0], probabilities[deciding], "o", color=_colour(verdict), ms=8, label=_DECIDED)
    _scores(axes, verdict)
    return figure


def _of_stretches(verdict: Verdict, times: np.ndarray, pictures: Callable[[int], Iterator[np.ndarray]]) -> Figure:
    """Draw windows one after the other, above their scores; where two overlap, the later one is seen."""
    end = float(times[:, 1].max())
    canvas = np.zeros((_HEIGHT, _COLUMNS, 3), np.uint8)
    for (start, stop), picture in zip(times, pictures(_HEIGHT), strict=True):
        left, right = round(start / end * _COLUMNS), round(stop / end * _COLUMNS)
        if right > left:
            canvas[:, left:right] = np.asarray(Image.fromarray(picture).resize((right - left, _HEIGHT)))
    figure, (upper, lower) = plt.subplots(2, 1, figsize=(_WIDTH, 3.9), sharex=True, height_ratios=(1.2, 1.0))
    upper.imshow(canvas, aspect="auto", extent=(0.0, end, 0.0, 1.0), interpolation="nearest")
    upper.set_yticks([])
    upper.set_ylabel("frequency (mel)")
    probabilities = expit(np.array(verdict.scores))
    lower.hlines(probabilities, times[:, 0], times[:, 1], color="0.35", lw=2)
    label: str | None = _DECIDED
    for place in verdict.deciding(DECIDING):
        upper.axvspan(*times[place], facecolor="none", edgecolor="white", lw=2, zorder=3)
        lower.axvspan(*times[place], color=_colour(verdict), alpha=0.15, lw=0)
        lower.hlines(probabilities[place], *times[place], color=_colour(verdict), lw=4, zorder=3, label=label)
        label = None
    _scores(lower, verdict)
    lower.set_xlim(0.0, end)
    return figure


def _scores(axes: Axes, verdict: Verdict) -> None:
    """Finish the panel of the scores."""
    axes.axhline(verdict.threshold_probability, color="0.5", ls="--", lw=1, label="threshold of the file")
    axes.axhline(verdict.probability, color=_colour(verdict), ls=":", lw=1.5, label="the file's probability")
    axes.set_ylim(-0.03, 1.03)
    axes.set_ylabel("probability\nof being fake")
    axes.set_xlabel("seconds")
    axes.xaxis.set_major_locator(MaxNLocator(10, steps=[1, 2, 5, 10]))
    axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0))


def _colour(verdict: Verdict) -> str:
    return figures.COLOURS[1] if verdict.fake else figures.COLOURS[0]


def _chosen(count: int, deciding: Sequence[int]) -> list[int]:
    """Return which of so many frames are shown: those that decided, and others spread evenly."""
    spread = np.unique(np.linspace(0, count - 1, min(count, _SHOWN)).round().astype(int)).tolist()
    others = [place for place in spread if place not in deciding]
    kept = max(0, _SHOWN - len(deciding))
    if len(others) > kept:
        others = [others[place] for place in np.linspace(0, len(others) - 1, kept).round().astype(int)]
    return sorted({*deciding, *others})


def _plain(name: str) -> str:
    """Return a file's name without what a file system does not like; of a long one its end."""
    return re.sub(r"[^\w.-]+", "_", name).strip("_.")[-_NAME:] or "file"


def _shortened(name: str) -> str:
    return name if len(name) <= 90 else f"…{name[-89:]}"
