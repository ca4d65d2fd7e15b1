import pytest

from deepfake import cli, layout
from deepfake.studies import pipeline


def test_without_dvc_the_custom_run_is_brought_up_to_date_in_process(project):
    assert pipeline.custom() == 0
    assert layout.train_metrics("custom").exists()


def test_the_first_failure_ends_it_with_its_code(project, capfd):
    (layout.raw("sample") / "wiki.zip").write_bytes(b"")
    assert pipeline.custom() == 2
    assert "not a readable zip archive" in capfd.readouterr().err
    assert not layout.samples("sample").exists()


@pytest.mark.parametrize("code", [0, 1])
def test_with_dvc_it_is_dvc_that_runs(project, runner, monkeypatch, code):
    for folder in (".dvc", ".git"):
        (project / folder).mkdir()
    asked = []

    class Done:
        returncode = code

    monkeypatch.setattr(pipeline.shutil, "which", lambda name: f"/bin/{name}")
    monkeypatch.setattr(pipeline.subprocess, "run", lambda command, check: asked.append(command) or Done)
    assert runner.invoke(cli.main, ["train"]).exit_code == code
    assert asked == [["dvc", "repro", "custom"]]
