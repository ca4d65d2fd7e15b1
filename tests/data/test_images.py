import io
import random
import struct
import threading
import warnings
import zlib
from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import pytest
from PIL import Image, ImageSequence

from deepfake.modalities.image import decoding, inspection


def encoded(form: str = "JPEG", size: tuple[int, int] = (12, 9), mode: str = "RGB", **options) -> bytes:
    noise = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    image = Image.fromarray(noise).convert(mode)
    if mode.endswith("A"):
        image.putalpha(100)
    stream = io.BytesIO()
    image.save(stream, form, **options)
    return stream.getvalue()


def rotated(form: str, orientation: int) -> bytes:
    exif = Image.Exif()
    exif[274] = orientation
    return encoded(form, exif=exif)


def frames(form: str) -> bytes:
    """Return an animation or a stereo pair whose second frame is another picture."""
    return encoded(form, save_all=True, append_images=[Image.new("RGB", (12, 9), "red")])


def cv2_encoded(suffix: str, pixels: np.ndarray, *options: int) -> bytes:
    return cv2.imencode(suffix, pixels, options)[1].tobytes()


def png(width: int, height: int, *, interlaced: bool = False, rows: bytes = b"") -> bytes:
    """Write a gray PNG by hand, as its specification says: header, pixels, end."""
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, int(interlaced))
    parts = [(b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    chunks = (
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in parts
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


@pytest.mark.parametrize(
    ("form", "mode"),
    [
        ("JPEG", "RGB"),
        ("JPEG", "L"),
        ("JPEG", "CMYK"),
        ("PNG", "1"),
        ("PNG", "L"),
        ("PNG", "P"),
        ("PNG", "LA"),
        ("PNG", "RGBA"),
        ("WEBP", "RGB"),
        ("WEBP", "RGBA"),
        ("BMP", "RGB"),
        ("TIFF", "RGB"),
        ("TIFF", "CMYK"),
        ("GIF", "P"),
        ("AVIF", "RGB"),
        ("AVIF", "RGBA"),
        ("JPEG2000", "L"),
        ("JPEG2000", "RGB"),
        ("JPEG2000", "RGBA"),
    ],
)
def test_what_has_eight_bits_is_taken_as_it_is(form, mode):
    assert inspection.inspect(encoded(form, (12, 9), mode))[:4] == (12, 9, form, mode)


def test_one_pixel_is_an_image():
    assert inspection.inspect(encoded("PNG", (1, 1)))[:4] == (1, 1, "PNG", "RGB")


def test_a_palette_with_transparency_is_taken():
    image = Image.new("P", (12, 9))
    image.putpalette([0, 0, 0, 255, 0, 0])
    stream = io.BytesIO()
    image.save(stream, "PNG", transparency=b"\x00\x80")
    assert inspection.inspect(stream.getvalue())[:4] == (12, 9, "PNG", "P")


def test_an_interlaced_png_is_taken():
    # 2 x 2 px have two pixels in pass 1 and 6 and a row in pass 7 (PNG specification 8.2), each row after a filter byte
    rows = b"\x00\x01" + b"\x00\x02" + b"\x00\x03\x04"
    assert inspection.inspect(png(2, 2, interlaced=True, rows=rows))[:4] == (2, 2, "PNG", "L")


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
def test_width_and_height_are_those_of_the_upright_image(form, orientation):
    # EXIF 2.3, tag 0x0112: from 5 on, rows of the file are columns of the picture
    expected = (9, 12) if orientation >= 5 else (12, 9)
    assert inspection.inspect(rotated(form, orientation))[:2] == expected


def test_an_orientation_that_does_not_exist_changes_nothing():
    assert inspection.inspect(rotated("JPEG", 9))[:2] == (12, 9)


@pytest.mark.parametrize("form", ["PNG", "WEBP", "MPO", "TIFF", "GIF", "AVIF"])
def test_of_several_frames_the_first_counts(form):
    data = frames(form)
    with Image.open(io.BytesIO(data)) as image:
        first, _ = (np.asarray(frame.convert("RGB")) for frame in ImageSequence.Iterator(image))
    found = inspection.inspect(data)
    assert found[:3] == (12, 9, form)
    assert found[5] == "first of 2 frames"
    with decoding.opened(data) as image:
        np.testing.assert_array_equal(np.asarray(decoding.upright(image)), first)


def test_an_animation_whose_later_frames_are_damaged_has_a_first_one():
    data = frames("GIF")
    for cut in range(1, 46):
        found = inspection.inspect(data[:-cut])
        assert found[:3] == (12, 9, "GIF")
        assert found[5].startswith("first of")


def test_transparency_is_noted_where_there_is_any():
    image = Image.new("RGBA", (12, 9), (10, 20, 30, 255))
    for alpha, notes in ((255, ""), (254, "transparency on white")):
        image.putpixel((3, 4), (10, 20, 30, alpha))
        stream = io.BytesIO()
        image.save(stream, "PNG")
        assert inspection.inspect(stream.getvalue())[5] == notes


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty file"),
        (b"this is text", "not an image of a known format"),
        (encoded("JPEG", (64, 64))[:-400], "cannot be decoded: .*truncated"),
        (encoded("PNG", (64, 64))[:-5000], "cannot be decoded"),
        (cv2_encoded(".png", np.full((9, 12), 40_000, np.uint16)), "not 8 bits a channel"),
        (cv2_encoded(".png", np.full((9, 12, 3), 40_000, np.uint16)), "not 8 bits a channel"),
        (cv2_encoded(".png", np.full((9, 12, 4), 40_000, np.uint16)), "not 8 bits a channel"),
        (cv2_encoded(".tiff", np.full((9, 12), 40_000, np.uint16)), "not 8 bits a channel"),
        (cv2_encoded(".jp2", np.full((64, 64, 3), 40_000, np.uint16)), "not 8 bits a channel"),
        (cv2_encoded(".avif", np.full((9, 12, 3), 900, np.uint16), cv2.IMWRITE_AVIF_DEPTH, 10), "not 8 bits a channel"),
    ],
    ids=["empty", "text", "cut JPEG", "cut PNG", "16-bit L", "16-bit RGB", "16-bit RGBA", "TIFF", "JP2", "AVIF"],
)
def test_what_cannot_be_used_is_refused_with_a_reason(data, reason):
    found = inspection.inspect(data)
    assert isinstance(found, str)
    assert found.startswith(reason.split(": ")[0])
    assert reason.split("*")[-1] in found


def test_a_jpeg_of_twelve_bits_is_refused_as_such():
    data = bytearray(encoded("JPEG"))
    data[data.index(b"\xff\xc0\0\x11\x08") + 4] = 12  # the precision in the frame header, ITU-T T.81 B.2.2
    assert "more than 8 bits a channel" in str(inspection.inspect(bytes(data)))


def test_a_bomb_is_refused_before_it_is_decoded(monkeypatch):
    # 20,000 x 20,000 px would take 400 MB
    monkeypatch.setattr(Image.Image, "load", lambda self: pytest.fail("it was decoded"))
    assert inspection.inspect(png(20_000, 20_000)) == "too many pixels (decompression bomb)"


@pytest.mark.parametrize("factor", [1.5, 3.0], ids=["PIL warns", "PIL refuses"])
def test_the_limit_is_that_of_pil(monkeypatch, factor):
    data = encoded("PNG", (100, 60))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", int(6000 / factor))
    with decoding.quiet():
        assert inspection.inspect(data) == "too many pixels (decompression bomb)"
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 6000)
    assert inspection.inspect(data)[:4] == (100, 60, "PNG", "RGB")


