import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as reference

from deepfake.errors import InputError
from deepfake.evaluation import bootstrap, decisions, metrics, performance
from deepfake.evaluation.decisions import Decided
from deepfake.evaluation.performance import COLUMNS, RANKING, SHARES, ErrorCurve

DRAWS = {"replicates": 60, "seed": 7, "confidence": 0.95}
BY_SCIKIT_LEARN = {
    "accuracy": reference.accuracy_score,
    "precision": reference.precision_score,
    "recall": reference.recall_score,
    "f1": reference.f1_score,
    "balanced_accuracy": reference.balanced_accuracy_score,
}


def sample(seed=0, folds=3, groups_a_fold=6, size=9, effect=0.7):
    """One third real, the rest fake; each group shifts all of its logits, which are rounded so that some tie."""
    rng = np.random.default_rng(seed)
    groups = np.repeat(np.arange(folds * groups_a_fold), size)
    labels = (np.arange(len(groups)) % 3 > 0).astype(int)
    logits = np.round(rng.normal(size=len(groups)) + labels + effect * rng.normal(size=groups.max() + 1)[groups], 1)
    return labels, logits, groups, groups % folds


THRESHOLDS = {0: 0.0, 1: 0.7, 2: -0.3}


def called(logits, folds):
    return logits >= np.array([THRESHOLDS[fold] for fold in folds])


def of_groups(labels, logits, groups, folds):
    return performance.of_scores(labels, logits, groups, folds, THRESHOLDS, **DRAWS)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("folds", [1, 2, 3])
def test_estimates_are_exactly_the_mean_over_folds_of_what_scikit_learn_says(seed, folds):
    labels, logits, groups, fold_of = sample(seed, folds)
    found = of_groups(labels, logits, groups, fold_of)
    members = [fold_of == fold for fold in range(folds)]
    decided = called(logits, fold_of)
    for name, score in BY_SCIKIT_LEARN.items():
        assert found[name].estimate == np.mean([score(labels[rows], decided[rows]) for rows in members])
    assert found["auc"].estimate == np.mean([reference.roc_auc_score(labels[rows], logits[rows]) for rows in members])
    assert found["eer"].estimate == np.mean([metrics.eer(labels[rows], logits[rows]) for rows in members])
    assert tuple(found) == COLUMNS
    assert set(COLUMNS) == {*SHARES, *RANKING}
    for interval in found.values():
        assert 0 <= interval.low <= interval.estimate <= interval.high <= 1
        assert interval.confidence == 0.95


def test_decisions_alone_give_the_same_shares_as_decisions_with_scores():
    labels, logits, groups, folds = sample()
    alone = performance.of_decisions(Decided(labels, called(logits, folds), groups, folds), **DRAWS)
    assert tuple(alone) == SHARES
    whole = of_groups(labels, logits, groups, folds)
    assert alone == {name: whole[name] for name in SHARES}


