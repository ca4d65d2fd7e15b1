import numpy as np
import pandas as pd
import pytest
from scipy.stats import spearmanr
from sklearn.metrics import roc_auc_score

from deepfake.evaluation import covariate_shift, resampling
from deepfake.evaluation.evalset import EvalSet


def test_numbers_and_words_are_compared_by_how_well_they_tell_the_data_sets_apart():
    rng = np.random.default_rng(0)
    first = pd.DataFrame({"width": rng.integers(100, 200, 50), "format": ["JPEG"] * 40 + ["PNG"] * 10})
    second = pd.DataFrame({"width": rng.integers(150, 250, 30), "format": ["PNG"] * 30})
    found = covariate_shift.shifts(first, second).set_index("feature")
    which = np.repeat([0, 1], [50, 30])
    area = roc_auc_score(which, np.concatenate([first["width"], second["width"]]))
    assert found.loc["width", "separability"] == pytest.approx(2 * area - 1)
    assert found.loc["width", "in_domain_median"] == first["width"].median()
    assert found.loc["format", ["in_domain_value", "out_of_domain_share"]].tolist() == ["JPEG", 1]
    assert found.loc["format", "separability"] == pytest.approx(0.8)


def drawn(seed=0, groups=12):
    rng = np.random.default_rng(seed)
    person = rng.integers(0, groups, 240)
    labels = rng.integers(0, 2, 240)
    feature = np.round(rng.normal(size=240) + rng.normal(size=groups)[person], 1)
    scores = 3 * labels + 0.5 * feature + rng.normal(size=240) + 5 * (person % 2)
    features = pd.DataFrame({"feature": feature, "idle": rng.normal(size=240), "fixed": 1.0})
    return EvalSet.of_arrays(labels, scores, person, person % 2), features


def test_correlations_are_spearmans_within_folds_and_classes():
    evalset, features = drawn()
    found = covariate_shift.correlations(evalset, features)
    assert set(found) == {"feature", "idle"}  # what is fixed goes with nothing
    for name, figure in found.items():
        cells = [(evalset.folds == fold) & (evalset.labels == label) for fold in (0, 1) for label in (0, 1)]
        expected = np.mean([spearmanr(evalset.scores[rows], features[name][rows])[0] for rows in cells])
        assert figure.values == pytest.approx([expected])
    assert resampling.trained_models(found["feature"]).p < 0.01
    assert found["feature"].df == 10


def test_their_spread_is_that_of_leaving_groups_out():
    evalset, features = drawn()
    figure = resampling.trained_models(covariate_shift.correlations(evalset, features)["feature"])
    variance = 0.0
    for fold in (0, 1):
        names = np.unique(evalset.groups[evalset.folds == fold])
        left = []
        for name in names:
            cells = [(evalset.folds == fold) & (evalset.labels == label) for label in (0, 1)]
            left.append(np.mean([_without(evalset, features["feature"], rows, name) for rows in cells]))
        variance += (len(names) - 1) / len(names) * np.sum((left - np.mean(left)) ** 2) / 4
    assert figure.se == pytest.approx(np.sqrt(variance))


def _without(evalset, feature, rows, name):
    """Return Pearson's correlation of the ranks among all, without a group."""
    kept = evalset.groups[rows] != name
    ranks = pd.DataFrame({"score": evalset.scores[rows], "feature": feature[rows]}).rank()[kept]
    return np.corrcoef(ranks["score"], ranks["feature"])[0, 1]


@pytest.mark.slow
def test_a_feature_of_the_groups_that_scores_do_not_follow_is_rarely_found():
    hits = 0
    for seed in range(200):
        rng = np.random.default_rng(seed)
        person, labels = np.arange(320) % 32, rng.integers(0, 2, 320)
        effects = rng.normal(size=(2, 32))[:, person]
        scores, feature = labels + effects[0] + rng.normal(size=320), effects[1] + rng.normal(size=320)
        evalset = EvalSet.of_arrays(labels, scores, person, person % 4)
        figure = covariate_shift.correlations(evalset, pd.DataFrame({"feature": feature}))["feature"]
        hits += resampling.trained_models(figure).p < 0.05
    assert hits <= 20
