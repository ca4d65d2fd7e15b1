"""Which detectors are compared, and what that tells; by their configurations, never by their names."""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from deepfake import project
from deepfake.config import RunConfig, facts_of
from deepfake.config.params import Params

ENSEMBLE = "ensemble"
"""The `model` of an ensemble's configuration."""


class Pair(NamedTuple):
    """Two detectors that differ in one thing, and the question that this answers."""

    question: str
    model: str
    baseline: str


def pairs(configs: Mapping[str, RunConfig], settings: Params) -> Iterator[Pair]:
    """Yield which detectors are compared, as their configurations say.

    - `architecture`: another one, trained on the same data;
    - `data`: the same one, trained on the union instead of at home;
    - `elsewhere`: the same one, trained on an away data set alone;
    - `domains`: with a domain head instead of none;
    - `fine_tuning`: against what it started from;
    - `scratch`: against one that was trained on the same data from the start;
    - `ensemble`: against each of its members.
    """
    plain = {name: each for name, each in configs.items() if is_plain(each)}
    for name, each in plain.items():
        first = next(other for other, config in plain.items() if config.dataset == each.dataset)
        if each.model != plain[first].model:
            yield Pair("architecture", name, first)
        if each.dataset != settings.dataset:
            question = "data" if each.dataset == project.UNION else "elsewhere"
            yield from (Pair(question, name, other) for other in _alike(plain, each, settings.dataset))
    for name, each in configs.items():
        if each.domain.column != "none":
            yield from (Pair("domains", name, other) for other in _alike(plain, each, each.dataset))
        if each.start_from in configs:
            yield Pair("fine_tuning", name, str(each.start_from))
            yield from (Pair("scratch", name, other) for other in _alike(plain, each, each.dataset))
        if each.model == ENSEMBLE:
            members = facts_of(name)["ensemble"]["experiments"]
            yield from (Pair("ensemble", name, member) for member in members if member in configs)


def is_plain(config: RunConfig) -> bool:
    """Tell whether a detector is neither an ensemble, nor fine-tuned, nor trained with a domain head.

    All else (view, augmentation, fraction, held-out source, sampler, loss) may differ: two plain detectors may have the
    same architecture and data set, and the first of them stands for both.
    """
    return config.model != ENSEMBLE and config.start_from is None and config.domain.column == "none"


def _alike(plain: Mapping[str, RunConfig], config: RunConfig, dataset: str) -> list[str]:
    """Return the plain detector of the same architecture that was trained on a data set, if there is one."""
    return [name for name, each in plain.items() if each.model == config.model and each.dataset == dataset][:1]


def trained_on(config: RunConfig, configs: Mapping[str, RunConfig], settings: Params) -> str:
    """Return the data sets that a detector was trained on: joined by `+`, or one after the other."""
    if config.dataset == project.UNION:
        own = " + ".join([settings.dataset, *settings.studies.generalization.union])
    else:
        own = config.dataset
    start = configs.get(config.start_from or "")
    return f"{trained_on(start, configs, settings)}, then {own}" if start else own
