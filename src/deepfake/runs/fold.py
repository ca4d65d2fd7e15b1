"""One fold of one experiment: train, choose, predict; the job that runs in a process of its own."""

import json
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import nn

from deepfake import models, project, runtime, tables
from deepfake.config import RunConfig
from deepfake.config.params import Normalization
from deepfake.datasets import splits
from deepfake.errors import InputError
from deepfake.execution import Tell
from deepfake.loading import normalization, views
from deepfake.loading.batches import AugmentingLoader, Loader
from deepfake.loading.pixels import place
from deepfake.progress import SILENT, FoldNews, Progress
from deepfake.project import paths
from deepfake.runs import checkpoint_metadata
from deepfake.training.checkpoint import load_weights, save_weights
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
        oversampled: `.npy` file of the larger ones that augmentation starts from, or None without augmentation.
        weights: what the backbone starts from (`models.create`), or None for a random start.
        folder: where the results go.
        datasets: int [n], the number of each sample's data set.
        domains: int [n], each sample's domain (`domains.codes`), where the experiment has domains.
        start: weights of the whole detector that this fold starts from, or None.
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
        parts = [_parts(config, manifest, fold) for fold in range(config.folds)]
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
        for oversampling in (1.0, config.oversampling)
        if oversampling is not None
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
            images[1] if config.oversampling else None,
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


def train_fold(job: FoldJob, tell: Tell) -> None:
    """Train the fold's model, predict every sample in use, and write weights, predictions and history."""
    config, fold = job.config, job.fold
    started = time.monotonic()
    runtime.one_thread()
    device = runtime.device()
    runtime.seed_torch(config.seed, fold)
    model = models.create(config.model, config.resolution, job.weights)
    if job.start:
        load_weights(model, job.start)
    rows = {part: np.flatnonzero(job.subsets == part) for part in tables.SUBSETS}
    images = np.load(job.images, mmap_mode="r")
    scale = config.normalization or training_statistics(images, job.labels, rows["train"])
    loader = image_loader(job, images, scale, device)
    data = FoldData(loader, job.labels, rows["train"], rows["validation"], job.datasets, job.domains)

    def tell_epoch(row: dict[str, float]) -> None:
        tell(FoldNews(config.experiment, fold, int(row["epoch"]), config.epochs, row["validation_auc"]))

    job.folder.mkdir(parents=True, exist_ok=True)
    progress_file = job.folder / "progress.safetensors"
    progress = fit(model, data, config, fold, device=device, scratch=progress_file, on_epoch=tell_epoch)
    save_weights(progress.best_weights, job.folder / project.FOLD_WEIGHTS)
    if config.keep_optimizer:
        save_weights(progress.best_optimizer, job.folder / project.FOLD_OPTIMIZER)
    logits = write_predictions(job, model, loader, tables.STANDARD_CONDITION)
    record = checkpoint_metadata.of(
        config,
        fold,
        epoch=progress.best_epoch,
        metrics=progress.history[progress.best_epoch - 1],
        normalization=scale,
        sample_ids=job.sample_ids[rows["validation"]],
        labels=job.labels[rows["validation"]],
        logits=logits[rows["validation"]],
    )
    tables.write_text(record.model_dump_json() + "\n", job.folder / project.FOLD_RECORD)
    tables.write_csv(pd.DataFrame(progress.history).assign(fold=fold), job.folder / project.FOLD_HISTORY)
    done = {
        "parameters": models.count_parameters(model),
        "seconds": time.monotonic() - started,
        "machine": runtime.processor(),
    }
    tables.write_text(json.dumps(done) + "\n", job.folder / project.FOLD_DONE)
    progress_file.unlink(missing_ok=True)
    tell(
        FoldNews(
            config.experiment, fold, progress.epoch, config.epochs, record.metrics["validation_auc"], finished=True
        )
    )


def write_predictions(job: FoldJob, model: nn.Module, loader: Loader, condition: str) -> np.ndarray:
    """Predict every sample in use, write the fold's `tables.PREDICTIONS`, and return the logits.

    Returns:
        float64 [n] in the manifest's order, NaN for samples that are not in use.
    """
    in_use = np.flatnonzero(job.subsets != "")
    logits = np.full(len(job.labels), np.nan)
    logits[in_use] = predict(model, loader, in_use)
    predictions = pd.DataFrame(
        {
            "sample_id": job.sample_ids[in_use],
            "clip_id": job.clip_ids[in_use],
            "experiment": job.config.experiment,
            "fold": job.fold,
            "subset": job.subsets[in_use],
            "condition": condition,
            "logit": logits[in_use],
        }
    )
    tables.write(predictions, job.folder / project.FOLD_PREDICTIONS, tables.PREDICTIONS)
    return logits


def training_statistics(images: np.ndarray, labels: np.ndarray, train: np.ndarray) -> Normalization:
    """Return the statistics of the real images that a fold is trained on: no fake, no validation, no held-out image."""
    return normalization.statistics(images, train[labels[train] == tables.REAL])


def image_loader(job: FoldJob, images: np.ndarray, scale: Normalization, device: torch.device) -> Loader:
    """Return what serves the fold's images, augmented for training when the experiment says so."""
    config = job.config
    store = place(images, np.flatnonzero(job.subsets != ""), device)
    if config.augmentation is None or job.oversampled is None:
        return Loader(store, job.labels, scale)
    oversampled = np.load(job.oversampled, mmap_mode="r")
    return AugmentingLoader(
        store,
        place(oversampled, np.flatnonzero(job.subsets == "train"), device),
        job.labels,
        scale,
        config.augmentation,
        backend=config.view.loader,
        seed=config.seed,
        sides=(oversampled.shape[1], config.resolution),
        batch_size=config.batch_size,
    )
