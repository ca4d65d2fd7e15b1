"""The files of a data set as modalities take them, read one after the other and checked against the ingest."""

import hashlib
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pandas as pd

from deepfake.errors import InputError
from deepfake.modalities.base import File, Medium, grouped

_DAMAGED = (OSError, KeyError, zipfile.BadZipFile, zlib.error, RuntimeError)


def read(samples: pd.DataFrame, regions: pd.DataFrame, raw: Path, *, streamed: bool = False) -> Iterator[File]:
    """Yield the files of samples in their order; each archive is opened once and read in place.

    Args:
        samples: `tables.SAMPLES` or the manifest; those of one file that follow each other come together.
        regions: the modality's `REGIONS` of the same samples, in the same order.
        raw: the folder that archives and paths start from.
        streamed: whether loose files are handed on as paths, and not read into memory.

    Raises:
        InputError: a file is missing or differs from the one that was ingested.
    """
    rows = list(regions.drop(columns="sample_id").itertuples(index=False, name=None))
    yield from grouped(_media(samples, raw, streamed), rows)


def _media(samples: pd.DataFrame, raw: Path, streamed: bool) -> Iterator[tuple[str, Medium]]:
    """Yield for each sample its clip and its file, which is read once for all samples that follow each other."""
    clip, medium = None, b""
    with ExitStack() as stack:
        archives: dict[str, zipfile.ZipFile] = {}
        columns = (samples[name] for name in ("clip_id", "archive", "path", "sha256"))
        for name, archive, path, expected in zip(*columns, strict=True):
            if name == clip:
                yield name, medium
                continue
            where = raw / archive / path
            try:
                if archive and archive not in archives:
                    archives[archive] = stack.enter_context(zipfile.ZipFile(raw / archive))
                medium = archives[archive].read(path) if archive else where if streamed else where.read_bytes()
                found = _digest(medium)
            except _DAMAGED:
                message = f"{where}: in the table of samples but not readable; ingest the data set again"
                raise InputError(message) from None
            if found != expected:
                raise InputError(f"{where}: differs from the file that was ingested; ingest the data set again")
            clip = name
            yield name, medium


def _digest(medium: Medium) -> str:
    """Return the SHA-256 of a file."""
    if isinstance(medium, bytes):
        return hashlib.sha256(medium).hexdigest()
    with medium.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
