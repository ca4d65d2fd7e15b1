"""Training one fold: AdamW, cosine schedule, early stopping on the inner validation, in plain PyTorch."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn.utils import clip_grad_norm_

from deepfake import runtime
from deepfake.config import RunConfig
from deepfake.errors import InputError
from deepfake.evaluation import metrics, pooling
from deepfake.loading.batches import Loader
from deepfake.loading.sampling import SAMPLERS
from deepfake.training import tasks
from deepfake.training.checkpoint import Progress, copy_optimizer, copy_weights, load_progress, save_progress
from deepfake.training.predict import predict
from deepfake.training.tasks import Task

_SAVE_EVERY = 60.0
"""Seconds of training that a killed run may lose at most, plus one epoch; to save takes as much memory as the model and
its optimiser again."""


MONITORS = {
    "auc": ("validation_auc", 1),
    "f1_macro": ("validation_f1_macro", 1),
    "balanced_accuracy": ("validation_balanced_accuracy", 1),
    "loss": ("validation_loss", -1),
}
"""By the name of a monitor: the column of the history, and 1 where more is better, -1 where less is."""
_CLASSIFICATION = (
    *("auc", "accuracy", "balanced_accuracy", "precision_fake", "recall_fake", "f1_fake"),
    *("precision_real", "recall_real", "f1_real", "f1_macro"),
)
"""The metrics of an epoch; decisions are those at probability 0.5."""


@dataclass(frozen=True)
class FoldData:
    """What a fold is trained and chosen on; nothing else reaches this module.

    Args:
        loader: serves the samples.
        labels: int [n]: 0 real, 1 fake, for all rows that the loader knows.
        train: rows to train on.
        validation: rows of the inner validation.
        datasets: int [n], the number of each sample's data set.
        domains: int [n], each sample's domain (`domains.codes`), where the experiment has domains.
        clips: int [n], the number of each sample's clip, where clips have several samples (`pooling.codes`): what is
            chosen and told is by clips, what is minimised by samples.
    """

    loader: Loader
    labels: np.ndarray
    train: np.ndarray
    validation: np.ndarray
    datasets: np.ndarray
    domains: np.ndarray | None = None
    clips: np.ndarray | None = None

    def clips_of(self, rows: np.ndarray) -> np.ndarray | None:
        """Return the clips of some samples, or None where each sample is a clip of its own."""
        return None if self.clips is None else self.clips[rows]


def fit(
    model: nn.Module,
    data: FoldData,
    config: RunConfig,
    fold: int,
    *,
    device: torch.device,
    scratch: Path,
    on_epoch: Callable[[dict[str, float]], None] = lambda row: None,
) -> Progress:
    """Train a model on a fold and leave it with the weights of its best epoch.

    The best epoch is that of the best `config.monitor` on the inner validation (the earliest, on a tie). Training stops
    after `early_stopping_patience` epochs without a better one. A run that was killed goes on from `scratch` and
    ends with the same numbers, bit for bit on a CPU: all chance in an epoch follows from seed, fold and epoch.

    Args:
        model: a fresh model.
        data: the fold's samples.
        config: the experiment.
        fold: the fold's number.
        device: where to train.
        scratch: file for unfinished work.
        on_epoch: called with each epoch's row of the history.

    Returns:
        The history and the best epoch.

    Raises:
        InputError: the loss became infinite or not a number, or the training samples lack a class.
    """
    model.to(device).to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
    task = tasks.create(model, config, data.labels, data.train, data.domains).to(device)
    optimizer = torch.optim.AdamW(task.parameters(), lr=config.lr, weight_decay=config.weight_decay, fused=True)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=config.epochs)
    progress = Progress(0, [], 0, -np.inf, {}, {})
    if scratch.exists():
        progress = load_progress(scratch, task, optimizer, scheduler)
        for row in progress.history:
            on_epoch(row)
    saved = time.monotonic()
    while not _finished(progress, config):
        row = _train_epoch(task, optimizer, data, config, fold, progress.epoch)
        row |= _validate(task, data, config, fold, progress.epoch)
        scheduler.step()
        progress.epoch += 1
        progress.history.append(row)
        column, sign = MONITORS[config.monitor]
        if sign * row[column] > progress.best_score:
            progress.best_epoch, progress.best_score = progress.epoch, sign * row[column]
            progress.best_weights = copy_weights(model)
            if config.keep_optimizer:
                progress.best_optimizer = copy_optimizer(task, optimizer)
        if time.monotonic() - saved > _SAVE_EVERY:
            save_progress(scratch, progress, task, optimizer, scheduler)
            saved = time.monotonic()
        on_epoch(row)
    model.load_state_dict(progress.best_weights)
    return progress


def _finished(progress: Progress, config: RunConfig) -> bool:
    """Tell whether all epochs are done or patience has run out."""
    waited = progress.epoch - progress.best_epoch
    return progress.epoch >= config.epochs or waited >= config.early_stopping_patience


def _train_epoch(
    task: Task,
    optimizer: torch.optim.Optimizer,
    data: FoldData,
    config: RunConfig,
    fold: int,
    epoch: int,
) -> dict[str, float]:
    """Train one epoch; return its learning rate, and losses and metrics as they were while training."""
    runtime.seed_torch(config.seed, fold, epoch)
    rng = np.random.default_rng((config.seed, fold, epoch))
    order = SAMPLERS[config.sampler](data.train, data.labels[data.train], data.datasets[data.train], rng)
    if len(order) % config.batch_size == 1:
        order = order[:-1]  # batch norm cannot be trained on a batch of one
    count = -(-len(order) // config.batch_size)
    device = next(task.parameters()).device
    dtype = runtime.autocast_dtype(config.precision, device, task)
    lr = optimizer.param_groups[0]["lr"]
    task.train()
    steps: list[tasks.Step] = []
    for number, batch in enumerate(data.loader.training(order, config.batch_size, epoch)):
        step = task.step(batch, (epoch + number / count) / config.epochs, dtype)
        optimizer.zero_grad(set_to_none=True)
        step.loss.backward()
        if config.grad_clip > 0:
            clip_grad_norm_(task.parameters(), config.grad_clip)
        optimizer.step()
        steps.append(tasks.detached(step))
    scores = torch.cat([step.logits for step in steps]).cpu().numpy()
    _check_finite(scores, fold, epoch)
    return (
        {"epoch": epoch + 1, "lr": lr}
        | {f"train_{name}": value for name, value in tasks.means(steps).items()}
        | figures("train", *pooling.decided(data.labels[order], scores, data.clips_of(order), config.pooling))
    )


def _check_finite(logits: np.ndarray, fold: int, epoch: int) -> None:
    """Check that training has not diverged."""
    if not np.isfinite(logits).all():
        raise InputError(f"fold {fold}, epoch {epoch + 1}: the loss is not finite; lower the learning rate")


def _validate(task: Task, data: FoldData, config: RunConfig, fold: int, epoch: int) -> dict[str, float]:
    """Return losses and metrics on the inner validation."""
    logits = predict(task.detector, data.loader, data.validation)
    _check_finite(logits, fold, epoch)
    labels = data.labels[data.validation]
    loss = task.loss(torch.from_numpy(logits), torch.from_numpy(labels.astype(np.float64)))
    told = tasks.domain_figures(task, data.loader, data.validation, config.batch_size)
    return (
        {"validation_loss": float(loss)}
        | {f"validation_{name}": value for name, value in told.items()}
        | figures("validation", *pooling.decided(labels, logits, data.clips_of(data.validation), config.pooling))
    )


def figures(part: str, labels: np.ndarray, logits: np.ndarray) -> dict[str, float]:
    """Return the metrics of one part of the fold, named after it."""
    found = metrics.classification(labels, logits)
    return {f"{part}_{name}": found[name] for name in _CLASSIFICATION}
