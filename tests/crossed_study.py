"""A finished comparison across data sets without any training; a test names this module as a plugin."""

from pathlib import Path

import pytest

import cross_study
from deepfake.config.params import Params
from deepfake.studies.generalization import analysis
from deepfake.studies.generalization.analysis import Found


@pytest.fixture(scope="session")
def crossed(tmp_path_factory) -> tuple[Path, Params, Found]:
    """A project in which the comparison is written, its params, and what was found; not to be changed."""
    root = tmp_path_factory.mktemp("crossed") / "project"
    settings = cross_study.settings_of(root)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        cross_study.write_inputs(settings)
        return root, settings, analysis.write(cross_study.cells_of(settings), cross_study.external_rows(), settings)


@pytest.fixture
def found(crossed, monkeypatch) -> Found:
    """What the comparison found, read back, with its project as the current folder."""
    monkeypatch.chdir(crossed[0])
    return analysis.read()
