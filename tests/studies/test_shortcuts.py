import json

import numpy as np
import pandas as pd
import pytest
import yaml

from deepfake import config, tables
from deepfake.config.params import Params
from deepfake.errors import InputError
from deepfake.evaluation import shortcut_attribution
from deepfake.project import paths
from deepfake.reports import findings
from deepfake.studies.shortcuts import analysis as shortcuts
from deepfake.studies.shortcuts import page, search
from tiny_study import manifest

pytest_plugins = ["probed_sample"]


def write_predictions(manifest: pd.DataFrame, shift: int = 0) -> None:
    """Write logits of every held-out sample, in another order than the manifest's."""
    development = manifest[manifest["split"] == "dev"].sample(frac=1, random_state=0)
    rng = np.random.default_rng(0)
    rows = development[["sample_id", "clip_id"]].assign(
        experiment="simple_cnn_low",
        fold=(development["fold"] + shift) % 2,
        repeat=0,
        subset="held_out",
        condition="standard",
        logit=development["label"] + rng.normal(size=len(development)),
    )
    (paths().study("phase1") / "simple_cnn_low").mkdir(parents=True, exist_ok=True)
    tables.write(rows, paths().predictions("simple_cnn_low"), tables.PREDICTIONS)
    tables.write_text(json.dumps({"folds": 2, "pooling": "mean"}), paths().config("simple_cnn_low"))


@pytest.fixture
def probed(settings, monkeypatch) -> Params:
    """The tiny project after its probes, with the logits of an experiment, by hand; nothing may be probed again."""
    search.run(settings, "sample", threads=1)
    write_predictions(manifest())
    monkeypatch.setattr(shortcuts, "facts_of", lambda _: {"pooling": "mean"})
    monkeypatch.setattr(shortcuts.probes, "probe", lambda *_, **__: pytest.fail("probed again"))
    return settings


def test_runs_are_held_against_the_files_and_their_own_view(probed):
    runs = shortcuts.run(probed, "sample", threads=2)
    written = pd.read_csv(paths().table("shortcuts_runs"))
    assert written.columns.tolist() == ["experiment", "view", "leak", *shortcut_attribution.COLUMNS]
    assert written["leak"].tolist() == ["files", "crop_low"]
    metrics = json.loads(paths().study_metrics("shortcuts").read_text("utf-8"))
    assert tuple(metrics) == shortcuts.METRICS
    judged = pd.read_csv(paths().table("probes"))
    joint = judged[judged["level"] == "all"].set_index("subject")["auc"]
    assert metrics["files_auc"] == joint["files"]
    assert metrics["view_auc"] == joint["crop_low"]
    assert metrics["container_leaks"] == 0
    assert metrics["r2"] == pytest.approx(runs["r2"].iloc[1], abs=1e-6)
    answers = findings.read("shortcuts")
    assert answers["storage.files"].verdict == "no_shortcut" and answers["pixels.files"].verdict == "shortcut"
    assert {id_ for id_ in answers if id_.startswith("beyond.")} == {
        "beyond.simple_cnn_low.files",
        "beyond.simple_cnn_low.crop_low",
    }
    assert len(answers.key) == 2
    # all samples have a logit, so the leak is worth the same in both tables
    assert written.set_index("leak")["leak_auc"].to_dict() == joint.to_dict()


def test_logits_are_held_against_their_own_samples(probed):
    """The AUC of the run is that of its pairs of different groups, whatever the order of the predictions."""
    runs = shortcuts.run(probed, "sample", threads=1)
    predictions = tables.read(paths().predictions("simple_cnn_low"), tables.PREDICTIONS)
    known = predictions.merge(manifest()[["sample_id", "label", "group"]], on="sample_id")
    aucs = []
    for _, rows in known.groupby("fold"):
        pairs = rows[rows["label"] == 1].merge(rows[rows["label"] == 0], how="cross", suffixes=("", "_real"))
        pairs = pairs[pairs["group"] != pairs["group_real"]]
        aucs.append((pairs["logit"] > pairs["logit_real"]).mean())
    assert runs["auc"].tolist() == pytest.approx([np.mean(aucs)] * 2, abs=1e-5)


