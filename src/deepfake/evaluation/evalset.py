"""Predictions as the statistics see them: what each row is, who it shows, and which training scored it."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from deepfake.errors import InputError
from deepfake.evaluation.metrics import checked

Floats = NDArray[np.float64]
Codes = NDArray[np.intp]


@dataclass(frozen=True)
class EvalSet:
    """Scored samples of one recipe, all arrays of shape [n]; build it with `of`.

    Args:
        labels: 0 real, 1 fake.
        scores: finite, growing with the belief that a sample is fake; comparable within a fold only.
        groups: the name of the person (or other unit that samples share).
        folds: number of the training that scored the row, unique across repeats.
        repeats: which repeat of the cross-validation the training belongs to; all 0 without repeats.
        sources: who made the sample, or None where it does not matter.
    """

    labels: NDArray[np.int64]
    scores: Floats
    groups: NDArray[np.str_]
    folds: NDArray[np.int64]
    repeats: NDArray[np.int64]
    sources: NDArray[np.str_] | None = None

    @classmethod
    def of(cls, frame: pd.DataFrame) -> "EvalSet":
        """Build it from the columns `label, logit, group, fold` and, where there are any, `repeat, source`.

        Raises:
            InputError: a column or a group is missing, a logit is not finite, or a fold has one class only.
        """
        if absent := [name for name in ("label", "logit", "group", "fold") if name not in frame]:
            raise InputError(f"predictions without {', '.join(absent)}; the statistics need label, logit, group, fold")
        return cls.of_arrays(
            *(frame[name].to_numpy() for name in ("label", "logit", "group", "fold")),
            repeats=frame["repeat"].to_numpy() if "repeat" in frame else None,
            sources=frame["source"].to_numpy() if "source" in frame else None,
        )

    @classmethod
    def of_arrays(
        cls,
        labels: ArrayLike,
        scores: ArrayLike,
        groups: ArrayLike,
        folds: ArrayLike | None = None,
        *,
        repeats: ArrayLike | None = None,
        sources: ArrayLike | None = None,
    ) -> "EvalSet":
        """Build it from arrays of shape [n]; without folds or repeats all rows belong to the first."""
        labels, scores = checked(labels, scores)
        zeros = np.zeros(len(labels), dtype=np.int64)
        folds, repeats = (zeros if value is None else value for value in (folds, repeats))
        given = {"groups": groups, "folds": folds, "repeats": repeats}
        arrays = {name: np.asarray(values) for name, values in given.items()}
        if sources is not None:
            arrays["sources"] = np.asarray(sources)
        for name, values in arrays.items():
            if values.shape != labels.shape:
                raise InputError(f"{len(labels)} labels but {name} of shape {values.shape}; give one a sample")
        if (nameless := pd.isna(arrays["groups"])).any():
            raise InputError(f"no group in row {int(nameless.argmax())}; every sample needs one")
        for name in ("folds", "repeats"):
            try:
                arrays[name] = arrays[name].astype(np.int64)
            except (TypeError, ValueError):
                raise InputError(f"{name} {arrays[name][:3].tolist()}...; they are whole numbers from 0") from None
        for fold in np.unique(arrays["folds"]):
            inside = arrays["folds"] == fold
            if np.ptp(labels[inside]) == 0:
                kind = "real" if labels[inside][0] else "fake"
                raise InputError(f"fold {fold} has no {kind} sample; use fewer folds or more data")
            if np.ptp(arrays["repeats"][inside]):
                raise InputError(f"fold {fold} stands in several repeats; number the folds on from repeat to repeat")
        names = {name: arrays[name].astype(str) for name in ("groups", "sources") if name in arrays}
        return cls(labels, scores, names["groups"], arrays["folds"], arrays["repeats"], names.get("sources"))

    def take(self, rows: NDArray) -> "EvalSet":
        """Return the chosen rows: a mask of shape [n] or row numbers."""
        sources = None if self.sources is None else self.sources[rows]
        chosen = (self.labels[rows], self.scores[rows], self.groups[rows], self.folds[rows], self.repeats[rows])
        return EvalSet(*chosen, sources)

    def groups_by_fold(self) -> dict[int, int]:
        """Return how many groups each fold has, by its number."""
        counted = pd.Series(self.groups).groupby(self.folds).nunique()
        return {int(str(fold)): int(count) for fold, count in counted.items()}


def paired(first: pd.DataFrame, second: pd.DataFrame) -> tuple[EvalSet, EvalSet]:
    """Put the rows of two recipes' predictions into one order, by `sample_id` and `fold`.

    Raises:
        InputError: they are not predictions of the same samples by the same folds, or labels or groups differ.
    """
    keys = ["sample_id", "fold"]
    sides = [frame.sort_values(keys, kind="stable").reset_index(drop=True) for frame in (first, second)]
    same = [name for name in (*keys, "label", "group", "repeat") if any(name in side for side in sides)]
    if sides[0].duplicated(keys).any():
        raise InputError("a sample is predicted twice by one fold; keep one prediction each")
    for name in same:
        if not all(name in side for side in sides) or not np.array_equal(*(side[name].to_numpy() for side in sides)):
            raise InputError(f"the two recipes differ in {name}; compare predictions of the same samples and folds")
    return EvalSet.of(sides[0]), EvalSet.of(sides[1])
