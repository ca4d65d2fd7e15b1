import numpy as np
import pytest
import scipy.stats

from deepfake.evaluation.group_means import mean_over_groups


def test_groups_of_one_size_give_the_t_interval_of_their_means():
    rng = np.random.default_rng(0)
    means = rng.normal(size=12)
    values = (means[:, None] + rng.normal(size=(12, 5))).ravel()
    found = mean_over_groups(values, np.repeat(np.arange(12), 5))
    expected = scipy.stats.ttest_1samp(values.reshape(12, 5).mean(axis=1), 0)
    ends = expected.confidence_interval(0.95)
    assert (found.value, found.p) == (pytest.approx(values.mean()), pytest.approx(expected.pvalue))
    assert (found.low, found.high) == (pytest.approx(ends.low), pytest.approx(ends.high))


def test_intervals_cover_the_truth_where_groups_differ():
    """Group means spread as much as samples do: an interval over samples would be far too narrow."""
    rng = np.random.default_rng(3)
    covered = 0
    for _ in range(300):
        groups = np.repeat(np.arange(20), rng.integers(5, 15, 20))
        values = 2 + rng.normal(0, 1, 20)[groups] + rng.normal(0, 1, len(groups))
        found = mean_over_groups(values, groups)
        covered += found.low <= 2 <= found.high
    assert 0.91 <= covered / 300 <= 0.98


def test_a_share_that_never_occurs_has_an_interval_inside_0_and_1():
    found = mean_over_groups(np.zeros(300), np.repeat(np.arange(30), 10), bounded=True)
    assert found.value == 0 <= found.low < found.high < 0.02


@pytest.mark.parametrize("groups", [["a", "a"], ["a", "b"]])
def test_too_few_groups_say_nothing_of_others(groups):
    found = mean_over_groups([1.0, 2.0], groups)
    assert found.value == 1.5 and np.isnan(found.low) and "at least 3" in found.reason
