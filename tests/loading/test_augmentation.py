from math import ceil

import numpy as np
import pytest
import torch
from scipy import stats
from torchvision.transforms import functional

from deepfake.modalities.chance import splitmix64
from deepfake.modalities.image.augmentation import (
    YIQ,
    AugmentationPlan,
    Draws,
    blur_window,
    noise_bank,
    possible,
)
from policies import policy

SOURCE, SIZE = 50, 40
FIELDS = list(Draws.__dataclass_fields__)
FULL = {
    "flip": 0.5,
    "scale": {"min": 0.4, "max": 0.9},
    "rotation": 25.0,
    "blur": {"probability": 0.3, "sigma": {"min": 0.5, "max": 1.5}},
    "noise": {"probability": 0.4, "std": {"min": 2.0, "max": 8.0}},
    "brightness": 0.2,
    "contrast": 0.3,
    "saturation": 0.4,
    "hue": 30.0,
    "jpeg": {"probability": 0.6, "quality": {"min": 50, "max": 53}},
}


def drawn(changes: dict, rows=4000, occurrence=None, seed: int = 7, epoch: int = 2, source: int = SOURCE) -> Draws:
    rows = np.arange(rows) if isinstance(rows, int) else np.asarray(rows)
    occurrence = np.zeros(len(rows), np.int64) if occurrence is None else np.asarray(occurrence)
    plan = AugmentationPlan(policy(**changes), seed=seed, epoch=epoch, source=source, size=SIZE)
    return plan.draws(rows, occurrence)


def is_uniform(values: np.ndarray, low: float, high: float) -> bool:
    return stats.kstest(values, "uniform", (low, high - low)).pvalue > 1e-3


# --- chance


def test_splitmix64_gives_the_published_numbers():
    # the first five of the reference implementation for the state 1234567
    numbers = splitmix64(np.array([1234567], np.uint64), np.arange(1, 6, dtype=np.uint64))
    assert numbers.tolist() == [
        6457827717110365317,
        3203168211198807973,
        9817491932198370423,
        4593380528125082431,
        16408922859458223821,
    ]


@pytest.mark.parametrize("field", FIELDS)
def test_a_draw_depends_on_seed_epoch_row_and_occurrence_only(field):
    everything = getattr(drawn(FULL, 1000), field)
    rows = np.random.default_rng(0).permutation(1000)[:33]
    np.testing.assert_array_equal(getattr(drawn(FULL, rows), field), everything[rows])
    np.testing.assert_array_equal(getattr(drawn(FULL, [999, 5, 999]), field), everything[[999, 5, 999]])


@pytest.mark.parametrize("field", FIELDS)
@pytest.mark.parametrize(
    "other", [{"seed": 8}, {"epoch": 3}, {"occurrence": np.ones(200, int)}, {"rows": range(200, 400)}]
)
def test_each_of_them_matters(field, other):
    one, two = getattr(drawn(FULL, 200), field), getattr(drawn(FULL, **{"rows": 200} | other), field)
    different = (one != two).reshape(200, -1).any(axis=1)
    # of the noise and the JPEG, some draw none both times
    assert different.mean() > 0.3
    if field == "matrix":
        assert different.all()
        assert abs(np.corrcoef(one[:, 0, 2], two[:, 0, 2])[0, 1]) < 0.3


def test_a_large_row_and_a_late_occurrence_have_draws_of_their_own():
    rows, times = [0, 1, 2**31, 0, 1], [0, 0, 0, 2**20, 255]
    assert len(np.unique(drawn(FULL, rows, times).matrix.reshape(5, -1), axis=0)) == 5


@pytest.mark.parametrize(
    ("field", "kind", "shape"),
    [
        ("matrix", np.float32, (5, 2, 3)),
        ("colour", np.float32, (5, 3, 4)),
        ("blur", np.float32, (5,)),
        ("noise", np.float32, (5,)),
        ("noise_offset", np.int32, (5, 2)),
        ("quality", np.int32, (5,)),
    ],
)
def test_types_and_shapes(field, kind, shape):
    values = getattr(drawn(FULL, 5), field)
    assert values.dtype == kind
    assert values.shape == shape


