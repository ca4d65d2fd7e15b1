import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from deepfake.errors import InputError
from deepfake.evaluation import statistics, verdicts

MOONS = np.repeat([-0.12, -0.08, -0.04, 0.0, 0.04, 0.08, 0.2], [1, 2, 10, 53, 29, 4, 1])


def test_the_interval_is_that_of_the_corrected_test_in_scikit_learns_example():
    # its t is .750 and its one-sided p .227: at the confidence 1 - 2 p the interval just touches 0
    found = statistics.fold_interval(MOONS, 10 / 90, 1 - 2 * 0.2275)
    assert found.low == pytest.approx(0, abs=1e-5)
    plain = statistics.fold_interval(MOONS, 0, 1 - 2 * 0.005225)
    assert plain.low == pytest.approx(0, abs=1e-5)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(-50, 50), min_size=2, max_size=10).filter(lambda x: len(set(x)) > 1))
def test_without_overlap_it_is_the_interval_of_scipy(values):
    values = np.array(values) / 100
    low, high = scipy.stats.ttest_1samp(values, 0).confidence_interval(0.9)
    interval = statistics.fold_interval(values, 0, 0.9)
    assert interval[:3] == pytest.approx((values.mean(), low, high))
    assert statistics.fold_interval(values, 0.25, 0.9).low < interval.low


def test_folds_of_a_repeat_share_training_sets():
    assert [statistics.held_out_share(folds) for folds in (2, 5)] == [1, 0.25]


def test_fold_statistics_need_two_finite_folds():
    with pytest.raises(InputError, match="at least two folds"):
        statistics.fold_interval([0.1], 0.25, 0.95)
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
    assert verdicts.holm(given) == pytest.approx(adjusted)


def test_holm_refuses_what_is_no_p_value():
    for wrong in ([1.2], [-0.1]):
        with pytest.raises(InputError, match="between 0 and 1"):
            verdicts.holm(wrong)
