"""Where a detector looks: the heat of its explanations on the face, on its border and beside it, against their areas.

The face is the box of the face detector, its border a ring around the box (`RING`), the background all else in view.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from deepfake.evaluation.estimate import Estimate
from deepfake.evaluation.group_means import mean_over_groups

REGIONS = ("face", "border", "background")
"""The parts of a view; their shares of the heat sum to 1, and so do their areas."""
RING = 0.15
"""Width of the ring around the face box that is its border, as a share of the box's width and height.

Swapped and pasted faces have their seams there. What of the ring lies outside the view is cut off.
"""
ROPE = 0.02
"""A change of the share of heat up to this much is of no account: two of a hundred parts of the heat."""
_CORNERS = ["left", "top", "right", "bottom"]
_FIGURES = [f"{region}{end}" for region in REGIONS for end in ("", "_area", "_excess", "_low", "_high")]
_COLUMNS = ["label", "source", "verdict", "images", "groups", "without_heat", *_FIGURES]


def enlarged(cells: np.ndarray, size: int | tuple[int, int]) -> np.ndarray:
    """Return heat maps at the size of their images, bilinearly enlarged, 1 where an image is hottest.

    Args:
        cells: float [n, r, c], not negative.
        size: side of the images in pixels, or height and width.

    Returns:
        Float32 [n, h, w]; 0 everywhere where there is no heat.
    """
    height, width = (size, size) if isinstance(size, int) else size
    down, across = _weights(cells.shape[1], height), _weights(cells.shape[2], width)
    heat = down @ cells.astype(np.float64) @ across.T
    highest = heat.max(axis=(1, 2), keepdims=True)
    return (heat / np.where(highest > 0, highest, 1)).astype(np.float32)


def _weights(cells: int, pixels: int) -> np.ndarray:
    """Return how much each cell counts for each pixel, float [pixels, cells]: centres of cells, flat beyond them."""
    places = ((np.arange(pixels) + 0.5) * cells / pixels - 0.5).clip(0, cells - 1)
    return (1 - np.abs(places[:, None] - np.arange(cells))).clip(0)


def boxes(faces: pd.DataFrame, regions: pd.DataFrame, size: int) -> np.ndarray:
    """Return face boxes in the pixels of a view, float [n, 4] of left, top, right, bottom, cut off at its border.

    Args:
        faces: `tables.FACES` of n images, boxes in the images' own pixels.
        regions: `tables.REGIONS` of the same images: the part that the view shows.
        size: side of the view in pixels.
    """
    return _in_view(faces[_CORNERS].to_numpy(np.float64), regions, size).clip(0, size)


def rings(faces: pd.DataFrame, regions: pd.DataFrame, size: int) -> np.ndarray:
    """Return the boxes that hold faces and their borders; arguments and form as those of `boxes`."""
    corners = faces[_CORNERS].to_numpy(np.float64)
    width = RING * np.tile(corners[:, 2:] - corners[:, :2], 2)
    return _in_view(corners + width * [-1, -1, 1, 1], regions, size).clip(0, size)


def _in_view(corners: np.ndarray, regions: pd.DataFrame, size: int) -> np.ndarray:
    """Return boxes of images in the pixels of a view."""
    shown = regions[_CORNERS].to_numpy(np.float64)
    start, sides = shown[:, :2], shown[:, 2:] - shown[:, :2]
    return ((corners.reshape(-1, 2, 2) - start[:, None]) / sides[:, None] * size).reshape(-1, 4)


def shares(heat: np.ndarray, box: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the share of each image's heat inside a box, and the share of its area that the box covers.

    Args:
        heat: float [n, s, s], not negative.
        box: float [n, 4], in pixels; a pixel that is half covered counts half.

    Returns:
        Both float [n] in [0, 1]; the heat's is NaN where there is none.
    """
    edges = np.arange(heat.shape[1])
    across, down = (
        (np.minimum(edges + 1, box[:, [2 + axis]]) - np.maximum(edges, box[:, [axis]])).clip(0, 1) for axis in range(2)
    )
    total = heat.sum(axis=(1, 2), dtype=np.float64)
    inside = np.einsum("ny,nyx,nx->n", down, heat, across, optimize=True) / np.where(total > 0, total, np.nan)
    return inside, down.sum(axis=1) * across.sum(axis=1) / heat[0].size if len(heat) else np.zeros(0)


