"""What one set of predictions is worth: ranking, decisions, calibration, and each source on its own.

Everywhere the positive class is fake (label 1), a logit grows with the belief that a sample is fake, and a
sample is called fake when its logit is at or above the threshold. Every figure here compares fakes with reals,
so a set that lacks one of them is an `InputError`, never a NaN.
"""

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit
from sklearn.metrics import auc as area_under
from sklearn.metrics import (
    average_precision_score,
    brier_score_loss,
    confusion_matrix,
    precision_recall_fscore_support,
    roc_curve,
)

from deepfake.errors import InputError

CALIBRATION_BINS = 15
ROC_POINTS = 200


def classification(labels: ArrayLike, logits: ArrayLike, threshold: float = 0.0) -> dict[str, float]:
    """Return every metric of one set of predictions.

    Args:
        labels: 0 real or 1 fake, shape [n].
        logits: the detector's outputs, shape [n].
        threshold: the logit from which on a sample is called fake; 0 is probability 0.5.

    Returns:
        The ranking metrics `auc`, `average_precision`, `eer`, `tpr_at_fpr_1`, `tpr_at_fpr_5`; at the threshold
        `accuracy`, `balanced_accuracy` and `precision_*`, `recall_*`, `f1_*` of `fake` and `real` (a class that is
        never predicted has precision 0), `f1_macro` (mean of the two); of the probabilities `brier`, `ece` and
        `log_loss` (natural logarithm).

    Raises:
        InputError: a class is missing, or the arrays are not n labels and n finite logits.
    """
    labels, logits = checked(labels, logits)
    predicted, curve = logits >= threshold, _every_threshold(labels, logits)
    per_class: dict[str, Any] = {"labels": [0, 1], "average": None, "zero_division": 0}
    precision, recall, f1 = np.array(precision_recall_fscore_support(labels, predicted, **per_class)[:3])
    values: dict[str, Any] = {
        "auc": auc(labels, logits),
        "average_precision": average_precision_score(labels, logits),
        "accuracy": np.mean(predicted == labels),
        "balanced_accuracy": np.mean(recall),
        "precision_fake": precision[1],
        "recall_fake": recall[1],
        "f1_fake": f1[1],
        "precision_real": precision[0],
        "recall_real": recall[0],
        "f1_real": f1[0],
        "f1_macro": np.mean(f1),
        "eer": _eer(*curve),
        "tpr_at_fpr_1": _tpr_at_fpr(*curve, 0.01),
        "tpr_at_fpr_5": _tpr_at_fpr(*curve, 0.05),
        "brier": brier_score_loss(labels, expit(logits)),
        "ece": ece(labels, logits),
        # from the logits: scikit-learn's log_loss takes probabilities, which saturate and are clipped
        "log_loss": np.mean(np.logaddexp(0, np.where(labels == 1, -logits, logits))),
    }
    return {name: float(value) for name, value in values.items()}


def auc(labels: ArrayLike, logits: ArrayLike) -> float:
    """Return the area under the ROC curve: the chance that a fake outscores a real; a tie counts half."""
    labels, logits = checked(labels, logits)
    # what roc_auc_score does for two classes, once it has found out in twice the time that there are two
    return float(area_under(*roc_curve(labels, logits)[:2]))


def eer(labels: ArrayLike, logits: ArrayLike) -> float:
    """Return the equal error rate, where as many reals are called fake as fakes are called real (both shares).

    The ROC curve is interpolated linearly between neighbouring thresholds, so the rate need not be reached by any
    one threshold. It is above 0.5 for a detector that is worse than chance.
    """
    return _eer(*_every_threshold(*checked(labels, logits)))


def tpr_at_fpr(labels: ArrayLike, logits: ArrayLike, target: float) -> float:
    """Return the largest share of fakes found by a threshold that accuses at most a share `target` of the reals.

    Only real thresholds count, nothing is interpolated: with fewer than 1/target reals it is the share of fakes
    above every real.
    """
    return _tpr_at_fpr(*_every_threshold(*checked(labels, logits)), target)


