from functools import cache

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deepfake.synthetic import landmarks, manipulations, sample, synthesis
from deepfake.synthetic.manipulations import Portrait

GRID = np.array([[x, y] for y in (0.0, 30, 59) for x in (0.0, 40, 79)])
NOISE_IMAGE = cv2.GaussianBlur(np.random.default_rng(0).integers(0, 256, (60, 80), dtype=np.uint8), (0, 0), 3)


@cache
def portraits(*people: int) -> list[Portrait]:
    return [one for person in people for one in sample.read_portraits(person)]


@cache
def model() -> synthesis.Model:
    return synthesis.fit(portraits(15))


def moved(portrait: Portrait, shift: tuple[float, float]) -> Portrait:
    pixels = cv2.warpAffine(
        portrait.pixels,
        np.array([[1, 0, shift[0]], [0, 1, shift[1]]], float),
        portrait.pixels.shape[::-1],
        borderMode=cv2.BORDER_REPLICATE,
    )
    return Portrait(portrait.person, portrait.number, pixels, portrait.points + shift)


def inside(portrait: Portrait) -> np.ndarray:
    mask = np.zeros_like(portrait.pixels)
    cv2.fillConvexPoly(mask, np.round(landmarks.outline(portrait.points)).astype(np.int32), 1)
    return mask > 0


def detail(pixels: np.ndarray, mask: np.ndarray) -> float:
    eroded = cv2.erode(mask.astype(np.uint8), np.ones((7, 7), np.uint8)) > 0
    return float(np.abs(cv2.Laplacian(pixels.astype(float), cv2.CV_64F))[eroded].mean())


@pytest.mark.parametrize("seed", range(12))
def test_inpainting_changes_its_mask_and_nothing_else(seed: int) -> None:
    portrait = portraits(15, 24)[seed]
    image, mask = manipulations.inpaint(portrait, np.random.default_rng(seed))
    changed = image != portrait.pixels
    assert not changed[mask == 0].any()
    assert changed[mask > 0].mean() > 0.5
    assert 0.01 < (mask > 0).mean() < 0.15


def test_inpainting_takes_every_feature_and_both_methods(monkeypatch: pytest.MonkeyPatch) -> None:
    used = []
    monkeypatch.setattr(manipulations, "feature_mask", lambda one, feature, grow: used.append(feature) or one.pixels)
    monkeypatch.setattr(cv2, "inpaint", lambda pixels, mask, radius, method: used.append(method) or pixels)
    for seed in range(40):
        manipulations.inpaint(portraits(15, 24)[0], np.random.default_rng(seed))
    assert set(used) == {*manipulations.FEATURES, cv2.INPAINT_TELEA, cv2.INPAINT_NS}


@pytest.mark.parametrize(
    ("feature", "covered", "free"),
    [("eyes", (0, 1), (2, 3, 4)), ("nose", (2,), (0, 1, 3, 4)), ("mouth", (3, 4), (0, 1, 2))],
)
def test_a_mask_covers_its_feature_and_leaves_the_others(
    feature: str, covered: tuple[int, ...], free: tuple[int, ...]
) -> None:
    for portrait in portraits(15, 24):
        if abs(landmarks.pose(portrait.points)[0]) > 0.2:
            continue
        mask = manipulations.feature_mask(portrait, feature, grow=1.0)
        columns, rows = np.round(portrait.points).astype(int).T
        assert (mask[rows[list(covered)], columns[list(covered)]] == 255).all()
        assert (mask[rows[list(free)], columns[list(free)]] == 0).all()


def test_donors_are_the_other_photographs_most_different_pose_first() -> None:
    people = portraits(7, 15, 24)
    for portrait in people:
        donors = manipulations.donors(portrait, people)
        assert all(donor.person == portrait.person and donor.number != portrait.number for donor in donors)
        own = landmarks.pose(portrait.points)
        distances = [float(np.hypot(*(landmarks.pose(donor.points) - own))) for donor in donors]
        assert distances == sorted(distances, reverse=True)
        assert all(distance <= manipulations.MAX_POSE_DIFFERENCE for distance in distances)
        assert donors


def test_a_swap_shows_the_donor_inside_the_outline_and_the_portrait_outside() -> None:
    people = portraits(15, 24)
    swapped = 0
    for portrait in people:
        for donor in manipulations.donors(portrait, people)[:1]:
            image = manipulations.swap(portrait, donor)
            if image is None:
                continue
            swapped += 1
            face = inside(portrait)
            shade = np.abs(image.astype(int) - portrait.pixels)
            assert shade[~face].mean() < 1
            x, y, width, height = cv2.boundingRect(face.astype(np.uint8))
            shade[y : y + height, x : x + width] = 0
            assert not shade.any()
            warped = manipulations.warp(donor.pixels, landmarks.mesh(donor.points), landmarks.mesh(portrait.points))
            assert warped is not None
            core = cv2.erode(face.astype(np.uint8), np.ones((11, 11), np.uint8)) > 0
            likeness = [
                np.corrcoef(cv2.Laplacian(image, cv2.CV_64F)[core], cv2.Laplacian(other, cv2.CV_64F)[core])[0, 1]
                for other in (warped, portrait.pixels)
            ]
            assert likeness[0] > 0.7 > likeness[1]
    assert swapped >= 10


def test_a_face_swapped_with_itself_stays_as_it_was() -> None:
    portrait = portraits(15, 24)[0]
    image = manipulations.swap(portrait, portrait)
    assert image is not None
    assert np.abs(image.astype(int) - portrait.pixels).max() <= 3


