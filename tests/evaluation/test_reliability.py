"""The noise of a reliability diagram, against draws."""

import numpy as np
import pandas as pd
import pytest

from deepfake.evaluation.reliability import with_noise


def test_a_calibrated_detector_stays_within_its_noise_as_often_as_is_promised():
    rng = np.random.default_rng(0)
    bins = pd.DataFrame({"samples": [300, 90, 40], "probability": [0.2, 0.5, 0.93], "fakes": [0.0, 0.0, 0.0]})
    found = with_noise(bins, confidence=0.9)
    for samples, probability, _, low, high in found.to_numpy():
        shares = rng.binomial(int(samples), probability, 20000) / samples
        inside = ((shares >= low - 1e-9) & (shares <= high + 1e-9)).mean()
        assert 0.9 <= inside < 0.985  # whole samples: a little more than promised


def test_a_sample_counts_once_however_often_it_is_predicted():
    bins = pd.DataFrame({"samples": [300, 2], "probability": [0.3, 0.5]})
    three, once = with_noise(bins, repeats=3), with_noise(bins.assign(samples=[100, 1]))
    assert three[["noise_low", "noise_high"]].to_numpy() == pytest.approx(once[["noise_low", "noise_high"]].to_numpy())
    assert (once.loc[1, "noise_low"], once.loc[1, "noise_high"]) == (0, 1)
