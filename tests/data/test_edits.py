import io
import os
import zipfile
from functools import cache
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from scipy.spatial import procrustes
from scipy.stats import ks_2samp
from threadpoolctl import threadpool_limits

from deepfake.config import params
from deepfake.config.images import Quality
from deepfake.synthetic import edited, edits, landmarks, manipulations, photographs, sample
from deepfake.synthetic.manipulations import Portrait
from heard import Heard

FIRST = params.Sample(
    seed=42,
    real_width=184,
    real_height=224,
    fake_size=256,
    jpeg_quality=Quality(min=75, max=95),
)
SETTINGS = params.Edited(seed=43, widths=(128, 184, 240), jpeg_quality=Quality(min=40, max=90))
FAKES = edited.SOURCES[1:]


@cache
def portraits(*people: int) -> list[Portrait]:
    return [one for person in people for one in sample.read_portraits(person)]


def edit(source: str, one: Portrait, block: list[Portrait], seed: int = 0) -> np.ndarray | None:
    return edited.make(source, one, block, np.random.default_rng(seed))


def around(portrait: Portrait, beyond: float) -> np.ndarray:
    """return a mask of all that lies no more than so many eye distances beyond the face's outline."""
    mask = np.ones_like(portrait.pixels)
    cv2.fillConvexPoly(mask, np.round(landmarks.outline(portrait.points)).astype(np.int32), 0)
    eyes = np.hypot(*landmarks.axes(portrait.points)[1])
    return cv2.distanceTransform(mask, cv2.DIST_L2, cv2.DIST_MASK_PRECISE) <= beyond * eyes


def shifted(portrait: Portrait, shift: tuple[float, float]) -> Portrait:
    return Portrait(portrait.person, portrait.number, portrait.pixels, portrait.points + shift)


# --- single portraits


@pytest.mark.parametrize(("source", "beyond"), [("paste", 0.05), ("morph", 0.6), ("liquify", 0.7)])
def test_an_edit_changes_the_face_and_nothing_far_from_it(source: str, beyond: float) -> None:
    people = portraits(15, 24)
    made = 0
    for seed, one in enumerate(people):
        before = one.pixels.copy()
        image = edit(source, one, people, seed)
        assert (one.pixels == before).all()
        if image is None:
            continue
        made += 1
        assert image.shape == one.pixels.shape and image.dtype == np.uint8
        change = np.abs(image.astype(int) - one.pixels)
        assert not change[~around(one, beyond)].any()
        assert change[around(one, 0)].mean() > 2
    assert made >= 14


@pytest.mark.parametrize("source", FAKES)
def test_no_edit_leaves_the_picture_torn(source: str) -> None:
    """Nothing black comes in, not even at the picture's edge, and no edges that neither photograph has."""
    for people in (portraits(15, 24), portraits(1, 30), portraits(8, 26)):
        for seed, one in enumerate(people):
            image = edit(source, one, people, seed)
            if image is None:
                continue
            # a pixel may come from a little way off; beyond that its neighbourhood was never as dark
            darkest = cv2.erode(one.pixels, np.ones((25, 25), np.uint8)).astype(int)
            new = image < darkest - 25
            new[around(one, 0)] = False  # where another face's hair and pupils may be
            assert not new.any(), (source, one.person, one.number)


def test_a_face_pasted_or_morphed_into_itself_stays_as_it_was() -> None:
    for one in portraits(15, 24)[:4]:
        for source in ("paste", "morph"):
            image = edits.OF_TWO[source](one, one)
            assert image is not None
            assert np.abs(image.astype(int) - one.pixels).max() <= 6, source


def test_a_pasted_face_is_the_donors_as_a_whole() -> None:
    """It correlates with the donor's face under one similarity, found here by OpenCV, and no longer with its own."""
    people = portraits(15, 24)
    compared = 0
    for one in people:
        for donor in manipulations.donors(one, people)[:1]:
            image = edits.paste(one, donor)
            if image is None:
                continue
            compared += 1
            matrix, _ = cv2.estimateAffinePartial2D(
                donor.points, one.points, method=cv2.RANSAC, ransacReprojThreshold=99
            )
            face = cv2.warpAffine(donor.pixels, matrix, one.pixels.shape[::-1], flags=cv2.INTER_CUBIC)
            core = cv2.erode(around(one, 0).astype(np.uint8), np.ones((61, 61), np.uint8)) > 0
            fine = [cv2.GaussianBlur(i, (0, 0), 2)[core].astype(float) for i in (image, face, one.pixels)]
            assert np.corrcoef(fine[0], fine[1])[0, 1] > 0.9
            assert np.corrcoef(fine[0], fine[1])[0, 1] > np.corrcoef(fine[0], fine[2])[0, 1]
    assert compared >= 10