@pytest.mark.parametrize("clipped", ["portrait", "donor"])
@pytest.mark.parametrize("shift", [(70.0, 0.0), (-70.0, 0.0), (0.0, 60.0), (0.0, -90.0)])
def test_a_face_that_leaves_the_picture_is_not_swapped(clipped: str, shift: tuple[float, float]) -> None:
    portrait, donor = portraits(15, 24)[0], portraits(15, 24)[1]
    assert manipulations.swap(portrait, donor) is not None
    if clipped == "portrait":
        assert manipulations.swap(moved(portrait, shift), donor) is None
    else:
        assert manipulations.swap(portrait, moved(donor, shift)) is None


def test_a_face_turned_too_far_is_not_swapped() -> None:
    portrait, donor = portraits(15, 24)[:2]
    turned = portrait.points.copy()
    turned[2] += 0.4 * (turned[1] - turned[0])
    profile = Portrait(portrait.person, portrait.number, portrait.pixels, turned)
    assert manipulations.swap(profile, donor) is None
    assert manipulations.swap(donor, profile) is None


def test_warp_is_exact_for_an_affine_map() -> None:
    matrix = np.array([[0.9, 0.1, 3.0], [-0.05, 0.95, 4.0]])
    targets = GRID @ matrix[:, :2].T + matrix[:, 2]
    expected = cv2.warpAffine(NOISE_IMAGE, matrix, (80, 60), flags=cv2.INTER_CUBIC)
    warped = manipulations.warp(NOISE_IMAGE, GRID, targets)
    assert warped is not None
    hull = np.zeros_like(NOISE_IMAGE)
    cv2.fillConvexPoly(hull, np.round(targets[[0, 2, 8, 6]]).astype(np.int32), 1)
    core = cv2.erode(hull, np.ones((5, 5), np.uint8), borderType=cv2.BORDER_CONSTANT, borderValue=0) > 0
    assert core.sum() > 2000
    assert np.abs(warped.astype(int) - expected)[core].max() <= 3
    assert (warped[cv2.dilate(hull, np.ones((5, 5), np.uint8)) == 0] == 0).all()


@settings(max_examples=25)
@given(st.floats(-60, 60), st.floats(-60, 60))
def test_warp_refuses_exactly_the_maps_that_fold(x: float, y: float) -> None:
    vertices = GRID.copy()
    vertices[4] += (x, y)
    within = bool(0.5 < vertices[4, 0] < 78.5 and 0.5 < vertices[4, 1] < 58.5)
    beyond = bool(not -0.5 < vertices[4, 0] < 79.5 or not -0.5 < vertices[4, 1] < 59.5)
    warped = manipulations.warp(NOISE_IMAGE, vertices, GRID)
    if beyond:
        assert warped is None
    elif within and abs(x) + abs(y) < 20:
        assert warped is not None


def test_blending_ignores_the_brightness_and_contrast_of_the_face() -> None:
    portrait = portraits(15, 24)[0]
    hull = landmarks.outline(portrait.points)
    plain = manipulations.blend(portrait.pixels, portrait.pixels, hull)
    pale = np.round(portrait.pixels * 0.8 + 45).astype(np.uint8)
    assert np.abs(manipulations.blend(pale, portrait.pixels, hull).astype(int) - plain).max() <= 6


def test_blending_leaves_no_seam() -> None:
    portrait, donor = portraits(15, 24)[0], portraits(15, 24)[12]
    image = manipulations.swap(portrait, donor)
    assert image is not None
    face = inside(portrait).astype(np.uint8)
    seam = cv2.morphologyEx(face, cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8)) > 0
    steps = [
        cv2.magnitude(cv2.Sobel(i, cv2.CV_64F, 1, 0), cv2.Sobel(i, cv2.CV_64F, 0, 1)) for i in (image, portrait.pixels)
    ]
    assert steps[0][seam].mean() < 1.5 * steps[1][seam].mean()


def test_align_removes_place_size_and_tilt() -> None:
    shape = portraits(15, 24)[0].points
    turn = np.array([[np.cos(0.3), np.sin(0.3)], [-np.sin(0.3), np.cos(0.3)]])
    mean, aligned = synthesis.align([shape, 1.7 * shape @ turn + [5, -40], 0.4 * shape @ turn.T])
    for one in aligned:
        np.testing.assert_allclose(one, aligned[0], atol=1e-9)
    assert np.linalg.norm(mean) == pytest.approx(1)
    np.testing.assert_allclose(mean.mean(axis=0), 0, atol=1e-12)


def test_a_model_holds_only_portraits_it_was_given() -> None:
    given_ones = {(one.person, one.number) for one in portraits(15)}
    held = {(one.person, one.number) for one in model().portraits}
    assert held <= given_ones
    assert len(held) >= 8
    assert len(model().texture_codes) == len(model().shape_codes) == len(held)


def test_a_synthetic_face_is_new_and_repeats_with_its_generator() -> None:
    first = synthesis.synthesize(model(), np.random.default_rng(3))
    again = synthesis.synthesize(model(), np.random.default_rng(3))
    other = synthesis.synthesize(model(), np.random.default_rng(4))
    assert first is not None and again is not None and other is not None
    assert (first == again).all()
    assert (first != other).mean() > 0.3
    for portrait in portraits(15):
        assert np.abs(first.astype(int) - portrait.pixels)[inside(portrait)].mean() > 4


def test_a_synthetic_face_is_neither_a_ghost_nor_noise() -> None:
    for person in (15, 24):
        of_one = synthesis.fit(portraits(person))
        real = np.mean([detail(one.pixels, inside(one)) for one in of_one.portraits])
        faces = [synthesis.synthesize(of_one, np.random.default_rng(seed)) for seed in range(8)]
        drawn = np.mean([detail(face, of_one.frame_mask) for face in faces if face is not None])
        assert 0.5 * real < drawn < 1.2 * real
