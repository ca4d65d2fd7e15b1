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
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""What sets a picture of an EXIF orientation upright."""


def of(image: Image.Image, orientation: int | None) -> str:
    """Return the hash of an image that is loaded.

    Args:
        image: as it is stored.
        orientation: its EXIF orientation, if it has one.

    Returns:
        64 hexadecimal digits, or "" for a picture that is flat.
    """
    if "transparency" in image.info:
        image = image.convert("RGBA")  # Pillow warns of palettes that lose theirs at once
    plain = image if image.mode in ("L", "RGB") else image.convert("RGB")
    small = plain.resize((SIDE, SIDE), Image.Resampling.BOX, reducing_gap=2.0).convert("L")
    if orientation in _TURNS:
        small = small.transpose(_TURNS[orientation])
    spectrum = np.asarray(dctn(np.asarray(small, np.float64), norm="ortho"))
    found = spectrum[1 : FREQUENCIES + 1, 1 : FREQUENCIES + 1]
    if (found**2).sum() < LEAST_VARIANCE * SIDE**2:
        return ""
    return np.packbits(found > 1e-6).tobytes().hex()  # an exact 0 comes out of the transform as rounding