def test_nothing_that_pil_warns_about_leaks_from_a_thread(monkeypatch):
    # a directory entry beyond the end of the file is one of the things that PIL warns about
    exif = Image.Exif()
    exif[270] = "x" * 50
    cut = exif.tobytes()[:-20]
    data = encoded("JPEG", exif=cut)
    with pytest.warns(UserWarning), Image.open(io.BytesIO(data)) as image:
        image.getexif().get(270)
    started = threading.Barrier(2, timeout=5)

    def inspect(_):
        started.wait()
        return inspection.inspect(data)

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        before = list(warnings.filters)
        with decoding.quiet(), ThreadPoolExecutor(2) as pool:
            found = list(pool.map(inspect, range(2)))
        assert warnings.filters == before
    assert [picture[:2] for picture in found] == [(12, 9)] * 2


@pytest.mark.filterwarnings("ignore")  # PIL warns of what is odd in a file before it gives up
@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF", "AVIF", "JPEG2000"])
def test_no_damage_raises(form):
    rng = random.Random(form)
    original = encoded(form) if form in ("BMP", "GIF", "JPEG2000") else rotated(form, 6)
    for _ in range(300):
        data = bytearray(original)
        for _ in range(rng.randint(1, 5)):
            data[rng.randrange(min(len(data), rng.choice([40, 200, len(data)])))] = rng.randrange(256)
        found = inspection.inspect(bytes(data[: rng.choice([len(data), rng.randint(1, len(data))])]))
        assert isinstance(found, (str, tuple))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("kind", "raised"), [(16, OverflowError), (11, TypeError)], ids=["beyond all memory", "a fraction"]
)
def test_an_offset_that_makes_no_sense_raises_nothing(kind, raised):
    # both were found by chance among many damaged files: PIL lets what seek() raises through
    tiff = encoded("TIFF")
    entry = tiff.index(struct.pack("<HHI", 273, 4, 1))
    damaged = tiff[:entry] + struct.pack("<HHII", 273, kind, 1, len(tiff)) + tiff[entry + 12 :] + b"\xff" * 8
    with pytest.raises(raised), Image.open(io.BytesIO(damaged)) as image:
        image.load()
    assert str(inspection.inspect(damaged)).startswith("cannot be decoded")
