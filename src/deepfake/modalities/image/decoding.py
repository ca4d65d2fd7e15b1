"""From an encoded file to its upright pixels in RGB: one way for inspection, views, features and predictions.

The first frame counts. The EXIF orientation is applied, that of XMP is not. Transparent pixels lie on white.
"""

import io
from collections.abc import Iterator
from contextlib import contextmanager

from PIL import Image
from PIL.ImageFile import ImageFile
from PIL.TiffImagePlugin import TiffImageFile

from deepfake.modalities.image import orientation

FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF", "AVIF", "JPEG2000")
"""What is decoded, as PIL names it; MPO, a JPEG with further pictures, is opened as JPEG."""
_OPAQUE = 255
_BROKEN = b"broken"
"""EXIF data that `orientation.read` finds broken."""


@contextmanager
def opened(data: bytes, formats: tuple[str, ...] = FORMATS) -> Iterator[ImageFile]:
    """Open an encoded file; nothing but its header is read yet.

    Raises:
        PIL.UnidentifiedImageError: it is of no known format.
    """
    with _open(data, formats) as image:
        if isinstance(image, TiffImageFile) and orientation.TAG not in image.tag_v2:
            # PIL turns a TIFF while it loads it, by its XMP where it has no tag
            image.getexif().pop(orientation.TAG, None)
        yield image


def upright(image: ImageFile) -> Image.Image:
    """Return the pixels of an image that is opened: RGB, turned upright, transparency on white."""
    image.load()
    flat, _ = on_white(image)
    turn = orientation.TURNS.get(orientation.of(image).value)
    return (flat if turn is None else flat.transpose(turn)).convert("RGB")


def on_white(image: Image.Image) -> tuple[Image.Image, bool]:
    """Return an image that is loaded in L or RGB, what is transparent on white, and whether anything is."""
    if image.has_transparency_data:
        image = image.convert("RGBA")
        if image.getchannel("A").histogram()[_OPAQUE] < image.width * image.height:
            return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB"), True
    return image if image.mode in ("L", "RGB") else image.convert("RGB"), False


def _open(data: bytes, formats: tuple[str, ...]) -> ImageFile:
    """Open a file; where PIL stumbles over EXIF data at once, as it does of AVIF, without them."""
    try:
        return Image.open(io.BytesIO(data), formats=formats)
    except Exception:  # PIL and libavif raise what they like
        if b"Exif" not in data:
            raise
    image = Image.open(io.BytesIO(data.replace(b"Exif", b"none")), formats=formats)
    image.info.setdefault("exif", _BROKEN)  # an AVIF has an orientation of its own, which PIL puts there
    return image
