"""The EXIF orientation: read as PIL and OpenCV read it, at peace with damage, and the same whatever decodes."""

import io
import random
import struct

import cv2
import numpy as np
import pytest
from PIL import Image

from deepfake.modalities.image import backends, decoding, features, inspection, orientation
from deepfake.modalities.image.encoded import Encoded

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:PIL")  # as `decoding.quiet` does

STORED = np.zeros((40, 64, 3), np.uint8)
"""A quarter of each colour: red and green above blue and white."""
STORED[:20, :32], STORED[:20, 32:], STORED[20:, :32], STORED[20:, 32:] = (255, 0, 0), (0, 255, 0), (0, 0, 255), 255


def encoded(form: str = "JPEG", **options) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(STORED).save(stream, form, **options)
    return stream.getvalue()


def with_segment(payload: bytes, data: bytes | None = None) -> bytes:
    """Return a JPEG with an application segment behind its first one, JFIF."""
    data = data or encoded(quality=95)
    at = 4 + struct.unpack(">H", data[4:6])[0]
    return data[:at] + b"\xff\xe1" + struct.pack(">H", len(payload) + 2) + payload + data[at:]


def exif(*entries: tuple[int, int, int, bytes], order: str = "<", count: int | None = None, start: int = 8) -> bytes:
    """Return EXIF data of one directory, written by hand; of each entry tag, type, number and four bytes."""
    head = (b"II" if order == "<" else b"MM") + struct.pack(f"{order}HI", 42, start) + bytes(start - 8)
    body = struct.pack(f"{order}H", len(entries) if count is None else count)
    body += b"".join(struct.pack(f"{order}HHI", *entry[:3]) + entry[3] for entry in entries)
    return b"Exif\0\0" + head + body + bytes(4)


def turned(value: int, order: str = "<") -> tuple[int, int, int, bytes]:
    return orientation.TAG, 3, 1, struct.pack(f"{order}HH", value, 0)


XMP = b"http://ns.adobe.com/xap/1.0/\0<x:xmpmeta><rdf:Description tiff:Orientation=%s/></x:xmpmeta>"
SOUND = {
    "none": None,
    **{f"{value} in {order}": exif(turned(value, order), order=order) for value in range(1, 9) for order in "<>"},
    "a later directory": exif(turned(6), start=20),
    "behind another": exif((0x0131, 2, 4, b"abc\0"), turned(6)),
    "twice": exif(turned(6), turned(3)),
    "no such": exif(turned(9)),
    "without it": exif((0x0131, 2, 4, b"abc\0")),
    "a long": exif((orientation.TAG, 4, 1, struct.pack("<I", 6))),
}
BROKEN = {
    "no header": (b"Exif\0\0" + bytes([0, 8, 0, 2, 1, 18, 0, 3]), 1),
    "other magic": (exif(turned(6)).replace(b"II*", b"II+"), 1),
    "a directory beyond the end": (b"Exif\0\0II*\0" + struct.pack("<I", 9999) + bytes(20), 1),
    "an entry cut": (exif(turned(6))[:-14], 1),
    "later entries cut": (exif(turned(6), count=9), 6),
    "a huge count of entries": (exif(turned(6), count=65535), 6),
    "a value beyond the end": (exif((0x010F, 2, 500, struct.pack("<I", 5000)), turned(6)), 6),
    "a huge count of values": (exif((0x010F, 5, 2**31, struct.pack("<I", 26)), turned(6)), 6),
}


def shown_upright(value: int) -> np.ndarray:
    """Return the picture that is stored, turned as PIL does."""
    turn = orientation.TURNS.get(value)
    image = Image.fromarray(STORED)
    return np.asarray(image if turn is None else image.transpose(turn))


