"""Which part of an image a view shows: a rectangle in the image's own pixels.

Every geometry is a rectangle that is cut out (with black where it reaches beyond the image) and resized to a square
with antialiasing. So there is one definition for all backends, and no filter sees a pixel outside the rectangle.
"""

import numpy as np
import pandas as pd

from deepfake import tables

CORNERS = ["left", "top", "right", "bottom"]
_PLAIN = {("JPEG", "RGB"), ("JPEG", "L")}
"""Format and mode of the files that every decoder turns into the same pixels, unless something is noted of them."""


def regions(samples: pd.DataFrame, geometry: str, faces: pd.DataFrame | None, margin: float) -> pd.DataFrame:
    """Return the rectangle of each sample.

    Args:
        samples: `tables.MEDIA` of them, and for `letterbox_real` and `matched` also their `label`.
        geometry: a key of `GEOMETRIES`, `letterbox_real` or `matched`.
        faces: `tables.FACES` to cut out faces, or None to show whole images.
        margin: what the face square adds around the face box, as a share of its longer side.

    Returns:
        `tables.REGIONS`, in the order of the samples. A face square that would reach beyond the image is moved inside,
        or made smaller: padding would give away where a face stands. Without a face it is the central square.
    """
    width, height = samples["width"].to_numpy(), samples["height"].to_numpy()
    if geometry == "matched":
        real = (samples["label"] == tables.REAL).to_numpy()
        corners = of_aspect(width, height, float(np.median(width[real] / height[real])))
    else:
        corners = GEOMETRIES["letterbox" if geometry == "letterbox_real" else geometry](width, height)
    if geometry == "letterbox_real":
        fake = (samples["label"] == tables.FAKE).to_numpy()[:, None]
        corners = np.where(fake, crop(width, height), corners)
    found = np.zeros(len(samples), bool)
    if faces is not None:
        rows = faces.set_index("sample_id").loc[samples["sample_id"]]
        found = rows["faces"].to_numpy() > 0
        corners = np.where(found[:, None], _around(rows[CORNERS].to_numpy(), margin, width, height), corners)
    table = pd.DataFrame(corners.astype(np.int64), columns=CORNERS)
    table.insert(0, "sample_id", samples["sample_id"].to_numpy())
    kinds = zip(samples["format"], samples["mode"], samples["notes"], strict=True)
    plain = [int((form, mode) in _PLAIN and not notes) for form, mode, notes in kinds]
    return table.assign(face=found.astype(np.int64), plain=plain)


def crop(width: np.ndarray, height: np.ndarray) -> np.ndarray:
    """Return the central squares, int [n, 4]; an odd pixel is left at the right or the bottom."""
    return _centred(width, height, np.minimum(width, height))


def letterbox(width: np.ndarray, height: np.ndarray) -> np.ndarray:
    """Return the squares that hold the whole images, int [n, 4]."""
    return _centred(width, height, np.maximum(width, height))


def resize(width: np.ndarray, height: np.ndarray) -> np.ndarray:
    """Return the whole images, int [n, 4]; to make them square distorts them."""
    zero = np.zeros_like(width)
    return np.stack([zero, zero, width, height], axis=1)


def of_aspect(width: np.ndarray, height: np.ndarray, aspect: float) -> np.ndarray:
    """Return the largest central rectangles of a given width over height, int [n, 4]."""
    shown = [np.minimum(width, np.rint(height * aspect)), np.minimum(height, np.rint(width / aspect))]
    wide, high = (np.maximum(side, 1).astype(np.int64) for side in shown)
    left, top = (width - wide) // 2, (height - high) // 2
    return np.stack([left, top, left + wide, top + high], axis=1)


GEOMETRIES = {"crop": crop, "letterbox": letterbox, "resize": resize}


def _centred(width: np.ndarray, height: np.ndarray, side: np.ndarray) -> np.ndarray:
    """Return squares of given sides in the middle of images."""
    left, top = (width - side) // 2, (height - side) // 2
    return np.stack([left, top, left + side, top + side], axis=1)


def _around(boxes: np.ndarray, margin: float, width: np.ndarray, height: np.ndarray) -> np.ndarray:
    """Return squares around face boxes, float [n, 4] in, inside the images."""
    left, top, right, bottom = boxes.T
    side = np.rint(np.maximum(right - left, bottom - top) * (1 + margin))
    side = np.clip(side, 1, np.minimum(width, height))
    x = np.clip(np.rint((left + right - side) / 2), 0, width - side)
    y = np.clip(np.rint((top + bottom - side) / 2), 0, height - side)
    return np.stack([x, y, x + side, y + side], axis=1)
