"""Which samples an epoch shows, and in which order: index lists, decided here and nowhere else.

A loader serves the list it is given. So weights, shuffling and shards need no support from a backend, and every
sample in a batch is known by its row.
"""

import numpy as np


def shuffled(rows: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return all rows once, in random order."""
    return rng.permutation(rows)


def weighted(rows: np.ndarray, weights: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return as many rows as there are, drawn with replacement in proportion to their weights.

    Args:
        rows: int [n].
        weights: float [n], not negative, of any sum above zero.
        rng: the source of chance.
    """
    return rng.choice(rows, size=len(rows), replace=True, p=weights / weights.sum())


def shard(rows: np.ndarray, rank: int, world: int) -> np.ndarray:
    """Return one worker's share of an epoch; all shares are equally long, so the last few rows may be left out.

    Args:
        rows: the epoch's rows, the same for all workers.
        rank: this worker, from 0.
        world: number of workers.
    """
    return rows[: len(rows) // world * world][rank::world]


def occurrences(rows: np.ndarray) -> np.ndarray:
    """Return for each row how often it stood earlier in the list, so that a repeated sample can look different."""
    order = np.argsort(rows, kind="stable")
    ordered = rows[order]
    is_first = np.r_[True, ordered[1:] != ordered[:-1]] if len(rows) else np.zeros(0, bool)
    starts = np.flatnonzero(is_first)
    counts = np.empty(len(rows), np.int64)
    counts[order] = np.arange(len(rows)) - np.repeat(starts, np.diff(np.r_[starts, len(rows)]))
    return counts
