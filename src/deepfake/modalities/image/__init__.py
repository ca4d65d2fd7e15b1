"""Images: inspected, decoded, augmented, corrupted and measured, behind the protocol of `modalities.base`.

What needs more than the standard library is imported when it is used.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

from deepfake import tables

if TYPE_CHECKING:
    import numpy as np
    import torch

    from deepfake.config.params import Augmentation
    from deepfake.modalities.image.backends import Augment
    from deepfake.modalities.image.files import Encoded
    from deepfake.modalities.image.inspection import Picture

MEDIA = tables.MEDIA
# the opposite sign wherever the cosine across is odd about the middle: at every other frequency
MIRROR = "aa" * 32


def inspect(data: bytes) -> "Picture | str":
    """Return what an image is, or the reason why it is refused (`inspection.inspect`)."""
    from deepfake.modalities.image import inspection

    return inspection.inspect(data)


def quiet() -> AbstractContextManager[None]:
    """Keep what PIL warns about from the user (`decoding.quiet`)."""
    from deepfake.modalities.image import decoding

    return decoding.quiet()


def decode(
    loader: str, batches: "Iterable[Sequence[Encoded]]", size: int, *, threads: int, cuda: bool = False
) -> "Iterator[np.ndarray]":
    """Decode batches of files, each to uint8 [b, size, size, 3], RGB (`backends.Backend.decode`)."""
    from deepfake.modalities.image import backends

    return backends.load(loader).decode(batches, size, threads=threads, cuda=cuda)


def augmenter(
    loader: str, policy: "Augmentation", *, source: int, size: int, batch_size: int, device: "torch.device"
) -> "Augment":
    """Build what applies a policy (`backends.Backend.augmenter`)."""
    from deepfake.modalities.image import backends

    return backends.load(loader).augmenter(policy, source=source, size=size, batch_size=batch_size, device=device)


def corrupt(name: str, samples: "np.ndarray", strength: float, rows: "np.ndarray") -> "np.ndarray":
    """Apply a corruption to images, uint8 [b, s, s, 3] (`corruptions.corrupt`)."""
    from deepfake.modalities.image import corruptions

    return corruptions.corrupt(name, samples, strength, rows)


def measure(data: bytes) -> dict[str, Any]:
    """Return how a file is stored, and plain statistics of its pixels (`features.of_file`)."""
    from deepfake.modalities.image import features

    return features.of_file(data)
