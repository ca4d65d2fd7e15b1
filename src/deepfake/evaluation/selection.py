"""Choosing the best from out-of-fold results: within one standard error the simpler choice wins.

The rule is that of Breiman et al. 1984, "Classification and regression trees", section 3.4.3, with the standard error
of the paired difference in place of that of the best: folds are identical, so most of their spread is common to both.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from deepfake.errors import InputError
from deepfake.evaluation.bootstrap import Floats
from deepfake.evaluation.statistics import standard_error


@dataclass(frozen=True)
class Choice:
    """Whether a more complex setting is worth it.

    Args:
        gain: mean AUC that it brings.
        error: the standard error of that mean, corrected for training sets that overlap.
        better: whether the gain exceeds so many errors as count as a tie.
    """

    gain: float
    error: float
    better: bool


def choose(differences: Floats, test_share_over_train: float, standard_errors: float) -> Choice:
    """Choose between a simple and a more complex setting that several models were trained with.

    Args:
        differences: complex minus simple AUC, shape [models, folds]; models count the same.
        test_share_over_train: n_test / n_train of a fold.
        standard_errors: a gain of no more than so many is a tie, which the simple setting wins.
    """
    by_fold = np.asarray(differences, dtype=np.float64).mean(axis=0)
    gain, error = float(by_fold.mean()), standard_error(by_fold, test_share_over_train)
    return Choice(gain, error, gain > standard_errors * error)


def rank(
    aucs: Mapping[str, Floats], sizes: Mapping[str, int], test_share_over_train: float, standard_errors: float
) -> list[str]:
    """Order models from best to worst; a tie goes to the one with fewer parameters.

    Each place goes to the smallest of those left that the best of those left does not lead by more than a tie.

    Args:
        aucs: AUC of each model on each fold, shape [folds]; the folds are the same for all.
        sizes: parameters of each model.
        test_share_over_train: n_test / n_train of a fold.
        standard_errors: a lead of no more than so many standard errors of the paired difference is a tie.
    """
    left, order = list(aucs), []
    while left:
        best = max(left, key=lambda name: (aucs[name].mean(), -sizes[name]))
        tied = [name for name in left if _ties(aucs[best] - aucs[name], test_share_over_train, standard_errors)]
        chosen = min(tied, key=lambda name: (sizes[name], -aucs[name].mean(), name))
        order.append(chosen)
        left.remove(chosen)
    return order


def top(order: list[str], count: int) -> list[str]:
    """Return the first of an order.

    Raises:
        InputError: there are not so many.
    """
    if count > len(order):
        raise InputError(f"top: {count} candidates are to be chosen, but only {len(order)} are ranked")
    return order[:count]


def _ties(lead: Floats, test_share_over_train: float, standard_errors: float) -> bool:
    """Tell whether a lead is no more than a tie; none at all is one."""
    return float(lead.mean()) <= standard_errors * standard_error(lead, test_share_over_train)
