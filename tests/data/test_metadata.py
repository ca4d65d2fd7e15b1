"""Damaged metadata of all kinds: what PIL gives up over them is decoded without, and noted."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from deepfake.modalities.image import decoding, features, inspection, metadata

PIXELS = np.random.default_rng(0).integers(0, 256, (9, 12, 3), dtype=np.uint8)


def encoded(form: str, **options) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(PIXELS).save(stream, form, **options)
    return stream.getvalue()


def exif() -> bytes:
    facts = Image.Exif()
    facts[0x0112] = 6
    return facts.tobytes()


def segment(marker: int, payload: bytes) -> bytes:
    return bytes([0xFF, marker]) + struct.pack(">H", len(payload) + 2) + payload


def chunk(kind: bytes, payload: bytes, wrong: int = 0) -> bytes:
    return struct.pack(">I", len(payload)) + kind + payload + struct.pack(">I", zlib.crc32(kind + payload) ^ wrong)


SEGMENTS = {
    "JFIF": segment(0xE0, b"JFIF\0\1"),
    "ICC": segment(0xE2, b"ICC_PROFILE\0"),
}
CHUNKS = {
    "a wrong checksum": chunk(b"tEXt", b"prompt\0a face", wrong=1),
    "much text": chunk(b"zTXt", b"workflow\0\0" + zlib.compress(b"x" * 3_000_000)),
    "a method that does not exist": chunk(b"iCCP", b"icc\0\7abc"),
    "a chunk cut short": chunk(b"pHYs", b"\0"),
    "no animation": chunk(b"acTL", b"\0"),
}


def check(data: bytes, expected: np.ndarray, notes: str) -> None:
    with pytest.raises(Exception), Image.open(io.BytesIO(data)) as image:  # noqa: B017 (PIL raises what it likes)
        image.load()
    found = inspection.inspect(data)
    assert isinstance(found, inspection.Picture)
    assert (found.width, found.height, found.notes) == (*expected.shape[1::-1], notes)
    np.testing.assert_array_equal(np.asarray(decoding.decoded(data, decoding.upright)), expected)
    assert features.of_file(data)["mean_r"] == pytest.approx(expected[..., 0].mean())


@pytest.mark.parametrize("name", SEGMENTS)
def test_a_jpeg_keeps_its_pixels_and_its_orientation(name):
    whole = encoded("JPEG", quality=95)
    pixels = np.asarray(Image.open(io.BytesIO(whole)))
    start = whole[:2]
    rest = whole[20:] if name == "JFIF" else whole[2:]
    check(start + SEGMENTS[name] + rest, pixels, "broken metadata")
    check(start + SEGMENTS[name] + segment(0xE1, exif()) + rest, np.rot90(pixels, -1), "broken metadata")
    broken = segment(0xE1, b"Exif\0\0" + bytes([0, 8, 0, 2, 1, 18, 0, 3]))
    check(start + SEGMENTS[name] + broken + rest, pixels, "broken EXIF")


@pytest.mark.parametrize("last", [False, True], ids=["before the pixels", "behind them"])
@pytest.mark.parametrize("name", CHUNKS)
def test_a_png_keeps_its_pixels_and_its_orientation(name, last):
    if last and name == "a wrong checksum":
        pytest.skip("PIL does not look at it there")
    for options, expected in (({}, PIXELS), ({"exif": exif()}, np.rot90(PIXELS, -1))):
        whole = encoded("PNG", **options)
        at = len(whole) - 12 if last else 33
        check(whole[:at] + CHUNKS[name] + whole[at:], expected, "broken metadata")


def test_transparency_of_a_palette_is_no_metadata():
    image = Image.fromarray(PIXELS).quantize(4)
    stream = io.BytesIO()
    image.save(stream, "PNG", transparency=bytes([0, 255, 255, 255]))
    whole = stream.getvalue()
    data = whole[:33] + CHUNKS["a wrong checksum"] + whole[33:]
    np.testing.assert_array_equal(
        np.asarray(decoding.decoded(data, decoding.upright)), np.asarray(decoding.decoded(whole, decoding.upright))
    )


def test_damaged_pixels_stay_damaged_and_are_named_as_before():
    for form in ("JPEG", "PNG"):
        data = encoded(form, exif=exif())
        with pytest.raises(Exception) as known, Image.open(io.BytesIO(data[:-60])) as image:
            image.load()
        assert inspection.inspect(data[:-60]) == f"cannot be decoded: {known.value}"


@pytest.mark.parametrize("form", ["JPEG", "PNG", "AVIF"])
def test_no_damage_raises(form):
    data = encoded(form, exif=exif())
    for end in range(len(data)):
        assert metadata.without(data[:end]) is None or isinstance(metadata.without(data[:end]), metadata.Bare)
    assert metadata.without(encoded("BMP")) is None
