import io
import os
import re
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from PIL import Image

from deepfake.config.clips import Filmed
from deepfake.config.images import Range
from deepfake.synthetic import contact_sheet, landmarks, photographs, sample, video, video_fakes, video_scenes
from deepfake.synthetic.manipulations import Portrait
from deepfake.synthetic.video_scenes import Scene
from heard import Heard

SETTINGS = Filmed(
    seed=45,
    clips=2,
    seconds=1.0,
    rate=8,
    width=96,
    height=112,
    crf=(23, 40),
    noise=Range(min=1.0, max=4.0),
    jitter=0.02,
    opacity=Range(min=0.4, max=1.0),
)
FAKES = video.SOURCES[1:]


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    destination = tmp_path_factory.mktemp("data") / "sample_video"
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(photographs, "PEOPLE", 3)
        video.generate(SETTINGS, destination)
    return destination


@cache
def filmed(person: int) -> tuple[Scene, Portrait]:
    """return the scene of a person's first usable photograph, and the donor of its fakes."""
    portraits = sample.read_portraits(person)
    for one in portraits:
        donor = video.donor_of(one, portraits)
        if donor is not None:
            return video_scenes.draw(one, SETTINGS, np.random.default_rng(7)), donor
    raise AssertionError("nobody can be filmed")


def manipulated(source: str, person: int, settings: Filmed = SETTINGS) -> tuple[list[Portrait], list[np.ndarray]]:
    scene, donor = filmed(person)
    frames = scene.frames()
    rng = np.random.default_rng(8)
    return frames, video_fakes.manipulated(source, scene, frames, donor, settings, rng)


def files(raw: Path) -> dict[str, bytes]:
    return {str(path.relative_to(raw)): path.read_bytes() for path in sorted(raw.rglob("*")) if path.is_file()}


def decoded(data: bytes) -> np.ndarray:
    with av.open(io.BytesIO(data), "r") as container:
        return np.stack([frame.to_ndarray(format="gray") for frame in container.decode(video=0)])


# --- the files


def test_every_person_has_a_real_clip_and_one_fake_of_each_kind_for_each_photograph(raw: Path) -> None:
    names = [name.split("/") for name in files(raw)]
    assert Counter((source, person) for source, person, _ in names) == {
        (source, person): SETTINGS.clips for source in video.SOURCES for person in ("01", "02", "03")
    }
    by_source = [{(person, clip) for source, person, clip in names if source == one} for one in video.SOURCES]
    assert all(clips == by_source[0] for clips in by_source)
    assert all(clip.startswith(f"s{person}_") for person, clip in by_source[0])


def test_no_fact_of_a_container_tells_fakes_from_reals(raw: Path) -> None:
    facts = set()
    for data in files(raw).values():
        with av.open(io.BytesIO(data), "r") as container:
            (stream,) = container.streams
            assert isinstance(stream, av.VideoStream)
            frames = list(container.decode(video=0))
            keys = tuple(index for index, frame in enumerate(frames) if frame.key_frame)
            facts.add(
                (
                    container.format.name,
                    stream.codec_context.name,
                    stream.profile,
                    stream.pix_fmt,
                    stream.average_rate,
                    stream.frames,
                    len(frames),
                    stream.width,
                    stream.height,
                    float(stream.duration * stream.time_base) if stream.duration and stream.time_base else None,
                    keys,
                    tuple(sorted(container.metadata.items())),
                    tuple(sorted(stream.metadata.items())),
                )
            )
    (fact,) = facts
    assert fact[1:9] == ("h264", "High", "yuv420p", 8, 8, 8, 96, 112)
    assert fact[9] == 1.0
    assert fact[10][0] == 0


def test_a_real_clip_and_its_fakes_have_one_rate_of_compression_and_people_have_all(raw: Path) -> None:
    # the encoder writes its settings into the stream
    said = {name: re.search(rb"x264 - core .*? crf=([\d.]+)", data, re.DOTALL) for name, data in files(raw).items()}
    rates = {name: float(found[1]) for name, found in said.items() if found}
    assert rates.keys() == files(raw).keys()
    for name, rate in rates.items():
        assert rate == rates["camera/" + name.split("/", 1)[1]]
    for person in ("01", "02", "03"):
        assert {rate for name, rate in rates.items() if f"/{person}/" in name} == {23, 40}


def test_a_stronger_compression_makes_a_smaller_file() -> None:
    scene, _ = filmed(1)
    frames = scene.exposed([frame.pixels for frame in scene.frames()])
    assert len(video.encode(frames, 8, 23)) > 1.5 * len(video.encode(frames, 8, 40))


