"""Prediction of files: the logits of training, whatever way the files come in, and a reason for those that fail."""

import io
import json
import math
import os
import shutil
import tracemalloc
import zipfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from scipy.special import expit

import tiny_study
from conftest import encoded, write_pictures
from deepfake import config, modalities, tables
from deepfake.config.images import Parts
from deepfake.config.params import Faces
from deepfake.errors import InputError
from deepfake.inference import choice, limits, reading, stream, verdicts
from deepfake.inference import inputs as places
from deepfake.inference.reading import Face, Piece
from deepfake.inference.seeing import FaceFinder
from deepfake.inference.verdicts import Failure, Part, Verdict
from deepfake.loading import files
from deepfake.modalities.image import backends, geometry
from deepfake.project import UNION, paths
from deepfake.run_files import RUN_CONFIG
from deepfake.runs import checkpoint_metadata, detectors, shipped
from deepfake.synthetic import photographs
from shown import pixel_view
from stored_runs import RUN, add_ensemble, add_run, edit

PARTS = Parts(frames=8, window=4.0)
IMAGES = modalities.load("image")
SETTINGS = Faces(detection_size=160, min_face=0.2, confidence=0.9, margin=0.3)


def picture(seed: int = 0, width: int = 48, height: int = 40) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def write(path: Path, data: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def found(*paths: str, here: Path) -> list[str]:
    return [file.name for file in places.find(paths, here)]


def ask(*paths: str, here: Path, run: str = RUN) -> list[Verdict | Failure]:
    files = places.find(paths, here)
    return [answer for part in verdicts.predict(detectors.read(run), files, None) for answer in part.found]


@pytest.fixture
def sample(copied, tmp_path) -> Path:
    """The sample's own files in a folder, a folder a source."""
    folder = tmp_path / "files"
    for archive in sorted(paths().raw("sample").glob("*.zip")):
        with zipfile.ZipFile(archive) as members:
            members.extractall(folder / archive.stem)
    return folder


def test_the_samples_own_files_get_the_logits_of_training(sample):
    answers = ask("files", here=sample.parent)
    manifest = tiny_study.manifest()
    names = "files/" + manifest["archive"].str.removesuffix(".zip") + "/" + manifest["path"]
    logits = {answer.file: answer.parts[0].logits for answer in answers}
    assert set(logits) == set(names)
    name_of = dict(zip(manifest["sample_id"], names, strict=True))
    written = tables.read(paths().predictions(RUN), tables.PREDICTIONS)
    expected = written["logit"].to_numpy()
    rows = zip(written["sample_id"], written["fold"], strict=True)
    np.testing.assert_allclose([logits[name_of[sample]][fold] for sample, fold in rows], expected, atol=1e-5)


def test_chunks_and_their_size_do_not_matter(sample, monkeypatch):
    whole = ask("files", here=sample.parent)
    monkeypatch.setattr(verdicts, "_CHUNK", 5)
    parts = ask("files", here=sample.parent)
    assert [answer.file for answer in parts] == [answer.file for answer in whole]
    np.testing.assert_allclose([a.logit for a in parts], [a.logit for a in whole], atol=1e-5)


def test_the_verdict_is_the_mean_of_calibrated_folds(outcome):
    own = checkpoint_metadata.read_records(RUN)
    pair = [own[0].model_copy(update={"temperature": 2.0, "threshold": 1.0})]
    pair.append(own[1].model_copy(update={"temperature": 0.5, "threshold": -1.0}))
    ruler = shipped.scale_of(dict(enumerate(pair)))
    verdict = verdicts.judge("a.jpg", [Part(np.array([4.0, -2.0]))], None, ruler)
    assert verdict.logit == pytest.approx((4 / 2 - 2 / 0.5) / 2)
    assert verdict.threshold == pytest.approx((1 / 2 - 1 / 0.5) / 2)
    assert verdict.probability == pytest.approx(expit(-1.0))
    assert not verdict.fake


def test_of_several_faces_the_largest_score_is_the_files(outcome):
    own = checkpoint_metadata.read_records(RUN)
    pair = {fold: own[fold].model_copy(update={"temperature": 1.0, "threshold": 0.5}) for fold in range(2)}
    ruler = shipped.scale_of(pair)
    faces = tuple(Face(side, 0, side + 8, 8, 0.99) for side in (0, 10, 20))
    logits = ([-3.0, -1.0], [4.0, 0.0], [0.0, 0.0])
    parts = [Part(np.array(pair), face) for pair, face in zip(logits, faces, strict=True)]
    verdict = verdicts.judge("a.jpg", parts, faces, ruler)
    assert verdict.scores == (-2.0, 2.0, 0.0)
    assert verdict.logit == 2.0
    assert verdict.fake
    assert not verdicts.judge("a.jpg", [parts[0], parts[2]], faces, ruler).fake


def test_a_fold_without_a_temperature_does_not_outweigh_the_others(outcome):
    own = checkpoint_metadata.read_records(RUN)
    changes = [{"temperature": temperature, "threshold": 0.0} for temperature in (0.01, 1.0)]
    pair = {fold: own[fold].model_copy(update=change) for fold, change in enumerate(changes)}
    verdict = verdicts.judge("a.jpg", [Part(np.array([1.0, -3.0]))], None, shipped.scale_of(pair))
    assert verdict.logit == pytest.approx(-1.0)


def test_folders_are_read_in_order_and_without_what_systems_leave(tmp_path):
    names = ["b/2.JPG", "b/a/1.png", "a.jpg", ".hidden/x.jpg", "b/.x.jpg", "Thumbs.db", "notes.txt", "c[1].jpg"]
    for name in names:
        write(tmp_path / "photos" / name, encoded(picture()))
    seen = ["photos/a.jpg", "photos/b/2.JPG", "photos/b/a/1.png", "photos/c[1].jpg", "photos/notes.txt"]
    assert found("photos", here=tmp_path) == seen
    assert found(".", here=tmp_path / "photos") == [name.removeprefix("photos/") for name in seen]
    assert found("photos/*.jpg", here=tmp_path) == ["photos/a.jpg", "photos/c[1].jpg"]
    assert found("photos/**/*.png", here=tmp_path) == ["photos/b/a/1.png"]
    assert found("photos/?", here=tmp_path) == ["photos/b/2.JPG", "photos/b/a/1.png"]
    assert found("photos/c[1].jpg", here=tmp_path) == ["photos/c[1].jpg"]
    assert found(str(tmp_path / "photos/a.jpg"), here=tmp_path) == [str(tmp_path / "photos/a.jpg")]


def test_folders_are_read_one_level_deep_on_request(tmp_path):
    for name in ("a.jpg", "deep/b.jpg"):
        write(tmp_path / "photos" / name, encoded(picture()))
    names = [file.name for file in places.find(["photos"], tmp_path, recursive=False)]
    assert names == ["photos/a.jpg"]
    (tmp_path / "photos/a.jpg").unlink()
    with pytest.raises(InputError, match=r"photos: no files in it; .*--recursive"):
        places.find(["photos"], tmp_path, recursive=False)


def test_what_a_folder_without_media_holds_is_said(tmp_path):
    for name in ("notes.txt", "deep/README"):
        write(tmp_path / "texts" / name, bytes(64))
    files = places.find(["texts"], tmp_path)
    with pytest.raises(InputError) as error:
        reading.require_media(files, ["texts"])
    words = "no images, clips or recordings in texts: 2 other files (.txt, no ending); name images"
    assert str(error.value).startswith(words)


def test_a_file_named_twice_is_found_once(tmp_path):
    write(tmp_path / "photos/a.jpg", encoded(picture()))
    (tmp_path / "photos/link.jpg").symlink_to("a.jpg")
    assert found("photos/a.jpg", "photos", "photos/../photos/a.jpg", here=tmp_path) == ["photos/a.jpg"]


def test_a_name_cannot_move_the_cursor(tmp_path):
    write(tmp_path / "photos/\x1b[2Ja\n.jpg", encoded(picture()))
    assert found("photos", here=tmp_path) == ["photos/\\x1b[2Ja\\n.jpg"]


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("missing.jpg", "missing.jpg: not found"),
        ("*.jpg", "the pattern matches nothing"),
        ("empty", "empty: no files in it"),
    ],
)
def test_paths_that_lead_nowhere_are_told(tmp_path, path, words):
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError) as error:
        places.find([path], tmp_path)
    assert words in str(error.value)


