"""A trained experiment that predicts its samples again, as another view shows them; nothing is trained."""

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from deepfake import layout, runtime, tables
from deepfake.config import RunConfig, ViewConfig, facts_of, resolve_view
from deepfake.errors import InputError, unknown
from deepfake.evaluation import summary
from deepfake.params import Params
from deepfake.studies import fold as folds
from deepfake.studies.crossval import read_predictions
from deepfake.studies.fold import FoldJob
from deepfake.studies.launch import Tell, run_jobs
from deepfake.studies.trained import Trained, model_of, read


@dataclass(frozen=True)
class ReevaluationJob:
    """A trained fold that predicts again.

    Args:
        fold: its samples, and the images of the other view.
        trained: the experiment that it is a fold of.
    """

    fold: FoldJob
    trained: Trained


def run(
    name: str,
    settings: Params,
    *,
    announce: Callable[[str], None] = lambda line: None,
    on_decode: Callable[[int, int], None] = lambda done, total: None,
) -> pd.DataFrame:
    """Predict the same samples in the same subsets from another view's pixels, and write what was found.

    Weights, normalisation and thresholds are those of the experiment, whose own files stay as they are. The inner
    validation, on which the thresholds were chosen, is the experiment's own too.

    Args:
        name: a key of `reevaluations`.
        settings: the checked params.yaml.
        announce: called with a line about what is about to be done.
        on_decode: called with the images decoded so far and their total.

    Returns:
        Metrics, one row a fold (`summary.by_fold`).

    Raises:
        InputError: no such re-evaluation; the experiment was not trained, or on other samples or another resolution;
            the view has not been written.
    """
    if name not in settings.reevaluations:
        raise InputError(f"reevaluations: {unknown('re-evaluation', name, settings.reevaluations)}")
    experiment = settings.reevaluations[name].experiment
    view = resolve_view(settings, settings.reevaluations[name].view, f"reevaluations.{name}.view")
    trained = read(experiment)
    size = trained.config.resolution
    if view.size != size:
        raise InputError(
            f"reevaluations.{name}: {view.view} has {view.size} px, {experiment} was trained on {size} px; "
            "choose a view of that resolution"
        )
    facts = facts_of(experiment)
    manifest_file = layout.manifest(settings.dataset)
    manifest = tables.read(manifest_file, tables.MANIFEST)
    if runtime.file_hash(manifest_file) != facts["manifest_sha256"]:
        raise InputError(f"{manifest_file}: not what {experiment} was trained on; train it again, or dvc repro")
    scratch = layout.SCRATCH / f"{name}-reevaluation"
    again = _again(trained.config, name, view)
    jobs = [
        ReevaluationJob(job, trained)
        for job in folds.jobs(again, manifest, scratch, announce=announce, on_decode=on_decode)
    ]
    remedy = "give it more, or let the program use fewer cores"
    run_jobs(predict_fold, jobs, workers=folds.workers(), on_news=lambda news: None, remedy=remedy)
    predictions = _with_validation_of(experiment, read_predictions([job.fold.folder for job in jobs]), name)
    by_fold = summary.by_fold(summary.join(predictions, manifest))
    changes = {"experiment": name, "view": view.model_dump(), "reevaluates": experiment}
    tables.write_text(json.dumps(facts | changes, indent=2) + "\n", layout.config(name))
    tables.write(predictions, layout.predictions(name), tables.PREDICTIONS)
    tables.write_text(summary.headline_json(by_fold), layout.train_metrics(name))
    shutil.rmtree(scratch)
    return by_fold


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
    original = tables.read(layout.predictions(experiment), tables.PREDICTIONS).set_index(["sample_id", "fold"])
    changed = predictions.set_index(["sample_id", "fold"])
    validation = changed.index[changed["subset"] == "validation"]
    for column in ("condition", "logit"):
        changed.loc[validation, column] = original.loc[validation, column]
    return changed.reset_index().assign(experiment=name)
