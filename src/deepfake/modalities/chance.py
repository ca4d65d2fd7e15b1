"""Chance that depends on a seed and a sample alone: not on its batch, and not on what was drawn before."""

import numpy as np


def splitmix64(state: np.ndarray, n: np.ndarray) -> np.ndarray:
    """Return the n-th numbers (n = 1, 2, ...) of SplitMix64 from a state, uint64.

    Steele, Lea and Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014. Any number of the sequence is
    had without those before it, which is what makes a draw independent of its batch.
    """
    z = state + n * np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> 30)) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> 27)) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> 31)


def of_epoch(seed: int, epoch: int) -> np.ndarray:
    """Return the state that the draws of an epoch begin from, uint64 [1]."""
    return np.random.SeedSequence((seed, epoch)).generate_state(1, np.uint64)


def uniform(
    state: np.ndarray, rows: np.ndarray, occurrence: np.ndarray, names: tuple[str, ...]
) -> dict[str, np.ndarray]:
    """Return numbers in [0, 1) for samples of an epoch, float64 [b] by name.

    Args:
        state: of the epoch.
        rows: int [b], each sample's row in the manifest, below 2^32.
        occurrence: int [b]: how often the row has come in this epoch before, below 2^24.
        names: fewer than 256; a new one goes to the end, so that the others keep their values.
    """
    counter = (occurrence.astype(np.uint64) << 40) | (rows.astype(np.uint64) << 8)
    columns = np.arange(1, len(names) + 1, dtype=np.uint64)
    drawn = (splitmix64(state, counter[:, None] | columns) >> 11) * 2.0**-53
    return dict(zip(names, drawn.T, strict=True))


def of_rows(rows: np.ndarray) -> np.ndarray:
    """Return a number of 64 bits for each sample, uint64 [b], by its row in the manifest alone."""
    return splitmix64(np.zeros(1, np.uint64), rows.astype(np.uint64) + np.uint64(1))
