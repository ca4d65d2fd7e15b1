"""What each group contributes to a figure, so that figures can be subtracted, averaged and tested group by group."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from deepfake.errors import InputError
from deepfake.evaluation.evalset import Codes, EvalSet, Floats


@dataclass(frozen=True)
class Influence:
    """A figure by repeat, and how far each group moves it.

    Args:
        values: the figure, shape [repeats].
        groups: names in sorted order, shape [groups].
        within: contributions about the mean of their fold, shape [repeats, groups]; their squares sum to the variance.
        about: contributions about the mean of all groups, likewise.
        df: degrees of freedom: groups less folds.
        n_samples: different samples that it rests on.
        bounded: the figure is a share, between 0 and 1.
        grain: what half a sample of the rarer class is worth.
        reason: why nothing can be tested, or empty.
    """

    values: Floats
    groups: NDArray[np.str_]
    within: Floats
    about: Floats
    df: float
    n_samples: int
    bounded: bool
    grain: float
    reason: str = ""


@dataclass(frozen=True)
class Part:
    """A figure of one fold: its value, and those without each of its groups, shape [groups of the fold]."""

    fold: int
    repeat: int
    codes: Codes
    value: float
    without: Floats


def assemble(evalset: EvalSet, parts: list[Part], bounded: bool) -> Influence:
    """Return the mean of the parts of each repeat, by the jackknife within each part."""
    names, codes = np.unique(evalset.groups, return_inverse=True)
    repeats = np.unique([part.repeat for part in parts])
    within, about = np.zeros((2, len(repeats), len(names)))
    values, df, reason = np.empty(len(repeats)), np.inf, ""
    for row, repeat in enumerate(repeats):
        chosen = [part for part in parts if part.repeat == repeat]
        values[row] = np.mean([part.value for part in chosen])
        member = np.zeros((len(names), len(chosen)))
        for column, part in enumerate(chosen):
            m = len(part.codes)
            member[part.codes, column] = 1
            moved = np.zeros(1) if m == 1 else (m - 1) * (part.without.mean() - part.without) / m / len(chosen)
            within[row, part.codes] += moved * np.sqrt(m / (m - 1)) if m > 1 else np.nan
            # about the mean: else folds of unequal numbers of groups would differ by their values' size alone
            about[row, part.codes] += moved + (part.value - values[row]) / m / len(chosen)
            if m > 1 and np.isnan(part.without).any():
                name = names[part.codes[np.isnan(part.without).argmax()]]
                reason = reason or f"fold {part.fold}: without group {name} a class is missing"
        present = member.any(axis=1)
        count = int(present.sum())
        about[row, present] -= about[row, present].mean()
        about[row] *= np.sqrt(count / (count - 1)) if count > 1 else np.nan
        # folds that share all their groups (one test set, many models) cost one degree of freedom together
        df = min(df, count - int(np.linalg.matrix_rank(member)))
    # a group's samples are all in each fold that it stands in
    _, fold = np.unique(evalset.folds, return_inverse=True)
    cell = (fold * len(names) + codes) * 2 + evalset.labels
    per_fold = np.bincount(cell, minlength=2 * (fold.max() + 1) * len(names)).reshape(-1, len(names), 2)
    classes = per_fold.max(axis=0).sum(axis=0)
    return Influence(
        values, names, within, about, float(df), int(classes.sum()), bounded, float(0.5 / classes.min()), reason
    )


def contrast(weights: Sequence[float], figures: Sequence[Influence]) -> Influence:
    """Return the weighted sum of figures, group by group and repeat by repeat; a mean of shares stays one.

    A figure without repeats is held against each repeat of the others. Groups that stand in some figures only are
    allowed; where no figures share a group the degrees of freedom are Welch's.
    """
    repeats = max(len(figure.values) for figure in figures)
    if any(len(figure.values) not in (1, repeats) for figure in figures):
        counts = sorted({len(figure.values) for figure in figures})
        raise InputError(f"figures of {counts} repeats; compare recipes with equally many")
    names = np.unique(np.concatenate([figure.groups for figure in figures]))
    values, (within, about) = np.zeros(repeats), np.zeros((2, repeats, len(names)))
    for weight, figure in zip(weights, figures, strict=True):
        place = np.searchsorted(names, figure.groups)
        values += weight * figure.values
        within[:, place] += weight * figure.within
        about[:, place] += weight * figure.about
    same = all(np.array_equal(figure.groups, names) for figure in figures)
    disjoint = len(names) == sum(len(figure.groups) for figure in figures)
    freedoms = [figure.df for figure in figures]
    variances = [
        float(((weight * figure.within.mean(axis=0)) ** 2).sum())
        for weight, figure in zip(weights, figures, strict=True)
    ]
    return Influence(
        values=values,
        groups=names,
        within=within,
        about=about,
        df=satterthwaite(variances, freedoms) if disjoint else min(freedoms),
        n_samples=max(figure.n_samples for figure in figures) if same else sum(figure.n_samples for figure in figures),
        bounded=all(figure.bounded for figure in figures) and min(weights) >= 0 and bool(np.isclose(sum(weights), 1)),
        grain=float(np.hypot.reduce([weight * figure.grain for weight, figure in zip(weights, figures, strict=True)])),
        reason=next((figure.reason for figure in figures if figure.reason), ""),
    )


def difference(first: Influence, second: Influence) -> Influence:
    """Return second minus first, paired by group and repeat."""
    return contrast([-1, 1], [first, second])


def satterthwaite(variances: Sequence[float], freedoms: Sequence[float]) -> float:
    """Return the degrees of freedom of a sum of variances (Satterthwaite 1946)."""
    if min(freedoms) <= 0:
        return 0.0
    terms = sum(variance**2 / df for variance, df in zip(variances, freedoms, strict=True))
    return sum(variances) ** 2 / terms if terms > 0 else min(freedoms)