# --- what is drawn


@pytest.mark.parametrize(
    ("field", "section", "limits"),
    [("blur", "blur", (0.5, 1.5)), ("noise", "noise", (2, 8)), ("quality", "jpeg", (50, 53))],
)
def test_some_images_draw_from_the_range_and_the_others_nothing(field, section, limits):
    values = getattr(drawn(FULL), field)
    assert stats.binomtest(int((values > 0).sum()), len(values), FULL[section]["probability"]).pvalue > 1e-3
    values = values[values > 0]
    if field == "quality":
        assert np.unique(values).tolist() == [50, 51, 52, 53]
        assert stats.chisquare(np.unique(values, return_counts=True)[1]).pvalue > 1e-3
    else:
        assert is_uniform(values, *limits)


@pytest.mark.parametrize(("probability", "share"), [(0.0, 0.0), (1.0, 1.0)])
def test_never_and_always_are_meant(probability, share):
    draws = drawn({f"{name}.probability": probability for name in ("blur", "noise", "jpeg")} | {"flip": probability})
    for values in (draws.blur, draws.noise, draws.quality, draws.matrix[:, 0, 0] < 0):
        assert (values > 0).mean() == share


def test_the_noise_is_cut_from_anywhere_in_the_bank():
    offset = drawn(FULL).noise_offset
    assert offset.min() == 0
    assert offset.max() == SIZE
    assert abs(np.corrcoef(offset.T)[0, 1]) < 0.1


def test_the_bank_is_standard_noise_that_nobody_can_change():
    bank = noise_bank(SIZE)
    assert bank.shape == (2 * SIZE, 2 * SIZE, 3)
    assert bank.dtype == np.float32
    assert stats.kstest(bank.ravel(), "norm").pvalue > 1e-3
    assert not bank.flags.writeable
    noise_bank.cache_clear()
    np.testing.assert_array_equal(noise_bank(SIZE), bank)


# --- geometry


def homogeneous(matrix: np.ndarray) -> np.ndarray:
    last = np.zeros((len(matrix), 1, matrix.shape[2]))
    last[:, 0, -1] = 1
    return np.concatenate([matrix.astype(float), last], axis=1)


def test_without_geometry_the_map_is_a_plain_resize():
    np.testing.assert_array_equal(drawn({}, 3).matrix, np.tile(np.float32([[1.25, 0, 0], [0, 1.25, 0]]), (3, 1, 1)))


def test_a_mirror_image_runs_from_right_to_left():
    np.testing.assert_array_equal(
        drawn({"flip": 1.0}, 3).matrix, np.tile(np.float32([[-1.25, 0, SOURCE], [0, 1.25, 0]]), (3, 1, 1))
    )


def test_a_crop_has_a_random_side_and_lies_anywhere_inside():
    matrix = drawn({"scale": FULL["scale"]}).matrix.astype(float)
    side = matrix[:, 0, 0] * SIZE
    np.testing.assert_allclose(matrix[:, 1, 1], matrix[:, 0, 0])
    assert is_uniform(side / SOURCE, 0.4, 0.9)
    x, y = matrix[:, :, 2].T / (SOURCE - side)
    assert is_uniform(x, 0, 1)
    assert is_uniform(y, 0, 1)
    assert np.abs(np.corrcoef([x, y, side]) - np.eye(3)).max() < 0.1


def test_rotation_turns_about_the_middle_by_up_to_its_angle():
    matrix = drawn({"rotation": 25.0}).matrix.astype(float)
    np.testing.assert_allclose(matrix @ [SIZE / 2, SIZE / 2, 1], SOURCE / 2, atol=1e-4)
    np.testing.assert_allclose(np.linalg.det(matrix[:, :, :2]), 1.25**2, rtol=1e-5)
    assert is_uniform(np.rad2deg(np.arctan2(matrix[:, 1, 0], matrix[:, 0, 0])), -25, 25)


