"""Where to cut: logit thresholds, to be chosen on inner validation and never on what they are applied to.

A rule is given labels (0 real or 1 fake, shape [n]) and logits (shape [n]); a sample is called fake when its logit is
at or above the threshold that the rule returns. A chosen threshold lies midway between the two neighbouring logits
that it separates, so no sample sits on it; one that calls everything real lies one logit above the greatest, one that
calls everything fake one below the least. Of several equally good cuts the highest wins: it accuses the fewest reals.
Cuts are compared in whole numbers or fractions of them, since equal shares may differ in their last bit as floats.

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

    J is twice the balanced accuracy minus 1, so the same cut has the greatest balanced accuracy. When no cut beats
    chance, everything is called real.
    """
    cuts = _cuts(labels, logits)
    return _threshold(cuts, int(np.argmax(cuts.found * cuts.reals - cuts.accused * cuts.fakes)))


def best_f1(labels: ArrayLike, logits: ArrayLike) -> float:
    """Return the logit threshold with the greatest macro F1: the mean of the F1 of reals and of fakes.

    Where fakes are many and a detector ranks worse than chance, it calls everything fake.
    """
    cuts = _cuts(labels, logits)
    spared = cuts.reals - cuts.accused
    wrong = cuts.accused + cuts.fakes - cuts.found
    f1 = cuts.found / (2 * cuts.found + wrong) + spared / (2 * spared + wrong)

    def exact(cut: int) -> Fraction:
        fakes, reals, errors = int(cuts.found[cut]), int(spared[cut]), int(wrong[cut])
        return Fraction(fakes, 2 * fakes + errors) + Fraction(reals, 2 * reals + errors)

    near = np.flatnonzero(f1 > f1.max() - 1e-9).tolist()  # far more than the rounding of f1
    return _threshold(cuts, max(near, key=exact))


def at_most_accused(labels: ArrayLike, logits: ArrayLike, percent: int) -> float:
    """Return the lowest logit threshold that accuses at most so many percent of the reals.

    With fewer than 100 / percent reals it lies above every one of them. It keeps its promise on the samples it is
    chosen on; n reals cannot promise that new ones are accused less often than about once in n.
    """
    cuts = _cuts(labels, logits)
    return _threshold(cuts, int(np.flatnonzero(100 * cuts.accused <= percent * cuts.reals)[-1]))


RULES: dict[str, Callable[[ArrayLike, ArrayLike], float]] = {
    "half": half,
    "youden": youden,
    "best_f1": best_f1,
    "best_balanced_accuracy": youden,  # the same cut, as its docstring says; named for tables that ask for it
    "fpr_1": partial(at_most_accused, percent=1),
    "fpr_5": partial(at_most_accused, percent=5),
}
TUNED = "youden"
"""The rule by which a checkpoint's own threshold is chosen."""


def all_of(labels: ArrayLike, logits: ArrayLike) -> dict[str, float]:
    """Return the logit threshold of every rule, by its name."""
    return {name: rule(labels, logits) for name, rule in RULES.items()}


class _Cuts(NamedTuple):
    """All ways to part a set of samples, from everything is real to everything is fake."""

    logits: NDArray[np.float64]
    """The least logit that is called fake, falling; infinite at the first cut."""
    found: NDArray[np.int64]
    """Fakes that are called fake."""
    accused: NDArray[np.int64]
    """Reals that are called fake."""
    fakes: int
    reals: int


def _cuts(labels: ArrayLike, logits: ArrayLike) -> _Cuts:
    """Count at each cut what is called fake."""
    labels, logits = checked(labels, logits)
    fpr, tpr, cuts = roc_curve(labels, logits, drop_intermediate=False)
    fakes, reals = int(labels.sum()), int((1 - labels).sum())
    return _Cuts(
        cuts, np.rint(tpr * fakes).astype(np.int64), np.rint(fpr * reals).astype(np.int64), fakes=fakes, reals=reals
    )


def _threshold(cuts: _Cuts, chosen: int) -> float:
    """Return the logit threshold that makes a cut."""
    least, greatest = float(cuts.logits[-1]), float(cuts.logits[1])
    # adding 1 does not change a huge number
    if chosen == 0:
        return max(greatest + 1, math.nextafter(greatest, math.inf))
    if chosen == len(cuts.logits) - 1:
        return min(least - 1, math.nextafter(least, -math.inf))
    above, below = float(cuts.logits[chosen]), float(cuts.logits[chosen + 1])
    middle = above / 2 + below / 2
    # two neighbouring floats have no number between them: then the cut sits on the upper one, which stays fake
    return middle if below < middle < above else above
