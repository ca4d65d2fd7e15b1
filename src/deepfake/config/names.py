"""The names in params.yaml that refer to other parts of it."""

from typing import get_args

from deepfake import layout
from deepfake.config.decisions import Decision
from deepfake.config.runs import (
    DECIDED,
    SCALES,
    SECTIONS,
    candidate_experiments,
    fixed_experiments,
    resolve,
    resolve_view,
)
from deepfake.errors import InputError, unknown
from deepfake.params import Params
from deepfake.schema import Resolution


def check(settings: Params) -> None:
    """Check the names that refer to other parts of the file."""
    taken = {layout.CUSTOM_EXPERIMENT, *candidate_experiments(settings), *settings.reevaluations}
    for section in (*SECTIONS, "ensembles"):
        for name in getattr(settings, section):
            if name in taken:
                raise InputError(f"{section}.{name}: the name is taken by another run; choose another")
            taken.add(name)
    trained = [*settings.experiments, layout.CUSTOM_EXPERIMENT]
    for name in fixed_experiments(settings):
        resolve(settings, name)
    _check_candidates(settings)
    _check_transfers(settings)
    for name, entry in settings.reevaluations.items():
        if entry.experiment not in trained:
            message = unknown("experiment", entry.experiment, trained)
            raise InputError(f"reevaluations.{name}.experiment: {message}")
        resolve_view(settings, entry.view, f"reevaluations.{name}.view")
    known = [*trained, *settings.reevaluations, *candidate_experiments(settings), *settings.ensembles]
    for name, rows in settings.tables.items():
        _check_table(f"tables.{name}", rows, known)
    for where, names in (
        ("audit.experiments", settings.audit.experiments),
        ("robustness.experiments", settings.robustness.experiments),
        ("balance.detail", settings.balance.detail),
    ):
        for name in names:
            if name not in trained:
                raise InputError(f"{where}: {unknown('experiment', name, trained)}")
    for name in settings.audit.views:
        resolve_view(settings, name, "audit.views")


def _check_table(where: str, rows: dict[str, tuple[str, ...]], known: list[str]) -> None:
    """Check a comparison's experiments and their baselines."""
    for experiment, baselines in rows.items():
        if experiment not in known:
            raise InputError(f"{where}: {unknown('experiment', experiment, known)}")
        for baseline in baselines:
            if baseline not in rows or baseline == experiment:
                raise InputError(f"{where}.{experiment}: its baseline {baseline!r} is no other experiment of the table")


def _check_transfers(settings: Params) -> None:
    """Check the names that belong to the comparison across data sets."""
    section = settings.cross_dataset
    if settings.dataset in section.away:
        raise InputError(f"cross_dataset.away: {settings.dataset} is the study's own data set; name others")
    others = [*section.away, layout.UNION]
    for where in ("transfers", "finetunings"):
        for name, entry in getattr(settings, where).items():
            if entry["dataset"] not in others:
                raise InputError(f"{where}.{name}.dataset: {unknown('data set', entry['dataset'], others)}")
    # not what phase 2 has to decide first: these are prepared for before anything is trained
    single = [*settings.experiments, *settings.transfers]
    for name, entry in settings.finetunings.items():
        parent = entry["start_from"]
        if parent not in single:
            raise InputError(f"finetunings.{name}.start_from: {unknown('experiment', parent, single)}")
    trained = [*single, *settings.finetunings]
    for name, entry in settings.ensembles.items():
        for member in entry.experiments:
            if member not in trained:
                raise InputError(f"ensembles.{name}: {unknown('experiment', member, trained)}")
    for name in section.models:
        if name not in (known := [*trained, *settings.ensembles]):
            raise InputError(f"cross_dataset.models: {unknown('experiment', name, known)}")


def _check_candidates(settings: Params) -> None:
    """Check that candidates resolve under whatever phase 2 may decide, and that there are enough of them."""
    for name, entry in settings.candidates.items():
        for key in DECIDED:
            if key in entry:
                raise InputError(f"candidates.{name}.{key}: it is not a candidate's own; phases 2 and 4 decide it")
        if not isinstance(entry.get("ranked"), bool):
            raise InputError(f"candidates.{name}.ranked: true or false: whether phase 4 may choose it")
        for resolution in get_args(Resolution):
            for face_crop in (False, True):
                decision = Decision(resolution=resolution, face_crop=face_crop, augmentation="none")
                resolve(settings, f"{name}{SCALES['small']}", decision)
    ranked = sum(bool(entry["ranked"]) for entry in settings.candidates.values())
    top = settings.presets[settings.preset].top
    if settings.candidates and top > ranked:
        raise InputError(f"presets.{settings.preset}.top: {top}, but only {ranked} candidates are ranked")
