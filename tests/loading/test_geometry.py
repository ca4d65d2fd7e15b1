import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from PIL import Image, ImageOps

from conftest import encoded
from deepfake import tables
from deepfake.modalities.image import backends, geometry
from deepfake.modalities.image.encoded import Encoded
from deepfake.modalities.image.geometry import CORNERS

BOX = ["left", "top", "right", "bottom"]


def samples(*sizes: tuple[int, int], labels: list[int] | None = None) -> pd.DataFrame:
    width, height = zip(*sizes, strict=True)
    names = [f"s{number}" for number in range(len(sizes))]
    table = pd.DataFrame({"sample_id": names, "width": width, "height": height, "label": labels or [0] * len(sizes)})
    return table.assign(format="JPEG", mode="RGB", notes="")


def found(*boxes: tuple[float, float, float, float] | None) -> pd.DataFrame:
    """Return a table of faces; None is an image without one."""
    rows = [{"sample_id": f"s{n}", "faces": 0 if box is None else 2} for n, box in enumerate(boxes)]
    return pd.DataFrame(rows).assign(**dict(zip(BOX, np.array([box or (0.0,) * 4 for box in boxes]).T, strict=True)))


def shown(table: pd.DataFrame, kind: str, faces: pd.DataFrame | None = None, margin: float = 0.0) -> list[tuple]:
    regions = geometry.regions(table, kind, faces, margin)
    assert list(regions["sample_id"]) == list(table["sample_id"])
    tables.check(regions, tables.REGIONS, "here")
    return list(regions[CORNERS].itertuples(index=False, name=None))


# --- by hand


@pytest.mark.parametrize(
    ("kind", "size", "expected"),
    [
        ("crop", (10, 10), (0, 0, 10, 10)),
        ("crop", (12, 10), (1, 0, 11, 10)),
        ("crop", (13, 10), (1, 0, 11, 10)),  # the odd pixel is left at the right
        ("crop", (10, 13), (0, 1, 10, 11)),  # or at the bottom
        ("crop", (1, 7), (0, 3, 1, 4)),
        ("letterbox", (10, 10), (0, 0, 10, 10)),
        ("letterbox", (12, 10), (0, -1, 12, 11)),
        ("letterbox", (184, 224), (-20, 0, 204, 224)),
        ("resize", (12, 10), (0, 0, 12, 10)),
        ("letterbox_real", (12, 10), (0, -1, 12, 11)),
    ],
)
def test_a_region_by_hand(kind, size, expected):
    assert shown(samples(size), kind) == [expected]


@pytest.mark.parametrize(
    ("box", "margin", "expected"),
    [
        ((40, 30, 60, 50), 0.0, (40, 30, 60, 50)),
        ((40, 30, 60, 50), 0.5, (35, 25, 65, 55)),  # 20 x 1.5 = 30 around (50, 40)
        ((40, 20, 60, 60), 0.0, (30, 20, 70, 60)),  # the longer side counts
        ((0, 0, 20, 20), 0.5, (0, 0, 30, 30)),  # moved inside
        ((90, 70, 110, 90), 0.5, (70, 50, 100, 80)),  # the box itself reaches beyond the image: 100 x 80
        ((10, 0, 90, 80), 0.5, (10, 0, 90, 80)),  # 120 does not fit: as large as the image allows
        ((40.4, 30.4, 60.4, 50.4), 0.0, (40, 30, 60, 50)),
        ((50.0, 40.0, 50.1, 40.1), 0.0, (50, 40, 51, 41)),  # never empty
    ],
)
def test_a_face_square_by_hand(box, margin, expected):
    assert shown(samples((100, 80)), "crop", found(box), margin) == [expected]


def test_an_image_without_a_face_shows_its_central_square_and_says_so():
    table = samples((100, 80), (60, 60), (30, 50))
    regions = geometry.regions(table, "crop", found(None, (10, 10, 20, 20), None), 0.0)
    assert list(regions["face"]) == [0, 1, 0]
    assert list(regions[CORNERS].itertuples(index=False, name=None)) == [
        (10, 0, 90, 80),
        (10, 10, 20, 20),
        (0, 10, 30, 40),
    ]


def test_without_a_table_of_faces_no_region_is_a_face():
    assert list(geometry.regions(samples((100, 80)), "crop", None, 0.3)["face"]) == [0]


def test_letterbox_real_crops_the_fakes_only():
    table = samples((12, 10), (12, 10), (10, 14), (10, 14), labels=[0, 1, 0, 1])
    assert shown(table, "letterbox_real") == [(0, -1, 12, 11), (1, 0, 11, 10), (-2, 0, 12, 14), (0, 2, 10, 12)]


