"""`deepfake predict` on clips and recordings, beside images in one call."""

import io
import json
import os
import shutil
import tracemalloc
from pathlib import Path
from typing import Any, cast

import av
import numpy as np
import pytest
from click.testing import Result
from PIL import Image
from scipy.special import expit

import made_clips
import recordings
from conftest import ROOT, encoded
from deepfake import cli, config, tables
from deepfake.config import ViewConfig
from deepfake.config.images import Parts
from deepfake.config.params import Faces
from deepfake.errors import InputError
from deepfake.inference import choice, inputs, parted, strips
from deepfake.inference.seeing import FaceFinder
from deepfake.inference.verdicts import Part, Verdict
from deepfake.modalities.image.faces import Detections
from deepfake.project import paths
from deepfake.runs import checkpoint_metadata
from stored_runs import RUN, add_untrained, edit

PARTS = Parts(frames=8, window=1.0)


@pytest.fixture
def runs(copied, monkeypatch) -> Path:
    """Runs of random weights for clips and recordings beside the tiny study's; we stand in a folder below."""
    add_untrained("video", "seen")
    add_untrained("audio", "heard")
    Path("mine").mkdir()
    monkeypatch.chdir("mine")
    return Path("..")


@pytest.fixture
def media(runs) -> Path:
    """An image, a clip, a recording and a text."""
    folder = Path("media")
    folder.mkdir()
    (folder / "a.jpg").write_bytes(image())
    (folder / "b.mp4").write_bytes(clip())
    (folder / "c.wav").write_bytes(recordings.wav(recordings.speechlike(5.0)))
    (folder / "notes.txt").write_text("nothing to see")
    return folder


def image(form: str = "JPEG") -> bytes:
    return encoded(np.random.default_rng(0).integers(0, 256, (40, 48, 3), dtype=np.uint8), form)


def clip(count: int = 30, **options: Any) -> bytes:
    return made_clips.clip([made_clips.scene(number) for number in range(count)], **options)


def run(runner, *arguments: str) -> Result:
    here = Path.cwd()
    result = runner.invoke(cli.main, ["predict", *arguments, "--no-faces"])
    os.chdir(here)  # a command goes to the project's root
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


def told(runner, *arguments: str) -> dict[str, dict[str, Any]]:
    """Return what a program is told of each file, by its name."""
    result = run(runner, *arguments, "--json")
    assert "Traceback" not in result.stderr
    return {Path(line["file"]).name: line for line in map(json.loads, result.stdout.splitlines())}


def by_hand(run_name: str, fold_logits: list[list[float]], pool: Any) -> float:
    """Return a file's calibrated logit: in each fold its parts pooled and divided, then the mean over folds."""
    records = checkpoint_metadata.read_records(run_name)
    each = np.array(fold_logits).T
    return float(np.mean([pool(logits) / records[fold].temperature for fold, logits in enumerate(each)]))


def test_one_call_answers_an_image_a_clip_and_a_recording(media, runner):
    result = run(runner, "media", "--json")
    assert result.exit_code == 0, result.stderr
    picture, clip, recording = map(json.loads, result.stdout.splitlines())
    assert [line["kind"] for line in (picture, clip, recording)] == ["image", "clip", "recording"]
    assert [line["run"] for line in (picture, clip, recording)] == [RUN, "seen", "heard"]
    assert (picture["parts"], picture["decided_by"]) == (1, [])
    assert (clip["parts"], recording["parts"]) == (8, 5)
    os.chdir("..")
    for line in (clip, recording):
        assert line["logit"] == pytest.approx(by_hand(line["run"], line["fold_logits"], np.mean))
        assert line["probability"] == pytest.approx(expit(line["logit"]))
        assert line["verdict"] == ("fake" if line["probability"] >= line["threshold"] else "real")
    # 30 frames at 10 a second, the first and the last among them; windows of a second
    assert {part["start"] for part in clip["decided_by"]} <= {0.0, 0.4, 0.8, 1.2, 1.7, 2.1, 2.5, 2.9}
    assert all(part["end"] - part["start"] == 1.0 for part in recording["decided_by"])
    assert "3 files (1 image, 1 clip, 1 recording): " in result.stderr
    assert "; passed over: 1 other file (.txt)" in result.stderr
    for name in (RUN, "seen", "heard"):
        assert f"run: {name}: held-out AUC" in result.stderr


