import tracemalloc

import numpy as np
import pytest
import scipy.special
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from deepfake.errors import InputError
from deepfake.evaluation import bootstrap
from deepfake.evaluation.bootstrap import Ranking


def clustered(groups_a_fold=6, size=8, folds=3, spread=0.7, seed=0, ties=False):
    """Half real, half fake in each group; each group shifts its fakes by its own amount."""
    rng = np.random.default_rng(seed)
    groups = np.repeat(np.arange(groups_a_fold * folds), size)
    labels = np.arange(len(groups)) % 2
    shift = rng.normal(1.0, spread, groups_a_fold * folds)
    logits = rng.normal(size=len(groups)) + labels * shift[groups]
    return labels, np.round(logits, 1) if ties else logits, groups, groups % folds


@settings(max_examples=80, deadline=None)
@given(st.data())
def test_weighted_auc_equals_scikit_learn(data):
    n = data.draw(st.integers(2, 30))
    labels = np.array(data.draw(st.lists(st.integers(0, 1), min_size=n, max_size=n)))
    logits = np.array(data.draw(st.lists(st.integers(-3, 3), min_size=n, max_size=n)), dtype=float)
    weights = np.array(data.draw(st.lists(st.integers(0, 4), min_size=n, max_size=n)), dtype=float)
    found = Ranking.of(labels, logits, np.arange(n)).auc(weights[:, None])
    if weights[labels == 0].sum() and weights[labels == 1].sum():
        assert found == pytest.approx(roc_auc_score(labels, logits, sample_weight=weights))
    else:
        assert np.isnan(found)


def test_fold_auc_is_per_fold_in_sorted_order():
    labels, logits, _, folds = clustered()
    names = np.array(["c", "a", "b"])[folds]
    expected = [roc_auc_score(labels[names == name], logits[names == name]) for name in "abc"]
    assert bootstrap.fold_auc(labels, logits, names) == pytest.approx(expected)


def naive_bootstrap(labels, logits, groups, folds, replicates, seed):
    """Draw g - 1 of each fold's g groups, put their rows one behind the other, and ask scikit-learn."""
    rng = np.random.default_rng(seed)
    values = []
    for _ in range(replicates):
        aucs = []
        for fold in np.unique(folds):
            names = np.unique(groups[folds == fold])
            drawn = rng.choice(names, size=len(names) - 1)
            rows = np.concatenate([np.flatnonzero((groups == name) & (folds == fold)) for name in drawn])
            aucs.append(roc_auc_score(labels[rows], logits[rows]))
        values.append(np.mean(aucs))
    return np.array(values)


@pytest.mark.parametrize("ties", [False, True])
def test_the_same_draws_give_what_concatenated_groups_give(ties):
    labels, logits, groups, folds = clustered(ties=ties)
    strata = [np.unique(groups[folds == fold]) for fold in range(3)]
    # the order of the strata is that of the bootstrap: by the folds they stand in, last fold first
    (weights,) = bootstrap.multiplicities(strata[::-1], 50, 50, 7)
    found = bootstrap.bootstrap_auc(labels, logits, groups, folds, 50, 7)
    for column, value in zip(weights.T, found, strict=True):
        aucs = []
        for names in strata:
            rows = [np.flatnonzero(groups == name) for name in names for _ in range(int(column[name]))]
            assert len(rows) == len(names) - 1
            rows = np.concatenate(rows)
            aucs.append(roc_auc_score(labels[rows], logits[rows]))
        assert value == pytest.approx(np.mean(aucs))


def test_distribution_equals_a_naive_bootstrap():
    sample = clustered()
    fast = bootstrap.bootstrap_auc(*sample, 4000, 1)
    slow = naive_bootstrap(*sample, 400, 2)
    assert scipy.stats.ks_2samp(fast, slow).pvalue > 0.01
    assert fast.std() == pytest.approx(slow.std(), rel=0.1)


def test_interval_equals_scipy_when_every_sample_is_a_group():
    # with one fold and many groups g - 1 draws are g draws; scipy resamples the samples themselves
    labels, logits, _, _ = clustered(groups_a_fold=100, size=4, folds=1, spread=0.0)
    n = len(labels)
    found = bootstrap.auc_interval(labels, logits, np.arange(n), np.zeros(n), 3000, 0, 0.9)
    theirs = scipy.stats.bootstrap(
        (labels, logits),
        lambda labels, logits: scipy.special.logit(roc_auc_score(labels, logits)),
        paired=True,
        vectorized=False,
        n_resamples=800,
        confidence_level=0.9,
        method="basic",
        rng=np.random.default_rng(0),
    ).confidence_interval
    assert found.estimate == pytest.approx(roc_auc_score(labels, logits))
    ends = scipy.special.expit([theirs.low, theirs.high])
    assert (found.low, found.high) == pytest.approx(ends, abs=0.006)
    assert found.confidence == 0.9


