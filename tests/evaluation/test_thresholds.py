import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deepfake.errors import InputError
from deepfake.evaluation.thresholds import youden


def j(labels, logits, threshold):
    called = np.asarray(logits) >= threshold
    labels = np.asarray(labels)
    return called[labels == 1].mean() - called[labels == 0].mean()


finite = st.floats(allow_nan=False, allow_infinity=False)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 1), st.integers(-6, 6) | finite), min_size=2, max_size=30), finite)
def test_no_threshold_is_better(rows, other):
    labels, logits = np.array([row[0] for row in rows]), np.array([row[1] for row in rows], dtype=float)
    labels[:2] = 0, 1
    threshold = youden(labels, logits)
    best = j(labels, logits, threshold)
    for candidate in [other, *logits, np.inf, -np.inf]:
        assert best >= j(labels, logits, candidate) - 1e-12
    assert np.isfinite(threshold) or logits.max() == np.finfo(float).max


def test_it_lies_midway_between_the_classes():
    assert youden([0, 0, 1, 1], [-3.0, -1.0, 2.0, 5.0]) == 0.5


def test_of_equal_cuts_the_one_that_accuses_the_fewest_reals_wins():
    # cutting above -1 and above 1 both give J = 1/2
    assert youden([0, 1, 0, 1], [-2.0, 0.0, 1.0, 2.0]) == 1.5


def test_equal_cuts_are_equal_whatever_the_rounding():
    # J is 1/3 at both cuts, as 1 - 2/3 and as 1/3 - 0, which differ as floats
    assert 1 - 2 / 3 != 1 / 3
    assert youden([0, 1, 1, 0, 0, 1], [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]) == 4.5


def test_a_useless_detector_accuses_nobody():
    assert youden([0, 1, 1], [0.25, 0.25, 0.25]) == 1.25
    assert youden([1, 0], [-1.0, 1.0]) == 2.0
    assert youden([1, 0], [0.0, 1e300]) > 1e300


def test_neighbouring_floats_are_told_apart():
    lower, upper = 1.0, float(np.nextafter(1.0, 2.0))
    assert youden([0, 1], [lower, upper]) == upper


def test_order_of_the_samples_plays_no_part():
    rng = np.random.default_rng(0)
    labels, logits = rng.integers(0, 2, 50), np.round(rng.normal(size=50), 1)
    order = rng.permutation(50)
    assert youden(labels, logits) == youden(labels[order], logits[order])


def test_both_classes_are_needed():
    with pytest.raises(InputError, match="no real sample"):
        youden([1, 1], [0.0, 1.0])