def test_the_same_frames_always_give_the_same_bytes() -> None:
    """With its macroblock tree x264 gave up to five different files in sixty calls."""
    for person in (1, 3):
        scene, _ = filmed(person)
        frames = scene.exposed([frame.pixels for frame in scene.frames()])
        with ThreadPoolExecutor(4) as pool:
            assert len(set(pool.map(lambda _, shown=frames: video.encode(shown, 8, 23), range(60)))) == 1


def test_what_is_decoded_is_what_was_filmed() -> None:
    scene, _ = filmed(2)
    frames = scene.exposed([frame.pixels for frame in scene.frames()])
    assert np.abs(decoded(video.encode(frames, 8, 10)).astype(int) - np.stack(frames)).mean() < 3


def test_frames_move_and_show_one_person_all_along(raw: Path) -> None:
    clips = {name: decoded(data).astype(float) for name, data in files(raw).items() if name.startswith("camera/")}
    for clip in clips.values():
        assert np.abs(clip[0] - clip[-1]).mean() > 3
        assert np.abs(np.diff(clip, axis=0)).mean(axis=(1, 2)).min() > 0.5
    first, *_, last = clips.values()
    assert np.corrcoef(first[0].ravel(), first[-1].ravel())[0, 1] > np.corrcoef(first[0].ravel(), last[0].ravel())[0, 1]


