import os
import shutil
import sys
from pathlib import Path

import pytest
import yaml

from conftest import changed
from deepfake import cli, config
from deepfake.errors import InputError
from deepfake.ops import pipeline
from deepfake.project import paths
from dvc_repository import call, commit, isolate, make_repository, write
from heard import Heard

STAGES = {
    "before": {"cmd": "echo before >> log && echo made > made", "params": ["shared.seed"], "outs": ["made"]},
    "custom": {"cmd": "echo custom >> log && echo run > run", "deps": ["made"], "outs": ["run"]},
    "other": {"cmd": "echo other >> log"},
}


@pytest.fixture
def here(project, tmp_path, monkeypatch) -> Path:
    """A project with a small pipeline of its own, whose stages write their names into `log`; not in git."""
    isolate(tmp_path, monkeypatch)
    write("dvc.yaml", {"stages": STAGES})
    return project


def train(expected: int = 0) -> list[str]:
    """Bring the custom run up to date; return the lines that tell how."""
    heard = Heard()
    assert pipeline.custom(config.load(), heard) == expected
    return heard.lines


def ran() -> list[str]:
    return Path("log").read_text().split()


def change(values: dict) -> None:
    write("params.yaml", changed(yaml.safe_load(paths().params.read_text()), values))


def without_git(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave nothing on the path, as for one who calls `.venv/bin/deepfake` where git is not installed."""
    monkeypatch.setenv("PATH", str(Path.cwd() / "nothing"))
    assert shutil.which("git") is None


def test_an_unpacked_archive(here, capfd):
    (said,) = train()
    assert "no git repository here" in said
    assert ran() == ["before", "custom"]
    capfd.readouterr()
    train()
    assert ran() == ["before", "custom"]
    assert "Data and pipelines are up to date." in capfd.readouterr().out
    change({"shared.seed": 7})
    train()
    assert ran() == ["before", "custom", "before"]  # what `before` makes is still the same
    # there are versions of what was made
    Path("run").unlink()
    call("dvc", "checkout")
    assert Path("run").read_text() == "run\n"


def test_settings_from_a_repository_that_was_left_behind(here, monkeypatch):
    make_repository(here)
    shutil.rmtree(paths().git)
    without_git(monkeypatch)
    assert len(train()) == 1
    assert ran() == ["before", "custom"]


@pytest.mark.parametrize("installed", [True, False])
def test_a_repository_is_used_whether_git_is_installed_or_not(here, monkeypatch, installed):
    make_repository(here)
    commit("a project")
    if not installed:
        without_git(monkeypatch)
    assert train() == []
    assert ran() == ["before", "custom"]
    assert not paths().dvc.joinpath("config.local").exists()
    assert "/run" in Path(".gitignore").read_text()


def test_a_stage_that_fails(here):
    write("dvc.yaml", {"stages": STAGES | {"before": STAGES["before"] | {"cmd": "exit 3"}}})
    train(expected=255)
    assert not Path("log").exists()


def test_the_stages_find_the_command_that_they_call(here, monkeypatch):
    without_git(monkeypatch)
    write("dvc.yaml", {"stages": {"custom": {"cmd": "command -v deepfake > where", "outs": ["where"]}}})
    train()
    assert Path("where").read_text().strip() == str(Path(sys.executable).parent / "deepfake")


def test_data_that_nobody_has(here, runner):
    change({"dataset": "dff"})
    result = runner.invoke(cli.main, ["train"])
    assert result.exit_code == 2
    (line,) = result.stderr.splitlines()
    assert "data/raw/dff: not found; to obtain the data" in line
    assert not paths().dvc.exists()


def test_a_folder_that_cannot_be_written(here, monkeypatch):
    monkeypatch.setattr(os, "access", lambda path, mode: False)  # root may write anywhere
    with pytest.raises(InputError, match="belongs to uid"):
        train()
    assert not paths().dvc.exists()


@pytest.mark.parametrize("pulled", [False, True])
@pytest.mark.parametrize("code", [0, 1])
def test_what_the_remote_has_of_versioned_data_is_taken(here, runner, monkeypatch, code, pulled):
    asked = []

    class Done:
        returncode = code

    monkeypatch.setattr(pipeline.repository, "prepare", lambda: None)
    monkeypatch.setattr(pipeline.repository, "pull", lambda dataset: pulled)
    monkeypatch.setattr(pipeline.subprocess, "run", lambda command, **options: asked.append(command) or Done)
    assert runner.invoke(cli.main, ["train"]).exit_code == code
    assert [command[3:] for command in asked] == [["repro", *(["--pull"] if pulled else []), "custom"]]
