"""The names in params.yaml that refer to other parts of it."""

from collections.abc import Collection, Iterable
from itertools import product

from deepfake import layout
from deepfake.config.decisions import Decision
from deepfake.config.runs import Entry, candidates, entries, resolve, resolve_view, tables_of
from deepfake.errors import InputError, unknown
from deepfake.params import Params, Resolutions
from deepfake.params.studies import BEST, Ensemble, FineTuned, Reevaluated, Trained


def check(settings: Params) -> None:
    """Check the names that refer to other parts of the file, and that all runs resolve."""
    known = entries(settings)
    studies = settings.studies
    for name, entry in known.items():
        _check_run(settings, name, entry, known)
    for name, rows in tables_of(settings).items():
        _check_names(f"table {name}", [*rows, *(base for bases in rows.values() for base in bases)], known)
        for run, baselines in rows.items():
            if run in baselines:
                raise InputError(f"table {name}: {run} is its own baseline; name another run")
    if settings.dataset in studies.generalization.datasets:
        raise InputError(
            f"studies.generalization.datasets: {settings.dataset} is the study's own data set; name others"
        )
    trained = [name for name, entry in known.items() if isinstance(entry.run, Trained)]
    _check_names("studies.shortcuts.runs", studies.shortcuts.runs, trained)
    for name in studies.shortcuts.runs:
        run = known[name].run
        if isinstance(run, Trained) and BEST in (run.view, run.augmentation):
            raise InputError(
                f"studies.shortcuts.runs: {name} waits for phase 2, which waits for the probes; name another"
            )
    _check_names("studies.robustness.runs", studies.robustness.runs, trained)
    own = [name for name, entry in known.items() if entry.study == "imbalance"]
    _check_names("studies.imbalance.detail", studies.imbalance.detail, own)
    for name in studies.shortcuts.views:
        resolve_view(settings, name, "studies.shortcuts.views")
    ranked = sum(run.ranked for run in candidates(settings).values())
    top = settings.presets[settings.preset].top
    if top > ranked:
        raise InputError(f"presets.{settings.preset}.top: {top}, but only {ranked} runs of phase 3 are ranked")


def _check_run(settings: Params, name: str, entry: Entry, known: dict[str, Entry]) -> None:
    """Check what a run refers to."""
    where, run = f"studies.{entry.study}.runs.{name}", entry.run
    trained = [other for other, found in known.items() if isinstance(found.run, Trained) and other != name]
    for preset in run.presets:
        if preset not in settings.presets:
            raise InputError(f"{where}.presets: {unknown('preset', preset, settings.presets)}")
    if isinstance(run, Trained):
        others = [settings.dataset, *settings.studies.generalization.datasets, layout.UNION]
        if run.dataset is not None and run.dataset not in others:
            raise InputError(f"{where}.dataset: {unknown('data set', run.dataset, others)}")
        for decision in _decisions() if BEST in (run.view, run.augmentation) else (None,):
            resolve(settings, name, decision)
    if isinstance(run, FineTuned):
        # not what phase 2 has to decide first, nor one that has a start of its own
        single = [other for other in trained if not isinstance(known[other].run, FineTuned)]
        _check_names(f"{where}.start_from", [run.start_from], single)
    if isinstance(run, Reevaluated):
        _check_names(f"{where}.of", [run.of], trained)
        resolve_view(settings, run.view, f"{where}.view")
    if isinstance(run, Ensemble):
        _check_names(f"{where}.members", run.members, trained)


def _decisions() -> Iterable[Decision]:
    """Return whatever phase 2 may decide."""
    for resolution, face_crop in product(Resolutions.model_fields, (False, True)):
        yield Decision.model_validate({"resolution": resolution, "face_crop": face_crop, "augmentation": "none"})


def _check_names(where: str, names: Iterable[str], known: Collection[str]) -> None:
    """Check that runs are known."""
    for name in names:
        if name not in known:
            raise InputError(f"{where}: {unknown('run', name, known)}")
