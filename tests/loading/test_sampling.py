from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from sklearn.utils.class_weight import compute_sample_weight

from deepfake.config.training import Shared
from deepfake.loading import sampling

ROWS = np.array([3, 1, 4, 15, 9, 26, 5])
LISTS = st.lists(st.integers(0, 6), max_size=40).map(lambda values: np.array(values, np.int64))


def test_shuffled_is_a_permutation_that_follows_from_the_seed():
    first, again, other = (sampling.shuffled(ROWS, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert sorted(first) == sorted(ROWS)
    np.testing.assert_array_equal(first, again)
    assert first.tolist() != other.tolist()


def test_shuffled_puts_every_row_in_every_place_equally_often():
    rng = np.random.default_rng(0)
    draws = np.array([sampling.shuffled(ROWS, rng) for _ in range(3000)])
    for place in range(len(ROWS)):
        counts = [np.sum(draws[:, place] == row) for row in ROWS]
        assert stats.chisquare(counts).pvalue > 1e-4


@pytest.mark.parametrize("scale", [1.0, 1e-3, 250.0])
def test_weighted_draws_in_proportion_to_the_weights(scale):
    weights = np.array([1.0, 2.0, 0.5, 4.0, 0.0, 1.5, 1.0])
    rows, repeated = np.repeat(ROWS, 2000), np.repeat(weights, 2000) * scale
    drawn = sampling.weighted(rows, repeated, np.random.default_rng(7))
    assert len(drawn) == len(rows)
    counts = Counter(drawn.tolist())
    assert counts[9] == 0  # its weight is zero
    positive = weights > 0
    expected = weights[positive] / weights.sum() * len(rows)
    assert stats.chisquare([counts[row] for row in ROWS[positive]], expected).pvalue > 1e-4


def test_weighted_draws_with_replacement_and_follows_from_the_seed():
    weights = np.ones(len(ROWS))
    first, again = (sampling.weighted(ROWS, weights, np.random.default_rng(3)) for _ in range(2))
    np.testing.assert_array_equal(first, again)
    assert any(len(set(sampling.weighted(ROWS, weights, np.random.default_rng(s)))) < len(ROWS) for s in range(5))


def test_one_row_with_all_the_weight_is_drawn_every_time():
    weights = (ROWS == 15).astype(float)
    assert set(sampling.weighted(ROWS, weights, np.random.default_rng(0))) == {15}


LABELS = np.array([0] * 37 + [1] * 333)
NINE = np.arange(1000, 1370)


def test_both_classes_are_as_likely_under_the_weighted_sampler():
    """Against torch's own WeightedRandomSampler with the plan's weights, one over the class's size."""
    drawn = np.concatenate(
        [sampling.SAMPLERS["weighted"](NINE, LABELS, LABELS, np.random.default_rng(seed)) for seed in range(100)]
    )
    reals = int((drawn < 1037).sum())
    torch.manual_seed(0)
    theirs = torch.utils.data.WeightedRandomSampler((1 / np.bincount(LABELS))[LABELS].tolist(), len(drawn))
    expected = int((np.array(list(theirs)) < 37).sum())
    # the exact ratio is 1:1; five standard deviations of that many draws
    assert abs(reals - len(drawn) / 2) < 5 * np.sqrt(len(drawn)) / 2
    assert abs(expected - len(drawn) / 2) < 5 * np.sqrt(len(drawn)) / 2
    each = np.bincount(drawn - 1000, minlength=370)
    assert stats.chisquare(each[:37]).pvalue > 1e-4
    assert stats.chisquare(each[37:]).pvalue > 1e-4


def test_all_data_sets_are_as_likely_under_the_sampler_of_data_sets_whatever_the_classes():
    datasets = np.array([0] * 300 + [1] * 50 + [2] * 20)
    drawn = np.concatenate(
        [sampling.SAMPLERS["datasets"](NINE, LABELS, datasets, np.random.default_rng(seed)) for seed in range(100)]
    )
    counts = np.bincount(datasets[drawn - 1000])
    assert stats.chisquare(counts).pvalue > 1e-4
    # within a data set nothing is preferred
    assert stats.chisquare(np.bincount(drawn - 1000, minlength=370)[:300]).pvalue > 1e-4


@given(st.integers(1, 60), st.integers(1, 60), st.integers(1, 40), st.integers(0, 99))
def test_every_stratified_batch_has_the_classes_in_proportion(reals, fakes, batch_size, seed):
    labels = np.array([0] * reals + [1] * fakes)
    order = sampling.stratified(np.arange(len(labels)), labels, np.random.default_rng(seed))
    assert sorted(order) == list(range(len(labels)))
    for start in range(0, len(labels), batch_size):
        batch = labels[order[start : start + batch_size]]
        assert abs((batch == 0).sum() - len(batch) * reals / len(labels)) < 2


def test_stratified_batches_differ_from_epoch_to_epoch():
    first, again, other = (sampling.stratified(NINE, LABELS, np.random.default_rng(seed)) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert first.tolist() != other.tolist()


def test_class_weights_have_the_same_sum_for_each_class():
    weights = sampling.class_weights(LABELS)
    np.testing.assert_allclose(weights / weights.mean(), compute_sample_weight("balanced", LABELS))


def test_params_allow_exactly_the_samplers_there_are():
    assert set(Shared.model_fields["sampler"].annotation.__args__) == set(sampling.SAMPLERS)


@given(LISTS)
def test_occurrences_count_earlier_appearances(rows):
    seen: Counter[int] = Counter()
    expected = []
    for row in rows.tolist():
        expected.append(seen[row])
        seen[row] += 1
    found = sampling.occurrences(rows)
    assert found.dtype == np.int64
    assert found.tolist() == expected
