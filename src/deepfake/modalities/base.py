"""What a modality is: all that the pipeline needs to know between a file and what a model sees of it.

A file gives one sample or several: the frames of a clip, the windows of a recording. All samples of a file share its
`clip_id`, which has one verdict.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, Protocol

import numpy as np

from deepfake.tables import Schema

if TYPE_CHECKING:
    import pandas as pd
    import torch

    from deepfake.config import ViewConfig
    from deepfake.config.images import Normalization, Parts
    from deepfake.config.params import AnyAugmentation
    from deepfake.modalities.corruption import Corruption
    from deepfake.progress import Progress

Medium = bytes | Path
"""A file: its bytes, or where it lies."""
Facts = tuple[float | str, ...]
"""What a sample is: the columns of the modality's `MEDIA` after the `sample_id`, in their order."""


class File(NamedTuple):
    """A file, and what is wanted of it.

    Args:
        medium: the file.
        rows: what a view shows of each of its samples that follow each other: the modality's `REGIONS` without the
            `sample_id`.
    """

    medium: Medium
    rows: list[tuple[Any, ...]]


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


class Augmenter(Protocol):
    """Applies a policy of augmentation to batches of training samples."""

    MASKS: ClassVar[bool]
    """Whether `mask` ever does anything."""

    def draws(self, rows: np.ndarray, occurrence: np.ndarray, epoch: int) -> Any:
        """Return what happens to some samples: decided by seed, epoch, row and occurrence alone.

        Args:
            rows: int [b], each sample's row in the manifest.
            occurrence: int [b]: how often the row has come in this epoch before.
            epoch: counted from 0.
        """
        ...

    def change(self, batches: "Iterable[tuple[torch.Tensor, Any]]") -> "Iterator[torch.Tensor]":
        """Yield each batch of stored samples changed as was drawn for it, as `Modality.inputs` takes them."""
        ...

    def mask(self, inputs: "torch.Tensor", draws: Any) -> "torch.Tensor":
        """Return a batch as the model is to see it: what is done to a sample after its front end."""
        ...


