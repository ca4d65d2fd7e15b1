"""Logit thresholds, to be chosen on inner validation and never on what they are applied to.

A rule is given labels (0 real or 1 fake, shape [n]) and logits (shape [n]); a sample is predicted fake when its logit
is at or above the threshold that the rule returns. A chosen threshold lies midway between the two neighbouring logits
that it separates, so no sample sits on it; one that predicts everything real lies one logit above the greatest, one
that predicts everything fake one below the least. Of several equally good thresholds the highest wins: it has the
fewest false positives. They are compared in whole numbers or fractions of them, since equal shares may differ in their
last bit as floats.

All rules but `half` raise an `InputError` when a class is missing, or the arrays are not n labels and n finite logits.
"""

import math
from collections.abc import Callable
from fractions import Fraction
from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.metrics import roc_curve

from deepfake.evaluation.metrics import checked


def half(labels: ArrayLike, logits: ArrayLike) -> float:
    """Return 0, the logit of probability 0.5, whatever the samples are."""
    return 0.0


def youden(labels: ArrayLike, logits: ArrayLike) -> float:
    """Return the logit threshold with the greatest TPR - FPR (Youden's J; Youden 1950, "Index for rating tests").

    J is twice the balanced accuracy minus 1, so the same threshold has the greatest balanced accuracy. When none beats
    chance, everything is predicted real.
    """
    curve = _curve(labels, logits)
    return _threshold(curve, int(np.argmax(curve.true_fakes * curve.reals - curve.false_fakes * curve.fakes)))


def best_f1(labels: ArrayLike, logits: ArrayLike) -> float:
    """Return the logit threshold with the greatest macro F1: the mean of the F1 of reals and of fakes.

    Where fakes are many and a detector ranks worse than chance, it predicts everything fake.
    """
    curve = _curve(labels, logits)
    true_reals = curve.reals - curve.false_fakes
    wrong = curve.false_fakes + curve.fakes - curve.true_fakes
    f1 = curve.true_fakes / (2 * curve.true_fakes + wrong) + true_reals / (2 * true_reals + wrong)

    def exact(place: int) -> Fraction:
        fakes, reals, errors = int(curve.true_fakes[place]), int(true_reals[place]), int(wrong[place])
        return Fraction(fakes, 2 * fakes + errors) + Fraction(reals, 2 * reals + errors)

    near = np.flatnonzero(f1 > f1.max() - 1e-9).tolist()  # far more than the rounding of f1
    return _threshold(curve, max(near, key=exact))


def fpr_at_most(labels: ArrayLike, logits: ArrayLike, percent: int) -> float:
    """Return the lowest logit threshold that predicts at most so many percent of the reals fake.

    With fewer than 100 / percent reals it lies above every one of them. It keeps its promise on the samples it is
    chosen on; n reals cannot promise that new ones are false positives less often than about once in n.
    """
    curve = _curve(labels, logits)
    return _threshold(curve, int(np.flatnonzero(100 * curve.false_fakes <= percent * curve.reals)[-1]))


RULES: dict[str, Callable[[ArrayLike, ArrayLike], float]] = {
    "half": half,
    "youden": youden,
    "best_f1": best_f1,
    "best_balanced_accuracy": youden,  # the same, as its docstring says; named for tables that ask for it
    "fpr_1": partial(fpr_at_most, percent=1),
    "fpr_5": partial(fpr_at_most, percent=5),
}
TUNED = "youden"
"""The rule by which a checkpoint's own threshold is chosen."""


def all_of(labels: ArrayLike, logits: ArrayLike) -> dict[str, float]:
    """Return the logit threshold of every rule, by its name."""
    return {name: rule(labels, logits) for name, rule in RULES.items()}


class _Curve(NamedTuple):
    """All thresholds of a set of samples, from everything is real to everything is fake."""

    logits: NDArray[np.float64]
    """The least logit that is predicted fake, falling; infinite at the first."""
    true_fakes: NDArray[np.int64]
    """Fakes that are predicted fake."""
    false_fakes: NDArray[np.int64]
    """Reals that are predicted fake."""
    fakes: int
    reals: int


def _curve(labels: ArrayLike, logits: ArrayLike) -> _Curve:
    """Count at each threshold what is predicted fake."""
    labels, logits = checked(labels, logits)
    fpr, tpr, least = roc_curve(labels, logits, drop_intermediate=False)
    fakes, reals = int(labels.sum()), int((1 - labels).sum())
    return _Curve(
        least, np.rint(tpr * fakes).astype(np.int64), np.rint(fpr * reals).astype(np.int64), fakes=fakes, reals=reals
    )


def _threshold(curve: _Curve, chosen: int) -> float:
    """Return the logit threshold of a place on the curve."""
    least, greatest = float(curve.logits[-1]), float(curve.logits[1])
    # adding 1 does not change a huge number
    if chosen == 0:
        return max(greatest + 1, math.nextafter(greatest, math.inf))
    if chosen == len(curve.logits) - 1:
        return min(least - 1, math.nextafter(least, -math.inf))
    above, below = float(curve.logits[chosen]), float(curve.logits[chosen + 1])
    middle = above / 2 + below / 2
    # two neighbouring floats have no number between them: then the threshold is the upper one, which stays fake
    return middle if below < middle < above else above
