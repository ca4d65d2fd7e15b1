"""What is gained by leaving the least confident samples undecided: selective risk and its area.

El-Yaniv and Wiener 2010, "On the foundations of noise-free selective classification"; the area is that of Geifman,
Uziel and El-Yaniv 2019, "Bias-reduced uncertainty estimation for deep neural classifiers".
"""

from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from deepfake.evaluation import resampling
from deepfake.evaluation.curves import Sure
from deepfake.evaluation.estimate import Estimate
from deepfake.evaluation.evalset import EvalSet, Floats

COVERAGES = np.linspace(0.05, 1, 20)
"""Shares of the samples that are decided."""


class Selective(NamedTuple):
    """How errors and confidence go together.

    Args:
        curve: one row a coverage: `coverage`, and the `risk` with its interval, `low` and `high`.
        aurc: the area under the risk-coverage curve; without any use of the confidence it is the error rate.
        excess: what it is above that of a detector with as many errors, of which all are its least confident decisions.
    """

    curve: pd.DataFrame
    aurc: Estimate
    excess: Estimate


def risks(errors: ArrayLike, confidence: ArrayLike) -> Floats:
    """Return the share of errors among the i most confident samples, for i from 1 to n.

    Among samples of equal confidence none goes first: each counts as their mean.

    Args:
        errors: bool [n], whether a decision is wrong.
        confidence: float [n], how sure it is; only its order counts.
    """
    errors, confidence = np.asarray(errors, np.float64), np.asarray(confidence, np.float64)
    order = np.argsort(-confidence, kind="stable")
    ends = np.append(np.flatnonzero(np.diff(confidence[order])) + 1, len(errors))
    wrong = np.cumsum(errors[order])[ends - 1]
    count = np.arange(1, len(errors) + 1)
    return np.interp(count, np.append(0, ends), np.append(0, wrong)) / count


def least(errors: int, samples: int) -> float:
    """Return the area of a detector whose errors are its least confident decisions: no order has a smaller one."""
    count = np.arange(samples - errors + 1, samples + 1)
    return float(((count - (samples - errors)) / count).sum() / samples)


def examine(evalset: EvalSet, sure: Sure) -> Selective:
    """Return risk and coverage, a mean over folds: each leaves its own least confident samples undecided.

    Args:
        evalset: the held-out samples; scores are logits less the threshold of their fold, so that a sample is predicted
            fake from 0 on, and the more confidently the farther it is from 0.
        sure: gives the intervals.
    """
    *curve, aurc, excess = (sure(one) for one in resampling.recomputed(evalset, _figures, bounded=True))
    rows = [(coverage, one.value, one.low, one.high) for coverage, one in zip(COVERAGES, curve, strict=True)]
    return Selective(pd.DataFrame(rows, columns=["coverage", "risk", "low", "high"]), aurc, excess)


def _figures(labels: NDArray[np.int64], margins: Floats) -> Floats:
    errors = (margins >= 0) != labels
    found = risks(errors, np.abs(margins))
    # at least one sample is decided
    decided = np.maximum(np.ceil(COVERAGES * len(found) - 1e-9).astype(int), 1)
    area = found.mean()
    return np.append(found[decided - 1], [area, area - least(int(errors.sum()), len(errors))])