def test_the_crop_is_rotated_about_its_own_middle_and_mirrored_first():
    # every number of a sample has its own chance, so the parts can be drawn alone
    crop, turn, flip = (homogeneous(drawn({key: FULL[key]}, 200).matrix) for key in ("scale", "rotation", "flip"))
    plain = homogeneous(drawn({}, 200).matrix)
    # in pixels of the result: mirrored, then turned; then into the source
    expected = crop @ np.linalg.inv(plain) @ turn @ np.linalg.inv(plain) @ flip
    found = drawn({key: FULL[key] for key in ("scale", "rotation", "flip")}, 200).matrix
    np.testing.assert_allclose(found, expected[:, :2], atol=1e-4)


# --- colour


def recoloured(pixels: np.ndarray, colour: np.ndarray) -> np.ndarray:
    return pixels @ colour[:, :3].T + colour[:, 3]


@pytest.fixture
def pixels() -> np.ndarray:
    """Colours that stay inside 0..255 under the factors here."""
    return np.random.default_rng(0).integers(70, 160, (9, 11, 3)).astype(np.uint8)


@pytest.mark.parametrize(("key", "reach"), [("brightness", 0.2), ("contrast", 0.3), ("saturation", 0.4)])
def test_factors_lie_around_one(key, reach):
    colour = drawn({key: reach}).colour
    # what a factor does to a difference between two colours of the same luma
    same_luma = np.linalg.inv(YIQ) @ [0, 1, 0]
    factor = (colour[:, :, :3] @ same_luma)[:, 0] / same_luma[0]
    assert is_uniform(factor, 1 - reach, 1 + reach)


@pytest.mark.parametrize("row", range(3))
def test_brightness_is_torchvisions(pixels, row):
    colour = drawn({"brightness": 0.2}, 3).colour[row]
    image = torch.from_numpy(pixels).permute(2, 0, 1) / 255  # torchvision clips floats at 1
    expected = functional.adjust_brightness(image, colour[0, 0]).permute(1, 2, 0) * 255
    np.testing.assert_allclose(recoloured(pixels, colour), expected, atol=1e-3)


@pytest.mark.parametrize("row", range(3))
def test_saturation_is_torchvisions(pixels, row):
    colour = drawn({"saturation": 0.4}, 3).colour[row]
    factor = np.trace(colour[:, :3]) / 2 - 0.5  # two of three eigenvalues
    image = torch.from_numpy(pixels).permute(2, 0, 1) / 255
    expected = functional.adjust_saturation(image, factor).permute(1, 2, 0) * 255
    # torchvision's luma weights have one digit more
    np.testing.assert_allclose(recoloured(pixels, colour), expected, atol=0.05)


def test_contrast_is_about_the_middle(pixels):
    colour = drawn({"contrast": 0.3}, 1).colour[0]
    expected = (pixels - 127.5) * colour[0, 0] + 127.5
    assert colour[0, 0] != 1
    np.testing.assert_allclose(recoloured(pixels, colour), expected, atol=1e-3)


@pytest.mark.parametrize("row", range(4))
def test_hue_and_saturation_are_dalis(pixels, row):
    fn = pytest.importorskip("nvidia.dali.fn")
    pipeline = pytest.importorskip("nvidia.dali.pipeline").Pipeline(1, 1, None, prefetch_queue_depth=1)
    colour = drawn({"hue": 60.0, "saturation": 0.4}, 4).colour[row]
    warm = YIQ @ colour[:, :3] @ np.linalg.inv(YIQ) @ [0, 1, 0]
    with pipeline:
        image = fn.external_source(name="image", layout="HWC")
        turned = fn.hsv(
            image,
            hue=float(np.rad2deg(np.arctan2(-warm[2], warm[1]))),
            saturation=float(np.hypot(*warm[1:])),
            dtype=pytest.importorskip("nvidia.dali.types").FLOAT,
        )
        pipeline.set_outputs(turned)
    (expected,) = pipeline.run(image=pixels[None])
    # DALI's inverse of the matrix has three digits
    np.testing.assert_allclose(recoloured(pixels, colour), np.asarray(expected.as_tensor())[0], atol=0.4)


