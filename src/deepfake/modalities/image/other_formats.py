"""Files that are no image of a known format, named by what they are, with what to do about it."""

import re
import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL.TiffImagePlugin import TiffImageFile

_CONVERT = "convert it to PNG or JPEG without changing its size"
_HEIC = f"HEIC: {_CONVERT}, e.g. magick IN.heic OUT.png"
_JXL = f"JPEG XL: {_CONVERT}, e.g. djxl IN.jxl OUT.png"
_SVG = "SVG: a drawing and no photograph; leave it out"
_RAW = f"camera raw: {_CONVERT}, e.g. darktable-cli IN OUT.png"
VIDEO = "video: a clip and no image; to have its frames as images, e.g. ffmpeg -i IN OUT%05d.png"
AUDIO = "audio: a recording and no image"
"""What is said of files of other modalities."""

_STARTS = (
    (b"\xff\xd8\xff", "cannot be decoded: a JPEG of more than 8 bits a channel, or with a damaged header"),
    (b"\xff\x0a", _JXL),
    (b"\0\0\0\x0cJXL \r\n\x87\n", _JXL),
    # Matroska and WebM, Flash, Windows Media, MPEG
    (b"\x1aE\xdf\xa3", VIDEO),
    (b"FLV\1", VIDEO),
    (b"0&\xb2u\x8ef\xcf\x11", VIDEO),
    (b"\0\0\1\xba", VIDEO),
    (b"\0\0\1\xb3", VIDEO),
    (b"fLaC", AUDIO),
    (b"OggS", AUDIO),
    (b"ID3", AUDIO),
    (b"#!AMR", AUDIO),
    # Fujifilm, Olympus, Panasonic, Sigma
    (b"FUJIFILMCCD-RAW", _RAW),
    (b"IIRO", _RAW),
    (b"IIRS", _RAW),
    (b"IIU\0", _RAW),
    (b"FOVb", _RAW),
)
_RIFF = {b"AVI ": VIDEO, b"WAVE": AUDIO}
_AIFF = (b"AIFF", b"AIFC")
_HEIF = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"mif2", b"msf1"}
"""Brands of ISO/IEC 23008-12; AVIF has its own among them and is decoded."""
_BRANDS = dict.fromkeys(_HEIF, _HEIC) | {b"crx ": _RAW, b"M4A ": AUDIO, b"M4B ": AUDIO}
_AVIF = {b"avif", b"avis"}
_QUICKTIME = (b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot")
"""What old QuickTime files begin with."""
_MP3 = re.compile(rb"\xff[\xfa\xfb\xf2\xf3\xf1\xf9]")
"""Frames of MPEG audio, layer III, and of AAC (ADTS)."""
_DRAWING = re.compile(rb"<(?:\w+:)?svg[\s>]")
_PAGE = re.compile(rb"<html[\s>]", re.IGNORECASE)
_PACKET = 188
"""Bytes of a packet in an MPEG transport stream; each begins with a G."""
_HEAD = 1 << 12
_DNG_VERSION, _SUBFILE, _SUB_DIRECTORIES, _REDUCED = 50706, 254, 330, 1
"""Tags of TIFF, and what the second says of a preview."""


def named(data: bytes) -> str:
    """Return what a file is that cannot be decoded, and what to do about it; nothing of what is not known.

    Args:
        data: the file, or its first kilobytes.
    """
    head = data[:_HEAD]
    if head[4:8] == b"ftyp":
        (end,) = struct.unpack(">I", head[:4])
        brands = [head[8:12], *(head[at : at + 4] for at in range(16, min(end, len(head)), 4))]
        if not _AVIF.isdisjoint(brands):
            return "cannot be decoded: a damaged AVIF"
        return next((_BRANDS[brand] for brand in brands if brand in _BRANDS), VIDEO)
    if head[:4] == b"RIFF" and head[8:12] in _RIFF:
        return _RIFF[head[8:12]]
    if head[:4] == b"FORM" and head[8:12] in _AIFF:
        return AUDIO
    if head[4:8] in _QUICKTIME or head[: 3 * _PACKET : _PACKET] == b"GGG":
        return VIDEO
    if _DRAWING.search(head) and not _PAGE.search(head):
        return _SVG
    known = next((words for start, words in _STARTS if head.startswith(start)), "")
    return known or (AUDIO if _MP3.match(head) else "")


def raw(image: "TiffImageFile", data: bytes) -> str:
    """Return what to do about a TIFF that is a camera's raw file; nothing of any other.

    PIL would take its preview for the picture.
    """
    tags = image.tag_v2
    is_preview = tags.get(_SUBFILE, 0) & _REDUCED and _SUB_DIRECTORIES in tags
    return _RAW if data[8:10] == b"CR" or _DNG_VERSION in tags or is_preview else ""
