"""How a view frames its images: where its square lies, and how a face lies in it.

A face square that would reach beyond its image is moved inside or made smaller. Where that befalls fakes and reals
differently, as it does when their images differ in shape, the place of the face in the square gives them away.
"""

import numpy as np
import pandas as pd

PLACE = ("frame_side", "frame_x", "frame_y")
"""Where the square lies in its image. A view of whole images shows it, as black bars or parts cut off; a face crop does
not, but for what `FACE` measures."""
FACE = ("face_found", "face_x", "face_y", "face_cut")
"""How a face lies in its square, which every detector of a face crop sees."""


def measure(samples: pd.DataFrame, regions: pd.DataFrame, faces: pd.DataFrame | None, margin: float) -> pd.DataFrame:
    """Measure how a view frames each image.

    Args:
        samples: `tables.MEDIA` of them.
        regions: `tables.REGIONS` of the view, in the order of the samples.
        faces: `tables.FACES` of a view that cuts out faces, else None.
        margin: what the face square adds around the face box, as a share of its longer side.

    Returns:
        One row a sample. `frame_side`: the longer side of the region over the image's shorter one; `frame_x`,
        `frame_y`: its centre less that of the image, over the same. With faces also `face_found` (0 or 1); `face_x`,
        `face_y`: the square's centre less that of the face box, over the height of the box; `face_cut`: how much
        smaller the square is than the face asked for, over the same; all 0 without a face. Less than a pixel counts as
        nothing: it is rounding, and its size would give away that of the image.
    """
    low, high = (regions[corners].to_numpy(np.float64) for corners in (["left", "top"], ["right", "bottom"]))
    extent = samples[["width", "height"]].to_numpy(np.float64)
    shorter, side = extent.min(axis=1), (high - low).max(axis=1)
    place = np.trunc((low + high - extent) / 2) / shorter[:, None]
    found = pd.DataFrame(np.column_stack([side / shorter, place]), columns=list(PLACE))
    if faces is None:
        return found
    rows = faces.set_index("sample_id").loc[samples["sample_id"]]
    start, end = (rows[corners].to_numpy(np.float64) for corners in (["left", "top"], ["right", "bottom"]))
    cut = np.trunc((end - start).max(axis=1) * (1 + margin) - side)
    pixels = np.column_stack([np.trunc((low + high - start - end) / 2), cut])
    seen = rows["faces"].to_numpy() > 0
    height = np.where(seen, (end - start)[:, 1], 1)
    found[list(FACE)] = np.column_stack([seen, np.where(seen[:, None], pixels / height[:, None], 0)])
    return found
