"""ROC, precision-recall and threshold curves, against scikit-learn fold by fold; intervals against the truth."""

from functools import partial

import numpy as np
import pytest
from scipy.special import expit
from scipy.stats import norm
from sklearn import metrics as sk

from deepfake.evaluation import curves, resampling
from deepfake.evaluation.evalset import EvalSet
from repeated_predictions import predictions


@pytest.fixture(scope="module")
def held_out():
    joined = predictions(1.0, 5)
    joined = joined[joined["subset"] == "held_out"]
    # ties within and across the classes
    return joined.assign(logit=joined["logit"].round(1))


def by_fold(held_out):
    return [(rows["label"].to_numpy(), rows["logit"].to_numpy()) for _, rows in held_out.groupby("fold")]


def test_the_mean_roc_curve_is_the_mean_of_scikit_learns(held_out):
    found = curves.roc(EvalSet.of(held_out), resampling.recipe)
    expected = [
        np.interp(found["fpr"], *sk.roc_curve(*fold, drop_intermediate=False)[:2]) for fold in by_fold(held_out)
    ]
    assert found["tpr"].to_numpy() == pytest.approx(np.mean(expected, axis=0))
    assert (found["low"] <= found["tpr"]).all() and (found["tpr"] <= found["high"]).all()


def test_the_area_under_it_is_the_auc(held_out):
    found = curves.roc(EvalSet.of(held_out), resampling.recipe)
    expected = np.mean([sk.roc_auc_score(*fold) for fold in by_fold(held_out)])
    assert np.trapezoid(found["tpr"], found["fpr"]) == pytest.approx(expected, abs=0.005)


def test_precision_is_that_of_the_highest_threshold_that_reaches_a_recall(held_out):
    found = curves.precision_recall(EvalSet.of(held_out), resampling.recipe)
    precision = dict(zip(found["recall"].round(2), found["precision"], strict=True))
    for recall in (0.01, 0.25, 0.5, 0.77, 1.0):
        expected = []
        for labels, logits in by_fold(held_out):
            reached = [t for t in np.unique(logits) if sk.recall_score(labels, logits >= t) >= recall]
            expected.append(sk.precision_score(labels, logits >= max(reached)))
        assert precision[recall] == pytest.approx(np.mean(expected)), recall
    assert found["prevalence"].unique() == pytest.approx([2 / 3])


def test_its_mean_is_the_average_precision(held_out, monkeypatch):
    monkeypatch.setattr(curves, "GRID", np.linspace(0, 1, 5001))
    found = curves.precision_recall(EvalSet.of(held_out[held_out["fold"] == 0]), resampling.trained_models)
    assert found["precision"].mean() == pytest.approx(sk.average_precision_score(*by_fold(held_out)[0]), abs=0.001)


def test_intervals_cover_the_truth_of_other_people():
    """One trained model, whose logits have known distributions; each group is a person with a shift of its own."""
    place, covered = 20, 0
    truth = norm.sf(norm.isf(0.2), 1.2)
    for seed in range(120):
        rng = np.random.default_rng(seed)
        group = np.repeat(np.arange(25), 24)
        label = np.tile([0, 1], 300)
        # the shift is part of the unit variance
        logits = 1.2 * label + rng.normal(0, 0.4, 25)[group] + rng.normal(0, np.sqrt(1 - 0.16), 600)
        evalset = EvalSet.of_arrays(label, logits, group)
        row = curves.roc(evalset, resampling.trained_models).iloc[place]
        covered += row["low"] <= truth <= row["high"]
    assert 0.88 <= covered / 120 <= 0.99


def test_what_is_decided_at_a_probability_is_what_scikit_learn_counts(held_out):
    first = held_out[held_out["repeat"] == 0]
    found = curves.against_threshold(first, partial(resampling.recipe, confidence=0.9), step=0.1)
    assert found["probability"].tolist() == pytest.approx(np.arange(1, 10) / 10)
    row, called = found.iloc[6], expit(first["logit"]) >= 0.7
    labels = first["label"]
    assert row["recall_fake"] == pytest.approx(sk.recall_score(labels, called))
    assert row["recall_real"] == pytest.approx(sk.recall_score(labels, called, pos_label=0))
    assert row["balanced_accuracy"] == pytest.approx(sk.balanced_accuracy_score(labels, called))
    assert row["f1_macro"] == pytest.approx(sk.f1_score(labels, called, average="macro"))
    assert (found["f1_macro_low"] < found["f1_macro"]).all()
