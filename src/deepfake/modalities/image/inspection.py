"""What an encoded image is, or why it is refused: every file is decoded once, before anything relies on it."""

import math
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple

from PIL import Image
from PIL.ImageFile import ImageFile
from PIL.TiffImagePlugin import BITSPERSAMPLE, TiffImageFile

from deepfake.modalities.image import decoding, fingerprint, orientation, other_formats

_EIGHT_BIT_MODES = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK", "YCbCr", "LAB", "HSV")

_LARGEST = 512 * 2**20
"""Bytes of a file that is looked at."""


class Picture(NamedTuple):
    """What is known of an image that can be decoded; of several frames, the first."""

    width: int
    """Pixels of the upright image, its EXIF orientation applied."""
    height: int
    format: str
    """As PIL names it: JPEG, MPO, PNG, WEBP, BMP, TIFF, GIF, AVIF or JPEG2000."""
    mode: str
    """Of its pixels before any conversion, as PIL names it: RGB, L, P, CMYK, ..."""
    fingerprint: str = ""
    """Its perceptual hash (`fingerprint.of`); "" when it is flat, or was not decoded."""
    notes: str = ""
    """What was odd, and what was made of it (`_notes`), with "; " between; mostly nothing."""


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
        return decoding.decoded(data, partial(_seen, data=data))
    except Image.UnidentifiedImageError:
        return other_formats.named(data) or f"not an image of a known format ({', '.join(decoding.FORMATS)})"
    except (Image.DecompressionBombWarning, Image.DecompressionBombError):
        return "too many pixels (decompression bomb)"
    except Exception as error:
        # Mostly OSError, SyntaxError or ValueError. But PIL's decoders let through whatever a broken file makes them
        # stumble over (OverflowError, TypeError, struct.error were seen), and one file must not end the run.
        return f"cannot be decoded: {error or type(error).__name__}"


def glance(data: bytes) -> Picture | str:
    """Return what `inspect` says; of a JPEG what its header says, for decoding will tell the rest."""
    try:
        with decoding.opened(data, ("JPEG",)) as image:
            width, height = image.size
            held = orientation.of(image)
            is_odd = not held.sound or orientation.contradicted(image, held.value)
            fits = width * height <= (Image.MAX_IMAGE_PIXELS or width * height)
            if fits and image.mode in ("RGB", "L") and not is_odd:
                return Picture(*orientation.upright_size(image.size, held.value), image.format or "", image.mode)
    except Exception:
        # whatever PIL stumbles over in a broken header: the inspection catches it too, and has words for it
        pass
    return inspect(data)


def recognises(path: Path) -> bool:
    """Tell whether a file begins as an image does, and is none that is too large to be read."""
    try:
        if path.stat().st_size > _LARGEST:  # PIL reads some formats whole for their header
            return False
        with Image.open(str(path), formats=decoding.FORMATS):
            return True
    except Image.UnidentifiedImageError:
        return False
    except Exception:
        # too many pixels, a broken header, a file that may not be read: who reads it has words for it
        return True


def _seen(image: ImageFile, data: bytes) -> Picture | str:
    """Return what an image is that is opened, or why it is refused; raises whatever PIL does when it loads it."""
    if isinstance(image, TiffImageFile) and (words := other_formats.raw(image, data)):
        return words
    if image.width * image.height > (Image.MAX_IMAGE_PIXELS or math.inf):
        return "too many pixels (decompression bomb)"
    image.load()
    if image.mode not in _EIGHT_BIT_MODES or _bits(image, data) > 8:
        return f"not 8 bits a channel (mode {image.mode}); convert it"
    held = orientation.of(image)
    flat, transparent = decoding.on_white(image)
    width, height = orientation.upright_size(image.size, held.value)
    seen = fingerprint.of(flat, orientation.TURNS.get(held.value))
    notes = "; ".join(_notes(image, held, transparent))
    return Picture(width, height, image.format or "", image.mode, seen, notes)


def _notes(image: ImageFile, held: orientation.Orientation, transparent: bool) -> Iterator[str]:
    """Yield what is odd about an image whose pixels are whole; of its frames the last thing that is looked at."""
    if not held.sound:
        yield "broken EXIF"
    elif decoding.BARE in image.info:
        yield "broken metadata"
    if orientation.contradicted(image, held.value):
        yield "orientation in XMP not applied"
    if transparent:
        yield "transparency on white"
    try:
        if getattr(image, "is_animated", False):
            yield f"first of {image.n_frames} frames"  # pyright: ignore[reportAttributeAccessIssue]
    except Exception:  # a later frame is damaged, which PIL finds out in many ways
        yield "first of several frames"


def _bits(image: Image.Image, data: bytes) -> int:
    """Return the bits a channel has in the file: PIL reduces what has more to 8 bits without a word."""
    if image.format == "PNG":
        return data[24]  # the bit depth in the header, PNG specification 11.2.2
    if isinstance(image, TiffImageFile):
        return max(image.tag_v2.get(BITSPERSAMPLE, (8,)))
    if image.format == "JPEG2000":
        start = data.index(b"\xff\x4f\xff\x51")  # the codestream's first two markers, ITU-T T.800 annex A.5.1
        count = int.from_bytes(data[start + 40 : start + 42])
        return max((depth & 0x7F) + 1 for depth in data[start + 42 : start + 42 + 3 * count : 3])
    if image.format == "AVIF":
        box = data.find(b"av1C")  # AV1 Codec ISO Media File Format Binding, 2.3: high_bitdepth
        return 10 if box >= 0 and data[box + 6] & 0x40 else 8
    return 8