def test_files_that_fail_are_told_in_place_and_the_others_answered(sample, tmp_path):
    folder = tmp_path / "mixed"
    good, upright = encoded(picture(), "JPEG"), picture(1)
    write(folder / "1.jpg", good)
    write(folder / "2.jpg", good[: len(good) // 2])
    write(folder / "3.png", b"")
    write(folder / "4.heic", b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(40))
    write(folder / "5", encoded(upright))
    write(folder / "6.txt", b"a text")
    write(folder / "7.dat", encoded(picture())[:400])
    (folder / "8.jpg").symlink_to("nowhere")
    os.mkfifo(folder / "9.jpg")
    answers = {answer.file: answer for answer in ask("mixed", here=tmp_path)}
    assert [name[6:] for name in answers] == ["1.jpg", "2.jpg", "3.png", "4.heic", "5", "7.dat", "8.jpg", "9.jpg"]
    reasons = {name[6:]: answer.reason for name, answer in answers.items() if isinstance(answer, Failure)}
    assert set(reasons) == {"2.jpg", "3.png", "4.heic", "7.dat", "8.jpg", "9.jpg"}
    assert "cannot be decoded" in reasons["2.jpg"]
    assert reasons["3.png"] == "empty file"
    assert reasons["4.heic"].startswith("HEIC: convert it to PNG or JPEG without changing its size")
    assert reasons["8.jpg"] == "a link that leads nowhere"
    assert reasons["9.jpg"] == "not a regular file"


def test_what_is_no_image_or_too_large_is_not_read(tmp_path):
    """Files with nothing behind their first bytes take no place on the disk, and must take none in memory."""
    sizes = {"a.jpg": 256 * 2**20, "b.jpg": 512 * 2**20 + 1, "c.dat": 512 * 2**20 + 1, "d.jpg": 0}
    for name, size in sizes.items():
        path = write(tmp_path / "big" / name, encoded(picture(), "JPEG") if name[0] in "bc" else b"")
        os.truncate(path, size)
    found = places.find(["big"], tmp_path)
    with ThreadPoolExecutor(2) as pool:
        tracemalloc.start()
        chunks = list(reading.read(found, 8, pool, IMAGES, PARTS))
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert peak < 2**24
    reasons = {chunk.files[place].name: reason for chunk in chunks for place, reason in chunk.refused.items()}
    assert reasons == {
        "big/a.jpg": "not an image of a known format (JPEG, PNG, WEBP, BMP, TIFF, GIF, AVIF, JPEG2000)",
        "big/b.jpg": "larger than 512 MB",
        "big/d.jpg": "empty file",
    }


def test_a_header_that_makes_the_library_stumble_is_one_files_failure(tmp_path, monkeypatch):
    write(tmp_path / "odd", encoded(picture()))
    known = Image.open

    def stumble(file, *arguments, **options):
        if isinstance(file, str):
            raise OverflowError("a broken header")
        return known(file, *arguments, **options)

    monkeypatch.setattr(Image, "open", stumble)
    with ThreadPoolExecutor(1) as pool:
        [chunk] = reading.read(places.find(["."], tmp_path), 8, pool, IMAGES, PARTS)
    assert chunk.usable == [0]


def test_a_file_that_is_named_is_answered_or_reported(sample, tmp_path):
    write(tmp_path / "6.txt", b"a text")
    [answer] = ask("6.txt", here=tmp_path)
    assert isinstance(answer, Failure)
    assert "not an image" in answer.reason


def test_a_folder_of_texts_has_no_image(tmp_path):
    write(tmp_path / "texts/6.txt", b"a text")
    files = places.find(["texts"], tmp_path)
    with pytest.raises(
        InputError,
        match=r"^no images, clips or recordings in texts: 1 other file \(\.txt\); name images, clips or recordings, or",
    ):
        reading.require_media(files, ["texts"])
    write(tmp_path / "texts/7", encoded(picture()))  # an image by its content
    reading.require_media(places.find(["texts"], tmp_path), ["texts"])


@pytest.mark.parametrize("loader", sorted(backends.BACKENDS))
def test_every_backend_survives_a_damaged_file(copied, tmp_path, loader):
    for path in (paths().config(RUN), *(paths().checkpoint_record(RUN, fold) for fold in range(2))):
        facts = json.loads(path.read_text())
        facts.get("config", facts)["view"]["loader"] = loader
        path.write_text(json.dumps(facts))
    data = [encoded(picture(seed, 64, 64), "JPEG", quality=95) for seed in range(4)]
    data[2] = data[2][:-400]
    for number, content in enumerate(data):
        write(tmp_path / f"photos/{number}.jpg", content)
    answers = ask("photos", here=tmp_path)
    assert [isinstance(answer, Failure) for answer in answers] == [False, False, True, False]
    shutil.rmtree(tmp_path / "photos")
    write(tmp_path / "photos/3.jpg", data[3])
    [alone] = ask("photos", here=tmp_path)
    assert alone.logit == pytest.approx(answers[3].logit, abs=1e-5)


@pytest.mark.parametrize("form", ["JPEG", "PNG", "TIFF"])
def test_pictures_are_turned_upright(copied, tmp_path, form):
    pixels, exif = picture(3), Image.Exif()
    exif[0x0112] = 6  # the camera was turned: 90 degrees clockwise make it upright
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, form, exif=exif, **({"quality": 100} if form == "JPEG" else {}))
    turned = write(tmp_path / "turned", stream.getvalue())
    decoded = np.asarray(Image.open(turned).convert("RGB"))
    upright = decoded if form == "TIFF" else np.rot90(decoded, -1)
    assert upright.shape == (48, 40, 3)
    write(tmp_path / "upright.png", encoded(np.ascontiguousarray(upright)))
    first, second = ask("turned", "upright.png", here=tmp_path)
    np.testing.assert_allclose(first.parts[0].logits, second.parts[0].logits, atol=1e-6)


def test_an_ensemble_is_asked_like_any_run(sample):
    add_ensemble("both")
    alone, together = (ask("files/wiki", here=sample.parent, run=run) for run in (RUN, "both"))
    expected = [2 * answer.parts[0].logits[0] for answer in alone]
    np.testing.assert_allclose([answer.parts[0].logits[0] for answer in together], expected, rtol=1e-4)


@pytest.mark.slow
def test_faces_are_cut_out_as_in_training(tmp_path, monkeypatch):
    """Real photographs through the stage of faces and the view's own decoding, and through prediction."""
    import torch

    from deepfake.modalities.image.faces import Detector
    from deepfake.studies import faces

    monkeypatch.chdir(tmp_path)
    pictures = []
    for person in (1, 2, 4, 7):
        canvas = Image.new("RGB", (220, 330), (100, 100, 100))
        canvas.paste(Image.fromarray(photographs.read(person, 1).pixels).resize((184, 224)).convert("RGB"), (13, 40))
        pictures.append(("", f"{person}.png", encoded(np.asarray(canvas))))
    pictures.insert(2, ("", "3.png", encoded(picture(0, 120, 90))))
    samples = write_pictures(paths().raw("tiny"), pictures)
    tables.write(samples, paths().samples("tiny"), tables.SAMPLES)
    tables.write(samples, paths().media("tiny"), tables.MEDIA)
    faces.run("tiny", SETTINGS, "opencv")
    located = tables.read(paths().faces("tiny"), tables.FACES)
    assert located["faces"].tolist() == [1, 1, 0, 1, 1]
    regions = geometry.regions(samples, "crop", located, 0.3)
    view = pixel_view(48, view="face", face_margin=0.3)
    [expected] = modalities.load("image").decode(view, files.read(samples, regions, paths().raw("tiny")), threads=1)
    found = places.find(["data/raw/tiny"], tmp_path)
    detector = Detector(SETTINGS, torch.device("cpu"))
    [chunk] = stream.chunks(
        found, {"face": view}, parts=PARTS, size=64, threads=2, finder=FaceFinder(SETTINGS, detector, 32)
    )
    np.testing.assert_array_equal(chunk.pixels["face"], expected)
    assert chunk.faces is not None
    assert [len(boxes) for boxes in chunk.faces] == located["faces"].tolist()
    boxes = [[face.left, face.top, face.right, face.bottom, face.confidence] for [face] in filter(None, chunk.faces)]
    columns = ["left", "top", "right", "bottom", "confidence"]
    np.testing.assert_allclose(boxes, located.loc[located["faces"] > 0, columns], atol=1e-3)


class Seen:
    """Stands for the detector of faces: it finds those that it was told of, in pixels of what it is shown."""

    def __init__(self, faces: list[list[tuple[float, ...]]]):
        self._faces = faces

    def detect(self, images: np.ndarray) -> Any:
        from deepfake.modalities.image.faces import Detections  # with its weights, two seconds

        mine, self._faces = self._faces[: len(images)], self._faces[len(images) :]
        rows = np.array([face for faces in mine for face in faces], np.float64).reshape(-1, 5)
        image = np.repeat(np.arange(len(images)), [len(faces) for faces in mine])
        return Detections(image, rows[:, 4], rows[:, :4], np.zeros((len(rows), 5, 2)))


def test_every_face_is_cut_out_the_largest_first(tmp_path):
    pixels = [picture(seed, SETTINGS.detection_size, SETTINGS.detection_size) for seed in range(4)]
    for number, one in enumerate(pixels):
        write(tmp_path / f"photos/{number}.png", encoded(one))
    write(tmp_path / "photos/3.png", encoded(pixels[3])[:-4000])
    small, large, unsure = (10, 20, 42, 52, 0.95), (60, 30, 140, 110, 0.99), (5, 5, 155, 155, 0.5)
    detector = Seen([[small, unsure, large], [], [small]])
    views = {"face": pixel_view(32, view="face", face_margin=0.0), "whole": pixel_view(20, view="whole")}
    files = places.find(["photos"], tmp_path)
    finder = FaceFinder(SETTINGS, cast(Any, detector), 8)
    [chunk] = stream.chunks(files, views, parts=PARTS, size=8, threads=1, finder=finder)
    assert chunk.usable == [0, 1, 2]
    assert [row for row, _ in chunk.pieces] == [0, 0, 1, 2]
    squares = [(0, large[:4]), (0, small[:4]), (1, (0, 0, 160, 160)), (2, small[:4])]
    for (number, square), face, whole in zip(squares, chunk.pixels["face"], chunk.pixels["whole"], strict=True):
        image = Image.fromarray(pixels[number])
        expected = image.crop(square).resize((32, 32), Image.Resampling.BILINEAR)
        np.testing.assert_array_equal(face, np.asarray(expected))
        np.testing.assert_array_equal(whole, np.asarray(image.resize((20, 20), Image.Resampling.BILINEAR)))
    # a run that sees whole images has one score a file, whatever is in it
    detector = Seen([[small, unsure, large], [], [small]])
    only = {"whole": views["whole"]}
    finder = FaceFinder(SETTINGS, cast(Any, detector), 8)
    [chunk] = stream.chunks(files, only, parts=PARTS, size=8, threads=1, finder=finder)
    assert [tuple(piece) for piece in chunk.pieces] == [(0, None), (1, None), (2, None)]
    assert chunk.faces is not None
    assert [len(faces) for faces in chunk.faces] == [2, 0, 1]


def test_a_file_that_is_taken_out_takes_its_faces_along(tmp_path):
    for number in range(3):
        write(tmp_path / f"{number}.png", encoded(picture(number)))
    with ThreadPoolExecutor(1) as pool:
        [chunk] = reading.read(places.find(["."], tmp_path), 8, pool, IMAGES, PARTS)
    one, other = (Face(0, 0, side, side, 0.99) for side in (8, 9))
    found = [(one,), (one, other), (other,)]
    pieces = [Piece(0, one), Piece(1, one), Piece(1, other), Piece(2, other)]
    left = replace(chunk, faces=found, pieces=pieces).without({1: "damaged"})
    assert left.pieces == [Piece(0, one), Piece(1, other)]
    assert left.faces == [(one,), (other,)]
    assert left.refused == {1: "damaged"}


def test_pictures_are_judged_as_views_show_them(copied, tmp_path):
    """Formats, transparency and broken metadata: the logits are those of the plain picture that PIL makes of them."""
    clear = np.dstack([picture(1), np.tile(np.linspace(0, 255, 48).astype(np.uint8), (40, 1))])
    made = {form.lower(): encoded(picture(2), form) for form in ("GIF", "AVIF", "JPEG2000", "BMP")}
    made["clear"] = encoded(clear)
    data = encoded(picture(3), "JPEG")
    made["broken"] = data[:20] + b"\xff\xe1\0\x10Exif\0\0" + bytes([0, 8, 0, 2, 1, 18, 0, 3]) + data[20:]
    expected = {}
    for name, content in made.items():
        write(tmp_path / f"files/{name}", content)
        with Image.open(io.BytesIO(content)) as image:
            white = Image.new("RGBA", image.size, "white")
            flat = Image.alpha_composite(white, image.convert("RGBA")).convert("RGB")
        write(tmp_path / f"plain/{name}.png", encoded(np.asarray(flat)))
    expected = {answer.file[6:-4]: answer.parts[0].logits for answer in ask("plain", here=tmp_path)}
    found = {answer.file[6:]: answer.parts[0].logits for answer in ask("files", here=tmp_path)}
    assert found.keys() == expected.keys() == made.keys()
    for name, logits in found.items():
        np.testing.assert_allclose(logits, expected[name], atol=1e-6, err_msg=name)


def test_views_that_cannot_be_shown_are_refused(copied, tmp_path):
    write(tmp_path / "a.png", encoded(picture()))
    for changes, words in (
        ({"geometry": "letterbox_real"}, "needs to know which is which"),
        ({"geometry": "crop", "face_margin": 0.3}, "leave out --no-faces"),
    ):
        for path in (paths().config(RUN), *(paths().checkpoint_record(RUN, fold) for fold in range(2))):
            facts = json.loads(path.read_text())
            facts.get("config", facts)["view"] |= changes
            path.write_text(json.dumps(facts))
        with pytest.raises(InputError, match=words):
            ask("a.png", here=tmp_path)


def chosen(**options) -> choice.Choice:
    return choice.best(config.load(), "image", faces=options.get("faces", True))


def write_auc(name: str, auc: float) -> None:
    tables.write_text(json.dumps({"auc": auc}), paths().headline(name))


def test_the_best_run_is_asked_when_none_is_named(copied):
    write_auc(RUN, 0.8)
    add_run("better", factor=2.0)
    write_auc("better", 0.9)
    assert chosen().detector.name == "better"
    assert chosen().why == "better: held-out AUC 0.900 on sample, the highest of 2"
    write_auc("better", 0.8)
    edit(paths().config("better"), parameters=1)
    assert chosen().detector.name == "better"
    edit(paths().config("better"), parameters=10**9)
    assert chosen().detector.name == RUN


def choose(name: str) -> None:
    """Write which run the study ends with."""
    tables.write_text(json.dumps({"run": name}), paths().final)


def test_the_final_model_is_asked_whatever_others_are_worth(copied):
    write_auc(RUN, 0.6)
    add_run("better", factor=2.0)
    write_auc("better", 0.9)
    choose(RUN)
    assert chosen().detector.name == RUN
    assert chosen().why == f"{RUN}: the study's final model"
    # who names another one gets it
    assert choice.named("better").name == "better"
    add_ensemble("both")
    choose("both")
    assert [member.trained.config.experiment for member in chosen().detector.members] == [RUN, "twice"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"run": "elsewhere"}', "final model is elsewhere, which is not in runs; .* name another one with --run"),
        ('{"run": "../phase1/simple_cnn_low"}', "which is not in runs"),
        ('{"runs": "simple_cnn_low"}', r"decisions/final\.json: .*; run deepfake phase4 again"),
        ("{", r"decisions/final\.json: .*; run deepfake phase4 again"),
    ],
)
def test_a_final_model_that_is_not_there_is_told_instead_of_asking_another(copied, text, words):
    write_auc(RUN, 0.6)
    tables.write_text(text, paths().final)
    with pytest.raises(InputError, match=words):
        chosen()


