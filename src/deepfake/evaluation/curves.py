"""Curves of held-out predictions with pointwise intervals: ROC, precision-recall, and what each threshold decides.

ROC and precision-recall are averaged over folds at each place of a grid (vertical averaging, Fawcett 2006): logits of
different folds are not comparable, so they are never pooled.
"""

from collections.abc import Callable

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import logit

from deepfake.evaluation import decisions, resampling
from deepfake.evaluation.estimate import Estimate
from deepfake.evaluation.evalset import EvalSet, Floats
from deepfake.evaluation.influence import Influence

Sure = Callable[[Influence], Estimate]
"""How sure a figure is: `resampling.recipe` or `resampling.trained_models`."""
GRID = np.linspace(0, 1, 101)
"""Where curves are read."""
DECIDED = ("recall_fake", "recall_real", "balanced_accuracy", "f1_macro")
"""What is drawn against the threshold, of `decisions.METRICS`."""


def roc(evalset: EvalSet, sure: Sure) -> pd.DataFrame:
    """Return the mean ROC curve over folds, read between its points along straight lines.

    Args:
        evalset: the held-out samples.
        sure: gives the pointwise intervals.

    Returns:
        Columns `fpr, tpr, low, high`.
    """
    found = _averaged(evalset, _tpr, sure).set_axis(["tpr", "low", "high"], axis=1).assign(fpr=GRID)[_ROC]
    # where everything is predicted fake nothing is left to be unsure of
    found.loc[found.index[-1], ["low", "high"]] = 1.0
    return found


def precision_recall(evalset: EvalSet, sure: Sure) -> pd.DataFrame:
    """Return the mean precision over folds at the highest threshold that reaches each recall.

    Between two points precision does not follow a straight line (Davis and Goadrich 2006), so it is not interpolated;
    its mean over all recalls is the average precision.

    Args:
        evalset: the held-out samples.
        sure: gives the pointwise intervals.

    Returns:
        Columns `recall, precision, low, high`, and the `prevalence` of fakes, which is the precision of guessing.
    """
    folds = pd.Series(evalset.labels).groupby(evalset.folds).mean()
    found = _averaged(evalset, _precision, sure).set_axis(["precision", "low", "high"], axis=1)
    return found.assign(recall=GRID[1:], prevalence=folds.mean())[_PRECISION_RECALL]


_ROC = ["fpr", "tpr", "low", "high"]
_PRECISION_RECALL = ["recall", "precision", "low", "high", "prevalence"]


def _averaged(evalset: EvalSet, metric: Callable[[NDArray[np.int64], Floats], Floats], sure: Sure) -> pd.DataFrame:
    # sorted once: sorting again without each group then takes one pass
    evalset = evalset.take(np.argsort(-evalset.scores, kind="stable"))
    estimates = [sure(one) for one in resampling.recomputed(evalset, metric, bounded=True)]
    return pd.DataFrame([(one.value, one.low, one.high) for one in estimates])


def _counts(labels: NDArray[np.int64], scores: Floats) -> tuple[Floats, Floats]:
    """Return how many fakes and reals are predicted fake at each threshold, the highest first."""
    order = np.argsort(-scores, kind="stable")
    ends = np.append(np.flatnonzero(np.diff(scores[order])), len(scores) - 1)
    fakes = np.cumsum(labels[order])[ends].astype(np.float64)
    return fakes, ends + 1 - fakes


def _tpr(labels: NDArray[np.int64], scores: Floats) -> Floats:
    fakes, reals = _counts(labels, scores)
    return np.interp(GRID, np.append(0, reals / reals[-1]), np.append(0, fakes / fakes[-1]))


def _precision(labels: NDArray[np.int64], scores: Floats) -> Floats:
    fakes, reals = _counts(labels, scores)
    reached = np.searchsorted(fakes / fakes[-1], GRID[1:] - 1e-12)
    return (fakes / (fakes + reals))[reached]


def against_threshold(held_out: pd.DataFrame, sure: Sure, step: float = 0.02) -> pd.DataFrame:
    """Return what is decided where all folds decide at one probability; counts are pooled over folds.

    Args:
        held_out: the held-out samples with `label, logit, group, fold` and, where there are any, `repeat`.
        sure: gives the pointwise intervals.
        step: between probabilities.

    Returns:
        One row a probability: `probability`, and each of `DECIDED` with its `_low` and `_high`.
    """
    rows = []
    for probability in np.arange(1, round(1 / step)) * step:
        decided = held_out.assign(predicted_fake=held_out["logit"] >= logit(probability))
        row = {"probability": float(round(probability, 6))}
        for metric in DECIDED:
            one = sure(decisions.figure(decided, metric))
            row |= {metric: one.value, f"{metric}_low": one.low, f"{metric}_high": one.high}
        rows.append(row)
    return pd.DataFrame(rows)
