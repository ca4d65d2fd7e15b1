"""How much of a detector's logit a leak explains, and what the detector is worth where the leak tells nothing.

All of it on held-out folds, and figures of different folds are never pooled: their logits are not on one scale.
Intervals are those of these trained models on other people (`resampling.trained_models`).
"""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import scipy.stats
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from deepfake.config.params import Evaluation
from deepfake.evaluation import influence, probes, resampling, verdicts
from deepfake.evaluation.estimate import Estimate
from deepfake.evaluation.evalset import EvalSet, Floats
from deepfake.evaluation.influence import Influence

MIN_PAIRS = 10
"""Fewest matched pairs in every fold; below it there is no overlap to compare reals and fakes on."""
MIN_GROUPS = 3
"""Fewest groups of the matched samples in every fold: what can be resampled."""

COLUMNS = (
    *("samples", "groups", "auc", "auc_low", "auc_high", "leak_auc"),
    *("r2", "r2_low", "r2_high", "spearman_real", "spearman_fake"),
    *("pairs", "overlap", "matched_auc", "matched_auc_low", "matched_auc_high", "matched_p", "beyond"),
    *("matched_leak_auc", "residual_auc", "residual_auc_low", "residual_auc_high"),
)
"""What `explain` and `judge` find out."""


def explain(
    logits: Floats,
    features: pd.DataFrame,
    scores: Floats,
    samples: EvalSet,
    *,
    caliper: float,
    evaluation: Evaluation,
) -> tuple[dict[str, Any], Influence | None]:
    """Hold a detector's held-out logits against a leak.

    Args:
        logits: the detector's, shape [n].
        features: those of the leak, one row a sample.
        scores: the leak's cross-fitted log-odds (`probes.probe`), shape [n].
        samples: who they are.
        caliper: largest difference of matched scores, in standard deviations of the scores in a fold.
        evaluation: confidence.

    Returns:
        `auc` of the detector and `leak_auc`. `r2`: the share of the logits' variance that the features predict, each
        fold by a regression on the other folds. `spearman_real, spearman_fake`: the rank correlation of logit and score
        among samples of one class, where the label plays no part. `pairs, matched_leak_auc`: the leak where each
        real has a fake of nearly the same score; missing where there are too few such pairs.
        `residual_auc`: of the logits less what the features predict. With `_low` and `_high` of
        95% CIs (cluster jackknife). And the detector's AUC on the matched pairs, to be judged with those of all other
        rows (`judge`); None where there are too few.
    """
    standard = standardised(logits, samples.folds)
    predicted = regress(standard, features, samples.folds)
    rows = match(scores, samples, caliper)
    row: dict[str, Any] = {"samples": len(logits), "groups": len(np.unique(samples.groups))}
    row |= _interval("auc", _auc(logits, samples), evaluation)
    row |= {"leak_auc": float(_auc(scores, samples).values.mean())}
    row |= _interval("r2", explained(standard, predicted, samples), evaluation)
    row |= {f"spearman_{kind}": within_class(logits, scores, samples, label) for label, kind in enumerate(KINDS)}
    row |= {"pairs": len(rows) // 2, "overlap": overlaps(samples, rows)}
    alike = matched(logits, samples, rows) if row["overlap"] else None
    row["matched_leak_auc"] = float(matched(scores, samples, rows).values.mean()) if row["overlap"] else np.nan
    return row | _interval("residual_auc", _auc(standard - predicted, samples), evaluation), alike


def judge(found: Sequence[tuple[dict[str, Any], Influence | None]], evaluation: Evaluation) -> list[dict[str, Any]]:
    """Say which detectors see more than a leak.

    Args:
        found: what `explain` returns, for all rows of a table.
        evaluation: confidence, and how far above chance is of no use.

    Returns:
        The rows, and `beyond`: whether `matched_auc`, on pairs that are alike to the leak, is above chance, with the
        interval and the p-value of this test, after Holm.
    """
    figures = [resampling.trained_models(figure, 0.5, evaluation.confidence) for _, figure in found if figure]
    told = iter(verdicts.against_chance(figures, evaluation.rope, evaluation.confidence))
    missing = dict.fromkeys(("matched_auc", "matched_auc_low", "matched_auc_high", "matched_p"), np.nan)
    rows = []
    for row, figure in found:
        if figure is None:
            rows.append(row | missing | {"beyond": ""})
            continue
        verdict = next(told)
        ends = {"matched_auc_low": verdict.low, "matched_auc_high": verdict.high}
        facts = {"matched_auc": verdict.estimate.value, "matched_p": verdict.p, "beyond": verdict.word}
        rows.append(row | facts | ends)
    return rows


KINDS = ("real", "fake")
"""What the labels 0 and 1 are called."""


def standardised(values: Floats, folds: NDArray) -> Floats:
    """Return values with mean 0 and standard deviation 1 within each fold; a fold of equal values becomes 0."""
    within = pd.Series(values).groupby(folds)
    spread = within.transform("std", ddof=0).to_numpy()
    centred = values - within.transform("mean").to_numpy()
    return np.divide(centred, spread, out=np.zeros(len(values)), where=spread > 0)


def regress(values: Floats, features: pd.DataFrame, folds: NDArray) -> Floats:
    """Return what models that were trained on all other folds predict for each sample, shape [n].

    The mean of boosted trees and ridge regression, for the reason that `probes.blend` gives, less its own mean over the
    fold: where a fold's logits have their zero is arbitrary.
    """
    inputs = probes.matrix(features)
    predicted = np.empty(len(values))
    for held_out, training in probes.fold_rows(folds):
        models = (HistGradientBoostingRegressor(**probes.BOOSTING), make_pipeline(StandardScaler(), Ridge(10.0)))
        fitted = [model.fit(inputs[training], values[training]) for model in models]
        found = np.mean([model.predict(inputs[held_out]) for model in fitted], axis=0)
        predicted[held_out] = found - found.mean()
    return predicted


def explained(values: Floats, predicted: Floats, samples: EvalSet) -> Influence:
    """Return the mean over folds of R^2, and what each group contributes to it.

    R^2 is negative where the prediction is worse than the fold's mean, which is 0.

    Args:
        values: `standardised` within folds, shape [n].
        predicted: of them, shape [n].
        samples: who they are.
    """
    _, codes = np.unique(samples.groups, return_inverse=True)
    parts = []
    for fold in np.unique(samples.folds):
        rows = np.flatnonzero(samples.folds == fold)
        present, local = np.unique(codes[rows], return_inverse=True)
        square, error = (
            np.bincount(local, each[rows] ** 2, minlength=len(present)) for each in (values, values - predicted)
        )
        left = 1 - _ratio(error.sum() - error, square.sum() - square)
        value = float(1 - _ratio(error.sum(), square.sum()))
        parts.append(influence.Part(int(fold), int(samples.repeats[rows[0]]), present, value, left))
    return influence.assemble(samples, parts, bounded=False)


def _ratio(error: Floats | float, square: Floats | float) -> Floats:
    """Return the share of squares that is error; all of it where there is nothing to explain."""
    error, square = np.asarray(error, np.float64), np.asarray(square, np.float64)
    return np.divide(error, square, out=np.ones_like(square), where=square > 0)


def within_class(logits: Floats, scores: Floats, samples: EvalSet, label: int) -> float:
    """Return Spearman's correlation of logit and score among the samples of one class: the mean over folds.

    A fold whose logits or scores are all the same has none; NaN where no fold has one.
    """
    found = []
    for fold in np.unique(samples.folds):
        rows = (samples.folds == fold) & (samples.labels == label)
        if np.ptp(logits[rows]) > 0 and np.ptp(scores[rows]) > 0:
            ranks = [scipy.stats.rankdata(values[rows]) for values in (logits, scores)]
            found.append(np.corrcoef(ranks[0], ranks[1])[0, 1])
    return float(np.mean(found)) if found else np.nan


def match(scores: Floats, samples: EvalSet, caliper: float) -> NDArray[np.intp]:
    """Pair each real with the fake of the nearest score in its fold, if one is near enough.

    Nearest neighbours without replacement within a caliper (Austin 2011, "Optimal caliper widths for propensity-score
    matching": 0.2 standard deviations of the logit of the score). Reals of the lowest score have the fewest fakes near
    them and choose first; equal scores choose in the order of the rows.

    Returns:
        The rows of the matched samples, each real followed by its fake.
    """
    rows: list[int] = []
    for fold in np.unique(samples.folds):
        inside = np.flatnonzero(samples.folds == fold)
        reals, fakes = (
            chosen[np.argsort(scores[chosen], kind="stable")]
            for chosen in (inside[samples.labels[inside] == label] for label in (0, 1))
        )
        for real, fake in _nearest(scores[reals], scores[fakes], caliper * float(scores[inside].std())):
            rows += (reals[real], fakes[fake])
    return np.array(rows, dtype=np.intp)


def _nearest(reals: Floats, fakes: Floats, reach: float) -> list[tuple[int, int]]:
    """Return pairs of places in two sorted arrays, by rising real; no place is taken twice."""
    free = np.arange(len(fakes) + 2)  # the next free fake at or below a place counted from 1; 0 is none
    above = np.arange(len(fakes) + 2)  # and at or above it; len(fakes) + 1 is none

    def find(links: NDArray[np.intp], place: int) -> int:
        while links[place] != place:
            links[place] = links[links[place]]
            place = links[place]
        return place

    pairs = []
    for real, value in enumerate(reals):
        place = int(np.searchsorted(fakes, value))
        below, over = find(free, place), find(above, place + 1)
        near = [(abs(value - fakes[each - 1]), each) for each in (below, over) if 0 < each <= len(fakes)]
        if near and (best := min(near))[0] <= reach:
            taken = best[1]
            free[taken], above[taken] = taken - 1, taken + 1
            pairs.append((real, taken - 1))
    return pairs


def overlaps(samples: EvalSet, rows: NDArray[np.intp]) -> bool:
    """Tell whether the matched samples are enough in every fold to compare reals and fakes on."""
    counts = pd.DataFrame({"fold": samples.folds[rows], "group": samples.groups[rows]}).groupby("fold")["group"]
    complete = len(counts) == len(np.unique(samples.folds))
    return complete and bool((counts.size() >= 2 * MIN_PAIRS).all() and (counts.nunique() >= MIN_GROUPS).all())


def matched(scores: Floats, samples: EvalSet, rows: NDArray[np.intp]) -> Influence:
    """Return the AUC on matched samples (`match`)."""
    return _auc(scores[rows], samples.take(rows))


def _auc(scores: Floats, samples: EvalSet) -> Influence:
    return resampling.auc(dataclasses.replace(samples, scores=scores))


def _interval(name: str, figure: Influence, evaluation: Evaluation) -> dict[str, float]:
    """Return a figure and the ends of its interval as columns."""
    found: Estimate = resampling.trained_models(figure, confidence=evaluation.confidence)
    return {name: found.value, f"{name}_low": found.low, f"{name}_high": found.high}
