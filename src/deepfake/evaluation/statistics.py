"""How sure one may be of a recipe, training included: tests and intervals over folds, and many tests at once."""

from dataclasses import dataclass

import numpy as np
import scipy.stats
from numpy.typing import ArrayLike
from statsmodels.stats.multitest import multipletests

from deepfake.errors import InputError
from deepfake.evaluation.bootstrap import Floats, Interval


@dataclass(frozen=True)
class FoldTest:
    """The t statistic of per-fold differences and its two-sided p-value."""

    statistic: float
    p_value: float
    degrees_of_freedom: int


def corrected_resampled_ttest(differences: ArrayLike, test_share_over_train: float) -> FoldTest:
    """Test whether per-fold differences have mean 0, allowing for training sets that overlap between folds.

    Nadeau and Bengio 2003, "Inference for the generalization error": the variance of the mean of k differences is
    (1/k + n_test/n_train) s^2, with k - 1 degrees of freedom.

    Args:
        differences: one a fold, shape [k].
        test_share_over_train: n_test / n_train of a fold: 1 / (k - 1) in k-fold cross-validation.

    Returns:
        The test. Differences without any spread have t = 0 and p = 1 when they are 0, else the limit t = +-inf, p = 0.

    Raises:
        InputError: fewer than two folds, or a difference that is not finite.
    """
    values, error = _mean_error(differences, test_share_over_train)
    freedom = len(values) - 1
    mean = float(values.mean())
    # exact: equal differences can have a rounding variance, which would make the statistic a random large number
    if values.min() == values.max():
        return FoldTest(float(np.sign(mean)) * np.inf if mean else 0.0, 0.0 if mean else 1.0, freedom)
    statistic = mean / error
    return FoldTest(statistic, float(2 * scipy.stats.t.sf(abs(statistic), freedom)), freedom)


def held_out_share(folds: int) -> float:
    """Return n_test / n_train of k-fold cross-validation: a fold's held-out samples over those of the other folds."""
    return 1 / (folds - 1)


def fold_interval(values: ArrayLike, test_share_over_train: float, confidence: float) -> Interval:
    """Return the mean over folds with its t interval, by the variance of `corrected_resampled_ttest`.

    It is a statement about the procedure, training included, and it knows how few folds there are. It may reach
    beyond 0 or 1.
    """
    values, error = _mean_error(values, test_share_over_train)
    mean = float(values.mean())
    reach = float(scipy.stats.t.ppf((1 + confidence) / 2, len(values) - 1)) * error
    return Interval(mean, mean - reach, mean + reach, confidence)


def standard_error(values: ArrayLike, test_share_over_train: float) -> float:
    """Return the standard error of a mean over folds, by the variance of `corrected_resampled_ttest`.

    Raises:
        InputError: fewer than two folds, or a value that is not finite.
    """
    return _mean_error(values, test_share_over_train)[1]


def holm(p_values: ArrayLike) -> Floats:
    """Return the p-values adjusted for their number by Holm's step-down method (statsmodels), in the given order.

    Raises:
        InputError: a p-value is not between 0 and 1.
    """
    p_values = np.asarray(p_values, dtype=np.float64)
    if not ((p_values >= 0) & (p_values <= 1)).all():
        raise InputError(f"p-values {p_values.tolist()}: every one must lie between 0 and 1")
    if not p_values.size:
        return p_values
    return np.asarray(multipletests(p_values, method="holm")[1])


def _mean_error(values: ArrayLike, test_share_over_train: float) -> tuple[Floats, float]:
    """Return the values as an array, and the corrected standard error of their mean."""
    values = np.asarray(values, dtype=np.float64)
    if values.ndim != 1 or len(values) < 2:
        raise InputError(f"fold values of shape {values.shape}; a spread over folds needs at least two folds")
    if not np.isfinite(values).all():
        raise InputError(f"fold values {values.tolist()}: every one must be a finite number")
    variance = (1 / len(values) + test_share_over_train) * float(values.var(ddof=1))
    return values, float(np.sqrt(variance))
