"""Ensembles, on predictions of known quality."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest
import yaml
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from conftest import changed, tiny_params
from deepfake import config, runtime, tables
from deepfake.config import RunConfig, params
from deepfake.datasets import splits
from deepfake.errors import InputError
from deepfake.evaluation import calibration, thresholds
from deepfake.project import paths
from deepfake.run_files import CHECKPOINTS, RUN_CONFIG, RUN_PREDICTIONS, record_name
from deepfake.runs import checkpoint_metadata, code, ensembles
from heard import Heard
from synthetic_study import write_manifest

FIRST, SECOND = "simple_cnn_low", "backbone_low"
MEMBERS = (FIRST, SECOND)
QUALITY = {FIRST: 0.7, SECOND: 1.2}


@pytest.fixture
def settings(project) -> params.Params:
    """A project with two trained experiments and an ensemble of each kind."""
    entries = {kind: {"kind": "ensemble", "members": list(MEMBERS), "weights": kind} for kind in ensembles.WEIGHTS}
    values = changed(tiny_params(), {"studies.generalization.runs": entries})
    paths().params.write_text(yaml.safe_dump(values, sort_keys=False))
    found = config.load()
    manifest = write_manifest(found)
    for name in MEMBERS:
        train(found, name, manifest)
    return found


def train(settings: params.Params, name: str, manifest: pd.DataFrame, quality: float | None = None) -> None:
    """Write what training a run would leave, without its weights: its fakes lie above its reals by `quality`."""
    run = config.resolve(settings, name)
    rng = np.random.default_rng(sum(map(ord, name)))
    folder = paths().study(run.study) / name
    parts = []
    for fold in range(run.folds):
        subset = splits.subsets(manifest, fold, fraction=run.fraction, val_ratio=run.val_ratio, seed=run.seed)
        rows = manifest.loc[subset.index]
        logit = rng.normal((quality or QUALITY[name]) * rows["label"], 1.0)
        own = (subset == "validation").to_numpy()
        record = checkpoint_metadata.of(
            run,
            fold,
            epoch=1,
            metrics={},
            normalization=run.normalization or settings.imagenet,
            sample_ids=rows["sample_id"].to_numpy()[own],
            labels=rows["label"].to_numpy()[own],
            logits=logit[own],
            clip_ids=rows["clip_id"].to_numpy()[own],
        )
        tables.write_text(record.model_dump_json(), folder / CHECKPOINTS / record_name(fold))
        found = rows[["sample_id", "clip_id"]].assign(fold=fold, repeat=0, subset=subset, logit=logit)
        parts.append(found.assign(experiment=name, condition=tables.STANDARD_CONDITION))
    predictions = pd.concat(parts, ignore_index=True)[list(tables.PREDICTIONS.columns)]
    tables.write(predictions, folder / RUN_PREDICTIONS, tables.PREDICTIONS)
    digest = runtime.file_hash(paths().manifest("sample"))
    facts = run.model_dump() | {"kind": "trained", "parameters": len(name), "manifest_sha256": digest}
    tables.write_text(json.dumps(facts), folder / RUN_CONFIG)


def samples(name: str, subset: str | None = None) -> pd.DataFrame:
    """Return a run's rows in one order, with labels, straight from the two tables."""
    manifest = pd.read_parquet(paths().manifest("sample"))
    rows = pd.read_parquet(paths().predictions(name)).merge(manifest[["sample_id", "label"]], on="sample_id")
    rows = rows if subset is None else rows[rows["subset"] == subset]
    return rows.sort_values(["fold", "subset", "sample_id"], ignore_index=True)


def facts(name: str) -> dict:
    return json.loads(paths().config(name).read_text())


def edit_predictions(name: str, change) -> None:
    rows = pd.read_parquet(paths().predictions(name))
    tables.write(change(rows), paths().predictions(name), tables.PREDICTIONS)


def edit_json(path, **values: object) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


# --- what it decides


def test_the_mean_is_numpys(settings):
    ensembles.run("mean", settings)
    each = [samples(name) for name in MEMBERS]
    found = samples("mean")
    for column in ("sample_id", "clip_id", "fold", "subset"):
        assert found[column].equals(each[0][column])
    np.testing.assert_allclose(found["logit"], np.mean([rows["logit"] for rows in each], axis=0), rtol=1e-12)
    assert facts("mean")["ensemble"] == {
        "experiments": list(MEMBERS),
        "weights": "mean",
        "coefficients": [[0.5, 0.5]] * 2,
        "intercepts": [0.0] * 2,
    }


