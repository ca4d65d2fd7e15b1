"""One fold of one experiment: train, choose, predict; the job that runs in a process of its own."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from deepfake import layout, models, runtime, tables
from deepfake.config import RunConfig
from deepfake.loading import normalization
from deepfake.loading.batches import AugmentingLoader, Loader
from deepfake.loading.pixels import place
from deepfake.params import Normalization
from deepfake.studies.launch import FoldNews, Tell
from deepfake.training.checkpoint import save_weights
from deepfake.training.engine import FoldData, fit
from deepfake.training.predict import predict


@dataclass(frozen=True)
class FoldJob:
    """All that a fold needs.

    Args:
        config: the experiment.
        fold: the fold that is held out.
        sample_ids: str [n], the manifest's order, which is that of the images.
        labels: int [n].
        subsets: each sample's part in this fold, one of `tables.SUBSETS`, or "" when it is not in use.
        images: `.npy` file of the decoded images.
        oversampled: `.npy` file of the larger ones that augmentation starts from, or None without augmentation.
        folder: where the results go.
    """

    config: RunConfig
    fold: int
    sample_ids: np.ndarray
    labels: np.ndarray
    subsets: np.ndarray
    images: Path
    oversampled: Path | None
    folder: Path


def is_done(folder: Path) -> bool:
    """Tell whether a fold's results are complete; the marker is written last."""
    return (folder / layout.FOLD_DONE).exists()


def train_fold(job: FoldJob, tell: Tell) -> None:
    """Train the fold's model, predict every sample in use, and write weights, predictions and history."""
    config, fold = job.config, job.fold
    runtime.one_thread()
    device = runtime.device()
    runtime.seed_torch(config.seed, fold)
    model = models.create(config.model, config.resolution)
    rows = {part: np.flatnonzero(job.subsets == part) for part in tables.SUBSETS}
    images = np.load(job.images, mmap_mode="r")
    scale = config.normalization or training_statistics(images, job.labels, rows["train"])
    loader = _loader(job, images, rows["train"], scale, device)
    data = FoldData(loader, job.labels, rows["train"], rows["validation"])

    def tell_epoch(row: dict[str, float]) -> None:
        tell(FoldNews(fold, int(row["epoch"]), config.epochs, row["validation_auc"]))

    job.folder.mkdir(parents=True, exist_ok=True)
    progress_file = job.folder / "progress.safetensors"
    progress = fit(model, data, config, fold, device=device, scratch=progress_file, on_epoch=tell_epoch)
    save_weights(progress.best_weights, job.folder / layout.FOLD_WEIGHTS)
    in_use = np.flatnonzero(job.subsets != "")
    predictions = pd.DataFrame(
        {
            "sample_id": job.sample_ids[in_use],
            "experiment": config.experiment,
            "fold": fold,
            "subset": job.subsets[in_use],
            "condition": tables.STANDARD_CONDITION,
            "logit": predict(model, loader, in_use),
        }
    )
    tables.write(predictions, job.folder / layout.FOLD_PREDICTIONS, tables.PREDICTIONS)
    tables.write_csv(pd.DataFrame(progress.history).assign(fold=fold), job.folder / layout.FOLD_HISTORY)
    done = {
        "best_epoch": progress.best_epoch,
        "parameters": models.count_parameters(model),
        "normalization": scale.model_dump(),
    }
    tables.write_text(json.dumps(done) + "\n", job.folder / layout.FOLD_DONE)
    progress_file.unlink(missing_ok=True)
    tell(FoldNews(fold, progress.epoch, config.epochs, progress.best_score, finished=True))


def training_statistics(images: np.ndarray, labels: np.ndarray, train: np.ndarray) -> Normalization:
    """Return the statistics of the real images that a fold is trained on: no fake, no validation, no held-out image."""
    return normalization.statistics(images, train[labels[train] == tables.REAL])


def _loader(job: FoldJob, images: np.ndarray, train: np.ndarray, scale: Normalization, device: torch.device) -> Loader:
    """Return what serves the fold's images, augmented for training when the experiment says so."""
    config = job.config
    store = place(images, np.flatnonzero(job.subsets != ""), device)
    if config.augmentation is None or job.oversampled is None:
        return Loader(store, job.labels, scale)
    oversampled = np.load(job.oversampled, mmap_mode="r")
    return AugmentingLoader(
        store,
        place(oversampled, train, device),
        job.labels,
        scale,
        config.augmentation,
        backend=config.view.loader,
        seed=config.seed,
        sides=(oversampled.shape[1], config.resolution),
        batch_size=config.batch_size,
    )
