"""Batches: index lists over decoded images, augmented or not, normalised on the device."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

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
        index: int64 [b]: each sample's row in the manifest, on the device.
    """

    images: torch.Tensor
    labels: torch.Tensor
    index: torch.Tensor


class Given(NamedTuple):
    """Samples on the device, all done to them that depends on the host.

    Args:
        samples: [b, ...], as the loader has them.
        rows: int64 [b]: each sample's row in the manifest.
    """

    samples: torch.Tensor
    rows: torch.Tensor


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
        for given in self.stored(index, batch_size):
            yield self.shown(*given)

    def training(self, index: np.ndarray, batch_size: int, epoch: int) -> Iterator[Batch]:
        """Yield the samples of an index list in its order as they are trained on."""
        for given in self.given(index, batch_size, epoch):
            yield self.finish(*given)

    def stored(self, index: np.ndarray, batch_size: int) -> Iterator[Given]:
        """Yield what `batches` makes its batches of: the samples as the view stores them."""
        chunks = _chunks(index, batch_size)
        yield from map(Given, self._store.stream(chunks), self._on_device(index, batch_size))

    def shown(self, samples: torch.Tensor, index: torch.Tensor) -> Batch:
        """Return the batch of what `stored` gave: work for the device alone, which a CUDA graph can hold."""
        return self._batch(self._inputs(samples), index)

    def given(
        self, index: np.ndarray, batch_size: int, epoch: int, repeats: np.ndarray | None = None
    ) -> Iterator[Given]:
        """Yield what `training` makes its batches of.

        Args:
            index: the samples.
            batch_size: the last batch may be smaller.
            epoch: the number of the epoch.
            repeats: int [n], how often each sample stood earlier in the epoch; None: in the index list
                (`sampling.occurrences`).
        """
        return self.stored(index, batch_size)

    def finish(self, samples: torch.Tensor, index: torch.Tensor) -> Batch:
        """Return the batch of what `given` gave, as `shown` does."""
        return self.shown(samples, index)

    def _batch(self, images: torch.Tensor, index: torch.Tensor) -> Batch:
        return Batch(images, self._labels[index], index)

    def _on_device(self, index: np.ndarray, batch_size: int) -> tuple[torch.Tensor, ...]:
        """Return an index list in batches on the device: one transfer for all of them."""
        return torch.from_numpy(index).to(self._labels.device).split(batch_size) if len(index) else ()


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

    def given(
        self, index: np.ndarray, batch_size: int, epoch: int, repeats: np.ndarray | None = None
    ) -> Iterator[Given]:
        """Yield the samples of an index list in its order, each changed as (seed, epoch, sample) decides."""
        chunks = _chunks(index, batch_size)
        repeated = _chunks(occurrences(index) if repeats is None else repeats, batch_size)
        draws = [self._augmenter.draws(rows, times, epoch) for rows, times in zip(chunks, repeated, strict=True)]
        changed = self._augmenter.change(zip(self._source.stream(chunks), draws, strict=True))
        for rows, drawn, samples in zip(self._on_device(index, batch_size), draws, changed, strict=True):
            # what is masked is drawn on the host, batch by batch, so inputs cannot wait for `finish`
            yield Given(self._augmenter.mask(self._inputs(samples), drawn) if self._augmenter.MASKS else samples, rows)

    def finish(self, samples: torch.Tensor, index: torch.Tensor) -> Batch:
        """Return the batch of what `given` gave (`Loader.finish`)."""
        return self._batch(samples if self._augmenter.MASKS else self._inputs(samples), index)


def _chunks(index: np.ndarray, batch_size: int) -> list[np.ndarray]:
    """Cut an index list into batches."""
    return [index[start : start + batch_size] for start in range(0, len(index), batch_size)]
