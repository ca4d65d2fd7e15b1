"""The tables of the comparison across data sets, read back for the page that tells them."""

from dataclasses import dataclass, replace
from typing import Any

import pandas as pd

from deepfake.config.params import Params
from deepfake.datasets import catalog, shared_identities
from deepfake.tables import results as result_tables

NAME = "generalization"
COLUMNS = {
    "accuracy": "Accuracy",
    "precision": "Precision",
    "recall": "Recall",
    "f1": "F1 (fake)",
    "auc": "AUC",
    "eer": "EER",
    "balanced_accuracy": "Balanced accuracy",
}
"""The figures of a row, and what stands above them; those of the plan first."""
_PARTS = ("", "_tests", "_sources", "_features", "_matrix")


@dataclass(frozen=True)
class Found:
    """The tables of the comparison.

    Args:
        rows: one row a detector and data set; others' at the end.
        tests: one row a paired test.
        sources: one row a detector, data set and source.
        features: one row an away data set and feature.
        matrix: one row a plainly trained detector and data set.
        kin: the other data sets that show the people of home.
        confidence: of all intervals.
        significance: largest corrected p-value that is called significant.
    """

    rows: pd.DataFrame
    tests: pd.DataFrame
    sources: pd.DataFrame
    features: pd.DataFrame
    matrix: pd.DataFrame
    kin: frozenset[str]
    confidence: float
    significance: float

    @property
    def trained(self) -> pd.DataFrame:
        """Return the rows of the study's own detectors."""
        return self.rows[self.rows["kind"] == "trained"]

    @property
    def foreign(self) -> pd.DataFrame:
        """Return the rows of other people's."""
        return self.rows[self.rows["kind"] != "trained"]

    @property
    def baseline(self) -> str:
        """Return the first detector."""
        return str(self.trained["model"].iloc[0])

    @property
    def models(self) -> list[str]:
        """Return all detectors of the study, the baseline first."""
        return self.trained["model"].drop_duplicates().tolist()

    @property
    def datasets(self) -> list[str]:
        """Return all data sets, the study's own first; the baseline may have been trained on another one."""
        return self.trained["dataset"].drop_duplicates().tolist()

    @property
    def home(self) -> str:
        """Return the data set that the baseline was trained on."""
        rows = self.trained[(self.trained["model"] == self.baseline) & (self.trained["home"] == 1)]
        return str(rows["dataset"].iloc[0])

    @property
    def away(self) -> list[str]:
        """Return the data sets that the baseline has not seen."""
        rows = self.trained[(self.trained["model"] == self.baseline) & (self.trained["home"] == 0)]
        return rows["dataset"].tolist()

    def row(self, model: str, dataset: str) -> Any:
        """Return the figures of a detector on a data set."""
        return self.trained.set_index(["model", "dataset"]).loc[(model, dataset)]

    def knows(self, model: str, dataset: str) -> bool:
        """Tell whether a detector is told from guessing on a data set."""
        return bool(self.row(model, dataset)["learned"])

    def asked(self, question: str, **values: str) -> pd.DataFrame:
        """Return the tests of a question that have these values."""
        tests = self.tests[self.tests["question"] == question]
        for column, value in values.items():
            tests = tests[tests[column] == value]
        return tests

    def fakes(self, dataset: str) -> set[str]:
        """Return the sources of a data set's fakes."""
        sources = self.sources[(self.sources["dataset"] == dataset) & (self.sources["label"] == "fake")]
        return set(sources["source"])


def read(settings: Params) -> Found:
    """Read the tables of the comparison.

    Raises:
        InputError: a table is missing, or the catalog is wrong.
    """
    rows, tests, sources, features, matrix = (result_tables.read(f"{NAME}{part}") for part in _PARTS)
    evaluation = settings.evaluation
    # no source is written as nothing at all
    tests = tests.assign(source=tests["source"].fillna(""))
    limits = evaluation.confidence, evaluation.significance
    found = Found(rows, tests, sources, features, matrix, frozenset(), *limits)
    return replace(found, kin=_kin(found))


def _kin(found: Found) -> frozenset[str]:
    """Return the data sets that show the people of the baseline's home."""
    entries = catalog.load()
    people = {name: shared_identities.origin(name, entries) for name in found.datasets}
    return frozenset(name for name in found.datasets if name != found.home and people[name] == people[found.home])