@pytest.mark.parametrize("how", ["mean", "median", "max"])
def test_an_ensemble_of_clips_is_weighed_and_decides_on_clips(settings, how):
    manifest = tables.read(paths().manifest("sample"), tables.MANIFEST)
    clips = manifest["sample_id"].str.rpartition("_")[0]  # the samples of a group and source
    manifest = manifest.assign(clip_id=clips)
    tables.write(manifest, paths().manifest("sample"), tables.MANIFEST)
    values = changed(yaml.safe_load(paths().params.read_text()), {"shared.pooling": how})
    paths().params.write_text(yaml.safe_dump(values, sort_keys=False))
    settings = config.load()
    for name in MEMBERS:
        train(settings, name, manifest)
    ensembles.run("fitted", settings)
    known = manifest.drop_duplicates("clip_id").set_index("clip_id")["label"]
    for fold in range(2):
        own = [rows[rows["fold"] == fold] for rows in (samples(name, "validation") for name in MEMBERS)]
        each = pd.concat([rows.groupby("clip_id")["logit"].agg(how) for rows in own], axis=1)
        assert len(each) < len(own[0]) / 2
        scale = each.to_numpy().std(axis=0)
        model = LogisticRegression(C=1.0, tol=1e-8).fit(each.to_numpy() / scale, known[each.index])
        found = samples("fitted", "validation").query("fold == @fold")
        logits = np.column_stack([rows["logit"] for rows in own])
        np.testing.assert_allclose(found["logit"], model.decision_function(logits / scale), atol=1e-5)
        # thresholds are chosen on the pooled sums, not on sums of what was pooled
        pooled = found.groupby("clip_id")["logit"].agg(how)
        record = checkpoint_metadata.read_records("fitted")[fold]
        assert record.threshold == pytest.approx(thresholds.youden(known[pooled.index], pooled))
        assert record.temperature == pytest.approx(calibration.temperature(known[pooled.index], pooled), rel=1e-4)
        assert record.metrics["validation_auc"] == pytest.approx(roc_auc_score(known[pooled.index], pooled))
    held_out = samples("fitted", "held_out")
    aucs = [
        roc_auc_score(known[pooled.index], pooled)
        for _, rows in held_out.groupby("fold")
        for pooled in [rows.groupby("clip_id")["logit"].agg(how)]
    ]
    assert json.loads(paths().headline("fitted").read_text())["auc"] == pytest.approx(np.mean(aucs), abs=1e-6)


def test_fitted_weights_are_those_of_a_logistic_regression_on_the_inner_validation(settings):
    ensembles.run("fitted", settings)
    for fold in range(2):
        logits, rows = {}, {}
        for subset in tables.SUBSETS:
            parts = [rows_of[rows_of["fold"] == fold] for rows_of in (samples(name, subset) for name in MEMBERS)]
            logits[subset] = np.column_stack([part["logit"] for part in parts])
            rows[subset] = parts[0]
        scale = logits["validation"].std(axis=0)
        model = LogisticRegression(C=1.0, tol=1e-8).fit(logits["validation"] / scale, rows["validation"]["label"])
        for subset, each in logits.items():
            found = samples("fitted", subset).query("fold == @fold")
            np.testing.assert_allclose(found["logit"], model.decision_function(each / scale), atol=1e-5)
        written = facts("fitted")["ensemble"]
        np.testing.assert_allclose(written["coefficients"][fold], model.coef_[0] / scale, rtol=1e-5)
        assert written["intercepts"][fold] == pytest.approx(model.intercept_[0], abs=1e-5)


def test_how_loud_a_member_is_changes_nothing_in_what_is_fitted(settings):
    ensembles.run("fitted", settings)
    before = samples("fitted")["logit"]
    edit_predictions(SECOND, lambda rows: rows.assign(logit=rows["logit"] * 50 + 7))
    for fold in range(2):
        path = paths().checkpoint_record(SECOND, fold)
        own = json.loads(path.read_text())["validation"]
        edit_json(path, validation=own | {"logit": [50 * logit + 7 for logit in own["logit"]]})
    ensembles.run("fitted", settings)
    np.testing.assert_allclose(samples("fitted")["logit"], before, atol=1e-9)


