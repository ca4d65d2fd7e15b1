"""The tables of the study of class imbalance, read back for the page that tells them."""

from dataclasses import dataclass
from typing import Any

import pandas as pd

from deepfake.config.params import Params
from deepfake.tables import results as result_tables

NAME = "imbalance"
HALF, TUNED = "0.5", "tuned"
METRICS = {
    "recall_real": "recall (real)",
    "f1_macro": "F1 (macro)",
    "precision_recall_gap": "gap",
    "balanced_accuracy": "balanced accuracy",
    "auc": "AUC",
}
"""What experiments are compared by, and how sentences call it."""
GAP = "precision_recall_gap"
DECIDED = ("recall_real", "f1_macro", "precision_recall_gap")
"""Those that are compared at both decisions."""
SCARCE = 0.05
"""Recall of the reals below which their gap says nothing of balance."""


@dataclass(frozen=True)
class Found:
    """The tables of the study.

    Args:
        rows: one row an experiment and decision.
        tests: one row a paired test.
        cuts: one row an experiment and cut.
        calibration: one row an experiment.
        reliability: one row an experiment, scaling and bin.
        experiments: one row an experiment.
        confidence: of all intervals.
    """

    rows: pd.DataFrame
    tests: pd.DataFrame
    cuts: pd.DataFrame
    calibration: pd.DataFrame
    reliability: pd.DataFrame
    experiments: pd.DataFrame
    confidence: float

    @property
    def baseline(self) -> str:
        """Return the first experiment, which the others are compared with."""
        return str(self.rows["experiment"].iloc[0])

    @property
    def names(self) -> list[str]:
        """Return all experiments, the baseline first."""
        return self.experiments["experiment"].tolist()

    def row(self, experiment: str, decision: str) -> Any:
        """Return the figures of an experiment at a decision."""
        return self.rows.set_index(["experiment", "decision"]).loc[(experiment, decision)]

    def asked(self, question: str, metric: str, decision: str | None = None) -> pd.DataFrame:
        """Return the tests of a question by a metric, against the first baseline alone where there are several."""
        tests = self.tests[(self.tests["question"] == question) & (self.tests["metric"] == metric)]
        if question != "threshold":
            tests = tests[tests["baseline"] == self.baseline]
        return tests if decision is None else tests[tests["decision"] == decision]

    def mute(self, test: Any) -> bool:
        """Tell whether a test compares a gap that says nothing, because one side finds hardly any reals."""
        sides = ((test["experiment"], test["decision"]), (test["baseline"], test["baseline_decision"]))
        return test["metric"] == GAP and any(self.row(*side)["recall_real"] < SCARCE for side in sides)

    def telling(self, question: str, metric: str, decision: str | None = None) -> pd.DataFrame:
        """Return the tests of `asked` that say something."""
        tests = self.asked(question, metric, decision)
        return tests[pd.Series([not self.mute(test) for _, test in tests.iterrows()], index=tests.index, dtype=bool)]


def read(settings: Params) -> Found:
    """Read the tables of the study."""
    parts = ("", "_tests", "_thresholds", "_calibration", "_reliability", "_experiments")
    rows, tests, cuts, calibration, reliability, experiments = (result_tables.read(f"{NAME}{part}") for part in parts)
    return Found(rows, tests, cuts, calibration, reliability, experiments, settings.evaluation.confidence)
