"""External predictions: what they are worth, and their rows in the comparison."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deepfake.config.params import Params
from deepfake.datasets import catalog, entries
from deepfake.datasets.external import predictions
from deepfake.datasets.external.options import Options
from deepfake.datasets.external.predictions import ExternalPredictions
from deepfake.errors import InputError
from deepfake.evaluation import performance, resampling, verdicts
from deepfake.evaluation.estimate import Estimate
from deepfake.evaluation.evalset import EvalSet
from deepfake.evaluation.verdicts import Verdict
from deepfake.project import paths

FIGURES = (*performance.COLUMNS[:6], "ap", *performance.COLUMNS[6:])
"""What predictions are judged by, in the order of a table: those of our own detectors, and the average precision."""


@dataclass(frozen=True)
class Evaluated:
    """What predictions are worth, for this detector on other groups.

    Args:
        predictions: what was read.
        performance: for each of `FIGURES` its estimate, or why there is none.
        sources: the AUC of each source's fakes against all reals, over pairs of different groups and over all pairs.
        groups: how many there are; None: every sample counts as independent.
        chance: whether it is above chance, by the AUC, or without scores by the balanced accuracy; None: there is one
            class only.
    """

    predictions: ExternalPredictions
    performance: dict[str, Estimate | str]
    sources: dict[str, tuple[Estimate, Estimate]]
    groups: int | None
    chance: Verdict | None

    @property
    def judged_by(self) -> str:
        """Return the figure that `chance` is about."""
        return "balanced_accuracy" if isinstance(self.performance["auc"], str) else "auc"

    @property
    def below_chance(self) -> bool:
        """Return whether the whole interval lies below 0.5: labels or scores may be turned around."""
        return self.chance is not None and self.chance.high < 0.5

    @property
    def known(self) -> dict[str, Estimate]:
        """Return the figures that there are."""
        return {name: figure for name, figure in self.performance.items() if not isinstance(figure, str)}

    @property
    def confusion(self) -> dict[str, int] | None:
        """Return the confusion counts; None without predictions."""
        if self.predictions.called is None:
            return None
        cells = 2 * self.predictions.labels + self.predictions.called
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
        path: a table (`external.predictions.read`).
        options: what the user says about it.
        settings: the checked params.yaml: confidence and region of practical equivalence.

    Raises:
        InputError: the file cannot be understood, or it has one group only.
    """
    found = predictions.read(path, options)
    groups = None if found.groups is None else int(found.groups.max()) + 1
    if groups == 1:
        raise InputError(f"{path}: one group in column {found.taken.columns['group']!r}; name another --group")
    rows = np.arange(len(found.labels)) if found.groups is None else found.groups
    evaluation = settings.evaluation
    if np.ptp(found.labels) == 0:
        return Evaluated(found, _of_one_class(found, rows, path, evaluation.confidence), {}, groups, None)
    scores = found.scores
    if scores is None:
        assert found.called is not None  # there is one of the two
        scores = found.called.astype(float)
    evalset = EvalSet.of_arrays(found.labels, scores, rows, sources=found.sources)
    worth = _worth(found, evalset, evaluation.confidence)
    judged = worth["balanced_accuracy"] if isinstance(worth["auc"], str) else worth["auc"]
    assert isinstance(judged, Estimate)  # shares are always there
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


def _worth(found: ExternalPredictions, evalset: EvalSet, confidence: float) -> dict[str, Estimate | str]:
    """Return each of `FIGURES`, or why there is none."""
    worth: dict[str, Estimate | str] = {}
    if found.called is None:
        worth |= dict.fromkeys(performance.DECISIONS, found.taken.threshold_rule or "")
    else:
        worth |= performance.of_decisions(evalset, found.called, confidence)
    if found.scores is None:
        why = "scores contradict what was predicted" if found.taken.contradiction else "needs a score (--score COL)"
        worth |= dict.fromkeys((*performance.RANKING, "ap"), why)
    else:
        worth |= performance.of_ranking(evalset, confidence)
        ap = performance.average_precision(evalset)
        worth["ap"] = resampling.trained_models(ap, null=float(evalset.labels.mean()), confidence=confidence)
    return {name: worth[name] for name in FIGURES}


def _of_one_class(
    found: ExternalPredictions, groups: NDArray[np.int64], path: Path, confidence: float
) -> dict[str, Estimate | str]:
    """Return the share of samples that were predicted right, all of one class: of the positive one it is the recall."""
    if found.called is None:
        raise InputError(f"{path}: one class only, and nothing is predicted of it ({found.taken.threshold_rule})")
    right = performance.share(found.called == found.labels, groups, confidence)
    known = {"accuracy": right} | ({"recall": right} if found.labels[0] else {})
    return {name: known.get(name, "needs both classes") for name in FIGURES}


def record(evaluated: Evaluated, path: Path) -> dict[str, Any]:
    """Return all that is known about predictions, for machines: shares between 0 and 1, in full precision."""
    labels, chance = evaluated.predictions.labels, evaluated.chance
    taken = evaluated.predictions.taken
    return {
        "file": str(path),
        "taken": asdict(taken) | {"contradiction": taken.contradiction},
        "files": len(labels),
        "positives": int(labels.sum()),
        "negatives": int((labels == 0).sum()),
        "missing": taken.missing,
        "groups": evaluated.groups,
        "metrics": {name: _figure(figure) for name, figure in evaluated.performance.items()},
        "sources": {
            name: {"auc": _figure(between), "auc_all": _figure(usual)}
            for name, (between, usual) in evaluated.sources.items()
        },
        "confusion": evaluated.confusion,
        "chance": chance
        and {
            "judged_by": evaluated.judged_by,
            "verdict": chance.word,
            "p": None if chance.reason else chance.p,
            "reason": chance.reason,
        },
    }


def _figure(figure: Estimate | str) -> dict[str, float | str | None] | None:
    """Return an estimate with its interval, None where there is none."""
    if isinstance(figure, str):
        return None
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


def _reported(entry: entries.Reported) -> ExternalRow:
    known = {name: getattr(entry, name) for name in entries.REPORTED}
    figures = {name: value if name == "auc" else value / 100 for name, value in known.items() if value is not None}
    return ExternalRow(entry.title, entry.measured_on, None, figures, reported=True)


def _predicted(name: str, entry: entries.Predictions, settings: Params) -> ExternalRow:
    try:
        folder = paths().external_predictions
        found = evaluate(folder / entry.file, entry.options(folder), settings)
    except InputError as error:
        raise InputError(f"predictions.{name} in {paths().catalog}: {error}") from None
    known = {figure: value for figure, value in found.known.items() if figure in performance.COLUMNS}
    samples = len(found.predictions.labels)
    return ExternalRow(entry.title, entry.dataset, samples, performance.flat(known), reported=False)
