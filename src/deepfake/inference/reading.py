"""Files that nobody has ingested, read in chunks: the bytes of the usable ones, and why the others are not."""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import pandas as pd
from PIL import Image, UnidentifiedImageError

from deepfake import tables
from deepfake.errors import InputError
from deepfake.inference import inputs
from deepfake.inference.inputs import File
from deepfake.modalities.image import decoding, inspection, orientation, other_formats
from deepfake.modalities.image.inspection import Picture

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
        usable: the places of the others.
        data: their bytes.
        samples: what geometry needs to know of them (`tables.MEDIA`).
        pieces: what is shown of them, in their order.
        faces: their faces, the largest first; None where nobody looked.
        pixels: uint8 [pieces, side, side, 3] by view.
    """

    files: Sequence[File]
    refused: Mapping[int, str]
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
            [self.usable[row] for row in kept],
            [self.data[row] for row in kept],
            self.samples.iloc[kept].reset_index(drop=True),
            [Piece(place[row], face) for row, face in self.pieces if row in place],
            None if self.faces is None else [self.faces[row] for row in kept],
        )


def require_images(files: Sequence[File], paths: Sequence[str]) -> None:
    """Check that there is an image among files, which takes no longer than to find the first one.

    Args:
        files: of `inputs.find`.
        paths: where they were found, for the message.

    Raises:
        InputError: none was named, no name promises one, and no file begins as one.
    """
    if not any(file.promised or (not file.refused and _is_image(file.path)) for file in files):
        raise InputError(
            f"no images in {', '.join(map(inputs.printable, paths))}: "
            f"{inputs.described(file.name for file in files)}; name images, or a folder that holds some"
        )


def read(files: Sequence[File], size: int, pool: ThreadPoolExecutor) -> Iterator[Chunk]:
    """Yield files in chunks of a bounded number and size.

    Args:
        files: of `inputs.find`.
        size: files in a chunk at most.
        pool: what reads them.
    """
    return (_read(part, pool) for part in _parts(files, size))


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


def _read(files: Sequence[File], pool: ThreadPoolExecutor) -> Chunk:
    """Read files and look at what they are."""
    refused: dict[int, str] = {}
    usable, data, rows = [], [], []
    batches = [files[start : start + _AT_ONCE] for start in range(0, len(files), _AT_ONCE)]
    opened = itertools.chain.from_iterable(pool.map(lambda batch: [_open(file) for file in batch], batches))
    for place, (content, seen) in enumerate(opened):
        if isinstance(seen, Picture):
            usable.append(place)
            data.append(content)
            rows.append((str(place), *seen))
        elif seen:
            refused[place] = seen
    samples = pd.DataFrame(rows, columns=list(tables.MEDIA.columns))
    return Chunk(files, refused, usable, data, samples, [Piece(row, None) for row in range(len(usable))])


def _open(file: File) -> tuple[bytes, Picture | str]:
    """Return a file's bytes and what it is, or why it cannot be used: nothing when it is to be passed over.

    What begins as no image is not read any further, however large it is.
    """
    if file.refused:
        return b"", file.refused
    if file.size > _LARGEST:  # before its header: PIL reads some formats whole for that
        return b"", f"larger than {_LARGEST // 2**20} MB" if file.promised else ""
    try:
        is_image = _is_image(file.path)
        if not is_image and not file.promised:
            return b"", ""
        with open(file.path, "rb") as stream:
            data = stream.read(None if is_image else _HEAD)
    except OSError as error:
        return b"", f"cannot be read: {error.strerror or error}"
    seen = _glance(data)
    if isinstance(seen, str) and not is_image:
        seen = other_formats.by_name(file.name) or seen
    return data, seen


def _is_image(path: str) -> bool:
    """Tell whether a file begins as an image does."""
    try:
        with Image.open(path, formats=decoding.FORMATS):
            return True
    except UnidentifiedImageError:
        return False
    except Exception:
        # too many pixels, a broken header, a file that may not be read: who reads it has words for it
        return True


def _glance(data: bytes) -> Picture | str:
    """Return what `inspection.inspect` says; of a JPEG what its header says, for decoding will tell the rest."""
    try:
        with decoding.opened(data, ("JPEG",)) as image:
            width, height = image.size
            held = orientation.of(image)
            is_odd = not held.sound or orientation.contradicted(image, held.value)
            fits = width * height <= (Image.MAX_IMAGE_PIXELS or width * height)
            if fits and image.mode in ("RGB", "L") and not is_odd:
                return Picture(*orientation.upright_size(image.size, held.value), image.format or "", image.mode)
    except Exception:
        # whatever PIL stumbles over in a broken header: the inspection catches it too, and has words for it
        pass
    return inspection.inspect(data)
