"""What resampling costs: how sharp training images are, beside those of the evaluation.

A crop that is enlarged loses the fine detail by which fakes are told. If only training images lose it, augmentation
looks worse than it is.
"""

import cv2
import numpy as np
import pandas as pd

from deepfake import tables
from deepfake.config import resolve_view
from deepfake.config.params import Augmentation, Params
from deepfake.loading import files, views
from deepfake.modalities.image import encoded as images
from deepfake.modalities.image import geometry, opencv
from deepfake.modalities.image.augmentation import AugmentationPlan
from deepfake.modalities.image.encoded import Encoded
from deepfake.modalities.image.pil import decode_file
from deepfake.project import paths

FACTORS = (1.0, 1.25, 1.5, 2.0)
"""Sides of the cache over that of the model's input."""
_POLICY = "light"


def run(settings: Params, *, count: int) -> pd.DataFrame:
    """Measure the sharpness of augmented training images against that of the same images in the evaluation.

    Args:
        settings: names the data set, the views and the policy `light`.
        count: images.

    Returns:
        One row an input size: the Laplacian's variance, as a share of that of the evaluation's images, when training
        images are taken from the file itself and from caches of several sizes. Above 1 there is aliasing.
    """
    samples = tables.read(paths().samples(settings.dataset), tables.SAMPLES)
    samples = tables.with_media(samples, paths().media(settings.dataset))
    samples = samples.iloc[np.linspace(0, len(samples) - 1, min(count, len(samples))).astype(int)]
    policy = settings.augmentations[_POLICY]
    assert isinstance(policy, Augmentation)
    squares = geometry.regions(samples, "crop", None, 0)
    encoded = list(images.of(files.read(samples, squares, paths().raw(settings.dataset))))
    sizes = sorted({resolve_view(settings, view).size for view in views.wanted(settings, settings.dataset)})
    return pd.DataFrame([_row(encoded, policy, size) for size in sizes])


def _row(encoded: list[Encoded], policy: Augmentation, size: int) -> dict[str, float]:
    """Measure one input size."""
    reference = _sharpness(_decode(encoded, size))
    found = {"px": size, "from the file": _sharpness(_crops(encoded, policy, size)) / reference}
    for factor in FACTORS:
        side = round(size * factor)
        draws = _plan(policy, side, size).draws(np.arange(len(encoded)), np.zeros(len(encoded), np.int64))
        changed = opencv.applier(policy, source=side, size=size)(_decode(encoded, side), draws)
        found[f"cache ×{factor:g}"] = _sharpness(changed) / reference
    return found


def _plan(policy: Augmentation, source: int, size: int) -> AugmentationPlan:
    """Return the same draws for all sizes."""
    return AugmentationPlan(policy, seed=0, epoch=0, source=source, size=size)


def _decode(encoded: list[Encoded], size: int) -> np.ndarray:
    """Decode the images at a size."""
    return np.stack([decode_file(file, size) for file in encoded])


def _crops(encoded: list[Encoded], policy: Augmentation, size: int) -> np.ndarray:
    """Cut the policy's crops out of the files themselves, rounded to whole pixels, and resize them once."""
    crops = []
    for row, file in enumerate(encoded):
        left, top, right, _ = file.region
        side = right - left
        matrix = _plan(policy, side, size).draws(np.array([row]), np.zeros(1, np.int64)).matrix[0]
        x, y = (np.sort([start, start + step * size]) for step, start in ((matrix[0, 0], matrix[0, 2]), matrix[1, 1:]))
        box = np.rint([left + x[0], top + y[0], left + x[1], top + y[1]]).astype(int)
        crops.append(decode_file(Encoded(file.data, tuple(box.tolist()), file.plain), size))
    return np.stack(crops)


def _sharpness(images: np.ndarray) -> float:
    """Return the mean variance of the Laplacian of the luma (Pech-Pacheco et al., ICPR 2000), border left out."""
    gray = (cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float32) for image in images)
    return float(np.mean([cv2.Laplacian(image, cv2.CV_32F)[2:-2, 2:-2].var() for image in gray]))
