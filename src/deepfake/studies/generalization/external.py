"""External predictions: what they are worth, and their rows in the comparison."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from deepfake.config.params import Params
from deepfake.datasets import catalog, external_predictions
from deepfake.datasets.external_columns import Options
from deepfake.datasets.external_predictions import Foreign
from deepfake.errors import InputError
from deepfake.evaluation import performance, resampling, verdicts
from deepfake.evaluation.estimate import Estimate
from deepfake.evaluation.evalset import EvalSet
from deepfake.evaluation.verdicts import Verdict
from deepfake.project import paths


@dataclass(frozen=True)
class Evaluated:
    """What predictions are worth, for this detector on other groups.

    Args:
        foreign: the predictions.
        performance: for each of `performance.COLUMNS` its estimate; None for the ranking without scores.
        sources: the AUC of each source's fakes against all reals, over pairs of different groups and over all pairs.
        groups: how many there are; None: every row counts as independent.
        chance: whether it is above chance, by the AUC, or without scores by the balanced accuracy.
    """

    foreign: Foreign
    performance: dict[str, Estimate | None]
    sources: dict[str, tuple[Estimate, Estimate]]
    groups: int | None
    chance: Verdict

    @property
    def judged_by(self) -> str:
        """Return the figure that `chance` is about."""
        return "auc" if self.performance["auc"] else "balanced_accuracy"

    @property
    def below_chance(self) -> bool:
        """Return whether the whole interval lies below 0.5: labels or scores may be turned around."""
        return self.chance.high < 0.5

    @property
    def confusion(self) -> dict[str, int]:
        """Return the confusion counts."""
        cells = 2 * self.foreign.labels + self.foreign.called
        names = ("true_negatives", "false_positives", "false_negatives", "true_positives")
        return dict(zip(names, np.bincount(cells, minlength=4).tolist(), strict=True))


@dataclass(frozen=True)
class ExternalRow:
    """A row of the comparison that no run of this project stands behind.

    Args:
        title: what it is called.
        dataset: what it was measured on, in words.
        samples: how many; None: not reported.
        figures: those of `performance.flat` that are known; what was reported has no intervals.
        reported: whether these are published figures without predictions.
    """

    title: str
    dataset: str
    samples: int | None
    figures: dict[str, float]
    reported: bool


def evaluate(path: Path, options: Options, settings: Params) -> Evaluated:
    """Read predictions and say what they are worth.

    Args:
        path: a CSV (`external_predictions.read`).
        options: what the user says about it.
        settings: the checked params.yaml: confidence and region of practical equivalence.

    Raises:
        InputError: the file cannot be understood, or it has one group only.
    """
    found = external_predictions.read(path, options)
    groups = None if found.groups is None else int(found.groups.max()) + 1
    if groups == 1:
        raise InputError(f"{path}: one group in column {found.taken.group!r}; name another --group")
    rows = np.arange(len(found.labels)) if found.groups is None else found.groups
    scores = found.called.astype(float) if found.scores is None else found.scores
    evalset = EvalSet.of_arrays(found.labels, scores, rows, sources=found.sources)
    evaluation, worth = settings.evaluation, dict[str, Estimate | None].fromkeys(performance.COLUMNS)
    of = performance.of_decisions if found.scores is None else performance.of_scores
    worth |= of(evalset, found.called, evaluation.confidence)
    judged = worth["auc"] or worth["balanced_accuracy"]
    assert judged is not None  # shares are always there
    (chance,) = verdicts.against_chance([judged], evaluation.rope, evaluation.confidence)
    sources = {}
    if found.sources is not None and found.scores is not None:
        sides = (resampling.source_aucs(evalset, pairs) for pairs in ("between", "all"))
        between, usual = (
            {name: resampling.trained_models(figure, confidence=evaluation.confidence) for name, figure in side.items()}
            for side in sides
        )
        sources = {name: (between[name], usual[name]) for name in between}
    return Evaluated(found, worth, sources, groups, chance)


def record(evaluated: Evaluated, path: Path) -> dict[str, Any]:
    """Return all that is known about predictions, for machines: shares between 0 and 1, in full precision."""
    labels, chance = evaluated.foreign.labels, evaluated.chance
    taken = asdict(evaluated.foreign.taken)
    return {
        "file": str(path),
        "taken": taken,
        "files": len(labels),
        "positives": int(labels.sum()),
        "negatives": int((labels == 0).sum()),
        "groups": evaluated.groups,
        "metrics": {name: figure and _figure(figure) for name, figure in evaluated.performance.items()},
        "sources": {
            name: {"auc": _figure(between), "auc_all": _figure(usual)}
            for name, (between, usual) in evaluated.sources.items()
        },
        "confusion": evaluated.confusion,
        "chance": {
            "judged_by": evaluated.judged_by,
            "verdict": chance.word,
            "p": None if chance.reason else chance.p,
            "reason": chance.reason,
        },
    }


def _figure(figure: Estimate) -> dict[str, float | str | None]:
    """Return an estimate with its interval, None where there is none."""
    low, high = (None if np.isnan(end) else end for end in (figure.low, figure.high))
    return {"estimate": figure.value, "low": low, "high": high, "reason": figure.reason}


def rows(settings: Params, path: Path | None = None) -> list[ExternalRow]:
    """Return the catalog's rows of the comparison: published figures, then predictions, evaluated.

    Args:
        settings: the checked params.yaml.
        path: the catalog.

    Raises:
        InputError: the catalog is wrong, or a file of predictions is missing or cannot be understood.
    """
    path = path or paths().catalog
    published = [_reported(entry) for entry in catalog.load_reported(path).values()]
    return published + [_predicted(name, entry, settings) for name, entry in catalog.load_predictions(path).items()]


def _reported(entry: catalog.Reported) -> ExternalRow:
    known = {name: getattr(entry, name) for name in catalog.REPORTED}
    figures = {name: value if name == "auc" else value / 100 for name, value in known.items() if value is not None}
    return ExternalRow(entry.title, entry.measured_on, None, figures, reported=True)


def _predicted(name: str, entry: catalog.Predictions, settings: Params) -> ExternalRow:
    options = Options(entry.truth, entry.pred, entry.score, entry.positive, entry.group, entry.threshold)
    try:
        found = evaluate(paths().external_predictions / entry.file, options, settings)
    except InputError as error:
        raise InputError(f"predictions.{name} in {paths().catalog}: {error}") from None
    known = {name: figure for name, figure in found.performance.items() if figure is not None}
    return ExternalRow(entry.title, entry.dataset, len(found.foreign.labels), performance.flat(known), reported=False)