def test_the_order_is_that_of_the_samples_whatever_that_of_the_faces():
    table = samples((100, 80), (60, 60), (30, 50))
    faces = found((40, 30, 60, 50), None, (5, 5, 15, 15))
    expected = geometry.regions(table, "crop", faces, 0.2)
    shuffled = geometry.regions(table, "crop", faces.iloc[[2, 0, 1]], 0.2)
    pd.testing.assert_frame_equal(shuffled, expected)
    turned = geometry.regions(table.iloc[::-1], "crop", faces, 0.2)
    pd.testing.assert_frame_equal(turned.iloc[::-1].reset_index(drop=True), expected)


# --- properties

SIDES = st.integers(1, 5000)
IMAGES = st.tuples(SIDES, SIDES)


@given(IMAGES)
def test_a_crop_is_the_largest_square_inside_in_the_middle(size):
    ((left, top, right, bottom),) = shown(samples(size), "crop")
    width, height = size
    assert right - left == bottom - top == min(size)
    assert 0 <= left < right <= width
    assert 0 <= top < bottom <= height
    assert abs((left + right) / 2 - width / 2) <= 0.5
    assert abs((top + bottom) / 2 - height / 2) <= 0.5


@given(IMAGES)
def test_a_letterbox_is_the_smallest_square_around_the_image_in_the_middle(size):
    ((left, top, right, bottom),) = shown(samples(size), "letterbox")
    width, height = size
    assert right - left == bottom - top == max(size)
    assert left <= 0 < width <= right
    assert top <= 0 < height <= bottom
    assert abs((left + right) / 2 - width / 2) <= 0.5
    assert abs((top + bottom) / 2 - height / 2) <= 0.5


@given(IMAGES)
def test_a_resize_shows_the_whole_image(size):
    assert shown(samples(size), "resize") == [(0, 0, *size)]


@given(st.lists(st.tuples(IMAGES, st.integers(0, 1)), min_size=1, max_size=8))
def test_letterbox_real_is_the_letterbox_of_reals_and_the_crop_of_fakes(rows):
    sizes, labels = zip(*rows, strict=True)
    table = samples(*sizes, labels=list(labels))
    crop, letterbox = shown(table, "crop"), shown(table, "letterbox")
    expected = [crop[n] if label else letterbox[n] for n, label in enumerate(labels)]
    assert shown(table, "letterbox_real") == expected


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ((184, 224), (0, 0, 184, 224)),  # the aspect of the reals
        ((256, 256), (23, 0, 233, 256)),  # 256 * 184 / 224 = 210.3
        ((100, 300), (0, 89, 100, 211)),  # 100 * 224 / 184 = 121.7
    ],
)
def test_matched_is_the_largest_part_with_the_aspect_of_the_reals(size, expected):
    table = samples((184, 224), size, labels=[0, 1])
    assert shown(table, "matched") == [(0, 0, 184, 224), expected]


@given(st.lists(st.tuples(IMAGES, st.integers(0, 1)), min_size=1, max_size=8))
def test_matched_images_have_one_aspect_inside_their_frame_whatever_their_label(rows):
    sizes, labels = zip(*rows, strict=True)
    aspects = [width / height for (width, height), label in rows if label == 0]
    assume(aspects)
    aspect = float(np.median(aspects))
    for (width, height), (left, top, right, bottom) in zip(
        sizes, shown(samples(*sizes, labels=list(labels)), "matched"), strict=True
    ):
        assert 0 <= left < right <= width and 0 <= top < bottom <= height
        assert right - left == width or bottom - top == height
        assert abs((left + right) / 2 - width / 2) <= 0.5 and abs((top + bottom) / 2 - height / 2) <= 0.5
        wide, high = right - left, bottom - top
        # within rounding to a pixel of either side
        assert (wide - 1) / (high + 1) <= aspect <= (wide + 1) / max(high - 1, 0.5) or 1 in (wide, high)
    # of the labels, only the median of the reals counts
    fakes = [n for n, label in enumerate(labels) if label]
    if fakes:
        flipped = shown(samples(*sizes, *[sizes[n] for n in fakes], labels=[*labels, *[1] * len(fakes)]), "matched")
        assert flipped[: len(sizes)] == shown(samples(*sizes, labels=list(labels)), "matched")


@st.composite
def images_with_a_face(draw):
    """An image, a face box that may reach beyond it, and a margin."""
    width, height = draw(st.integers(8, 3000)), draw(st.integers(8, 3000))
    across = draw(st.floats(0.5, 1.2 * width))
    down = draw(st.floats(0.5, 1.2 * height))
    left = draw(st.floats(-0.2 * width, width - 0.1))
    top = draw(st.floats(-0.2 * height, height - 0.1))
    return (width, height), (left, top, left + across, top + down), draw(st.floats(0, 2))