def test_neither_row_order_nor_chunks_change_a_replicate(monkeypatch):
    labels, logits, groups, folds = clustered()
    whole = bootstrap.bootstrap_auc(labels, logits, groups, folds, 40, 3)
    order = np.random.default_rng(0).permutation(len(labels))
    shuffled = bootstrap.bootstrap_auc(labels[order], logits[order], groups[order], folds[order], 40, 3)
    assert shuffled.tolist() == whole.tolist()
    monkeypatch.setattr(bootstrap, "CHUNK_BYTES", 1)
    assert bootstrap.bootstrap_auc(labels, logits, groups, folds, 40, 3).tolist() == whole.tolist()
    assert bootstrap.bootstrap_auc(labels, logits, groups, folds, 40, 4).tolist() != whole.tolist()


def test_group_names_may_be_text():
    labels, logits, groups, folds = clustered()
    named = np.array([f"person {group:03d}" for group in groups], dtype=object)
    by_name = bootstrap.bootstrap_auc(labels, logits, named, folds, 20, 0)
    assert by_name.tolist() == bootstrap.bootstrap_auc(labels, logits, groups, folds, 20, 0).tolist()


def test_a_common_test_set_is_drawn_once_for_all_folds():
    labels, logits, groups, _ = clustered(folds=1, groups_a_fold=10)
    once = bootstrap.bootstrap_auc(labels, logits, groups, np.zeros(len(labels)), 200, 0)
    three = [np.tile(column, 3) for column in (labels, logits, groups)]
    folds = np.repeat([0, 1, 2], len(labels))
    # three equal models on the same samples are no surer than one
    assert bootstrap.bootstrap_auc(*three, folds, 200, 0) == pytest.approx(once)


def test_memory_is_bounded():
    labels, logits, groups, folds = clustered(groups_a_fold=1000, size=2, folds=5)
    tracemalloc.start()
    bootstrap.bootstrap_auc(labels, logits, groups, folds, 2000, 0)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 64 * 2**20


def test_resamplings_without_a_class_are_left_out():
    # the reals stand in 2 of 8 groups: 7 draws miss both in (6/8)^7 = 13% of all
    labels = np.array([0, 0, 1, 1, 1, 1, 1, 1])
    values = bootstrap.bootstrap_auc(labels, np.arange(8.0), np.arange(8), np.zeros(8), 2000, 0)
    assert len(values) / 2000 == pytest.approx(1 - 0.75**7, abs=0.03)
    assert np.isfinite(values).all()


def test_mostly_degenerate_resamplings_are_refused():
    labels, groups = np.array([0, 1, 0, 1]), np.array([0, 1, 2, 3])
    with pytest.raises(InputError, match="resamplings left a fold without reals or fakes; use"):
        bootstrap.bootstrap_auc(labels, np.arange(4.0), groups, np.array([0, 0, 1, 1]), 100, 0)


def test_a_fold_with_one_group_is_refused():
    with pytest.raises(InputError, match="fold 1: one group"):
        bootstrap.bootstrap_auc([0, 1] * 3, np.arange(6.0), [0, 0, 1, 1, 2, 2], [0, 0, 0, 0, 1, 1], 100, 0)


def test_a_fold_without_reals_is_named():
    with pytest.raises(InputError, match="fold 1: no real sample"):
        bootstrap.fold_auc([0, 1, 1, 1], np.arange(4.0), [0, 0, 1, 1])


def test_missing_and_misfitting_groups_are_refused():
    with pytest.raises(InputError, match="no group in row 1"):
        bootstrap.bootstrap_auc([0, 1], [0.0, 1.0], ["a", None], [0, 0], 10, 0)
    with pytest.raises(InputError, match="give one a sample"):
        bootstrap.bootstrap_auc([0, 1], [0.0, 1.0], ["a"], [0, 0], 10, 0)


def test_equal_detectors_do_not_differ():
    labels, logits, groups, folds = clustered()
    found = bootstrap.paired_auc_difference(labels, logits, logits * 2, groups, folds, 200, 0, 0.95)
    assert (found.estimate, found.low, found.high, found.p_value) == (0, 0, 0, 1)


