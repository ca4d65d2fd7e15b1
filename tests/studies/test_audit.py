import json

import numpy as np
import pandas as pd
import pytest
import yaml

from conftest import changed, write_tiny_faces
from deepfake import config, layout, params, tables
from deepfake.data import catalog, framing, ingest, splits
from deepfake.errors import InputError
from deepfake.evaluation import leakage
from deepfake.loading import views
from deepfake.studies import audit


@pytest.fixture
def settings(project) -> params.Params:
    """The tiny project, ingested and split, with a view and the logits of an experiment, by hand."""
    values = yaml.safe_load(layout.PARAMS.read_text("utf-8"))
    values = changed(values, {"audit.views": ["crop_low"], "audit.experiments": ["simple_cnn_low"]})
    layout.PARAMS.write_text(yaml.safe_dump(values, sort_keys=False))
    found = config.load()
    entry = catalog.find("sample")
    samples, _ = ingest.ingest("sample", entry, layout.raw("sample"), max_quarantined=0, threads=1)
    tables.write(samples, layout.samples("sample"), tables.SAMPLES)
    manifest = splits.split(samples, folds=2, test_ratio=0.1, seed=1)
    tables.write(manifest, layout.manifest("sample"), tables.MANIFEST)
    views.write(config.resolve_view(found, "crop_low"), threads=1)
    write_predictions(manifest)
    return found


def write_predictions(manifest: pd.DataFrame, shift: int = 0) -> None:
    """Write logits of every held-out sample, in another order than the manifest's."""
    development = manifest[manifest["split"] == "dev"].sample(frac=1, random_state=0)
    rng = np.random.default_rng(0)
    rows = development[["sample_id"]].assign(
        experiment="simple_cnn_low",
        fold=(development["fold"] + shift) % 2,
        subset="held_out",
        condition="standard",
        logit=development["label"] + rng.normal(size=len(development)),
    )
    tables.write(rows, layout.predictions("simple_cnn_low"), tables.PREDICTIONS)


def test_an_audit_writes_its_tables_and_metrics(settings):
    rows = audit.run(settings, "sample", threads=2)
    written = pd.read_csv(layout.table("audit"))
    assert written[["subject", "level", "name"]].equals(rows[["subject", "level", "name"]])
    assert written["subject"].unique().tolist() == ["files", "crop_low"]
    alone = written[written["level"] == "feature"].set_index(["subject", "name"])
    # all files are of one size, in both formats alike; fakes carry stripes
    assert (alone.loc["files"].loc[["width", "height", "aspect", "exif"], "auc"] == 0.5).all()
    assert alone.loc[("files", "high_frequency"), "auc"] > 0.9
    assert alone.loc[("crop_low", "scale"), "auc"] == 0.5
    # the same square of every image
    assert (alone.loc["crop_low"].loc[list(framing.PLACE), "auc"] == 0.5).all()
    natures = written[written["name"].isin(["framing", "all"])].set_index(["subject", "name"])["nature"]
    assert natures[("crop_low", "framing")] == "container"
    assert natures[("crop_low", "all")] == "both"
    runs = pd.read_csv(layout.table("audit_runs"))
    assert runs.columns.tolist() == ["experiment", "view", "leak", *leakage.COLUMNS]
    assert runs["leak"].tolist() == ["files", "crop_low"]
    metrics = json.loads(layout.study_metrics("audit").read_text("utf-8"))
    assert tuple(metrics) == audit.METRICS
    joint = written[written["level"] == "all"].set_index("subject")["auc"]
    assert metrics["files_auc"] == pytest.approx(joint["files"], abs=1e-5)
    assert metrics["container_leaks"] == 0


def test_of_a_face_crop_counts_how_the_face_lies_in_the_square_and_not_where_it_stood(settings):
    face = settings.views["crop_low"].model_copy(update={"face_crop": True})
    found = settings.model_copy(
        update={
            "views": {"crop_low": settings.views["crop_low"], "face": face},
            "audit": settings.audit.model_copy(update={"views": ("face",), "experiments": ()}),
        }
    )
    write_tiny_faces()
    views.write(config.resolve_view(found, "face"), threads=1)
    rows = audit.run(found, "sample", threads=1)
    alone = rows[(rows["subject"] == "face") & (rows["level"] == "feature")].set_index("name")["family"]
    assert set(alone[alone == "framing"].index) == set(framing.FACE)
    assert set(alone[alone == "geometry"].index) == {"scale", *framing.PLACE}
    joint = rows[(rows["subject"] == "face") & (rows["level"] == "all")].iloc[0]
    assert joint["nature"] == "both"


def test_logits_are_held_against_their_own_samples(settings):
    """The AUC of the run is that of sklearn, whatever the order of the predictions."""
    from sklearn.metrics import roc_auc_score

    audit.run(settings, "sample", threads=1)
    predictions = tables.read(layout.predictions("simple_cnn_low"), tables.PREDICTIONS)
    labels = tables.read(layout.manifest("sample"), tables.MANIFEST).set_index("sample_id")["label"]
    aucs = [roc_auc_score(labels[rows["sample_id"]], rows["logit"]) for _, rows in predictions.groupby("fold")]
    runs = pd.read_csv(layout.table("audit_runs"))
    assert runs["auc"].tolist() == pytest.approx([np.mean(aucs)] * 2, abs=1e-5)


def test_an_audit_is_the_same_whatever_the_threads(settings):
    audit.run(settings, "sample", threads=1)
    before = [layout.table(name).read_bytes() for name in ("audit", "audit_runs")]
    audit.run(settings, "sample", threads=3)
    assert [layout.table(name).read_bytes() for name in ("audit", "audit_runs")] == before


def test_features_are_measured_once(settings, monkeypatch):
    audit.measure("sample", threads=1)
    monkeypatch.setattr(audit.features, "measure", lambda *_, **__: pytest.fail("measured again"))
    audit.run(settings, "sample", threads=1)


def test_features_of_other_files_are_refused(settings):
    found = audit.measure("sample", threads=1)
    found.loc[0, "sha256"] = "0"
    tables.write(found, layout.features("sample"), tables.FEATURES)
    with pytest.raises(InputError, match="not of the files in the manifest; run deepfake features sample"):
        audit.run(settings, "sample", threads=1)


def test_another_data_set_is_probed_by_its_files_alone(settings):
    other = settings.model_copy(update={"dataset": "another"})
    rows = audit.run(other, "sample", threads=1)
    assert set(rows["subject"]) == {"files"}
    assert pd.read_csv(layout.table("audit_sample_runs")).empty
    metrics = json.loads(layout.study_metrics("audit_sample").read_text("utf-8"))
    assert (metrics["view_auc"], metrics["r2"]) == (None, None)
    assert not layout.table("audit").exists()


def test_an_experiment_that_was_not_trained_is_named(settings):
    layout.predictions("simple_cnn_low").unlink()
    with pytest.raises(InputError, match=r"run deepfake train simple_cnn_low, or take it out of audit\.experiments"):
        audit.run(settings, "sample", threads=1)


def test_predictions_of_other_folds_are_refused(settings):
    write_predictions(tables.read(layout.manifest("sample"), tables.MANIFEST), shift=1)
    with pytest.raises(InputError, match="not of the manifest's samples and folds"):
        audit.run(settings, "sample", threads=1)


def test_predictions_of_other_samples_are_refused(settings):
    manifest = tables.read(layout.manifest("sample"), tables.MANIFEST)
    write_predictions(manifest.assign(sample_id="x" + manifest["sample_id"]))
    with pytest.raises(InputError, match="not of the manifest's samples and folds"):
        audit.run(settings, "sample", threads=1)
