"""What may happen to an image after it was made: nine corruptions, in the spirit of ImageNet-C.

Hendrycks and Dietterich 2019, "Benchmarking neural network robustness to common corruptions and perturbations". They
act on the pixels that a model is about to see, after crop and resize, so a strength in pixels means the same for all
images. What happens to an image never depends on those beside it.
"""

from collections.abc import Callable
from math import ceil

import cv2
import numpy as np

from deepfake.modalities import chance
from deepfake.modalities.corruption import Corruption
from deepfake.modalities.image.augmentation import noise_bank

LUMA = np.array([0.299, 0.587, 0.114], np.float32)
"""Rec. 601, as JPEG and PIL have it."""


def jpeg(images: np.ndarray, strength: float, rows: np.ndarray) -> np.ndarray:
    """Compress and decompress images at a JPEG quality, colours at half the resolution (4:2:0)."""

    def compressed(image: np.ndarray) -> np.ndarray:
        # OpenCV takes blue for the first channel; for JPEG, which keeps less of some colours, that matters
        blue_first = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
        _, data = cv2.imencode(".jpg", blue_first, [cv2.IMWRITE_JPEG_QUALITY, int(strength)])
        decoded = cv2.imdecode(data, cv2.IMREAD_COLOR)
        assert decoded is not None
        return cv2.cvtColor(decoded, cv2.COLOR_BGR2RGB)

    return _each(images, compressed)


def blur(images: np.ndarray, strength: float, rows: np.ndarray) -> np.ndarray:
    """Blur images by a Gaussian of a standard deviation in pixels, cut off at three of them, borders mirrored."""
    # a mirrored border has no more than size - 1 pixels to give
    window = 2 * min(ceil(3 * strength), images.shape[1] - 1) + 1
    border = cv2.BORDER_REFLECT_101
    return _each(images, lambda image: cv2.GaussianBlur(image, (window, window), strength, borderType=border))


def noise(images: np.ndarray, strength: float, rows: np.ndarray) -> np.ndarray:
    """Add Gaussian noise of a standard deviation, of 255; a sample has the same noise at every strength."""
    size = images.shape[1]
    bank = noise_bank(size)
    drawn = chance.of_rows(rows)
    offsets = np.stack([drawn >> 32, drawn & 0xFFFFFFFF], axis=1) % (size + 1)
    noisy = np.empty_like(images)
    for number, (y, x) in enumerate(offsets):
        pattern = bank[y : y + size, x : x + size]
        noisy[number] = cv2.addWeighted(images[number], 1.0, pattern, strength, 0.0, dtype=cv2.CV_8U)
    return noisy


def downscale(images: np.ndarray, strength: float, rows: np.ndarray) -> np.ndarray:
    """Make images smaller, to a share of their side, by area averages, and as large again by bilinear interpolation."""
    size = images.shape[1]
    small = max(1, round(size * strength))

    def rescaled(image: np.ndarray) -> np.ndarray:
        shrunk = cv2.resize(image, (small, small), interpolation=cv2.INTER_AREA)
        return cv2.resize(shrunk, (size, size), interpolation=cv2.INTER_LINEAR)

    return _each(images, rescaled)


def brightness(images: np.ndarray, strength: float, rows: np.ndarray) -> np.ndarray:
    """Multiply every value by a factor."""
    return cv2.LUT(images, _rounded(np.arange(256) * strength))


def contrast(images: np.ndarray, strength: float, rows: np.ndarray) -> np.ndarray:
    """Multiply every value's distance from middle gray (127.5) by a factor."""
    return cv2.LUT(images, _rounded(127.5 + (np.arange(256) - 127.5) * strength))


def saturation(images: np.ndarray, strength: float, rows: np.ndarray) -> np.ndarray:
    """Multiply every pixel's distance from the gray of its own luma by a factor; gray images stay as they are."""
    gray = (images @ LUMA)[..., None]
    return _rounded(gray + (images - gray) * np.float32(strength))


def pixelation(images: np.ndarray, strength: float, rows: np.ndarray) -> np.ndarray:
    """Replace square blocks by their means; the strength is a block's side in pixels.

    Blocks are counted from the top left, so those at the right and the bottom may be smaller.
    """
    block, size = int(strength), images.shape[1]
    starts = np.arange(0, size, block)
    sides = np.diff(starts, append=size)
    sums = np.add.reduceat(np.add.reduceat(images, starts, axis=1, dtype=np.int64), starts, axis=2)
    means = _rounded(sums / (sides[:, None, None] * sides[:, None]))
    return means.repeat(sides, axis=1).repeat(sides, axis=2)


CORRUPTIONS: dict[str, Corruption] = {
    "jpeg": Corruption(jpeg, "quality", 1, 100, whole=True),
    "blur": Corruption(blur, "sigma, px", 0.1),
    "noise": Corruption(noise, "std, of 255", 0),
    "downscale": Corruption(downscale, "share of the side", 0.01, 1),
    "brightness": Corruption(brightness, "factor", 1),
    "darkness": Corruption(brightness, "factor", 0, 1),
    "contrast": Corruption(contrast, "factor", 0, 1),
    "saturation": Corruption(saturation, "factor", 0, 1),
    "pixelation": Corruption(pixelation, "block, px", 1, whole=True),
}
"""Each maps images, uint8 [b, s, s, 3] in RGB, a strength, and each sample's row in the manifest, int [b], to images of
the same shape and type."""


def corrupt(name: str, images: np.ndarray, strength: float, rows: np.ndarray) -> np.ndarray:
    """Apply a corruption by its name, on one thread.

    Args:
        name: a key of `CORRUPTIONS`.
        images: uint8 [b, s, s, 3], RGB.
        strength: as the corruption counts it.
        rows: int [b], each sample's row in the manifest, by which its noise is drawn.
    """
    cv2.setNumThreads(1)  # jobs run side by side, each on one thread
    return CORRUPTIONS[name].apply(images, strength, rows)


def _each(images: np.ndarray, change: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """Return what a function makes of each image."""
    return np.stack([change(image) for image in images])


def _rounded(values: np.ndarray) -> np.ndarray:
    """Return values as pixels."""
    return np.rint(values).clip(0, 255).astype(np.uint8)
