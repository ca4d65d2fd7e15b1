"""The loops that ours is measured against, as the training scripts of timm and torchvision have them.

Both get our model, our precision and no augmentation, workers that stay between epochs, and what these have read before
the first batch is there for free: what differs is the loop, and its loader at work. Both let cuDNN choose by trial, as
their scripts do.
"""

import itertools
import time
from collections.abc import Callable, Iterable
from typing import Any

import torch

from deepfake import models, runtime
from deepfake.bench.training import step
from deepfake.bench.training.loops import Turn
from deepfake.bench.training.material import Material, Setting
from deepfake.config.params import Normalization

_LOG_EVERY = 50
"""Batches between two looks at the loss, timm's default."""


def workers() -> int:
    """Return how many processes load: all cores but the one that trains."""
    return max(runtime.cores() - 1, 1)


def timm_loop(setting: Setting, material: Material | None, device: torch.device, scale: Normalization) -> Turn:
    """Return turns of timm's loop.

    Args:
        setting: what is trained.
        material: whose files its loader reads; None: tensors in memory.
        device: where to train.
        scale: what images are normalised by.
    """
    from timm.loss import BinaryCrossEntropy  # pyright: ignore[reportPrivateImportUsage]
    from timm.optim import create_optimizer_v2  # pyright: ignore[reportPrivateImportUsage]
    from timm.utils import AverageMeter  # pyright: ignore[reportPrivateImportUsage]

    model = _model(setting, device).to(memory_format=torch.channels_last)  # pyright: ignore
    optimizer = create_optimizer_v2(model, opt="adamw", lr=1e-4, weight_decay=1e-4)
    dtype = runtime.autocast_dtype("auto", device, model)
    criterion = BinaryCrossEntropy(smoothing=0.0).to(device)
    loader = _tensors(setting, device) if material is None else _timm_loader(setting, material, device, scale)

    def epoch(batches: Iterable[Any]) -> None:
        losses, waits = AverageMeter(), AverageMeter()
        model.train()
        before = time.perf_counter()
        for number, (images, labels) in enumerate(batches):
            waits.update(time.perf_counter() - before)
            images = images.contiguous(memory_format=torch.channels_last)
            with torch.autocast(device.type, dtype=dtype, enabled=dtype is not None):
                output = model(images)
            # in full precision, where the loss would be of another type than the labels
            loss = criterion(output.float(), labels.float().unsqueeze(1))
            optimizer.zero_grad()
            loss.backward()  # bf16 needs no scaler, and timm uses none then
            optimizer.step()
            if number % _LOG_EVERY == 0:
                losses.update(loss.item(), len(images))
            before = time.perf_counter()

    return _turns(loader, epoch)


def torchvision_loop(setting: Setting, material: Material, device: torch.device, scale: Normalization) -> Turn:
    """Return turns of torchvision's reference: DataLoader, SGD, loss and accuracy of every batch on the host."""
    from torch.utils.data import DataLoader, RandomSampler
    from torchvision.datasets import ImageFolder
    from torchvision.transforms import v2

    model = _model(setting, device)
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-4, momentum=0.9, weight_decay=1e-4)
    dtype = runtime.autocast_dtype("auto", device, model)
    criterion = torch.nn.BCEWithLogitsLoss()
    transform = v2.Compose(
        [
            v2.Resize(setting.size),
            v2.CenterCrop(setting.size),
            v2.PILToTensor(),
            v2.ToDtype(torch.float32, scale=True),
            v2.Normalize(list(scale.mean), list(scale.std)),
        ]
    )
    images = ImageFolder(str(material.folder), transform)
    loader = DataLoader(
        images,
        setting.batch,
        sampler=RandomSampler(images),
        num_workers=workers(),
        pin_memory=device.type == "cuda",
        persistent_workers=True,
    )

    def epoch(batches: Iterable[Any]) -> None:
        model.train()
        for images, labels in batches:
            images, labels = images.to(device), labels.to(device).float()
            with torch.autocast(device.type, dtype=dtype, enabled=dtype is not None):
                output = model(images).squeeze(1)
            loss = criterion(output.float(), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            _, _ = loss.item(), ((output > 0) == (labels > 0)).float().mean().item()

    return _turns(loader, epoch)


def _model(setting: Setting, device: torch.device) -> torch.nn.Module:
    runtime.seed_torch("benchmark")
    return models.create(setting.model, setting.size).to(device)


def _tensors(setting: Setting, device: torch.device) -> Iterable[Any]:
    (images,) = step.in_memory(setting.size, setting.batch, setting.batch, device)
    return itertools.repeat((images, torch.arange(setting.batch, device=device) % 2))


def _timm_loader(setting: Setting, material: Material, device: torch.device, scale: Normalization) -> Iterable[Any]:
    from timm.data import create_dataset, create_loader  # pyright: ignore[reportPrivateImportUsage]

    images: Any = create_dataset("", root=str(material.folder))
    return create_loader(
        images,
        input_size=(3, setting.size, setting.size),
        batch_size=setting.batch,
        is_training=True,
        no_aug=True,
        interpolation="bilinear",
        mean=scale.mean,
        std=scale.std,
        num_workers=workers(),
        pin_memory=device.type == "cuda",
        device=device,
    )


def _turns(loader: Iterable[Any], epoch: Callable[[Iterable[Any]], None]) -> Turn:
    """Return turns of an epoch, from its first batch on, with what both scripts let cuDNN do."""

    def turn(batches: int) -> float:
        usual, torch.backends.cudnn.benchmark = torch.backends.cudnn.benchmark, True
        stream = itertools.islice(loader, batches)
        first = next(stream)
        try:
            step.synchronize()
            start = time.perf_counter()
            epoch(itertools.chain([first], stream))
            step.synchronize()
            return time.perf_counter() - start
        finally:
            torch.backends.cudnn.benchmark = usual

    return turn
