"""Which part of a frame a view shows: that of an image, but for a face, which is followed through its clip."""

import numpy as np
import pandas as pd

from deepfake.config import ViewConfig
from deepfake.modalities.image.geometry import CORNERS
from deepfake.modalities.image.geometry import regions as of_images
from deepfake.modalities.video import schemas, tracks


def of_frames(samples: pd.DataFrame, view: ViewConfig, faces: pd.DataFrame | None) -> pd.DataFrame:
    """Return the rectangle of each frame taken, and its number; see `base.Modality.regions`."""
    boxes = None if faces is None else tracked(samples, faces)
    # no frame is `plain`: each decoder of JPEG alone makes its own colours of it
    table = of_images(samples.assign(mode=""), view.geometry, boxes, view.face_margin or 0.0)
    return table.assign(frame=samples["frame"].to_numpy())[list(schemas.REGIONS.columns)]


def tracked(samples: pd.DataFrame, faces: pd.DataFrame) -> pd.DataFrame:
    """Return the faces of frames as they are followed through each clip.

    Args:
        samples: the manifest or `tables.SAMPLES`, with `schemas.MEDIA`.
        faces: `tables.FACES` of them.

    Returns:
        `tables.FACES` in the order of the samples; a clip with a face in any frame has one in each. Landmarks are those
        that were found.
    """
    rows = faces.set_index("sample_id", drop=False).loc[samples["sample_id"]].reset_index(drop=True)
    corners, found = rows[CORNERS].to_numpy(np.float64), rows["faces"].to_numpy() > 0
    frames, times = samples["frame"].to_numpy(), samples["time"].to_numpy(np.float64)
    followed, counts = np.zeros_like(corners), rows["faces"].to_numpy().copy()
    for places in samples.groupby("clip_id", sort=False).indices.values():
        ordered = places[np.argsort(frames[places], kind="stable")]
        if found[ordered].any():
            followed[ordered] = tracks.follow(corners[ordered], found[ordered], times[ordered])
            counts[ordered] = np.maximum(counts[ordered], 1)
    rows[CORNERS] = followed
    rows["faces"] = counts
    return rows
