"""All runs of a study, brought into its folder: what the store has from there, the others computed."""

from collections.abc import Collection

from deepfake import config, project
from deepfake.config import RunConfig
from deepfake.config.params import Params
from deepfake.config.studies import BEST, Ensemble, FineTuned, Reevaluated, Trained
from deepfake.errors import InputError, unknown
from deepfake.progress import SILENT, Progress
from deepfake.runs import cross_validation, store, weights


def names(settings: Params, study: str) -> list[str]:
    """Return the runs of a study; of phase 4 those of the candidates that it goes on with.

    Raises:
        InputError: there is no such study, or phase 3 has not ranked its candidates.
    """
    if study not in config.TRAINING:
        raise InputError(unknown("study", study, config.TRAINING))
    found = [name for name, entry in config.entries(settings).items() if entry.study == study]
    if study != "phase4":
        return found
    fractions = settings.studies.phase4.fractions
    chosen = {config.scaled(name, fraction) for name in config.read_finalists() for fraction in fractions}
    return [name for name in found if name in chosen]


def complete(settings: Params, study: str, progress: Progress = SILENT) -> None:
    """Bring all runs of a study into its folder, and nothing else.

    Raises:
        InputError: one of them cannot be computed.
    """
    wanted = names(settings, study)
    runs(settings, wanted, progress)
    store.keep_only(study, wanted)


def runs(settings: Params, wanted: Collection[str], progress: Progress = SILENT) -> None:
    """Bring runs into their studies' folders: first what is trained, then what depends on that.

    Raises:
        InputError: one of them is unknown or cannot be computed.
    """
    if project.CUSTOM_EXPERIMENT in wanted:
        settings = weights.settle_custom(settings, progress)
    known = config.entries(settings)
    for name in wanted:
        if name not in known:
            raise InputError(f"studies: {unknown('run', name, known)}")
    if project.CUSTOM_EXPERIMENT in wanted:
        # its model changes often, and others need not look whether their weights have changed
        weights.ensure(resolved(settings, project.CUSTOM_EXPERIMENT), progress)
    kinds = {name: known[name].run for name in wanted}
    second = [name for name, run in kinds.items() if isinstance(run, FineTuned)]
    derived = [name for name, run in kinds.items() if isinstance(run, Reevaluated | Ensemble)]
    first = [name for name in wanted if name not in (*second, *derived)]
    for wave in (first, second):
        cross_validation.complete([resolved(settings, name) for name in wave], progress)
    for name in derived:
        if isinstance(kinds[name], Ensemble):
            from deepfake.runs import ensembles

            ensembles.run(name, settings, progress)
        else:
            from deepfake.runs import reevaluation

            reevaluation.run(name, settings, progress)


def resolved(settings: Params, name: str) -> RunConfig:
    """Resolve a trained run, with what phase 2 decided where it depends on that.

    Raises:
        InputError: as in `config.resolve`.
    """
    entry = config.entries(settings).get(name)
    waits = entry is not None and isinstance(entry.run, Trained) and BEST in (entry.run.view, entry.run.augmentation)
    return config.resolve(settings, name, config.read_decision() if waits else None)
