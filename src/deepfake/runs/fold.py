"""One fold of one experiment: train, choose, predict; the job that runs in a process of its own."""

import dataclasses
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import nn

from deepfake import modalities, models, run_files, runtime, tables
from deepfake.config import RunConfig, ViewConfig
from deepfake.config.params import Normalization
from deepfake.datasets import splits
from deepfake.errors import InputError
from deepfake.evaluation import pooling
from deepfake.execution import Tell, engine, shared
from deepfake.loading import views
from deepfake.loading.batches import AugmentingLoader, Loader
from deepfake.loading.pixels import place
from deepfake.progress import SILENT, FoldNews, Note, Progress
from deepfake.project import paths
from deepfake.runs import checkpoint_metadata
from deepfake.training import ranks
from deepfake.training.checkpoint import detector, save_weights
from deepfake.training.domains import codes
from deepfake.training.engine import FoldData, fit
from deepfake.training.predict import predict


@dataclass(frozen=True)
class FoldJob:
    """All that a fold needs.

    Args:
        config: the experiment.
        fold: the fold that is held out.
        sample_ids: str [n], the manifest's order, which is that of the images.
        clip_ids: str [n], the clip that each sample belongs to.
        labels: int [n].
        subsets: each sample's part in this fold, one of `tables.SUBSETS`, or "" when it is not in use.
        images: `.npy` file of the decoded images.
        oversampled: `.npy` file of those that augmentation starts from, often larger, or None without augmentation.
        weights: what the backbone starts from (`models.create`), or None for a random start.
        folder: where the results go.
        datasets: int [n], the number of each sample's data set.
        domains: int [n], each sample's domain (`domains.codes`), where the experiment has domains.
        start: weights of the detector that this fold starts from, a head on a frozen trunk among them, or None.
    """

    config: RunConfig
    fold: int
    sample_ids: np.ndarray
    clip_ids: np.ndarray
    labels: np.ndarray
    subsets: np.ndarray
    images: Path
    oversampled: Path | None
    weights: Path | None
    folder: Path
    datasets: np.ndarray
    domains: np.ndarray | None = None
    start: Path | None = None

    @property
    def name(self) -> str:
        """Return what the job is called where jobs are told of."""
        return f"{self.config.experiment}, fold {self.fold}"

    @property
    def inputs(self) -> tuple[Path, ...] | None:
        """Return all files that training reads, None for a head, whose features are on this machine."""
        if self.config.train == "head":
            return None
        trunk = paths().weights(self.config.model) if self.start is not None else None  # what starts may be a head
        files = (self.images, self.oversampled, self.weights, self.start, trunk if trunk and trunk.exists() else None)
        return tuple(dict.fromkeys(path for path in files if path is not None))

    def moved(self, move: Callable[[Path], Path]) -> "FoldJob":
        """Return the fold with its files and its results elsewhere."""
        files = ("images", "oversampled", "weights", "folder", "start")
        places = {name: move(path) for name in files if (path := getattr(self, name)) is not None}
        return dataclasses.replace(self, **places)

    def rows(self, part: str) -> np.ndarray:
        """Return the rows of one of `tables.SUBSETS`."""
        return np.flatnonzero(self.subsets == part)

    @property
    def in_use(self) -> np.ndarray:
        """Return the rows of all parts."""
        return np.flatnonzero(self.subsets != "")


