"""Do the maps depend on what was learned? Adebayo et al. 2018, "Sanity checks for saliency maps".

A map that stays as it is when the weights are random shows the image, not the model. So each map is correlated with
those of models with a random head on the trained trunk, and of models that are random throughout. How similar two maps
can be at all is what another training of the same recipe says, which also held the image out.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal, NamedTuple

import numpy as np
import pandas as pd
import scipy.stats

from deepfake import tables
from deepfake.config.params import Evaluation
from deepfake.evaluation import verdicts
from deepfake.evaluation.estimate import Estimate
from deepfake.evaluation.group_means import mean_over_groups
from deepfake.project import paths
from deepfake.reports.findings import Finding, tested
from deepfake.studies import comparison
from deepfake.studies.explain import cases as finished
from deepfake.studies.explain import shown
from deepfake.studies.explain.cases import Case
from deepfake.studies.explain.heat import Random, Wanted
from deepfake.tables import results as result_tables

Kind = Literal["retrained", "head", "all"]
IMAGES = 96
"""Images whose maps are compared, as many of each source."""
DRAWS: dict[Random, int] = {"head": 10, "all": 5}
"""Random models of each kind, other ones in each fold (frozen trunks in all folds the same), whose correlations with an
image's map are averaged."""
ROPE = 0.05
"""A difference of correlations up to this much is of no account."""
KINDS: tuple[Kind, ...] = ("retrained", "head", "all")
"""Whose maps a model's are compared with: those of another training, of a random head, of a random model."""


class Check(NamedTuple):
    """Maps that a run's own are compared with."""

    name: str
    kind: Kind
    wanted: Wanted


def subjects(cases: Mapping[str, Case], finalists: Sequence[str]) -> list[str]:
    """Return a run of each architecture, the first of those trained most often, and the finalists."""
    first: dict[tuple[str, str], str] = {}
    for name, case in cases.items():
        config = case.config
        if config.experiment != name:  # re-evaluated
            continue
        known = first.setdefault((config.model, config.train), name)
        if config.repeats > cases[known].config.repeats:
            first[config.model, config.train] = name
    return list(dict.fromkeys([*first.values(), *finalists]))


def checks(cases: Mapping[str, Case], names: Sequence[str]) -> list[Check]:
    """Return the maps that those of runs are compared with."""
    found = []
    for name in names:
        case = cases[name]
        rows = shown.measured(case.verdicts, IMAGES)
        for fold, part in rows.groupby("fold"):
            places = np.sort(part["row"].to_numpy(np.int64))
            plain = Wanted(case.weights, int(str(fold)), case.file, places)
            found += [
                Check(name, kind, replace(plain, random=kind, draw=draw))
                for kind in ("head", "all")
                for draw in range(DRAWS[kind])
            ]
        if case.config.repeats > 1:
            other = _second(name)
            folds = rows["sample_id"].map(other)
            for fold, part in rows.groupby(folds):
                places = np.sort(part["row"].to_numpy(np.int64))
                found.append(Check(name, "retrained", Wanted(case.weights, int(str(fold)), case.file, places)))
    return found


def learned(case: Case) -> Random:
    """Return what of a run's model was learned, and is random in the model that it is judged by: its head, or all."""
    return "head" if case.config.train == "head" else "all"


def _second(name: str) -> pd.Series:
    """Return the fold of the second repeat that held each sample out."""
    predictions = tables.read(paths().predictions(name), tables.PREDICTIONS)
    held_out = predictions[(predictions["repeat"] == 1) & (predictions["subset"] == "held_out")]
    return held_out.set_index("sample_id")["fold"]


