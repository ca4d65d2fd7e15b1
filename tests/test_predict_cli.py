"""`deepfake predict` as people and programs meet it: what stands on which stream, and the exit code."""

import io
import json
import os
import shutil
from pathlib import Path

import click
import numpy as np
import pytest
from click.testing import Result
from PIL import Image
from scipy.special import expit

from conftest import encoded
from deepfake import cli, tables
from deepfake.cli import predict as command
from deepfake.cli import verdict_lines
from deepfake.inference.reading import Face
from deepfake.inference.verdicts import Part, Verdict
from deepfake.project import paths

RUN = "simple_cnn_low"


@pytest.fixture
def photos(copied, monkeypatch) -> Path:
    """Two photographs and a text in a folder below the project, whose training data are gone; we stand beside it."""
    shutil.rmtree("data")
    folder = Path("mine/photos")
    folder.mkdir(parents=True)
    for number in range(2):
        pixels = np.random.default_rng(number).integers(0, 256, (40, 48, 3), dtype=np.uint8)
        (folder / f"{number}.jpg").write_bytes(encoded(pixels, "JPEG"))
    (folder / "notes.txt").write_text("nothing to see")
    monkeypatch.chdir("mine")
    return Path("photos")


def run(runner, *arguments: str, faces: bool = False) -> Result:
    options = [] if faces else ["--no-faces"]
    here = Path.cwd()
    result = runner.invoke(cli.main, ["predict", *arguments, *options])
    os.chdir(here)  # a command goes to the project's root
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


def test_programs_get_one_object_a_file_and_nothing_else(photos, runner):
    result = run(runner, "photos", "--json")
    assert result.exit_code == 0, result.stderr
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    assert [line["file"] for line in lines] == ["photos/0.jpg", "photos/1.jpg"]
    for line in lines:
        assert line["probability"] == pytest.approx(expit(line["logit"]))
        assert line["verdict"] == ("fake" if line["probability"] >= line["threshold"] else "real")
        assert len(line["fold_logits"][0]) == 2
        assert line["faces"] is None
        assert line["run"] == RUN
        assert "not tried on another data set" in line["limits"]
    assert f"run: {RUN}: held-out AUC" in result.stderr
    assert "2 files" in result.stderr


def test_the_final_model_is_named(photos, runner):
    tables.write_text(json.dumps({"run": RUN}), Path("..") / paths().final)
    result = run(runner, "photos/0.jpg")
    assert result.exit_code == 0, result.stderr
    assert f"run: {RUN}: the study's final model\n" in result.stderr


def test_people_get_rows_and_the_runs_limits(photos, runner):
    result = run(runner, "photos/0.jpg", "--run", RUN)
    heading, row = result.stdout.splitlines()
    assert heading.split("\t") == [
        "file",
        "verdict",
        "probability",
        "threshold",
        "logit",
        "faces",
        "parts",
        "decided by",
    ]
    assert row.split("\t")[0] == "photos/0.jpg"
    summary, limits = result.stderr.splitlines()
    assert summary.startswith("1 file:")
    assert limits.startswith(f"{RUN}: simple_cnn, trained on sample, 2 folds; limits: the quick preset")


def test_a_damaged_file_is_reported_and_the_others_answered(photos, runner):
    data = (photos / "0.jpg").read_bytes()
    (photos / "0a.jpg").write_bytes(data[: len(data) // 2])
    result = run(runner, "photos", "--json")
    assert result.exit_code == 2
    first, broken, last = [json.loads(line) for line in result.stdout.splitlines()]
    assert set(broken) == {"file", "error"}
    assert "verdict" in first
    assert "verdict" in last
    assert result.stderr.splitlines()[-1].startswith("deepfake: 1 of 3 files could not be judged")
    plain = run(runner, "photos").stdout.splitlines()
    assert plain[2].split("\t")[:2] == ["photos/0a.jpg", "error"]


def test_when_nothing_can_be_read_the_exit_code_is_2(photos, runner):
    result = run(runner, "photos/notes.txt")
    assert result.exit_code == 2
    assert "deepfake: 1 of 1 file could not be judged" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["missing"], "missing: not found"),
        (["*.png"], "the pattern matches nothing"),
        (["photos", "--run", "simple_cnn"], f"runs: unknown run 'simple_cnn'; did you mean {RUN}?"),
        (["photos", "--run", "nothing"], f"unknown run 'nothing'; known: {RUN}"),
        (["photos", "--run", ""], "unknown run ''"),
        (["photos", "--run", f"../runs/{RUN}"], f"unknown run '../runs/{RUN}'"),
        (["photos", "--run", f"./{RUN}"], f"unknown run './{RUN}'"),
    ],
)
def test_what_is_not_there_is_reported_in_one_line(photos, runner, arguments, words):
    result = run(runner, *arguments)
    assert result.exit_code == 2
    assert result.stdout == ""
    [line] = result.stderr.splitlines()
    assert words in line


