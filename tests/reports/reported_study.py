"""A synthetic study with planted effects, all of its tables, findings and pages; a test names this as a plugin."""

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

import synthetic_study
from conftest import ROOT
from deepfake import config, tables
from deepfake.config.params import Params
from deepfake.project import paths
from deepfake.reports import findings
from deepfake.studies.final import analysis as final
from deepfake.studies.final import page as final_page
from deepfake.studies.phases import analysis, selection
from deepfake.studies.phases import findings as conclusions
from deepfake.studies.phases import page as pages
from deepfake.studies.summary import page as summary_page
from deepfake.tables import results as result_tables

QUALITY = {"backbone_resized": 3.5, "backbone_matched": 0.5, "backbone_letterboxed": 0.2, "simple_cnn_low": 0.5}
QUALITY |= {"backbone_best": 2.0, "backbone_best_medium": 2.0, "backbone_best_all": 2.0}
"""How far fakes lie above reals where it is not 1."""
PHASES = ("phase1", "phase2", "phase3", "phase4", "custom")


@pytest.fixture(scope="session")
def reported(tmp_path_factory) -> tuple[Path, Params]:
    """A project with the tables, findings and pages of all phases, of the final model and of the summary."""
    root = tmp_path_factory.mktemp("study")
    values = yaml.safe_load((ROOT / "params.yaml").read_text("utf-8"))
    values["presets"]["quick"] |= {"folds": 4, "repeats": 2}
    for run in values["studies"]["phase2"]["runs"].values():
        run.pop("presets", None)  # all tables of the design
    (root / "data").mkdir()
    shutil.copy(ROOT / "data/catalog.yaml", root / "data/catalog.yaml")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        paths().params.write_text(yaml.safe_dump(values, sort_keys=False))
        settings = config.load()
        manifest = synthetic_study.write_study(settings, QUALITY, own=0.2)
        for phase in PHASES[:2]:
            analysis.run(phase, settings)
        selection.decide(settings)
        for name in config.candidates(settings):
            synthetic_study.write_run(settings, name, manifest, QUALITY.get(name, 1.0), own=0.2)
        analysis.run("phase3", settings)
        for name in selection.rank(settings):
            for share in settings.studies.phase4.fractions:
                scaled = config.scaled(name, share)
                synthetic_study.write_run(settings, scaled, manifest, QUALITY.get(scaled, 1.0), own=0.2)
        for phase in PHASES[3:]:
            analysis.run(phase, settings)
        selection.final(settings)
        for phase in PHASES:
            findings.write(phase, conclusions.of(phase, settings))
        _write_final(manifest)
        _write_data(settings)
        for phase in PHASES:
            pages.write(phase, settings)
        final_page.write()
        summary_page.write(settings)
    return root, settings


def _write_final(manifest: pd.DataFrame) -> None:
    """Write what the final model makes of the test set, without a model."""
    test = manifest[manifest["split"] == "test"]
    noise = np.random.default_rng(0).normal(size=len(test))
    test = test.assign(logit=noise + 2 * test["label"], fold=0)
    result_tables.write(final.measure(test, 1.0, 0.95), "final_test")
    final.write_curves("backbone_best_all", test, 1.0, 0.95)
    shown = {"id": "test", "question": "Is the final model above chance on the test set?", "verdict": "above_chance"}
    findings.write("final", [findings.Finding(**shown, measure="AUC", effect=0.9, low=0.8, high=0.95, key=True)])


def _write_data(settings: Params) -> None:
    """Write what other stages leave of the data."""
    for path in (paths().quarantine(settings.dataset), paths().duplicates(settings.dataset)):
        pd.DataFrame({"path": []}).to_csv(path, index=False)
    rates = {"source": ["wiki", "insight"], "samples": [10, 10], "found": [10, 9], "share": [1.0, 0.9]}
    rates = pd.DataFrame(rates).assign(several=0, median_confidence=0.9)
    result_tables.write(rates, f"faces_{settings.dataset}")
    for name in ("sample", "sample_edited", "sample_resent", "views", "augmentation"):
        tables.write_text("", paths().photograph(name))
    for page in (paths().page("explain"), paths().data_card(settings.dataset)):
        tables.write_text("", page)