@pytest.mark.parametrize("kind", ensembles.WEIGHTS)
def test_nothing_of_what_it_is_judged_by_comes_into_it(settings, kind):
    ensembles.run(kind, settings)
    before = facts(kind)
    chosen = checkpoint_metadata.read_records(kind)
    rng = np.random.default_rng(0)
    for name in MEMBERS:
        edit_predictions(
            name,
            lambda rows: rows.assign(
                logit=rows["logit"].where(rows["subset"] == "validation", rng.normal(0, 30, len(rows)))
            ),
        )
    ensembles.run(kind, settings)
    assert facts(kind) == before
    assert checkpoint_metadata.read_records(kind) == chosen
    assert samples(kind, "held_out")["logit"].abs().max() > 10


def test_members_in_another_order_of_samples_give_the_same(settings):
    ensembles.run("fitted", settings)
    before = samples("fitted")
    edit_predictions(SECOND, lambda rows: rows.sample(frac=1, random_state=0))
    ensembles.run("fitted", settings)
    pd.testing.assert_frame_equal(samples("fitted"), before, check_exact=True)


def test_a_negative_weight_is_said(settings):
    manifest = tables.read(paths().manifest("sample"), tables.MANIFEST)
    train(settings, SECOND, manifest, quality=-2.0)
    heard = Heard()
    ensembles.run("fitted", settings, heard)
    weights = [row[1] for row in facts("fitted")["ensemble"]["coefficients"]]
    assert max(weights) < 0
    assert heard.lines == [
        f"fitted: in fold {fold} the weight of {SECOND} is negative ({weight:.3f})"
        for fold, weight in enumerate(weights)
    ]


def test_members_that_are_of_use_are_not_said_to_be_negative(settings):
    heard = Heard()
    for kind in ensembles.WEIGHTS:
        ensembles.run(kind, settings, heard)
    assert heard.lines == []


def test_a_member_that_says_the_same_of_everything_has_no_weight():
    labels = np.arange(40) % 2
    logits = np.column_stack([labels + np.random.default_rng(0).normal(0, 1, 40), np.full(40, 3.0)])
    found = ensembles.fitted(logits, labels)
    assert found.coefficients[0] > 0
    assert found.coefficients[1] == pytest.approx(0, abs=1e-9)


# --- what it leaves


def test_its_configuration_is_the_first_members_under_its_own_name(settings):
    ensembles.run("mean", settings)
    found = facts("mean")
    first, second = facts(FIRST), facts(SECOND)
    changed = {"experiment": "mean", "model": "ensemble", "parameters": first["parameters"] + second["parameters"]}
    changed |= {"study": "generalization", "kind": "ensemble"}
    assert found == first | changed | {"ensemble": found["ensemble"]}
    assert RunConfig.model_validate({key: found[key] for key in RunConfig.model_fields}).folds == 2


@pytest.mark.parametrize("kind", ensembles.WEIGHTS)
def test_thresholds_and_temperature_are_those_of_its_own_inner_validation(settings, kind):
    ensembles.run(kind, settings)
    for fold, record in checkpoint_metadata.read_records(kind).items():
        rows = samples(kind, "validation").query("fold == @fold")
        assert dict(zip(record.validation.sample_id, record.validation.logit, strict=True)) == dict(
            zip(rows["sample_id"], rows["logit"], strict=True)
        )
        assert record.thresholds == thresholds.all_of(rows["label"], rows["logit"])
        assert record.temperature == pytest.approx(calibration.temperature(rows["label"], rows["logit"]))
        assert record.metrics == {"validation_auc": pytest.approx(roc_auc_score(rows["label"], rows["logit"]))}
        assert (record.epoch, record.config.experiment, record.config.model) == (1, kind, "ensemble")
        assert record.normalization == checkpoint_metadata.read_records(FIRST)[fold].normalization


