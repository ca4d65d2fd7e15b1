"""A cell of the comparison: one detector on one test data set."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from deepfake.evaluation import resampling, thresholds
from deepfake.evaluation.evalset import EvalSet
from deepfake.evaluation.influence import Influence
from deepfake.evaluation.resampling import COUNTED


@dataclass(frozen=True)
class Cell:
    """The predictions of one detector on one data set, and the figures of the held-out samples.

    Args:
        experiment: the name of its run.
        dataset: a data set of the catalog.
        in_domain: whether the detector was trained on this data set (on other folds of it).
        joined: `fold, subset, sample_id, label, source, group, logit`, with the subsets `validation` (the inner
            validation's groups of that fold) and `held_out`. A sample is called as in the manifest of `dataset`,
            whatever the detector was trained on, so that detectors can be paired. A group has the same name in all data
            sets that show the same people.
        thresholds: for each fold the detector's shipped logit threshold, from its own inner validation.
    """

    experiment: str
    dataset: str
    in_domain: bool
    joined: pd.DataFrame
    thresholds: dict[int, float]

    @cached_property
    def held_out(self) -> pd.DataFrame:
        """Return the samples that figures are about."""
        return self.joined[self.joined["subset"] == "held_out"]

    @cached_property
    def evalset(self) -> EvalSet:
        """Return the held-out samples as the statistics see them."""
        return EvalSet.of(self.held_out)

    @cached_property
    def auc(self) -> Influence:
        """Return the AUC over pairs of different groups."""
        return resampling.auc(self.evalset)

    @cached_property
    def source_aucs(self) -> dict[str, Influence]:
        """Return the AUC of each source's fakes against all reals."""
        return resampling.source_aucs(self.evalset)

    @cached_property
    def predicted_fake(self) -> np.ndarray:
        """Return the decisions at the shipped thresholds, bool [n]."""
        return self._decided(self.thresholds)

    @cached_property
    def predicted_fake_retuned(self) -> np.ndarray:
        """Return the decisions at thresholds tuned on the inner validation's groups of this data set, bool [n]."""
        rule = thresholds.RULES[thresholds.TUNED]
        parts = self.joined[self.joined["subset"] == "validation"].groupby("fold")
        return self._decided({int(str(fold)): rule(rows["label"], rows["logit"]) for fold, rows in parts})

    def counted(self, metric: str, *, retuned: bool = False) -> Influence:
        """Return one of `resampling.COUNTED`, at the shipped thresholds or at retuned ones."""
        called = self.predicted_fake_retuned if retuned else self.predicted_fake
        return resampling.counted(self.evalset, called, COUNTED[metric], bounded=True)

    def _decided(self, by_fold: dict[int, float]) -> np.ndarray:
        return self.evalset.scores >= np.array([by_fold[int(fold)] for fold in self.evalset.folds])
