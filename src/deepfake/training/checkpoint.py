"""Weights and unfinished work on disk: safetensors and JSON, whole or not at all, nothing unpickled."""

import functools
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from deepfake import modalities, models, runtime
from deepfake.config import RunConfig
from deepfake.errors import InputError
from deepfake.models import LinearHead, misfit
from deepfake.project import paths
from deepfake.tables import atomic

Weights = dict[str, torch.Tensor]
_TRUNK = "trunk_sha256"
"""In a file that holds a head alone: the hash of the weights of the trunk that it was fitted on."""


def copy_weights(model: nn.Module, *, on_device: bool = False) -> Weights:
    """Return a copy of a model's state, on the CPU or where the model is."""
    return {
        name: value.detach().to(value.device if on_device else "cpu", copy=True).contiguous()
        for name, value in model.state_dict().items()
    }


def save_weights(weights: Weights, path: Path) -> None:
    """Write a model's state as safetensors."""
    with atomic(path) as temporary:
        save_file(weights, temporary)


def save_head(head: LinearHead, trunk: Path, path: Path) -> None:
    """Write a head alone as safetensors, and the hash of its trunk's weights, without which it means nothing."""
    with atomic(path) as temporary:
        save_file(copy_weights(head), temporary, metadata={_TRUNK: runtime.file_hash(trunk)})


def detector(config: RunConfig, path: Path) -> nn.Module:
    """Return the detector of a run with the weights of a file, in training mode.

    Args:
        config: of the run, or of one that goes on from it.
        path: what `save_weights` wrote, or `save_head`: then the trunk is that of `data/weights`.

    Raises:
        InputError: the file is missing, or of another model; the trunk is missing, or no longer the head's.
    """
    trunk = _trunk(config.model, path)
    model = models.create(config.model, modalities.shape(config.view), trunk, config.probe and config.probe.stage)
    load_weights(model if trunk is None else model.head, path)  # pyright: ignore[reportArgumentType]
    return model


def head(config: RunConfig, path: Path, features: int) -> LinearHead:
    """Return a head by itself with the weights of a file, for who has its trunk.

    Args:
        config: of its run.
        path: what `save_head` wrote.
        features: that the trunk gives.

    Raises:
        InputError: the file is missing, or of another model; the trunk is missing, or no longer the head's.
    """
    _trunk(config.model, path)
    found = LinearHead(features)
    load_weights(found, path)
    return found.eval()


def _trunk(model: str, path: Path) -> Path | None:
    """Return the weights of the trunk that a head belongs to, None for a file that holds all weights."""
    try:
        with safe_open(path, framework="pt") as file:
            expected = (file.metadata() or {}).get(_TRUNK)
    except (OSError, SafetensorError):  # `load_weights` says it better
        return None
    if expected is None:
        return None
    trunk = paths().weights(model)
    if not trunk.exists():
        raise InputError(f"{trunk}: not found, and {path} is a head on it; run deepfake weights, or put it back")
    stat = trunk.stat()
    if _hash(trunk.resolve(), stat.st_mtime_ns, stat.st_size) != expected:
        raise InputError(f"{trunk}: not the trunk that {path} was fitted on; put that back, or train again")
    return trunk


@functools.lru_cache(maxsize=8)
def _hash(path: Path, changed: int, size: int) -> str:
    """Return the hash of a file, computed once while it stays as it is: many heads share a trunk."""
    return runtime.file_hash(path)


def load_weights(model: nn.Module, path: Path) -> None:
    """Put what `save_weights` wrote into a model, or what `save_head` wrote into a head.

    Raises:
        InputError: the file is missing, or of another model.
    """
    try:
        model.load_state_dict(load_file(path))
    except FileNotFoundError:
        raise InputError(f"{path}: not found; train the experiment again, or dvc repro") from None
    except SafetensorError as error:
        raise InputError(f"{path}: not a safetensors file ({error}); train the experiment again") from None
    except RuntimeError as error:
        raise InputError(f"{path}: not weights of this model ({misfit(error)}); train the experiment again") from None


