"""What every file of a data set shows without a look at its content, measured file by file."""

import itertools
import zipfile
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from deepfake import modalities, tables
from deepfake.datasets.layouts import contents
from deepfake.datasets.layouts.adapters import RawFile
from deepfake.errors import InputError
from deepfake.modalities.base import Medium, Modality
from deepfake.progress import SILENT, Progress
from deepfake.project import paths

_CHUNK = 64
"""Files that are read before their statistics are taken."""


def clips(samples: pd.DataFrame) -> pd.DataFrame:
    """Return one row a clip, under its name: the unit of decision, where a file gives several samples."""
    return samples.drop_duplicates("clip_id").assign(sample_id=lambda found: found["clip_id"])


def read(dataset: str, manifest: pd.DataFrame) -> pd.DataFrame:
    """Return the features of a data set's files, a row for each of `clips`, under its name.

    Raises:
        InputError: they were not measured, or are of other files than the manifest's.
    """
    path = paths().features(dataset)
    found = tables.read(path, modalities.of(manifest).FEATURES)
    first, keys = manifest.drop_duplicates("clip_id"), ["sample_id", "sha256"]
    if not np.array_equal(found[keys], first[keys]):
        raise InputError(f"{path}: not of the files in the manifest; run deepfake features {dataset}")
    return found.assign(sample_id=first["clip_id"].to_numpy())


def measure(samples: pd.DataFrame, raw: Path, *, threads: int, progress: Progress = SILENT) -> pd.DataFrame:
    """Measure the file of every clip.

    Args:
        samples: `tables.SAMPLES` or the manifest.
        raw: the folder that archives and paths start from.
        threads: decoding threads; they do not change the result.
        progress: told of the files done.

    Returns:
        The modality's `FEATURES`: a row a clip, in their order, under its first sample.

    Raises:
        InputError: a file is missing or differs from the one that was ingested.
    """
    samples = samples.drop_duplicates("clip_id")
    columns = ["sample_id", "archive", "path", "bytes", "source", "label", "group"]
    files = [RawFile(*row, refused="") for row in samples[columns].itertuples(index=False, name=None)]
    expected = dict(zip(samples["sample_id"], samples["sha256"], strict=True))
    modality = modalities.of(samples)
    rows: list[dict[str, Any]] = []
    try:
        with modality.quiet(), ThreadPoolExecutor(threads) as pool:
            found = contents.read(raw, files, streamed=modality.STREAMED)
            for chunk in iter(lambda: list(itertools.islice(found, _CHUNK)), []):
                rows += pool.map(lambda read: _measured(modality, raw, read[0], read[1], expected), chunk)
                progress.advance("measuring files", len(rows), len(files))
    except (FileNotFoundError, zipfile.BadZipFile, KeyError) as error:
        raise InputError(f"{raw}: {error}; ingest the data set again") from None
    return pd.DataFrame(rows, columns=list(modality.FEATURES.columns))


def _measured(
    modality: Modality, raw: Path, file: RawFile, data: Medium | str, expected: Mapping[str, str]
) -> dict[str, Any]:
    """Return one row of the modality's `FEATURES`."""
    where = raw / file.archive / file.path
    if isinstance(data, str):
        raise InputError(f"{where}: {data}; ingest the data set again")
    digest = contents.digest(data)
    if digest != expected[file.sample_id]:
        raise InputError(f"{where}: differs from the file that was ingested; ingest the data set again")
    return {"sample_id": file.sample_id, "sha256": digest} | modality.measure(data)
