import pytest
import yaml

from conftest import changed
from deepfake import cli, config, layout
from deepfake.studies import pipeline


def test_without_dvc_the_custom_run_is_brought_up_to_date_in_process(project):
    assert pipeline.custom(config.load()) == 0
    assert layout.train_metrics("custom").exists()


def test_the_first_failure_ends_it_with_its_code(project, capfd):
    (layout.raw("sample") / "wiki.zip").write_bytes(b"")
    assert pipeline.custom(config.load()) == 2
    assert "not a readable zip archive" in capfd.readouterr().err
    assert not layout.samples("sample").exists()


@pytest.mark.parametrize(
    ("face_crop", "there", "expected"),
    [
        (False, [], ["ingest sample", "split sample", "cache mine", "train custom"]),
        (True, [], ["ingest sample", "split sample", "faces sample", "cache mine", "train custom"]),
        (True, [layout.faces("sample")], ["ingest sample", "split sample", "cache mine", "train custom"]),
        (False, [layout.samples("sample")], ["split sample", "cache mine", "train custom"]),
        (
            True,
            [layout.samples("sample"), layout.faces("sample")],
            ["split sample", "cache mine", "train custom"],
        ),
    ],
)
def test_without_dvc_only_what_is_missing_is_made_beside_what_is_cheap(
    project, monkeypatch, face_crop, there, expected
):
    mine = {"geometry": "crop", "face_crop": face_crop, "resolution": "low"}
    values = changed(yaml.safe_load(layout.PARAMS.read_text()), {"views.mine": mine, "custom.view": "mine"})
    layout.PARAMS.write_text(yaml.safe_dump(values))
    for path in there:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    asked = []

    class Done:
        returncode = 0

    monkeypatch.setattr(pipeline.subprocess, "run", lambda command, check: asked.append(command) or Done)
    assert pipeline.custom(config.load()) == 0
    assert [" ".join(command[3:]) for command in asked] == expected


def test_weights_are_brought_for_a_run_that_starts_from_them(project):
    settings = config.load()
    assert ["weights"] not in pipeline._commands(settings)
    custom = settings.custom.model_copy(update={"pretrained": True})
    commands = pipeline._commands(settings.model_copy(update={"custom": custom, "model": "resnet18"}))
    assert commands[-2:] == [["weights"], ["train", "custom"]]


def test_a_sample_that_is_not_there_is_generated_first(project, monkeypatch):
    (layout.raw("sample")).rename("elsewhere")
    asked = []

    class Failed:
        returncode = 3

    monkeypatch.setattr(pipeline.subprocess, "run", lambda command, check: asked.append(command) or Failed)
    assert pipeline.custom(config.load()) == 3
    assert [command[3:] for command in asked] == [["sample", "sample"]]


@pytest.mark.parametrize("pulled", [False, True])
@pytest.mark.parametrize("code", [0, 1])
def test_with_dvc_it_is_dvc_that_runs(project, runner, monkeypatch, code, pulled):
    asked = []

    class Done:
        returncode = code

    monkeypatch.setattr(pipeline.repository, "uses_dvc", lambda: True)
    monkeypatch.setattr(pipeline.repository, "pull", lambda dataset: pulled)
    monkeypatch.setattr(pipeline.subprocess, "run", lambda command, check: asked.append(command) or Done)
    assert runner.invoke(cli.main, ["train"]).exit_code == code
    assert asked == [["dvc", "repro", *(["--pull"] if pulled else []), "custom"]]
