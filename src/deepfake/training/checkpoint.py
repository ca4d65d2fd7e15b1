"""Weights and unfinished work on disk: safetensors and JSON, whole or not at all, nothing unpickled."""

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

from deepfake.errors import InputError
from deepfake.models import misfit
from deepfake.tables import atomic

Weights = dict[str, torch.Tensor]


def copy_weights(model: nn.Module) -> Weights:
    """Return a copy of a model's state on the CPU."""
    return {name: value.detach().to("cpu", copy=True).contiguous() for name, value in model.state_dict().items()}


def save_weights(weights: Weights, path: Path) -> None:
    """Write a model's state as safetensors."""
    with atomic(path) as temporary:
        save_file(weights, temporary)


def load_weights(model: nn.Module, path: Path) -> None:
    """Put what `save_weights` wrote into a model.

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
    tensors |= {f"best.{name}": value for name, value in progress.best_weights.items()}
    tensors |= {f"best_optimizer.{name}": value for name, value in progress.best_optimizer.items()}
    for number, slots in state["state"].items():
        tensors |= {f"optimizer.{number}.{slot}": value.contiguous() for slot, value in slots.items()}
    facts = {
        "epoch": progress.epoch,
        "history": progress.history,
        "best_epoch": progress.best_epoch,
        "best_score": progress.best_score,
        "param_groups": state["param_groups"],
        "scheduler": scheduler.state_dict(),
    }
    with atomic(path) as temporary:
        save_file(tensors, temporary, metadata={"facts": json.dumps(facts)})


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
    optimizer.load_state_dict({"state": slots, "param_groups": facts["param_groups"]})
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
