"""Where to cut: logit thresholds, to be chosen on inner validation and never on what they are applied to."""

import math

import numpy as np
from numpy.typing import ArrayLike
from sklearn.metrics import roc_curve

from deepfake.evaluation.metrics import checked


def youden(labels: ArrayLike, logits: ArrayLike) -> float:
    """Return the logit threshold with the greatest TPR - FPR (Youden's J; Youden 1950, "Index for rating tests").

    It lies midway between the two neighbouring logits that it separates, so no sample sits on it. Of several equally
    good cuts the one that accuses the fewest reals wins; when no cut beats chance, that is one logit above the
    greatest, and everything is called real.

    Args:
        labels: 0 real or 1 fake, shape [n].
        logits: the detector's outputs, shape [n]; a sample is called fake when its logit is >= the threshold.

    Raises:
        InputError: a class is missing, or the arrays are not n labels and n finite logits.
    """
    labels, logits = checked(labels, logits)
    fpr, tpr, cuts = roc_curve(labels, logits, drop_intermediate=False)
    fakes, reals = int(labels.sum()), int((1 - labels).sum())
    # in whole numbers, since equal values of J differ in their last bit as floats
    j = np.rint(tpr * fakes).astype(np.int64) * reals - np.rint(fpr * reals).astype(np.int64) * fakes
    best = int(np.argmax(j))  # the first of equals: the highest threshold
    if best == 0:
        top = float(logits.max())
        return max(top + 1, math.nextafter(top, math.inf))  # adding 1 does not change a huge number
    # cuts are the distinct logits in falling order; J is 0 at the last one, so a next lower one exists
    above, below = float(cuts[best]), float(cuts[best + 1])
    middle = above / 2 + below / 2
    # two neighbouring floats have no number between them: then the cut sits on the upper one, which stays fake
    return middle if below < middle < above else above
