import warnings

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from deepfake import tables
from deepfake.config.params import Faces
from deepfake.modalities.image import faces
from deepfake.synthetic import photographs

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from facenet_pytorch import MTCNN

SIZE = 192
SETTINGS = Faces(detection_size=SIZE, min_face=0.2, confidence=0.9, margin=0.3)
CPU = torch.device("cpu")


def portrait(person: int, number: int = 1, scale: float = 2.0) -> Image.Image:
    gray = Image.fromarray(photographs.read(person, number).pixels)
    return gray.resize((round(92 * scale), round(112 * scale)), Image.Resampling.BICUBIC).convert("RGB")


def letterboxed(image: Image.Image) -> Image.Image:
    side = max(image.size)
    square = Image.new("RGB", (side, side))
    square.paste(image, ((side - image.width) // 2, (side - image.height) // 2))
    return square.resize((SIZE, SIZE), Image.Resampling.BILINEAR)


def noise(seed: int = 0) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (SIZE, SIZE, 3), dtype=np.uint8))


def couple() -> Image.Image:
    """A large face on the left and a small one on the right, each with grey around it."""
    scene = Image.new("RGB", (400, 300), (110, 110, 110))
    scene.paste(portrait(3, scale=2.2), (0, 20))
    scene.paste(portrait(5, scale=1.6), (240, 60))
    return scene


def stack(*images: Image.Image) -> np.ndarray:
    return np.stack([np.asarray(image) for image in images])


def whole(count: int) -> pd.DataFrame:
    """Regions that show images of the detector's own size as they are."""
    corners = {"left": 0, "top": 0, "right": SIZE, "bottom": SIZE, "face": 0}
    return pd.DataFrame([{"sample_id": f"x/{row}"} | corners for row in range(count)])


MIXED = [
    noise(),
    letterboxed(portrait(1)),
    Image.new("RGB", (SIZE, SIZE)),
    letterboxed(couple()),
    letterboxed(portrait(7, 4)),
    letterboxed(portrait(12, 9)),
    noise(1),
]


@pytest.fixture(scope="module")
def detector() -> faces.Detector:
    return faces.Detector(SETTINGS, CPU)


@pytest.fixture(scope="module")
def mixed(detector) -> faces.Detections:
    return detector.detect(stack(*MIXED))


@pytest.mark.parametrize("row", range(len(MIXED)))
def test_a_batch_gives_what_facenet_gives_for_one_image(row, mixed):
    reference = MTCNN(min_face_size=0.2 * SIZE, keep_all=True, select_largest=False)
    boxes, confidence, points = reference.detect(MIXED[row], landmarks=True)
    here = mixed.image == row
    if boxes is None:
        assert not here.any()
        return
    assert here.sum() == len(boxes)
    order, expected = np.argsort(-mixed.confidence[here]), np.argsort(-np.asarray(confidence, float))
    assert mixed.confidence[here][order] == pytest.approx(np.asarray(confidence, float)[expected], abs=1e-3)
    np.testing.assert_allclose(mixed.boxes[here][order], np.asarray(boxes, float)[expected], atol=0.5)
    np.testing.assert_allclose(mixed.points[here][order], np.asarray(points, float)[expected], atol=0.5)


def test_faces_are_found_where_they_are(mixed):
    located = faces.locate(mixed, whole(len(MIXED)), SETTINGS)
    assert located["faces"].tolist() == [0, 1, 0, 2, 1, 1, 0]
    found = located[located["faces"] > 0]
    for x, y in zip(faces.LANDMARKS[::2], faces.LANDMARKS[1::2], strict=True):
        assert found[x].between(found["left"], found["right"]).all()
        assert found[y].between(found["top"], found["bottom"]).all()
    assert (found["left_eye_x"] < found["nose_x"]).all() and (found["nose_x"] < found["right_eye_x"]).all()
    assert (found["left_eye_y"] < found["nose_y"]).all() and (found["nose_y"] < found["mouth_left_y"]).all()


def test_a_batch_without_any_face_is_a_table_of_zeros(detector):
    detections = detector.detect(stack(noise(), noise(1)))
    located = tables.check(faces.locate(detections, whole(2), SETTINGS), tables.FACES, "here")
    assert located["sample_id"].tolist() == ["x/0", "x/1"]
    assert (located.drop(columns="sample_id") == 0).all(axis=None)


def test_faces_smaller_than_asked_for_are_not_found(detector):
    scene = Image.new("RGB", (SIZE, SIZE), (110, 110, 110))
    scene.paste(portrait(3, scale=0.8), (50, 50))
    assert len(detector.detect(stack(scene)).image) == 1
    larger_only = faces.Detector(SETTINGS.model_copy(update={"min_face": 0.8}), CPU)
    assert len(larger_only.detect(stack(scene)).image) == 0


def detections(*rows: tuple[int, float, list[float]]) -> faces.Detections:
    """Faces of the image, confidence and box given; each point is its number away from the box's corner."""
    image, confidence, boxes = zip(*rows, strict=True)
    corner = np.array(boxes, float)[:, None, :2]
    return faces.Detections(
        np.array(image), np.array(confidence), np.array(boxes, float), corner + np.arange(1, 6)[:, None]
    )


def test_the_largest_sure_face_is_chosen():
    seen = detections(
        (0, 0.99, [0, 0, 40, 40]),
        (0, 0.95, [50, 50, 110, 110]),  # the largest
        (0, 0.89, [0, 0, 190, 190]),  # not sure enough
        (2, 0.9, [10, 20, 30, 50]),  # just sure enough
        (2, 0.99, [60, 60, 90, 80]),  # as large
    )
    located = faces.locate(seen, whole(3), SETTINGS)
    assert located["faces"].tolist() == [2, 0, 2]
    assert located["confidence"].tolist() == [0.95, 0, 0.9]
    assert located[["left", "top", "right", "bottom"]].to_numpy().tolist() == [
        [50, 50, 110, 110],
        [0, 0, 0, 0],
        [10, 20, 30, 50],
    ]


@pytest.mark.parametrize(
    ("region", "expected"),
    [
        ((-20, 0, 2 * SIZE - 20, 2 * SIZE), [0, 40, 180, 240]),  # portrait, seen at half size
        ((0, -30, SIZE // 2, SIZE // 2 - 30), [5, -20, 50, 30]),  # landscape, seen at twice its size
        ((-7, 0, SIZE - 7, SIZE), [3, 20, 93, 120]),
    ],
)
def test_places_are_in_pixels_of_the_image(region, expected):
    regions = pd.DataFrame([("x/0", *region, 0, 0)], columns=list(tables.REGIONS.columns))
    located = faces.locate(detections((0, 1.0, [10, 20, 100, 120])), regions, SETTINGS).iloc[0]
    assert located[["left", "top", "right", "bottom"]].tolist() == expected
    scale = (region[2] - region[0]) / SIZE
    assert located[faces.LANDMARKS].tolist() == [
        start + number * scale for number in range(1, 6) for start in expected[:2]
    ]
