"""Other people's detectors by their predictions: what they are worth, and their rows in the comparison."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from deepfake.config.params import Params
from deepfake.datasets import catalog, external_predictions
from deepfake.datasets.external_columns import Options
from deepfake.datasets.external_predictions import Foreign
from deepfake.errors import InputError
from deepfake.evaluation import bootstrap, performance
from deepfake.evaluation.bootstrap import Interval
from deepfake.evaluation.decisions import Counts, Decided, count
from deepfake.project import paths

CHANCE = 0.5
"""The AUC and the balanced accuracy of a detector that guesses."""


@dataclass(frozen=True)
class Evaluated:
    """What predictions are worth.

    Args:
        foreign: the predictions.
        performance: for each of `performance.COLUMNS` its interval; None for AUC and EER without scores.
        groups: how many there are; None: every row counts as independent.
    """

    foreign: Foreign
    performance: dict[str, Interval | None]
    groups: int | None

    @property
    def counts(self) -> Counts:
        """Return the decisions by what the samples are; fakes are the positive class."""
        return count(self.foreign.labels, self.foreign.called, 1)

    @property
    def judged_by(self) -> str:
        """Return the column that says whether the detector is better than chance."""
        return "auc" if self.performance["auc"] else "balanced_accuracy"

    @property
    def standing(self) -> Literal["above", "open", "below"]:
        """Tell on which side of chance the interval of `judged_by` lies; open: on both."""
        judge = self.performance[self.judged_by]
        assert judge is not None  # shares are always there
        return "above" if judge.low > CHANCE else "below" if judge.high < CHANCE else "open"


@dataclass(frozen=True)
class ForeignRow:
    """A row of the comparison that no model of this project stands behind.

    Args:
        name: its key in the catalog.
        title: what it is called.
        dataset: what it was measured on, in words.
        files: how many samples; None: not reported.
        performance: for each of `performance.COLUMNS` its interval, or None where there is none. What was reported has
            an estimate and no ends (NaN), because nobody can resample it.
        reported: whether these are published figures without predictions.
        source: where the figures were published, or the file of the predictions.
    """

    name: str
    title: str
    dataset: str
    files: int | None
    performance: dict[str, Interval | None]
    reported: bool
    source: str


def evaluate(path: Path, options: Options, settings: Params) -> Evaluated:
    """Read predictions and say what they are worth, with intervals over groups as everywhere.

    Args:
        path: a CSV (`external_predictions.read`).
        options: what the user says about it.
        settings: the checked params.yaml: confidence, replicates and seed.

    Raises:
        InputError: the file cannot be understood, or it has too few rows or groups to be resampled.
    """
    found = external_predictions.read(path, options)
    groups = None if found.groups is None else int(found.groups.max()) + 1
    if groups == 1:
        raise InputError(
            f"{path}: one group in column {found.taken.group!r}, nothing to resample; name another --group"
        )
    rows = np.arange(len(found.labels)) if found.groups is None else found.groups
    one_fold = np.zeros(len(rows), np.int64)
    draws: dict[str, Any] = {
        "replicates": settings.evaluation.bootstrap_replicates,
        "seed": settings.shared.seed,
        "confidence": settings.evaluation.confidence,
    }
    try:
        worth: dict[str, Interval | None] = dict.fromkeys(performance.COLUMNS)
        worth |= performance.of_decisions(Decided(found.labels, found.called, rows, one_fold), **draws)
        if found.scores is not None:
            worth["auc"] = bootstrap.auc_interval(found.labels, found.scores, rows, one_fold, **draws)
            worth["eer"] = performance.eer_interval(found.labels, found.scores, rows, one_fold, **draws)
    except InputError:
        # labels, scores and groups are checked by now; what is left is that most draws lose a class
        what = "rows" if groups is None else "groups"
        raise InputError(
            f"{path}: too few {what} to resample: most draws of {what} lack {' or '.join(found.taken.positive)}, or "
            f"{' or '.join(found.taken.negative)}; add {what} of both"
        ) from None
    return Evaluated(found, worth, groups)


def record(evaluated: Evaluated, path: Path) -> dict[str, Any]:
    """Return all that is known about predictions, for machines: shares between 0 and 1, in full precision."""
    labels, counts = evaluated.foreign.labels, evaluated.counts
    return {
        "file": str(path),
        "taken": asdict(evaluated.foreign.taken),
        "files": len(labels),
        "positives": int(labels.sum()),
        "negatives": int((labels == 0).sum()),
        "groups": evaluated.groups,
        "metrics": {name: interval and asdict(interval) for name, interval in evaluated.performance.items()},
        "confusion": {
            "true_positives": int(counts.true_fakes),
            "false_positives": int(counts.false_fakes),
            "true_negatives": int(counts.true_reals),
            "false_negatives": int(counts.false_reals),
        },
        "chance": {"judged_by": evaluated.judged_by, "standing": evaluated.standing},
    }


def rows(settings: Params, path: Path | None = None) -> list[ForeignRow]:
    """Return the catalog's rows of the comparison: published figures, then predictions, evaluated.

    Args:
        settings: the checked params.yaml: confidence, replicates and seed.
        path: the catalog.

    Raises:
        InputError: the catalog is wrong, or a file of predictions is missing or cannot be understood.
    """
    path = path or paths().catalog
    published = [_reported(name, entry) for name, entry in catalog.load_reported(path).items()]
    return published + [_predicted(name, entry, settings) for name, entry in catalog.load_predictions(path).items()]


def _reported(name: str, entry: catalog.Reported) -> ForeignRow:
    worth: dict[str, Interval | None] = dict.fromkeys(performance.COLUMNS)
    for figure in catalog.REPORTED:
        if (value := getattr(entry, figure)) is not None:
            share = value if figure == "auc" else value / 100
            worth[figure] = Interval(share, float("nan"), float("nan"), float("nan"))
    return ForeignRow(name, entry.title, entry.measured_on, None, worth, True, entry.source)


def _predicted(name: str, entry: catalog.Predictions, settings: Params) -> ForeignRow:
    options = Options(entry.truth, entry.pred, entry.score, entry.positive, entry.group, entry.threshold)
    path = paths().external_predictions / entry.file
    try:
        found = evaluate(path, options, settings)
    except InputError as error:
        raise InputError(f"predictions.{name} in {paths().catalog}: {error}") from None
    return ForeignRow(name, entry.title, entry.dataset, len(found.foreign.labels), found.performance, False, str(path))
