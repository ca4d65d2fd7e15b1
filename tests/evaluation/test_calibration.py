import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.calibration import CalibratedClassifierCV, calibration_curve
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression

from deepfake.errors import InputError
from deepfake.evaluation import calibration, metrics


def overconfident(seed=0, n=400, scale=3.0):
    """Nine fakes to a real; logits `scale` times as large as the log odds."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(2.5, 2.0, n)
    return (rng.random(n) < expit(logits)).astype(int), logits * scale


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("scale", [0.05, 1.0, 20.0])
def test_one_over_temperature_is_the_slope_of_logistic_regression(seed, scale):
    labels, logits = overconfident(seed, scale=scale)
    unit = logits[:, None] / scale  # the solver stops early on badly scaled inputs
    slope = LogisticRegression(fit_intercept=False, C=np.inf, tol=1e-10).fit(unit, labels).coef_.item()
    assert calibration.temperature(labels, logits) == pytest.approx(scale / slope, rel=1e-5)


class Given(ClassifierMixin, BaseEstimator):
    """A detector whose input is its logit."""

    def fit(self, x, y):
        self.classes_ = np.unique(y)
        return self

    def decision_function(self, x):
        return x[:, 0]

    def predict(self, x):
        return self.classes_[(x[:, 0] >= 0).astype(int)]


def test_calibrated_probabilities_are_those_of_scikit_learn():
    labels, logits = overconfident()
    detector = FrozenEstimator(Given().fit(logits[:, None], labels))
    theirs = CalibratedClassifierCV(detector, method="temperature").fit(logits[:, None], labels)
    found = expit(logits / calibration.temperature(labels, logits))
    assert found == pytest.approx(theirs.predict_proba(logits[:, None])[:, 1], abs=1e-6)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 1000), st.floats(0.1, 10))
def test_the_temperature_grows_with_the_logits(seed, factor):
    labels, logits = overconfident(seed, n=100)
    once = calibration.temperature(labels, logits)
    assert calibration.temperature(labels, logits * factor) == pytest.approx(
        np.clip(factor * once, 0.01, 100), rel=1e-5
    )


def test_a_calibrated_detector_has_temperature_one():
    labels, logits = overconfident(n=200_000, scale=1.0)
    assert calibration.temperature(labels, logits) == pytest.approx(1, abs=0.02)


def test_temperature_lowers_log_loss_and_leaves_the_ranking():
    labels, logits = overconfident()
    before = metrics.classification(labels, logits)
    after = metrics.classification(labels, logits / calibration.temperature(labels, logits))
    assert after["log_loss"] < before["log_loss"]
    assert after["ece"] < before["ece"]
    assert after["auc"] == before["auc"]


def test_the_bounds_are_reached_by_detectors_without_errors_and_worse_than_chance():
    assert calibration.temperature([0, 0, 1, 1], [-2.0, -1.0, 1.0, 2.0]) == 0.01
    assert calibration.temperature([1, 1, 0, 0], [-2.0, -1.0, 1.0, 2.0]) == 100


def test_a_shift_cannot_be_mended_by_a_temperature():
    labels = np.repeat([0, 1], [1, 9])
    logits = np.repeat([-3.0, -1.0], [1, 9])
    assert metrics.auc(labels, logits) == 1
    assert calibration.temperature(labels, logits) == 100


@pytest.mark.parametrize("bins", [1, 10, 15])
def test_reliability_is_the_calibration_curve_of_scikit_learn(bins):
    labels, logits = overconfident()
    found = calibration.reliability(labels, logits, bins)
    fakes, probability = calibration_curve(labels, expit(logits), n_bins=bins, strategy="uniform")
    assert found["fakes"].to_numpy() == pytest.approx(fakes)
    assert found["probability"].to_numpy() == pytest.approx(probability)
    assert found["samples"].sum() == len(labels)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 1000), st.integers(2, 60), st.sampled_from([1, 4, 15]))
def test_ece_is_the_weighted_mean_over_the_bins(seed, n, bins):
    rng = np.random.default_rng(seed)
    labels, logits = rng.integers(0, 2, n), np.round(rng.normal(0, 3, n), 0)
    labels[:2] = 0, 1
    found = calibration.reliability(labels, logits, bins)
    distance = (found["probability"] - found["fakes"]).abs()
    assert np.average(distance, weights=found["samples"]) == pytest.approx(metrics.ece(labels, logits, bins))


def test_reliability_by_hand():
    # probabilities 0.5 (twice) and 0.9; the bin (0.5, 0.75] and the lowest are empty; 0.5 belongs to the lower bin
    found = calibration.reliability([0, 1, 1], [0.0, 0.0, np.log(9)], bins=4)
    assert found.columns.tolist() == ["low", "high", "samples", "probability", "fakes"]
    assert found.to_numpy().tolist() == [[0.25, 0.5, 2, 0.5, 0.5], [0.75, 1.0, 1, pytest.approx(0.9), 1.0]]


def test_both_classes_are_needed_to_calibrate():
    for figure in (calibration.temperature, calibration.reliability):
        with pytest.raises(InputError, match="no fake sample"):
            figure([0, 0], [0.0, 1.0])


def test_ece_floor_is_what_calibrated_detectors_show():
    rng = np.random.default_rng(0)
    logits = rng.normal(size=400)
    shown = [metrics.ece((rng.random(400) < 1 / (1 + np.exp(-logits))).astype(int), logits) for _ in range(300)]
    found = calibration.ece_floor(logits)
    assert found == pytest.approx(np.mean(shown), rel=0.05)
    assert found > 0.03  # not small at all with few samples
    assert calibration.ece_floor(np.tile(logits, 100), replicates=20) == pytest.approx(found / 10, rel=0.15)


def test_the_floor_of_ece_is_what_chance_alone_gives():
    # 40 samples of probability 0.5 in one bin: the mean of |share of fakes - 0.5| over a binomial
    share = np.arange(41) / 40
    expected = np.sum(scipy.stats.binom.pmf(np.arange(41), 40, 0.5) * np.abs(share - 0.5))
    assert calibration.ece_floor(np.zeros(40), replicates=20_000) == pytest.approx(expected, rel=0.03)
    assert calibration.ece_floor(np.array([-40.0, 40.0] * 20)) == pytest.approx(0, abs=1e-12)
