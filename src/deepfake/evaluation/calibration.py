"""How far probabilities can be believed: the temperature that would correct them, and how often they come true."""

import math

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy.optimize import minimize_scalar
from scipy.special import expit

from deepfake.evaluation.metrics import CALIBRATION_BINS, checked

TEMPERATURES = (1 / 100, 100.0)
"""The least and the greatest temperature that is looked for."""


def temperature(labels: ArrayLike, logits: ArrayLike) -> float:
    """Return the temperature T > 0 that minimises the log loss of logits / T.

    Guo et al. 2017, "On calibration of modern neural networks". T > 1: the detector is overconfident. It is looked for
    between `TEMPERATURES`. Classes that a threshold of 0 separates without error end at the lower bound. A detector
    that is worse than chance ends at the upper one, where all probabilities are nearly 0.5. So does any other whose
    logits sum to no more over the fakes than over the reals: it may rank well, but its logits are shifted, and a
    temperature only scales.

    Args:
        labels: 0 real or 1 fake, shape [n].
        logits: the detector's outputs, shape [n].

    Raises:
        InputError: a class is missing, or the arrays are not n labels and n finite logits.
    """
    labels, logits = checked(labels, logits)
    wrongness = np.where(labels == 1, -logits, logits)

    def log_loss(log_temperature: float) -> float:
        return float(np.mean(np.logaddexp(0, wrongness * math.exp(-log_temperature))))

    low, high = (math.log(bound) for bound in TEMPERATURES)
    # the loss is convex in 1/T, so there is one valley
    found = minimize_scalar(log_loss, bounds=(low, high), method="bounded", options={"xatol": 1e-9})
    # the search comes near its bounds and never reaches them
    best = min((low, high, float(found.x)), key=log_loss)
    return {low: TEMPERATURES[0], high: TEMPERATURES[1]}.get(best, math.exp(best))


def reliability(labels: ArrayLike, logits: ArrayLike, bins: int = CALIBRATION_BINS) -> pd.DataFrame:
    """Return the reliability diagram of the probability of being fake.

    The bins are those of `metrics.ece`, which is the mean of |probability - fakes| weighted by the samples: of equal
    width and closed on the right, as in scikit-learn's `calibration_curve`.

    Args:
        labels: 0 real or 1 fake, shape [n].
        logits: the detector's outputs, shape [n].
        bins: how many parts [0, 1] is divided into.

    Returns:
        One row a bin that is not empty: its edges `low, high`, its `samples`, their mean `probability` and the share
        `fakes` of them that are.

    Raises:
        InputError: a class is missing, or the arrays are not n labels and n finite logits.
    """
    labels, logits = checked(labels, logits)
    edges = np.linspace(0, 1, bins + 1)
    probability = expit(logits)
    samples = pd.DataFrame(
        {"bin": np.searchsorted(edges[1:-1], probability), "probability": probability, "fakes": labels}
    )
    by_bin = samples.groupby("bin")
    found = by_bin.mean()
    place = found.index.to_numpy()
    found.insert(0, "samples", by_bin.size())
    found.insert(0, "high", edges[place + 1])
    found.insert(0, "low", edges[place])
    return found.reset_index(drop=True)


def ece_floor(logits: ArrayLike, replicates: int = 200, seed: int = 0, bins: int = CALIBRATION_BINS) -> float:
    """Return the ECE that a perfectly calibrated detector with these logits shows on average, for chance alone.

    Parametric bootstrap: labels are drawn with the detector's own probabilities. An ECE near it is no miscalibration.

    Args:
        logits: the detector's outputs, shape [n].
        replicates: how many times labels are drawn.
        seed: of the draws.
        bins: as for `metrics.ece`.
    """
    probability = expit(np.asarray(logits, dtype=np.float64))
    bin_of = np.searchsorted(np.linspace(0, 1, bins + 1)[1:-1], probability)
    rng = np.random.default_rng(seed)
    total = 0.0
    for _ in range(replicates):
        drawn = rng.random(len(probability)) < probability
        total += float(np.abs(np.bincount(bin_of, weights=probability - drawn, minlength=bins)).sum())
    return total / replicates / len(probability)