def test_hue_keeps_luma_and_grays_and_turns_red_towards_green():
    colour = drawn({"hue": 30.0}).colour.astype(float)
    np.testing.assert_allclose(colour @ [90, 90, 90, 1], 90, atol=1e-4)
    luma = YIQ[0]
    np.testing.assert_allclose(colour[:, :, :3].transpose(0, 2, 1) @ luma, np.tile(luma, (len(colour), 1)), atol=1e-5)
    chroma = (YIQ @ colour[:, :, :3] @ np.linalg.inv(YIQ))[:, 1:, 1:]
    angle = np.rad2deg(np.arctan2(chroma[:, 0, 1], chroma[:, 0, 0]))
    assert is_uniform(angle, -30, 30)
    red = colour @ [255, 0, 0, 1]
    assert (red[angle > 5, 1] > red[angle > 5, 2]).all()


def test_brightness_comes_first_and_hue_last():
    parts = {
        key: homogeneous(drawn({key: FULL[key]}, 100).colour) for key in ("brightness", "contrast", "saturation", "hue")
    }
    expected = parts["hue"] @ parts["saturation"] @ parts["contrast"] @ parts["brightness"]
    found = drawn({key: FULL[key] for key in parts}, 100).colour
    np.testing.assert_allclose(found, expected[:, :3], atol=1e-4)


# --- what can happen


@pytest.mark.parametrize(
    ("changes", "source", "steps"),
    [
        ({}, SIZE, set()),
        ({}, SOURCE, {"geometry"}),
        ({"flip": 0.1}, SIZE, {"geometry"}),
        ({"scale.min": 0.9}, SIZE, {"geometry"}),
        ({"rotation": 1.0}, SIZE, {"geometry"}),
        ({"blur.probability": 0.1}, SIZE, {"blur"}),
        ({"blur.probability": 0.1, "blur.sigma": {"min": 0, "max": 0}}, SIZE, set()),
        ({"noise.probability": 0.1}, SIZE, {"noise"}),
        ({"noise.probability": 0.1, "noise.std": {"min": 0, "max": 0}}, SIZE, set()),
        ({"brightness": 0.1}, SIZE, {"colour"}),
        ({"contrast": 0.1}, SIZE, {"colour"}),
        ({"saturation": 0.1}, SIZE, {"colour"}),
        ({"hue": 0.1}, SIZE, {"colour"}),
        ({"jpeg.probability": 0.1}, SIZE, {"jpeg"}),
        (FULL, SOURCE, {"geometry", "blur", "noise", "colour", "jpeg"}),
    ],
)
def test_only_what_a_policy_can_do_is_possible(changes, source, steps):
    assert possible(policy(**changes), source=source, size=SIZE) == steps


def test_what_is_not_possible_is_not_drawn():
    draws = drawn({}, 50, source=SIZE)
    np.testing.assert_array_equal(draws.matrix, np.tile(np.eye(2, 3, dtype=np.float32), (50, 1, 1)))
    np.testing.assert_allclose(draws.colour, np.tile(np.eye(3, 4), (50, 1, 1)), atol=1e-6)
    assert not draws.blur.any()
    assert not draws.noise.any()
    assert not draws.quality.any()


@pytest.mark.parametrize("sigma", [0.2, 1.5, 3.0])
def test_the_window_reaches_three_of_the_largest_sigma(sigma):
    assert (
        blur_window(policy(blur={"probability": 1, "sigma": {"min": 0, "max": sigma}}), 64) == 2 * ceil(3 * sigma) + 1
    )


def test_the_window_never_reaches_further_than_the_mirrored_border():
    assert blur_window(policy(blur={"probability": 1, "sigma": {"min": 0, "max": 99}}), 32) == 63
