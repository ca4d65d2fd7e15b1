import numpy as np
import pandas as pd
import pytest

from deepfake.config.analysis import Severity
from deepfake.config.params import Evaluation
from deepfake.evaluation import probes
from deepfake.modalities.image import framing, geometry
from repeated_predictions import between_auc

EVALUATION = Evaluation(confidence=0.95, rope=0.02)
SEVERITY = Severity(weak=0.6, moderate=0.7, severe=0.9)
BOX = ["left", "top", "right", "bottom"]


def samples(*sizes: tuple[int, int]) -> pd.DataFrame:
    width, height = zip(*sizes, strict=True)
    return pd.DataFrame({"sample_id": [f"s{n}" for n in range(len(sizes))], "width": width, "height": height})


def faces(*boxes: tuple[float, float, float, float] | None) -> pd.DataFrame:
    """Return a table of faces, the last image first; None is an image without one."""
    rows = [{"sample_id": f"s{n}", "faces": int(box is not None)} for n, box in enumerate(boxes)]
    corners = np.array([box or (0.0,) * 4 for box in boxes])
    return pd.DataFrame(rows).assign(**dict(zip(BOX, corners.T, strict=True)))[::-1]


def measured(table: pd.DataFrame, found: pd.DataFrame | None, margin: float = 0.3, kind: str = "crop") -> pd.DataFrame:
    label = table.assign(label=table.get("label", 0), format="JPEG", mode="RGB", notes="")
    return framing.measure(table, geometry.regions(label, kind, found, margin), found, margin)


# --- by hand


@pytest.mark.parametrize(
    ("kind", "size", "expected"),
    [
        ("crop", (184, 224), (1, 0, 0)),
        ("crop", (13, 10), (1, 0, 0)),  # half a pixel to the left is rounding
        ("letterbox", (184, 224), (224 / 184, 0, 0)),
        ("resize", (12, 10), (1.2, 0, 0)),
    ],
)
def test_a_view_of_whole_images_is_framed_by_its_side_alone(kind, size, expected):
    found = measured(samples(size), None, kind=kind)
    assert found.columns.tolist() == list(framing.PLACE)
    assert found.iloc[0].tolist() == pytest.approx(expected)


@pytest.mark.parametrize(
    ("box", "place", "face"),
    [
        # the square of 52 would begin at -1 and is moved by one pixel
        ((10, 20, 40, 60), (0.52, -0.24, -0.6), (1, 1 / 40, 0, 0)),
        # that of 65 would begin at -22 and is moved down
        ((30, -15, 70, 35), (0.65, 0, -0.67), (1, 0, 22 / 50, 0)),
        # that of 130 is 30 too large for the width, and then moved by 5 to the right
        ((0, 0, 90, 100), (1, 0, -0.5), (1, 5 / 100, 0, 30 / 100)),
        (None, (1, 0, 0), (0, 0, 0, 0)),
    ],
)
def test_a_face_crop_by_hand(box, place, face):
    found = measured(samples((100, 200)), faces(box)).iloc[0]
    assert found[list(framing.PLACE)].tolist() == pytest.approx(place)
    assert found[list(framing.FACE)].tolist() == pytest.approx(face)


def test_faces_are_taken_by_their_samples():
    found = measured(samples((200, 200), (200, 200)), faces((80, 80, 120, 120), None))
    assert found["face_found"].tolist() == [1, 0]


# --- what gives fakes away


GROUPS, EACH = 24, 12


def people(real: tuple[int, int], fake: tuple[int, int], size: float, *, centred: bool = False) -> pd.DataFrame:
    """Return reals and fakes, with faces of a share of the height that stand anywhere, or those of fakes centred."""
    rng = np.random.default_rng(0)
    rows = []
    for group in range(GROUPS):
        for number in range(2 * EACH):
            label = number % 2
            width, height = fake if label else real
            side = size * height * rng.uniform(0.9, 1.1)
            x, y = (width / 2, height / 2) if label and centred else rng.uniform([0.35, 0.35], 0.65) * [width, height]
            rows.append(
                {"label": label, "group": group, "fold": group % 4, "source": "fake" if label else "real"}
                | {"width": width, "height": height, "faces": 1}
                | dict(zip(BOX, (x - side / 2, y - side / 2, x + side / 2, y + side / 2), strict=True))
            )
    return pd.DataFrame(rows).assign(sample_id=[f"s{n}" for n in range(len(rows))])


def probed(table: pd.DataFrame, columns: tuple[str, ...] = framing.FACE) -> pd.DataFrame:
    found = measured(table, table)
    rows, _ = probes.probe("face", found, {"framing": columns}, probes.identities(table))
    return probes.judge(rows, SEVERITY, EVALUATION).set_index("name")


def test_the_auc_of_a_framing_is_that_of_its_rule():
    """Of the fakes of each group some stand too high for their square, which then lies below them."""
    rows = [
        {"label": label, "group": group, "fold": group % 4, "source": str(label), "width": 100, "height": 100}
        | {"faces": 1, "left": 30, "right": 70, "top": 0 if high else 30, "bottom": 40 if high else 70}
        for group in range(GROUPS)
        for number in range(12)
        for label in (0, 1)
        for high in [label == 1 and number < 4 + 2 * (group % 4)]
    ]
    table = pd.DataFrame(rows).assign(sample_id=[f"s{n}" for n in range(len(rows))])
    assert set(measured(table, table)["face_y"]) == {0, 6 / 40}  # 52 px around the middle of 20 begin at -6
    expected = between_auc(table.assign(logit=-table["top"], subset="held_out"))
    assert probed(table).loc["face_y", "auc"] == pytest.approx(expected)


def test_in_square_images_and_higher_ones_clipped_faces_stand_elsewhere():
    """Large faces leave the square of a square image no room to follow them."""
    table = people((184, 260), (224, 224), 0.75)
    rows = probed(table)
    assert rows.loc["framing", ["severity", "nature"]].tolist() == ["severe", "container"]
    assert rows.loc["face_y", "severity"] != "none"


@pytest.mark.parametrize("size", [0.75, 0.4])
def test_where_all_images_are_square_framing_tells_nothing(size):
    rows = probed(people((224, 224), (224, 224), size))
    assert (rows["severity"] == "none").all()
    assert rows.loc["framing", "auc"] < 0.6


def test_of_images_of_two_sizes_rounding_gives_nothing_away():
    """Half a pixel is a larger share of a small image, which a tree would find."""
    assert (probed(people((60, 60), (600, 600), 0.3))["severity"] == "none").all()


def test_a_crop_around_small_faces_hides_where_they_stood():
    table = people((200, 300), (256, 256), 0.3, centred=True)
    rows = probed(table)
    assert (rows["severity"] == "none").all()
    # the place in the image, which the crop does not show, tells all
    assert probed(table, framing.PLACE).loc["framing", "severity"] == "severe"