@pytest.mark.parametrize("case", SOUND)
def test_what_is_sound_is_read_as_pil_and_opencv_read_it(case):
    payload = SOUND[case]
    data = encoded(quality=95) if payload is None else with_segment(payload)
    with Image.open(io.BytesIO(data)) as image:
        found = orientation.of(image)
        known = image.getexif().get(orientation.TAG)
    assert found == (known if known in range(1, 9) else 1, True)
    seen = np.asarray(cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR))[..., ::-1]
    assert np.abs(seen.astype(int) - shown_upright(found.value)).mean() < 5


@pytest.mark.parametrize("case", BROKEN)
def test_what_is_broken_costs_no_pixel_and_is_noted(case):
    data, value = BROKEN[case]
    assert orientation.read(data) == (value, False)
    found = inspection.inspect(with_segment(data))
    assert isinstance(found, inspection.Picture)
    assert found.notes == "broken EXIF"
    assert found[:2] == ((40, 64) if value == 6 else (64, 40))


@pytest.mark.parametrize("form", ["PNG", "WEBP", "MPO"])
@pytest.mark.parametrize("case", [case for case in BROKEN if BROKEN[case][1] == 1])
def test_so_it_is_in_other_formats(form, case):
    data = encoded(form, exif=BROKEN[case][0])
    with decoding.opened(data) as image:
        found = np.asarray(decoding.upright(image))
    assert np.abs(found.astype(int) - STORED).mean() < 5
    assert inspection.inspect(data)[5] == "broken EXIF"


@pytest.mark.parametrize("magic", [b"\0\x08\0\2", b"II+\0"])
def test_an_avif_whose_exif_is_broken_is_decoded(magic):
    facts = Image.Exif()
    facts[0x010F] = "a camera"
    data = encoded("AVIF", exif=facts, quality=90)
    start = data.rindex(b"MM\0*")
    # neither PIL nor libavif takes it
    damaged = data[:start] + magic + data[start + 4 :]
    with pytest.raises((Image.UnidentifiedImageError, ValueError)):
        Image.open(io.BytesIO(damaged))
    found = inspection.inspect(damaged)
    assert isinstance(found, inspection.Picture)
    assert (*found[:3], found.notes) == (64, 40, "AVIF", "broken EXIF")
    assert np.abs(np.asarray(decoding.decoded(damaged, decoding.upright)).astype(int) - STORED).mean() < 5


def test_a_png_as_imagemagick_writes_it_is_turned_too():
    def profile(text: str) -> Image.Image:
        image = Image.fromarray(STORED)
        image.info["Raw profile type exif"] = f"\nexif\n{len(text) // 2:8}\n{text}\n"
        return image

    assert orientation.of(profile(exif(turned(6)).hex())) == (6, True)
    assert orientation.of(profile("no digits")) == (1, False)


def test_a_tiff_with_damaged_metadata_keeps_its_pixels():
    facts, copy = Image.Exif(), Image.Exif()
    facts[orientation.TAG] = 6
    facts.get_ifd(0x8769)[0x9003] = "2020:01:01 00:00:00"
    copy.load(facts.tobytes())
    data = encoded("TIFF", exif=copy)
    entry = data.index(struct.pack("<HHI", 0x8769, 4, 1))
    for place in (7, len(data) - 1, 2**31):  # inside the header, at the last byte, beyond the end
        damaged = data[: entry + 8] + struct.pack("<I", place) + data[entry + 12 :]
        found = inspection.inspect(damaged)
        assert isinstance(found, inspection.Picture)
        assert found[:2] == (40, 64)
        with decoding.opened(damaged) as image:
            np.testing.assert_array_equal(np.asarray(decoding.upright(image)), np.rot90(STORED, -1))


# --- XMP


@pytest.mark.parametrize("mark", [b'"6"', b"'6'"], ids=["double quotes", "single quotes"])
@pytest.mark.parametrize(("own", "notes"), [(None, 1), (1, 1), (3, 1), (6, 0)])
def test_only_exif_turns_and_xmp_that_contradicts_it_is_noted(mark, own, notes):
    data = with_segment(XMP % mark)
    data = data if own is None else with_segment(exif(turned(own)), data)
    found = inspection.inspect(data)
    assert isinstance(found, inspection.Picture)
    assert found[:2] == ((40, 64) if own == 6 else (64, 40))
    assert found.notes == ("orientation in XMP not applied" if notes else "")