def test_a_run_of_another_version_is_one_that_cannot_be_asked(copied):
    add_run("better", factor=2.0)
    write_auc("better", 0.9)
    facts = json.loads(paths().config("better").read_text())
    paths().config("better").write_text(json.dumps({key: value for key, value in facts.items() if key != "kind"}))
    assert chosen().detector.name == RUN
    with pytest.raises(InputError, match="another version; run deepfake train better again"):
        choice.named("better")


def edit_run(name: str, **changes) -> None:
    """Change a run's configuration, and the same in the records of its checkpoints."""
    edit(paths().config(name), **changes)
    for fold in range(2):
        path = paths().checkpoint_record(name, fold)
        edit(path, config=json.loads(path.read_text())["config"] | changes)


def test_runs_are_counted_that_the_best_one_was_compared_with(copied):
    write_auc(RUN, 0.8)
    add_run("other", factor=2.0)
    write_auc("other", 0.7)
    tables.write_text("3", paths().study("phase1") / "damaged" / RUN_CONFIG)  # never ranked
    assert chosen().why == f"{RUN}: held-out AUC 0.800 on sample, the highest of 2 (not considered: 1 not usable)"
    add_run("better", factor=2.0)
    write_auc("better", 0.9)
    paths().checkpoint("better", 0).unlink()  # ranked, then found broken
    assert chosen().why == f"{RUN}: held-out AUC 0.800 on sample, the highest of 2 (not considered: 2 not usable)"
    paths().headline("other").unlink()
    assert "the highest of 1 (" in chosen().why


