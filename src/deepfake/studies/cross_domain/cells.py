"""A cell of the comparison: one detector on one test data set."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from deepfake import tables
from deepfake.config.params import Evaluation
from deepfake.evaluation import performance, resampling, thresholds, verdicts
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
        joined: one row a clip, `fold, subset, sample_id, label, source, group, logit`, with the subsets `validation`
            (the inner validation's groups of that fold) and `held_out`. A clip is called as in the manifest of
            `dataset`, whatever the detector was trained on, so that detectors can be paired. A group has the same name
            in all data sets that show the same people.
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
        """Return the decisions at thresholds tuned on the inner validation's groups of this data set, bool [n].

        Where a fold has none of both classes there, its shipped threshold stays.
        """
        rule = thresholds.RULES[thresholds.TUNED]
        parts = self.joined[self.joined["subset"] == "validation"].groupby("fold")
        found = {int(str(fold)): rule(rows["label"], rows["logit"]) for fold, rows in parts}
        return self._decided(self.thresholds | found)

    def counted(self, metric: str, *, retuned: bool = False) -> Influence:
        """Return one of `resampling.COUNTED`, at the shipped thresholds or at retuned ones."""
        called = self.predicted_fake_retuned if retuned else self.predicted_fake
        return resampling.counted(self.evalset, called, COUNTED[metric], bounded=True)

    def worth(self, evaluation: Evaluation) -> dict[str, Any]:
        """Return what the detector is worth on the data set, as columns of a table.

        They are `in_domain, samples, reals, groups`; `performance.COLUMNS` at the shipped thresholds and
        `retuned_balanced_accuracy`, each with its interval; and whether the AUC is above chance, each row a question of
        its own: `chance, p_chance`.
        """
        figures = performance.of_scores(self.evalset, self.predicted_fake, evaluation.confidence)
        retuned = self.counted("balanced_accuracy", retuned=True)
        figures["retuned_balanced_accuracy"] = resampling.trained_models(retuned, confidence=evaluation.confidence)
        (chance,) = verdicts.against_chance([figures["auc"]], evaluation.rope, evaluation.confidence)
        return {
            "in_domain": int(self.in_domain),
            "samples": self.held_out["sample_id"].nunique(),
            "reals": self.held_out.loc[self.held_out["label"] == tables.REAL, "sample_id"].nunique(),
            "groups": self.held_out["group"].nunique(),
            **performance.flat(figures),
            "chance": chance.word,
            "p_chance": chance.p,
        }

    def by_source(self, confidence: float) -> Iterator[dict[str, Any]]:
        """Yield a row for each source of fakes, with the AUC of its fakes against all reals and its interval."""
        counts = self.held_out.drop_duplicates("sample_id")["source"].value_counts()
        for source, figure in self.source_aucs.items():
            found = {"auc": resampling.trained_models(figure, confidence=confidence)}
            place = {"experiment": self.experiment, "dataset": self.dataset, "source": source}
            yield place | {"samples": int(counts[source])} | performance.flat(found)

    def _decided(self, by_fold: dict[int, float]) -> np.ndarray:
        return self.evalset.scores >= np.array([by_fold[int(fold)] for fold in self.evalset.folds])


Cells = Mapping[tuple[str, str], Cell]
"""Each cell by its detector and its data set."""