@pytest.mark.parametrize("form", ["PNG", "WEBP", "TIFF"])
def test_so_it_is_with_the_xmp_of_other_formats(form):
    packet = XMP.split(b"\0")[1] % b'"6"'
    if form == "PNG":
        from PIL.PngImagePlugin import PngInfo

        info = PngInfo()
        info.add_itxt("XML:com.adobe.xmp", packet.decode())
        data = encoded(form, pnginfo=info)
    else:
        data = encoded(form, tiffinfo={700: packet}) if form == "TIFF" else encoded(form, xmp=packet)
    with Image.open(io.BytesIO(data)) as image:
        assert image.getexif().get(orientation.TAG) == 6  # PIL would turn it
    found = inspection.inspect(data)
    assert isinstance(found, inspection.Picture)
    assert found[:2] == (64, 40)
    assert found.notes == "orientation in XMP not applied"
    with decoding.opened(data) as image:
        assert decoding.upright(image).size == (64, 40)


# --- every way to decode


def odd_files() -> dict[str, bytes]:
    """Return JPEG files with metadata of all kinds, and some damaged by chance."""
    good, rng = exif(turned(6), (0x0131, 2, 40, struct.pack("<I", 8))), random.Random(7)
    found = {case: with_segment(data) for case, data in SOUND.items() if data is not None}
    found |= {case: with_segment(data) for case, (data, _) in BROKEN.items()}
    found |= {"xmp": with_segment(XMP % b'"6"'), "two segments": with_segment(good, with_segment(exif(turned(3))))}
    for number in range(60):
        data = bytearray(good)
        for _ in range(rng.randint(1, 6)):
            data[rng.randrange(6, len(data))] = rng.randrange(256)
        found[f"chance {number}"] = with_segment(bytes(data[: rng.choice([len(data), rng.randint(6, len(data))])]))
    return found


@pytest.mark.parametrize("loader", backends.BACKENDS)
def test_inspection_features_and_every_loader_agree_on_size_and_pixels(loader):
    if loader == "dali":
        pytest.importorskip("nvidia.dali")
    files = odd_files()
    values = []
    for case, data in files.items():
        found = inspection.inspect(data)
        assert isinstance(found, inspection.Picture), case
        assert features.of_file(data)["width"] == found.width, case
        with Image.open(io.BytesIO(data)) as image:
            values.append(orientation.of(image).value)
        assert found[:2] == shown_upright(values[-1]).shape[1::-1], case
    assert set(values) == set(range(1, 9))
    decode = backends.load(loader).decode
    # plain or not: where the note is, PIL decodes instead of DALI
    for plain in (True, False):
        (pixels,) = decode([[Encoded(data, (0, 0, 64, 64), plain) for data in files.values()]], 64, threads=2)
        for case, value, seen in zip(files, values, pixels, strict=True):
            expected = shown_upright(value)
            difference = np.abs(seen[: expected.shape[0], : expected.shape[1]].astype(int) - expected)
            assert difference.mean() < 5, case
            assert not seen[expected.shape[0] :].any(), case
            assert not seen[:, expected.shape[1] :].any(), case


@pytest.mark.parametrize("value", range(1, 9))
def test_a_region_of_the_upright_picture_is_found_in_the_stored_one(value):
    upright = shown_upright(value)
    left, top, right, bottom = orientation.stored((3, 5, 33, 36), (64, 40), value)
    part = Image.fromarray(STORED[top:bottom, left:right])
    turn = orientation.TURNS.get(value)
    np.testing.assert_array_equal(part if turn is None else part.transpose(turn), upright[5:36, 3:33])
