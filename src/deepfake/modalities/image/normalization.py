"""Statistics of decoded images, by which a model's input is normalised."""

import numpy as np

from deepfake.config.params import Normalization

_BATCH = 256


def statistics(images: np.ndarray, rows: np.ndarray) -> Normalization:
    """Return mean and standard deviation of each channel over all pixels of some images.

    They come from exact counts of the 256 values, so the order of the images does not matter, not even in the last bit.

    Args:
        images: uint8 [n, size, size, 3], RGB.
        rows: the images that count. It is for the caller to name real training images only.

    Returns:
        The statistics on the scale [0, 1]; the standard deviation is that of the population. A channel that never
        changes has the smallest step, 1/255, as its deviation.
    """
    counts = np.zeros((3, 256), np.int64)
    for start in range(0, len(rows), _BATCH):
        # in ascending order, because the array may lie on a disk
        chunk = images[np.sort(rows[start : start + _BATCH])]
        for channel in range(3):
            counts[channel] += np.bincount(chunk[..., channel].ravel(), minlength=256)
    values = np.arange(256) / 255
    shares = counts / counts.sum(axis=1, keepdims=True)
    mean = shares @ values
    std = np.sqrt((shares * (values - mean[:, None]) ** 2).sum(axis=1))
    return Normalization(mean=_channels(mean), std=_channels(np.maximum(std, 1 / 255)))


def _channels(values: np.ndarray) -> tuple[float, float, float]:
    """Return three plain floats."""
    red, green, blue = values.tolist()
    return red, green, blue