def test_aucs_are_compared_only_where_they_are_of_the_same_samples(copied):
    write_auc(RUN, 0.6)
    for name, auc, changes in (("joined", 0.9, {"dataset": UNION}), ("half", 0.8, {"fraction": 0.5})):
        add_run(name, factor=2.0)
        write_auc(name, auc)
        edit_run(name, **changes)
    assert chosen().why == f"{RUN}: held-out AUC 0.600 on sample, the highest of 1"
    shutil.rmtree(paths().run(RUN))
    assert chosen().why == "half: held-out AUC 0.800 on 50% of sample, the highest of 1"
    shutil.rmtree(paths().run("half"))
    assert chosen().why == "joined: held-out AUC 0.900 on union, the highest of 1"


def test_a_view_that_nobody_audited_is_no_clean_one(copied):
    write_auc(RUN, 0.6)
    add_run("better", factor=2.0)
    write_auc("better", 0.9)
    edit_run("better", view=json.loads(paths().config(RUN).read_text())["view"] | {"view": "other_low"})
    assert chosen().detector.name == "better"
    audited = {"level": "family", "name": "framing", "severity": "none"}
    tables.write_csv(pd.DataFrame([{"subject": "crop_low"} | audited]), paths().table("probes"))
    assert chosen().why == f"{RUN}: held-out AUC 0.600 on sample, the highest of 1"
    tables.write_csv(pd.DataFrame([{"subject": "else"} | audited]), paths().table("probes"))
    assert chosen().why.endswith("the highest of 2; the framing of other_low is not audited")
    assert "the framing of crop_low is not audited" in limits.limits(detectors.read(RUN), config.load())


