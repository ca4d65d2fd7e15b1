"""What a detector loses on data that it was not trained on, and in what that data differs.

Figures are means over folds, as everywhere: the logits of different folds are never pooled. Uncertainty comes from
resampling groups (`bootstrap`), and beside it from the spread over folds (`statistics`).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
import scipy.stats
from numpy.typing import NDArray

from deepfake.evaluation import bootstrap, decisions, metrics, statistics
from deepfake.evaluation.bootstrap import Comparison, Floats, Ranking
from deepfake.evaluation.decisions import Counts

AUC = "auc"
"""The metric beside those of `decisions.METRICS`; it knows no threshold."""


@dataclass(frozen=True)
class Scored:
    """One detector's held-out samples of one data set, fold by fold.

    Args:
        labels: int [n], 0 real, 1 fake.
        logits: float [n].
        called: bool [n]: called fake.
        groups: the name of each sample's group, [n].
        folds: the fold whose model made the prediction, int [n].
    """

    labels: NDArray[np.int64]
    logits: Floats
    called: NDArray[np.bool_]
    groups: NDArray
    folds: NDArray

    @classmethod
    def of(cls, joined: pd.DataFrame, thresholds: Mapping[int, float]) -> "Scored":
        """Take the held-out samples of predictions with `fold, subset, label, logit, group`.

        Raises:
            InputError: there are no reals or no fakes, or a logit is not finite.
        """
        held_out = joined[joined["subset"] == "held_out"]
        decided = decisions.decided(joined, thresholds)
        logits = held_out["logit"].to_numpy(np.float64)
        return cls(decided.labels, logits, decided.called, decided.groups, decided.folds)


def by_fold(scored: Scored, metric: str) -> Floats:
    """Return a metric of each fold, in sorted order of the folds, shape [folds].

    Args:
        scored: the samples.
        metric: `AUC`, or one of `decisions.METRICS`.

    Raises:
        InputError: a fold lacks reals or fakes.
    """
    worth = _Resampled(scored, metric)
    values = worth.of(np.ones((worth.groups, 1)))[:, 0]
    if np.isnan(values).any():
        bootstrap.fold_auc(scored.labels, scored.logits, scored.folds)  # says which fold lacks a class
    return values


def gap(home: Scored, away: Scored, metric: str, *, replicates: int, seed: int, confidence: float) -> Comparison:
    """Return what a detector loses from one data set to another: its metric at home minus that away.

    Where both have the same groups in the same folds (the same people, say), both are measured on the same draws of
    groups; what makes some groups easier on both sides then takes no part in the interval. Else each is drawn on its
    own.

    The AUC has the basic interval and its p-value, as in `bootstrap.paired_auc_difference`; shares have the percentile
    interval and its p-value, as in `decisions.difference`, which say why. With 4 groups (9) of 5 reals and 15 fakes in
    each of 4 folds, the same on both sides and each with a shift of its own (standard deviation .7 of the noise), 95%
    intervals of the AUC's gap covered the truth in 94% (95) of 250 simulations, those of balanced accuracy in 93% (95);
    without a gap p was at most .05 in 6% (6) and 7% (6).

    Args:
        home: its samples at home.
        away: those of the other data set, predicted by the same folds' models.
        metric: `AUC`, or one of `decisions.METRICS`.
        replicates: how many times the groups are drawn, as `bootstrap.bootstrap_auc` draws them.
        seed: of the draws; those of `away` have the next one where they are drawn on their own.
        confidence: coverage of the interval.

    Raises:
        InputError: a fold has one group or lacks a class, or more than half of the replicates lost a class.
    """
    estimate = float(by_fold(home, metric).mean() - by_fold(away, metric).mean())
    seeds = (seed, seed if same_groups(home, away) else seed + 1)
    sides = [_replicated(side, metric, replicates, own) for side, own in zip((home, away), seeds, strict=True)]
    (replicated,) = bootstrap.complete([sides[0] - sides[1]])
    low, high = _ends(replicated, confidence)
    if metric == AUC:
        low, high = 2 * estimate - high, 2 * estimate - low
        p_value = _two_sided(replicated - estimate, estimate)
    else:
        p_value = _two_sided(replicated, 0.0)
    return Comparison(estimate, min(low, estimate), max(high, estimate), confidence, p_value)


def same_groups(first: Scored, second: Scored) -> bool:
    """Tell whether the same groups stand in the same folds of both."""
    pairs = [set(zip(side.folds.tolist(), side.groups.tolist(), strict=True)) for side in (first, second)]
    return pairs[0] == pairs[1]


def over_folds(home: Scored, away: Scored, metric: str) -> statistics.FoldTest:
    """Test the gap over folds: the corrected resampled t-test on each fold's own (`statistics`).

    Of k folds one is held out and k - 1 are trained on, on either side.
    """
    differences = by_fold(home, metric) - by_fold(away, metric)
    return statistics.corrected_resampled_ttest(differences, statistics.held_out_share(len(differences)))


def _ends(replicated: Floats, confidence: float) -> tuple[float, float]:
    """Return the two ends of the percentile interval."""
    low, high = np.quantile(replicated, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)


def _two_sided(replicated: Floats, reference: float) -> float:
    """Return twice the share of replicates beyond a reference, on the rarer side; never 0, for one more is counted."""
    not_above = 1 + int(np.count_nonzero(replicated <= reference + decisions.ROUNDING))
    not_below = 1 + int(np.count_nonzero(replicated >= reference - decisions.ROUNDING))
    return min(1.0, 2 * min(not_above, not_below) / (len(replicated) + 1))


class _Resampled:
    """A metric under any weights of the groups: sorted or counted once, so that a draw costs sums alone."""

    def __init__(self, scored: Scored, metric: str) -> None:
        names, folds = np.unique(scored.folds, return_inverse=True)
        codes, self.strata = bootstrap.stratify(scored.groups, folds, names)
        self.groups = sum(map(len, self.strata))
        members = [np.flatnonzero(folds == code) for code in range(len(names))]
        self.largest = max(map(len, members))
        self._parts = [_weighted(scored, metric, rows, codes[rows], self.groups) for rows in members]

    def of(self, weights: Floats) -> Floats:
        """Return each fold's metric for columns of weights [groups, b], shape [folds, b]; NaN if a class is lost."""
        return np.array([part(weights) for part in self._parts])