@given(images_with_a_face())
def test_a_face_square_lies_inside_is_square_and_holds_the_box_where_it_can(case):
    (width, height), box, margin = case
    ((left, top, right, bottom),) = shown(samples((width, height)), "crop", found(box), margin)
    side = right - left
    assert side == bottom - top >= 1
    assert left >= 0
    assert top >= 0
    assert right <= width
    assert bottom <= height
    wanted = max(box[2] - box[0], box[3] - box[1]) * (1 + margin)
    # rounding to whole pixels decides the last half
    fitting = min(max(1, wanted), width, height)
    assert abs(side - fitting) <= 0.5
    if abs(wanted % 1 - 0.5) > 1e-6 and 1 <= wanted <= min(width, height) - 1:
        assert side == round(wanted)
    # the square holds the box, to the half pixels by which side and place are rounded; it is only ever moved inwards
    for low, high, start, end, limit in ((box[0], box[2], left, right, width), (box[1], box[3], top, bottom, height)):
        visible = max(low, 0), min(high, limit)
        if visible[0] < visible[1] and high - low <= side:
            assert start <= visible[0] + 1
            assert end >= visible[1] - 1
    # in the middle of the face where the image allows it
    for middle, start, limit in (((box[0] + box[2]) / 2, left, width), ((box[1] + box[3]) / 2, top, height)):
        if 1 <= middle - side / 2 <= limit - side - 1:
            assert abs(start + side / 2 - middle) <= 0.5 + 1e-9


# --- the pixels, from the file to the array

SIZES = [(40, 40, 16), (61, 40, 16), (40, 61, 16), (30, 50, 30), (184, 224, 48), (20, 12, 32)]


def decoded(width: int, height: int, size: int, kind: str, faces=None, margin: float = 0.0, label: int = 0):
    """Return random pixels, and what becomes of them."""
    backend = backends.load("opencv")
    pixels = np.random.default_rng(width + height).integers(0, 256, (height, width, 3), dtype=np.uint8)
    ((region),) = shown(samples((width, height), labels=[label]), kind, faces, margin)
    (batch,) = backend.decode([[Encoded(encoded(pixels), region, False)]], size, threads=1)
    return Image.fromarray(pixels), batch[0]


def antialiased(image: Image.Image, size: int) -> np.ndarray:
    return np.asarray(image.resize((size, size), Image.Resampling.BILINEAR))


@pytest.mark.parametrize(("width", "height", "size"), SIZES)
def test_the_crop_is_the_central_square_of_pil(width, height, size):
    image, result = decoded(width, height, size, "crop")
    side = min(width, height)
    left, top = math.floor((width - side) / 2), math.floor((height - side) / 2)
    square = image.crop((left, top, left + side, top + side))
    np.testing.assert_array_equal(result, antialiased(square, size))


@pytest.mark.parametrize(("width", "height", "size"), SIZES)
@pytest.mark.parametrize("kind", ["letterbox", "letterbox_real"])
def test_the_letterbox_is_the_image_on_a_black_square(width, height, size, kind):
    image, result = decoded(width, height, size, kind)
    side = max(width, height)
    # ImageOps.pad keeps the image as it is when the canvas is as long as its longer side; where an odd number of
    # pixels is left over, it rounds the place half to even and the geometry puts the odd pixel before the image
    canvas = Image.new("RGB", (side, side))
    canvas.paste(image, (math.ceil((side - width) / 2), math.ceil((side - height) / 2)))
    if (side - width) % 2 == 0 and (side - height) % 2 == 0:
        assert canvas.tobytes() == ImageOps.pad(image, (side, side), color="black").tobytes()
    np.testing.assert_array_equal(result, antialiased(canvas, size))


@pytest.mark.parametrize(("width", "height", "size"), SIZES)
def test_letterbox_real_crops_a_fake(width, height, size):
    _, result = decoded(width, height, size, "letterbox_real", label=1)
    np.testing.assert_array_equal(result, decoded(width, height, size, "crop")[1])


@pytest.mark.parametrize(("width", "height", "size"), SIZES)
def test_the_resize_is_that_of_the_whole_image(width, height, size):
    image, result = decoded(width, height, size, "resize")
    np.testing.assert_array_equal(result, antialiased(image, size))


def test_a_face_is_cut_out_and_then_resized():
    image, result = decoded(100, 80, 24, "crop", found((40, 30, 60, 50)), 0.5)
    np.testing.assert_array_equal(result, antialiased(image.crop((35, 25, 65, 55)), 24))
