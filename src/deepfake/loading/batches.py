"""Batches: index lists over decoded images, normalised on the device."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch

from deepfake.params import Normalization


@dataclass(frozen=True)
class Batch:
    """Samples as a model takes them.

    Args:
        images: float32 [b, 3, size, size], normalised, channels last in memory.
        labels: float32 [b]; 0 real, 1 fake.
        index: int64 [b]: each sample's row in the manifest.
    """

    images: torch.Tensor
    labels: torch.Tensor
    index: np.ndarray


class ArrayLoader:
    """Serves batches of a decoded data set by index list; who is in the list is decided elsewhere."""

    def __init__(self, images: np.ndarray, labels: np.ndarray, normalization: Normalization, device: torch.device):
        """Keep the arrays.

        Args:
            images: uint8 [n, size, size, 3], RGB.
            labels: int [n].
            normalization: mean and std of each channel on the [0, 1] scale.
            device: where batches are put.
        """
        self._images = images
        self._labels = labels
        self._device = device
        mean, std = (torch.tensor(values, device=device) for values in (normalization.mean, normalization.std))
        # (x / 255 - mean) / std in one multiplication and one addition
        self._scale = (1 / (255 * std)).view(1, 3, 1, 1)
        self._shift = (-mean / std).view(1, 3, 1, 1)

    def batches(self, index: np.ndarray, batch_size: int) -> Iterator[Batch]:
        """Yield the samples of an index list in its order; the last batch may be smaller."""
        for start in range(0, len(index), batch_size):
            chosen = index[start : start + batch_size]
            raw = torch.from_numpy(self._images[chosen]).to(self._device, non_blocking=True)
            # [b, h, w, 3] seen as [b, 3, h, w] is channels-last already: no copy
            images = raw.permute(0, 3, 1, 2).float().mul_(self._scale).add_(self._shift)
            labels = torch.from_numpy(self._labels[chosen].astype(np.float32)).to(self._device)
            yield Batch(images, labels, chosen)
