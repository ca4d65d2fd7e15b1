import io
import json
import zipfile

import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from click.testing import CliRunner
from PIL import Image
from safetensors.torch import load_file, save_file
from sklearn.metrics import balanced_accuracy_score

from conftest import changed, write_tiny_away
from deepfake import cli, models, runtime, tables
from deepfake import config as configs
from deepfake.errors import InputError
from deepfake.loading import views
from deepfake.project import paths
from deepfake.runs import checkpoint_metadata, code, cross_validation, reevaluation
from heard import Heard
from tiny_study import config, manifest, prepared

NAME, OTHER = "again", "resize_low"


def settings(experiment: str = "simple_cnn_low", view: str = OTHER, **changes) -> configs.Params:
    """Return the project's params with one re-evaluation and some changes, by path."""
    values = yaml.safe_load(paths().params.read_text())
    values["studies"]["phase2"]["runs"][NAME] = {"kind": "re-evaluated", "of": experiment, "view": view}
    values = changed(values, {path.replace("__", "."): value for path, value in changes.items()})
    paths().params.write_text(yaml.safe_dump(values))
    return configs.load()


def write_view(chosen: configs.Params, view: str = OTHER) -> None:
    views.write(configs.resolve_view(chosen, view), threads=1)


def squeezed(size: int) -> np.ndarray:
    """Return what `resize_low` shows of all images, by PIL alone: float [n, 3, size, size] on the [0, 1] scale."""
    shown = []
    for _, row in manifest().iterrows():
        with zipfile.ZipFile(paths().raw("sample") / row["archive"]) as archive:
            image = Image.open(io.BytesIO(archive.read(row["path"]))).convert("RGB")
        shown.append(np.asarray(image.resize((size, size), Image.Resampling.BILINEAR)))
    return np.stack(shown).transpose(0, 3, 1, 2) / 255


def files_of(experiment: str) -> dict[str, str]:
    """Return the hashes of all that an experiment has left."""
    return {str(path): runtime.file_hash(path) for path in paths().run(experiment).rglob("*") if path.is_file()}


@pytest.mark.parametrize("experiment", ["simple_cnn_low", "plain_real", "opencv_full"])
def test_the_view_of_the_training_gives_the_same_bits(copied, experiment):
    if experiment != "simple_cnn_low":
        cross_validation.run(prepared(experiment))
    chosen = settings(experiment, config(experiment).view.view)
    before = files_of(experiment)
    assert len(before) >= 9
    reevaluation.run(NAME, chosen)
    assert files_of(experiment) == before
    mine, theirs = (tables.read(paths().predictions(name), tables.PREDICTIONS) for name in (NAME, experiment))
    assert set(mine["experiment"]) == {NAME}
    again = mine["subset"] != "validation"
    assert set(mine.loc[again, "condition"]) == {config(experiment).view.view}
    assert set(mine.loc[~again, "condition"]) == {tables.STANDARD_CONDITION}
    same = ["sample_id", "fold", "subset", "logit"]
    pd.testing.assert_frame_equal(mine[same], theirs[same], check_exact=True)
    assert paths().headline(NAME).read_bytes() == paths().headline(experiment).read_bytes()
    assert not list(paths().store.glob("*.part"))


