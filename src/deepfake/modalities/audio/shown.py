"""Sound as people can look at it."""

from collections.abc import Iterator

import numpy as np

from deepfake.config.images import Normalization

_PER_SECOND = 20
"""Columns of a picture a second: a film of hours stays small."""


def log_mel(windows: np.ndarray, height: int) -> Iterator[np.ndarray]:
    """Yield a picture of each window: time to the right, frequency upwards, the louder the lighter.

    One scale of colours for all windows: from 100 dB below full scale to full scale.

    Args:
        windows: int16 [b, samples].
        height: of the pictures in pixels, one a mel band.
    """
    import torch
    from matplotlib import colormaps

    from deepfake.modalities.audio import front_ends

    scale = Normalization(mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))
    maps = front_ends.inputs("log_mel", height, scale, torch.device("cpu"))(torch.from_numpy(windows))
    columns = max(1, windows.shape[1] * _PER_SECOND // front_ends.RATE)
    shown = torch.nn.functional.adaptive_avg_pool2d(maps, (height, columns))[:, 0].flip(1).numpy()
    for window in colormaps["magma"](shown.clip(0, 1), bytes=True)[..., :3]:
        yield np.ascontiguousarray(window)
