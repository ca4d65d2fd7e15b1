"""A synthetic study with all of its tables, and one with all of its pages; a test names this module as a plugin."""

import shutil
from pathlib import Path

import pandas as pd
import pytest
import yaml

import synthetic_study
from conftest import ROOT
from deepfake import config, tables
from deepfake.config.params import Params
from deepfake.project import paths
from deepfake.studies.phases import analysis as phases
from deepfake.studies.phases import selection
from deepfake.tables import results as result_tables

QUALITY = {"resnet18_high": 1.5, "resnet18_letterboxed": 0.1, "simple_cnn_low": 0.6, "simple_cnn_augmented": 0.3}
"""How far fakes lie above reals where it is not 1."""
SIZES = {
    "folds": 4,
    "top": 3,
    "resolution": {"low": 48, "high": 64},
    "fraction": {"small": 0.75, "medium": 0.9, "all": 1.0},
}
"""What headings and words are checked against, so that other sizes in params.yaml change no test."""


@pytest.fixture(scope="session")
def finished_study(tmp_path_factory) -> tuple[Path, Params]:
    """A project with the tables of all phases and no page yet, and its params; not to be changed."""
    root = tmp_path_factory.mktemp("study")
    values = yaml.safe_load((ROOT / "params.yaml").read_text("utf-8"))
    values["evaluation"]["bootstrap_replicates"] = 100
    values["presets"]["quick"] |= SIZES
    for run in values["studies"]["phase3"]["runs"].values():
        run.pop("presets", None)
    (root / "params.yaml").write_text(yaml.safe_dump(values, sort_keys=False))
    (root / "data").mkdir()
    shutil.copy(ROOT / "data/catalog.yaml", root / "data/catalog.yaml")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        settings = config.load()
        manifest = synthetic_study.write_study(settings, QUALITY)
        selection.decide(settings)
        for name in config.candidates(settings):
            synthetic_study.write_run(settings, name, manifest, 1.0)
        for name in selection.rank(settings):
            for share in settings.studies.phase4.fractions:
                synthetic_study.write_run(settings, config.scaled(name, share), manifest, 1.0)
        for phase in ("phase1", "phase2", "phase3", "phase4", "custom"):
            phases.run(phase, settings)
        empty = pd.DataFrame({"path": []})
        for path in (paths().quarantine(settings.dataset), paths().duplicates(settings.dataset)):
            empty.to_csv(path, index=False)
        rates = {"source": ["wiki", "insight"], "samples": [10, 10], "found": [10, 9], "share": [1.0, 0.9]}
        rates = pd.DataFrame(rates).assign(several=0, median_confidence=0.9)
        result_tables.write(rates, f"faces_{settings.dataset}")
    return root, settings


@pytest.fixture(scope="session")
def reported(finished_study, tmp_path_factory) -> tuple[Path, Params]:
    """A copy of the study with all of its pages."""
    from deepfake.studies.phases import page as pages
    from deepfake.studies.summary import page as summary_page

    root = tmp_path_factory.mktemp("reported") / "project"
    shutil.copytree(finished_study[0], root)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        for phase in pages.TITLES:
            pages.write(phase, finished_study[1])
        # what other stages leave
        for path in (
            *(paths().page(name) for name in ("explain", "shortcuts")),
            *(paths().photograph(name) for name in ("sample", "sample_edited", "sample_resent")),
            *(paths().photograph(name) for name in ("views", "augmentation")),
        ):
            tables.write_text("", path)
        summary_page.write(finished_study[1], {"shortcuts": "Width alone tells fakes from reals."})
    return root, finished_study[1]


@pytest.fixture
def study_settings(finished_study, monkeypatch) -> Params:
    """The params of the study, in its folder; nothing may be written there."""
    monkeypatch.chdir(finished_study[0])
    return finished_study[1]