class Modality(Protocol):
    """What the module of every modality has."""

    MEDIA: Schema
    """The table of what its samples are; the first column is the `sample_id`. With a column `fingerprint`, a perceptual
    hash, ingest looks for near-duplicates; with a column `notes` it tells them."""
    REGIONS: Schema
    """The table of the part of its file that a view shows of each sample; the first column is the `sample_id`."""
    FEATURES: Schema
    """The table of what each file shows without a look at its content: one row a clip, under its first sample."""
    FAMILIES: Mapping[str, tuple[str, ...]]
    """The features of each family."""
    MIRROR: str
    """Where there are fingerprints: the bits, hexadecimal, in which that of a mirror image differs."""
    STREAMED: bool
    """Whether loose files are opened where they lie, and not read into memory."""
    DECODING: tuple[str, ...]
    """The modules that decide what is stored."""
    FILE: str
    """What people call one of its files: "clip"."""
    PART: str
    """What people call a sample of a file: "frame"."""
    PICTURED: bool
    """Whether stored samples are pictures, in which faces can be looked for."""
    CODE: tuple[str, ...]
    """The modules that decide what a detector is trained on: a change of one is another run."""

    def inspect(self, medium: Medium, parts: "Parts") -> list[Facts] | str:
        """Decode a file fully.

        Args:
            medium: the file.
            parts: into how many samples it is divided.

        Returns:
            What each of its samples is, or the reason why it is refused.
        """
        ...

    def recognises(self, path: Path) -> bool:
        """Tell whether a file begins as one of this modality does, whatever it is called; it may be damaged."""
        ...

    def glance(self, medium: Medium, parts: "Parts") -> list[Facts] | str:
        """Do what `inspect` does, without a look at what decoding will tell: who decodes must expect failures."""
        ...

    def spans(self, samples: "pd.DataFrame", parts: "Parts") -> np.ndarray:
        """Return when each sample begins and ends in its file, in seconds, float [n, 2]; a moment has both alike.

        Args:
            samples: `MEDIA` of them.
            parts: into how many samples their files are divided.
        """
        ...

    def pictures(self, view: "ViewConfig", files: Iterable[File], height: int) -> Iterator[np.ndarray]:
        """Yield a picture of each sample for people, uint8 [height, w, 3]: what a view shows of it, or how it sounds.

        Args:
            view: the resolved view.
            files: as `decode` takes them.
            height: of the pictures in pixels.
        """
        ...

    def quiet(self) -> AbstractContextManager[None]:
        """Keep what decoders warn about from the user; entered before threads start that `inspect`."""
        ...

    def regions(self, samples: "pd.DataFrame", view: "ViewConfig", faces: "pd.DataFrame | None") -> "pd.DataFrame":
        """Return the part of its file that a view shows of each sample, as `REGIONS`.

        Args:
            samples: `tables.SAMPLES` with `MEDIA`.
            view: the resolved view.
            faces: `tables.FACES` where the view cuts out faces.
        """
        ...

    def stored(self, view: "ViewConfig") -> tuple[tuple[int, ...], str]:
        """Return the shape of a sample in the cache, and its dtype as numpy writes it (`|u1`)."""
        ...

    def decode(
        self, view: "ViewConfig", files: Iterable[File], *, threads: int, cuda: bool = False
    ) -> Iterator[np.ndarray]:
        """Decode files as a view shows them, in their order.

        Args:
            view: the resolved view.
            files: with what is wanted of each.
            threads: decoding threads; they do not change the result.
            cuda: whether to use the GPU where the loader can.

        Yields:
            Stored samples, as many at a time as it likes.
        """
        ...

    def decoder(
        self, view: "ViewConfig", *, threads: int, cuda: bool = False
    ) -> Callable[[Iterable[File]], Iterator[np.ndarray]]:
        """Build what decodes as `decode` does, some files after others: what took time to build serves them all."""
        ...

    def shape(self, view: "ViewConfig") -> tuple[int, int, int]:
        """Return channels, height and width of what a model sees of a sample (`inputs`)."""
        ...

    def inputs(
        self, view: "ViewConfig", scale: "Normalization", device: "torch.device"
    ) -> "Callable[[torch.Tensor], torch.Tensor]":
        """Return what maps stored samples to what a model sees of them: float32 [b, c, h, w], normalised."""
        ...

    def statistics(self, view: "ViewConfig", samples: np.ndarray, rows: np.ndarray) -> "Normalization":
        """Return mean and standard deviation of each channel over some stored samples, whatever their order."""
        ...

    def augmenter(
        self,
        view: "ViewConfig",
        policy: "AnyAugmentation",
        *,
        source: int,
        seed: int,
        batch_size: int,
        device: "torch.device",
    ) -> Augmenter:
        """Build what applies a policy of augmentation.

        Args:
            view: whose samples are augmented.
            policy: only what can happen under it is built.
            source: first side of the samples that come in, which may be larger than the view's.
            seed: of all chance in it.
            batch_size: samples in a batch at most.
            device: of torch, where the samples are, and stay.
        """
        ...

    def known_corruptions(self) -> "Mapping[str, Corruption]":
        """Return what `corrupt` knows, by name."""
        ...

    def corrupt(self, name: str, samples: np.ndarray, strength: float, rows: np.ndarray) -> np.ndarray:
        """Apply a corruption by its name to stored samples, on one thread.

        Args:
            name: a key of `known_corruptions()`.
            samples: stored, [b, ...].
            strength: as the corruption counts it.
            rows: int [b], each sample's row in the manifest, by which its noise is drawn.
        """
        ...

    def measure(self, medium: Medium) -> dict[str, Any]:
        """Return what a file shows without a look at its content, by feature; ingest has accepted the file."""
        ...

    def measure_shown(
        self,
        view: "ViewConfig",
        samples: "pd.DataFrame",
        stored: np.ndarray,
        regions: "pd.DataFrame",
        faces: "pd.DataFrame | None",
        *,
        threads: int,
        progress: "Progress",
    ) -> "tuple[pd.DataFrame, dict[str, tuple[str, ...]], tuple[str, ...]] | None":
        """Return what a view shows beside its content: features, their families, and those that are probed together.

        Args:
            view: the resolved view.
            samples: the manifest with `MEDIA`.
            stored: its decoded samples.
            regions: `REGIONS` of the view.
            faces: `tables.FACES` where the view cuts out faces.
            threads: how many samples are measured at once.
            progress: told of the samples done.

        Returns:
            Nothing where a view shows no more than the files do.
        """
        ...


def grouped(media: Iterable[tuple[Any, Medium]], rows: Sequence[tuple[Any, ...]]) -> Iterator[File]:
    """Join consecutive samples of one file.

    Args:
        media: of each sample what names its file, and the file.
        rows: what is wanted of each sample.
    """
    held: tuple[Any, File] | None = None
    for (name, medium), row in zip(media, rows, strict=True):
        if held is not None and held[0] == name:
            held[1].rows.append(row)
            continue
        if held is not None:
            yield held[1]
        held = name, File(medium, [row])
    if held is not None:
        yield held[1]


def rebatched(arrays: Iterator[np.ndarray], sizes: Iterable[int]) -> Iterator[np.ndarray]:
    """Yield arrays of given lengths from arrays of any lengths.

    Raises:
        ValueError: there are fewer samples than wanted.
    """
    held: list[np.ndarray] = []
    for size in sizes:
        while sum(map(len, held)) < size:
            part: Any = next(arrays, None)
            if part is None:
                raise ValueError("fewer samples than were counted")
            held.append(part)
        whole = np.concatenate(held) if len(held) > 1 else held[0]
        held = [whole[size:]]
        yield whole[:size]
