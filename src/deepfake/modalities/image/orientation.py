"""How a picture was held: its EXIF orientation, read and applied in one way whatever decodes it.

Decoders disagree: PIL falls back on XMP, where editors leave what no longer holds, and raises or warns at damage; DALI
reads other types of values, and 2.4.0 ends the process at a second EXIF segment. So the entry is read here.
"""

import re
import struct
from typing import NamedTuple

from PIL import Image

TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""What sets a picture of an EXIF orientation upright."""
TAG = 0x0112
_SIDEWAYS = (5, 6, 7, 8)
"""The orientations that swap width and height."""
_MIRRORED_X, _MIRRORED_Y = (2, 3, 7, 8), (3, 4, 6, 7)
"""The orientations whose stored columns, or rows, count from the other end than the picture's."""
_PREFIX = b"Exif\0\0"
_ORDERS = {b"II*\0": "<", b"MM\0*": ">"}
_SHORT, _LONG = 3, 4
_SIZES = {1: 1, 2: 1, _SHORT: 2, _LONG: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8}
"""Bytes of a value of each type (TIFF 6.0, section 2)."""
_XMP = re.compile(rb"tiff:Orientation\s*(?:=\s*[\"']|>)\s*([1-8])")

Region = tuple[int, int, int, int]
"""Left, top, right, bottom in pixels."""


class Orientation(NamedTuple):
    """How a picture is stored.

    Args:
        value: of the EXIF orientation, 1 to 8; 1 where there is none that can be read.
        sound: whether the first directory of the EXIF data is whole; also where there are none.
    """

    value: int
    sound: bool


def of(image: Image.Image) -> Orientation:
    """Return the orientation of an image that is loaded; XMP is not asked.

    A TIFF is upright once it is loaded (`decoding.opened`). Of a JPEG the header is enough.
    """
    exif = image.info.get("exif", b"")
    profile = image.info.get("Raw profile type exif")
    if not exif and profile:  # as ImageMagick writes it into a PNG: name and length in lines, then hexadecimal digits
        try:
            exif = bytes.fromhex("".join(profile.split("\n")[3:]))
        except ValueError:
            return Orientation(1, False)
    return read(exif)


def read(exif: bytes) -> Orientation:
    """Return what EXIF data say; what can be read counts, also where other entries are damaged."""
    data = exif.removeprefix(_PREFIX).removeprefix(_PREFIX)  # some writers put it there twice
    order = _ORDERS.get(data[:4])
    if order is None:
        return Orientation(1, not data)
    value, sound = 0, True
    try:
        (start,) = struct.unpack_from(f"{order}I", data, 4)
        (count,) = struct.unpack_from(f"{order}H", data, start)
        for at in range(start + 2, start + 2 + 12 * count, 12):
            tag, kind, number, long = struct.unpack_from(f"{order}HHII", data, at)
            size = _SIZES.get(kind, 0) * number
            sound &= size <= 4 or long + size <= len(data)
            if tag == TAG and kind in (_SHORT, _LONG) and 0 < size <= 4 and not value:
                value = long if kind == _LONG else struct.unpack_from(f"{order}H", data, at + 8)[0]
    except struct.error:
        sound = False
    return Orientation(value if value in TURNS else 1, sound)


def contradicted(image: Image.Image, orientation: int) -> bool:
    """Tell whether an image's XMP data name another orientation than the one that is applied."""
    xmp = image.info.get("xmp", b"")
    found = _XMP.search(xmp if isinstance(xmp, bytes) else xmp.encode())
    return found is not None and int(found[1]) != orientation


def upright_size(size: tuple[int, int], orientation: int) -> tuple[int, int]:
    """Return width and height of the upright picture."""
    width, height = size
    return (height, width) if orientation in _SIDEWAYS else size


def stored(region: Region, size: tuple[int, int], orientation: int) -> Region:
    """Return where a region of the upright picture lies in the picture as it is stored.

    Args:
        region: in pixels of the upright picture; it may reach beyond it.
        size: width and height as it is stored.
        orientation: the EXIF orientation.
    """
    left, top, right, bottom = region
    if orientation in _SIDEWAYS:
        left, top, right, bottom = top, left, bottom, right
    if orientation in _MIRRORED_X:
        left, right = size[0] - right, size[0] - left
    if orientation in _MIRRORED_Y:
        top, bottom = size[1] - bottom, size[1] - top
    return left, top, right, bottom
