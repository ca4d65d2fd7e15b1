"""The mean of a figure that every sample has, and how sure it is of other people."""

import numpy as np
from numpy.typing import ArrayLike

from deepfake.evaluation.estimate import Estimate


def mean_over_groups(
    values: ArrayLike, groups: ArrayLike, *, bounded: bool = False, confidence: float = 0.95
) -> Estimate:
    """Return the mean over samples with its delete-one-group jackknife, Student's t with groups - 1 degrees of freedom.

    Unlike a logit, such a figure is on one scale in all folds, so they are pooled.

    Args:
        values: float [n], at least one.
        groups: the name of each sample's group, [n].
        bounded: whether the mean is a share; no standard error of one is less than half a sample's.
        confidence: of the interval.
    """
    values = np.asarray(values, np.float64)
    names, codes = np.unique(np.asarray(groups).astype(str), return_inverse=True)
    sums, counts = np.bincount(codes, weights=values), np.bincount(codes)
    few = len(names) < 3
    se = float("nan")
    if not few:
        without = (sums.sum() - sums) / (counts.sum() - counts)
        se = float(np.sqrt((len(names) - 1) * without.var()))
    reason = f"{len(names)} groups in all; a spread over people needs at least 3" if few else ""
    return Estimate.of(
        float(values.mean()),
        se,
        len(names) - 1,
        len(values),
        len(names),
        1,
        bounded=bounded,
        grain=0.5 / len(values) if bounded else 0.0,
        confidence=confidence,
        reason=reason,
    )
