"""The encoded files of a data set, read one after the other and checked against the ingest."""

import hashlib
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from deepfake.errors import InputError
from deepfake.modalities.image.geometry import CORNERS

_DAMAGED = (FileNotFoundError, NotADirectoryError, KeyError, zipfile.BadZipFile, zlib.error, RuntimeError)


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


def read(samples: pd.DataFrame, regions: pd.DataFrame, raw: Path) -> Iterator[Encoded]:
    """Yield the files of samples in their order; each archive is opened once and read in place.

    Args:
        samples: `tables.SAMPLES` or the manifest.
        regions: `tables.REGIONS` of the same samples, in the same order.
        raw: the folder that archives and paths start from.

    Raises:
        InputError: a file is missing or differs from the one that was ingested.
    """
    plain = [kind == 1 for kind in regions["plain"]]
    corners = regions[CORNERS].itertuples(index=False, name=None)
    rows = zip(samples["archive"], samples["path"], samples["sha256"], corners, plain, strict=True)
    with ExitStack() as stack:
        archives: dict[str, zipfile.ZipFile] = {}
        for archive, path, expected, region, is_plain in rows:
            where = raw / archive / path
            try:
                if archive and archive not in archives:
                    archives[archive] = stack.enter_context(zipfile.ZipFile(raw / archive))
                data = archives[archive].read(path) if archive else where.read_bytes()
            except _DAMAGED:
                message = f"{where}: in the table of samples but not readable; ingest the data set again"
                raise InputError(message) from None
            if hashlib.sha256(data).hexdigest() != expected:
                raise InputError(f"{where}: differs from the file that was ingested; ingest the data set again")
            yield Encoded(data, region, is_plain)
