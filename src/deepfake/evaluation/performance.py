"""What the predictions of trained models are worth on other people: ranking, and decisions at a threshold."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from deepfake.evaluation import metrics, resampling
from deepfake.evaluation.estimate import Estimate
from deepfake.evaluation.evalset import EvalSet, Floats
from deepfake.evaluation.influence import Influence, Part, assemble
from deepfake.evaluation.resampling import COUNTED

DECISIONS = {
    "accuracy": "accuracy",
    "precision": "precision_fake",
    "recall": "recall_fake",
    "f1": "f1_fake",
    "balanced_accuracy": "balanced_accuracy",
}
"""Figures that need decisions alone, each with its name in `resampling.COUNTED`."""
RANKING = ("auc", "auc_all", "eer")
"""Figures that need scores: the AUC over pairs of different groups, the usual AUC over all pairs, and the EER."""
COLUMNS = ("accuracy", "precision", "recall", "f1", "auc", "auc_all", "eer", "balanced_accuracy")
"""All figures, in the order of a table; precision, recall and F1 are those of the fakes."""


def of_decisions(evalset: EvalSet, predicted_fake: ArrayLike, confidence: float) -> dict[str, Estimate]:
    """Return each of `DECISIONS`, pooled over folds, for these trained models on other people.

    Args:
        evalset: the samples.
        predicted_fake: bool [n], each fold at its own threshold, which stays as it is.
        confidence: of the intervals.
    """
    figures = {name: resampling.counted(evalset, predicted_fake, COUNTED[key], True) for name, key in DECISIONS.items()}
    return {name: resampling.trained_models(figure, confidence=confidence) for name, figure in figures.items()}


def of_scores(evalset: EvalSet, predicted_fake: ArrayLike, confidence: float) -> dict[str, Estimate]:
    """Return each of `COLUMNS` (`of_decisions`); figures of the ranking are means over folds."""
    ranking = resampling.auc(evalset), resampling.auc(evalset, "all"), eer(evalset)
    found = of_decisions(evalset, predicted_fake, confidence)
    for name, figure in zip(RANKING, ranking, strict=True):
        found[name] = resampling.trained_models(figure, confidence=confidence)
    return {name: found[name] for name in COLUMNS}


def flat(figures: dict[str, Estimate]) -> dict[str, float]:
    """Return each figure under its name, and the ends of its interval behind it."""
    ends: dict[str, Any] = {"": "value", "_low": "low", "_high": "high"}
    return {f"{name}{end}": getattr(figure, key) for name, figure in figures.items() for end, key in ends.items()}


def eer(evalset: EvalSet) -> Influence:
    """Return the mean over folds of the equal error rate (`metrics.eer`)."""
    parts = []
    for fold in np.unique(evalset.folds):
        rows = evalset.folds == fold
        labels, scores = evalset.labels[rows], evalset.scores[rows]
        present, local = np.unique(evalset.groups[rows], return_inverse=True)
        without = _without_each(labels, scores, local, len(present))
        parts.append((int(fold), int(evalset.repeats[rows][0]), present, metrics.eer(labels, scores), without))
    names = np.unique(evalset.groups)
    placed = [Part(fold, repeat, np.searchsorted(names, own), value, gone) for fold, repeat, own, value, gone in parts]
    return assemble(evalset, placed, bounded=True)


def _without_each(labels: NDArray[np.int64], scores: Floats, groups: NDArray[np.intp], count: int) -> Floats:
    """Return the EER without each group; NaN where a class is then missing.

    FPR - FNR grows with the number k of score levels above the threshold; where it crosses 0 is found by bisection for
    all groups at once, from counts alone.
    """
    _, level = np.unique(-scores, return_inverse=True)
    levels = int(level.max()) + 1
    total, mine, keys, starts = [], [], [], []
    for kind in (0, 1):
        inside = labels == kind
        total.append(np.concatenate([[0], np.cumsum(np.bincount(level[inside], minlength=levels))]))
        mine.append(np.bincount(groups[inside], minlength=count))
        keys.append(np.sort(groups[inside] * (levels + 1) + level[inside]))
        starts.append(np.cumsum(mine[kind]) - mine[kind])
    left = [total[kind][-1] - mine[kind] for kind in (0, 1)]
    whole = (left[0] > 0) & (left[1] > 0)

    def rates(k: NDArray[np.intp]) -> tuple[Floats, Floats]:
        """Return the false positive rate and its excess over the false negative rate, a threshold a group."""
        fpr, tpr = (
            (total[kind][k] - (np.searchsorted(keys[kind], np.arange(count) * (levels + 1) + k) - starts[kind]))
            / np.maximum(left[kind], 1)
            for kind in (0, 1)
        )
        return fpr, fpr + tpr - 1

    low, high = np.zeros(count, dtype=np.intp), np.full(count, levels, dtype=np.intp)
    while (high - low > 1).any():
        middle = (low + high) // 2
        below = rates(middle)[1] <= 0
        low, high = np.where(below, middle, low), np.where(below, high, middle)
    (fpr, under), (next_fpr, over) = rates(low), rates(high)
    share = np.divide(-under, over - under, out=np.zeros(count), where=over > under)
    return np.where(whole, fpr + share * (next_fpr - fpr), np.nan)
