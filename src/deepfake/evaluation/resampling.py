"""How sure a figure is: what each group contributes to it, by the values that it takes when the group is left out.

Two questions are answered. `trained_models`: would these trained models do as well on other people? `recipe`: would
another training, on another partition, say the same? docs/statistics.md has the procedure and its measured errors.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from deepfake.errors import InputError
from deepfake.evaluation.estimate import Estimate
from deepfake.evaluation.evalset import Codes, EvalSet, Floats
from deepfake.evaluation.influence import Influence, Part, assemble, contrast, satterthwaite


def auc(evalset: EvalSet, pairs: Literal["between", "all"] = "between") -> Influence:
    """Return the mean over folds of the AUC, a tie counting half.

    Pairs of one group are easier to rank than those of different groups and tell nothing of other people, so the
    estimate is over pairs of different groups; `all` gives the usual AUC. A fold in which too few groups hold a class
    for that (after one is left out) takes the contributions of its groups, or its value too, from all pairs.
    """
    return assemble(evalset, [_auc_part(*fold, pairs) for fold in _by_fold(evalset)], bounded=True)


def source_aucs(evalset: EvalSet, pairs: Literal["between", "all"] = "between") -> dict[str, Influence]:
    """Return the AUC of each source's fakes against all reals, by name; over the folds that hold the source."""
    if evalset.sources is None:
        raise InputError("predictions without a source; per-source figures need the column source")
    found = {}
    for source in np.unique(evalset.sources[evalset.labels == 1]):
        fakes = (evalset.labels == 1) & (evalset.sources == source)
        inside = np.isin(evalset.folds, np.unique(evalset.folds[fakes]))
        found[str(source)] = auc(evalset.take(fakes | (inside & (evalset.labels == 0))), pairs)
    return found


def source_variance(aucs: Mapping[str, Influence]) -> Influence:
    """Return the variance of the sources' AUCs about their mean (ddof 0), less what is there by chance.

    The sources are all there are, so nothing is estimated of them; but each AUC is measured on few people, after few
    trainings, which spreads the AUCs even if all sources are alike. Below 0 where they differ by less than that, NaN
    where it cannot be told. The contributions are those of the delta method.
    """
    figures = list(aucs.values())
    share = 1 / len(figures)
    # about the mean of the sources: they share their reals, so much of their noise is in common
    apart = [contrast([float(one is other) - share for one in figures], figures) for other in figures]
    noise = share * sum(recipe(one).se ** 2 for one in apart)
    slopes = [2 * share * float(one.values.mean()) for one in apart]
    found = contrast(slopes, apart)
    # the square of a mean, drawn out along its slope: the mean over repeats is that of the mean AUCs
    return replace(found, values=found.values - found.values.mean() / 2 - noise, bounded=False)


def counted(evalset: EvalSet, called_fake: ArrayLike, metric: Callable[[Floats], Floats], bounded: bool) -> Influence:
    """Return a figure of the confusion counts, pooled over folds (Forman and Scholz 2010).

    Args:
        evalset: the samples; their scores play no part.
        called_fake: bool [n]: the decision, each fold at its own threshold.
        metric: turns counts [..., 4] of true negatives, false positives, false negatives and true positives into
            figures [...], as those in `COUNTED`.
        bounded: whether the figure is a share.
    """
    called = np.asarray(called_fake, dtype=bool)
    if called.shape != evalset.labels.shape:
        raise InputError(f"{len(evalset.labels)} samples but decisions of shape {called.shape}; give one a sample")
    _, codes = np.unique(evalset.groups, return_inverse=True)
    parts = []
    for repeat in np.unique(evalset.repeats):
        inside = evalset.repeats == repeat
        present, local = np.unique(codes[inside], return_inverse=True)
        cell = 2 * evalset.labels[inside] + called[inside]
        counts = np.bincount(local * 4 + cell, minlength=4 * len(present)).reshape(-1, 4).astype(float)
        total = counts.sum(axis=0)
        parts.append(Part(int(repeat), int(repeat), present, float(metric(total)), metric(total - counts)))
    return assemble(evalset, parts, bounded)


def recomputed(
    evalset: EvalSet, metric: Callable[[NDArray[np.int64], Floats], ArrayLike], bounded: bool
) -> list[Influence]:
    """Return the mean over folds of any metric, one a component of what it returns, computed anew without each group.

    Args:
        evalset: the samples.
        metric: called with labels and scores, returns a number or a vector of fixed length.
        bounded: whether the figures are shares.
    """
    folds: list[list[Part]] = []
    for fold, repeat, labels, scores, codes in _by_fold(evalset):
        present = np.unique(codes)

        def worth(rows: NDArray, labels: NDArray[np.int64] = labels, scores: Floats = scores) -> Floats:
            if rows.any() and np.ptp(labels[rows]):
                return np.atleast_1d(np.asarray(metric(labels[rows], scores[rows]), dtype=np.float64))
            return np.array([np.nan])

        value = worth(np.ones(len(labels), dtype=bool))
        without = np.array([np.broadcast_to(worth(codes != code), value.shape) for code in present])
        folds.append([Part(fold, repeat, present, float(v), w) for v, w in zip(value, without.T, strict=True)])
    return [assemble(evalset, list(parts), bounded) for parts in zip(*folds, strict=True)]


def trained_models(figure: Influence, null: float | None = None, confidence: float = 0.95) -> Estimate:
    """Say how sure the figure is for these trained models on other people: delete-one-group jackknife within folds.

    Student's t with G - K degrees of freedom; where there are repeats, their models are averaged.
    """
    contributions = figure.within.mean(axis=0)
    return _estimate(figure, contributions @ contributions, figure.df, null, confidence)


