"""What a modality is: all that ingest and measurement need to know between a file and an array."""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

import numpy as np

from deepfake.tables import Schema

Facts = tuple[int | str, ...]
"""What a medium is: the columns of the modality's `MEDIA` after the `sample_id`, in their order."""


def counted(notes: Iterable[str]) -> str:
    """Return how many media something is noted of, and what: "3 files with notes (2 broken EXIF, 1 ...)".

    Args:
        notes: of each medium, with "; " between them; "" where there are none.

    Returns:
        Nothing when there are no notes at all.
    """
    noted = [words.split("; ") for words in notes if words]
    kinds = (re.sub("^first of .*", "first of several frames", words) for one in noted for words in one)
    counts = ", ".join(f"{count} {words}" for words, count in Counter(kinds).most_common())
    return f"{len(noted)} file{'' if len(noted) == 1 else 's'} with notes ({counts})" if noted else ""


class Modality(Protocol):
    """What the module of every modality has."""

    MEDIA: Schema
    """The table of what its media are; the first column is the `sample_id`. With a column `fingerprint`, a perceptual
    hash, ingest looks for near-duplicates."""
    MIRROR: str
    """Of such a modality: the bits, hexadecimal, in which the fingerprint of a mirror image differs."""

    def inspect(self, data: bytes) -> Facts | str:
        """Decode a file fully.

        Args:
            data: the encoded file.

        Returns:
            What it is, or the reason why it is refused.
        """
        ...

    def quiet(self) -> AbstractContextManager[None]:
        """Keep what decoders warn about from the user; entered before threads start that `inspect`."""
        ...

    def decode(
        self, loader: str, batches: Iterable[Sequence[Any]], size: int, *, threads: int, cuda: bool = False
    ) -> Iterator[np.ndarray]:
        """Decode batches of files, each to an array of one size.

        Args:
            loader: the backend that decodes.
            batches: encoded files, with what is wanted of each; batches may differ in length.
            size: of the result, as the modality counts it.
            threads: decoding threads; they do not change the result.
            cuda: whether to use the GPU where the backend can.

        Yields:
            An array [b, ...] for each batch.
        """
        ...

    def augmenter(
        self, loader: str, policy: Any, *, source: int, size: int, batch_size: int, device: Any
    ) -> Callable[[Iterable[tuple[Any, Any]]], Iterator[Any]]:
        """Build what applies a policy of augmentation to batches, each with what was drawn for it.

        Args:
            loader: the backend that augments.
            policy: only what can happen under it is built.
            source: size of what comes in.
            size: of what goes out.
            batch_size: samples in a batch at most.
            device: of torch, where the samples are, and stay.
        """
        ...

    def corrupt(self, name: str, samples: np.ndarray, strength: float, rows: np.ndarray) -> np.ndarray:
        """Apply a corruption by its name, on one thread.

        Args:
            name: of a corruption that the modality knows.
            samples: decoded, [b, ...].
            strength: as the corruption counts it.
            rows: int [b], each sample's row in the manifest, by which its noise is drawn.
        """
        ...

    def measure(self, data: bytes) -> dict[str, Any]:
        """Return what a file shows without a look at its content, by feature; ingest has accepted the file."""
        ...
