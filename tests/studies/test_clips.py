"""Studies of data sets whose clips have several samples, against pandas' groupby on the predictions."""

import numpy as np
import pandas as pd
import pytest
import yaml
from sklearn.metrics import roc_auc_score

from conftest import changed, tiny_params
from deepfake import config, tables
from deepfake.config import config_of
from deepfake.project import paths
from deepfake.runs import trained
from deepfake.studies import comparison
from deepfake.studies.cross_domain import collect
from deepfake.studies.operating_points import analysis as operating_points
from deepfake.studies.robustness.analysis import _balanced_accuracy
from deepfake.studies.robustness.prediction import HeldOut
from synthetic_study import write_manifest, write_run

NAME = "simple_cnn_low"


@pytest.fixture(params=["mean", "median", "max"])
def how(request, project) -> str:
    """A trained run of clips of up to four samples each, and how it pools them."""
    paths().params.write_text(yaml.safe_dump(changed(tiny_params(), {"shared.pooling": request.param})))
    settings = config.load()
    manifest = write_manifest(settings)
    number = manifest["sample_id"].str[-1].astype(int)
    group = manifest["group"].astype(int)
    # all samples of a group and source, or pairs of them, or each by itself
    sizes = np.array([4, 2, 1])[group % 3]
    clips = manifest["sample_id"].str.rpartition("_")[0] + "_" + (number // sizes).astype(str)
    manifest = manifest.assign(clip_id=clips)
    tables.write(manifest, paths().manifest(settings.dataset), tables.MANIFEST)
    write_run(settings, NAME, manifest, 1.0)
    return request.param


def by_hand(how: str, subset: str = "held_out") -> pd.DataFrame:
    """Return logits and labels of clips, by fold and clip, from the two tables."""
    manifest = pd.read_parquet(paths().manifest("sample"))
    rows = pd.read_parquet(paths().predictions(NAME)).merge(manifest[["sample_id", "label"]], on="sample_id")
    rows = rows[rows["subset"] == subset]
    return rows.groupby(["fold", "clip_id"]).agg(logit=("logit", how), label=("label", "first"), n=("logit", "size"))


def test_a_comparison_reads_one_row_a_clip(how):
    joined = comparison.read([NAME], "sample")[NAME]
    held_out = joined[joined["subset"] == "held_out"].set_index(["fold", "sample_id"])
    expected = by_hand(how)
    assert set(expected["n"]) == {1, 2, 4}
    assert len(held_out) == len(expected)
    np.testing.assert_allclose(held_out["logit"], expected["logit"][held_out.index], rtol=1e-12)
    samples = comparison.read([NAME], "sample", by_clip=False)[NAME]
    assert len(samples) == len(pd.read_parquet(paths().predictions(NAME)))


def test_figures_of_a_comparison_count_clips(how):
    found = comparison.compare({"t": {NAME: ()}}, comparison.read([NAME], "sample"), config.load().evaluation)
    expected = by_hand(how)
    aucs = [roc_auc_score(rows["label"], rows["logit"]) for _, rows in expected.groupby("fold")]
    assert found.folds["auc"].tolist() == pytest.approx(aucs)
    row = found.rows.iloc[0]
    assert row["auc_all"] == pytest.approx(np.mean(aucs))
    assert row["samples"] == len(expected)  # each clip is held out once


def test_operating_points_decide_about_clips(how):
    settings = config.load()
    case = operating_points.read([NAME], settings)[NAME]
    points = operating_points.examine(case, settings).points.set_index("rule")
    expected = by_hand(how)
    counts = points.loc["0.5", ["true_fakes", "false_fakes", "true_reals", "false_reals"]]
    called = expected["logit"] >= 0
    fake = expected["label"] == 1
    assert counts.tolist() == [
        (called & fake).sum(),
        (called & ~fake).sum(),
        (~called & ~fake).sum(),
        (~called & fake).sum(),
    ]


def test_what_is_shown_of_a_clip_is_a_sample_of_it(how):
    manifest = pd.read_parquet(paths().manifest("sample"))
    found = trained.predicted(NAME, manifest)
    assert (manifest["sample_id"].to_numpy()[found["row"]] == found["sample_id"]).all()
    assert (manifest["clip_id"].to_numpy()[found["row"]] == found["clip_id"]).all()
    held_out = found[found["subset"] == "held_out"].set_index(["fold", "clip_id"])
    expected = by_hand(how)
    np.testing.assert_allclose(held_out["logit"], expected["logit"][held_out.index], rtol=1e-12)
    own = pd.read_parquet(paths().predictions(NAME)).set_index(["fold", "sample_id"])["logit"]
    shown = own[pd.MultiIndex.from_frame(held_out.reset_index()[["fold", "sample_id"]])].to_numpy()
    if how == "max":
        assert shown.tolist() == held_out["logit"].tolist()
    assert len(held_out) == len(expected)


def test_a_cell_of_the_generalization_has_clips(how):
    manifest = pd.read_parquet(paths().manifest("sample"))
    samples = collect._own(NAME, "sample", manifest)
    found = collect.pooling.by_clip(samples, config_of(NAME).pooling)
    held_out = found[found["subset"] == "held_out"].set_index(["fold", "sample_id"])
    expected = by_hand(how)
    assert len(held_out) == len(expected)
    np.testing.assert_allclose(held_out["logit"], expected["logit"][held_out.index], rtol=1e-12)


def test_corrupted_samples_are_judged_by_clips(how):
    known = trained.read(NAME)
    joined = comparison.read([NAME], "sample", by_clip=False)[NAME]
    samples = joined[joined["subset"] == "held_out"].reset_index(drop=True)
    run = HeldOut(known, paths().root / "unread.npy", samples)
    logits = np.random.default_rng(4).normal(samples["label"], 1.0)
    judged = run.judged(logits).set_index(["fold", "sample_id"])
    expected = (
        samples.assign(logit=logits).groupby(["fold", "clip_id"]).agg(logit=("logit", how), label=("label", "first"))
    )
    np.testing.assert_allclose(judged["logit"], expected["logit"][judged.index], rtol=1e-12)
    thresholds = np.array(known.thresholds)[expected.index.get_level_values("fold")]
    right = (expected["logit"] >= thresholds) == (expected["label"] == 1)
    assert _balanced_accuracy(run, logits) == pytest.approx(
        right.groupby([expected.index.get_level_values(0), expected["label"]]).mean().mean()
    )