def test_the_table_of_runs_is_the_same_whatever_the_threads(probed):
    shortcuts.run(probed, "sample", threads=1)
    before = paths().table("shortcuts_runs").read_bytes()
    shortcuts.run(probed, "sample", threads=3)
    assert paths().table("shortcuts_runs").read_bytes() == before


def test_another_data_set_has_no_runs(settings):
    other = settings.model_copy(update={"dataset": "another"})
    search.run(other, "sample", threads=1)
    assert shortcuts.run(other, "sample", threads=1).empty
    assert pd.read_csv(paths().table("own_sample_shortcuts_runs")).columns.tolist() == shortcuts.COLUMNS
    metrics = json.loads(paths().study_metrics("own_sample_shortcuts").read_text("utf-8"))
    assert (metrics["view_auc"], metrics["r2"]) == (None, None)
    assert not paths().table("shortcuts_runs").exists()


def test_an_experiment_that_was_not_trained_is_named(probed):
    paths().predictions("simple_cnn_low").unlink()
    with pytest.raises(InputError, match=r"train simple_cnn_low, or take it out of studies\.shortcuts\.runs"):
        shortcuts.run(probed, "sample", threads=1)


def test_predictions_of_other_folds_are_refused(probed):
    write_predictions(manifest(), shift=1)
    with pytest.raises(InputError, match="not of the manifest's samples and folds"):
        shortcuts.run(probed, "sample", threads=1)


def test_predictions_of_other_samples_are_refused(probed):
    known = manifest()
    write_predictions(known.assign(sample_id="x" + known["sample_id"]))
    with pytest.raises(InputError, match="not of the manifest's samples and folds"):
        shortcuts.run(probed, "sample", threads=1)


def test_without_probes_it_says_what_to_run(settings):
    with pytest.raises(InputError, match=r"probes\.csv: not found; run deepfake probe sample"):
        shortcuts.run(settings, "sample", threads=1)


@pytest.mark.parametrize("change", [{"fold": 7}, {"subject": "another"}])
def test_scores_of_other_folds_or_of_another_subject_are_refused(probed, change):
    path = paths().probe_scores("sample")
    scores = tables.read(path, tables.PROBE_SCORES).query("subject == 'crop_low'").assign(**change)
    files = tables.read(path, tables.PROBE_SCORES).query("subject == 'files'")
    tables.write(pd.concat([files, scores]), path, tables.PROBE_SCORES)
    with pytest.raises(InputError, match="not of crop_low and the manifest's folds; run deepfake probe sample again"):
        shortcuts.run(probed, "sample", threads=1)


def test_a_run_that_waits_for_phase_2_cannot_be_examined(settings):
    values = yaml.safe_load(paths().params.read_text("utf-8"))
    values["studies"]["phase3"]["runs"]["simple_cnn_best"]["view"] = "best"
    values["studies"]["shortcuts"]["runs"] = ["simple_cnn_best"]
    values["views"]["crop_high"] = values["views"]["crop_low"] | {"resolution": "high"}
    values["views"] |= {
        f"face_{size}": {**values["views"][f"crop_{size}"], "face_crop": True} for size in ("low", "high")
    }
    paths().params.write_text(yaml.safe_dump(values, sort_keys=False))
    with pytest.raises(InputError, match=r"studies\.shortcuts\.runs: simple_cnn_best waits for phase 2"):
        config.load()


def test_the_page_names_what_predicts_the_label(probed):
    """Without a trained run: its findings, its probes, and what not to show a detector."""
    none = probed.studies.shortcuts.model_copy(update={"runs": ()})
    alone = probed.model_copy(update={"studies": probed.studies.model_copy(update={"shortcuts": none})})
    shortcuts.run(alone, "sample", threads=1)
    page.write(alone, "sample")
    text = paths().page("shortcuts").read_text("utf-8")
    told = next(line for line in text.splitlines() if line.startswith("| Do plain pixel statistics of the files"))
    assert "**yes**" in told
    assert "- files: aspect, " in text, "what all files have in common"
    assert "Test detectors on images that were resized" in text and "What detectors make" not in text
    assert "nan" not in text and paths().figure("shortcuts").exists()