def test_people_are_told_what_decided(media, runner):
    heading, picture, *others = [row.split("\t") for row in run(runner, "media").stdout.splitlines()]
    assert heading[-2:] == ["parts", "decided by"]
    assert picture[-2:] == ["", ""]
    answers = told(runner, "media")
    for row, name in zip(others, ("b.mp4", "c.wav"), strict=True):
        scores = [part["logit"] for part in answers[name]["decided_by"]]
        assert row[6] == str(answers[name]["parts"])
        assert [float(part.split("(")[1].rstrip(")")) for part in row[7].split(", ")] == [
            pytest.approx(score, abs=0.005) for score in scores
        ]
        # what speaks most for the verdict comes first
        assert scores == sorted(scores, reverse=row[1] == "fake")


@pytest.mark.parametrize(("how", "pool"), [("median", np.median), ("max", np.max)])
def test_parts_are_pooled_as_the_run_pools(media, runner, how, pool):
    os.chdir("..")
    for path in (paths().config("heard"), *(paths().checkpoint_record("heard", fold) for fold in range(2))):
        facts = json.loads(path.read_text())
        facts.get("config", facts)["pooling"] = how
        path.write_text(json.dumps(facts))
    os.chdir("mine")
    line = told(runner, "media/c.wav")["c.wav"]
    os.chdir("..")
    assert line["logit"] == pytest.approx(by_hand("heard", line["fold_logits"], pool))


def test_frames_get_the_logits_that_the_same_images_get(runs, runner):
    """The same weights as a run of images, asked about the frames as PNG files."""
    os.chdir("..")
    add_untrained("video", "pictured", modality="image")
    os.chdir("mine")
    frames = [made_clips.scene(number) for number in range(8)]
    Path("clip.mkv").write_bytes(made_clips.clip(frames, lossless=True))
    for number, frame in enumerate(frames):
        Image.fromarray(frame).save(f"{number}.png")
    names = [f"{number}.png" for number in range(8)]
    answers = told(runner, *names, "--run", "pictured")
    expected = [answers[name]["fold_logits"][0] for name in names]
    found = told(runner, "clip.mkv")["clip.mkv"]["fold_logits"]
    assert np.ptp(np.array(expected), axis=0).min() > 0.01  # which frame it is matters
    np.testing.assert_allclose(found, expected, atol=1e-3)


def test_what_a_file_is_its_content_says(media, runner):
    folder = Path("named")
    folder.mkdir()
    shutil.copy("media/b.mp4", folder / "clip.jpg")
    shutil.copy("media/c.wav", folder / "recording.mp4")
    shutil.copy("media/a.jpg", folder / "image.wav")
    shutil.copy("media/b.mp4", folder / "clip")
    shutil.copy("media/c.wav", folder / "recording.xyz")
    (folder / "film.mp3").write_bytes(clip(sound=True))
    whole = {name: line["logit"] for name, line in told(runner, "media").items()}
    answers = told(runner, "named")
    assert {name: line["kind"] for name, line in answers.items()} == {
        **dict.fromkeys(("clip.jpg", "clip", "film.mp3"), "clip"),
        **dict.fromkeys(("recording.mp4", "recording.xyz"), "recording"),
        "image.wav": "image",
    }
    for name, original in (("clip.jpg", "b.mp4"), ("recording.mp4", "c.wav"), ("image.wav", "a.jpg")):
        assert answers[name]["logit"] == pytest.approx(whole[original], abs=1e-5)


def test_a_named_run_judges_files_of_its_modality_only(media, runner):
    result = run(runner, "media", "--json", "--run", "heard")
    assert result.exit_code == 2
    picture, clip, recording = map(json.loads, result.stdout.splitlines())
    assert picture["error"] == "heard judges recordings and no images; leave --run out, or name another one"
    assert clip["error"] == "heard judges recordings and no clips; leave --run out, or name another one"
    assert recording["run"] == "heard"
    assert result.stderr.splitlines()[-1].startswith("deepfake: 2 of 3 files could not be judged")


def test_without_a_run_of_a_modality_its_files_fail_and_others_are_answered(media, runner):
    shutil.rmtree(Path("..") / paths().study("phase1") / "seen")
    answers = told(runner, "media")
    assert "verdict" in answers["a.jpg"]
    assert "verdict" in answers["c.wav"]
    assert "no run that can predict clips; write a run whose view is of modality video" in answers["b.mp4"]["error"]
    result = run(runner, "media/b.mp4")
    assert result.exit_code == 2
    assert result.stdout == ""
    assert "no run that can predict clips" in result.stderr.splitlines()[-1]


def test_without_a_run_of_a_modality_the_command_that_makes_one_is_told(copied):
    shutil.copy(ROOT / "params.yaml", paths().params)
    for modality, noun in (("video", "clips"), ("audio", "recordings")):
        words = f"runs: no run that can predict {noun}; run deepfake train {modality}_backbone, or dvc repro"
        with pytest.raises(InputError, match=words):
            choice.best(config.load(), modality, faces=True)