@pytest.mark.parametrize("experiment", ["simple_cnn_low", "plain_real"])
def test_another_view_is_predicted_by_the_trained_weights_under_their_own_statistics(copied, experiment):
    if experiment != "simple_cnn_low":
        cross_validation.run(prepared(experiment))
    chosen = settings(experiment)
    write_view(chosen)
    reevaluation.run(NAME, chosen)
    predictions = tables.read(paths().predictions(NAME), tables.PREDICTIONS)
    original = tables.read(paths().predictions(experiment), tables.PREDICTIONS)
    # thresholds were chosen on the inner validation as it was, and so it stays
    again = predictions["subset"] != "validation"
    assert predictions.loc[~again, "logit"].equals(original.loc[~again, "logit"])
    predictions, original = predictions[again], original[again]
    pixels = squeezed(32)
    for fold, found in predictions.groupby("fold"):
        used = checkpoint_metadata.read(paths().checkpoint_record(experiment, fold)).normalization.model_dump()
        mean, std = (np.array(used[key])[:, None, None] for key in ("mean", "std"))
        model = models.create("simple_cnn", 32)
        model.load_state_dict(load_file(paths().checkpoint(experiment, fold)))
        with torch.inference_mode():
            logits = model.eval()(torch.from_numpy((pixels - mean) / std).float()).squeeze(1).numpy()
        expected = pd.Series(logits, index=manifest()["sample_id"])[found["sample_id"]]
        np.testing.assert_allclose(found["logit"], expected, rtol=0, atol=1e-4)
    assert (predictions["logit"] != original["logit"]).mean() > 0.9


def test_what_it_leaves_says_what_it_is(copied):
    chosen = settings()
    write_view(chosen)
    reevaluation.run(NAME, chosen)
    original, facts = (json.loads(paths().config(name).read_text()) for name in ("simple_cnn_low", NAME))
    differs = {key for key in facts if facts[key] != original.get(key)}
    assert differs == {"experiment", "study", "kind", "view", "reevaluates"}
    assert (facts["experiment"], facts["reevaluates"], facts["view"]["view"]) == (NAME, "simple_cnn_low", OTHER)
    assert (facts["study"], facts["kind"]) == ("phase2", "re-evaluated")
    files = {path.name for path in (paths().study("phase2") / NAME).iterdir()}
    # weights and records are those of the run that it re-evaluates
    assert files == {"config.json", "entry.json", "metrics.json", "predictions.parquet", "roc.csv", "confusion.csv"}


def test_it_decides_at_the_thresholds_of_the_training(copied):
    chosen = settings()
    write_view(chosen)
    reevaluation.run(NAME, chosen)
    thresholds = [
        checkpoint_metadata.read(paths().checkpoint_record("simple_cnn_low", fold)).threshold for fold in range(2)
    ]
    joined = tables.read(paths().predictions(NAME), tables.PREDICTIONS).merge(manifest()[["sample_id", "label"]])
    scores = [
        balanced_accuracy_score(rows["label"], rows["logit"] >= thresholds[fold])
        for fold, rows in joined[joined["subset"] == "held_out"].groupby("fold")
    ]
    written = json.loads(paths().headline(NAME).read_text())
    assert written["balanced_accuracy"] == pytest.approx(np.mean(scores), abs=1e-6)


def test_its_records_are_those_of_the_experiment(copied):
    chosen = settings()
    write_view(chosen)
    reevaluation.run(NAME, chosen)
    assert checkpoint_metadata.read_records(NAME) == checkpoint_metadata.read_records("simple_cnn_low")


def test_it_is_computed_once_and_again_when_what_it_is_made_of_changes(copied, monkeypatch):
    count, original = [], reevaluation.run_jobs

    def spy(function, jobs, **options):
        count.append(len(jobs))
        original(function, jobs, **options)

    monkeypatch.setattr(reevaluation, "run_jobs", spy)
    chosen = settings()
    write_view(chosen)
    reevaluation.run(NAME, chosen)
    before = files_of(NAME)
    reevaluation.run(NAME, chosen)
    assert (count, files_of(NAME)) == ([2], before)
    # another view of the same name, other code, a damaged entry, another training
    regions = paths().regions("sample", OTHER)
    tables.write(tables.read(regions, tables.REGIONS).assign(left=5), regions, tables.REGIONS)
    reevaluation.run(NAME, chosen)
    with monkeypatch.context() as patch:
        patch.setattr(code, "digest", lambda *named: "changed")
        reevaluation.run(NAME, chosen)
        paths().predictions(NAME).unlink()
        heard = Heard()
        reevaluation.run(NAME, chosen, heard)
        assert heard.lines == [
            f"runs/phase2/{NAME}: predictions.parquet is missing; this entry of the run store is computed again"
        ]
    cross_validation.run(config(batch_size=16))
    reevaluation.run(NAME, chosen)
    assert count == [2] * 5


