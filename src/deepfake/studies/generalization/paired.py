"""The paired tests of the comparison: data sets, thresholds and detectors."""

import itertools
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from deepfake.evaluation import bootstrap, statistics, transfer
from deepfake.evaluation.bootstrap import Comparison
from deepfake.evaluation.transfer import AUC, Scored
from deepfake.studies.generalization.cells import Cell, of_source, sources
from deepfake.studies.generalization.questions import pairs
from deepfake.studies.generalization.scores import Scores

GAPS = (AUC, "balanced_accuracy")
"""What is lost away from home is told by these."""
CLASSES = ("recall_fake", "false_positive_rate")
"""At the detector's own threshold: which fakes get lost, and whether reals get accused."""


class Place(NamedTuple):
    """What is compared with what."""

    question: str
    model: str
    dataset: str
    baseline: str
    baseline_dataset: str
    source: str = ""


def run(scores: Scores, significance: float) -> pd.DataFrame:
    """Return all paired tests, corrected for their number (`analysis.Found.tests`).

    The questions: those of `questions.pairs`, where a difference is the AUC of `model` minus that of `baseline`; and of
    one detector, where a difference is the metric on `baseline_dataset` minus that on `dataset`

    - `gap`: what it loses against the first data set that it has seen;
    - `threshold`: what a threshold of the data set's own inner validation gives more than the detector's own;
    - `class`, of the baseline: which of the two classes is mistaken more often;
    - `source`, of the baseline: the gap of each fake source that both data sets have;
    - `between`, of the baseline: two away data sets against each other.
    """
    return _corrected([*_gaps(scores), *_between(scores), *_pairs(scores)], significance)


def _gaps(scores: Scores) -> Iterator[dict[str, Any]]:
    """Yield the tests of one detector on a data set that it has not seen."""
    for (model, dataset), cell in scores.cells.items():
        home = scores.home(model)
        if cell.seen or home is None:
            continue
        sides = scores.scored[(model, home)], scores.scored[(model, dataset)]
        for metric in GAPS:
            yield _gap(scores, Place("gap", model, dataset, model, home), metric, *sides)
        moved = Scored.of(cell.joined, scores.retuned[(model, dataset)])
        place = Place("threshold", model, dataset, model, dataset)
        yield _gap(scores, place, "balanced_accuracy", moved, sides[1])
        if model == scores.baseline:
            for metric in CLASSES:
                yield _gap(scores, Place("class", model, dataset, model, home), metric, *sides)
            yield from _source_gaps(scores, scores.cells[(model, home)], cell)


def _source_gaps(scores: Scores, home: Cell, away: Cell) -> Iterator[dict[str, Any]]:
    """Yield the gaps of the fake sources that both data sets have."""
    at_home = sources(home)
    for source in sources(away):
        if source.fake and source in at_home:
            sides = (Scored.of(of_source(cell, source), cell.thresholds) for cell in (home, away))
            place = Place("source", away.model, away.dataset, home.model, home.dataset, source.name)
            yield _gap(scores, place, AUC, *sides)


def _between(scores: Scores) -> Iterator[dict[str, Any]]:
    """Yield the tests of the baseline on two data sets that it has not seen."""
    model = scores.baseline
    for first, second in itertools.combinations(scores.away(model), 2):
        sides = (scores.scored[(model, dataset)] for dataset in (first, second))
        yield _gap(scores, Place("between", model, second, model, first), AUC, *sides)


def _gap(scores: Scores, place: Place, metric: str, home: Scored, away: Scored) -> dict[str, Any]:
    """Return a test of home minus away."""
    found = transfer.gap(home, away, metric, **scores.draws)
    return _test(place, metric, found, transfer.over_folds(home, away, metric).p_value, away)


def _pairs(scores: Scores) -> Iterator[dict[str, Any]]:
    """Yield the tests of two detectors on one data set."""
    datasets = dict.fromkeys(dataset for _, dataset in scores.cells)
    for (question, model, baseline), dataset in itertools.product(pairs(scores.configs, scores.settings), datasets):
        if {(model, dataset), (baseline, dataset)} <= scores.cells.keys():
            sides = (scores.cells[(name, dataset)] for name in (baseline, model))
            yield _pair(scores, Place(question, model, dataset, baseline, dataset), *sides)


def _pair(scores: Scores, place: Place, baseline: Cell, model: Cell) -> dict[str, Any]:
    """Test two detectors on the samples that both were held out on."""
    keys = ["fold", "subset", "sample_id", "label", "group"]
    both = baseline.joined.merge(model.joined[[*keys, "logit"]], on=keys, suffixes=("_first", ""))
    first, second = (
        Scored.of(both.assign(logit=both[column]), cell.thresholds)
        for column, cell in (("logit_first", baseline), ("logit", model))
    )
    found = bootstrap.paired_auc_difference(
        first.labels, first.logits, second.logits, first.groups, first.folds, **scores.draws
    )
    return _test(place, AUC, found, transfer.over_folds(second, first, AUC).p_value, first)


def _test(place: Place, metric: str, found: Comparison, p_folds: float, scored: Scored) -> dict[str, Any]:
    """Return a row of the tests, with the number of samples and groups behind it."""
    return {
        **place._asdict(),
        "metric": metric,
        "files": len(scored.labels),
        "groups": len(np.unique(scored.groups)),
        "difference": found.estimate,
        "low": found.low,
        "high": found.high,
        "p_bootstrap": found.p_value,
        "p_ttest": p_folds,
    }


_TESTED = [
    *(*Place._fields, "metric", "files", "groups", "difference", "low", "high"),
    *("p_bootstrap", "p_ttest"),
]


def _corrected(found: Iterable[dict[str, Any]], significance: float) -> pd.DataFrame:
    """Correct the tests of each question and metric, which are a table of the page, for their number."""
    tests = pd.DataFrame(found, columns=_TESTED)
    for kind in ("p_bootstrap", "p_ttest"):
        tests[f"{kind}_holm"] = tests.groupby(["question", "metric"])[kind].transform(statistics.holm)
    return tests.assign(
        over_groups=tests["p_bootstrap_holm"] <= significance,
        significant=tests[["p_bootstrap_holm", "p_ttest_holm"]].max(axis=1) <= significance,
    )