def jobs(
    config: RunConfig,
    manifest: pd.DataFrame,
    scratch: Path,
    *,
    weights: Path | None = None,
    progress: Progress = SILENT,
) -> list[FoldJob]:
    """Return the jobs of all folds of an experiment, once the images that they need are decoded.

    Args:
        config: the experiment.
        manifest: `tables.MANIFEST`.
        scratch: each fold has a folder of its own below it.
        weights: what the backbones start from.
        progress: told what is about to be decoded, and of the images done.

    Raises:
        InputError: too few groups or samples, unusable domains, or the view has not been written.
    """
    try:
        parts = [_parts(config, manifest, fold) for fold in range(config.trainings)]
        domains = [_domains(config, manifest, part) for part in parts]
    except InputError as error:
        raise InputError(f"{config.experiment}: {error}") from None
    images = [
        views.pixels(
            config.view,
            manifest,
            oversampling=oversampling,
            threads=config.num_workers,
            cuda=runtime.has_gpu(),
            progress=progress,
        )
        for oversampling in (1.0, config.oversampling or 1.0)
    ]
    _, datasets = np.unique(manifest["dataset"], return_inverse=True)
    return [
        FoldJob(
            config,
            fold,
            manifest["sample_id"].to_numpy(),
            manifest["clip_id"].to_numpy(),
            manifest["label"].to_numpy(),
            part,
            images[0],
            images[1] if config.augmentation else None,
            weights,
            scratch / f"fold{fold}",
            datasets,
            domains[fold],
            paths().checkpoint(config.start_from, fold) if config.start_from else None,
        )
        for fold, part in enumerate(parts)
    ]


def _parts(config: RunConfig, manifest: pd.DataFrame, fold: int) -> np.ndarray:
    """Return each sample's part in a fold, "" for samples that are not in use."""
    parts = splits.subsets(
        manifest,
        fold,
        fraction=config.fraction,
        val_ratio=config.val_ratio,
        seed=config.seed,
        holdout=config.holdout,
        class_ratio=config.class_ratio,
    )
    return parts.reindex(manifest.index, fill_value="").to_numpy()


def _domains(config: RunConfig, manifest: pd.DataFrame, part: np.ndarray) -> np.ndarray | None:
    """Return each sample's domain in a fold, or None for ordinary training."""
    column = config.domain.column
    if column == "none":
        return None
    names = manifest[column].to_numpy(dtype=str)
    return codes(names, manifest["label"].to_numpy(), np.flatnonzero(part == "train"), column)


@shared
def train_fold(job: FoldJob, tell: Tell) -> None:
    """Train the fold's model, predict every sample in use, and write weights, predictions and history.

    Where several processes do this together, the first one writes.
    """
    config, fold = job.config, job.fold
    started = time.monotonic()
    runtime.one_thread()
    runtime.keep_memory()
    device = runtime.device()
    runtime.seed_torch(config.seed, fold)
    shape = modalities.shape(config.view)
    model = detector(config, job.start) if job.start else models.create(config.model, shape, job.weights)
    images = np.load(job.images, mmap_mode="r")
    scale = scale_of(job, images)
    loader = image_loader(job, images, scale, device)
    clips = pooling.codes(job.clip_ids)
    data = FoldData(loader, job.labels, job.rows("train"), job.rows("validation"), job.datasets, job.domains, clips)

    def tell_epoch(row: dict[str, float]) -> None:
        tell(FoldNews(config.experiment, fold, int(row["epoch"]), config.epochs, row["validation_auc"]))

    job.folder.mkdir(parents=True, exist_ok=True)
    progress_file = job.folder / "progress.safetensors"
    progress = fit(
        model,
        data,
        config,
        fold,
        device=device,
        scratch=progress_file,
        graph=engine().graph,
        on_epoch=tell_epoch,
        on_note=lambda line: tell(Note(line)),
    )
    logits = _predicted(job, model, loader)
    if not ranks.leads():
        return
    save_weights(progress.best_weights, job.folder / run_files.FOLD_WEIGHTS)
    if config.keep_optimizer:
        save_weights(progress.best_optimizer, job.folder / run_files.FOLD_OPTIMIZER)
    write_logits(job, logits, tables.STANDARD_CONDITION)
    finish(
        job,
        tell,
        started=started,
        history=progress.history,
        best=progress.best_epoch,
        scale=scale,
        logits=logits,
        parameters=models.count_parameters(model),
    )
    progress_file.unlink(missing_ok=True)


