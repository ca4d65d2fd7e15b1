"""What decodes and augments images: one interface, two backends that agree.

A backend is a module with the two functions of `Backend`. It is imported when it is asked for.
"""

import importlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Protocol

import numpy as np

from deepfake.errors import InputError
from deepfake.modalities.image.encoded import Encoded

if TYPE_CHECKING:
    import torch

    from deepfake.config.params import Augmentation
    from deepfake.modalities.image.augmentation import Draws

Augment = Callable[[Iterable[tuple["torch.Tensor", "Draws"]]], Iterator["torch.Tensor"]]
"""Maps batches of images (uint8 [b, r, r, 3]) and what was drawn for them to augmented images
(uint8 [b, s, s, 3]) on the same device, in the same order; the next batch may be fetched before this one is given."""

BACKENDS = {
    "dali": "deepfake.modalities.image.dali",
    "opencv": "deepfake.modalities.image.opencv",
}


class Backend(Protocol):
    """What every backend can do."""

    def decode(
        self, batches: Iterable[Sequence[Encoded]], size: int, *, threads: int, cuda: bool = False
    ) -> Iterator[np.ndarray]:
        """Decode batches of files, cut out their regions and resize these with antialiasing.

        Args:
            batches: encoded files; batches may differ in length.
            size: side of the result in pixels.
            threads: decoding threads; they do not change the result.
            cuda: whether to use the GPU where the backend can.

        Yields:
            uint8 [b, size, size, 3], RGB, for each batch before the next one is taken.
        """
        ...

    def augmenter(
        self, policy: "Augmentation", *, source: int, size: int, batch_size: int, device: "torch.device"
    ) -> Augment:
        """Build what applies a policy.

        Args:
            policy: only what can happen under it is built.
            source: side of the images that come in.
            size: side of those that go out.
            batch_size: images in a batch at most.
            device: where the images are, and stay.
        """
        ...


class Kept:
    """A backend's decoding that goes on where it stopped: what it has built decodes the next batch, too."""

    def __init__(self, decode: Callable[[Iterable[Sequence[Encoded]]], Iterator[np.ndarray]]):
        """Keep how to decode; nothing is built yet."""
        self._decode = decode
        self._waiting: list[Sequence[Encoded]] = []
        self._running: Iterator[np.ndarray] | None = None

    def __call__(self, batch: Sequence[Encoded]) -> np.ndarray:
        """Decode a batch (`Backend.decode`); what fails at one is built anew for the next."""
        self._waiting[:] = [batch]
        if self._running is None:
            self._running = self._decode(iter(self._waiting.pop, None))
        running, self._running = self._running, None
        images = next(running)
        self._running = running
        return images


def load(name: str) -> Backend:
    """Return a backend by its name.

    Raises:
        InputError: it is not installed here.
    """
    try:
        return importlib.import_module(BACKENDS[name])  # pyright: ignore[reportReturnType]
    except ImportError as error:
        raise InputError(f"loader: {name} cannot be used here ({error}); choose another in params.yaml") from None
