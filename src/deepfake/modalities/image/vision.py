"""The backend of PIL and torchvision: it runs everywhere, and it is what the others are tested against.

torch is imported where images are augmented: to decode must not cost the seconds that its import takes.
"""

import io
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import repeat
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from deepfake.config.params import Augmentation
from deepfake.modalities.image import decoding
from deepfake.modalities.image.augmentation import Draws, blur_window, noise_bank, possible
from deepfake.modalities.image.encoded import Encoded

if TYPE_CHECKING:
    import torch

    from deepfake.modalities.image.backends import Augment


def decode(
    batches: Iterable[Sequence[Encoded]], size: int, *, threads: int, cuda: bool = False
) -> Iterator[np.ndarray]:
    """Decode batches of files with PIL, which has no use for a GPU; see `backends.Backend`."""
    with ThreadPoolExecutor(threads) as pool:
        for batch in batches:
            images = np.empty((len(batch), size, size, 3), np.uint8)
            for row, image in enumerate(pool.map(decode_file, batch, repeat(size))):
                images[row] = image
            yield images


def decode_file(file: Encoded, size: int) -> np.ndarray:
    """Decode one file, the first image of an animation, and resize its region.

    Args:
        file: any format of `decoding.FORMATS`. It is turned upright as its EXIF data say; transparency lies on white.
        size: side of the result in pixels.

    Returns:
        uint8 [size, size, 3], RGB: the region, black beyond the image, by PIL's antialiased bilinear filter.
    """
    part = decoding.decoded(file.data, decoding.upright).crop(file.region)
    return np.asarray(part.resize((size, size), Image.Resampling.BILINEAR))


def augmenter(policy: Augmentation, *, source: int, size: int, batch_size: int, device: "torch.device") -> "Augment":
    """Build what applies a policy with torchvision; see `backends.Backend`."""
    import torch

    steps = possible(policy, source=source, size=size)
    window = blur_window(policy, size)
    bank = torch.from_numpy(noise_bank(size).copy()).to(device) if "noise" in steps else None

    def augment(batches: Iterable[tuple["torch.Tensor", Draws]]) -> Iterator["torch.Tensor"]:
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


def _to_uint8(values: "torch.Tensor") -> "torch.Tensor":
    """Round to the nearest level, halves up, and saturate."""
    import torch

    return values.add(0.5).floor_().clamp_(0, 255).to(torch.uint8)


def _warp(images: "torch.Tensor", matrix: np.ndarray, size: int) -> "torch.Tensor":
    """Sample [b, 3, r, r] where the matrices say, bilinearly; the border is repeated."""
    import torch
    from torch.nn.functional import grid_sample

    centres = torch.arange(size, device=images.device) + 0.5
    y, x = torch.meshgrid(centres, centres, indexing="ij")
    points = torch.stack([x, y, torch.ones_like(x)], dim=-1)
    where = torch.einsum("bij,yxj->byxi", torch.from_numpy(matrix).to(images.device), points)
    grid = where * (2 / images.shape[-1]) - 1
    return _to_uint8(grid_sample(images.float(), grid, "bilinear", "border", align_corners=False))


def _blur(images: "torch.Tensor", sigmas: np.ndarray, window: int) -> "torch.Tensor":
    """Blur those images of [b, 3, s, s] that drew a sigma; the border is mirrored."""
    from torchvision.transforms.v2.functional import gaussian_blur

    result = images.clone()
    for row in np.flatnonzero(sigmas):
        result[row] = gaussian_blur(images[row], [window, window], [float(sigmas[row])] * 2)
    return result


def _add_noise(images: "torch.Tensor", draws: Draws, bank: "torch.Tensor") -> "torch.Tensor":
    """Add each image's piece of the noise to those of [b, 3, s, s] that drew some."""
    result, size = images.clone(), images.shape[-1]
    for row in np.flatnonzero(draws.noise):
        y, x = draws.noise_offset[row]
        piece = bank[y : y + size, x : x + size].permute(2, 0, 1)
        result[row] = _to_uint8(images[row] + float(draws.noise[row]) * piece)
    return result


def _recolour(images: "torch.Tensor", colour: np.ndarray) -> "torch.Tensor":
    """Map the colours of [b, 3, s, s]."""
    import torch

    matrix = torch.from_numpy(colour).to(images.device)
    mapped = torch.einsum("bij,bjyx->biyx", matrix[:, :, :3], images.float())
    return _to_uint8(mapped + matrix[:, :, 3, None, None])


def _compress(images: "torch.Tensor", qualities: np.ndarray) -> "torch.Tensor":
    """Write and read as JPEG those images of [b, 3, s, s] that drew a quality."""
    import torch

    result = images.clone()
    for row in np.flatnonzero(qualities):
        stream = io.BytesIO()
        # PIL's, because torchvision's own is deprecated; it works on the CPU only, and so did torchvision's
        pixels = images[row].permute(1, 2, 0).cpu().numpy()
        Image.fromarray(pixels).save(stream, "JPEG", quality=int(qualities[row]), subsampling="4:2:0")
        result[row] = torch.from_numpy(np.array(Image.open(stream))).permute(2, 0, 1)
    return result