def _weighted(
    scored: Scored, metric: str, rows: NDArray[np.intp], codes: NDArray[np.intp], groups: int
) -> Callable[[Floats], Floats]:
    """Return the function that maps weights [groups, b] to one fold's metric, shape [b]."""
    labels = scored.labels[rows]
    if metric == AUC:
        return Ranking.of(labels, scored.logits[rows], codes).auc
    fake, called = labels == 1, scored.called[rows]
    kinds = (fake & called, ~fake & called, ~fake & ~called, fake & ~called)  # in the order of Counts
    counted = [np.bincount(codes, weights=kind, minlength=groups) for kind in kinds]

    def worth(weights: Floats) -> Floats:
        drawn = Counts(*(count @ weights for count in counted))
        whole = (drawn.true_reals + drawn.false_fakes > 0) & (drawn.true_fakes + drawn.false_reals > 0)
        return np.where(whole, decisions.METRICS[metric](drawn), np.nan)

    return worth


def _replicated(scored: Scored, metric: str, replicates: int, seed: int) -> Floats:
    """Return the mean over folds for each draw of groups, shape [replicates]; NaN where a fold lost a class."""
    worth = _Resampled(scored, metric)
    chunk = max(1, bootstrap.CHUNK_BYTES // (8 * (worth.groups + 3 * worth.largest)))
    drawn = bootstrap.multiplicities(worth.strata, replicates, chunk, seed)
    return np.concatenate([worth.of(weights).mean(axis=0) for weights in drawn])


def shifts(home: pd.DataFrame, away: pd.DataFrame) -> pd.DataFrame:
    """Compare the features of two data sets, one by one.

    Args:
        home: one row a sample, a column a feature: numbers or words.
        away: the same columns; of the same kind of samples (reals, say), so that nothing but the data set differs.

    Returns:
        One row a feature: `feature`; of numbers the medians `home_median, away_median`; of words the commonest
        `home_value, away_value` with their shares `home_share, away_share`; and `separability`: how well the feature
        alone tells the data sets apart, from 0 to 1. It is |2 AUC - 1| of numbers, and of words the total variation
        distance, which is the same where there are two.
    """
    which = np.repeat([0, 1], [len(home), len(away)])
    rows: list[dict[str, object]] = []
    for name in home.columns:
        sides = {"home": home[name], "away": away[name]}
        row: dict[str, object] = {"feature": name}
        if pd.api.types.is_numeric_dtype(home[name]):
            row |= {f"{side}_median": float(values.median()) for side, values in sides.items()}
            joined = np.concatenate([values.to_numpy(np.float64) for values in sides.values()])
            row["separability"] = abs(2 * metrics.auc(which, joined) - 1)
        else:
            shares = {side: values.value_counts(normalize=True) for side, values in sides.items()}
            row |= {f"{side}_value": values.index[0] for side, values in shares.items()}
            row |= {f"{side}_share": float(values.iloc[0]) for side, values in shares.items()}
            row["separability"] = float(shares["home"].sub(shares["away"], fill_value=0.0).abs().sum() / 2)
        rows.append(row)
    return pd.DataFrame(rows, columns=SHIFTED)


SHIFTED = [
    "feature",
    *(f"{side}_{figure}" for figure in ("median", "value", "share") for side in ("home", "away")),
    "separability",
]
"""The columns of `shifts`."""


def follows(scored: Scored, features: pd.DataFrame, *, replicates: int, seed: int, confidence: float) -> pd.DataFrame:
    """Tell how a detector's logit moves with features, where neither label nor fold plays a part.

    Spearman's rank correlation (`scipy.stats.spearmanr`) within each fold and class, a mean over those in which both
    logit and feature vary. It is no proof that the feature moves the logit: what moves both does the same.

    The intervals are percentile intervals over groups. A draw re-weighs the ranks among all samples and does not rank
    anew. In the simulations of `gap`, of a feature that has a group effect of its own and nothing to do with the logit,
    95% intervals held 0 in 97% (96).

    Args:
        scored: the held-out samples of one data set.
        features: numbers, one row a sample in the same order, a column a feature.
        replicates: how many times the groups are drawn, as `bootstrap.bootstrap_auc` draws them.
        seed: of the draws.
        confidence: coverage of the interval.

    Returns:
        One row a feature: `feature, correlation, low, high, p_value` (uncorrected); missing where nothing varies.
    """
    names, folds = np.unique(scored.folds, return_inverse=True)
    codes, strata = bootstrap.stratify(scored.groups, folds, names)
    cells = [
        np.flatnonzero((folds == fold) & (scored.labels == label)) for fold in range(len(names)) for label in (0, 1)
    ]
    values = features.to_numpy(np.float64)
    sums = [_RankSums.of(scored.logits[rows], values[rows], codes[rows], len(np.unique(codes))) for rows in cells]
    varies = np.array([each.varies for each in sums])  # [cells, features]
    groups = sum(map(len, strata))
    chunk = max(1, bootstrap.CHUNK_BYTES // (8 * (groups + 8 * values.shape[1])))
    drawn = [
        _mean_where(np.array([each.correlations(weights) for each in sums]), varies)
        for weights in bootstrap.multiplicities(strata, replicates, chunk, seed)
    ]
    estimates = _mean_where(np.array([each.correlations(np.ones((groups, 1))) for each in sums]), varies)[0]
    rows = []
    for name, estimate, replicated in zip(features.columns, estimates, np.concatenate(drawn).T, strict=True):
        row = {"feature": name, "correlation": estimate, "low": np.nan, "high": np.nan, "p_value": np.nan}
        if np.isfinite(estimate):
            (kept,) = bootstrap.complete([replicated])
            low, high = _ends(kept, confidence)
            row |= {"low": min(low, estimate), "high": max(high, estimate), "p_value": _two_sided(kept, 0.0)}
        rows.append(row)
    return pd.DataFrame(rows)


def _mean_where(correlations: Floats, varies: NDArray[np.bool_]) -> Floats:
    """Return the mean over the cells in which a feature varies: [cells, b, features] to [b, features]."""
    counted = np.where(varies[:, None, :], correlations, 0.0).sum(axis=0)
    cells = varies.sum(axis=0)
    return np.divide(counted, cells, out=np.full(counted.shape, np.nan), where=cells > 0)


@dataclass(frozen=True)
class _RankSums:
    """Sums over each group of the ranks of one fold's class: all that a weighted correlation needs."""

    count: Floats
    """[groups], as are those of the logit."""
    logit: Floats
    logit_squared: Floats
    feature: Floats
    """[groups, features]."""
    feature_squared: Floats
    product: Floats
    varies: NDArray[np.bool_]
    """[features]: whether there is a correlation at all."""

    @classmethod
    def of(cls, logits: Floats, values: Floats, codes: NDArray[np.intp], groups: int) -> "_RankSums":
        """Rank and sum; ranks are centred, for the squares' sake."""
        ranks = scipy.stats.rankdata(np.column_stack([logits, values]), axis=0)
        ranks -= ranks.mean(axis=0)
        x, y = ranks[:, 0], ranks[:, 1:]
        member = np.zeros((groups, len(codes)))
        member[codes, np.arange(len(codes))] = 1.0
        varies = (np.ptp(y, axis=0) > 0) & (np.ptp(x) > 0)
        return cls(
            *(member.sum(axis=1), member @ x, member @ x**2),
            *(member @ y, member @ y**2, member @ (x[:, None] * y), varies),
        )

    def correlations(self, weights: Floats) -> Floats:
        """Return the correlation of ranks for columns of weights [groups, b], shape [b, features]; NaN: undefined."""
        drawn = weights.T
        count, x, xx = (drawn @ each for each in (self.count, self.logit, self.logit_squared))
        y, yy, xy = (drawn @ each for each in (self.feature, self.feature_squared, self.product))
        count = np.maximum(count, 1.0)[:, None]  # without weight there is no spread either
        x, y = x[:, None] / count, y / count
        spreads = xx[:, None] / count - x**2, yy / count - y**2
        defined = (spreads[0] > _EQUAL) & (spreads[1] > _EQUAL)
        scale = np.sqrt(np.where(defined, spreads[0] * spreads[1], 1.0))
        return np.where(defined, (xy / count - x * y) / scale, np.nan)


_EQUAL = 1e-6
"""A variance of ranks that is 0 but for rounding."""