def by_region(heat: np.ndarray, box: np.ndarray, ring: np.ndarray) -> dict[str, np.ndarray]:
    """Return the shares of heat and of area of each of `REGIONS`, the areas as `<region>_area`, each float [n].

    Args:
        heat: float [n, s, s], not negative.
        box: of the faces (`boxes`).
        ring: of the faces and their borders (`rings`).
    """
    (face, face_area), (both, both_area) = shares(heat, box), shares(heat, ring)
    found = {"face": face, "border": both - face, "background": 1 - both}
    areas = {"face": face_area, "border": both_area - face_area, "background": 1 - both_area}
    # a difference of sums may end a hair below nothing
    return {name: values.clip(0) for name, values in found.items()} | {
        f"{name}_area": values.clip(0) for name, values in areas.items()
    }


def summary(found: pd.DataFrame, confidence: float) -> pd.DataFrame:
    """Return one row a source and verdict: how much of the heat lies on the face, on its border and beside it.

    Args:
        found: one row an image with a face: `label, source, group, wrong` and `by_region`.
        confidence: of the interval.

    Returns:
        Columns `label, source, verdict` (`correct`, `wrong` or `all`), and those of `overall`.
    """
    rows = []
    for (label, source), part in found.groupby(["label", "source"]):
        for verdict, chosen in (("all", part), ("correct", part[~part["wrong"]]), ("wrong", part[part["wrong"]])):
            rows.append({"label": label, "source": source, "verdict": verdict} | overall(chosen, confidence))
    return pd.DataFrame(rows, columns=_COLUMNS)


def overall(found: pd.DataFrame, confidence: float) -> dict[str, Any]:
    """Return how much of the heat of images lies in each region.

    Args:
        found: as for `summary`.
        confidence: of the interval.

    Returns:
        `images, groups, without_heat` (images, which count no further), and for each region the means of its share
        of the heat and of the area, and `<region>_excess`: heat minus area, with its 95% CI `<region>_low`,
        `<region>_high` (cluster jackknife). Looking anywhere alike has an excess of 0.
    """
    hot = found[found["face"].notna()]
    row: dict[str, Any] = {"images": len(hot), "groups": hot["group"].nunique()}
    row |= {"without_heat": len(found) - len(hot)} | dict.fromkeys(_FIGURES, np.nan)
    for region in REGIONS if len(hot) else ():
        excess = mean_over_groups(hot[region] - hot[f"{region}_area"], hot["group"], confidence=confidence)
        row |= {region: hot[region].mean(), f"{region}_area": hot[f"{region}_area"].mean()}
        row |= {f"{region}_excess": excess.value, f"{region}_low": excess.low, f"{region}_high": excess.high}
    return row


def on_faces(found: pd.DataFrame, confidence: float) -> Estimate | None:
    """Return the excess of the face over all images that have heat; None where none has.

    Args:
        found: as for `summary`.
        confidence: of the interval.
    """
    hot = found[found["face"].notna()]
    return mean_over_groups(hot["face"] - hot["face_area"], hot["group"], confidence=confidence) if len(hot) else None


def moved(first: pd.DataFrame, second: pd.DataFrame, confidence: float) -> dict[str, Estimate] | None:
    """Return how the excess of each region changes from one run or condition to another, on the same images.

    Excesses are compared and not shares, because a view that shows more of the face has more of any heat on it.

    Args:
        first: as for `summary`, with `sample_id`.
        second: the same of the other.
        confidence: of the intervals.

    Returns:
        For each region the paired difference, second minus first, over the images in which both have heat; None where
        there are none.
    """
    sides: Sequence[pd.DataFrame] = [side[side["face"].notna()].set_index("sample_id") for side in (first, second)]
    common = sides[0].index.intersection(sides[1].index)
    if not len(common):
        return None
    before, after = (side.loc[common] for side in sides)
    return {
        region: mean_over_groups(
            (after[region] - after[f"{region}_area"]) - (before[region] - before[f"{region}_area"]),
            before["group"],
            confidence=confidence,
        )
        for region in REGIONS
    }
