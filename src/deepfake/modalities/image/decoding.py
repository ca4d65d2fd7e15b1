"""From an encoded file to its upright pixels in RGB: one way for inspection, views, features and predictions.

The first frame counts. The EXIF orientation is applied, that of XMP is not. Transparent pixels lie on white.
"""

import io
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TypeVar

from PIL import Image
from PIL.ImageFile import ImageFile
from PIL.TiffImagePlugin import TiffImageFile

from deepfake.modalities.image import metadata, orientation

FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF", "AVIF", "JPEG2000")
"""What is decoded, as PIL names it; MPO, a JPEG with further pictures, is opened as JPEG."""
BARE = "opened without its metadata"
_OPAQUE = 255

T = TypeVar("T")


@contextmanager
def quiet() -> Iterator[None]:
    """Keep what PIL warns about from the user: `inspection.inspect` refuses or accepts, and says why.

    To be entered before threads start: the filters of `warnings` belong to the process, and a thread that leaves
    them would disarm its neighbour.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"PIL\.")
        yield


@contextmanager
def opened(data: bytes, formats: tuple[str, ...] = FORMATS) -> Iterator[ImageFile]:
    """Open an encoded file; nothing but its header is read yet.

    Raises:
        PIL.UnidentifiedImageError: it is of no known format.
    """
    with Image.open(io.BytesIO(data), formats=formats) as image:
        if isinstance(image, TiffImageFile) and orientation.TAG not in image.tag_v2:
            # PIL turns a TIFF while it loads it, by its XMP where it has no tag
            image.getexif().pop(orientation.TAG, None)
        yield image


def decoded(data: bytes, use: Callable[[ImageFile], T]) -> T:
    """Open an encoded file and use it; where that fails, once more without the file's metadata.

    Args:
        data: the encoded file.
        use: what loads it. `BARE` in the image's `info` tells it of the second time.

    Raises:
        Exception: whatever PIL stumbled over the first time.
    """
    try:
        with opened(data) as image:
            return use(image)
    except Exception:
        bare = metadata.without(data)
        if bare is None:
            raise
        with suppress(Exception), opened(bare.data) as image:
            image.info[BARE] = True
            image.info.setdefault("exif", bare.exif)  # an AVIF has an orientation of its own, which PIL puts there
            return use(image)
        raise


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
