"""What an encoded image is, or why it is refused: every file is decoded once, before anything relies on it."""

import io
import math
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from PIL import ExifTags, Image
from PIL.TiffImagePlugin import BITSPERSAMPLE, TiffImageFile

from deepfake.modalities.image import fingerprint

_FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "TIFF")
_EIGHT_BIT_MODES = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK", "YCbCr", "LAB", "HSV")
_SIDEWAYS = (5, 6, 7, 8)
"""The EXIF orientations that swap width and height."""


class Picture(NamedTuple):
    """What is known of an image that can be decoded; of several frames, the first."""

    width: int
    """Pixels of the upright image, its EXIF orientation applied."""
    height: int
    format: str
    """As PIL names it: JPEG, MPO, PNG, WEBP, BMP or TIFF."""
    mode: str
    """Of its pixels before any conversion, as PIL names it: RGB, L, P, CMYK, ..."""
    fingerprint: str = ""
    """Its perceptual hash (`fingerprint.of`); "" when it is flat, or was not decoded."""


def inspect(data: bytes) -> Picture | str:
    """Decode an image fully.

    Its content decides, not its name: a JPEG called .png is a JPEG.

    Args:
        data: the encoded file.

    Returns:
        What it is, or the reason why it is refused.
    """
    if not data:
        return "empty file"
    try:
        with Image.open(io.BytesIO(data), formats=_FORMATS) as image:
            if image.width * image.height > (Image.MAX_IMAGE_PIXELS or math.inf):
                return "too many pixels (decompression bomb)"
            image.load()
            if image.mode not in _EIGHT_BIT_MODES or _bits(image, data) > 8:
                return f"not 8 bits a channel (mode {image.mode})"
            width, height = image.size
            # PIL turns a TIFF while it loads it and then drops the tag
            orientation = image.getexif().get(ExifTags.Base.Orientation)
            if orientation in _SIDEWAYS:
                width, height = height, width
            return Picture(width, height, image.format or "", image.mode, fingerprint.of(image, orientation))
    except Image.UnidentifiedImageError:
        return f"not an image of a known format ({', '.join(_FORMATS)})"
    except (Image.DecompressionBombWarning, Image.DecompressionBombError):
        return "too many pixels (decompression bomb)"
    except Exception as error:
        # Mostly OSError, SyntaxError or ValueError. But PIL's decoders let through whatever a broken file makes them
        # stumble over (OverflowError, TypeError, struct.error were seen), and one file must not end the run.
        return f"cannot be decoded: {error or type(error).__name__}"


@contextmanager
def quiet() -> Iterator[None]:
    """Keep what PIL warns about from the user: `inspect` refuses or accepts, and says why.

    To be entered before threads start: the filters of `warnings` belong to the process, and a thread that leaves
    them would disarm its neighbour.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"PIL\.")
        yield


def _bits(image: Image.Image, data: bytes) -> int:
    """Return the bits a channel has in the file: PIL reduces 16-bit colour to 8 bits without a word."""
    if image.format == "PNG":
        return data[24]  # the bit depth in the header, PNG specification 11.2.2
    if isinstance(image, TiffImageFile):
        return max(image.tag_v2.get(BITSPERSAMPLE, (8,)))
    return 8
