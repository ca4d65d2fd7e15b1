"""Files that are no image of a known format are named; what they begin with is taken from their specifications."""

import io
import struct

import pytest
from PIL import Image

from deepfake.modalities.image import inspection, other_formats


def boxes(*brands: bytes) -> bytes:
    """Return the beginning of an ISO base media file: the box of its brands."""
    return struct.pack(">I", 16 + 4 * (len(brands) - 1)) + b"ftyp" + brands[0] + bytes(4) + b"".join(brands[1:])


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (boxes(b"heic", b"mif1", b"heic"), "HEIC: convert it to PNG or JPEG without changing its size, e.g."),
        (boxes(b"mif1", b"heic", b"miaf"), "HEIC: convert it"),
        (boxes(b"heix", b"mif1"), "HEIC: convert it"),
        (b"\xff\x0a\x7a\x12", "JPEG XL: convert it"),
        (b"\0\0\0\x0cJXL \r\n\x87\n\0\0", "JPEG XL: convert it"),
        (b'<?xml version="1.0"?>\n<svg xmlns="http://www.w3.org/2000/svg"/>', "SVG: "),
        (b"<svg>", "SVG: "),
        (boxes(b"isom", b"iso2", b"avc1", b"mp41"), "video: "),
        (boxes(b"qt  ", b"qt  "), "video: "),
        (boxes(b"3gp4"), "video: "),
        (struct.pack(">I", 8) + b"wide" + bytes(20), "video: "),
        (b"RIFF\x24\0\0\0AVI LIST", "video: "),
        (b"\x1aE\xdf\xa3\x01\0", "video: "),
        ((b"G" + bytes(187)) * 4, "video: "),
        (boxes(b"M4A ", b"isom"), "audio: "),
        (b"RIFF\x24\0\0\0WAVEfmt ", "audio: "),
        (b"fLaC\0\0\0\x22", "audio: "),
        (b"ID3\x04\0", "audio: "),
        (b"\xff\xfb\x90\0", "audio: "),
        (boxes(b"crx ", b"isom"), "camera raw: convert it"),
        (b"FUJIFILMCCD-RAW 0201", "camera raw: convert it"),
        (b"IIU\0\x18\0\0\0", "camera raw: convert it"),
        (boxes(b"avif", b"mif1"), "cannot be decoded: a damaged AVIF"),
        (b"<html><body><svg></svg>", "not an image of a known format"),
        (b"Good morning, " * 60, "not an image of a known format"),
        (b"G", "not an image of a known format"),
        (bytes(64), "not an image of a known format"),
    ],
)
def test_it_is_refused_by_its_name(data, words):
    assert str(inspection.inspect(data)).startswith(words)
    assert "\n" not in str(inspection.inspect(data))


def test_no_beginning_raises():
    for data in (boxes(b"heic", b"mif1"), b"RIFF\x24\0\0\0AVI ", b"\0\0\0\x0cJXL \r\n\x87\n"):
        for end in range(len(data)):
            assert isinstance(other_formats.named(data[:end]), str)


@pytest.mark.parametrize("tags", [{50706: b"\1\4\0\0"}, {254: 1, 330: (8,)}], ids=["DNG", "a preview first"])
def test_a_raw_file_is_not_taken_for_its_preview(tags):
    stream = io.BytesIO()
    Image.new("RGB", (16, 12)).save(stream, "TIFF", tiffinfo=tags)
    assert str(inspection.inspect(stream.getvalue())).startswith("camera raw: convert it")
    stream = io.BytesIO()
    Image.new("RGB", (16, 12)).save(stream, "TIFF", tiffinfo={254: 0})
    assert isinstance(inspection.inspect(stream.getvalue()), inspection.Picture)