def test_its_metrics_and_plots_are_those_of_its_held_out_folds(settings):
    ensembles.run("mean", settings)
    rows = samples("mean", "held_out")
    aucs = [roc_auc_score(part["label"], part["logit"]) for _, part in rows.groupby("fold")]
    assert json.loads(paths().headline("mean").read_text())["auc"] == pytest.approx(np.mean(aucs), abs=1e-6)
    counts = pd.read_csv(paths().confusion("mean"))["count"]
    assert counts.sum() == len(rows)
    assert set(pd.read_csv(paths().roc("mean"))["fold"]) == {0, 1}
    assert not paths().history("mean").exists() and not paths().checkpoint("mean", 0).exists()


def files() -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in paths().run("fitted").rglob("*") if path.is_file()}


def test_two_runs_leave_the_same_bytes(settings):
    ensembles.run("fitted", settings)
    before = files()
    shutil.rmtree(paths().run("fitted"))
    ensembles.run("fitted", settings)
    assert len(before) == 8
    assert files() == before


def test_it_is_computed_once_and_again_when_what_it_is_made_of_changes(settings, monkeypatch):
    written, original = [], ensembles.write_results
    monkeypatch.setattr(ensembles, "write_results", lambda *a: written.append(1) or original(*a))
    ensembles.run("fitted", settings)
    before = files()
    ensembles.run("fitted", settings)
    assert (len(written), files()) == (1, before)
    with monkeypatch.context() as patch:
        patch.setattr(code, "digest", lambda module: "changed")
        ensembles.run("fitted", settings)
        assert len(written) == 2
    # the first one waits in the store
    ensembles.run("fitted", settings)
    assert (len(written), files()) == (2, before)
    edit_predictions(SECOND, lambda rows: rows.assign(logit=rows["logit"] + 1))
    ensembles.run("fitted", settings)
    assert len(written) == 3
    paths().predictions("fitted").unlink()
    heard = Heard()
    ensembles.run("fitted", settings, heard)
    assert len(written) == 4
    assert [line for line in heard.lines if "weight of" not in line] == [
        "runs/generalization/fitted: predictions.parquet is missing; this entry of the run store is computed again"
    ]


# --- mistakes


def without(name: str):
    return lambda: paths().config(name).unlink()


def other_validation() -> None:
    path = paths().checkpoint_record(SECOND, 1)
    own = json.loads(path.read_text())["validation"]
    edit_json(path, validation={key: values and values[1:] for key, values in own.items()})


def changed_manifest() -> None:
    manifest = tables.read(paths().manifest("sample"), tables.MANIFEST)
    tables.write(manifest.assign(bytes=1), paths().manifest("sample"), tables.MANIFEST)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (without(SECOND), r"backbone_low/config\.json: not found; run deepfake train backbone_low, or dvc repro$"),
        (lambda: paths().checkpoint_record(FIRST, 1).unlink(), r"fold1\.json: not found; train the experiment again"),
        (lambda: paths().predictions(FIRST).unlink(), r"predictions\.parquet: not found; run the stage"),
        (
            lambda: edit_json(paths().config(SECOND), dataset="dff"),
            r"mean: backbone_low and simple_cnn_low differ in dataset \(dff, sample\); name others",
        ),
        (lambda: edit_json(paths().config(SECOND), manifest_sha256="0" * 64), r"differ in manifest_sha256 \(0000"),
        (lambda: edit_json(paths().config(FIRST), folds=1), r"differ in folds \(2, 1\)"),
        (other_validation, r"backbone_low and simple_cnn_low differ in the inner validation of fold 1; name others$"),
        (
            lambda: edit_predictions(SECOND, lambda rows: rows.drop(rows[rows["subset"] == "train"].index[0])),
            r"differ in the samples \(train of fold 0: \w+/\d\d_\d\); name others$",
        ),
        (changed_manifest, r"manifest\.parquet: not what simple_cnn_low was trained on; train it again"),
    ],
)
def test_members_that_are_missing_or_do_not_go_together_are_told(settings, spoil, message):
    spoil()
    with pytest.raises(InputError, match=message) as caught:
        ensembles.run("mean", settings)
    assert "\n" not in str(caught.value)
    assert not paths().run("mean").exists()


def test_an_unknown_name_is_answered_with_the_nearest(settings):
    with pytest.raises(InputError, match=r"^studies: unknown run 'fited'; did you mean fitted\?"):
        ensembles.run("fited", settings)
    with pytest.raises(InputError, match=r"^studies: simple_cnn_low is trained, no ensemble; name a run that is$"):
        ensembles.run(FIRST, settings)