def test_a_morph_lies_between_two_faces() -> None:
    people = portraits(15, 24)
    for one in people[:5]:
        partner = manipulations.donors(one, people)[0]
        morph, paste = edits.morph(one, partner), edits.paste(one, partner)
        assert morph is not None and paste is not None
        core = cv2.erode(around(one, 0).astype(np.uint8), np.ones((41, 41), np.uint8)) > 0
        to_one, to_partner = (np.abs(morph.astype(int) - other)[core].mean() for other in (one.pixels, paste))
        apart = np.abs(paste.astype(int) - one.pixels)[core].mean()
        assert max(to_one, to_partner) < apart


def test_retouching_shows_the_persons_own_gray_values_elsewhere() -> None:
    """A warp moves pixels: within the cubic's overshoot no value comes in that is not near by."""
    for seed, one in enumerate(portraits(15, 24)):
        image = edit("liquify", one, [], seed)
        if image is not None:
            low, high = (f(one.pixels, np.ones((33, 33), np.uint8)).astype(int) for f in (cv2.erode, cv2.dilate))
            assert ((image >= low - 30) & (image <= high + 30)).all()


def test_a_retouch_never_folds_the_picture() -> None:
    rng = np.random.default_rng(0)
    for one in portraits(15, 24):
        height, width = one.pixels.shape
        places = np.stack(np.meshgrid(np.arange(width), np.arange(height)), axis=-1).astype(float)
        for name, retouch in edits.RETOUCHES.items():
            for _ in range(5):
                moved = retouch(places, one.points, rng)
                across, down = np.gradient(moved, axis=1), np.gradient(moved, axis=0)
                turned = across[..., 0] * down[..., 1] - across[..., 1] * down[..., 0]
                assert turned.min() > 0.1, name


def test_retouching_takes_every_feature_and_repeats_with_its_generator() -> None:
    one = portraits(15, 24)[0]
    first, again, other = (edit("liquify", one, [], seed) for seed in (1, 1, 2))
    assert first is not None and again is not None and other is not None
    assert (first == again).all() and (first != other).any()
    names = {name for seed in range(30) for name in np.random.default_rng(seed).choice(list(edits.RETOUCHES), 2)}
    assert names == set(edits.RETOUCHES)


@pytest.mark.parametrize("shift", [(70.0, 0.0), (-70.0, 0.0), (0.0, 60.0), (0.0, -90.0)])
def test_a_face_that_leaves_the_picture_is_not_edited(shift: tuple[float, float]) -> None:
    one, other = portraits(15, 24)[:2]
    clipped = shifted(one, shift)
    assert edits.liquify(clipped, np.random.default_rng(0)) is None
    for manipulation in edits.OF_TWO.values():
        assert manipulation(clipped, other) is None
        assert manipulation(other, clipped) is None


def test_faces_that_do_not_fit_are_not_joined() -> None:
    one, other = portraits(15, 24)[:2]
    points = other.points.copy()
    points[3:] += 0.25 * (points[3:].mean(axis=0) - points[:2].mean(axis=0))
    longer = Portrait(other.person, other.number, other.pixels, points)
    for manipulation in edits.OF_TWO.values():
        assert manipulation(one, other) is not None
        assert manipulation(one, longer) is None


@given(st.integers(0, 10_000))
def test_a_similarity_is_the_best_in_least_squares(seed: int) -> None:
    rng = np.random.default_rng(seed)
    points, targets = rng.normal(50, 20, (2, 5, 2))
    if np.linalg.det((points - points.mean(0)).T @ (targets - targets.mean(0))) <= 0:
        return  # SciPy's would be a mirror image there
    placed = edits.moved(points, edits.similarity(points, targets))
    scale = np.linalg.norm(targets - targets.mean(0)) ** 2
    assert ((placed - targets) ** 2).sum() / scale == pytest.approx(procrustes(targets, points)[2], abs=1e-9)


