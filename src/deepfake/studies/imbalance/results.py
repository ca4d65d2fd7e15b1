"""The tables of the study of class imbalance, read back for its findings and its page."""

from dataclasses import dataclass
from typing import Any

import pandas as pd

from deepfake.studies.imbalance.analysis import NAME, PARTS
from deepfake.tables import results as result_tables

_LOSSES = {"bce": "BCE", "bce_pos_weight": "weighted BCE", "focal": "focal loss"}
_SAMPLERS = {"shuffle": "shuffling", "weighted": "balanced sampling", "stratified": "stratified batches"}
_MONITORS = {"auc": "AUC", "f1_macro": "macro F1", "balanced_accuracy": "balanced accuracy"}


@dataclass(frozen=True)
class Found:
    """The tables of the study (`analysis.run`).

    Args:
        rows: one row a run and decision.
        tests: one row a planned contrast.
        expectations: one row a run and metric that the study design expects something of.
        thresholds: one row a run and threshold.
        calibration: one row a run.
        reliability: one row a run, scaling and bin.
        experiments: one row a run.
        labels: what each run is called: by what it does to mitigate the imbalance.
    """

    rows: pd.DataFrame
    tests: pd.DataFrame
    expectations: pd.DataFrame
    thresholds: pd.DataFrame
    calibration: pd.DataFrame
    reliability: pd.DataFrame
    experiments: pd.DataFrame
    labels: dict[str, str]

    @property
    def baseline(self) -> str:
        """Return the first run, which the others are compared with."""
        return next(iter(self.labels))

    def row(self, experiment: str, decision: str) -> Any:
        """Return the figures of a run at a decision."""
        return self.rows.set_index(["experiment", "decision"]).loc[(experiment, decision)]

    def asked(self, question: str) -> pd.DataFrame:
        """Return the contrasts of a question; those of mitigations are with the first baseline."""
        tests = self.tests[self.tests["question"] == question]
        return tests if question == "threshold" else tests[tests["baseline"] == self.baseline]


def read() -> Found:
    """Read the tables of the study."""
    frames = [result_tables.read(f"{NAME}{part}") for part in PARTS]
    return Found(*frames, labels=labels(frames[-1]))


def labels(experiments: pd.DataFrame) -> dict[str, str]:
    """Return what runs are called; by their names where two would be called the same."""
    rows = experiments.to_dict("records")
    found = {str(row["experiment"]): _label(row, rows[0]) for row in rows}
    told = list(found.values())
    return {name: label if told.count(label) == 1 else name for name, label in found.items()}


def _label(row: Any, first: Any) -> str:
    """Return in what a run differs from the first."""
    if row is first:
        return f"plain {_LOSSES['bce']}" if row["loss"] == "bce" and row["sampler"] == "shuffle" else row["experiment"]
    parts = [
        _LOSSES[row["loss"]] if row["loss"] != first["loss"] else "",
        _SAMPLERS.get(row["sampler"], row["sampler"]) if row["sampler"] != first["sampler"] else "",
        f"selection by {_MONITORS.get(row['monitor'], row['monitor'])}" if row["monitor"] != first["monitor"] else "",
        "domain-adversarial training" if row["domain"] != first["domain"] else "",
    ]
    return " with ".join(part for part in parts if part) or row["experiment"]
