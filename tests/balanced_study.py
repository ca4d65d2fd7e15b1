"""A finished study of class imbalance without any training; a test names this module as a plugin."""

import shutil
from pathlib import Path

import pytest

import synthetic_study
from balance_runs import RUNS, write_project
from deepfake.config.params import Params
from deepfake.studies.imbalance import analysis as imbalance


@pytest.fixture(scope="session")
def balanced(tmp_path_factory) -> tuple[Path, Params, imbalance.Found]:
    """A project in which the study has run, its params, and what it found; not to be changed."""
    root = tmp_path_factory.mktemp("balance") / "project"
    settings = write_project(root)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        manifest = synthetic_study.write_manifest(settings, groups=40, per_group=12)
        for name, facts in RUNS.items():
            synthetic_study.write_run(settings, name, manifest, **({"own": 0.0} | facts))
        return root, settings, imbalance.run(settings)


@pytest.fixture
def balance_copy(balanced, tmp_path, monkeypatch) -> Params:
    """The params of the study, with a copy of its project as the current folder."""
    shutil.copytree(balanced[0], tmp_path / "copy")
    monkeypatch.chdir(tmp_path / "copy")
    return balanced[1]


@pytest.fixture
def balance_found(balanced, monkeypatch) -> imbalance.Found:
    """What the study found, with its project as the current folder; nothing may be written there."""
    monkeypatch.chdir(balanced[0])
    return balanced[2]
