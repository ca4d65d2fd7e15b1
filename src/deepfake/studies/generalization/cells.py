"""One detector on one data set: what the comparison across data sets is made of."""

from dataclasses import dataclass
from typing import NamedTuple

import pandas as pd

from deepfake import tables


@dataclass(frozen=True)
class Cell:
    """The predictions of one detector on one data set.

    Args:
        model: the name of its run.
        dataset: a data set of the catalog.
        seen: whether the detector was trained on this data set (on other folds of it).
        joined: `fold, subset, sample_id, label, source, group, logit`, with the subsets `validation` (the inner
            validation's groups of that fold) and `held_out`. A sample is called as in the manifest of `dataset`,
            whatever the detector was trained on, so that detectors can be paired. A group has the same name in all data
            sets that show the same people.
        thresholds: for each fold the detector's own logit threshold, from its own inner validation.
    """

    model: str
    dataset: str
    seen: bool
    joined: pd.DataFrame
    thresholds: dict[int, float]


class Source(NamedTuple):
    """A source of samples."""

    name: str
    fake: bool


def sources(cell: Cell) -> list[Source]:
    """Return the sources that every fold of a data set has, the reals' first."""
    held_out = cell.joined[cell.joined["subset"] == "held_out"]
    folds = held_out.groupby(["label", "source"])["fold"].nunique()
    whole = folds[folds == held_out["fold"].nunique()].index.tolist()
    return [Source(str(source), label == tables.FAKE) for label, source in whole]


def of_source(cell: Cell, source: Source) -> pd.DataFrame:
    """Return the samples of a source, and all those of the other class."""
    other = tables.REAL if source.fake else tables.FAKE
    return cell.joined[(cell.joined["source"] == source.name) | (cell.joined["label"] == other)]