def recipe(figure: Influence, null: float | None = None, confidence: float = 0.95) -> Estimate:
    """Say how sure the figure is for another training on another partition, tested on other people.

    The variance of the groups' contributions, averaged over repeats, plus that between repeats over their number;
    Satterthwaite degrees of freedom. With one repeat the second part is missing: the luck of a training goes unseen.
    """
    contributions = figure.about.mean(axis=0)
    parts, freedoms = [float(contributions @ contributions)], [figure.df]
    if (repeats := len(figure.values)) > 1:
        parts.append(float(figure.values.var(ddof=1)) / repeats)
        freedoms.append(repeats - 1)
    return _estimate(figure, sum(parts), satterthwaite(parts, freedoms), null, confidence)


def _estimate(figure: Influence, variance: float, df: float, null: float | None, confidence: float) -> Estimate:
    reason = figure.reason
    if not reason and len(figure.groups) < 3:
        reason = f"{len(figure.groups)} groups in all; a spread over people needs at least 3"
    if not reason and not df > 0:
        reason = "as many folds as groups; use fewer folds"
    if not reason and np.isnan(variance):
        reason = "a fold has one group, so no spread over people; use fewer folds"
    return Estimate.of(
        value=float(figure.values.mean()),
        se=float("nan") if reason else float(np.sqrt(variance)),
        df=df,
        n_samples=figure.n_samples,
        n_groups=len(figure.groups),
        repeats=len(figure.values),
        null=null,
        bounded=figure.bounded,
        grain=figure.grain,
        confidence=confidence,
        reason=reason,
    )


def _by_fold(evalset: EvalSet) -> list[tuple[int, int, NDArray[np.int64], Floats, Codes]]:
    """Return fold, repeat, labels, scores and group numbers of each fold."""
    _, codes = np.unique(evalset.groups, return_inverse=True)
    folds = []
    for fold in np.unique(evalset.folds):
        rows = np.flatnonzero(evalset.folds == fold)
        repeat = int(evalset.repeats[rows[0]])
        folds.append((int(fold), repeat, evalset.labels[rows], evalset.scores[rows], codes[rows]))
    return folds


def _auc_part(
    fold: int, repeat: int, labels: NDArray[np.int64], scores: Floats, codes: Codes, pairs: Literal["between", "all"]
) -> Part:
    present, local = np.unique(codes, return_inverse=True)
    m = len(present)
    # ranks instead of scores: a group's ranks are then shifted past all others', and one search counts within groups
    _, rank = np.unique(scores, return_inverse=True)
    real, fake = labels == 0, labels == 1
    fakes, reals = (np.bincount(local[kind], minlength=m).astype(float) for kind in (fake, real))
    shifted = rank + local * (int(rank.max()) + 1)
    won = _wins(rank[fake], rank[real])
    lost_to = fakes.sum() - _wins(rank[real], rank[fake])
    before = (np.cumsum(reals) - reals)[local[fake]]
    inside = np.bincount(local[fake], _wins(shifted[fake], shifted[real]) - before, minlength=m)
    total = won.sum()
    rows, columns = np.bincount(local[fake], won, minlength=m), np.bincount(local[real], lost_to, minlength=m)
    all_wins, all_pairs = total - rows - columns + inside, (fakes.sum() - fakes) * (reals.sum() - reals)
    value, without = total / (fakes.sum() * reals.sum()), _ratio(all_wins, all_pairs)
    if pairs == "between":
        own = fakes * reals
        between = fakes.sum() * reals.sum() - own.sum()
        left_wins, left_pairs = all_wins - (inside.sum() - inside), all_pairs - (own.sum() - own)
        value = (total - inside.sum()) / between if between > 0 else value
        without = _ratio(left_wins, left_pairs) if (left_pairs > 0).all() else without
    return Part(fold, repeat, present, float(value), without)


def _wins(of: Codes, over: Codes) -> Floats:
    """Return how many of `over` each of `of` beats, a tie counting half."""
    over = np.sort(over)
    return (np.searchsorted(over, of, "left") + np.searchsorted(over, of, "right")) / 2


def _ratio(wins: Floats, pairs: Floats) -> Floats:
    return np.divide(wins, pairs, out=np.full(len(pairs), np.nan), where=pairs > 0)


def _shares(numerator: Floats, denominator: Floats) -> Floats:
    return np.divide(numerator, denominator, out=np.zeros_like(numerator, dtype=float), where=denominator > 0)


def _recall_of(counts: Floats) -> Floats:
    return _shares(counts[..., 3], counts[..., 3] + counts[..., 2])


def _precision_of(counts: Floats) -> Floats:
    return _shares(counts[..., 3], counts[..., 3] + counts[..., 1])


COUNTED: dict[str, Callable[[Floats], Floats]] = {
    "recall_fake": _recall_of,
    "precision_fake": _precision_of,
    "f1_fake": lambda c: _shares(2 * c[..., 3], 2 * c[..., 3] + c[..., 1] + c[..., 2]),
    "recall_real": lambda c: _shares(c[..., 0], c[..., 0] + c[..., 1]),
    "balanced_accuracy": lambda c: (_recall_of(c) + _shares(c[..., 0], c[..., 0] + c[..., 1])) / 2,
    "accuracy": lambda c: _shares(c[..., 0] + c[..., 3], c.sum(axis=-1)),
    "precision_minus_recall": lambda c: _precision_of(c) - _recall_of(c),
}
"""Figures of the counts; all but `precision_minus_recall` are shares. Without a call of fake precision is 0."""
