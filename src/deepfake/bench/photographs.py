"""The JPEG files that loaders are measured on: samples of a data set, as single files."""

import hashlib
import io
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from deepfake import tables
from deepfake.errors import InputError
from deepfake.loading import files
from deepfake.modalities.image import encoded, geometry
from deepfake.project import paths

BATCH = 32


def samples(dataset: str, count: int) -> pd.DataFrame:
    """Return JPEG samples spread evenly over a data set, in whole batches.

    Raises:
        InputError: it has none.
    """
    found = tables.with_media(tables.read(paths().samples(dataset), tables.SAMPLES), paths().media(dataset))
    found = found[found["format"] == "JPEG"]
    if found.empty:
        raise InputError(f"data set {dataset}: it has no JPEG files, and those are what is compared")
    # whole batches, because timm drops what is left over
    count = max(min(count, len(found)) // BATCH, 1) * BATCH
    return found.iloc[np.linspace(0, len(found) - 1, count).astype(int)].reset_index(drop=True)


def write_files(samples: pd.DataFrame, dataset: str, folder: Path, side: int | None) -> pd.DataFrame:
    """Write samples as single files, which is how the other loaders want them.

    Args:
        samples: the samples.
        dataset: where they come from.
        folder: where they go.
        side: side of the square that each is resized to, or None to leave the files as they are.

    Returns:
        The samples as they are now: paths, sizes and hashes.
    """
    whole = geometry.regions(samples, "resize", None, 0)
    written = []
    for number, image in enumerate(encoded.of(files.read(samples, whole, paths().raw(dataset)))):
        data, (_, _, width, height) = image.data, image.region
        if side is not None:
            buffer = io.BytesIO()
            with Image.open(io.BytesIO(data)) as image:
                image.convert("RGB").resize((side, side), Image.Resampling.BICUBIC).save(buffer, "JPEG", quality=90)
            data, width, height = buffer.getvalue(), side, side
        (folder / f"{number}.jpg").write_bytes(data)
        written.append((f"{number}.jpg", width, height, hashlib.sha256(data).hexdigest()))
    columns = ["path", "width", "height", "sha256"]
    now = pd.DataFrame(written, columns=columns)
    return samples.assign(archive="", **{column: now[column] for column in columns})
