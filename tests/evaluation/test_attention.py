import numpy as np
import pandas as pd
import pytest

from deepfake.evaluation import attention

CORNERS = ["left", "top", "right", "bottom"]


def test_boxes_follow_the_part_of_the_image_that_a_view_shows():
    faces = pd.DataFrame([[20, 30, 60, 90], [0, 0, 100, 100], [20, 30, 60, 90]], columns=CORNERS, dtype=float)
    regions = pd.DataFrame([[10, 10, 110, 110], [25, 25, 75, 75], [-10, 0, 90, 200]], columns=CORNERS)
    found = attention.boxes(faces, regions, 50)
    # half as large and moved; larger than the view; and squeezed to a quarter from top to bottom
    np.testing.assert_allclose(found, [[5, 10, 25, 40], [0, 0, 50, 50], [15, 7.5, 35, 22.5]])


def test_shares_count_parts_of_pixels():
    heat = np.random.default_rng(0).random((8, 8))
    box = np.array([1.5, 2.25, 6.0, 7.5])
    # a grid so fine that every edge of the box lies on it
    fine = heat.repeat(4, axis=0).repeat(4, axis=1)
    inside = fine[9:30, 6:24]
    share, area = attention.shares(heat, box)
    assert share == pytest.approx(inside.sum() / fine.sum())
    assert area == pytest.approx(inside.size / fine.size)


def test_an_image_without_heat_has_no_share_but_an_area():
    share, area = attention.shares(np.zeros((4, 4)), np.array([0, 0, 2, 4]))
    assert np.isnan(share) and area == 0.5


def test_the_summary_counts_images_with_heat_alone():
    found = pd.DataFrame(
        {
            "label": 1,
            "source": "gan",
            "group": list("aabbcc"),
            "wrong": [False, False, False, False, True, True],
            "heat": [0.9, 0.7, 0.8, np.nan, np.nan, np.nan],
            "area": [0.5, 0.5, 0.2, 0.9, 0.9, 0.9],
        }
    )
    rows = attention.summary(found, 0.95).set_index("verdict")
    assert rows["images"].to_dict() == {"all": 3, "correct": 3, "wrong": 0}
    assert rows["without_heat"].to_dict() == {"all": 3, "correct": 1, "wrong": 2}
    assert rows.loc["all", "heat"] == pytest.approx(0.8)
    assert rows.loc["all", "area"] == pytest.approx(0.4)
    assert rows.loc["all", "excess"] == pytest.approx(0.4)
    assert rows.loc["wrong", ["heat", "area", "excess", "low", "high"]].isna().all()
    # two groups have heat, which is too few for a spread
    assert rows.loc["all", ["low", "high"]].isna().all()
