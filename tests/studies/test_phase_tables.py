import json

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from deepfake import config, tables
from deepfake.errors import InputError
from deepfake.project import paths
from deepfake.studies import comparison
from deepfake.studies.phases import analysis as phases
from deepfake.studies.phases import selection


def joined(name: str) -> pd.DataFrame:
    """The held-out predictions of an experiment with labels and sources, by pandas alone."""
    rows = pd.read_parquet(paths().predictions(name)).query("subset == 'held_out'")
    return rows.merge(pd.read_parquet(paths().manifest("sample"))[["sample_id", "label", "source"]], on="sample_id")


def mean_auc(rows: pd.DataFrame) -> float:
    return float(np.mean([roc_auc_score(fold["label"], fold["logit"]) for _, fold in rows.groupby("fold")]))


def test_a_source_that_was_left_out_is_measured_against_the_held_out_reals(study):
    settings = study({})
    phases.run("phase2", settings)
    rows = pd.read_csv(paths().table("phase2_holdout")).set_index("source")
    assert set(rows.index) == {"text2img", "inpainting", "insight"}
    for source, row in rows.iterrows():
        without, trained = joined(row["experiment"]), joined("resnet18_high")
        foreign = without[(without["label"] == 0) | (without["source"] == source)]
        known = without[without["source"] != source]
        seen = trained[(trained["label"] == 0) | (trained["source"] == source)]
        assert row["held_out_auc"] == pytest.approx(mean_auc(foreign), abs=1e-5)
        assert row["in_source_auc"] == pytest.approx(mean_auc(known), abs=1e-5)
        assert row["delta"] == pytest.approx(mean_auc(known) - mean_auc(foreign), abs=1e-5)
        assert row["benefit"] == pytest.approx(mean_auc(seen) - mean_auc(foreign), abs=1e-5)
        assert row["delta_low"] < row["delta"] < row["delta_high"]


def test_phase_2_holds_each_experiment_once_and_each_test_in_its_table(study):
    settings = study({})
    phases.run("phase2", settings)
    names = pd.read_csv(paths().table("phase2_experiments"))["experiment"]
    assert names.is_unique
    wanted = {
        (table, baseline, name)
        for table in phases.PHASES["phase2"]
        for name, baselines in config.table(settings, table).items()
        for baseline in baselines
    }
    tests = pd.read_csv(paths().table("phase2_tests"))
    assert set(zip(tests["table"], tests["baseline"], tests["experiment"], strict=True)) == wanted
    metrics = json.loads(paths().study_metrics("phase2").read_text())
    assert set(metrics) == {*comparison.METRICS, "runs"}
    # those of phase 1, which it is compared with, stand in that one's
    assert set(metrics["runs"]) == {name for name in names if not name.endswith("_low")}


def test_phase_4_measures_all_fractions_on_the_same_samples(study):
    decision = config.Decision(resolution="low", face_crop=False, augmentation="none")
    tables.write_text(decision.model_dump_json(), paths().decision)
    settings = study({"resnet18_best_all": 2.0}, candidates=True)
    chosen = selection.rank(settings)
    phases.run("phase4", settings)
    scaled = pd.read_csv(paths().table("phase4a_experiments")).set_index("experiment")
    assert set(scaled.index) == {f"{name}{suffix}" for name in chosen for suffix in ("", "_medium", "_all")}
    assert scaled["samples"].nunique() == 1
    name = chosen[0]
    small = joined(name)
    everything = joined(f"{name}_all")
    assert len(everything) > len(small)
    common = everything[everything["sample_id"].isin(small["sample_id"])]
    assert scaled.loc[f"{name}_all", "auc"] == pytest.approx(mean_auc(common), abs=1e-5)
    final = pd.read_csv(paths().table("phase4b_experiments")).set_index("experiment")
    assert final.loc[f"{name}_all", "auc"] == pytest.approx(mean_auc(everything), abs=1e-5)
    assert set(final.index) == {f"{candidate}_all" for candidate in chosen}
    # far better than the others, so no tie that the smaller one would win
    assert config.read_final() == final["auc"].idxmax() == "resnet18_best_all"


def test_predictions_of_samples_that_are_gone_are_told(study):
    settings = study({})
    manifest = tables.read(paths().manifest("sample"), tables.MANIFEST)
    tables.write(manifest[manifest["group"] != manifest["group"].iloc[0]], paths().manifest("sample"), tables.MANIFEST)
    with pytest.raises(InputError, match="samples that are not in the manifest; run deepfake train"):
        phases.run("phase1", settings)