def copy_optimizer(trained: nn.Module, optimizer: Optimizer) -> Weights:
    """Return a copy of an optimiser's state on the CPU, as `<parameter>.<slot>`."""
    names: dict[torch.Tensor, str] = {parameter: name for name, parameter in trained.named_parameters()}
    return {
        f"{names[parameter]}.{slot}": value.detach().to("cpu", copy=True).contiguous()
        for parameter, slots in optimizer.state.items()
        for slot, value in slots.items()
    }


def _laid_out(value: torch.Tensor, parameter: torch.Tensor) -> torch.Tensor:
    """Return an average of the optimiser in memory as its parameter lies: the fused one walks through both together."""
    return torch.empty_like(parameter).copy_(value) if value.shape == parameter.shape else value


@dataclass
class Progress:
    """Where a fold's training stands after an epoch.

    Args:
        epoch: epochs finished.
        history: one row of metrics for each of them.
        best_epoch: the epoch that is best in what is monitored, counted from 1; 0 before the first.
        best_score: what was monitored there; greater is better.
        best_weights: the detector's state after it.
        best_optimizer: the optimiser's (`copy_optimizer`), where it is to be kept.
    """

    epoch: int
    history: list[dict[str, float]]
    best_epoch: int
    best_score: float
    best_weights: Weights
    best_optimizer: Weights


def save_progress(
    path: Path, progress: Progress, trained: nn.Module, optimizer: Optimizer, scheduler: LRScheduler
) -> None:
    """Write all that the next epoch needs into one file, so that it is there whole or not at all."""
    state = optimizer.state_dict()
    tensors = {f"model.{name}": value for name, value in copy_weights(trained).items()}
    tensors |= {f"best.{name}": value.cpu() for name, value in progress.best_weights.items()}
    tensors |= {f"best_optimizer.{name}": value for name, value in progress.best_optimizer.items()}
    for number, slots in state["state"].items():
        tensors |= {f"optimizer.{number}.{slot}": value.contiguous() for slot, value in slots.items()}
    facts: dict[str, Any] = {
        "epoch": progress.epoch,
        "history": progress.history,
        "best_epoch": progress.best_epoch,
        "best_score": progress.best_score,
        "param_groups": state["param_groups"],
        "scheduler": scheduler.state_dict(),
    }
    with atomic(path) as temporary:
        save_file(tensors, temporary, metadata={"facts": json.dumps(facts, default=float)})


def load_progress(path: Path, trained: nn.Module, optimizer: Optimizer, scheduler: LRScheduler) -> Progress:
    """Read what `save_progress` wrote and put model, optimiser and scheduler back where they were."""
    tensors = load_file(path)
    with safe_open(path, framework="pt") as file:
        facts: dict[str, Any] = json.loads(file.metadata()["facts"])
    trained.load_state_dict(_below(tensors, "model."))
    slots: dict[int, dict[str, torch.Tensor]] = {}
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    for name, value in _below(tensors, "optimizer.").items():
        number, slot = name.split(".")
        slots.setdefault(int(number), {})[slot] = _laid_out(value, parameters[int(number)])
    rates = [group["lr"] for group in optimizer.param_groups]
    optimizer.load_state_dict({"state": slots, "param_groups": facts["param_groups"]})
    for group, rate in zip(optimizer.param_groups, rates, strict=True):
        if isinstance(rate, torch.Tensor):  # a recorded step reads it where it was
            group["lr"] = rate.fill_(group["lr"])
    scheduler.load_state_dict(facts["scheduler"])
    return Progress(
        facts["epoch"],
        facts["history"],
        facts["best_epoch"],
        facts["best_score"],
        _below(tensors, "best."),
        _below(tensors, "best_optimizer."),
    )


def _below(tensors: Weights, prefix: str) -> Weights:
    """Return the tensors whose name starts with a prefix, without it."""
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
