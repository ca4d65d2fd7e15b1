"""An encoded image as backends take it."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from deepfake.modalities.base import File, Medium


@dataclass(frozen=True)
class Encoded:
    """An encoded image and the part of it that is wanted.

    Args:
        data: the file's bytes; they decode, since ingest has tried.
        region: left, top, right, bottom in pixels of the upright image; black beyond it.
        plain: whether it is a JPEG in RGB or gray, which every decoder turns into the same pixels.
    """

    data: bytes
    region: tuple[int, int, int, int]
    plain: bool


def of(files: Iterable[File]) -> Iterator[Encoded]:
    """Yield files with the regions that a view shows of them (`tables.REGIONS`)."""
    for file in files:
        for left, top, right, bottom, _, plain in file.rows:
            yield Encoded(contents(file.medium), (left, top, right, bottom), plain == 1)


def contents(medium: Medium) -> bytes:
    """Return the bytes of a file."""
    return medium.read_bytes() if isinstance(medium, Path) else medium
