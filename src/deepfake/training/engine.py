"""Training one fold: AdamW, cosine schedule, early stopping on the inner validation, in plain PyTorch."""

import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import nn

from deepfake import runtime
from deepfake.config import RunConfig
from deepfake.errors import InputError
from deepfake.evaluation import metrics, pooling
from deepfake.loading.batches import Loader
from deepfake.loading.sampling import SAMPLERS, occurrences
from deepfake.training import graphs, ranks, tasks
from deepfake.training.checkpoint import Progress, copy_optimizer, copy_weights, load_progress, save_progress
from deepfake.training.predict import Predictor
from deepfake.training.steps import Steps, optimizer_of

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
    graph: Literal["auto", "never"] = "auto",
    on_note: Callable[[str], None] = lambda line: None,
) -> Progress:
    """Train a model on a fold and leave it with the weights of its best epoch.

    The best epoch is that of the best `config.monitor` on the inner validation (the earliest, on a tie). Training stops
    after `early_stopping_patience` epochs without a better one. A run that was killed goes on from `scratch` and
    ends with the same numbers, bit for bit on a CPU: all chance in an epoch follows from seed, fold and epoch.
    Processes that train together (`ranks`) all call this at the same time; the first one writes.

    Args:
        model: a fresh model.
        data: the fold's samples.
        config: the experiment.
        fold: the fold's number.
        device: where to train.
        scratch: file for unfinished work.
        on_epoch: called with each epoch's row of the history.
        graph: whether steps on a GPU are replayed as one CUDA graph where that can be done (`config.Engine`).
        on_note: called with what the user should know of how it is trained.

    Returns:
        The history and the best epoch.

    Raises:
        InputError: the loss became infinite or not a number, the training samples lack a class, or a batch cannot be
            shared by so many processes.
    """
    ranks.check(config.batch_size)
    model.to(device).to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
    with graphs.own_stream(device):
        training = _Training(model, data, config, fold, device=device, graph=graph, on_note=on_note)
        try:
            progress = training.resumed(scratch, on_epoch)
            saved = time.monotonic()
            while not _finished(progress, config):
                row = training.epoch(progress)
                if ranks.leads() and time.monotonic() - saved > _SAVE_EVERY:
                    training.save(scratch, progress)
                    saved = time.monotonic()
                on_epoch(row)
            training.settle()
        finally:
            training.close()
    progress.best_weights = {name: value.cpu() for name, value in progress.best_weights.items()}
    model.load_state_dict(progress.best_weights)
    return progress