def finish(
    job: FoldJob,
    tell: Tell,
    *,
    started: float,
    history: list[dict[str, float]],
    best: int,
    scale: Normalization,
    logits: np.ndarray,
    parameters: int,
) -> None:
    """Write what a fold leaves beside weights and predictions, and at last that it is done.

    Args:
        job: the fold.
        tell: told that it is done.
        started: when its training began, of `time.monotonic`.
        history: a row for each epoch, or for whatever else was tried.
        best: the row that was chosen, from 1.
        scale: what its images are normalised by.
        logits: float64 [n], of all samples in use.
        parameters: how many were trained.
    """
    config, validation = job.config, job.rows("validation")
    record = checkpoint_metadata.of(
        config,
        job.fold,
        epoch=best,
        metrics=history[best - 1],
        normalization=scale,
        sample_ids=job.sample_ids[validation],
        labels=job.labels[validation],
        logits=logits[validation],
        clip_ids=job.clip_ids[validation],
    )
    tables.write_text(record.model_dump_json() + "\n", job.folder / run_files.FOLD_RECORD)
    tables.write_csv(pd.DataFrame(history).assign(fold=job.fold), job.folder / run_files.FOLD_HISTORY)
    done = {"parameters": parameters, "seconds": time.monotonic() - started, "machine": runtime.processor()}
    tables.write_text(json.dumps(done) + "\n", job.folder / run_files.FOLD_DONE)
    score = record.metrics["validation_auc"]
    tell(FoldNews(config.experiment, job.fold, len(history), config.epochs, score, finished=True))


def write_predictions(job: FoldJob, model: nn.Module, loader: Loader, condition: str) -> np.ndarray:
    """Predict every sample in use, write the fold's `tables.PREDICTIONS`, and return the logits.

    Returns:
        float64 [n] in the manifest's order, NaN for samples that are not in use.
    """
    logits = _predicted(job, model, loader)
    write_logits(job, logits, condition)
    return logits


def _predicted(job: FoldJob, model: nn.Module, loader: Loader) -> np.ndarray:
    """Return the logits of every sample in use (`write_predictions`)."""
    logits = np.full(len(job.labels), np.nan)
    logits[job.in_use] = predict(model, loader, job.in_use)
    return logits


def write_logits(job: FoldJob, logits: np.ndarray, condition: str) -> None:
    """Write the fold's `tables.PREDICTIONS` from float64 [n] in the manifest's order."""
    in_use = job.in_use
    predictions = pd.DataFrame(
        {
            "sample_id": job.sample_ids[in_use],
            "clip_id": job.clip_ids[in_use],
            "experiment": job.config.experiment,
            "fold": job.fold,
            "repeat": job.fold // job.config.folds,
            "subset": job.subsets[in_use],
            "condition": condition,
            "logit": logits[in_use],
        }
    )
    tables.write(predictions, job.folder / run_files.FOLD_PREDICTIONS, tables.PREDICTIONS)


def scale_of(job: FoldJob, images: np.ndarray) -> Normalization:
    """Return the statistics that a fold's images are normalised by."""
    return job.config.normalization or training_statistics(job.config.view, images, job.labels, job.rows("train"))


def training_statistics(view: ViewConfig, images: np.ndarray, labels: np.ndarray, train: np.ndarray) -> Normalization:
    """Return the statistics of the real images that a fold is trained on: no fake, no validation, no held-out image."""
    return modalities.load(view.modality).statistics(view, images, train[labels[train] == tables.REAL])


def image_loader(job: FoldJob, images: np.ndarray, scale: Normalization, device: torch.device) -> Loader:
    """Return what serves the fold's images, augmented for training when the experiment says so."""
    config = job.config
    store = place(images, np.flatnonzero(job.subsets != ""), device)
    if config.augmentation is None or job.oversampled is None:
        return Loader(store, job.labels, config.view, scale)
    oversampled = np.load(job.oversampled, mmap_mode="r")
    return AugmentingLoader(
        store,
        place(oversampled, np.flatnonzero(job.subsets == "train"), device),
        job.labels,
        config.view,
        scale,
        config.augmentation,
        side=oversampled.shape[1],
        seed=config.seed,
        batch_size=config.batch_size,
    )
