"""What every file of a data set shows without a look at its content, measured file by file."""

import hashlib
import itertools
import zipfile
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pandas as pd

from deepfake import modalities, tables
from deepfake.datasets.layouts import contents
from deepfake.datasets.layouts.adapters import RawFile
from deepfake.errors import InputError
from deepfake.modalities.base import Modality
from deepfake.progress import SILENT, Progress

_CHUNK = 64
"""Files that are read before their statistics are taken."""


def measure(samples: pd.DataFrame, raw: Path, *, threads: int, progress: Progress = SILENT) -> pd.DataFrame:
    """Measure the file of every sample.

    Args:
        samples: `tables.SAMPLES` or the manifest.
        raw: the folder that archives and paths start from.
        threads: decoding threads; they do not change the result.
        progress: told of the files done.

    Returns:
        `tables.FEATURES`, in the order of the samples.

    Raises:
        InputError: a file is missing or differs from the one that was ingested.
    """
    columns = ["sample_id", "archive", "path", "bytes", "source", "label", "group"]
    files = [RawFile(*row, refused="") for row in samples[columns].itertuples(index=False, name=None)]
    expected = dict(zip(samples["sample_id"], samples["sha256"], strict=True))
    modality = modalities.load(samples["modality"].iloc[0])
    rows: list[dict[str, Any]] = []
    try:
        with modality.quiet(), ThreadPoolExecutor(threads) as pool:
            found = contents.read(raw, files)
            for chunk in iter(lambda: list(itertools.islice(found, _CHUNK)), []):
                rows += pool.map(lambda read: _measured(modality, raw, read[0], read[1], expected), chunk)
                progress.advance("measuring files", len(rows), len(files))
    except (FileNotFoundError, zipfile.BadZipFile, KeyError) as error:
        raise InputError(f"{raw}: {error}; ingest the data set again") from None
    return pd.DataFrame(rows, columns=list(tables.FEATURES.columns))


def _measured(
    modality: Modality, raw: Path, file: RawFile, data: bytes | str, expected: Mapping[str, str]
) -> dict[str, Any]:
    """Return one row of `tables.FEATURES`."""
    where = raw / file.archive / file.path
    if isinstance(data, str):
        raise InputError(f"{where}: {data}; ingest the data set again")
    digest = hashlib.sha256(data).hexdigest()
    if digest != expected[file.sample_id]:
        raise InputError(f"{where}: differs from the file that was ingested; ingest the data set again")
    return {"sample_id": file.sample_id, "sha256": digest} | modality.measure(data)
