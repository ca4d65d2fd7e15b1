"""Our engine, and what it is to be measured by: the same step on tensors in memory, and as one CUDA graph."""

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch.nn.functional import binary_cross_entropy_with_logits

from deepfake import config, models, project, runtime
from deepfake.bench.training import step
from deepfake.bench.training.material import Material, Setting
from deepfake.config import RunConfig, ViewConfig
from deepfake.config.params import Params
from deepfake.config.training import Domain
from deepfake.loading.batches import Loader
from deepfake.loading.pixels import place
from deepfake.training.engine import FoldData, fit

Turn = Callable[[int], float]
"""Trains on so many batches, and returns the seconds that it took."""
_EPOCHS = 2
"""On a GPU, epochs that are timed in a turn, after one in which the step is captured."""
_RATE = 1e-4


def run_config(settings: Params, setting: Setting, epochs: int, name: str = "bench") -> RunConfig:
    """Return a run that trains all layers of a model on plain images, and never stops early.

    Args:
        settings: gives what decides no speed.
        setting: the model, its input and its batch.
        epochs: of each fold.
        name: of the run.
    """
    found = config.resolve(settings, project.CUSTOM_EXPERIMENT)
    facts = {"dataset": "bench", "view": "bench", "modality": "image", "geometry": "crop", "face_margin": None}
    view = ViewConfig.model_validate(facts | {"size": setting.size, "seconds": None, "loader": "opencv"})
    plain = {"train": "all", "probe": None, "augmentation": None, "oversampling": None, "start_from": None}
    changes = {"experiment": name, "model": setting.model, "view": view, "batch_size": setting.batch, "epochs": epochs}
    usual = {"early_stopping_patience": epochs, "precision": "auto", "grad_clip": 0.0, "sampler": "shuffle"}
    whole = {"lr": _RATE, "weight_decay": _RATE, "pretrained": False, "keep_optimizer": False, "monitor": "auc"}
    domain = Domain(column="none", weight=0.0, schedule="constant")
    more = {"normalization": settings.imagenet, "domain": domain, "holdout": None, "class_ratio": None}
    return found.model_copy(update=plain | changes | usual | whole | more)


def ours(
    settings: Params, setting: Setting, material: Material, device: torch.device, graph: Literal["auto", "never"]
) -> Turn:
    """Return turns of the engine as a fold runs it: loader and host work of every epoch included.

    On a CPU a turn is one epoch from its start. On a GPU it is a few, from the end of the first to the end of the last:
    the first epoch records its step. The inner validation has one image a class.

    Raises:
        RuntimeError: in a turn, the step was to be a CUDA graph and cannot be one.
    """
    timed = _EPOCHS if device.type == "cuda" else 1
    skipped = 1 if device.type == "cuda" else 0
    run = run_config(settings, setting, timed + skipped)
    runtime.seed_torch("benchmark")
    model = models.create(setting.model, setting.size)
    labels = material.labels
    loader = Loader(place(material.images, material.rows, device), labels, run.view, settings.imagenet)

    def turn(batches: int) -> float:
        train = material.rows[: batches * setting.batch]
        data = FoldData(loader, labels, train, np.arange(2), np.zeros(len(labels), np.int64))
        ends = [time.perf_counter()]
        with tempfile.TemporaryDirectory() as folder:
            scratch = Path(folder) / "unfinished"
            fit(
                *(model, data, run, 0),
                device=device,
                scratch=scratch,
                on_epoch=lambda row: ends.append(time.perf_counter()),
                graph=graph,
                on_note=_refuse,
            )
        return (ends[-1] - ends[skipped]) / timed

    return turn


def _refuse(note: str) -> None:
    raise RuntimeError(note)


def in_memory(setting: Setting, device: torch.device) -> Turn:
    """Return turns of the same step on tensors that are on the device already: what loading can add nothing to."""
    train = step.trainer(setting.size, device, setting.model)
    images = list(step.in_memory(setting.size, setting.batch, setting.batch, device)) * 2
    return lambda batches: step.seconds(train, (images[number % 2] for number in range(batches)))


def whole_step_graph(setting: Setting, device: torch.device) -> Turn:
    """Return turns of a step on fixed tensors that is one CUDA graph: the most that launches can be spared.

    Written as PyTorch's notes on CUDA graphs have it, and without our engine, which it is the yardstick of.
    """
    runtime.seed_torch("benchmark")
    model = models.create(setting.model, setting.size).to(device, memory_format=torch.channels_last)  # pyright: ignore
    optimizer = torch.optim.AdamW(model.parameters(), lr=_RATE, fused=True, capturable=True)
    dtype = runtime.autocast_dtype("auto", device, model)
    (images,) = step.in_memory(setting.size, setting.batch, setting.batch, device)
    labels = (torch.arange(setting.batch, device=device) % 2).float()

    def once() -> None:
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast(device.type, dtype=dtype, enabled=dtype is not None):
            output = model(images)
        binary_cross_entropy_with_logits(output.squeeze(1).float(), labels).backward()
        optimizer.step()

    side = torch.cuda.Stream(device)
    side.wait_stream(torch.cuda.current_stream(device))
    with torch.cuda.stream(side):
        for _ in range(3):  # libraries choose their kernels, and the optimiser makes its state
            once()
    torch.cuda.current_stream(device).wait_stream(side)
    optimizer.zero_grad(set_to_none=True)  # so that gradients are allocated in the graph's own memory
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph, capture_error_mode="thread_local"):  # other loops' loaders may be at work
        once()

    def turn(batches: int) -> float:
        torch.cuda.synchronize(device)
        start = time.perf_counter()
        for _ in range(batches):
            graph.replay()
        torch.cuda.synchronize(device)
        return time.perf_counter() - start

    return turn
