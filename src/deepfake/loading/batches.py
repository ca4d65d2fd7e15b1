"""Batches: index lists over decoded images, augmented or not, normalised on the device."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch

from deepfake import modalities
from deepfake.config import ViewConfig
from deepfake.config.params import AnyAugmentation, Normalization
from deepfake.loading.pixels import Store
from deepfake.loading.sampling import occurrences


@dataclass(frozen=True)
class Batch:
    """Samples as a model takes them.

    Args:
        images: float32 [b, c, h, w], normalised; of pixels channels last in memory.
        labels: float32 [b]; 0 real, 1 fake.
        index: int64 [b]: each sample's row in the manifest.
    """

    images: torch.Tensor
    labels: torch.Tensor
    index: np.ndarray


class Loader:
    """Serves batches of decoded samples by index list; who is in the list is decided elsewhere (`sampling`)."""

    def __init__(self, store: Store, labels: np.ndarray, view: ViewConfig, normalization: Normalization):
        """Keep the samples.

        Args:
            store: the samples as the view stores them.
            labels: int [n].
            view: what a model sees of them.
            normalization: mean and std of each channel on the [0, 1] scale.
        """
        self._store = store
        self._labels = torch.from_numpy(labels.astype(np.float32)).to(store.device)
        self._inputs = modalities.load(view.modality).inputs(view, normalization, store.device)

    def batches(self, index: np.ndarray, batch_size: int) -> Iterator[Batch]:
        """Yield the samples of an index list in its order as they are; the last batch may be smaller."""
        chunks = _chunks(index, batch_size)
        for rows, stored in zip(chunks, self._store.stream(chunks), strict=True):
            yield self._batch(rows, self._inputs(stored))

    def training(self, index: np.ndarray, batch_size: int, epoch: int) -> Iterator[Batch]:
        """Yield the samples of an index list in its order as they are trained on."""
        return self.batches(index, batch_size)

    def _batch(self, rows: np.ndarray, images: torch.Tensor) -> Batch:
        return Batch(images, self._labels[torch.from_numpy(rows).to(self._labels.device)], rows)


class AugmentingLoader(Loader):
    """Serves training samples under a policy, taken from a store of its own; `batches` gives them as they are."""

    def __init__(
        self,
        plain: Store,
        source: Store,
        labels: np.ndarray,
        view: ViewConfig,
        normalization: Normalization,
        policy: AnyAugmentation,
        *,
        side: int,
        seed: int,
        batch_size: int,
    ):
        """Keep the samples and build what augments them.

        Args:
            plain: the samples as the view stores them.
            source: those that are augmented, which may be larger.
            labels: int [n].
            view: what a model sees of them.
            normalization: mean and std of each channel on the [0, 1] scale.
            policy: what may happen to a training sample.
            side: the first side of the samples of `source`.
            seed: of all chance in it, with the epoch and the sample.
            batch_size: samples in a batch at most.
        """
        super().__init__(plain, labels, view, normalization)
        self._source = source
        self._augmenter = modalities.load(view.modality).augmenter(
            view, policy, source=side, seed=seed, batch_size=batch_size, device=plain.device
        )

    def training(self, index: np.ndarray, batch_size: int, epoch: int) -> Iterator[Batch]:
        """Yield the samples of an index list in its order, each changed as (seed, epoch, sample) decides."""
        chunks = _chunks(index, batch_size)
        repeats = _chunks(occurrences(index), batch_size)
        draws = [self._augmenter.draws(rows, times, epoch) for rows, times in zip(chunks, repeats, strict=True)]
        changed = self._augmenter.change(zip(self._source.stream(chunks), draws, strict=True))
        for rows, drawn, stored in zip(chunks, draws, changed, strict=True):
            yield self._batch(rows, self._augmenter.mask(self._inputs(stored), drawn))


def _chunks(index: np.ndarray, batch_size: int) -> list[np.ndarray]:
    """Cut an index list into batches."""
    return [index[start : start + batch_size] for start in range(0, len(index), batch_size)]
