"""Whether a detector looks at the face: the heat of its explanations inside the face box, against the box's area."""

import numpy as np
import pandas as pd

from deepfake.evaluation.estimate import Estimate
from deepfake.evaluation.group_means import mean_over_groups

_CORNERS = ["left", "top", "right", "bottom"]
_COLUMNS = [
    *("label", "source", "verdict", "images", "groups", "without_heat"),
    *("heat", "area", "excess", "low", "high"),
]


def boxes(faces: pd.DataFrame, regions: pd.DataFrame, size: int) -> np.ndarray:
    """Return face boxes in the pixels of a view, float [n, 4] of left, top, right, bottom, cut off at its border.

    Args:
        faces: `tables.FACES` of n images, boxes in the images' own pixels.
        regions: `tables.REGIONS` of the same images: the part that the view shows.
        size: side of the view in pixels.
    """
    shown = regions[_CORNERS].to_numpy(np.float64)
    start, sides = shown[:, :2], shown[:, 2:] - shown[:, :2]
    corners = (faces[_CORNERS].to_numpy().reshape(-1, 2, 2) - start[:, None]) / sides[:, None]
    return (corners * size).clip(0, size).reshape(-1, 4)


def shares(heat: np.ndarray, box: np.ndarray) -> tuple[float, float]:
    """Return the share of an image's heat inside a box, and the share of its area that the box covers.

    Args:
        heat: float [s, s], not negative.
        box: float [4], in pixels; a pixel that is half covered counts half.

    Returns:
        Both in [0, 1]; the heat's is NaN where there is none.
    """
    edges = np.arange(len(heat))
    across, down = (
        (np.minimum(edges + 1, box[2 + axis]) - np.maximum(edges, box[axis])).clip(0, 1) for axis in range(2)
    )
    total = heat.sum()
    inside = float(down @ heat @ across / total) if total > 0 else np.nan
    return inside, float(down.sum() * across.sum() / heat.size)


def summary(found: pd.DataFrame, confidence: float) -> pd.DataFrame:
    """Return one row a source and verdict: how much of the heat lies on the face.

    Args:
        found: one row an image with a face: `label, source, group, wrong, heat, area` (`shares`).
        confidence: of the interval.

    Returns:
        Columns `label, source, verdict` (`correct`, `wrong` or `all`), `images, groups, without_heat` (images, which
        count no further), the means `heat` and `area`, and `excess`: heat minus area, with its 95% CI
        `low, high` (cluster jackknife). Looking anywhere alike has an excess of 0.
    """
    rows = []
    for (label, source), part in found.groupby(["label", "source"]):
        for verdict, chosen in (("all", part), ("correct", part[~part["wrong"]]), ("wrong", part[part["wrong"]])):
            hot = chosen[chosen["heat"].notna()]
            facts = {"images": len(hot), "groups": hot["group"].nunique(), "without_heat": len(chosen) - len(hot)}
            figures = dict.fromkeys(("heat", "area", "excess", "low", "high"), np.nan)
            if len(hot):
                excess = mean_over_groups(hot["heat"] - hot["area"], hot["group"], confidence=confidence)
                figures = {"heat": hot["heat"].mean(), "area": hot["area"].mean(), "excess": excess.value}
                figures |= {"low": excess.low, "high": excess.high}
            rows.append({"label": label, "source": source, "verdict": verdict} | facts | figures)
    return pd.DataFrame(rows, columns=_COLUMNS)


def on_faces(found: pd.DataFrame, confidence: float) -> Estimate | None:
    """Return the excess of `summary` over all images that have heat; None where none has.

    Args:
        found: as for `summary`.
        confidence: of the interval.
    """
    hot = found[found["heat"].notna()]
    return mean_over_groups(hot["heat"] - hot["area"], hot["group"], confidence=confidence) if len(hot) else None
