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


def of_ranking(evalset: EvalSet, confidence: float) -> dict[str, Estimate]:
    """Return each of `RANKING`, means over folds."""
    figures = resampling.auc(evalset), resampling.auc(evalset, "all"), eer(evalset)
    return {
        name: resampling.trained_models(figure, confidence=confidence)
        for name, figure in zip(RANKING, figures, strict=True)
    }


def of_scores(evalset: EvalSet, predicted_fake: ArrayLike, confidence: float) -> dict[str, Estimate]:
    """Return each of `COLUMNS`: those of `of_decisions` and of `of_ranking`."""
    found = of_decisions(evalset, predicted_fake, confidence) | of_ranking(evalset, confidence)
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


def average_precision(evalset: EvalSet) -> Influence:
    """Return the average precision of one fold, as scikit-learn defines it; rows of equal score count together.

    A group's contribution is the derivative of the figure by the weight of its rows (infinitesimal jackknife, Efron
    1982), not the figure computed anew: that would take a second for each of a million groups.
    """
    labels, positives = evalset.labels, int(evalset.labels.sum())
    _, level = np.unique(-evalset.scores, return_inverse=True)
    fakes = np.bincount(level, labels).astype(float)
    found, total = np.cumsum(fakes), np.cumsum(np.bincount(level))
    value = float((fakes * found / total).sum() / positives)
    # what a row adds to the counts of its own level and of all below it
    reach = [np.cumsum(part[::-1])[::-1] for part in (fakes / total, fakes * found / total**2)]
    own = labels * ((found / total)[level] - value + reach[0][level]) - reach[1][level]
    present, local = np.unique(evalset.groups, return_inverse=True)
    without = value - np.bincount(local, own, minlength=len(present)) / positives
    return assemble(evalset, [Part(0, 0, np.arange(len(present)), value, without)], bounded=True)


def share(chosen: ArrayLike, groups: ArrayLike, confidence: float) -> Estimate:
    """Return the share of samples that are chosen, on other groups: delete-one-group jackknife.

    Args:
        chosen: bool [n].
        groups: the name of what samples share, [n].
        confidence: of the interval.
    """
    chosen = np.asarray(chosen, dtype=bool)
    _, codes = np.unique(np.asarray(groups), return_inverse=True)
    sizes, hits = np.bincount(codes), np.bincount(codes, chosen)
    count = len(sizes)
    reason = "" if count >= 3 else f"{count} groups in all; a spread over groups needs at least 3"
    without = (hits.sum() - hits) / np.maximum(sizes.sum() - sizes, 1)
    spread = (count - 1) / count * ((without - without.mean()) ** 2).sum()
    return Estimate.of(
        value=float(chosen.mean()),
        se=float("nan") if reason else float(np.sqrt(spread)),
        df=count - 1,
        n_samples=len(chosen),
        n_groups=count,
        repeats=1,
        bounded=True,
        grain=0.5 / len(chosen),
        confidence=confidence,
        reason=reason,
    )


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
