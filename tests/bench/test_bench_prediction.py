"""The benchmark of prediction on a handful of files: it times what it says, and says what it timed."""

import os
from pathlib import Path

import pytest

from deepfake import cli
from deepfake.bench import prediction as benchmark
from deepfake.config import load
from deepfake.project import paths
from heard import Heard


@pytest.mark.slow
def test_loader_and_prediction_are_timed_on_the_same_files(project, runner):
    before = set(Path().rglob("*"))
    result = runner.invoke(cli.main, ["bench", "prediction", "--images", "9", "--repeats", "1", "--write"])
    assert result.exit_code == 0, result.output
    text = paths().bench("prediction").read_text()
    assert text.strip() == result.stdout.strip()
    table = [line for line in text.splitlines() if line.startswith("|")]
    sizes = [tuple(cell.strip() for cell in line.split("|")[1:3]) for line in table[2:]]
    assert sizes == [("32", "1"), ("32", "2"), ("40", "1"), ("40", "2")]
    assert "From the start of a process to its first verdict" in text
    # all else was made elsewhere, and is gone
    assert {path for path in set(Path().rglob("*")) - before if path.is_file()} == {paths().bench("prediction")}


def test_the_share_is_that_of_the_passes(project, monkeypatch):
    monkeypatch.setattr(benchmark, "_first_verdict", lambda faces: {"--no-faces": 1.0, "--faces": 2.0}[faces])
    figures = {"loader": 10.0, "prediction": 9.0, "with_faces": 1.0, "share": 0.9}
    monkeypatch.setattr(benchmark, "_measure", lambda *rest: figures)
    heard = Heard()
    found = benchmark.run(load(), count=2, repeats=2, progress=heard)
    text = benchmark.report(found)
    assert "90%" in text
    assert "first verdict: 1.0 s without faces, 2.0 s with them" in text
    assert heard.steps[-1][2] >= heard.steps[-1][1]
    assert Path.cwd() == Path(os.path.realpath(project))
