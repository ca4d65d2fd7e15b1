from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

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


@given(st.integers(0, 50), st.integers(1, 9))
def test_shards_are_disjoint_equally_long_and_together_the_epoch(count, world):
    rows = np.random.default_rng(count).permutation(count) + 100
    shards = [sampling.shard(rows, rank, world).tolist() for rank in range(world)]
    assert {len(shard) for shard in shards} == {count // world}
    together = [row for shard in shards for row in shard]
    assert len(set(together)) == len(together)
    # nothing but the last few rows is left out
    assert set(together) == set(rows[: count // world * world].tolist())


def test_the_shards_side_by_side_are_the_epoch_in_its_order():
    # so that a batch of w workers holds what one worker's larger batch would
    rows = np.arange(12) * 3
    shards = [sampling.shard(rows, rank, 3) for rank in range(3)]
    np.testing.assert_array_equal(np.stack(shards, axis=1).ravel(), rows)


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
