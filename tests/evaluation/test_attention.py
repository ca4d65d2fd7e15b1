import numpy as np
import pandas as pd
import pytest
import scipy.stats
import torch

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
    share, area = attention.shares(heat[None], box[None])
    assert share == pytest.approx([inside.sum() / fine.sum()])
    assert area == pytest.approx([inside.size / fine.size])


def test_an_image_without_heat_has_no_share_but_an_area():
    share, area = attention.shares(np.zeros((1, 4, 4)), np.array([[0, 0, 2, 4]]))
    assert np.isnan(share[0]) and area[0] == 0.5


def test_heat_is_enlarged_as_torch_does_it():
    cells = np.random.default_rng(0).random((3, 4, 6), dtype=np.float32)
    cells[1] = 0
    expected = torch.nn.functional.interpolate(torch.from_numpy(cells)[:, None], size=(50, 36), mode="bilinear")[:, 0]
    expected[[0, 2]] /= expected[[0, 2]].amax((1, 2), keepdim=True)
    np.testing.assert_allclose(attention.enlarged(cells, (50, 36)), expected.numpy(), atol=1e-6)


def test_face_border_and_background_are_those_of_a_mask_made_by_hand():
    """A box of 40 x 20 pixels in the corner of a view of 100: a ring of 6 x 3 pixels, cut off at the view's edges."""
    faces = pd.DataFrame([[0, 10, 40, 30]], columns=CORNERS, dtype=float)
    regions = pd.DataFrame([[0, 0, 100, 100]], columns=CORNERS)
    heat = np.random.default_rng(0).random((1, 100, 100))
    mask = np.full((100, 100), 2)
    mask[7:33, 0:46] = 1
    mask[10:30, 0:40] = 0
    boxes, rings = attention.boxes(faces, regions, 100), attention.rings(faces, regions, 100)
    assert attention.RING == 0.15
    found = attention.by_region(heat, boxes, rings)
    for number, region in enumerate(attention.REGIONS):
        assert found[region][0] == pytest.approx(heat[0][mask == number].sum() / heat.sum())
        assert found[f"{region}_area"][0] == pytest.approx((mask == number).mean())


def looks(face: list[float], area: float = 0.5, groups: str = "aabbcc") -> pd.DataFrame:
    """Return where a run looks in images a, b, ...: on the face as given, else on the background."""
    rows = pd.DataFrame({"sample_id": [f"image{number}" for number in range(len(face))], "group": list(groups)})
    rows = rows.assign(label=1, source="gan", wrong=False, face=face, border=0.0, face_area=area, border_area=0.1)
    rows["border"] = np.where(rows["face"].isna(), np.nan, 0.0)
    return rows.assign(background=1 - rows["face"], background_area=0.9 - area)


def test_attention_moves_by_the_paired_difference_of_the_excess():
    first = looks([0.5, 0.4, 0.6, np.nan, 0.3, 0.2])
    second = looks([0.9, 0.7, np.nan, 0.8, 0.6, 0.7], area=0.6).sample(frac=1, random_state=0)
    moved = attention.moved(first, second, 0.95)
    assert moved is not None
    # images 0, 1, 4 and 5 have heat in both; the face became larger by .1
    changes = np.array([0.9 - 0.5, 0.7 - 0.4, 0.6 - 0.3, 0.7 - 0.2]) - 0.1
    assert moved["face"].value == pytest.approx(changes.mean())
    assert (moved["face"].n_samples, moved["face"].n_groups) == (4, 2)
    assert moved["border"].value == pytest.approx(0)
    assert moved["background"].value == pytest.approx(-changes.mean())
    assert attention.moved(looks([np.nan] * 6), second, 0.95) is None


def test_the_interval_of_a_change_is_that_of_the_jackknife_over_groups():
    first, second = looks([0.5, 0.4, 0.6, 0.1, 0.3, 0.2]), looks([0.9, 0.7, 0.2, 0.8, 0.6, 0.7])
    moved = attention.moved(first, second, 0.95)
    assert moved is not None
    # three groups of two images: the jackknife of their mean is that of three means
    means = (second["face"] - first["face"]).groupby(first["group"]).mean()
    reach = scipy.stats.t.ppf(0.975, 2) * means.std(ddof=1) / 3**0.5
    assert moved["face"].low == pytest.approx(means.mean() - reach)
    assert moved["face"].high == pytest.approx(means.mean() + reach)


def test_the_summary_counts_images_with_heat_alone():
    found = pd.DataFrame(
        {
            "label": 1,
            "source": "gan",
            "group": list("aabbcc"),
            "wrong": [False, False, False, False, True, True],
            "face": [0.9, 0.7, 0.8, np.nan, np.nan, np.nan],
            "face_area": [0.5, 0.5, 0.2, 0.9, 0.9, 0.9],
        }
    )
    found = found.assign(border=0.1, border_area=0.05, background=0.9 - found["face"], background_area=0.0)
    rows = attention.summary(found, 0.95).set_index("verdict")
    assert rows["images"].to_dict() == {"all": 3, "correct": 3, "wrong": 0}
    assert rows["without_heat"].to_dict() == {"all": 3, "correct": 1, "wrong": 2}
    assert rows.loc["all", "face"] == pytest.approx(0.8)
    assert rows.loc["all", "face_area"] == pytest.approx(0.4)
    assert rows.loc["all", "face_excess"] == pytest.approx(0.4)
    assert rows.loc["all", "border_excess"] == pytest.approx(0.05)
    assert rows.loc["wrong", ["face", "face_area", "face_excess", "face_low", "face_high"]].isna().all()
    # two groups have heat, which is too few for a spread
    assert rows.loc["all", ["face_low", "face_high"]].isna().all()
