"""What a feature space separates: whether a sample's nearest neighbours, among other groups, are of its kind."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from deepfake.evaluation.evalset import Codes, EvalSet, Floats
from deepfake.evaluation.influence import Influence, Part, assemble


def nearest(features: Floats, groups: ArrayLike, count: int) -> Codes:
    """Return each sample's nearest neighbours among the samples of other groups.

    A sample's own group (the same person, the photograph that a fake was made of) tells nothing of other people.

    Args:
        features: float [n, d], compared by Euclidean distance.
        groups: names, [n].
        count: of neighbours; fewer where the other groups have fewer samples.

    Returns:
        Row numbers, int [n, count], the nearest first.
    """
    from sklearn.neighbors import NearestNeighbors

    groups = np.asarray(groups).astype(str)
    names, sizes = np.unique(groups, return_counts=True)
    count = min(count, len(groups) - int(sizes.max()))
    found = np.zeros((len(groups), count), np.intp)
    if not count:
        return found
    for name in names:
        own, others = np.flatnonzero(groups == name), np.flatnonzero(groups != name)
        index = NearestNeighbors(n_neighbors=count, algorithm="brute").fit(features[others])
        found[own] = others[index.kneighbors(features[own], return_distance=False)]
    return found


def own_group(features: Floats, groups: ArrayLike, count: int) -> Floats:
    """Return what share of each sample's nearest neighbours, among all others, is of its own group, [n].

    Args:
        features: float [n, d], as for `nearest`.
        groups: names, [n].
        count: of neighbours; fewer where there are fewer samples.
    """
    from sklearn.neighbors import NearestNeighbors

    names = np.asarray(groups).astype(str)
    if len(names) < 2:
        return np.full(len(names), np.nan)
    index = NearestNeighbors(n_neighbors=min(count, len(names) - 1), algorithm="brute").fit(features)
    return (names[index.kneighbors(return_distance=False)] == names[:, None]).mean(axis=1)


def hits(codes: Codes, neighbours: Codes) -> Floats:
    """Return how far a vote of its neighbours gets each sample's class right, [n].

    A vote counts less the more samples the voter's class has: classes of unequal size have equal chances. Where h
    classes lead with equally many votes and the right one is among them, it is 1 / h right.

    Args:
        codes: number of each sample's class, from 0, [n].
        neighbours: `nearest`.
    """
    votes = (codes[neighbours][:, :, None] == np.arange(codes.max() + 1)).sum(axis=1) / np.bincount(codes)
    leading = np.isclose(votes, votes.max(axis=1, keepdims=True))
    return leading[np.arange(len(codes)), codes] / leading.sum(axis=1)


def balanced_accuracy(hit: Floats, codes: Codes, groups: ArrayLike, *, adjusted: bool = False) -> Influence:
    """Return the mean over classes of the accuracy, counted over all folds, with what each group contributes.

    Without a group, its samples are not judged; they stay the neighbours of others, as a detector's training would.

    Args:
        hit: how far each sample is right (`hits`), [n].
        codes: number of its class, from 0, [n].
        groups: its group, [n].
        adjusted: on the scale on which chance is 0 and perfect is 1, as sklearn's `balanced_accuracy_score` has it.
    """
    names, group = np.unique(np.asarray(groups).astype(str), return_inverse=True)
    classes = int(codes.max()) + 1
    cell, shape = group * classes + codes, (len(names), classes)
    right, total = (
        np.bincount(cell, weights=weights, minlength=len(names) * classes).reshape(shape)
        for weights in (hit, np.ones(len(hit)))
    )
    chance = 1 / classes if adjusted else 0.0

    def figure(right: Floats, total: Floats) -> Floats:
        with np.errstate(invalid="ignore"):
            return ((right / total).mean(axis=-1) - chance) / (1 - chance)

    part = Part(
        *(0, 0, np.arange(len(names))),
        float(figure(right.sum(axis=0), total.sum(axis=0))),
        figure(right.sum(axis=0) - right, total.sum(axis=0) - total),
    )
    rarest = np.bincount(codes).argmin()
    zeros = np.zeros(len(codes), np.int64)
    evalset = EvalSet((codes == rarest).astype(np.int64), zeros.astype(np.float64), names[group], zeros, zeros)
    return assemble(evalset, [part], bounded=not adjusted)


def silhouettes(features: Floats, codes: NDArray) -> Floats:
    """Return how much nearer each sample is to its own class than to the next one, [n] in [-1, 1] (Rousseeuw 1987).

    NaN where there are fewer than two classes, or as many as samples.
    """
    from sklearn.metrics import silhouette_samples

    if not 2 <= len(np.unique(codes)) <= len(codes) - 1:
        return np.full(len(codes), np.nan)
    return np.asarray(silhouette_samples(features, codes))
