"""The loaders that ours is measured against, as their users write them, with a policy as far as they have it."""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset

from deepfake.config.params import Augmentation, Normalization

CPU = torch.device("cpu")
Epoch = Callable[[], Iterable[torch.Tensor]]
"""Each call gives the batches of one epoch."""


def open_pil(path: str) -> Any:
    """Decode as torchvision's ImageFolder does."""
    with Image.open(path) as image:
        return image.convert("RGB")


def open_torchvision(path: str) -> Any:
    """Decode with torchvision's own decoder."""
    from torchvision.io import ImageReadMode, decode_jpeg, read_file

    return decode_jpeg(read_file(path), mode=ImageReadMode.RGB)


class _Files(Dataset[Any]):
    """Images by path, as a user of torchvision writes it."""

    def __init__(self, paths: list[str], load: Callable[[str], Any], transform: Callable[[Any], torch.Tensor]):
        self.paths, self.load, self.transform = paths, load, transform

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> torch.Tensor:
        return self.transform(self.load(self.paths[index]))


def torchvision_loader(
    paths: list[str],
    policy: Augmentation,
    size: int,
    batch_size: int,
    scale: Normalization,
    load: Callable[[str], Any],
    device: torch.device = CPU,
    workers: int = 0,
) -> Epoch:
    """Return epochs of a DataLoader with torchvision's transforms, in this process or in workers that stay."""
    from torchvision.transforms import v2

    area = (policy.scale.min**2, policy.scale.max**2)
    steps: list[Any] = [
        v2.ToImage(),
        v2.RandomResizedCrop(size, scale=area, ratio=(1.0, 1.0), antialias=True),
        v2.RandomHorizontalFlip(policy.flip),
    ]
    if policy.rotation:
        steps.append(v2.RandomRotation([-policy.rotation, policy.rotation], v2.InterpolationMode.BILINEAR))
    if policy.blur.probability:
        blur = v2.GaussianBlur(7, (policy.blur.sigma.min, policy.blur.sigma.max))
        steps.append(v2.RandomApply([blur], policy.blur.probability))
    if policy.brightness:
        steps.append(v2.ColorJitter(policy.brightness, policy.contrast, policy.saturation, policy.hue / 360))
    if policy.jpeg.probability:
        compression = v2.JPEG([policy.jpeg.quality.min, policy.jpeg.quality.max])
        steps.append(v2.RandomApply([compression], policy.jpeg.probability))
    steps.append(v2.ToDtype(torch.float32, scale=True))
    if policy.noise.probability:
        noise = v2.GaussianNoise(sigma=(policy.noise.std.min + policy.noise.std.max) / 2 / 255)
        steps.append(v2.RandomApply([noise], policy.noise.probability))
    steps.append(v2.Normalize(list(scale.mean), list(scale.std)))
    loader = DataLoader(
        _Files(paths, load, v2.Compose(steps)),
        batch_size,
        shuffle=True,
        num_workers=workers,
        persistent_workers=workers > 0,
        pin_memory=device.type == "cuda",
    )
    return lambda: (batch.to(device, non_blocking=True) for batch in loader)


def timm_loader(
    paths: list[str],
    policy: Augmentation,
    size: int,
    batch_size: int,
    scale: Normalization,
    device: torch.device = CPU,
    workers: int = 0,
    *,
    prefetch: bool | None = None,
) -> Epoch:
    """Return epochs of timm's loader, in this process or in workers that stay.

    Its transforms have no rotation, noise or JPEG. Its prefetcher, which normalises on the device, is its users' choice
    on a GPU.
    """
    from timm.data import create_loader  # pyright: ignore[reportPrivateImportUsage]

    class Images(_Files):
        def __getitem__(self, index: int) -> Any:
            return self.transform(self.load(self.paths[index])), 0

    images: Any = Images(paths, open_pil, open_pil)
    loader = create_loader(
        images,
        input_size=(3, size, size),
        batch_size=batch_size,
        is_training=True,
        use_prefetcher=device.type == "cuda" if prefetch is None else prefetch,
        scale=(policy.scale.min**2, policy.scale.max**2),
        ratio=(1.0, 1.0),
        hflip=policy.flip,
        color_jitter=policy.brightness,
        gaussian_blur_prob=policy.blur.probability,
        interpolation="bilinear",
        mean=scale.mean,
        std=scale.std,
        num_workers=workers,
        persistent_workers=workers > 0,
        pin_memory=device.type == "cuda",
        device=device,
    )
    return lambda: (batch for batch, _ in loader)
