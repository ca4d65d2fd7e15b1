import cv2
import numpy as np
import pandas as pd
import pytest

from deepfake import tables
from deepfake.modalities import video
from deepfake.modalities.image.families import PIXELS
from deepfake.modalities.video import schemas
from numbered_clips import HEIGHT, WIDTH, clip


def test_the_features_of_a_clip(tmp_path):
    data = clip(50, sound=True, options={"bf": "2", "g": "10", "sc_threshold": "0"})
    path = tmp_path / "clip.mp4"
    path.write_bytes(data)
    found = video.measure(path)
    assert found == video.measure(data)
    columns = list(video.FEATURES.columns)
    assert ["sample_id", "sha256", *found] == columns
    table = pd.DataFrame([{"sample_id": "a", "sha256": "b"} | found])
    tables.check(table, video.FEATURES, "here")
    expected = {
        **{"width": WIDTH, "height": HEIGHT, "aspect": WIDTH / HEIGHT, "pixels": WIDTH * HEIGHT, "pixel_aspect": 1.0},
        **{"rotation": 0, "duration": 2.0, "frames": 50, "rate": 25.0, "variable_rate": 0, "format": "mp4"},
        **{"codec": "h264", "profile": "High", "pixel_format": "yuv420p", "bits": 8, "color_space": "none"},
        **{"color_range": "none", "keyframe_interval": 10.0, "audio": 1, "streams": 2, "bytes": len(data)},
        **{"bit_rate": 4 * len(data), "bytes_per_pixel": len(data) / (50 * WIDTH * HEIGHT)},
    }
    assert {name: found[name] for name in expected} == pytest.approx(expected)
    assert found["reordering"] > 0
    assert found["encoder"].startswith("Lavf")
    assert found["library"].startswith("x264 ")


def test_opencv_sees_the_same_clip(tmp_path):
    path = tmp_path / "clip.mp4"
    path.write_bytes(clip(37, rate=30, size=(150, 92)))
    opened = cv2.VideoCapture(str(path))
    found = video.measure(path)
    assert found["frames"] == int(opened.get(cv2.CAP_PROP_FRAME_COUNT))
    assert found["rate"] == pytest.approx(opened.get(cv2.CAP_PROP_FPS))
    assert (found["width"], found["height"]) == (
        opened.get(cv2.CAP_PROP_FRAME_WIDTH),
        opened.get(cv2.CAP_PROP_FRAME_HEIGHT),
    )
    frames = [opened.read()[1] for _ in range(37)]
    middle = cv2.cvtColor(frames[18], cv2.COLOR_BGR2RGB)
    # OpenCV's conversion of colours is rougher
    np.testing.assert_allclose([found[f"mean_{channel}"] for channel in "rgb"], middle.mean(axis=(0, 1)), atol=2.5)


def test_what_differs_between_clips_is_measured():
    plain = video.measure(clip(20, options={"bf": "0", "g": "250"}))
    other = video.measure(clip(20, pixel_format="yuv420p10le", rotation=90))
    assert (plain["reordering"], plain["keyframe_interval"]) == (0, 20.0)
    assert (other["bits"], other["rotation"], other["profile"]) == (10, 90, "High 10")
    assert (other["width"], other["height"]) == (HEIGHT, WIDTH)
    counted = video.measure(clip(20, container="avi", codec="mpeg4", options={}))
    assert (counted["format"], counted["codec"], counted["library"], counted["frames"]) == ("avi", "mpeg4", "none", 20)
    varied = video.measure(clip(4, milliseconds=[0, 40, 700, 740]))
    assert varied["variable_rate"] == 1


def test_a_coarser_clip_is_smaller():
    fine, coarse = (
        video.measure(clip(20, options={"crf": crf}, size=(150, 92)))["bytes_per_pixel"] for crf in ("15", "45")
    )
    assert coarse < fine


def test_families_name_each_feature_once():
    names = [name for family in video.FAMILIES.values() for name in family]
    assert sorted(names) == sorted(set(video.FEATURES.columns) - {"sample_id", "sha256"})
    assert len(names) == len(set(names))
    assert {family: video.FAMILIES[family] for family in PIXELS} == PIXELS
    assert set(schemas.FAMILIES) >= {"geometry", "timing", "coding", "metadata", "size"}
