"""What may be said of a family of figures: by the region of practical equivalence, after Holm."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import scipy.stats
from numpy.typing import ArrayLike

from deepfake.errors import InputError
from deepfake.evaluation.estimate import Estimate
from deepfake.evaluation.evalset import EvalSet, Floats

Word = Literal["better", "worse", "equivalent", "above_chance", "at_chance", "undecided"]
FEW_GROUPS = 5
"""A fold with fewer groups says little of other people."""


@dataclass(frozen=True)
class Verdict:
    """What is concluded of a figure, and the interval of the test that concludes it.

    Args:
        word: the conclusion.
        low: lower end of the interval; a conclusion other than `undecided` has it whole in its region.
        high: upper end.
        confidence: of the interval, two-sided, after Holm.
        p: 1 - P of the likeliest conclusion (twice that against chance) after Holm; below 0.05 where it is drawn.
        probabilities: of each conclusion, before Holm.
        estimate: the figure.
    """

    word: Word
    low: float
    high: float
    confidence: float
    p: float
    probabilities: dict[Word, float]
    estimate: Estimate

    @property
    def reason(self) -> str:
        """Why nothing can be concluded, or empty."""
        return self.estimate.reason


def compare(differences: Sequence[Estimate], rope: float, certainty: float = 0.95) -> list[Verdict]:
    """Judge the differences of one table (first minus second detector's, whatever is planned), in the given order.

    What is judged is how far each figure lies from its `null`: 0 for a difference, else a target. `better` where
    P(difference > rope) is above the certainty, `worse` where P(difference < -rope) is, `equivalent` where
    P(-rope < difference < rope) is; P is the posterior of Benavoli et al. 2017, "Time for a change", a Student t with
    the estimate's mean, standard error and degrees of freedom. Holm (1979) enters as it does for p-values, of which
    1 - P is one: the surest of m conclusions must have 1 - P <= (1 - certainty) / m, the next surest
    (1 - certainty) / (m - 1), until one fails, and all after it fail.

    Args:
        differences: differences, or shares held against targets, of which a greater one is good.
        rope: half the width of the region of practical equivalence.
        certainty: the P that a conclusion needs in a family of one.
    """

    def posterior(figure: Estimate) -> dict[Word, float]:
        above, below = figure.above(figure.null + rope), figure.below(figure.null - rope)
        return {"better": above, "worse": below, "equivalent": figure.above(figure.null - rope) - above}

    return _judge(differences, posterior, 1 - certainty, sides=1)


def against_chance(shares: Sequence[Estimate], rope: float, confidence: float = 0.95) -> list[Verdict]:
    """Judge the AUCs of one table, with Holm as in `compare`.

    `above_chance` where the interval lies above 0.5, however little; else `at_chance` where it lies below 0.5 + rope.

    Args:
        shares: AUCs, or other shares of which 0.5 is chance.
        rope: how far above 0.5 is of no use.
        confidence: of the two-sided interval in a family of one.
    """

    def posterior(figure: Estimate) -> dict[Word, float]:
        return {"above_chance": figure.above(0.5), "at_chance": figure.below(0.5 + rope)}

    return _judge(shares, posterior, 1 - confidence, sides=2)


def holm(p_values: ArrayLike) -> Floats:
    """Return the p-values adjusted for their number by Holm's step-down method, in the given order; NaN counts as 1.

    Raises:
        InputError: a p-value is not between 0 and 1.
    """
    p_values = np.nan_to_num(np.asarray(p_values, dtype=np.float64), nan=1.0)
    if not ((p_values >= 0) & (p_values <= 1)).all():
        raise InputError(f"p-values {p_values.tolist()}: every one must lie between 0 and 1")
    order = np.argsort(p_values, kind="stable")
    adjusted = np.empty(len(p_values))
    adjusted[order] = np.minimum(1, np.maximum.accumulate(p_values[order] * np.arange(len(p_values), 0, -1)))
    return adjusted


def detectable(
    estimate: Estimate, rope: float = 0.0, family: int = 1, power: float = 0.8, certainty: float = 0.95
) -> float:
    """Return the true difference that `compare` would call better with the given power, at this standard error.

    Args:
        estimate: a difference like those to be seen.
        rope: as for `compare`.
        family: how many differences are judged together; the first step of Holm, so a little too large.
        power: chance of seeing it.
        certainty: as for `compare`.
    """
    quantiles = scipy.stats.t.ppf([1 - (1 - certainty) / family, power], estimate.df)
    return rope + float(quantiles.sum()) * estimate.se


def cautions(evalset: EvalSet) -> list[str]:
    """Say what a study of these groups and folds cannot resolve, one line each."""
    few = {fold: count for fold, count in evalset.groups_by_fold().items() if count < FEW_GROUPS}
    if not few:
        return []
    return [f"{len(few)} folds have fewer than {FEW_GROUPS} groups (fewest {min(few.values())}); use fewer folds"]


def _judge(
    figures: Sequence[Estimate], probabilities: Callable[[Estimate], dict[Word, float]], alpha: float, sides: int
) -> list[Verdict]:
    """Hold the surest conclusion of each figure against alpha, after Holm; with two sides, each has half of it."""
    found = [probabilities(figure) for figure in figures]
    words: list[Word] = []
    errors = []
    for figure, here in zip(figures, found, strict=True):
        doubt: dict[Word, float] = {word: min(1.0, sides * (1 - sure)) for word, sure in here.items()}
        # the first that holds at once (above chance, though of no use, before at chance), else the likeliest
        holding: list[Word] = [word for word in doubt if doubt[word] < alpha / len(found)]
        words.append(holding[0] if holding else min(here, key=doubt.__getitem__))
        errors.append(1.0 if figure.reason else max(0.0, doubt[words[-1]]))
    adjusted = holm(errors)
    drawn = int((adjusted < alpha).sum())
    # each at the level at which Holm tested it, equally sure ones at that of the first of them; those after the first
    # failure at the level of that failure
    family = len(errors) - np.minimum(scipy.stats.rankdata(errors, method="min") - 1, drawn)
    verdicts = []
    for figure, here, word, p, size in zip(figures, found, words, adjusted, family, strict=True):
        confidence = 1 - 2 * alpha / sides / int(size)
        concluded: Word = word if p < alpha else "undecided"
        # a p-value too small for a float is not 0
        p = max(float(p), np.finfo(float).tiny)
        verdicts.append(Verdict(concluded, *figure.interval(confidence), confidence, p, here, figure))
    return verdicts