def test_the_best_run_of_a_modality_is_chosen_by_its_auc(runs):
    os.chdir("..")
    settings = config.load()
    add_untrained("audio", "better", auc=0.9)
    add_untrained("audio", "best_without_a_source", auc=0.95)
    edit(paths().config("best_without_a_source"), holdout="lpc")
    tables.write_text(json.dumps({"run": RUN}), paths().final)  # of images, and of no concern to others
    found = choice.best(settings, "audio", faces=True)
    assert found.why == (
        "better: held-out AUC 0.900 on sample_audio, the highest of 2 "
        "(not considered: 1 trained without a source or out of proportion)"
    )
    assert choice.best(settings, "video", faces=True).detector.name == "seen"
    assert choice.best(settings, "image", faces=True).detector.name == RUN


def no_frames() -> bytes:
    """Return an MP4 whose index is all that it has."""
    file = io.BytesIO()
    with av.open(file, "w", format="mp4", options={"movflags": "empty_moov+frag_keyframe"}) as written:
        stream: Any = written.add_stream("libx264", rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv420p"
        written.start_encoding()
    return file.getvalue()


def with_cover() -> bytes:
    """Return an MP3 with a picture of its cover."""
    file = io.BytesIO()
    with av.open(file, "w", format="mp3") as written:
        sound: Any = written.add_stream("libmp3lame", rate=16_000, layout="mono")
        cover: Any = written.add_stream("mjpeg", rate=1)
        cover.width, cover.height, cover.pix_fmt = 32, 32, "yuvj420p"
        cover.disposition = 1024
        frame = av.VideoFrame.from_ndarray(made_clips.scene(0, side=32), format="rgb24")
        written.mux(cover.encode(frame))
        written.mux(cover.encode())
        heard = av.AudioFrame.from_ndarray(recordings.speechlike(2.0)[None], format="s16", layout="mono")
        heard.sample_rate, heard.pts = 16_000, 0
        for part in (heard, None):
            written.mux(sound.encode(part))
    return file.getvalue()


def lying() -> bytes:
    """Return a WAV whose header says that there is a hundred times the sound that there is."""
    data = bytearray(recordings.wav(recordings.speechlike(2.0)))
    place = data.index(b"data") + 4
    data[place : place + 4] = (100 * (len(data) - place)).to_bytes(4, "little")
    return bytes(data)


def stereo(rate: int) -> bytes:
    sound = recordings.speechlike(2.0, rate)
    return recordings.wav(np.stack([sound, sound], axis=1), rate)


@pytest.mark.parametrize(
    ("name", "make", "kind", "parts"),
    [
        ("one.mp4", lambda: clip(1), "clip", 1),
        ("three.mp4", lambda: clip(3), "clip", 3),
        ("high.wav", lambda: stereo(192_000), "recording", 2),
        ("low.wav", lambda: stereo(8_000), "recording", 2),
        ("short.wav", lambda: recordings.wav(recordings.speechlike(0.3)), "recording", 1),
        ("cover.mp3", with_cover, "recording", 2),
        ("sound_only.mp4", lambda: recordings.encoded(recordings.speechlike(2.0), "mp4", "aac"), "recording", 2),
    ],
)
def test_odd_files_are_answered(runs, runner, name, make, kind, parts):
    Path(name).write_bytes(make())
    line = told(runner, name)[name]
    assert "error" not in line, line
    assert (line["kind"], line["parts"]) == (kind, parts)
    assert np.isfinite(line["probability"])


@pytest.mark.parametrize(
    ("name", "make", "words"),
    [
        ("none.mp4", no_frames, "no frames"),
        ("empty.mp4", lambda: b"", "empty file"),
        ("empty.wav", lambda: b"", "empty file"),
        ("nothing.wav", lambda: recordings.wav(np.zeros(0, np.int16)), "zero length"),
        ("silent.wav", lambda: recordings.wav(np.zeros(32_000, np.int16)), "silence only"),
        ("cut.mp4", lambda: clip()[:-600], "index"),
        ("text.mp4", lambda: b"a text" * 100, "not a video"),
        ("text.wav", lambda: b"a text" * 100, "not sound of a known format"),
    ],
)
def test_files_without_frames_or_sound_are_told_in_one_line(runs, runner, name, make, words):
    Path(name).write_bytes(make())
    result = run(runner, name)
    assert result.exit_code == 2
    file, verdict, reason = result.stdout.splitlines()[-1].split("\t")
    assert (file, verdict) == (name, "error")
    assert words in reason
    assert 5 < len(reason) < 200


def test_a_header_that_lies_is_noted(runs, runner):
    Path("lying.wav").write_bytes(lying())
    line = told(runner, "lying.wav")["lying.wav"]
    assert (line["parts"], line["notes"]) == (2, "shorter than its header says")


def test_a_damaged_clip_leaves_the_others_answered(media, runner):
    (Path("media") / "0.mp4").write_bytes(clip()[:-600])
    result = run(runner, "media", "--json")
    assert result.exit_code == 2
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    assert [("error" in line) for line in lines] == [False, True, False, False]


def test_a_long_recording_takes_no_more_memory_than_a_short_one(tmp_path):
    view = ViewConfig(
        **{"dataset": "d", "view": "v", "modality": "audio", "geometry": "log_mel", "face_margin": None},
        **{"size": 64, "seconds": 1.0, "loader": "opencv"},
    )
    (tmp_path / "long.wav").write_bytes(recordings.wav(np.resize(recordings.speechlike(20.0), 16_000 * 3600)))
    [(_, found)] = parted.opened(inputs.find(["long.wav"], tmp_path), {"v": view}, parts=PARTS, threads=1)
    assert isinstance(found, parted.Opened)
    tracemalloc.start()
    count = sum(len(batch["v"]) for batch in found.batches())
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert count == len(found.spans) == 3600
    assert peak < 40 * 2**20  # the windows together are 115 MB


class Still:
    """Stands for the detector of faces: it sees one in the same place of every second frame."""

    def detect(self, images: np.ndarray) -> Detections:
        image = np.arange(0, len(images), 2)
        boxes = np.tile([40.0, 60.0, 80.0, 100.0], (len(image), 1))
        return Detections(image, np.full(len(image), 0.99), boxes, np.zeros((len(image), 5, 2)))


def test_a_face_is_followed_through_its_clip(tmp_path):
    frames = [made_clips.scene(number, side=160) for number in range(8)]
    (tmp_path / "clip.mkv").write_bytes(made_clips.clip(frames, lossless=True, side=160))
    view = ViewConfig(
        **{"dataset": "d", "view": "v", "modality": "video", "geometry": "crop", "face_margin": 0.0},
        **{"size": 40, "seconds": None, "loader": "opencv"},
    )
    settings = Faces(detection_size=160, min_face=0.2, confidence=0.9, margin=0.3)
    finder = FaceFinder(settings, cast(Any, Still()), 4)
    files = inputs.find(["clip.mkv"], tmp_path)
    [(_, found)] = parted.opened(files, {"v": view}, parts=PARTS, threads=1, finder=finder)
    assert isinstance(found, parted.Opened)
    assert found.faces == 4
    [batch] = found.batches()
    # 160 px are seen as they are, so a box in the detector's pixels is one in the frame's
    np.testing.assert_array_equal(batch["v"], [frame[60:100, 40:80] for frame in frames])
    shown = list(found.pictures(40))
    np.testing.assert_array_equal(shown, batch["v"])


@pytest.mark.parametrize("name", ["b.mp4", "c.wav"])
def test_a_picture_shows_what_decided(media, runner, name):
    result = run(runner, "media", "--explain", "why", "--json")
    assert result.exit_code == 0, result.stderr
    assert "1 not explained" in result.stderr
    assert sorted(path.name for path in Path("why").iterdir()) == ["media_b.mp4.png", "media_c.wav.png"]
    with Image.open(Path("why") / f"media_{name}.png") as picture:
        pixels = np.asarray(picture.convert("RGB"))
    assert pixels.shape[1] > 1000
    answer = json.loads(result.stdout.splitlines()[1 if name == "b.mp4" else 2])
    colour = (0xD5, 0x5E, 0x00) if answer["verdict"] == "fake" else (0x00, 0x72, 0xB2)
    assert (pixels == colour).all(axis=2).sum() > 100  # what decided is marked


def test_what_decided_is_always_among_the_frames_that_are_shown():
    for count in (1, 5, 8, 9, 100):
        deciding = [place for place in (0, 1, 77) if place < count]
        chosen = strips._chosen(count, deciding)
        assert set(deciding) <= set(chosen)
        assert len(chosen) <= 8
        assert chosen == sorted(set(chosen))
        assert max(chosen) < count


def test_the_parts_that_speak_most_for_the_verdict_decide():
    parts = tuple(Part(np.zeros(2), None, (float(place), float(place))) for place in range(4))
    scores = (0.1, 2.0, -1.0, 0.5)
    fake = Verdict("a", parts, scores, None, 0.0, pooled=0.4)
    assert fake.deciding(3) == [1, 3, 0]
    assert fake.logit == 0.4
    assert Verdict("a", parts, scores, None, 0.6, pooled=0.4).deciding(2) == [2, 0]
    assert Verdict("a", (Part(np.zeros(2)),), (1.0,), (), 0.0).deciding(3) == []