def test_without_a_run_the_command_that_makes_one_is_told(photos, runner):
    shutil.rmtree(Path("..") / paths().runs)
    for options in ([], ["--run", RUN]):
        result = run(runner, "photos", *options)
        assert result.exit_code == 2
        assert "no run that can predict; run deepfake train" in result.stderr


def test_a_folder_without_media_says_what_it_holds(photos, runner):
    Path("texts").mkdir()
    for name in ("a.txt", "b.csv", "notes.txt"):
        (Path("texts") / name).write_bytes(bytes(64))
    result = run(runner, "texts")
    assert result.exit_code == 2
    assert result.stdout == ""
    [line] = result.stderr.splitlines()
    assert line.startswith(
        "deepfake: no images, clips or recordings in texts: 3 other files (.csv, .txt); name images, clips or"
    )


def test_what_is_passed_over_is_said(photos, runner):
    (photos / "deep").mkdir()
    shutil.copy(photos / "0.jpg", photos / "deep/2.jpg")
    (photos / "README").write_bytes(bytes(64))
    result = run(runner, "photos")
    assert result.exit_code == 0, result.stderr
    assert len(result.stdout.splitlines()) == 1 + 3
    assert "3 files: " in result.stderr
    assert "; passed over: 2 other files (.txt, no ending)" in result.stderr
    result = run(runner, "photos", "--no-recursive")
    assert len(result.stdout.splitlines()) == 1 + 2


def test_what_is_odd_about_a_file_is_said(photos, runner):
    clear, stream = Image.new("RGBA", (48, 40)), io.BytesIO()
    clear.save(stream, "GIF", save_all=True, append_images=[Image.new("RGBA", (48, 40), "red")])
    (photos / "3.gif").write_bytes(stream.getvalue())
    result = run(runner, "photos", "--json")
    assert result.exit_code == 0, result.stderr
    notes = [json.loads(line)["notes"] for line in result.stdout.splitlines()]
    assert notes == ["", "", "transparency on white; first of 2 frames"]
    assert "1 file with notes (1 transparency on white, 1 first of several frames)" in result.stderr


def test_each_face_is_listed_with_its_score():
    faces = [Face(0.0, 1.0, 9.0, 9.0, 0.99), Face(20.0, 1.0, 25.0, 6.0, 0.97)]
    parts = tuple(Part(np.array([logit, logit]), face) for logit, face in zip((-1.0, 2.0), faces, strict=True))
    verdict = Verdict("a.jpg", parts, (-1.0, 2.0), tuple(faces), 0.5)
    facts = verdict_lines.facts(verdict, "image", "some run", "few")
    assert [face["logit"] for face in facts["faces"]] == [-1.0, 2.0]
    assert facts["faces"][1]["left"] == 20.0
    assert (facts["logit"], facts["verdict"], facts["fold_logits"]) == (2.0, "fake", [[-1.0, -1.0], [2.0, 2.0]])
    assert facts["probability"] == pytest.approx(expit(2.0))
    assert facts["threshold"] == pytest.approx(expit(0.5))
    assert verdict_lines.cells(verdict)[-3:] == ["2", "", ""]
    assert command._kinds(verdict) == ["fake", "crowded"]
    whole = Verdict("a.jpg", (Part(np.array([1.0]), None),), (1.0,), tuple(faces), 0.5)
    assert [face["logit"] for face in verdict_lines.facts(whole, "image", "some run", "few")["faces"]] == [None, None]
    assert command._kinds(whole) == ["fake"]


@pytest.mark.slow
def test_a_picture_without_a_face_says_so(photos, runner):
    rows = run(runner, "photos", faces=True)
    assert [row.split("\t")[5] for row in rows.stdout.splitlines()[1:]] == ["no face", "no face"]
    assert "2 without a face, where a verdict means little" in rows.stderr
    [line, _] = run(runner, "photos", "--json", faces=True).stdout.splitlines()
    assert json.loads(line)["faces"] == []


def test_the_columns_of_the_table_are_fixed():
    rows = [
        verdict_lines.row(["a.jpg", "fake", "0.912", "0.500", "+2.34", "no face", "", ""], 20, "red"),
        verdict_lines.row(["a/very/long/path/to/b.jpg", "real", "0.012", "0.500", "-12.34", "3", "", ""], 20, "green"),
        verdict_lines.row(["c.jpg", "error", "empty file"], 20, "yellow"),
    ]
    plain = [click.unstyle(row) for row in rows]
    assert plain[0].index("fake") == plain[1].index("real") == plain[2].index("error")
    assert plain[0].index("+2.34") == plain[1].index("-12.34")
    assert plain[1].startswith("…/long/path/to/b.jpg ")
    assert plain[2].endswith("empty file")
