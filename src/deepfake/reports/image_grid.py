"""Pictures of pictures: images in a grid, with captions, drawn as one."""

from collections.abc import Sequence
from pathlib import Path

import cv2
import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np

from deepfake import tables
from deepfake.reports.figures import wrapped

CELL = 112
"""Side of an image in the grid, in pixels."""
_GAP, _LINE = 6, 15
"""Pixels between images, and the height of a line of text."""
_MARGIN = 112
"""Pixels left of the grid, for titles of rows."""
_TITLE, _COLUMN = 22, 17
"""Characters in a line of a title left of the grid and above it."""


def overlay(image: np.ndarray, heat: np.ndarray) -> np.ndarray:
    """Return an image, uint8 [s, s, 3], under its heat, float [s, s] in [0, 1]: cold is left as it is."""
    colours = (plt.get_cmap("inferno")(heat)[..., :3] * 255).astype(np.float64)
    weight = 0.65 * heat[..., None]
    return np.rint(image * (1 - weight) + colours * weight).astype(np.uint8)


def draw(
    images: Sequence[Sequence[np.ndarray | None]],
    captions: Sequence[Sequence[str]],
    path: Path,
    *,
    columns: Sequence[str] = (),
    rows: Sequence[str] = (),
) -> None:
    """Draw images in a grid, enlarged to one size, each with its caption below.

    Args:
        images: the rows of the grid, uint8 [s, s, 3]; None leaves a place empty.
        captions: likewise, of as many lines each.
        path: the PNG to write.
        columns: a title above each column.
        rows: a title left of each row.
    """
    lines = 1 + max(caption.count("\n") for row in captions for caption in row)
    high, wide = CELL + lines * _LINE + _GAP, CELL + _GAP
    above = [wrapped(title, _COLUMN) for title in columns]
    left = _MARGIN if rows else 0
    top = max((title.count("\n") for title in above), default=-1) * _LINE + _LINE + 4 * bool(above)
    canvas = np.full((top + high * len(images), left + wide * len(images[0]), 3), 255, np.uint8)
    figure = plt.figure(figsize=(canvas.shape[1] / 100, canvas.shape[0] / 100), dpi=100)
    # one picture instead of a hundred axes, which would take many times as long
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    for y, (pictures, texts) in enumerate(zip(images, captions, strict=True)):
        for x, (picture, text) in enumerate(zip(pictures, texts, strict=True)):
            if picture is None:
                continue
            start = (top + y * high, left + x * wide)
            enlarged = cv2.resize(picture, (CELL, CELL), interpolation=cv2.INTER_CUBIC)
            canvas[start[0] : start[0] + CELL, start[1] : start[1] + CELL] = enlarged
            axes.text(start[1], start[0] + CELL + 3, text, fontsize=6.5, va="top", linespacing=1.3, parse_math=False)
    for x, title in enumerate(above):
        axes.text(left + x * wide, top - 4, title, fontsize=6.5, va="bottom", weight="bold", parse_math=False)
    for y, title in enumerate(rows):
        shown = wrapped(title, _TITLE)
        axes.text(4, top + y * high + CELL / 2, shown, fontsize=6.5, va="center", weight="bold", parse_math=False)
    axes.imshow(canvas, interpolation="none", aspect="auto")
    with tables.atomic(path) as temporary:
        figure.savefig(temporary, format="png", dpi=150)
    plt.close(figure)
