import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from deepfake.errors import InputError
from deepfake.evaluation import statistics

MOONS = np.repeat([-0.12, -0.08, -0.04, 0.0, 0.04, 0.08, 0.2], [1, 2, 10, 53, 29, 4, 1])


def test_corrected_ttest_equals_the_example_of_scikit_learn():
    corrected = statistics.corrected_resampled_ttest(MOONS, 10 / 90)
    assert round(corrected.statistic, 3) == 0.750
    assert round(corrected.p_value / 2, 3) == 0.227
    assert corrected.degrees_of_freedom == 99
    plain = statistics.corrected_resampled_ttest(MOONS, 0)
    assert (round(plain.statistic, 3), round(plain.p_value / 2, 3)) == (2.611, 0.005)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(-50, 50), min_size=2, max_size=10).filter(lambda x: len(set(x)) > 1))
def test_without_overlap_it_is_the_t_test_of_scipy(values):
    values = np.array(values) / 100
    found = statistics.corrected_resampled_ttest(values, 0)
    theirs = scipy.stats.ttest_1samp(values, 0)
    assert (found.statistic, found.p_value) == pytest.approx((theirs.statistic, theirs.pvalue))
    low, high = theirs.confidence_interval(0.9)
    interval = statistics.fold_interval(values, 0, 0.9)
    assert (interval.estimate, interval.low, interval.high) == pytest.approx((values.mean(), low, high))
    assert statistics.corrected_resampled_ttest(values, 0.25).p_value >= found.p_value


def test_interval_and_test_agree_at_the_boundary():
    # the confidence 1 - p is where the interval just touches 0
    values = [0.01, 0.03, 0.02, 0.05, 0.01]
    p_value = statistics.corrected_resampled_ttest(values, 0.25).p_value
    assert statistics.fold_interval(values, 0.25, 1 - p_value).low == pytest.approx(0, abs=1e-12)


def test_differences_without_spread():
    zero = statistics.corrected_resampled_ttest([0.0, 0.0, 0.0], 0.5)
    assert (zero.statistic, zero.p_value) == (0, 1)
    better = statistics.corrected_resampled_ttest([0.1, 0.1, 0.1], 0.5)
    assert (better.statistic, better.p_value) == (np.inf, 0)
    worse = statistics.corrected_resampled_ttest([-0.1, -0.1, -0.1], 0.5)
    assert (worse.statistic, worse.p_value) == (-np.inf, 0)


def test_fold_statistics_need_two_finite_folds():
    with pytest.raises(InputError, match="at least two folds"):
        statistics.corrected_resampled_ttest([0.1], 0.25)
    with pytest.raises(InputError, match="finite"):
        statistics.fold_interval([0.1, np.nan], 0.25, 0.95)


@pytest.mark.parametrize(
    ("given", "adjusted"),
    [
        # documentation of pingouin.multicomp / pingouin.holm
        ([0.50, 0.003, 0.32, 0.054, 0.0003], [0.64, 0.012, 0.64, 0.162, 0.0015]),
        # documentation of @stdlib/stats-padjust, which follows R's p.adjust
        ([0.319, 0.201, 0.4, 0.374, 0.113], [0.957, 0.804, 0.957, 0.957, 0.565]),
    ],
)
def test_holm_equals_published_examples(given, adjusted):
    assert statistics.holm(given) == pytest.approx(adjusted)


def test_holm_of_none_and_of_nonsense():
    assert statistics.holm([]).tolist() == []
    for wrong in ([0.1, np.nan], [1.2], [-0.1]):
        with pytest.raises(InputError, match="between 0 and 1"):
            statistics.holm(wrong)
