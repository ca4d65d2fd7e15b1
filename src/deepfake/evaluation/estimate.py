"""A figure with its standard error, and what Student's t then says of the truth."""

from dataclasses import dataclass

import numpy as np
from scipy.special import expit, logit, stdtr, stdtrit

FLAT = 1e-12
"""A standard error below it is none: rounding alone gives as much."""


@dataclass(frozen=True)
class Estimate:
    """A figure and how sure it is.

    A share is judged on the logit scale, so that its interval stays between 0 and 1; a difference as it is. No
    standard error is less than half a sample's (`grain`): perfect separation has no spread between groups, and would
    pass for certainty. For the same reason a share counts as at least half a sample from 0 and 1.

    Args:
        value: the figure.
        se: standard error on its own scale; NaN where there is none, for the `reason` given.
        df: degrees of freedom.
        low: lower end of the interval of the given confidence; NaN where there is none.
        high: upper end.
        p: two-sided p-value of the truth being `null`, of the same t as the interval; never 0.
        n_samples: samples that it rests on.
        n_groups: groups (people).
        repeats: of the cross-validation.
        null: what `p` tests.
        bounded: it is a share.
        grain: what half a sample is worth.
        reason: why nothing can be concluded, or empty.
    """

    value: float
    se: float
    df: float
    low: float
    high: float
    p: float
    n_samples: int
    n_groups: int
    repeats: int
    null: float
    bounded: bool
    grain: float
    reason: str

    @classmethod
    def of(
        cls,
        value: float,
        se: float,
        df: float,
        n_samples: int,
        n_groups: int,
        repeats: int,
        *,
        null: float | None = None,
        bounded: bool = False,
        grain: float = 0.0,
        confidence: float = 0.95,
        reason: str = "",
    ) -> "Estimate":
        """Add interval and p-value; `null` is 0.5 for a share and 0 for anything else, if not given."""
        null = (0.5 if bounded else 0.0) if null is None else null
        nan, apart = float("nan"), abs(value - null) > FLAT
        if not reason and se <= FLAT and not (bounded and min(value, 1 - value) <= FLAT):
            reason = "no spread between groups: constant scores, or the same in every group"
            # all contributions are alike: what flipping the signs of the groups' gives
            p = 2.0 ** (1 - min(n_groups, 1000)) if apart else 1.0
            return cls(value, se, df, nan, nan, p, n_samples, n_groups, repeats, null, bounded, grain, reason)
        floored = se if reason else max(se, grain)
        found = cls(value, floored, df, nan, nan, nan, n_samples, n_groups, repeats, null, bounded, grain, reason)
        if reason:
            return found
        low, high = found.interval(confidence)
        tail = min(found.above(null), found.below(null)) if not bounded or 0 < null < 1 else nan
        # a p-value too small for a float is not 0
        p = float(np.maximum(2 * tail, np.finfo(float).tiny))
        return cls(value, floored, df, low, high, p, n_samples, n_groups, repeats, null, bounded, grain, reason)

    def above(self, threshold: float) -> float:
        """Return the probability that the truth is above a threshold, under a flat prior; NaN without a verdict."""
        return float(stdtr(self.df, -self._statistic(threshold)))

    def below(self, threshold: float) -> float:
        """Return the probability that the truth is below a threshold, as exact near 0 as `above`."""
        return float(stdtr(self.df, self._statistic(threshold)))

    def interval(self, confidence: float) -> tuple[float, float]:
        """Return the ends of the two-sided interval; NaN where nothing can be concluded."""
        if self.reason:
            return float("nan"), float("nan")
        centre, spread = self._scaled()
        reach = float(stdtrit(self.df, (1 + confidence) / 2)) * spread
        if not self.bounded:
            return centre - reach, centre + reach
        return min(float(expit(centre - reach)), self.value), max(float(expit(centre + reach)), self.value)

    def absolute(self) -> tuple[float, float, float]:
        """Return the absolute value of a signed figure and the ends of its interval."""
        ends = abs(self.low), abs(self.high)
        return abs(self.value), 0.0 if self.low <= 0 <= self.high else min(ends), max(ends)

    def _scaled(self) -> tuple[float, float]:
        """Return centre and spread on the scale of the t: the logit's for a share."""
        if not self.bounded:
            return self.value, self.se
        share = min(max(self.value, self.grain), 1 - self.grain)
        return float(logit(share)), self.se / (share * (1 - share))

    def _statistic(self, threshold: float) -> float:
        if self.reason:
            return float("nan")
        centre, spread = self._scaled()
        return float((logit(threshold) if self.bounded else threshold) - centre) / spread