def _every_threshold(labels: NDArray[np.int64], logits: NDArray[np.float64]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return the ROC curve, FPR and TPR, at all thresholds."""
    fpr, tpr, _ = roc_curve(labels, logits, drop_intermediate=False)
    return fpr, tpr


def _eer(fpr: NDArray[Any], tpr: NDArray[Any]) -> float:
    # at all thresholds FPR - FNR grows strictly from -1 to 1 and crosses 0 once
    return float(np.interp(0.0, fpr - (1 - tpr), fpr))


def _tpr_at_fpr(fpr: NDArray[Any], tpr: NDArray[Any], target: float) -> float:
    return float(tpr[fpr <= target].max())


def ece(labels: ArrayLike, logits: ArrayLike, bins: int = CALIBRATION_BINS) -> float:
    """Return the expected calibration error of the probability of being fake.

    The mean over the samples of |mean probability - share of fakes| in a sample's bin; bins are of equal width and
    closed on the right (Guo et al. 2017, "On calibration of modern neural networks", with the probability of the
    positive class in place of the confidence of the predicted one, as in scikit-learn's `calibration_curve`).
    """
    labels, logits = checked(labels, logits)
    probability = expit(logits)
    inner_edges = np.linspace(0, 1, bins + 1)[1:-1]
    bin_of = np.searchsorted(inner_edges, probability)
    # |sum of p - sum of y| in a bin is its size times the difference of the two means; an empty bin adds nothing
    excess = np.bincount(bin_of, weights=probability - labels, minlength=bins)
    return float(np.abs(excess).sum() / len(labels))


def roc_points(labels: ArrayLike, logits: ArrayLike, most: int = ROC_POINTS) -> pd.DataFrame:
    """Return the ROC curve for a plot: columns `fpr`, `tpr`, `threshold` (a logit), at most `most` rows.

    Both ends are kept and the points are spread evenly along the curve, so what is drawn is nowhere farther than
    2 / (most - 1) from the whole curve. The first threshold, which calls nothing fake, is one above the greatest
    logit (scikit-learn has infinity there, which neither JSON nor a plot can show).
    """
    labels, logits = checked(labels, logits)
    fpr, tpr, threshold = roc_curve(labels, logits)
    threshold[0] = logits.max() + 1
    length = fpr + tpr  # along the curve, since it only ever goes right and up
    keep = np.unique(np.searchsorted(length, np.linspace(0, length[-1], most)))
    return pd.DataFrame({"fpr": fpr[keep], "tpr": tpr[keep], "threshold": threshold[keep]})


def confusion(labels: ArrayLike, logits: ArrayLike, threshold: float = 0.0) -> pd.DataFrame:
    """Count the samples by what they are (rows `actual`) and are called (columns `predicted`): `real`, `fake`."""
    labels, logits = checked(labels, logits)
    counts = confusion_matrix(labels, logits >= threshold, labels=[0, 1])
    names = ["real", "fake"]
    return pd.DataFrame(counts, index=pd.Index(names, name="actual"), columns=pd.Index(names, name="predicted"))


def source_auc(labels: ArrayLike, logits: ArrayLike, sources: ArrayLike) -> dict[str, float]:
    """Return the AUC of each source's fakes against all reals, by the name of the source in sorted order.

    Args:
        labels: 0 real or 1 fake, shape [n].
        logits: the detector's outputs, shape [n].
        sources: who made each sample, shape [n]; the reals' sources play no part.
    """
    labels, logits = checked(labels, logits)
    sources = np.asarray(sources)
    if sources.shape != labels.shape:
        raise InputError(f"{len(labels)} labels but sources of shape {sources.shape}; give one source a sample")
    real = labels == 0
    result = {}
    for source in sorted(set(sources[~real])):
        chosen = real | (sources == source)
        result[str(source)] = auc(labels[chosen], logits[chosen])
    return result


def checked(labels: ArrayLike, logits: ArrayLike) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return labels and logits as arrays that a metric is defined on.

    Raises:
        InputError: shapes differ, a label is not 0 or 1, a logit is not finite, or a class is missing.
    """
    labels, logits = np.asarray(labels), np.asarray(logits, dtype=np.float64)
    if labels.ndim != 1 or labels.shape != logits.shape:
        raise InputError(
            f"labels of shape {labels.shape} and logits of shape {logits.shape}; give one of each a sample"
        )
    if not (known := np.isin(labels, (0, 1))).all():
        row = int(known.argmin())
        raise InputError(f"label {labels[row]!r} in row {row}; labels are 0 (real) and 1 (fake)")
    if not (finite := np.isfinite(logits)).all():
        row = int(finite.argmin())
        raise InputError(f"logit {logits[row]} in row {row}; every logit must be a finite number")
    for value, name in ((0, "real"), (1, "fake")):
        if not (labels == value).any():
            raise InputError(f"no {name} sample among {len(labels)}; this metric needs reals and fakes")
    return labels.astype(np.int64), logits
