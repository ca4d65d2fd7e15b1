"""Encoded images without their metadata: these may be so damaged that a decoder does not reach the pixels, or dies."""

from collections.abc import Iterator
from typing import NamedTuple

_SOI, _PNG = b"\xff\xd8", b"\x89PNG\r\n\x1a\n"
_SOS, _COMMENT, _APP0, _APP1, _APP14, _APP15 = 0xDA, 0xFE, 0xE0, 0xE1, 0xEE, 0xEF
"""Markers of JPEG. APP14 is Adobe's, which says how colours are coded."""
_HUFFMAN = (0xC0, 0xC1, 0xC2)
"""Markers of the frames that every decoder knows (ITU-T T.81, table B.1)."""
_EXIF = b"Exif\0\0"
_NEEDED = (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND")
"""Chunks of PNG that decide its pixels."""
_BROKEN = b"broken"
"""EXIF data that `orientation.read` finds broken."""


class Bare(NamedTuple):
    """An encoded image without metadata.

    Args:
        data: what is left.
        exif: its EXIF data as they stood there.
        usual: whether it is a JPEG of 8 bits with Huffman coding, baseline or progressive, whose header is in order.
    """

    data: bytes
    exif: bytes
    usual: bool = False


def without(data: bytes) -> Bare | None:
    """Return a JPEG, PNG or AVIF without its metadata; nothing of what has none, or of other formats."""
    if data.startswith(_SOI):
        bare = of_jpeg(data)
    elif data.startswith(_PNG):
        chunks = list(_chunks(data))
        exif = next((_EXIF + chunk[8:-4] for kind, chunk in chunks if kind == b"eXIf"), b"")
        bare = Bare(_PNG + b"".join(chunk for kind, chunk in chunks if kind in _NEEDED), exif)
    elif data[4:8] == b"ftyp":  # an item of an unknown type is passed over
        bare = Bare(data.replace(b"Exif", b"none"), _BROKEN)
    else:
        return None
    return None if bare.data == data else bare


def of_jpeg(data: bytes) -> Bare:
    """Return a JPEG without comments and application segments."""
    kept, exif, at, is_usual = [_SOI], b"", 2, False
    while data[at : at + 1] == b"\xff" and at + 4 <= len(data):
        marker = data[at + 1]
        if marker == _SOS:
            return Bare(b"".join([*kept, data[at:]]), exif, is_usual)
        if marker == 0xFF:  # it fills up
            at += 1
            continue
        end = at + 2 + int.from_bytes(data[at + 2 : at + 4])
        segment = data[at:end]
        if marker == _APP1 and segment[4:10] == _EXIF:
            exif += segment[10:] if exif else segment[4:]  # long ones go on in another segment
        if marker in _HUFFMAN:
            is_usual = segment[4:5] == b"\x08"
        if marker == _APP14 or (marker != _COMMENT and not _APP0 <= marker <= _APP15):
            kept.append(segment)
        at = end
    return Bare(b"".join([*kept, data[at:]]), exif)


def _chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield the kind of each chunk of a PNG, and the whole chunk."""
    at = len(_PNG)
    while at + 12 <= len(data):
        end = at + 12 + int.from_bytes(data[at : at + 4])
        yield data[at + 4 : at + 8], data[at:end]
        at = end