def test_a_run_of_another_data_set_predicts_the_samples_of_that_one(copied):
    write_tiny_away(paths().root)
    away = {"model": "simple_cnn", "view": "crop_low", "dataset": "sample_edited"}
    chosen = settings(
        "away", studies__generalization__runs={"away": away}, studies__generalization__datasets=["sample_edited"]
    )
    for command in ("ingest", "split", "views"):
        assert CliRunner().invoke(cli.main, [command, "sample_edited"]).exit_code == 0
    cross_validation.run(config("away"))
    reevaluation.run(NAME, chosen)
    mine, theirs = (tables.read(paths().predictions(name), tables.PREDICTIONS) for name in (NAME, "away"))
    assert mine["sample_id"].equals(theirs["sample_id"]) and not set(mine["sample_id"]) & set(manifest()["sample_id"])
    held_out = mine["subset"] == "held_out"
    assert set(mine.loc[held_out, "condition"]) == {OTHER}
    assert (mine["logit"] != theirs["logit"])[held_out].mean() > 0.9
    facts = json.loads(paths().config(NAME).read_text())
    assert facts["dataset"] == facts["view"]["dataset"] == "sample_edited"


# --- mistakes


@pytest.fixture
def chosen(copied) -> configs.Params:
    found = settings()
    write_view(found)
    return found


def other_checkpoint() -> None:
    save_file({"weight": torch.zeros(1)}, paths().checkpoint("simple_cnn_low", 1))


def old_facts() -> None:
    path = paths().config("simple_cnn_low")
    facts = json.loads(path.read_text())
    del facts["holdout"]
    path.write_text(json.dumps(facts))


def other_manifest() -> None:
    tables.write(manifest().assign(bytes=1), paths().manifest("sample"), tables.MANIFEST)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (
            lambda: paths().config("simple_cnn_low").unlink(),
            r"config\.json: not found; run deepfake train simple_cnn_low",
        ),
        (old_facts, r"config\.json: written by another version; run deepfake train simple_cnn_low again"),
        (other_manifest, r"manifest\.parquet: not what simple_cnn_low was trained on; train it again"),
        (
            lambda: paths().checkpoint("simple_cnn_low", 1).unlink(),
            r"fold1\.safetensors: not found; run deepfake train",
        ),
        (
            lambda: paths().predictions("simple_cnn_low").unlink(),
            r"predictions\.parquet: not found; run deepfake train",
        ),
        (other_checkpoint, r"fold1\.safetensors: not weights of this model \(Missing features\.0\.weight\)"),
        (lambda: paths().regions("sample", OTHER).unlink(), r"resize_low/regions\.parquet: not found"),
    ],
)
def test_what_is_missing_or_does_not_belong_together_is_told(chosen, spoil, message):
    spoil()
    with pytest.raises(InputError, match=message) as caught:
        reevaluation.run(NAME, chosen)
    assert "\n" not in str(caught.value)
    assert not paths().run(NAME).exists()


def test_another_resolution_is_refused(copied):
    with pytest.raises(
        InputError, match=r"runs\.again: resize_low has 40 px, simple_cnn_low was trained on 32 px; choose a"
    ):
        reevaluation.run(NAME, settings(views__resize_low__resolution="high"))


def test_an_unknown_name_is_answered_with_the_nearest(copied):
    chosen = settings()
    with pytest.raises(InputError, match="studies: unknown run 'agin'; did you mean again"):
        reevaluation.run("agin", chosen)
    with pytest.raises(InputError, match="studies: simple_cnn_low is trained, not re-evaluated; "):
        reevaluation.run("simple_cnn_low", chosen)
