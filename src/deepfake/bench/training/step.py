"""A training step on images that are in memory: what loaders and whole loops are measured against."""

import time
from collections.abc import Callable, Iterable

import torch
from torch.nn.functional import binary_cross_entropy_with_logits

from deepfake import models, runtime

MODEL = "resnet18"

Step = Callable[[torch.Tensor], None]
"""Trains on a batch of images, float [b, 3, size, size]."""


def trainer(size: int, device: torch.device, name: str = MODEL) -> Step:
    """Return what does one training step of a model; its numbers do not matter, its work does."""
    runtime.seed_torch("benchmark")
    model = models.create(name, size).to(device, memory_format=torch.channels_last)  # pyright: ignore
    optimizer = torch.optim.AdamW(model.parameters(), fused=True)
    dtype = runtime.autocast_dtype("auto", device, model)

    def step(images: torch.Tensor) -> None:
        labels = (torch.arange(len(images), device=device) % 2).float()
        with torch.autocast(device.type, dtype=dtype, enabled=dtype is not None):
            output = model(images)
        loss = binary_cross_entropy_with_logits(output.squeeze(1).float(), labels)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()

    return step


def in_memory(size: int, batch_size: int, count: int, device: torch.device) -> Iterable[torch.Tensor]:
    """Yield an epoch of batches that cost nothing: the same random images, on the device already."""
    images = torch.randn(batch_size, 3, size, size, device=device).to(memory_format=torch.channels_last)
    return (images[: min(batch_size, count - start)] for start in range(0, count, batch_size))


def seconds(step: Step, batches: Iterable[torch.Tensor]) -> float:
    """Return how long it takes to train on all batches."""
    synchronize()
    start = time.perf_counter()
    for images in batches:
        step(images)
    synchronize()
    return time.perf_counter() - start


def synchronize() -> None:
    """Wait for a GPU."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()