def test_any_person_made_alone_equals_its_part_of_the_whole_on_any_number_of_cores(
    raw: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = files(raw)
    assert video.generate_person(3, SETTINGS) == {name: data for name, data in whole.items() if "/03/" in name}
    monkeypatch.setattr(photographs, "PEOPLE", 2)
    monkeypatch.setattr(os, "cpu_count", lambda: 1)
    heard = Heard()
    video.generate(SETTINGS, tmp_path / "again", heard)
    assert files(tmp_path / "again") == {name: data for name, data in whole.items() if "/03/" not in name}
    assert heard.steps == [("generating again", done, 2) for done in (1, 2)]


def test_another_seed_gives_other_clips() -> None:
    one, other = (video.generate_person(1, SETTINGS.model_copy(update={"seed": seed})) for seed in (45, 46))
    assert not set(one.values()) & set(other.values())


def test_nothing_is_half_written_after_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(photographs, "PEOPLE", 2)
    (tmp_path / "made").mkdir()
    (tmp_path / "made" / "before").touch()
    whole, left = video.encode, [3]

    def failing(frames: list[np.ndarray], rate: int, crf: int) -> bytes:
        left[0] -= 1
        if left[0] < 0:
            raise OSError("no space left")
        return whole(frames, rate, crf)

    monkeypatch.setattr(video, "encode", failing)
    for folder in ("made", "new"):
        with pytest.raises(OSError, match="no space left"):
            video.generate(SETTINGS, tmp_path / folder)
    assert [path.relative_to(tmp_path) for path in tmp_path.rglob("*")] == [Path("made"), Path("made/before")]


def test_the_contact_sheet_shows_frames_of_every_source(raw: Path, tmp_path: Path) -> None:
    path = tmp_path / "sheet.png"
    contact_sheet.draw_clips(raw, video.TITLES, path)
    with Image.open(path) as image:
        pixels = np.asarray(image)
    middle = (pixels < 250)[pixels.shape[0] // 4 : 3 * pixels.shape[0] // 4].mean(axis=0) > 0.4
    assert (np.diff(middle.astype(int)) == 1).sum() == len(video.SOURCES)


# --- the frames before encoding


@pytest.mark.parametrize("source", FAKES)
def test_a_fake_differs_from_its_real_inside_the_face_and_nowhere_else(source: str) -> None:
    changed = []
    for person in (1, 2, 3):
        scene, _ = filmed(person)
        frames, fakes = manipulated(source, person)
        reals = scene.exposed([frame.pixels for frame in frames])
        for frame, real, fake in zip(frames, reals, scene.exposed(fakes), strict=True):
            eyes = np.hypot(*landmarks.axes(frame.points)[1])
            # Poisson blending may shade the bounding box of the outline, whose points are a little off
            low, high = (f(landmarks.outline(frame.points), axis=0) for f in (np.min, np.max))
            if source == "lipsync":
                low[1] = frame.points[:2, 1].max()
            (left, top), (right, bottom) = np.floor(low - 0.2 * eyes), np.ceil(high + 0.2 * eyes) + 1
            outside = np.ones(real.shape, bool)
            outside[max(int(top), 0) : int(bottom), max(int(left), 0) : int(right)] = False
            assert outside.any()
            assert (real == fake)[outside].all()
            changed.append((real != fake)[~outside].mean())
    assert min(changed) > 0.03


@pytest.mark.parametrize("source", FAKES)
def test_a_fake_flickers_more_than_its_real(source: str) -> None:
    for person in (1, 2, 3):
        frames, fakes = manipulated(source, person)
        added = np.stack(fakes).astype(float) - np.stack([frame.pixels for frame in frames])
        # what is added would change little from frame to frame, were it added alike
        assert np.abs(np.diff(added, axis=0)).mean() > 0.25 * np.abs(added).mean()


@pytest.mark.parametrize("source", FAKES)
def test_a_manipulation_that_does_not_show_leaves_every_frame_as_it_was(source: str) -> None:
    frames, fakes = manipulated(source, 1, SETTINGS.model_copy(update={"opacity": Range(min=0, max=0)}))
    assert all((frame.pixels == fake).all() for frame, fake in zip(frames, fakes, strict=True))


@pytest.mark.parametrize("source", FAKES)
def test_a_face_that_cannot_be_warped_leaves_its_frame_as_it_was(source: str) -> None:
    scene, donor = filmed(1)
    folded = Portrait(donor.person, donor.number, donor.pixels, donor.points[[1, 0, 2, 3, 4]])
    frames = scene.frames()
    fakes = video_fakes.manipulated(source, scene, frames, folded, SETTINGS, np.random.default_rng(0))
    assert all((frame.pixels == fake).all() for frame, fake in zip(frames, fakes, strict=True))


def test_a_donors_pixels_are_resampled_as_the_films_own_are() -> None:
    """The filmed photograph, warped onto its own frames, gives the frames themselves: no sharpness tells them apart."""
    scene, _ = filmed(1)
    for frame, play in zip(scene.frames(), scene.plays, strict=True):
        face = video_fakes.warped(scene.portrait, frame, play)
        assert face is not None
        inside = cv2.fillConvexPoly(np.zeros_like(face), np.round(landmarks.outline(frame.points)).astype(np.int32), 1)
        core = cv2.erode(inside, np.ones((5, 5), np.uint8)) > 0
        assert np.abs(face.astype(int) - frame.pixels)[core].max() <= 2


def test_a_frames_points_lie_where_the_camera_shows_them() -> None:
    scene, _ = filmed(2)
    at = scene.portrait.points[[0, 1, 3, 4]]
    for place in at:
        dot = np.zeros_like(scene.portrait.pixels)
        cv2.circle(dot, tuple(np.round(place).astype(int).tolist()), 3, 255, cv2.FILLED)
        portrait = Portrait(scene.portrait.person, scene.portrait.number, dot, scene.portrait.points)
        seen = Scene(portrait, scene.cameras, scene.plays, scene.light, scene.noise).frames()
        index = int(np.flatnonzero((scene.portrait.points == place).all(axis=1))[0])
        for frame in seen:
            rows, columns = np.indices(frame.pixels.shape)
            weight = frame.pixels / frame.pixels.sum()
            centre = np.array([(columns * weight).sum(), (rows * weight).sum()])
            assert np.abs(centre - frame.points[index]).max() < 1.5


def test_a_scene_is_lit_and_noisy_as_its_settings_say() -> None:
    quiet = SETTINGS.model_copy(update={"noise": Range(min=0, max=0)})
    loud = SETTINGS.model_copy(update={"noise": Range(min=5, max=5)})
    scene, _ = filmed(1)
    gray = [np.full((112, 96), 100.0)] * 8
    still, noisy = (
        np.stack(video_scenes.draw(scene.portrait, settings, np.random.default_rng(3)).exposed(gray)).astype(float)
        for settings in (quiet, loud)
    )
    assert still.min() > 65 and still.max() < 135 and still.mean(axis=(1, 2)).std() > 1
    assert (noisy - still).std() == pytest.approx(5, rel=0.03)


def test_a_face_turned_aside_has_no_donor() -> None:
    portraits = sample.read_portraits(1)
    assert video.donor_of(portraits[0], portraits) is not None
    turned = portraits[0].points.copy()
    turned[2] += 0.6 * landmarks.axes(turned)[1]
    assert video.donor_of(Portrait(1, 1, portraits[0].pixels, turned), portraits) is None


def test_it_says_what_it_cannot_show() -> None:
    assert len(video.LIMITS) >= 4
    assert all(len(limit.split()) <= 25 and limit.endswith(".") for limit in video.LIMITS)