@pytest.mark.parametrize("shared", [False, True], ids=["each group in one fold", "some groups in all folds"])
def test_shares_have_the_intervals_that_decisions_have_elsewhere(shared):
    labels, logits, groups, folds = sample()
    if shared:
        common = [np.concatenate([values] * 3) for values in (labels[:36], logits[:36] + 0.2)]
        labels, logits = np.concatenate([labels, common[0]]), np.concatenate([logits, common[1]])
        groups = np.concatenate([groups, np.tile(100 + np.arange(36) // 9, 3)])
        folds = np.concatenate([folds, np.repeat(np.arange(3), 36)])
    decided = Decided(labels, called(logits, folds), groups, folds)
    found = performance.of_decisions(decided, **DRAWS)
    for name in SHARES:
        metric = name if name in decisions.METRICS else f"{name}_fake"
        expected = decisions.interval(decided, metric, **DRAWS)
        ends = (expected.estimate, expected.low, expected.high)
        assert (found[name].estimate, found[name].low, found[name].high) == pytest.approx(ends)


def test_the_auc_has_the_interval_that_it_has_elsewhere():
    rows = sample()
    assert of_groups(*rows)["auc"] == bootstrap.auc_interval(*rows, **DRAWS)


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_a_weighted_eer_is_that_of_repeated_samples(data):
    n = data.draw(st.integers(2, 25))
    whole = {"min_size": n, "max_size": n}
    labels = np.array(data.draw(st.lists(st.integers(0, 1), **whole)))
    logits = np.array(data.draw(st.lists(st.integers(-4, 4), **whole)), dtype=float)
    weights = np.array(data.draw(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), **whole)), dtype=float)
    found = ErrorCurve.of(labels, logits, np.arange(n)).eer(weights)
    assert found.shape == (2,)
    for column, value in zip(weights.T.astype(int), found, strict=True):
        repeated = np.repeat(labels, column)
        if len(set(repeated)) == 2:
            assert value == pytest.approx(metrics.eer(repeated, np.repeat(logits, column)), abs=1e-12)
        else:
            assert np.isnan(value)


def test_the_eer_follows_groups_that_are_drawn_together():
    labels, logits, groups, _ = sample(folds=1)
    weights = np.random.default_rng(0).integers(0, 3, (6, 5)).astype(float)
    found = ErrorCurve.of(labels, logits, groups).eer(weights)
    for column, value in zip(weights.T.astype(int), found, strict=True):
        times = column[groups]
        assert value == pytest.approx(metrics.eer(np.repeat(labels, times), np.repeat(logits, times)))


def test_the_size_of_a_chunk_changes_no_interval(monkeypatch):
    rows = sample()
    before = of_groups(*rows)
    monkeypatch.setattr(bootstrap, "CHUNK_BYTES", 2**13)
    after = of_groups(*rows)
    for name in COLUMNS:
        # sums of another shape: only rounding may differ
        ends = (before[name].low, before[name].high)
        assert (after[name].low, after[name].high) == pytest.approx(ends, abs=1e-12)


def test_the_order_of_the_rows_and_the_names_of_groups_play_no_part():
    labels, logits, groups, folds = sample()
    order = np.random.default_rng(1).permutation(len(labels))
    names = np.array([f"person {group:02d}" for group in groups], dtype=object)
    before = of_groups(labels, logits, groups, folds)
    after = of_groups(labels[order], logits[order], names[order], folds[order])
    for name in COLUMNS:
        assert (after[name].low, after[name].high) == pytest.approx((before[name].low, before[name].high))


def test_a_perfect_detector_has_no_error_to_resample():
    labels = np.tile([0, 1], 20)
    found = performance.of_scores(labels, labels * 2.0 - 1, np.arange(40), np.zeros(40, int), {0: 0.0}, **DRAWS)
    for name in (*SHARES, "auc"):
        assert (found[name].estimate, found[name].high) == (1, 1)
    assert (found["eer"].estimate, found["eer"].low, found["eer"].high) == (0, 0, 0)


def test_a_detector_that_calls_nothing_fake_has_no_precision():
    labels = np.tile([0, 1], 20)
    decided = Decided(labels, np.zeros(40, bool), np.arange(40), np.zeros(40, int))
    found = performance.of_decisions(decided, **DRAWS)
    assert {name: found[name].estimate for name in ("precision", "recall", "f1")} == dict.fromkeys(
        ("precision", "recall", "f1"), 0
    )
    assert found["balanced_accuracy"].low == found["balanced_accuracy"].high == 0.5


@pytest.mark.parametrize("call", [performance.of_decisions, performance.eer_interval], ids=["decisions", "eer"])
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"groups": np.zeros(40, int)}, "fold 0: one group that nothing can be drawn against"),
        ({"folds": np.arange(40) % 2}, "fold 1: no real sample; use fewer folds"),
        ({"groups": np.tile([0, 1], 20)}, "60 of 60 resamplings left a fold without reals or fakes"),
        ({"groups": np.array(["a", None] * 20, dtype=object)}, "no group in row 1"),
    ],
)
def test_what_cannot_be_resampled_is_an_input_error(call, change, message):
    rows = {"labels": np.tile([0, 1], 20), "groups": np.arange(40), "folds": np.zeros(40, int)} | change
    with pytest.raises(InputError, match=message):
        if call is performance.of_decisions:
            performance.of_decisions(Decided(called=rows["labels"] == 1, **rows), **DRAWS)
        else:
            performance.eer_interval(logits=rows["labels"] * 1.0, **rows, **DRAWS)


@pytest.mark.parametrize(
    ("folds", "groups_a_fold", "reals", "fakes", "distance", "effect", "least"),
    [(4, 4, 20, 60, 1.0, 1.0, 0.80), (4, 5, 6, 58, 4.0, 0.7, 0.84), (1, 100, 1, 1, 4.0, 0.0, 0.88)],
    ids=["few alike groups", "few errors", "every sample its own group"],
)
def test_eer_intervals_cover_the_truth(folds, groups_a_fold, reals, fakes, distance, effect, least):
    """Percentile intervals cover in 75% and 71% of the first two, those of the AUC's scale in 70% of the third."""
    trials = 150
    truth = scipy.stats.norm.cdf(-distance / 2 / np.sqrt(1 + effect**2))
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(folds * groups_a_fold), reals + fakes)
    labels = np.tile(np.repeat([0, 1], [reals, fakes]), folds * groups_a_fold)
    own = np.arange(len(labels)) if effect == 0 else groups
    covered = 0
    for trial in range(trials):
        logits = rng.normal(labels * distance + effect * rng.normal(size=groups.max() + 1)[groups])
        found = performance.eer_interval(labels, logits, own, groups // groups_a_fold, 300, trial, 0.95)
        covered += found.low <= truth <= found.high
    assert covered / trials > least
