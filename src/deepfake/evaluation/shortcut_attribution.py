"""How much of a detector's logit a leak explains, and what the detector is worth where the leak tells nothing.

All of it on held-out folds, and figures of different folds are never pooled: their logits are not on one scale.
"""

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
from deepfake.evaluation import bootstrap, probes
from deepfake.evaluation.bootstrap import Floats, Interval
from deepfake.evaluation.probes import Samples

MIN_PAIRS = 10
"""Fewest matched pairs in every fold; below it there is no overlap to compare reals and fakes on."""
MIN_GROUPS = 3
"""Fewest groups of the matched samples in every fold: what can be resampled."""

COLUMNS = (
    *("samples", "groups", "auc", "auc_low", "auc_high", "leak_auc"),
    *("r2", "r2_low", "r2_high", "spearman_real", "spearman_fake"),
    *("pairs", "overlap", "matched_auc", "matched_auc_low", "matched_auc_high", "matched_leak_auc"),
    *("residual_auc", "residual_auc_low", "residual_auc_high"),
)
"""What `explain` finds out."""


def explain(
    logits: Floats,
    features: pd.DataFrame,
    scores: Floats,
    samples: Samples,
    *,
    caliper: float,
    evaluation: Evaluation,
    seed: int,
) -> dict[str, Any]:
    """Hold a detector's held-out logits against a leak.

    Args:
        logits: the detector's, shape [n].
        features: those of the leak, one row a sample.
        scores: the leak's cross-fitted log-odds (`probes.probe`), shape [n].
        samples: who they are.
        caliper: largest difference of matched scores, in standard deviations of the scores in a fold.
        evaluation: confidence and replicates.
        seed: of the bootstrap.

    Returns:
        `auc` of the detector and `leak_auc`. `r2`: the share of the logits' variance that the features predict, each
        fold by a regression on the other folds. `spearman_real, spearman_fake`: the rank correlation of logit and score
        among samples of one class, where the label plays no part. `pairs, matched_auc, matched_leak_auc`: the detector
        and the leak where each real has a fake of nearly the same score; missing where there are too few such pairs.
        `residual_auc`: of the logits less what the features predict. With `_low` and `_high` of intervals over groups.
    """
    standard = standardised(logits, samples.folds)
    predicted = regress(standard, features, samples.folds)
    rows = match(scores, samples, caliper)
    row: dict[str, Any] = {"samples": len(logits), "groups": len(np.unique(samples.groups))}
    row |= _interval("auc", _auc(logits, samples, evaluation, seed))
    row |= {"leak_auc": float(bootstrap.fold_auc(samples.labels, scores, samples.folds).mean())}
    row |= _interval("r2", explained(standard, predicted, samples, evaluation, seed))
    row |= {f"spearman_{kind}": within_class(logits, scores, samples, label) for label, kind in enumerate(KINDS)}
    row |= {"pairs": len(rows) // 2, "overlap": overlaps(samples, rows)}
    row |= dict.fromkeys(("matched_auc", "matched_auc_low", "matched_auc_high", "matched_leak_auc"), np.nan)
    if row["overlap"]:
        matched = samples.where(rows)
        row |= _interval("matched_auc", _auc(logits[rows], matched, evaluation, seed))
        row["matched_leak_auc"] = float(bootstrap.fold_auc(matched.labels, scores[rows], matched.folds).mean())
    return row | _interval("residual_auc", _auc(standard - predicted, samples, evaluation, seed))


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


def explained(values: Floats, predicted: Floats, samples: Samples, evaluation: Evaluation, seed: int) -> Interval:
    """Return the mean over folds of R^2 with its basic bootstrap interval over groups.

    Of a fold's g groups g - 1 are drawn, for the reason that `bootstrap.bootstrap_auc` gives. R^2 is negative where the
    prediction is worse than the fold's mean, which is 0.

    Args:
        values: `standardised` within folds, shape [n].
        predicted: of them, shape [n].
        samples: who they are.
        evaluation: confidence and replicates.
        seed: of the bootstrap.
    """
    sums = pd.DataFrame({"square": values**2, "error": (values - predicted) ** 2})
    of_groups = sums.groupby([samples.folds, samples.groups]).sum()
    generator = np.random.default_rng(seed)
    estimates, replicated = [], []
    for _, rows in of_groups.groupby(level=0):
        size = len(rows)
        drawn = generator.multinomial(size - 1, np.full(size, 1 / size), evaluation.bootstrap_replicates)
        weights = np.vstack([np.ones(size), drawn])  # the first row is the data as they are
        square, error = (weights @ rows[column].to_numpy() for column in ("square", "error"))
        r2 = 1 - np.divide(error, square, out=np.ones(len(square)), where=square > 0)
        estimates.append(r2[0])
        replicated.append(r2[1:])
    estimate = float(np.mean(estimates))
    tail = (1 - evaluation.confidence) / 2
    low, high = np.quantile(np.mean(replicated, axis=0), [tail, 1 - tail])
    return Interval(estimate, 2 * estimate - float(high), 2 * estimate - float(low), evaluation.confidence)


def within_class(logits: Floats, scores: Floats, samples: Samples, label: int) -> float:
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


def match(scores: Floats, samples: Samples, caliper: float) -> NDArray[np.intp]:
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


def overlaps(samples: Samples, rows: NDArray[np.intp]) -> bool:
    """Tell whether the matched samples are enough in every fold to compare reals and fakes on."""
    counts = pd.DataFrame({"fold": samples.folds[rows], "group": samples.groups[rows]}).groupby("fold")["group"]
    complete = len(counts) == len(np.unique(samples.folds))
    return complete and bool((counts.size() >= 2 * MIN_PAIRS).all() and (counts.nunique() >= MIN_GROUPS).all())


def _auc(scores: Floats, samples: Samples, evaluation: Evaluation, seed: int) -> Interval:
    """Return the mean over folds of the AUC with its interval over groups."""
    return bootstrap.auc_interval(
        samples.labels,
        scores,
        samples.groups,
        samples.folds,
        replicates=evaluation.bootstrap_replicates,
        seed=seed,
        confidence=evaluation.confidence,
    )


def _interval(name: str, found: Interval) -> dict[str, float]:
    """Return an interval's figures as columns."""
    return {name: found.estimate, f"{name}_low": found.low, f"{name}_high": found.high}
