"""What a detector decides at a threshold: counts, what they are worth, and how sure that is.

Thresholds are chosen on each fold's inner validation and applied to its held-out samples; the counts are then pooled.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit

from deepfake.evaluation import resampling
from deepfake.evaluation.evalset import EvalSet, Floats
from deepfake.evaluation.influence import Influence
from deepfake.evaluation.metrics import checked


class Counts(NamedTuple):
    """Samples by what they are predicted to be, and whether that is so; whole numbers, all four of one shape."""

    true_fakes: Floats
    """Fakes that are predicted fake."""
    false_fakes: Floats
    """Reals that are predicted fake."""
    true_reals: Floats
    """Reals that are predicted real."""
    false_reals: Floats
    """Fakes that are predicted real."""


def _recall_real(of: Counts) -> Floats:
    return _ratio(of.true_reals, of.true_reals + of.false_fakes)


def _precision_real(of: Counts) -> Floats:
    return _ratio(of.true_reals, of.true_reals + of.false_reals)


def _f1_real(of: Counts) -> Floats:
    return _ratio(2 * of.true_reals, 2 * of.true_reals + of.false_reals + of.false_fakes)


def _recall_fake(of: Counts) -> Floats:
    return _ratio(of.true_fakes, of.true_fakes + of.false_reals)


def _precision_fake(of: Counts) -> Floats:
    return _ratio(of.true_fakes, of.true_fakes + of.false_fakes)


def _f1_fake(of: Counts) -> Floats:
    return _ratio(2 * of.true_fakes, 2 * of.true_fakes + of.false_fakes + of.false_reals)


def _ratio(part: Floats, whole: Floats) -> Floats:
    """Return part / whole; 0 where the whole is: a class that is never predicted has precision 0."""
    return np.divide(part, whole, out=np.zeros(np.shape(whole)), where=np.asarray(whole) > 0)


GAP = "precision_recall_gap"
"""|precision - recall| of the reals, the minority. 0 where nothing is predicted real: read it beside the recall."""
METRICS: dict[str, Callable[[Counts], Floats]] = {
    "recall_real": _recall_real,
    "precision_real": _precision_real,
    "f1_real": _f1_real,
    "recall_fake": _recall_fake,
    "precision_fake": _precision_fake,
    "f1_fake": _f1_fake,
    "f1_macro": lambda of: (_f1_real(of) + _f1_fake(of)) / 2,
    "accuracy": lambda of: _ratio(of.true_fakes + of.true_reals, sum(of, start=np.zeros(()))),
    "balanced_accuracy": lambda of: (_recall_real(of) + _recall_fake(of)) / 2,
    "false_positive_rate": lambda of: _ratio(of.false_fakes, of.true_reals + of.false_fakes),
    GAP: lambda of: np.abs(_precision_real(of) - _recall_real(of)),
}
"""What counts are worth, element by element; all between 0 and 1."""
ROUNDING = 1e-12
"""Shares of few samples are often equal; as floats they may then differ by less than this."""


def count(labels: ArrayLike, logits: ArrayLike, threshold: float) -> Counts:
    """Count the decisions of one set of predictions at a logit threshold.

    Raises:
        InputError: a class is missing, or the arrays are not n labels and n finite logits.
    """
    labels, logits = checked(labels, logits)
    return _counts(labels, logits >= threshold, np.zeros(len(labels), np.intp), 1, ())


def _counts(
    labels: NDArray[np.int64], called: NDArray[np.bool_], cells: NDArray[np.intp], size: int, shape: tuple[int, ...]
) -> Counts:
    """Count decisions in each of `size` cells, and return the counts in a shape; `cells` is each sample's, [n]."""
    kinds = 2 * ~called + (called != labels)  # in the order of Counts
    counts = np.bincount(kinds * size + cells, minlength=4 * size).astype(np.float64)
    return Counts(*counts.reshape(4, *shape))


def decide(joined: pd.DataFrame, by_fold: Mapping[int, float]) -> pd.DataFrame:
    """Return the held-out samples with `predicted_fake`, each fold decided at its own logit threshold.

    Args:
        joined: predictions of one run with `fold, subset, label, logit`.
        by_fold: each fold's logit threshold.
    """
    held_out = joined[joined["subset"] == "held_out"]
    return held_out.assign(predicted_fake=held_out["logit"] >= held_out["fold"].map(by_fold))


def figure(decided: pd.DataFrame, metric: str) -> Influence:
    """Return a metric of the counts pooled over folds (Forman and Scholz 2010), for tests and intervals.

    That of `GAP` keeps its sign, precision less recall of the reals: its absolute value is no smooth figure.

    Args:
        decided: `decide`.
        metric: one of `METRICS`.

    Raises:
        InputError: a fold lacks a class, or a logit is not finite.
    """
    of = _signed_gap if metric == GAP else METRICS[metric]

    def pooled(counts: Floats) -> Floats:
        true_reals, false_fakes, false_reals, true_fakes = np.moveaxis(counts, -1, 0)
        return of(Counts(true_fakes, false_fakes, true_reals, false_reals))

    called = decided["predicted_fake"].to_numpy()
    return resampling.counted(EvalSet.of(decided), called, pooled, bounded=metric != GAP)


def _signed_gap(of: Counts) -> Floats:
    return _precision_real(of) - _recall_real(of)


def operating_points(joined: pd.DataFrame, chosen: Mapping[str, Mapping[int, float]]) -> pd.DataFrame:
    """Return what is decided about the held-out samples at each threshold rule.

    Args:
        joined: predictions of one run with `fold, repeat, subset, label, logit`.
        chosen: for each rule each fold's logit threshold.

    Returns:
        One row a rule: `rule`, `probability` (the median over folds of its thresholds), the four counts, summed over
        folds and repeats, and every metric of `METRICS` of the counts pooled over folds, a mean over repeats.
    """
    found = []
    for rule, by_fold in chosen.items():
        parts = [
            count(part["label"], part["predicted_fake"], 0.5) for _, part in decide(joined, by_fold).groupby("repeat")
        ]
        by_repeat = Counts(*np.array(parts).T)
        place = {"rule": rule, "probability": float(np.median(expit(list(by_fold.values()))))}
        whole = {name: int(values.sum()) for name, values in by_repeat._asdict().items()}
        found.append(place | whole | {name: float(metric(by_repeat).mean()) for name, metric in METRICS.items()})
    return pd.DataFrame(found)
