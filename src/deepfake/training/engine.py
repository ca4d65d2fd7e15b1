"""Training one fold: AdamW, cosine schedule, early stopping on the inner validation, in plain PyTorch."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from sklearn.metrics import roc_auc_score
from torch import nn
from torch.nn.functional import binary_cross_entropy_with_logits
from torch.nn.utils import clip_grad_norm_

from deepfake import runtime
from deepfake.config import RunConfig
from deepfake.errors import InputError
from deepfake.loading import sampling
from deepfake.loading.batches import Loader
from deepfake.training.checkpoint import Progress, copy_weights, load_progress, save_progress
from deepfake.training.objectives import LOSSES
from deepfake.training.predict import predict

_SAVE_EVERY = 60.0
"""Seconds of training that a killed run may lose at most, plus one epoch; to save takes as much memory as the model and
its optimiser again."""


@dataclass(frozen=True)
class FoldData:
    """What a fold is trained and chosen on; nothing else reaches this module.

    Args:
        loader: serves the samples.
        labels: int [n]: 0 real, 1 fake, for all rows that the loader knows.
        train: rows to train on.
        validation: rows of the inner validation.
    """

    loader: Loader
    labels: np.ndarray
    train: np.ndarray
    validation: np.ndarray


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

    The best epoch has the largest AUC on the inner validation (the earliest, on a tie). Training stops after
    `early_stopping_patience` epochs without a better one. A run that was killed goes on from `scratch` and
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
        InputError: the loss became infinite or not a number.
    """
    model.to(device).to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
    optimizer = torch.optim.AdamW(model.parameters(), lr=config.lr, weight_decay=config.weight_decay, fused=True)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=config.epochs)
    progress = Progress(0, [], 0, -np.inf, {})
    if scratch.exists():
        progress = load_progress(scratch, model, optimizer, scheduler)
        for row in progress.history:
            on_epoch(row)
    saved = time.monotonic()
    while not _finished(progress, config):
        row = _train_epoch(model, optimizer, data, config, fold, progress.epoch, device)
        row |= _validate(model, data)
        scheduler.step()
        progress.epoch += 1
        progress.history.append(row)
        if row["validation_auc"] > progress.best_score:
            progress.best_epoch, progress.best_score = progress.epoch, row["validation_auc"]
            progress.best_weights = copy_weights(model)
        if time.monotonic() - saved > _SAVE_EVERY:
            save_progress(scratch, progress, model, optimizer, scheduler)
            saved = time.monotonic()
        on_epoch(row)
    model.load_state_dict(progress.best_weights)
    return progress


def _finished(progress: Progress, config: RunConfig) -> bool:
    """Tell whether all epochs are done or patience has run out."""
    waited = progress.epoch - progress.best_epoch
    return progress.epoch >= config.epochs or waited >= config.early_stopping_patience


def _train_epoch(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    data: FoldData,
    config: RunConfig,
    fold: int,
    epoch: int,
    device: torch.device,
) -> dict[str, float]:
    """Train one epoch; return its learning rate, and loss and AUC as they were while training."""
    runtime.seed_torch(config.seed, fold, epoch)
    order = sampling.shuffled(data.train, np.random.default_rng((config.seed, fold, epoch)))
    if len(order) % config.batch_size == 1:
        order = order[:-1]  # batch norm cannot be trained on a batch of one
    loss_of = LOSSES[config.loss](data.labels[data.train])
    dtype = runtime.autocast_dtype(config.precision, device, model)
    lr = optimizer.param_groups[0]["lr"]
    model.train()
    losses, logits = [], []
    for batch in data.loader.training(order, config.batch_size, epoch):
        with torch.autocast(device.type, dtype=dtype, enabled=dtype is not None):
            output = model(batch.images)
        output = output.squeeze(1).float()
        loss = loss_of(output, batch.labels)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        if config.grad_clip > 0:
            clip_grad_norm_(model.parameters(), config.grad_clip)
        optimizer.step()
        losses.append(loss.detach() * len(batch.index))
        logits.append(output.detach())
    scores = torch.cat(logits).cpu().numpy()
    if not np.isfinite(scores).all():
        raise InputError(f"fold {fold}, epoch {epoch + 1}: the loss is not finite; lower the learning rate")
    return {
        "epoch": epoch + 1,
        "lr": lr,
        "train_loss": float(torch.stack(losses).sum()) / len(order),
        "train_auc": float(roc_auc_score(data.labels[order], scores)),
    }


def _validate(model: nn.Module, data: FoldData) -> dict[str, float]:
    """Return loss and AUC on the inner validation."""
    logits = torch.from_numpy(predict(model, data.loader, data.validation))
    labels = data.labels[data.validation]
    loss = binary_cross_entropy_with_logits(logits, torch.from_numpy(labels.astype(np.float64)))
    return {"validation_loss": float(loss), "validation_auc": float(roc_auc_score(labels, logits.numpy()))}