def test_a_better_detector_is_found_and_the_sign_turns_with_the_order():
    labels, logits, groups, folds = clustered()
    better = logits + labels
    found = bootstrap.paired_auc_difference(labels, logits, better, groups, folds, 999, 0, 0.95)
    assert 0 < found.low < found.estimate < found.high
    assert found.p_value == pytest.approx(2 / 1000)
    turned = bootstrap.paired_auc_difference(labels, better, logits, groups, folds, 999, 0, 0.95)
    assert (turned.estimate, turned.p_value) == pytest.approx((-found.estimate, found.p_value))
    assert (turned.low, turned.high) == pytest.approx((-found.high, -found.low))


def test_pairing_uses_the_same_draws_for_both():
    labels, logits, groups, folds = clustered()
    noisy = logits + np.random.default_rng(1).normal(size=len(logits)) * 0.5
    a = bootstrap.bootstrap_auc(labels, logits, groups, folds, 300, 5)
    b = bootstrap.bootstrap_auc(labels, noisy, groups, folds, 300, 5)
    found = bootstrap.paired_auc_difference(labels, logits, noisy, groups, folds, 300, 5, 0.9)
    estimate = found.estimate
    assert (found.low, found.high) == pytest.approx(tuple(2 * estimate - np.quantile(b - a, [0.95, 0.05])))
    sides = 1 + np.count_nonzero(b - a <= 2 * estimate), 1 + np.count_nonzero(b - a >= 2 * estimate)
    assert found.p_value == pytest.approx(min(1, 2 * min(sides) / 301))


@pytest.mark.slow
def test_group_resampling_covers_where_sample_resampling_does_not():
    """Twelve groups a fold of 16 alike samples: 95% intervals must cover the truth of the whole population."""
    spread = 1.0
    # fake minus real of two samples: N(1, spread^2 + 1 + 1)
    truth = scipy.stats.norm.cdf(1 / np.sqrt(2 + spread**2))
    covered = {"groups": 0, "samples": 0}
    for trial in range(150):
        labels, logits, groups, folds = clustered(12, 16, 3, spread, seed=trial)
        for name, units in (("groups", groups), ("samples", np.arange(len(labels)))):
            found = bootstrap.auc_interval(labels, logits, units, folds, 300, trial, 0.95)
            covered[name] += found.low <= truth <= found.high
    assert covered["groups"] / 150 > 0.90
    assert covered["samples"] / 150 < 0.85


@pytest.mark.slow
def test_intervals_cover_when_real_and_fake_of_a_group_resemble_each_other():
    """Each person shifts the logits of all of their samples: the percentile interval covered 55% of the time here."""
    groups_a_fold, folds_count, trials = 4, 4, 150
    truth = scipy.stats.norm.cdf(1 / np.sqrt(2 * (1 + 1**2)))
    rng = np.random.default_rng(0)
    group = np.repeat(np.arange(groups_a_fold * folds_count), 80)
    labels = np.tile(np.repeat([0, 1], [20, 60]), groups_a_fold * folds_count)
    covered = 0
    for trial in range(trials):
        logits = rng.normal(size=len(group)) + rng.normal(size=group.max() + 1)[group] + labels
        found = bootstrap.auc_interval(labels, logits, group, group // groups_a_fold, 300, trial, 0.95)
        covered += found.low <= truth <= found.high
    assert covered / trials > 0.82


def test_the_interval_holds_its_estimate_and_stays_inside_0_and_1():
    labels, groups, folds = np.tile([0, 1], 20), np.arange(40) // 4, np.arange(40) // 20
    for logits in (labels * 1.0, -labels * 1.0, labels + np.random.default_rng(0).normal(size=40) * 0.4):
        found = bootstrap.auc_interval(labels, logits, groups, folds, 200, 0, 0.95)
        assert 0 <= found.low <= found.estimate <= found.high <= 1


@pytest.mark.slow
def test_with_few_groups_the_replicates_spread_as_the_estimate_does():
    """Three groups a fold: drawing g of g groups would give sqrt(2/3) = 0.82 of the true standard error."""
    samples = [clustered(3, 40, 3, 0.5, seed=trial) for trial in range(300)]
    true = np.std([bootstrap.fold_auc(labels, logits, folds).mean() for labels, logits, _, folds in samples])
    found = np.mean([bootstrap.bootstrap_auc(*sample, 200, 0).var() for sample in samples]) ** 0.5
    assert found / true == pytest.approx(1, abs=0.12)
