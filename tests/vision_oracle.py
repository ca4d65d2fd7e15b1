"""Augmentation by PIL, torch and torchvision, one library call a step: what the loaders are tested against."""

import io
from collections.abc import Iterable, Iterator

import numpy as np
import torch
from PIL import Image
from torch.nn.functional import grid_sample
from torchvision.transforms.v2.functional import gaussian_blur

from deepfake.config.params import Augmentation
from deepfake.modalities.image.augmentation import Draws, blur_window, noise_bank, possible
from deepfake.modalities.image.backends import Augment

CPU = torch.device("cpu")


def augmenter(policy: Augmentation, *, source: int, size: int, batch_size: int, device: torch.device = CPU) -> Augment:
    """Build what applies a policy; arguments are those of `backends.Backend.augmenter`."""
    steps = possible(policy, source=source, size=size)
    window = blur_window(policy, size)
    bank = torch.from_numpy(noise_bank(size).copy()).to(device) if "noise" in steps else None

    def augment(batches: Iterable[tuple[torch.Tensor, Draws]]) -> Iterator[torch.Tensor]:
        for batch, draws in batches:
            images = batch.permute(0, 3, 1, 2)
            if "geometry" in steps:
                images = _warp(images, draws.matrix, size)
            if "blur" in steps:
                images = _blur(images, draws.blur, window)
            if bank is not None:
                images = _add_noise(images, draws, bank)
            if "colour" in steps:
                images = _recolour(images, draws.colour)
            if "jpeg" in steps:
                images = _compress(images, draws.quality)
            yield images.permute(0, 2, 3, 1).contiguous()

    return augment


def _to_uint8(values: torch.Tensor) -> torch.Tensor:
    """Round to the nearest level, halves up, and saturate."""
    return values.add(0.5).floor_().clamp_(0, 255).to(torch.uint8)


def _warp(images: torch.Tensor, matrix: np.ndarray, size: int) -> torch.Tensor:
    """Sample [b, 3, r, r] where the matrices say, bilinearly; the border is repeated."""
    centres = torch.arange(size, device=images.device) + 0.5
    y, x = torch.meshgrid(centres, centres, indexing="ij")
    points = torch.stack([x, y, torch.ones_like(x)], dim=-1)
    where = torch.einsum("bij,yxj->byxi", torch.from_numpy(matrix).to(images.device), points)
    grid = where * (2 / images.shape[-1]) - 1
    return _to_uint8(grid_sample(images.float(), grid, "bilinear", "border", align_corners=False))


def _blur(images: torch.Tensor, sigmas: np.ndarray, window: int) -> torch.Tensor:
    """Blur those images of [b, 3, s, s] that drew a sigma; the border is mirrored."""
    result = images.clone()
    for row in np.flatnonzero(sigmas):
        result[row] = gaussian_blur(images[row], [window, window], [float(sigmas[row])] * 2)
    return result


def _add_noise(images: torch.Tensor, draws: Draws, bank: torch.Tensor) -> torch.Tensor:
    """Add each image's piece of the noise to those of [b, 3, s, s] that drew some."""
    result, size = images.clone(), images.shape[-1]
    for row in np.flatnonzero(draws.noise):
        y, x = draws.noise_offset[row]
        piece = bank[y : y + size, x : x + size].permute(2, 0, 1)
        result[row] = _to_uint8(images[row] + float(draws.noise[row]) * piece)
    return result


def _recolour(images: torch.Tensor, colour: np.ndarray) -> torch.Tensor:
    """Map the colours of [b, 3, s, s]."""
    matrix = torch.from_numpy(colour).to(images.device)
    mapped = torch.einsum("bij,bjyx->biyx", matrix[:, :, :3], images.float())
    return _to_uint8(mapped + matrix[:, :, 3, None, None])


def _compress(images: torch.Tensor, qualities: np.ndarray) -> torch.Tensor:
    """Write and read as JPEG those images of [b, 3, s, s] that drew a quality."""
    result = images.clone()
    for row in np.flatnonzero(qualities):
        stream = io.BytesIO()
        # PIL's, because torchvision's own is deprecated; it works on the CPU only, and so did torchvision's
        pixels = images[row].permute(1, 2, 0).cpu().numpy()
        Image.fromarray(pixels).save(stream, "JPEG", quality=int(qualities[row]), subsampling="4:2:0")
        result[row] = torch.from_numpy(np.array(Image.open(stream))).permute(2, 0, 1)
    return result
