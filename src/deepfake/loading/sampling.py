"""Which samples an epoch shows, and in which order: index lists, decided here and nowhere else.

A loader serves the list it is given. So weights and shuffling need no support from a backend, and every
sample in a batch is known by its row.
"""

from collections.abc import Callable

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


def class_weights(labels: np.ndarray) -> np.ndarray:
    """Return a weight for each sample, float [n], so that all classes (or data sets, ...) have the same sum."""
    _, codes, counts = np.unique(labels, return_inverse=True, return_counts=True)
    return 1 / counts[codes]


def stratified(rows: np.ndarray, labels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return all rows once, in random order, each class spread evenly: any stretch has the classes in proportion.

    In a stretch of b rows each class has its share of b, rounded up or down by less than two.

    Args:
        rows: int [n].
        labels: int [n], of these rows.
        rng: the source of chance.
    """
    place = np.empty(len(rows))
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        # anywhere in its own cell: exactly even distances could fall in step with the batches
        place[members] = (rng.permutation(len(members)) + rng.random(len(members))) / len(members)
    return rows[np.argsort(place, kind="stable")]


Sampler = Callable[[np.ndarray, np.ndarray, np.ndarray, np.random.Generator], np.ndarray]
"""Maps training rows (int [n]), their labels (int [n]), their data sets (int [n]) and a source of chance to the rows of
an epoch, in order."""
SAMPLERS: dict[str, Sampler] = {
    "shuffle": lambda rows, labels, datasets, rng: shuffled(rows, rng),
    "weighted": lambda rows, labels, datasets, rng: weighted(rows, class_weights(labels), rng),
    "stratified": lambda rows, labels, datasets, rng: stratified(rows, labels, rng),
    "datasets": lambda rows, labels, datasets, rng: weighted(rows, class_weights(datasets), rng),
}


def occurrences(rows: np.ndarray) -> np.ndarray:
    """Return for each row how often it stood earlier in the list, so that a repeated sample can look different."""
    order = np.argsort(rows, kind="stable")
    ordered = rows[order]
    is_first = np.r_[True, ordered[1:] != ordered[:-1]] if len(rows) else np.zeros(0, bool)
    starts = np.flatnonzero(is_first)
    counts = np.empty(len(rows), np.int64)
    counts[order] = np.arange(len(rows)) - np.repeat(starts, np.diff(np.r_[starts, len(rows)]))
    return counts
