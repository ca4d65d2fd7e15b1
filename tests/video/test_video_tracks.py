from collections.abc import Mapping

import numpy as np
import pandas as pd
import pytest

from deepfake import tables
from deepfake.config import ViewConfig
from deepfake.modalities import video
from deepfake.modalities.image.geometry import CORNERS
from deepfake.modalities.video.crops import tracked
from deepfake.modalities.video.tracks import follow


def boxes(centres: list[tuple[float, float]], sides: float | list[float] = 100.0) -> np.ndarray:
    """Return squares, float [n, 4]."""
    middle = np.array(centres, float)
    half = np.broadcast_to(np.array(sides, float), len(middle))[:, None] / 2
    return np.hstack([middle - half, middle + half])


def centres(found: np.ndarray) -> list[tuple[float, float]]:
    return [tuple(row) for row in ((found[:, :2] + found[:, 2:]) / 2).round(6).tolist()]


ALL = np.ones(5, bool)
APART = np.arange(5) * 1.0
"""Seconds so far apart that nothing is averaged."""


def test_a_face_that_is_found_everywhere_is_left_where_it_is():
    given = boxes([(200, 200), (210, 200), (230, 210), (240, 220), (250, 230)])
    np.testing.assert_allclose(follow(given, ALL, APART), given)


def test_a_gap_is_interpolated_in_time():
    given = boxes([(200, 200), (0, 0), (0, 0), (230, 260), (240, 270)], [100, 0, 0, 130, 130])
    found = np.array([True, False, False, True, True])
    times = np.array([0.0, 1.0, 2.5, 5.0, 6.0])
    result = follow(given, found, times)
    assert centres(result)[1:3] == [(206, 212), (215, 230)]
    np.testing.assert_allclose(result[:, 2] - result[:, 0], [100, 106, 115, 130, 130])


def test_before_the_first_face_and_behind_the_last_it_stays():
    given = boxes([(0, 0), (200, 200), (220, 200), (0, 0), (0, 0)])
    result = follow(given, np.array([False, True, True, False, False]), APART)
    assert centres(result) == [(200, 200), (200, 200), (220, 200), (220, 200), (220, 200)]


def test_a_false_detection_is_replaced_by_the_track():
    given = boxes([(200, 200), (210, 200), (900, 60), (230, 200), (240, 200)])
    assert centres(follow(given, ALL, APART)) == [(200, 200), (210, 200), (220, 200), (230, 200), (240, 200)]
    larger = boxes([(200, 200)] * 5, [100, 100, 320, 100, 100])
    assert (follow(larger, ALL, APART) == larger[0]).all()


def test_a_box_of_another_size_than_its_neighbours_takes_that_of_one_of_them():
    result = follow(boxes([(200, 200)] * 5, [100, 102, 160, 104, 106]), ALL, APART)
    np.testing.assert_allclose(result[:, 2] - result[:, 0], [100, 102, 104, 106, 106])
    assert centres(result) == [(200, 200)] * 5


def test_of_two_people_the_one_in_more_frames_counts():
    given = boxes([(200, 200), (700, 200), (204, 200), (700, 210), (208, 200)], [100, 104, 100, 104, 100])
    assert centres(follow(given, ALL, APART)) == [(200, 200), (202, 200), (204, 200), (206, 200), (208, 200)]


def test_of_two_people_in_as_many_frames_the_larger_one_counts():
    given = boxes([(200, 200), (700, 200), (200, 200), (700, 200)], [100, 120, 100, 120])
    assert centres(follow(given, np.ones(4, bool), np.arange(4.0))) == [(700, 200)] * 4


def test_behind_a_cut_the_other_face_counts():
    given = boxes([(200, 200), (200, 210), (0, 0), (800, 300), (810, 300)])
    found = np.array([True, True, False, True, True])
    assert centres(follow(given, found, np.array([0, 1, 2.9, 3, 4]))) == [
        *[(200, 200), (200, 210), (800, 300), (800, 300), (810, 300)]
    ]


def test_frames_close_together_are_averaged_and_ends_stay():
    jitter = np.array([0, 6, -6, 6, -6, 6, 0], float)
    given = boxes([(200 + move, 200) for move in jitter])
    times = np.arange(7) * 0.1
    result = (follow(given, np.ones(7, bool), times)[:, 0] + 50) - 200
    # as many frames before as behind, at most 0.25 s away: 0, 1, 2, 2, 2, 1, 0
    expected = [
        *[jitter[0], jitter[0:3].mean(), jitter[0:5].mean(), jitter[1:6].mean()],
        *[jitter[2:7].mean(), jitter[4:7].mean(), jitter[6]],
    ]
    np.testing.assert_allclose(result, expected)
    assert np.abs(np.diff(result)).max() < np.abs(np.diff(jitter)).max()


