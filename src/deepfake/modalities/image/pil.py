"""Decoding by PIL: any format, on any machine, the same pixels everywhere; no torch, whose import takes seconds."""

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import repeat

import numpy as np
from PIL import Image

from deepfake.modalities.image import decoding
from deepfake.modalities.image.encoded import Encoded


def decode(
    batches: Iterable[Sequence[Encoded]], size: int, *, threads: int, cuda: bool = False
) -> Iterator[np.ndarray]:
    """Decode batches of files with PIL, which has no use for a GPU; see `backends.Backend`."""
    with ThreadPoolExecutor(threads) as pool:
        for batch in batches:
            images = np.empty((len(batch), size, size, 3), np.uint8)
            for row, image in enumerate(pool.map(decode_file, batch, repeat(size))):
                images[row] = image
            yield images


def decode_file(file: Encoded, size: int) -> np.ndarray:
    """Decode one file, the first image of an animation, and resize its region.

    Args:
        file: any format of `decoding.FORMATS`. It is turned upright as its EXIF data say; transparency lies on white.
        size: side of the result in pixels.

    Returns:
        uint8 [size, size, 3], RGB: the region, black beyond the image, by PIL's antialiased bilinear filter.
    """
    part = decoding.decoded(file.data, decoding.upright).crop(file.region)
    return np.asarray(part.resize((size, size), Image.Resampling.BILINEAR))
