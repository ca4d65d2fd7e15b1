import numpy as np
import pytest
from scipy import stats
from sklearn import metrics as reference

from deepfake.evaluation import metrics, performance, resampling
from deepfake.evaluation.evalset import EvalSet


def drawn(seed: int, groups: int = 15, folds: int = 3, decimals: int = 1) -> EvalSet:
    """Return samples of uneven groups, each in one fold, with a shift of their own and with ties."""
    rng = np.random.default_rng(seed)
    person = np.concatenate([np.arange(groups).repeat(2), rng.integers(0, groups, 12 * groups)])
    labels = np.concatenate([np.tile([0, 1], groups), rng.integers(0, 2, 12 * groups)])
    scores = np.round(labels + rng.normal(size=len(labels)) + rng.normal(size=groups)[person], decimals)
    return EvalSet.of_arrays(labels, scores, person, person % folds)


def jackknifed(evalset: EvalSet, figure) -> float:
    """Return the standard error of a mean over folds by leaving out each group in turn."""
    folds, variance = np.unique(evalset.folds), 0.0
    for fold in folds:
        inside = evalset.take(evalset.folds == fold)
        names = np.unique(inside.groups)
        left = [figure(inside.labels[keep], inside.scores[keep]) for keep in (inside.groups != name for name in names)]
        variance += (len(names) - 1) / len(names) * np.sum((left - np.mean(left)) ** 2)
    return float(np.sqrt(variance) / len(folds))


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("decimals", [0, 1, 6])
def test_the_equal_error_rate_is_that_of_each_fold_and_its_error_that_of_leaving_groups_out(seed, decimals):
    evalset = drawn(seed, decimals=decimals)
    found = resampling.trained_models(performance.eer(evalset))
    folds = [evalset.take(evalset.folds == fold) for fold in range(3)]
    assert found.value == pytest.approx(np.mean([metrics.eer(fold.labels, fold.scores) for fold in folds]))
    assert found.se == pytest.approx(max(jackknifed(evalset, metrics.eer), found.grain))
    assert (found.df, found.n_groups) == (12, 15)


def test_decisions_are_those_of_scikit_learn_pooled_over_folds():
    evalset = drawn(0)
    called = evalset.scores >= 0.4
    found = performance.of_scores(evalset, called, 0.95)
    assert list(found) == list(performance.COLUMNS)
    for name, figure in {
        "accuracy": reference.accuracy_score,
        "precision": reference.precision_score,
        "recall": reference.recall_score,
        "f1": reference.f1_score,
        "balanced_accuracy": reference.balanced_accuracy_score,
    }.items():
        assert found[name].value == pytest.approx(figure(evalset.labels, called))
        assert found[name].low < found[name].value < found[name].high
    of_folds = [evalset.folds == fold for fold in range(3)]
    usual = [reference.roc_auc_score(evalset.labels[rows], evalset.scores[rows]) for rows in of_folds]
    assert found["auc_all"].value == pytest.approx(np.mean(usual))


def test_the_auc_counts_pairs_of_different_groups_alone():
    evalset = drawn(1, folds=1)
    fakes, reals = evalset.labels == 1, evalset.labels == 0
    wins = np.sign(evalset.scores[fakes][:, None] - evalset.scores[reals][None, :]) / 2 + 0.5
    apart = evalset.groups[fakes][:, None] != evalset.groups[reals][None, :]
    found = performance.of_scores(evalset, evalset.scores > 0, 0.95)
    assert found["auc"].value == pytest.approx(wins[apart].mean())
    assert found["auc_all"].value == pytest.approx(wins.mean())


def test_rows_of_their_own_have_the_error_of_a_share():
    # a group a row: the jackknife of an accuracy is the textbook's standard error of a mean, on the logit scale
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 200)
    called = np.where(rng.random(200) < 0.8, labels, 1 - labels)
    found = performance.of_decisions(EvalSet.of_arrays(labels, called, np.arange(200)), called, 0.95)["accuracy"]
    right = labels == called
    assert found.se == pytest.approx(stats.sem(right))
    reach = stats.t.ppf(0.975, 199) * stats.sem(right) / (right.mean() * (1 - right.mean()))
    assert np.log(found.high / (1 - found.high)) == pytest.approx(np.log(right.sum() / (~right).sum()) + reach)


def test_a_group_that_holds_a_whole_class_leaves_a_reason():
    labels, scores = np.tile([0, 1], 10), np.arange(20.0)
    evalset = EvalSet.of_arrays(labels, scores, np.where(labels == 1, 9, np.arange(20) % 4))
    found = resampling.trained_models(performance.eer(evalset))
    assert "a class is missing" in found.reason
    assert np.isnan(found.low)


def test_flat_figures_name_the_ends_of_their_intervals():
    evalset = drawn(0)
    found = performance.of_decisions(evalset, evalset.scores > 0, 0.9)
    flat = performance.flat(found)
    assert list(flat)[:3] == ["accuracy", "accuracy_low", "accuracy_high"]
    assert flat["f1_high"] == found["f1"].high


def test_the_average_precision_is_scikit_learns_and_its_error_that_of_the_jackknife():
    rng = np.random.default_rng(3)
    groups, labels = rng.integers(0, 60, 900), rng.integers(0, 2, 900)
    scores = np.round(labels + rng.normal(size=900) + rng.normal(size=60)[groups], 1)  # with ties
    found = resampling.trained_models(performance.average_precision(EvalSet.of_arrays(labels, scores, groups)))
    assert found.value == pytest.approx(reference.average_precision_score(labels, scores))
    kept = [groups != group for group in range(60)]
    without = np.array([reference.average_precision_score(labels[rows], scores[rows]) for rows in kept])
    jackknife = np.sqrt(59 / 60 * ((without - without.mean()) ** 2).sum())
    assert found.se == pytest.approx(jackknife, rel=0.06)