# --- the data set


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    destination = tmp_path_factory.mktemp("data") / "sample_edited"
    edited.generate(FIRST, SETTINGS, destination)
    return destination


def contents(raw: Path, source: str) -> dict[str, bytes]:
    with zipfile.ZipFile(raw / f"{source}.zip") as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def sizes(files: dict[str, bytes]) -> dict[str, tuple[int, int]]:
    return {name: Image.open(io.BytesIO(data)).size for name, data in files.items()}


def strengths(files: dict[str, bytes]) -> list[int]:
    """Return a figure of each file's quantisation, which falls with its quality."""
    tables = (Image.open(io.BytesIO(data)).quantization[0] for data in files.values())  # pyright: ignore[reportAttributeAccessIssue]
    return [sum(table) for table in tables]


def test_members_and_groups_are_those_of_the_sample(raw: Path) -> None:
    reals = set(contents(raw, "camera"))
    assert reals == {f"{person:02d}/s{person:02d}_{photo:02d}.jpg" for person in range(1, 41) for photo in range(1, 11)}
    for source in FAKES:
        fakes = set(contents(raw, source))
        assert fakes < reals and len(fakes) > 380, source


def test_a_photograph_and_its_fakes_have_one_size(raw: Path) -> None:
    reals = sizes(contents(raw, "camera"))
    assert set(reals.values()) == {(128, 156), (184, 224), (240, 292)}
    counts = [list(reals.values()).count(size) for size in set(reals.values())]
    assert min(counts) > 90
    for source in FAKES:
        fakes = sizes(contents(raw, source))
        assert fakes == {name: reals[name] for name in fakes}


def test_quality_is_drawn_alike_for_all_and_anew_for_each_file(raw: Path) -> None:
    reals = strengths(contents(raw, "camera"))
    assert len(set(reals)) > 45
    for source in FAKES:
        fakes = strengths(contents(raw, source))
        assert ks_2samp(reals, fakes).pvalue > 0.01, source
        assert fakes[:100] != reals[:100]


def test_a_real_is_the_photograph_and_nothing_else(raw: Path) -> None:
    files = contents(raw, "camera")
    for person, number in ((1, 1), (17, 4), (40, 10)):
        name = next(name for name in files if name.endswith(f"s{person:02d}_{number:02d}.jpg"))
        with Image.open(io.BytesIO(files[name])) as image:
            assert image.mode == "RGB"
            shown = image.convert("L").resize((46, 56), Image.Resampling.BOX)
        original = Image.fromarray(photographs.read(person, number).pixels).resize((46, 56), Image.Resampling.BOX)
        assert np.abs(np.asarray(shown, float) - np.asarray(original, float)).mean() < 4


def test_any_person_made_alone_equals_its_part_of_the_whole(raw: Path) -> None:
    alone = edited.generate_person(7, FIRST, SETTINGS)
    for source in edited.SOURCES:
        whole = {name: data for name, data in contents(raw, source).items() if name.startswith("07/")}
        assert alone[source] == whole


def test_a_person_is_made_without_a_look_at_other_people(monkeypatch: pytest.MonkeyPatch) -> None:
    read = photographs.read
    seen = set()

    def watched(person: int, number: int) -> photographs.Photograph:
        seen.add(person)
        return read(person, number)

    monkeypatch.setattr(photographs, "read", watched)
    images = edited.generate_person(11, FIRST, SETTINGS)
    assert seen == {11}
    assert all(len(images[source]) > 7 for source in edited.SOURCES)


def test_two_runs_write_the_same_bytes_on_any_number_of_cores(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(photographs, "PEOPLE", 4)
    heard = Heard()
    with threadpool_limits(2):  # whatever there are here
        edited.generate(FIRST, SETTINGS, tmp_path / "first", heard)
    monkeypatch.setattr(os, "cpu_count", lambda: 1)
    edited.generate(FIRST, SETTINGS, tmp_path / "second")
    for source in edited.SOURCES:
        first, second = ((tmp_path / run / f"{source}.zip").read_bytes() for run in ("first", "second"))
        assert first == second
    assert heard.steps == [("generating first", done, 40) for done in (10, 20, 30, 40)]
