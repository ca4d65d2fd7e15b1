"""From samples to clips: the frames of a video, or the windows of a recording, have one verdict together.

A sample that is a clip of its own, such as an image, stays as it is.
"""

from collections.abc import Callable

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from deepfake.config.training import Pooling
from deepfake.errors import InputError

Floats = NDArray[np.float64]
Codes = NDArray[np.intp]

_PLACE = ("experiment", "fold", "condition", "clip_id")
"""What the rows of one verdict have in common."""
_ALIKE = ("subset", "label", "group")
"""What a clip has one of."""


def _mean(ordered: Floats, starts: Codes, counts: Codes) -> Floats:
    return np.add.reduceat(ordered, starts) / counts


def _median(ordered: Floats, starts: Codes, counts: Codes) -> Floats:
    return (ordered[starts + (counts - 1) // 2] + ordered[starts + counts // 2]) / 2


def _max(ordered: Floats, starts: Codes, counts: Codes) -> Floats:
    return ordered[starts + counts - 1]


POOLINGS: dict[Pooling, Callable[[Floats, Codes, Codes], Floats]] = {"mean": _mean, "median": _median, "max": _max}
"""By the values of `shared.pooling`: from logits, ascending within each clip, where clips start and how many samples
they have, to the logit of each."""


def codes(clip_ids: ArrayLike) -> Codes | None:
    """Return the number of each sample's clip, int [n], or None where no clip has several samples."""
    found, names = pd.factorize(np.asarray(clip_ids))
    return None if len(names) == len(found) else found


def pooled(logits: ArrayLike, clips: ArrayLike, how: Pooling) -> Floats:
    """Return the logit of each clip, float64 [m], in the order in which clips first appear.

    It is the same to the last bit in whatever order the samples come.

    Args:
        logits: of the samples, [n].
        clips: the clip of each, int or str [n].
        how: a key of `POOLINGS`.
    """
    values, (numbers, names) = np.asarray(logits, np.float64), pd.factorize(np.asarray(clips))
    if not len(values):
        return values
    counts = np.bincount(numbers, minlength=len(names))
    return POOLINGS[how](values[np.lexsort((values, numbers))], counts.cumsum() - counts, counts)


def decided(labels: NDArray, logits: NDArray, clips: NDArray | None, how: Pooling) -> tuple[NDArray, NDArray]:
    """Return labels and logits of clips, int and float [m]; of samples where these are clips of their own.

    Args:
        labels: of the samples, int [n].
        logits: of the samples, [n].
        clips: the clip of each, int or str [n]; None: no clip has several.
        how: a key of `POOLINGS`.
    """
    if clips is None:
        return labels, logits
    first = np.flatnonzero(~pd.Series(clips).duplicated())
    return labels[first], pooled(logits, clips, how)


def by_clip(samples: pd.DataFrame, how: Pooling) -> pd.DataFrame:
    """Return one row a clip, in the order in which clips first appear.

    Args:
        samples: with `clip_id, sample_id, logit` and, where there are any, `experiment, fold, condition`: clips are
            pooled within each of these.
        how: a key of `POOLINGS`.

    Returns:
        The samples as they are where each is a clip of its own. Else, of each clip, the row of the sample whose logit
        is nearest to the clip's, with `sample_id` that of the clip, and its logit.

    Raises:
        InputError: the samples of a clip differ in subset, label or group.
    """
    if samples["clip_id"].equals(samples["sample_id"]):
        return samples
    keys = [column for column in _PLACE if column in samples]
    if not samples.duplicated(keys).any():
        return samples
    clips = samples.groupby(keys, sort=False).ngroup().to_numpy()
    first = np.flatnonzero(~samples.duplicated(keys).to_numpy())
    for column in _ALIKE:
        if column in samples:
            values = samples[column].to_numpy()
            if (other := values != values[first][clips]).any():
                name = samples["clip_id"].iloc[other.argmax()]
                raise InputError(f"clip {name} has samples of several values of {column}; prepare its data set again")
    logits = pooled(samples["logit"], clips, how)
    apart = np.abs(samples["logit"].to_numpy() - logits[clips])
    order = np.lexsort((apart, clips))
    nearest = order[np.flatnonzero(np.diff(clips[order], prepend=-1))]
    found = samples.iloc[nearest].reset_index(drop=True)
    return found.assign(sample_id=found["clip_id"], logit=logits)
