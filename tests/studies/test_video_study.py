"""The study of clips on made predictions: what pooling brings is what was put in, by plain loops and scikit-learn."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from conftest import ROOT
from deepfake.config import params
from deepfake.evaluation.pooling import by_clip
from deepfake.studies.video import analysis
from repeated_predictions import between_auc, predictions

EVALUATION = params.load(ROOT / "params.yaml").evaluation
FRAMES = 8


def frames(noise: float, seed: int = 1, strength: float = 1.5) -> pd.DataFrame:
    """Return the predictions of held-out clips, a row a frame: that of its clip, and noise of its own."""
    clips = predictions(strength, seed).query("subset == 'held_out'").rename(columns={"sample_id": "clip_id"})
    rows = clips.loc[clips.index.repeat(FRAMES)].reset_index(drop=True)
    number = np.tile(np.arange(FRAMES), len(clips))
    rng = np.random.default_rng(seed)
    return rows.assign(
        sample_id=[f"{clip}#{frame:03d}" for clip, frame in zip(rows["clip_id"], number, strict=True)],
        logit=rows["logit"] + rng.normal(0, noise, len(rows)),
    )


def shuffled(rows: pd.DataFrame) -> pd.DataFrame:
    return rows.sample(frac=1, random_state=3)


@pytest.mark.parametrize("how", ["mean", "median", "max"])
def test_logits_are_pooled_clip_by_clip_whatever_the_order(how):
    rows = shuffled(frames(1.0))
    found = by_clip(rows, how).set_index(["fold", "clip_id"])
    assert len(found) == len(rows) / FRAMES and (found["sample_id"] == found.index.get_level_values(1)).all()
    for key, part in list(rows.groupby(["fold", "clip_id"]))[:40]:
        assert found.loc[key, "logit"] == pytest.approx(getattr(np, how)(part["logit"].to_numpy()))
        assert found.loc[key, "label"] == part["label"].iloc[0] and found.loc[key, "group"] == part["group"].iloc[0]


def test_clips_of_one_sample_stay_as_they_are():
    rows = frames(1.0).drop_duplicates(["fold", "clip_id"])
    assert by_clip(rows, "mean") is rows


@pytest.mark.parametrize(("count", "places"), [(1, [4]), (2, [2, 6]), (4, [1, 3, 5, 7]), (8, list(range(8)))])
def test_frames_are_spread_evenly_over_the_clip(count, places):
    chosen = analysis.spread(shuffled(frames(1.0)), count)
    for _, part in chosen.groupby(["fold", "clip_id"]):
        assert [int(name[-3:]) for name in part["sample_id"]] == places


def test_a_clip_of_fewer_frames_has_them_all():
    rows = frames(1.0)
    short = rows[(rows["sample_id"].str[-3:].astype(int) < 3) | (rows["clip_id"] != "000")]
    chosen = analysis.spread(short, 4)
    counts = chosen.groupby(["fold", "clip_id"]).size().reset_index(name="count")
    assert set(counts.loc[counts["clip_id"] == "000", "count"]) == {3}
    assert set(counts.loc[counts["clip_id"] != "000", "count"]) == {4}


def test_pooling_helps_where_frames_differ_and_says_by_how_much():
    noisy = frames(5.0, strength=3.0)
    rows = analysis.pooling({"run": noisy}, EVALUATION).set_index("pooling")
    assert rows.loc["frame", "auc"] == pytest.approx(between_auc(noisy))
    for how in ("mean", "median", "max"):
        clips = noisy.groupby(["fold", "subset", "clip_id", "label", "group"])["logit"].agg(how).reset_index()
        assert rows.loc[how, "auc"] == pytest.approx(between_auc(clips))
        assert rows.loc[how, "difference"] == pytest.approx(between_auc(clips) - between_auc(noisy))
    assert rows.loc["mean", "verdict"] == "better" and rows.loc["mean", "difference"] > 0.1
    assert pd.isna(rows.loc["frame", "difference"]) and rows.loc["frame", "verdict"] == ""


def test_pooling_brings_nothing_where_all_frames_say_the_same():
    rows = analysis.pooling({"run": frames(0.05)}, EVALUATION).set_index("pooling")
    assert (rows["difference"][1:].abs() < EVALUATION.rope).all() and "better" not in set(rows["verdict"])


def test_more_frames_are_better_where_each_is_noisy():
    rows = analysis.by_frames({"run": frames(5.0, strength=3.0)}, {"run": "mean"}, (1, 2, 4, 8, 16), EVALUATION)
    assert rows["frames"].tolist() == [1, 2, 4, 8]
    assert stats.spearmanr(rows["frames"], rows["auc"]).statistic > 0.99
    assert rows["verdict"].iloc[-1] == "better"


def test_clips_are_judged_by_the_half_of_the_bit_rates_that_they_are_in():
    rows = by_clip(frames(1.0), "mean")
    names = sorted(rows["clip_id"].unique())
    features = pd.DataFrame({"sample_id": names, "bit_rate": [18e3 if int(name) % 2 else 99e3 for name in names]})
    found = analysis.by_rate({"run": rows}, features, EVALUATION).set_index("rate")
    assert found["kilobits"].to_dict() == {"lower": 18.0, "higher": 99.0}
    odd = rows["clip_id"].astype(int) % 2 == 1
    assert found.loc["lower", "auc"] == pytest.approx(between_auc(rows[odd]))
    assert found.loc["higher", "auc"] == pytest.approx(between_auc(rows[~odd]))
    one_class = rows[rows["label"] == 1]
    assert analysis.by_rate({"run": one_class}, features, EVALUATION).empty


def test_a_verdict_on_clips_counts_clips_and_single_frames_count_frames():
    each = frames(1.0)
    rows = analysis.pooling({"run": each}, EVALUATION).set_index("pooling")
    assert rows.loc["frame", "samples"] == each["sample_id"].nunique()
    assert set(rows.loc[["mean", "median", "max"], "samples"]) == {each["clip_id"].nunique()}
    assert set(rows["groups"]) == {each["group"].nunique()}


def test_all_contrasts_of_a_table_are_one_family():
    one, two = frames(5.0, seed=1, strength=3.0), frames(5.0, seed=2, strength=3.0)
    alone = analysis.pooling({"one": one}, EVALUATION).dropna(subset=["p"])
    both = analysis.pooling({"one": one, "two": two}, EVALUATION).dropna(subset=["p"])
    smallest = alone["p"].min() / len(alone)
    # Holm: the smallest p-value of a family is multiplied by its size
    assert both["p"].min() <= smallest * len(both) * (1 + 1e-9)
    assert (both.loc[both["experiment"] == "one", "p"].to_numpy() >= alone["p"].to_numpy() - 1e-12).all()
    assert (both.loc[both["experiment"] == "one", "p"].to_numpy() > alone["p"].to_numpy()).any()
