"""A mean over the folds of a repeated cross-validation, with an interval that allows for shared training sets."""

from typing import NamedTuple

import numpy as np
import scipy.stats
from numpy.typing import ArrayLike

from deepfake.errors import InputError


class Interval(NamedTuple):
    """An estimate and the interval that covers the truth with the given confidence."""

    estimate: float
    low: float
    high: float
    confidence: float


def held_out_share(folds: int) -> float:
    """Return n_test / n_train of k-fold cross-validation: a fold's held-out samples over those of the other folds."""
    return 1 / (folds - 1)


def fold_interval(values: ArrayLike, test_share_over_train: float, confidence: float) -> Interval:
    """Return the mean over folds with its t interval.

    Nadeau and Bengio 2003, "Inference for the generalization error": the variance of the mean of k values is
    (1/k + n_test/n_train) s^2, with k - 1 degrees of freedom. It knows how few folds there are, and may reach beyond
    0 or 1.

    Args:
        values: one a fold, shape [k], the folds of all repeats.
        test_share_over_train: `held_out_share` of a repeat's folds.
        confidence: of the interval.

    Raises:
        InputError: fewer than two folds, or a value that is not finite.
    """
    values = np.asarray(values, dtype=np.float64)
    if values.ndim != 1 or len(values) < 2:
        raise InputError(f"fold values of shape {values.shape}; a spread over folds needs at least two folds")
    if not np.isfinite(values).all():
        raise InputError(f"fold values {values.tolist()}: every one must be a finite number")
    mean, error = float(values.mean()), np.sqrt((1 / len(values) + test_share_over_train) * float(values.var(ddof=1)))
    reach = float(scipy.stats.t.ppf((1 + confidence) / 2, len(values) - 1) * error)
    return Interval(mean, mean - reach, mean + reach, confidence)
