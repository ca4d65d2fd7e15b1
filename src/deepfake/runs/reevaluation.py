"""A trained experiment that predicts its samples again, as another view shows them; nothing is trained."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from deepfake import config, runtime, tables
from deepfake.config import RunConfig, ViewConfig, facts_of, resolve_view
from deepfake.config.params import Params
from deepfake.config.studies import Reevaluated
from deepfake.errors import InputError, unknown
from deepfake.execution import Tell, run_jobs
from deepfake.progress import SILENT, Progress
from deepfake.project import paths
from deepfake.runs import code, heads, store
from deepfake.runs import fold as folds
from deepfake.runs.cross_validation import read_predictions, write_results
from deepfake.runs.fold import FoldJob
from deepfake.runs.trained import Trained, model_of, read


@dataclass(frozen=True)
class ReevaluationJob:
    """A trained fold that predicts again.

    Args:
        fold: its samples, and the images of the other view.
        trained: the experiment that it is a fold of.
    """

    fold: FoldJob
    trained: Trained


def run(name: str, settings: Params, progress: Progress = SILENT) -> None:
    """Predict the same samples in the same subsets from another view's pixels, unless the store has it.

    Weights, normalisation and thresholds are those of the experiment, whose own files stay as they are. The inner
    validation, on which the thresholds were chosen, is the experiment's own too.

    Args:
        name: of a run of the kind `re-evaluated`.
        settings: the checked params.yaml.
        progress: told what is about to be done.

    Raises:
        InputError: no such re-evaluation; the experiment was not trained, or on other samples or another resolution;
            the view has not been written.
    """
    known = config.entries(settings)
    if name not in known:
        raise InputError(f"studies: {unknown('run', name, known)}")
    entry = known[name]
    if not isinstance(entry.run, Reevaluated):
        raise InputError(f"studies: {name} is {entry.run.kind}, not re-evaluated; name a run that is")
    experiment, where = entry.run.of, f"studies.{entry.study}.runs.{name}"
    trained = read(experiment)
    size, dataset = trained.config.resolution, trained.config.dataset
    view = resolve_view(settings, entry.run.view, f"{where}.view", dataset)
    if view.modality != trained.config.view.modality:
        raise InputError(f"{where}: {view.view} is of {view.modality}, {experiment} of another modality")
    if view.size != size:
        raise InputError(
            f"{where}: {view.view} has {view.size} px, {experiment} was trained on {size} px; choose a view of that "
            "resolution"
        )
    facts = facts_of(experiment)
    manifest_file, regions = paths().manifest(dataset), paths().regions(dataset, view.view)
    manifest = tables.read(manifest_file, tables.MANIFEST)
    if runtime.file_hash(manifest_file) != facts["manifest_sha256"]:
        raise InputError(f"{manifest_file}: not what {experiment} was trained on; train it again, or dvc repro")
    if not regions.exists():
        raise InputError(f"{regions}: not found; run deepfake views {dataset}, or dvc repro")
    # what decides the experiment's numbers is behind its checkpoints
    parts = [paths().checkpoint(experiment, fold) for fold in range(trained.config.trainings)]
    parts += [paths().predictions(experiment), paths().config(experiment)]
    if missing := next((path for path in parts if not path.exists()), None):
        raise InputError(f"{missing}: not found; run deepfake train {experiment}, or dvc repro")
    hashes = [runtime.file_hash(path) for path in (*parts, regions)]
    digest = code.digest("deepfake.runs.reevaluation", view.modality)
    key = store.key(entry.study, name, view.model_dump_json(), hashes, digest)
    if store.bring_back(entry.study, name, key, progress):
        return
    facts |= {"experiment": name, "study": entry.study, "kind": entry.run.kind, "view": view.model_dump()}
    facts |= {"reevaluates": experiment}
    with store.locked([key], progress):
        if store.bring_back(entry.study, name, key):
            return
        again = _again(trained.config, name, view)
        found = folds.jobs(again, manifest, store.unfinished(key), progress=progress)
        if trained.config.train == "head":
            heads.predict_again(found, trained, progress)
        else:
            remedy = "give it more, or let the program use fewer cores"
            jobs = [ReevaluationJob(job, trained) for job in found]
            run_jobs(predict_fold, jobs, on_news=lambda news: None, remedy=remedy)
        predictions = _with_validation_of(experiment, read_predictions([job.folder for job in found]), name)
        kind = entry.run.kind
        store.put(entry.study, name, kind, key, lambda folder: write_results(folder, predictions, manifest, facts))


def predict_fold(job: ReevaluationJob, tell: Tell[int]) -> None:
    """Predict every sample in use by a trained fold, and write the predictions."""
    runtime.one_thread()
    device = runtime.device()
    fold = job.fold.fold
    images = np.load(job.fold.images, mmap_mode="r")
    loader = folds.image_loader(job.fold, images, job.trained.scales[fold], device)
    model = model_of(job.trained, fold, device)
    folds.write_predictions(job.fold, model, loader, job.fold.config.view.view)
    tell(fold)


def _again(config: RunConfig, name: str, view: ViewConfig) -> RunConfig:
    """Return the configuration of predicting again: another view, and nothing that only training needs."""
    changes = {"experiment": name, "view": view, "augmentation": None, "oversampling": None}
    return config.model_copy(update=changes)


def _with_validation_of(experiment: str, predictions: pd.DataFrame, name: str) -> pd.DataFrame:
    """Return predictions with the inner validation as the experiment saw it: its thresholds were chosen on that."""
    original = tables.read(paths().predictions(experiment), tables.PREDICTIONS).set_index(["sample_id", "fold"])
    changed = predictions.set_index(["sample_id", "fold"])
    validation = changed.index[changed["subset"] == "validation"]
    for column in ("condition", "logit"):
        changed.loc[validation, column] = original.loc[validation, column]
    return changed.reset_index().assign(experiment=name)
