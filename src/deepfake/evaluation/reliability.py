"""How far a perfectly calibrated detector's reliability diagram strays from the diagonal by chance."""

import pandas as pd
from scipy.stats import binom


def with_noise(bins: pd.DataFrame, repeats: int = 1, confidence: float = 0.95) -> pd.DataFrame:
    """Return the bins of a reliability diagram with the range that the share of fakes has by chance.

    In a bin of n samples a perfectly calibrated detector has as many fakes as n draws with its probability. A sample
    counts once, however many repeats predict it: its label is the same in all.

    Args:
        bins: `calibration.reliability`.
        repeats: of the cross-validation, whose predictions the bins hold.
        confidence: how much of the chance the range covers.

    Returns:
        The bins with `noise_low` and `noise_high`, shares of fakes.
    """
    count = (bins["samples"] / repeats).round().clip(lower=1).to_numpy()
    low, high = binom.interval(confidence, count, bins["probability"].to_numpy())
    return bins.assign(noise_low=low / count, noise_high=high / count)
