"""From stored images to what a model sees of them: normalised, and for training changed as a policy says."""

from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from deepfake.config import ViewConfig
from deepfake.config.params import Augmentation, Normalization
from deepfake.modalities.image import backends
from deepfake.modalities.image.augmentation import AugmentationPlan, Draws

if TYPE_CHECKING:
    import torch


def normalised(scale: Normalization, device: "torch.device") -> "Callable[[torch.Tensor], torch.Tensor]":
    """Return what maps uint8 [b, h, w, 3] to float32 [b, 3, h, w], normalised, channels last in memory.

    Args:
        scale: mean and std of each channel on the [0, 1] scale.
        device: where the images are.
    """
    import torch

    mean, std = (torch.tensor(values, device=device) for values in (scale.mean, scale.std))
    # (x / 255 - mean) / std in one multiplication and one addition
    factor, shift = 1 / (255 * std), -mean / std

    def normalise(images: torch.Tensor) -> torch.Tensor:
        count, height, width, _ = images.shape
        # whole rows of pixels at a time: several times faster on a CPU than three channels at a time
        pixels = images.view(count, height, width * 3).float()
        pixels.mul_(factor.repeat(width)).add_(shift.repeat(width))
        # [b, h, w, 3] seen as [b, 3, h, w] is channels last already, so nothing is moved
        return pixels.view(count, height, width, 3).permute(0, 3, 1, 2)

    return normalise


class Augmenter:
    """Applies a policy to batches of images (`base.Augmenter`)."""

    MASKS: ClassVar[bool] = False

    def __init__(
        self,
        view: ViewConfig,
        policy: Augmentation,
        *,
        source: int,
        seed: int,
        batch_size: int,
        device: "torch.device",
    ):
        """Build what applies it with the view's loader; see `base.Modality.augmenter`."""
        backend = backends.load(view.loader)
        self._augment = backend.augmenter(policy, source=source, size=view.size, batch_size=batch_size, device=device)
        self._plan = lru_cache(maxsize=1)(
            lambda epoch: AugmentationPlan(policy, seed=seed, epoch=epoch, source=source, size=view.size)
        )

    def draws(self, rows: np.ndarray, occurrence: np.ndarray, epoch: int) -> Draws:
        """Return what happens to some images."""
        return self._plan(epoch).draws(rows, occurrence)

    def change(self, batches: "Iterable[tuple[torch.Tensor, Draws]]") -> "Iterator[torch.Tensor]":
        """Yield each batch as was drawn for it, uint8 [b, size, size, 3]."""
        return self._augment(batches)

    def mask(self, inputs: "torch.Tensor", draws: Draws) -> "torch.Tensor":
        """Return a batch as it is: nothing is done to images after they are normalised."""
        return inputs
