"""A picture's perceptual hash: 256 bits that hardly change when it is compressed, resized or made brighter.

The sign of each of the lowest frequencies of a small gray copy's discrete cosine transform, as in pHash (Zauner 2010,
"Implementation and benchmarking of perceptual image hash functions"), which keeps 64 of them and compares with their
median. Two frontal portraits of equal size, light and background may agree in 54 of 64 bits; of 256 they do not.
"""

import numpy as np
from PIL import Image
from scipy.fft import dctn

SIDE = 64
"""Of the small gray copy, in pixels."""
FREQUENCIES = 16
"""Along each axis, from the lowest one that is not constant: half cycles of the picture."""
LEAST_VARIANCE = 1.0
"""Of these frequencies, in squared gray levels; below it a picture is flat, and the signs are those of noise."""


def of(image: Image.Image, turn: Image.Transpose | None) -> str:
    """Return the hash of an image.

    Args:
        image: as it is stored, in L or RGB.
        turn: what sets it upright, if it is not.

    Returns:
        64 hexadecimal digits, or "" for a picture that is flat.
    """
    small = image.resize((SIDE, SIDE), Image.Resampling.BOX, reducing_gap=2.0).convert("L")
    if turn is not None:  # the small copy: to turn the image itself would take longer than all the rest
        small = small.transpose(turn)
    spectrum = np.asarray(dctn(np.asarray(small, np.float64), norm="ortho"))
    found = spectrum[1 : FREQUENCIES + 1, 1 : FREQUENCIES + 1]
    if (found**2).sum() < LEAST_VARIANCE * SIDE**2:
        return ""
    return np.packbits(found > 1e-6).tobytes().hex()  # an exact 0 comes out of the transform as rounding
