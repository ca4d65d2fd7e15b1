"""What DVC compares to know whether a stage has to run again: resolved configurations, and digests of the code.

Every training depends on its own resolved configuration, not on the sections of params.yaml that it is made of. So a
change re-runs exactly those whose numbers it decides; and dvc.lock, which DVC writes anew after every stage, stays
small.
"""

import json
from collections.abc import Iterable
from functools import cache

import grimp

from deepfake import layout, runtime, tables
from deepfake.config import candidate_experiments, fixed_experiments, resolve
from deepfake.params import Params

STAGES = {
    "sample": ("deepfake.data.contact_sheet", "deepfake.data.generated"),
    "ingest": ("deepfake.data.ingest",),
    "faces": ("deepfake.studies.faces",),
    "cache": ("deepfake.loading.views",),
    "split": ("deepfake.data.partition", "deepfake.data.catalog"),
    "prepare": ("deepfake.studies.prepare",),
    "union": ("deepfake.studies.union",),
    "conditions": ("deepfake.studies.conditions",),
    "weights": ("deepfake.studies.weights",),
    "ahead": ("deepfake.studies.ahead",),
    "train": ("deepfake.studies.crossval", "deepfake.studies.staged"),
    "reevaluate": ("deepfake.studies.reevaluation",),
    "decide": ("deepfake.studies.selection",),
    "scale": ("deepfake.studies.scaling", "deepfake.studies.crossval", "deepfake.studies.staged"),
    "compare": ("deepfake.studies.phases", "deepfake.reports.phases"),
    "features": ("deepfake.studies.probing",),
    "audit": ("deepfake.studies.probing", "deepfake.studies.shortcuts", "deepfake.reports.audit"),
    "robustness": ("deepfake.studies.robustness", "deepfake.reports.robustness"),
    "balance": ("deepfake.studies.balance", "deepfake.reports.balance"),
    "ensemble": ("deepfake.studies.ensembles",),
    "cross_dataset": (
        "deepfake.studies.cross_dataset.analysis",
        "deepfake.studies.cross_dataset.collect",
        "deepfake.studies.foreign",
        "deepfake.reports.cross_dataset",
    ),
    "explain": ("deepfake.studies.explanation", "deepfake.studies.phases", "deepfake.reports.explain"),
    "resolve": ("deepfake.studies.plan",),
    "report": (
        "deepfake.reports.document",
        "deepfake.reports.audit",
        "deepfake.reports.balance",
        "deepfake.reports.cross_dataset",
        "deepfake.reports.robustness",
    ),
}
"""The modules that each kind of stage calls; all that they import decides its results, too."""
_BACKENDS = ("deepfake.loading.dali", "deepfake.loading.opencv", "deepfake.loading.vision")
"""What `loading.backends` imports by name."""


def write_code() -> None:
    """Write for each kind of stage one digest of the code that decides its results."""
    for stage in STAGES:
        tables.write_text(json.dumps({"sha256": digest(stage)}) + "\n", layout.code(stage))


@cache
def digest(stage: str) -> str:
    """Return the SHA-256 over the code that decides the results of one kind of stage."""
    return runtime.code_hash(files(_graph(), STAGES[stage]))


@cache
def _graph() -> grimp.ImportGraph:
    """Return who imports whom in this package."""
    return grimp.build_graph("deepfake", cache_dir=None)


def files(graph: grimp.ImportGraph, entries: Iterable[str]) -> list[str]:
    """Return the source files behind some modules and all that they import, as paths inside the package."""
    modules = set(entries).union(*(graph.find_upstream_modules(entry) for entry in entries))
    if "deepfake.loading.backends" in modules:
        modules.update(_BACKENDS, *(graph.find_upstream_modules(backend) for backend in _BACKENDS))
    paths = []
    for module in sorted(modules - {"deepfake"}):
        path = module.removeprefix("deepfake.").replace(".", "/")
        paths.append(f"{path}/__init__.py" if graph.find_children(module) else f"{path}.py")
    return paths


def write_fixed(settings: Params) -> None:
    """Write the resolved configuration of each experiment that nothing has to be decided for."""
    _write(settings, fixed_experiments(settings))


def write_decided(settings: Params) -> None:
    """Write the resolved configuration of each candidate's experiments, under what phase 2 decided.

    Raises:
        InputError: nothing has been decided yet.
    """
    _write(settings, candidate_experiments(settings))


def _write(settings: Params, experiments: Iterable[str]) -> None:
    """Write resolved configurations."""
    for name in experiments:
        tables.write_text(resolve(settings, name).model_dump_json(indent=2) + "\n", layout.plan(name))
