"""The planned contrasts of the comparison: two recipes on one data set."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import pandas as pd

from deepfake import project
from deepfake.config import RunConfig, facts_of
from deepfake.config.params import Params
from deepfake.evaluation.influence import Influence
from deepfake.studies import comparison
from deepfake.studies.cross_domain.cells import Cells
from deepfake.studies.cross_domain.gaps import TOLD

ENSEMBLE = "ensemble"
"""The `model` of an ensemble's configuration."""


class Pair(NamedTuple):
    """Two detectors that differ in one thing, and the question that this answers."""

    question: str
    experiment: str
    baseline: str


def recipe_of(config: RunConfig) -> str:
    """Return how a detector is made: plain, fine-tuned, domain-invariant or ensemble.

    All else (view, augmentation, fraction, held-out source, sampler, loss) may differ: two plain detectors may have the
    same architecture and data set, and the first of them stands for both.
    """
    if config.model == ENSEMBLE:
        return ENSEMBLE
    if config.start_from is not None:
        return "fine-tuned"
    return "plain" if config.domain.column == "none" else "domain-invariant"


def trained_on(config: RunConfig, configs: Mapping[str, RunConfig], settings: Params) -> str:
    """Return the data sets that a detector was trained on: joined by `+`, or one after the other."""
    own = config.dataset
    if own == project.UNION:
        own = " + ".join([settings.dataset, *settings.studies.generalization.union])
    start = configs.get(config.start_from or "")
    return f"{trained_on(start, configs, settings)}, then {own}" if start else own


def pairs(configs: Mapping[str, RunConfig], settings: Params) -> Iterator[Pair]:
    """Yield which detectors are compared, as their configurations say.

    - `architecture`: another one, trained on the same data;
    - `combined`: the same one, trained on the combined data sets instead of the study's own;
    - `target`: the same one, trained on another data set alone;
    - `invariant`: with a domain head instead of none;
    - `fine_tuning`: against what it started from;
    - `fine_tuning_or_target`: against one that was trained on the same data from the start;
    - `ensemble`: against each of its members.
    """
    recipes = {name: recipe_of(each) for name, each in configs.items()}
    plain = {name: each for name, each in configs.items() if recipes[name] == "plain"}

    def alike(config: RunConfig, dataset: str) -> list[str]:
        """Return the plain detector of the same architecture that was trained on a data set, if there is one."""
        return [name for name, each in plain.items() if each.model == config.model and each.dataset == dataset][:1]

    for name, each in plain.items():
        first = next(other for other, config in plain.items() if config.dataset == each.dataset)
        if each.model != plain[first].model:
            yield Pair("architecture", name, first)
        if each.dataset != settings.dataset:
            question = "combined" if each.dataset == project.UNION else "target"
            yield from (Pair(question, name, other) for other in alike(each, settings.dataset))
    for name, each in configs.items():
        if recipes[name] == ENSEMBLE:
            members = facts_of(name)["ensemble"]["experiments"]
            yield from (Pair("ensemble", name, member) for member in members if member in configs)
            continue
        if each.domain.column != "none":
            yield from (Pair("invariant", name, other) for other in alike(each, each.dataset))
        if each.start_from in configs:
            yield Pair("fine_tuning", name, str(each.start_from))
            yield from (Pair("fine_tuning_or_target", name, other) for other in alike(each, each.dataset))


def of_recipes(cells: Cells, configs: Mapping[str, RunConfig], settings: Params) -> pd.DataFrame:
    """Compare the AUC of two recipes on the samples of each data set that both held out.

    Returns:
        One row a pair and data set: `question, baseline, experiment, dataset`, and the verdict (`comparison.told`) on
        experiment minus baseline, with Holm's correction over the question.
    """
    datasets = list(dict.fromkeys(dataset for _, dataset in cells))
    asked: dict[str, list[tuple[dict[str, str], Influence]]] = {}
    for question, experiment, baseline in pairs(configs, settings):
        for dataset in datasets:
            sides = (cells[name, dataset].held_out for name in (baseline, experiment))
            place = {"question": question, "baseline": baseline, "experiment": experiment, "dataset": dataset}
            asked.setdefault(question, []).append((place, comparison.difference(*sides)))
    rows: list[dict[str, Any]] = []
    for family in asked.values():
        judged = comparison.judge([figure for _, figure in family], settings.evaluation)
        told = [comparison.told(one, len(family), settings.evaluation.rope) for one in judged]
        rows += [place | row for (place, _), row in zip(family, told, strict=True)]
    return pd.DataFrame(rows, columns=["question", "baseline", "experiment", "dataset", *TOLD])