def correlation(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return Spearman's correlation of maps over their cells, image by image.

    Args:
        first: float [n, r, c].
        second: float [n, r, c].

    Returns:
        Float [n]; NaN where one of the two maps is the same everywhere.
    """
    ranks = [scipy.stats.rankdata(each.reshape(len(each), -1), axis=1) for each in (first, second)]
    apart = [each - each.mean(axis=1, keepdims=True) for each in ranks]
    sizes = np.sqrt(np.prod([(each**2).sum(axis=1) for each in apart], axis=0))
    return (apart[0] * apart[1]).sum(axis=1) / np.where(sizes > 0, sizes, np.nan)


def write(
    maps: Mapping[str, Mapping[int, np.ndarray]],
    found: Sequence[tuple[Check, Mapping[int, np.ndarray]]],
    cases: Mapping[str, Case],
    evaluation: Evaluation,
) -> list[Finding]:
    """Write how similar maps are, `explain_sanity`, and return the findings: one a run.

    Args:
        maps: each run's own, by row of the manifest.
        found: what they are compared with.
        cases: the runs.
        evaluation: confidence of the intervals.
    """
    # a model that is explained by nothing has nothing to compare
    compared = [(check, others) for check, others in found if maps[check.name]]
    similar = correlations(maps, compared)
    names = list(dict.fromkeys(check.name for check, _ in compared))
    labels = finished.labels({name: cases[name] for name in names})
    rows, differences = [], {}
    for name in names:
        own = similar[similar["name"] == name]
        own = own.assign(group=own["row"].map(cases[name].verdicts.set_index("row")["group"]))
        rows += [
            _row(name, kind, own[own["kind"] == kind], evaluation.confidence)
            for kind in KINDS
            if (own["kind"] == kind).any()
        ]
        if (more := difference(own, learned(cases[name]), evaluation.confidence)) is not None:
            differences[name] = more
    result_tables.write(
        pd.DataFrame(rows, columns=list(result_tables.RESULTS["explain_sanity"].columns)), "explain_sanity"
    )
    judged = verdicts.compare(list(differences.values()), ROPE, evaluation.confidence) if differences else []
    told = {name: comparison.told(one, len(differences), ROPE) for name, one in zip(differences, judged, strict=True)}
    return [_finding(name, labels[name], told.get(name), cases[name]) for name in names]


def _row(name: str, kind: Kind, part: pd.DataFrame, confidence: float) -> dict[str, Any]:
    """Return how similar a run's maps are to those of one kind, on average."""
    hot = part[part["value"].notna()]
    row: dict[str, Any] = {"experiment": name, "compared": kind, "images": len(hot), "groups": hot["group"].nunique()}
    row |= {"without_heat": len(part) - len(hot)}
    if len(hot):
        mean = mean_over_groups(hot["value"], hot["group"], confidence=confidence)
        row |= {"correlation": mean.value, "low": mean.low, "high": mean.high}
    return row


def correlations(
    maps: Mapping[str, Mapping[int, np.ndarray]], found: Sequence[tuple[Check, Mapping[int, np.ndarray]]]
) -> pd.DataFrame:
    """Return the correlations of each image: `name, kind, row, value`, the mean over random models.

    Args:
        maps: each run's own, by row of the manifest.
        found: what they are compared with.
    """
    parts = [
        pd.DataFrame(
            {
                "name": check.name,
                "kind": check.kind,
                "row": list(others),
                "value": correlation(
                    np.stack([maps[check.name][row] for row in others]), np.stack(list(others.values()))
                ),
            }
        )
        for check, others in found
    ]
    frame = pd.concat(parts) if parts else pd.DataFrame(columns=["name", "kind", "row", "value"])
    return frame.groupby(["name", "kind", "row"], sort=False)["value"].mean().reset_index()


def difference(own: pd.DataFrame, random: Random, confidence: float) -> Estimate | None:
    """Return how much more a run's maps are like those of another training than like those of random models.

    Args:
        own: `correlations` of the run, with the `group` of each image.
        random: of which kind the random models are.
        confidence: of the interval.

    Returns:
        The mean paired difference over the images where both are known; None where there are none.
    """
    both = own.pivot(index=["row", "group"], columns="kind", values="value").reindex(columns=list(KINDS)).reset_index()
    both = both[both["retrained"].notna() & both[random].notna()]
    if not len(both):
        return None
    return mean_over_groups(both["retrained"] - both[random], both["group"], confidence=confidence)


def _finding(name: str, label: str, row: dict[str, object] | None, case: Case) -> Finding:
    id_, question = f"sanity.{name}", f"Do the maps of {label} depend on what was learned?"
    if row is None:
        once = case.config.repeats < 2
        note = "It was trained once: nothing says how alike two trainings' maps are." if once else "No map has heat."
        return Finding(id=id_, question=question, verdict="not_run", note=note)
    words = {"worse": "at_chance", "equivalent": "at_chance"}
    return tested(id_, question, row, words, measure="Δ rank correlation")  # pyright: ignore[reportArgumentType]