def test_a_steady_move_is_not_held_back():
    given = boxes([(200 + 5 * step, 200) for step in range(9)])
    np.testing.assert_allclose(follow(given, np.ones(9, bool), np.arange(9) * 0.04), given)


def test_no_face_at_all():
    assert (follow(np.ones((3, 4)), np.zeros(3, bool), np.arange(3.0)) == 0).all()


# --- regions


def samples(clips: dict[str, int], width: int = 640, height: int = 480) -> pd.DataFrame:
    rows = [
        {
            **{"sample_id": f"{clip}#{frame:03d}", "clip_id": clip, "label": 0, "frame": 10 * frame},
            **{"time": frame * 1.0, "width": width, "height": height, "format": "mp4", "notes": ""},
        }
        for clip, count in clips.items()
        for frame in range(count)
    ]
    return pd.DataFrame(rows)


def faces(of: pd.DataFrame, found: Mapping[str, tuple[float, ...]]) -> pd.DataFrame:
    table = pd.DataFrame(0.0, index=range(len(of)), columns=list(tables.FACES.columns)[1:])
    table.insert(0, "sample_id", of["sample_id"].to_numpy())
    table["faces"] = 0
    for sample, corners in found.items():
        row = table["sample_id"] == sample
        table.loc[row, CORNERS] = corners
        table.loc[row, "faces"] = 1
    return table


def view(geometry: str = "crop", margin: float | None = None) -> ViewConfig:
    return ViewConfig(
        **{"dataset": "clips", "view": "v", "modality": "video", "geometry": geometry, "face_margin": margin},
        **{"size": 64, "seconds": None, "loader": "opencv"},
    )


@pytest.mark.parametrize(
    ("geometry", "expected"),
    [("crop", (80, 0, 560, 480)), ("letterbox", (0, -80, 640, 560)), ("resize", (0, 0, 640, 480))],
)
def test_whole_frames_are_shown_as_images_are(geometry, expected):
    table = video.regions(samples({"a": 3}), view(geometry), None)
    assert list(table.columns) == list(video.REGIONS.columns)
    tables.check(table, video.REGIONS, "here")
    assert [tuple(row) for row in table[CORNERS].to_numpy().tolist()] == [expected] * 3
    assert table["frame"].tolist() == [0, 10, 20]
    assert not table["plain"].any()


def test_a_face_is_followed_through_its_own_clip_alone():
    of = samples({"a": 3, "b": 2, "c": 2})
    found = {
        "a#000": (100.0, 100.0, 200.0, 200.0),
        "a#002": (140.0, 120.0, 240.0, 220.0),
        "c#001": (10.0, 0.0, 50.0, 60.0),
    }
    table = video.regions(of, view(margin=0.2), faces(of, found))
    assert table["face"].tolist() == [1, 1, 1, 0, 0, 1, 1]
    assert [tuple(row) for row in table[CORNERS].to_numpy().tolist()] == [
        *[(90, 90, 210, 210), (110, 100, 230, 220), (130, 110, 250, 230)],
        *[(80, 0, 560, 480)] * 2,
        *[(0, 0, 72, 72)] * 2,  # moved inside
    ]


def test_the_order_of_rows_does_not_matter():
    of = samples({"a": 5, "b": 4})
    generator = np.random.default_rng(3)
    found = {
        sample: tuple(float(value) for value in (left, 100, left + 90, 190))
        for sample, left in zip(
            of["sample_id"][generator.permutation(9)[:6]], generator.integers(50, 120, 6), strict=True
        )
    }
    table = video.regions(of, view(margin=0.1), faces(of, found)).set_index("sample_id")
    shuffled = of.sample(frac=1, random_state=5)
    other = video.regions(shuffled, view(margin=0.1), faces(of, found)).set_index("sample_id")
    assert other.index.tolist() == shuffled["sample_id"].tolist()
    pd.testing.assert_frame_equal(other.loc[table.index], table)


def test_tracks_are_told_as_faces_are():
    of = samples({"a": 3, "b": 1})
    table = tracked(of, faces(of, {"a#001": (0.0, 0.0, 10.0, 10.0)}))
    tables.check(table, tables.FACES, "here")
    assert table["faces"].tolist() == [1, 1, 1, 0]
