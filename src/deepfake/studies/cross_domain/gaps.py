"""What one detector loses from the data set that it was trained on to the others: the generalization gap, and why."""

from collections.abc import Iterable, Iterator
from itertools import combinations
from typing import Any

import pandas as pd

from deepfake.config.params import Evaluation
from deepfake.evaluation import influence, resampling, verdicts
from deepfake.evaluation.influence import Influence
from deepfake.studies import comparison
from deepfake.studies.cross_domain.cells import Cell, Cells

TOLD = ["difference", "low", "high", "p", "verdict", "reason", "detectable", "samples", "groups", "repeats"]
"""The columns of a verdict (`comparison.told`)."""


def of_datasets(cells: Cells, baseline: str, evaluation: Evaluation) -> pd.DataFrame:
    """Compare what one trained detector does on two data sets.

    Returns:
        One row a figure, detector and data set: `metric, experiment, dataset, reference, source`, and the verdict
        (`comparison.told`) on the figure on `dataset` minus that on `reference`, with Holm's correction over the metric
        and detector. Of every detector `auc`, the generalization gap: out-of-domain minus in-domain (the first data
        set that it was trained on). Of the baseline also

        - `recall_fake, recall_real`: the same at the shipped thresholds;
        - `source_auc`: the gap of each source of fakes that both data sets have;
        - `between`: the AUC on two data sets that are both out-of-domain;
        - `retuned`: balanced accuracy at thresholds tuned on the data set minus that at the shipped ones.
    """
    rows: list[dict[str, Any]] = []
    for experiment in dict.fromkeys(name for name, _ in cells):
        own = [cell for (name, _), cell in cells.items() if name == experiment]
        for metric, family in _asked(own, detailed=experiment == baseline).items():
            figures = [resampling.trained_models(one, confidence=evaluation.confidence) for _, one in family]
            judged = verdicts.compare(figures, evaluation.rope, evaluation.confidence)
            for (place, _), verdict in zip(family, judged, strict=True):
                identity = {"metric": metric, "experiment": experiment, "source": ""} | place
                rows.append(identity | comparison.told(verdict, len(family), evaluation.rope))
    return pd.DataFrame(rows, columns=["metric", "experiment", "dataset", "reference", "source", *TOLD])


_Family = list[tuple[dict[str, str], Influence]]


def _asked(own: list[Cell], *, detailed: bool) -> dict[str, _Family]:
    """Return the differences of one detector by metric, each with its place."""
    reference = next((cell for cell in own if cell.in_domain), None)
    others = [cell for cell in own if not cell.in_domain]
    if reference is None or not others:
        return {}
    found: dict[str, _Family] = {"auc": _changes([(reference, cell) for cell in others])}
    if detailed:
        for metric in ("recall_fake", "recall_real"):
            found[metric] = [
                (_place(reference, cell), influence.difference(reference.counted(metric), cell.counted(metric)))
                for cell in others
            ]
        found["source_auc"] = list(_by_source(reference, others))
        found["between"] = _changes(combinations(others, 2))
        found["retuned"] = [(_place(cell, cell), _retuned(cell)) for cell in others]
    return {metric: family for metric, family in found.items() if family}


def _changes(sides: Iterable[tuple[Cell, Cell]]) -> _Family:
    return [(_place(first, second), influence.difference(first.auc, second.auc)) for first, second in sides]


def _by_source(reference: Cell, others: list[Cell]) -> Iterator[tuple[dict[str, str], Influence]]:
    for cell in others:
        for source in sorted(cell.source_aucs.keys() & reference.source_aucs.keys()):
            change = influence.difference(reference.source_aucs[source], cell.source_aucs[source])
            yield _place(reference, cell) | {"source": source}, change


def _retuned(cell: Cell) -> Influence:
    shipped, retuned = (cell.counted("balanced_accuracy", retuned=retuned) for retuned in (False, True))
    return influence.difference(shipped, retuned)


def _place(reference: Cell, cell: Cell) -> dict[str, str]:
    return {"dataset": cell.dataset, "reference": reference.dataset}