class _Training:
    """A fold on its way: what is trained, how, and what is still computed of the epochs behind it."""

    def __init__(
        self,
        model: nn.Module,
        data: FoldData,
        config: RunConfig,
        fold: int,
        *,
        device: torch.device,
        graph: Literal["auto", "never"],
        on_note: Callable[[str], None],
    ):
        self._data, self._config, self._fold = data, config, fold
        self._task = tasks.create(model, config, data.labels, data.train, data.domains).to(device)
        self._optimizer = optimizer_of(self._task, config)
        self._scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(self._optimizer, T_max=config.epochs)
        dtype = runtime.autocast_dtype(config.precision, device, self._task)
        self._steps = Steps(self._task, self._optimizer, data.loader, config, dtype, graph=graph, on_note=on_note)
        recorded = device.type == "cuda" and graph == "auto" and ranks.world() == 1
        self._predict = Predictor(model, data.loader, graphs.record if recorded else None)
        # the metrics of what was trained on decide nothing: a GPU need not wait for them
        self._beside = ThreadPoolExecutor(1) if device.type == "cuda" else None
        self._waiting: list[tuple[dict[str, float], Future[dict[str, float]]]] = []

    def resumed(self, scratch: Path, on_epoch: Callable[[dict[str, float]], None]) -> Progress:
        """Return where the training stands: at its beginning, or where unfinished work left it."""
        if not scratch.exists():
            return Progress(0, [], 0, -np.inf, {}, {})
        progress = load_progress(scratch, self._task, self._optimizer, self._scheduler)
        for row in progress.history:
            on_epoch(row)
        return progress

    def epoch(self, progress: Progress) -> dict[str, float]:
        """Train an epoch, judge it, and return its row of the history; metrics of training may come in later."""
        config = self._config
        row = self._train(progress.epoch)
        row |= self._validate(progress.epoch)
        self._scheduler.step()
        progress.epoch += 1
        progress.history.append(row)
        column, sign = MONITORS[config.monitor]
        if sign * row[column] > progress.best_score:
            progress.best_epoch, progress.best_score = progress.epoch, sign * row[column]
            progress.best_weights = copy_weights(self._task.detector, on_device=True)
            if config.keep_optimizer:
                progress.best_optimizer = copy_optimizer(self._task, self._optimizer)
        return row

    def save(self, scratch: Path, progress: Progress) -> None:
        """Write all that the next epoch needs."""
        self.settle()
        save_progress(scratch, progress, self._task, self._optimizer, self._scheduler)

    def settle(self) -> None:
        """Wait until all rows of the history are whole."""
        for row, late in self._waiting:
            row |= late.result()
        self._waiting.clear()

    def close(self) -> None:
        """Give back what the next fold needs: the memory of what was recorded."""
        self._steps.forget()
        self._predict.forget()
        if self._beside is not None:
            self._beside.shutdown(cancel_futures=True)

    def _train(self, epoch: int) -> dict[str, float]:
        """Train one epoch; return its learning rate, and losses and metrics as they were while training."""
        config, data = self._config, self._data
        runtime.seed_torch(config.seed, self._fold, epoch, *ranks.chance())
        rng = np.random.default_rng((config.seed, self._fold, epoch))
        order = SAMPLERS[config.sampler](data.train, data.labels[data.train], data.datasets[data.train], rng)
        if (rest := len(order) % config.batch_size) < ranks.LEAST:
            order = order[: len(order) - rest]  # batch norm cannot be trained on a batch of one
        taken = ranks.part(len(order), config.batch_size)
        repeats = occurrences(order)[taken.places]
        count = -(-len(order) // config.batch_size)
        rate = float(self._optimizer.param_groups[0]["lr"])
        self._task.train()
        told = [
            self._steps(given, (epoch + number / count) / config.epochs, taken.counts[number])
            for number, given in enumerate(data.loader.given(order[taken.places], taken.size, epoch, repeats))
        ]
        logits, losses = tasks.gathered(self._task, told)
        logits = ranks.gathered(logits, taken)
        _check_finite(logits, self._fold, epoch)
        row = {"epoch": epoch + 1, "lr": rate} | {f"train_{name}": value for name, value in losses.items()}
        given = pooling.decided(data.labels[order], logits, data.clips_of(order), config.pooling)
        if self._beside is None:
            return row | figures("train", *given)
        row |= dict.fromkeys((f"train_{name}" for name in _CLASSIFICATION), np.nan)
        self._waiting.append((row, self._beside.submit(figures, "train", *given)))
        return row

    def _validate(self, epoch: int) -> dict[str, float]:
        """Return losses and metrics on the inner validation."""
        config, data = self._config, self._data
        logits = self._predict(data.validation)
        _check_finite(logits, self._fold, epoch)
        labels = data.labels[data.validation]
        loss = self._task.loss(torch.from_numpy(logits), torch.from_numpy(labels.astype(np.float64)))
        told = tasks.domain_figures(self._task, data.loader, data.validation, config.batch_size)
        return (
            {"validation_loss": float(loss)}
            | {f"validation_{name}": value for name, value in told.items()}
            | figures("validation", *pooling.decided(labels, logits, data.clips_of(data.validation), config.pooling))
        )


def _finished(progress: Progress, config: RunConfig) -> bool:
    """Tell whether all epochs are done or patience has run out."""
    waited = progress.epoch - progress.best_epoch
    return progress.epoch >= config.epochs or waited >= config.early_stopping_patience


def _check_finite(logits: np.ndarray, fold: int, epoch: int) -> None:
    """Check that training has not diverged."""
    if not np.isfinite(logits).all():
        raise InputError(f"fold {fold}, epoch {epoch + 1}: the loss is not finite; lower the learning rate")


def figures(part: str, labels: np.ndarray, logits: np.ndarray) -> dict[str, float]:
    """Return the metrics of one part of the fold, named after it."""
    found = metrics.classification(labels, logits)
    return {f"{part}_{name}": found[name] for name in _CLASSIFICATION}
