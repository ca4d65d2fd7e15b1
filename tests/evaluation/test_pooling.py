"""Clips against pandas' groupby and scikit-learn: one verdict for the frames or windows of each."""

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score, roc_curve

from deepfake import tables
from deepfake.errors import InputError
from deepfake.evaluation import metrics, pooling, summary

HOWS = sorted(pooling.POOLINGS)


def made(clips: int = 60, folds: int = 2, most: int = 5, seed: int = 1) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Make a manifest of clips with one to `most` samples, and predictions of it by each fold."""
    rng = np.random.default_rng(seed)
    counts = rng.integers(1, most + 1, clips)
    numbers = np.repeat(np.arange(clips), counts)
    parts = np.concatenate([np.arange(count) for count in counts])
    labels = numbers % 2
    manifest = pd.DataFrame(
        {
            "sample_id": [
                f"c{clip}" if counts[clip] == 1 else f"c{clip}#{part:03d}"
                for clip, part in zip(numbers, parts, strict=True)
            ],
            "clip_id": [f"c{clip}" for clip in numbers],
            "label": labels,
            "source": np.where(labels == 1, np.where(numbers % 4 == 1, "swap", "reenact"), "camera"),
            "group": [f"g{clip // 3}" for clip in numbers],
        }
    )
    frames = [
        manifest[["sample_id", "clip_id"]].assign(
            experiment="one",
            fold=fold,
            repeat=0,
            subset=np.roll(tables.SUBSETS, fold)[(numbers // 2) % 3],
            condition=tables.STANDARD_CONDITION,
            logit=rng.normal(labels * 1.0, 1.5),
        )
        for fold in range(folds)
    ]
    return manifest, pd.concat(frames, ignore_index=True)


def by_hand(joined: pd.DataFrame, how: str) -> pd.Series:
    return joined.groupby(["fold", "clip_id"])["logit"].agg(how)


@pytest.mark.parametrize("how", HOWS)
def test_a_clips_logit_is_that_of_pandas(how):
    manifest, predictions = made()
    joined = summary.join(predictions, manifest, pooling=how)
    expected = by_hand(predictions, how)
    assert len(joined) == len(expected)
    assert joined["sample_id"].equals(joined["clip_id"])
    found = joined.set_index(["fold", "clip_id"])["logit"]
    np.testing.assert_allclose(found, expected[found.index], rtol=1e-14)
    # in the order in which clips first appear, fold by fold
    first = predictions.drop_duplicates(["fold", "clip_id"])
    assert list(zip(joined["fold"], joined["clip_id"], strict=True)) == list(
        zip(first["fold"], first["clip_id"], strict=True)
    )


def test_a_clip_keeps_what_its_samples_share():
    manifest, predictions = made()
    joined = summary.join(predictions, manifest)
    known = manifest.drop_duplicates("clip_id").set_index("clip_id")
    for column in ("label", "source", "group"):
        assert (joined[column].to_numpy() == known.loc[joined["clip_id"], column].to_numpy()).all()
    subsets = predictions.drop_duplicates(["fold", "clip_id"])
    assert joined["subset"].tolist() == subsets["subset"].tolist()
    assert joined["repeat"].tolist() == subsets["repeat"].tolist()


def test_the_mean_is_the_default_and_none_keeps_samples():
    manifest, predictions = made()
    pd.testing.assert_frame_equal(summary.join(predictions, manifest), summary.join(predictions, manifest, "mean"))
    samples = summary.join(predictions, manifest, pooling=None)
    assert samples["sample_id"].tolist() == predictions["sample_id"].tolist()
    assert samples["logit"].tolist() == predictions["logit"].tolist()


def test_images_stay_as_they_are():
    manifest, predictions = made(most=1)
    expected = predictions.merge(manifest[["sample_id", "label", "source", "group"]], on="sample_id")
    for how in (*HOWS, None):
        pd.testing.assert_frame_equal(summary.join(predictions, manifest, pooling=how), expected)
    assert pooling.codes(manifest["clip_id"]) is None
    labels, logits = np.arange(4) % 2, np.arange(4.0)
    assert pooling.decided(labels, logits, None, "max") == (labels, logits)


def test_samples_under_two_conditions_are_not_pooled_together():
    manifest, predictions = made(folds=1)
    changed = predictions.assign(condition="other", logit=predictions["logit"] + 10)
    joined = summary.join(pd.concat([predictions, changed], ignore_index=True), manifest)
    assert len(joined) == 2 * manifest["clip_id"].nunique()
    standard, other = (joined[joined["condition"] == name] for name in (tables.STANDARD_CONDITION, "other"))
    np.testing.assert_allclose(other["logit"].to_numpy() - standard["logit"].to_numpy(), 10)


@pytest.mark.parametrize("how", HOWS)
def test_the_order_of_frames_decides_nothing(how):
    rng = np.random.default_rng(5)
    # sums of these depend on their order
    logits, clips = rng.normal(size=4000) * 10.0 ** rng.integers(-8, 8, 4000), np.repeat(np.arange(40), 100)
    expected = pooling.pooled(logits, clips, how)
    for _ in range(5):
        order = np.argsort(np.repeat(np.arange(40), 100) + rng.random(4000) * 0.9)  # within clips
        assert np.array_equal(pooling.pooled(logits[order], clips[order], how), expected)
    shuffled = rng.permutation(4000)  # across clips
    names = pd.unique(clips[shuffled])
    assert np.array_equal(pooling.pooled(logits[shuffled], clips[shuffled], how), expected[names])


def test_the_row_of_a_clip_is_that_of_the_sample_nearest_to_its_logit():
    samples = pd.DataFrame(
        {"sample_id": list("abcxy"), "clip_id": list("vvvww"), "logit": [0.0, 2.0, 7.0, 1.0, 5.0], "row": range(5)}
    )
    assert pooling.by_clip(samples, "max")["row"].tolist() == [2, 4]
    assert pooling.by_clip(samples, "median")["row"].tolist() == [1, 3]  # of two as near, the first
    found = pooling.by_clip(samples, "mean")
    assert found["row"].tolist() == [1, 3]
    assert found["logit"].tolist() == [3.0, 3.0]
    assert found["sample_id"].tolist() == ["v", "w"]


@pytest.mark.parametrize(("column", "value"), [("label", 7), ("group", "another"), ("subset", "train")])
def test_a_clip_of_two_kinds_is_refused(column, value):
    manifest, predictions = made(folds=1)
    joined = summary.join(predictions, manifest, pooling=None)
    clip = joined[joined["subset"] == "held_out"]["clip_id"].value_counts().idxmax()
    row = joined.index[joined["clip_id"] == clip][-1]
    joined.loc[row, column] = value
    with pytest.raises(InputError, match=rf"clip {clip} has samples of several values of {column}"):
        pooling.by_clip(joined, "mean")


@pytest.mark.parametrize("how", HOWS)
def test_figures_are_those_of_scikit_learn_on_clips(how):
    manifest, predictions = made(clips=120)
    found = summary.by_fold(summary.join(predictions, manifest, pooling=how)).set_index("fold")
    labels = manifest.drop_duplicates("clip_id").set_index("clip_id")["label"]
    for fold, rows in predictions[predictions["subset"] == "held_out"].groupby("fold"):
        logits = rows.groupby("clip_id")["logit"].agg(how)
        own = labels[logits.index]
        assert found.loc[fold, "auc"] == pytest.approx(roc_auc_score(own, logits), abs=1e-12)
        false, true, _ = roc_curve(own, logits, drop_intermediate=False)
        # where the curve crosses the line of equal errors
        errors = np.interp(0, false - (1 - true), false)
        assert found.loc[fold, "eer"] == pytest.approx(errors, abs=1e-9)
        assert found.loc[fold, "auc"] != pytest.approx(roc_auc_score(labels[rows["clip_id"]], rows["logit"]), abs=1e-6)
        train = predictions[(predictions["subset"] == "train") & (predictions["fold"] == fold)]
        pooled = train.groupby("clip_id")["logit"].agg(how)
        assert found.loc[fold, "train_auc"] == pytest.approx(roc_auc_score(labels[pooled.index], pooled), abs=1e-12)


def test_labels_come_with_their_logits():
    clips, logits = np.array([3, 1, 3, 1, 2]), np.array([4.0, 1.0, 2.0, 5.0, 0.0])
    labels, found = pooling.decided(np.array([1, 0, 1, 0, 1]), logits, clips, "mean")
    assert labels.tolist() == [1, 0, 1]
    assert found.tolist() == [3.0, 3.0, 0.0]
    assert metrics.auc(labels, found) == 0.25


@pytest.mark.parametrize("how", HOWS)
def test_no_samples_are_no_clips(how):
    assert pooling.pooled([], [], how).tolist() == []