@pytest.mark.parametrize(
    "change", [{"holdout": "insight"}, {"class_ratio": 9.0}, {"dataset": "dff"}, {"kind": "re-evaluated"}]
)
def test_runs_that_are_made_for_a_question_are_not_chosen(copied, change):
    write_auc(RUN, 0.6)
    add_run("better", factor=2.0)
    write_auc("better", 0.9)
    edit(paths().config("better"), **change)
    assert chosen().detector.name == RUN


def test_a_run_whose_framing_predicts_the_label_is_not_chosen(copied):
    rows = [{"subject": "crop_low", "level": "family", "name": "framing", "severity": "severe"}]
    assert chosen().detector.name == RUN
    tables.write_csv(pd.DataFrame(rows), paths().table("probes"))
    with pytest.raises(InputError, match="the framing of crop_low alone predicts the label"):
        chosen()


def test_without_any_run_the_command_that_makes_one_is_told(project):
    with pytest.raises(InputError, match="run deepfake train"):
        chosen()


def test_limits_are_those_that_are_known(copied):
    detector, settings = detectors.read(RUN), config.load()
    write_auc(RUN, 0.8)
    said = limits.limits(detector, settings)
    assert "quick preset" in said
    assert "40 people" in said
    assert "held-out AUC 0.800" in said
    assert "not tried on another data set" in said
    figures = {"leak_auc": 0.9, "residual_auc": 0.61, "residual_auc_low": 0.55, "residual_auc_high": 0.66}
    audited = pd.DataFrame([{"experiment": RUN, "leak": "files"} | figures])
    tables.write_csv(audited, paths().table("shortcuts_runs"))
    rows = [
        {"experiment": RUN, "dataset": name, "in_domain": own, "auc": auc, "auc_low": auc - 0.1, "auc_high": auc + 0.1}
        for name, own, auc in [("other", 0, 0.7), ("sample", 1, 0.8)]
    ]
    tables.write_csv(pd.DataFrame(rows), paths().table("generalization_cells"))
    said = limits.limits(detector, settings)
    assert "AUC out-of-domain: other 0.700 [0.600, 0.800]" in said
    assert "AUC 0.610 [0.550, 0.660]" in said
    assert "0.800 [" not in said.split("out-of-domain")[1].replace("0.700 [0.600, 0.800]", "")
    tables.write_text("a,b\n1,2\n", paths().table("generalization_cells"))
    assert "not tried on another data set" in limits.limits(detector, settings)


def test_a_temperature_at_its_bound_is_a_limit(copied):
    path = paths().checkpoint_record(RUN, 1)
    edit(path, temperature=0.01)
    assert "not calibrated: fold 1" in limits.limits(detectors.read(RUN), config.load())
    assert math.isfinite(shipped.scale(detectors.read(RUN)).thresholds[1])
