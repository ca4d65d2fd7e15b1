"""Encoded images without their metadata: for those whose metadata are so damaged that no decoder reaches the pixels."""

from collections.abc import Iterator
from typing import NamedTuple

_SOI, _PNG = b"\xff\xd8", b"\x89PNG\r\n\x1a\n"
_SOS, _COMMENT, _APP0, _APP1, _APP14, _APP15 = 0xDA, 0xFE, 0xE0, 0xE1, 0xEE, 0xEF
"""Markers of JPEG. APP14 is Adobe's, which says how colours are coded."""
_EXIF = b"Exif\0\0"
_NEEDED = (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND")
"""Chunks of PNG that decide its pixels."""
_BROKEN = b"broken"
"""EXIF data that `orientation.read` finds broken."""


class Bare(NamedTuple):
    """An encoded image without metadata, and its EXIF data as they stood there."""

    data: bytes
    exif: bytes


def without(data: bytes) -> Bare | None:
    """Return a JPEG, PNG or AVIF without its metadata; nothing of what has none, or of other formats."""
    if data.startswith(_SOI):
        bare = _jpeg(data)
    elif data.startswith(_PNG):
        chunks = list(_chunks(data))
        exif = next((_EXIF + chunk[8:-4] for kind, chunk in chunks if kind == b"eXIf"), b"")
        bare = Bare(_PNG + b"".join(chunk for kind, chunk in chunks if kind in _NEEDED), exif)
    elif data[4:8] == b"ftyp":  # an item of an unknown type is passed over
        bare = Bare(data.replace(b"Exif", b"none"), _BROKEN)
    else:
        return None
    return None if bare.data == data else bare


def _jpeg(data: bytes) -> Bare:
    """Return a JPEG without comments and application segments."""
    kept, exif, at = [_SOI], b"", 2
    while data[at : at + 1] == b"\xff" and at + 4 <= len(data):
        marker = data[at + 1]
        if marker == _SOS:
            break
        if marker == 0xFF:  # it fills up
            at += 1
            continue
        end = at + 2 + int.from_bytes(data[at + 2 : at + 4])
        segment = data[at:end]
        if marker == _APP1 and segment[4:10] == _EXIF:
            exif = exif or segment[4:]
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
