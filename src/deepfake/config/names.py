"""The names in params.yaml that refer to other parts of it."""

from collections.abc import Collection, Iterable
from itertools import product

from deepfake import project
from deepfake.config.decisions import Decision
from deepfake.config.params import Params, Resolutions
from deepfake.config.runs import (
    TRAINING,
    Entry,
    candidates,
    entries,
    resolve,
    resolve_view,
    shares,
    size_of,
    tables_of,
)
from deepfake.config.studies import BEST, AnyRun, Ensemble, FineTuned, OwnData, Reevaluated, Study, Trained
from deepfake.errors import InputError, unknown


def check(settings: Params) -> None:
    """Check the names that refer to other parts of the file, and that all runs resolve."""
    for section, word in ((settings.views, "views"), (settings.augmentations, "augmentations")):
        if BEST in section:
            raise InputError(f"{word}.{BEST}: the word for what phase 2 decides; choose another name")
    _check_presets(settings)
    known = entries(settings)
    studies = settings.studies
    for name, entry in known.items():
        _check_run(settings, name, entry, known)
    for study in TRAINING:
        _check_tables(settings, study, known)
    tables_of(settings)
    if settings.dataset in studies.generalization.datasets:
        raise InputError(
            f"studies.generalization.datasets: {settings.dataset} is the study's own data set; name others"
        )
    trained = [name for name, entry in known.items() if isinstance(entry.run, Trained)]
    _check_names(settings, "studies.shortcuts.runs", studies.shortcuts.runs, trained)
    for name in studies.shortcuts.runs:
        run = known[name].run
        if isinstance(run, Trained) and BEST in (run.view, run.augmentation):
            raise InputError(
                f"studies.shortcuts.runs: {name} waits for phase 2, which waits for the probes; name another"
            )
    _check_names(settings, "studies.robustness.runs", studies.robustness.runs, trained)
    own = [name for name, entry in known.items() if entry.study == "imbalance"]
    _check_names(settings, "studies.imbalance.detail", studies.imbalance.detail, own)
    for name in studies.shortcuts.views:
        resolve_view(settings, name, "studies.shortcuts.views")
    ranked = sum(run.ranked for run in candidates(settings).values())
    top = settings.presets[settings.preset].top
    if top > ranked:
        raise InputError(f"presets.{settings.preset}.top: {top}, but only {ranked} runs of phase 3 are ranked")
    compared = {share: size_of(settings, share) for share in shares(settings)}
    if list(compared.values()) != sorted(compared.values()):
        told = ", ".join(f"{share} ({size})" for share, size in compared.items())
        raise InputError(f"studies.phase4.fractions: {told} must not decrease; the last is to be the largest")


def _check_presets(settings: Params) -> None:
    """Check the presets that runs name: one that none has would take the run away from all."""
    for study, runs in _listed(settings).items():
        for name, run in runs.items():
            for preset in run.presets:
                if preset not in settings.presets:
                    where = f"studies.{study}.runs.{name}.presets"
                    raise InputError(f"{where}: {unknown('preset', preset, settings.presets)}")


def _check_run(settings: Params, name: str, entry: Entry, known: dict[str, Entry]) -> None:
    """Check what a run refers to."""
    run = entry.run
    where = entry.study if entry.study == project.CUSTOM_EXPERIMENT else f"studies.{entry.study}.runs.{name}"
    trained = [other for other, found in known.items() if isinstance(found.run, Trained) and other != name]
    if isinstance(run, Trained):
        section = getattr(settings.studies, entry.study)
        joined = (settings.dataset, *settings.studies.generalization.datasets, project.UNION)
        others = section.datasets if isinstance(section, OwnData) else joined
        if run.dataset is not None and run.dataset not in others:
            raise InputError(f"{where}.dataset: {unknown('data set', run.dataset, others)}")
        if _undecided(run) and entry.study not in ("phase3", "phase4"):
            key = "view" if run.view == BEST else "augmentation"
            raise InputError(f"{where}.{key}: {BEST} is for runs of phase 3, which follow the decision; name another")
        for decision in _decisions() if _undecided(run) else (None,):
            resolve(settings, name, decision)
    if isinstance(run, FineTuned):
        # not what phase 2 has to decide first, nor one that has a start of its own
        starts = {other: known[other].run for other in trained}
        single = [other for other, start in starts.items() if not (isinstance(start, FineTuned) or _undecided(start))]
        _check_names(settings, f"{where}.start_from", [run.start_from], single)
    if isinstance(run, Reevaluated):
        _check_names(settings, f"{where}.of", [run.of], trained)
        resolve_view(settings, run.view, f"{where}.view")
    if isinstance(run, Ensemble):
        _check_names(settings, f"{where}.members", run.members, trained)


def _check_tables(settings: Params, study: str, known: dict[str, Entry]) -> None:
    """Check the runs that a study compares."""
    section = getattr(settings.studies, study)
    # a contrast counts in those presets that have both of its runs
    named = known.keys() | _listed_names(settings)
    for table, rows in getattr(section, "contrasts", {}).items():
        for run, baselines in rows.items():
            where = f"studies.{study}.contrasts.{table}"
            for place, name in ((where, run), *((f"{where}.{run}", baseline) for baseline in baselines)):
                if name not in named:
                    raise InputError(f"{place}: {unknown('run', name, known)}")
            if run in baselines:
                raise InputError(f"{where}.{run}: it is its own baseline; name another run")
    if isinstance(section, Study):
        # of any preset: where one is not trained, the others count
        for name in section.baselines:
            if name not in section.runs:
                raise InputError(f"studies.{study}.baselines: {unknown('run', name, section.runs)}")


def _undecided(run: object) -> bool:
    """Tell whether a run waits for what phase 2 decides."""
    return isinstance(run, Trained) and BEST in (run.view, run.augmentation)


def _listed(settings: Params) -> dict[str, dict[str, AnyRun]]:
    """Return the runs that params.yaml lists, of every preset, by study."""
    sections = {study: getattr(settings.studies, study) for study in TRAINING}
    return {study: section.runs for study, section in sections.items() if isinstance(section, Study)}


def _listed_names(settings: Params) -> set[str]:
    """Return the names of all runs that params.yaml lists, of every preset."""
    return {name for runs in _listed(settings).values() for name in runs}


def _decisions() -> Iterable[Decision]:
    """Return whatever phase 2 may decide."""
    for resolution, face_crop in product(Resolutions.model_fields, (False, True)):
        yield Decision.model_validate({"resolution": resolution, "face_crop": face_crop, "augmentation": "none"})


def _check_names(settings: Params, where: str, names: Iterable[str], known: Collection[str]) -> None:
    """Check that runs are known."""
    listed = {name: run for runs in _listed(settings).values() for name, run in runs.items()}
    for name in names:
        if name in listed and not listed[name].in_preset(settings.preset):
            presets = " and ".join(listed[name].presets)
            raise InputError(f"{where}: {name} is a run of preset {presets}, not of {settings.preset}")
        if name not in known:
            raise InputError(f"{where}: {unknown('run', name, known)}")
