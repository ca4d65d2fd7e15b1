"""Batches: index lists over decoded images, augmented or not, normalised on the device."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch

from deepfake.config.params import Augmentation, Normalization
from deepfake.loading.pixels import Store
from deepfake.loading.sampling import occurrences
from deepfake.modalities.image import backends
from deepfake.modalities.image.augmentation import AugmentationPlan


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


class Loader:
    """Serves batches of decoded images by index list; who is in the list is decided elsewhere (`sampling`)."""

    def __init__(self, store: Store, labels: np.ndarray, normalization: Normalization):
        """Keep the images.

        Args:
            store: the images at the model's input size.
            labels: int [n].
            normalization: mean and std of each channel on the [0, 1] scale.
        """
        self._store = store
        self._labels = torch.from_numpy(labels.astype(np.float32)).to(store.device)
        mean, std = (torch.tensor(values, device=store.device) for values in (normalization.mean, normalization.std))
        # (x / 255 - mean) / std in one multiplication and one addition
        self._scale, self._shift = 1 / (255 * std), -mean / std

    def batches(self, index: np.ndarray, batch_size: int) -> Iterator[Batch]:
        """Yield the samples of an index list in its order as they are; the last batch may be smaller."""
        chunks = _chunks(index, batch_size)
        for rows, images in zip(chunks, self._store.stream(chunks), strict=True):
            yield self._batch(rows, images)

    def training(self, index: np.ndarray, batch_size: int, epoch: int) -> Iterator[Batch]:
        """Yield the samples of an index list in its order as they are trained on."""
        return self.batches(index, batch_size)

    def _batch(self, rows: np.ndarray, images: torch.Tensor) -> Batch:
        """Normalise images."""
        count, height, width, _ = images.shape
        # whole rows of pixels at a time: several times faster on a CPU than three channels at a time
        pixels = images.view(count, height, width * 3).float()
        pixels.mul_(self._scale.repeat(width)).add_(self._shift.repeat(width))
        # [b, h, w, 3] seen as [b, 3, h, w] is channels last already, so nothing is moved
        normalised = pixels.view(count, height, width, 3).permute(0, 3, 1, 2)
        return Batch(normalised, self._labels[torch.from_numpy(rows).to(self._labels.device)], rows)


class AugmentingLoader(Loader):
    """Serves training images under a policy, taken from an oversampled store; `batches` gives them as they are."""

    def __init__(
        self,
        plain: Store,
        oversampled: Store,
        labels: np.ndarray,
        normalization: Normalization,
        policy: Augmentation,
        *,
        backend: str,
        seed: int,
        sides: tuple[int, int],
        batch_size: int,
    ):
        """Keep the images and build what augments them.

        Args:
            plain: the images at the model's input size.
            oversampled: the same, larger.
            labels: int [n].
            normalization: mean and std of each channel on the [0, 1] scale.
            policy: what may happen to a training image.
            backend: `dali` or `torchvision`.
            seed: of all chance in it, with the epoch and the sample.
            sides: of the oversampled images and of the result.
            batch_size: images in a batch at most.
        """
        super().__init__(plain, labels, normalization)
        self._oversampled = oversampled
        self._policy, self._seed, self._sides = policy, seed, sides
        source, size = sides
        self._augment = backends.load(backend).augmenter(
            policy, source=source, size=size, batch_size=batch_size, device=plain.device
        )

    def training(self, index: np.ndarray, batch_size: int, epoch: int) -> Iterator[Batch]:
        """Yield the samples of an index list in its order, each changed as (seed, epoch, sample) decides."""
        source, size = self._sides
        plan = AugmentationPlan(self._policy, seed=self._seed, epoch=epoch, source=source, size=size)
        chunks = _chunks(index, batch_size)
        repeats = _chunks(occurrences(index), batch_size)
        draws = [plan.draws(rows, times) for rows, times in zip(chunks, repeats, strict=True)]
        images = self._augment(zip(self._oversampled.stream(chunks), draws, strict=True))
        for rows, changed in zip(chunks, images, strict=True):
            yield self._batch(rows, changed)


def _chunks(index: np.ndarray, batch_size: int) -> list[np.ndarray]:
    """Cut an index list into batches."""
    return [index[start : start + batch_size] for start in range(0, len(index), batch_size)]
