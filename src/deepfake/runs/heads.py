"""The folds of runs with a frozen trunk: features from the cache, then a linear head, in a second a fold."""

import functools
import time
from pathlib import Path

import numpy as np

from deepfake import modalities, models, run_files, tables
from deepfake.config.params import Normalization
from deepfake.errors import InputError
from deepfake.evaluation import pooling
from deepfake.execution import Tell, run_jobs
from deepfake.progress import SILENT, FoldNews, Progress
from deepfake.project import paths
from deepfake.runs import features, fold, store
from deepfake.runs.trained import Trained
from deepfake.training import checkpoint, heads
from deepfake.training.checkpoint import save_head


def train(jobs: list[fold.FoldJob], progress: Progress = SILENT) -> None:
    """Fit the heads of folds side by side, of one run or of many, once all features that they need are there.

    Raises:
        InputError: a trunk lacks the stage that is asked for, or no weights.
    """
    if not jobs:
        return
    with store.locked([features.FOLDER], progress):
        features.ensure([each for job in jobs for each in _wanted(job)], progress)
        run_jobs(train_head, jobs, on_news=progress.news, on_state=progress.job)


def train_head(job: fold.FoldJob, tell: Tell) -> None:
    """Fit the fold's head, predict every sample in use, and write weights, predictions and history."""
    config, started = job.config, time.monotonic()
    wanted = _wanted(job)
    standard, *drawn = [features.read(each) for each in wanted]
    every = np.full((len(job.labels), standard.shape[1]), np.nan, np.float32)
    every[job.in_use] = standard
    train_rows, validation = job.rows("train"), job.rows("validation")
    copies = np.tile(train_rows, max(len(drawn), 1))
    clips = pooling.codes(job.clip_ids)
    of_train, of_validation = (None if clips is None else clips[rows] for rows in (copies, validation))
    fitted = heads.fit(
        heads.Rows(np.concatenate(drawn) if drawn else every[train_rows], job.labels[copies], of_train),
        heads.Rows(every[validation], job.labels[validation], of_validation),
        heads.row_weights(config, job.labels[copies], job.datasets[copies]),
        config.loss,
        config.pooling,
    )
    for row in fitted.history:
        tell(FoldNews(config.experiment, job.fold, int(row["epoch"]), config.epochs, row["validation_auc"]))
    job.folder.mkdir(parents=True, exist_ok=True)
    save_head(fitted.head, wanted[0].weights, job.folder / run_files.FOLD_WEIGHTS)
    logits = np.full(len(job.labels), np.nan)
    logits[job.in_use] = heads.logits_of(fitted.head, standard)
    fold.write_logits(job, logits, tables.STANDARD_CONDITION)
    fold.finish(
        job,
        tell,
        started=started,
        history=fitted.history,
        best=fitted.best,
        scale=wanted[0].scale,
        logits=logits,
        parameters=_parameters(wanted[0]),
    )


def _parameters(wanted: features.Wanted) -> int:
    """Return the number of parameters of the whole detector: the trunk up to its stage, and the head."""
    return _size(wanted.model, modalities.shape(wanted.view), wanted.stage, wanted.weights)


@functools.cache
def _size(model: str, shape: tuple[int, int, int], stage: str, weights: Path) -> int:
    return sum(parameter.numel() for parameter in models.create(model, shape, weights, stage).parameters())


def _wanted(job: fold.FoldJob) -> list[features.Wanted]:
    """Return the features that a fold needs: all samples as they are, then each draw of its training images."""
    config = job.config
    if config.probe is None or job.weights is None:
        raise InputError(f"{config.experiment}: train: head needs the weights of its trunk; run deepfake weights")
    scale: Normalization = fold.scale_of(job, np.load(job.images, mmap_mode="r"))
    plain = features.Wanted(config.model, config.view, config.probe.stage, job.weights, job.images, scale, job.in_use)
    if config.augmentation is None or job.oversampled is None:
        return [plain]
    return [plain] + [
        plain._replace(
            images=job.oversampled,
            rows=job.rows("train"),
            draw=features.Draw(config.augmentation, config.seed, number),
        )
        for number in range(config.probe.draws)
    ]


def predict_again(jobs: list[fold.FoldJob], known: Trained, progress: Progress = SILENT) -> None:
    """Write the predictions of trained heads on other images: the trunk sees each image once, whatever the folds.

    Args:
        jobs: the folds, with the images of the other view.
        known: the run that they are folds of.
        progress: told of the images done.

    Raises:
        InputError: the trunk is missing, or no longer the heads'.
    """
    ensure([wanted_of(known, job.fold, job.images, job.in_use) for job in jobs], progress)
    for job in jobs:
        logits = np.full(len(job.labels), np.nan)
        logits[job.in_use] = logits_of(known, job.fold, job.images, job.in_use)
        fold.write_logits(job, logits, job.config.view.view)


def wanted_of(known: Trained, number: int, images: Path, rows: np.ndarray) -> features.Wanted:
    """Return the features by which a trained head predicts images, those of the rows, as they are.

    Raises:
        InputError: the trunk is missing.
    """
    config = known.config
    assert config.probe is not None
    weights = paths().weights(config.model)
    if not weights.exists():
        raise InputError(f"{weights}: not found, and {config.experiment} is heads on it; run deepfake weights")
    return features.Wanted(config.model, config.view, config.probe.stage, weights, images, known.scales[number], rows)


def ensure(wanted: list[features.Wanted], progress: Progress = SILENT) -> None:
    """Compute what is missing of features."""
    with store.locked([features.FOLDER], progress):
        features.ensure(wanted, progress)


def logits_of(known: Trained, number: int, images: Path, rows: np.ndarray) -> np.ndarray:
    """Return a trained head's logits of images whose features are there, float64 [m].

    Raises:
        InputError: the head is missing, or of another trunk than there is.
    """
    found = features.read(wanted_of(known, number, images, rows))
    path = paths().checkpoint(known.config.experiment, number)
    return heads.logits_of(checkpoint.head(known.config, path, found.shape[1]), found)
