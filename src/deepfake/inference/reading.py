"""Files that nobody has ingested, sorted by what they are, and read in chunks where they fit into memory."""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from deepfake import modalities
from deepfake.config.images import Parts
from deepfake.errors import InputError
from deepfake.inference import inputs
from deepfake.inference.inputs import File
from deepfake.modalities.base import Facts, Modality

_BYTES = 1 << 26
"""Encoded files that are in a chunk at most, and one file more."""
_LARGEST = 512 * 2**20
"""Bytes of a file at most, as when a data set is ingested: files are read whole."""
_HEAD = 1 << 12
"""Bytes that are read of a file that does not begin as an image does: enough to say so."""
_AT_ONCE = 8
"""Files that a thread reads in one go: to hand over each by itself costs as much as to read it."""


@dataclass(frozen=True)
class Face:
    """A face in pixels of the upright image, as far as the detector sees it reach: it may end beyond the image."""

    left: float
    top: float
    right: float
    bottom: float
    confidence: float


class Piece(NamedTuple):
    """What a detector is shown at once.

    Args:
        row: the usable file that it is of.
        face: what is cut out; None for the whole image, or its middle where a face was wanted and none found.
    """

    row: int
    face: Face | None


@dataclass(frozen=True)
class Chunk:
    """Some files on their way to a detector.

    Args:
        files: all of them, in order.
        refused: why a file cannot be used, by its place in `files`; those that nobody asked for are in neither.
        others: of which modality a file is instead, by its place.
        usable: the places of the others.
        data: their bytes.
        samples: what is known of them, one row each (`Modality.MEDIA`).
        pieces: what is shown of them, in their order.
        faces: their faces, the largest first; None where nobody looked.
        pixels: uint8 [pieces, side, side, 3] by view.
    """

    files: Sequence[File]
    refused: Mapping[int, str]
    others: Mapping[int, str]
    usable: Sequence[int]
    data: Sequence[bytes]
    samples: pd.DataFrame
    pieces: Sequence[Piece]
    faces: Sequence[tuple[Face, ...]] | None = None
    pixels: Mapping[str, np.ndarray] = field(default_factory=dict)

    def without(self, reasons: Mapping[int, str]) -> "Chunk":
        """Return the chunk, nothing decoded yet, without some of its usable files, by their place among these."""
        refused = {self.usable[row]: reason for row, reason in reasons.items()}
        kept = [row for row in range(len(self.usable)) if row not in reasons]
        place = {row: number for number, row in enumerate(kept)}
        return Chunk(
            self.files,
            {**self.refused, **refused},
            self.others,
            [self.usable[row] for row in kept],
            [self.data[row] for row in kept],
            self.samples.iloc[kept].reset_index(drop=True),
            [Piece(place[row], face) for row, face in self.pieces if row in place],
            None if self.faces is None else [self.faces[row] for row in kept],
        )


def sort(files: Sequence[File]) -> dict[str, list[File]]:
    """Return files by the modality that is to judge them; those that nobody asked for and that are none are left out.

    An ending is believed until the file is opened (`others_of`), as images come by the hundred thousand. Without one
    the content decides, and what was named all the same goes to the first modality, which has words for it.
    """
    found: dict[str, list[File]] = {name: [] for name in modalities.MODALITIES}
    for file in files:
        kind = inputs.promise(file.name) or ("" if file.refused else modalities.recognise(Path(file.path)))
        if kind or file.promised:
            found[kind or next(iter(found))].append(file)
    return {name: those for name, those in found.items() if those}


def require_media(files: Sequence[File], paths: Sequence[str]) -> None:
    """Check that there is a medium among files, which takes no longer than to find the first one.

    Args:
        files: of `inputs.find`.
        paths: where they were found, for the message.

    Raises:
        InputError: none was named, no name promises one, and no file begins as one.
    """
    if not any(file.promised or (not file.refused and modalities.recognise(Path(file.path))) for file in files):
        raise InputError(
            f"no images, clips or recordings in {', '.join(map(inputs.printable, paths))}: "
            f"{inputs.described(file.name for file in files)}; {inputs.WANTED}"
        )


def read(
    files: Sequence[File], size: int, pool: ThreadPoolExecutor, modality: Modality, parts: Parts
) -> Iterator[Chunk]:
    """Yield files in chunks of a bounded number and size.

    Args:
        files: of `inputs.find`.
        size: files in a chunk at most.
        pool: what reads them.
        modality: of the files, each of one sample.
        parts: into how many samples files are divided.
    """
    look = _Look(modality, parts)
    return (_read(part, pool, look) for part in _parts(files, size))


def _parts(files: Sequence[File], size: int) -> Iterator[list[File]]:
    """Cut files into chunks."""
    part: list[File] = []
    held = 0
    for file in files:
        part.append(file)
        held += file.size
        if len(part) == size or held > _BYTES:
            yield part
            part, held = [], 0
    if part:
        yield part


def _read(files: Sequence[File], pool: ThreadPoolExecutor, look: "_Look") -> Chunk:
    """Read files and look at what they are."""
    refused: dict[int, str] = {}
    others: dict[int, str] = {}
    usable, data, rows = [], [], []
    batches = [files[start : start + _AT_ONCE] for start in range(0, len(files), _AT_ONCE)]
    opened = itertools.chain.from_iterable(pool.map(lambda batch: [look.open(file) for file in batch], batches))
    for place, (content, seen) in enumerate(opened):
        if isinstance(seen, Other):
            others[place] = seen.modality
        elif not isinstance(seen, str):
            usable.append(place)
            data.append(content)
            rows.append((str(place), *seen))
        elif seen:
            refused[place] = seen
    samples = pd.DataFrame(rows, columns=list(look.modality.MEDIA.columns))
    return Chunk(files, refused, others, usable, data, samples, [Piece(row, None) for row in range(len(usable))])


class Other(NamedTuple):
    """A file is of another modality than its name says."""

    modality: str


class _Look(NamedTuple):
    """What opens files.

    Args:
        modality: of the files.
        parts: into how many samples files are divided.
    """

    modality: Modality
    parts: Parts

    def open(self, file: File) -> tuple[bytes, Facts | Other | str]:
        """Return a file's bytes and what it is, or why it cannot be used: nothing when it is to be passed over.

        What begins as nothing of the modality is not read any further, however large it is.
        """
        if file.refused:
            return b"", file.refused
        if file.size > _LARGEST:
            return b"", f"larger than {_LARGEST // 2**20} MB" if file.promised else ""
        path = Path(file.path)
        try:
            whole = self.modality.recognises(path)
            if not whole and (other := modalities.recognise(path)):
                return b"", Other(other)
            if not whole and not file.promised:
                return b"", ""
            with path.open("rb") as stream:
                data = stream.read(None if whole else _HEAD)
        except OSError as error:
            return b"", f"cannot be read: {error.strerror or error}"
        seen = self.modality.glance(data, self.parts)
        return data, seen if isinstance(seen, str) else seen[0]
