"""Decoding: from the files of a manifest to one array of square, resized images."""

import hashlib
import io
import itertools
import zipfile
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image, ImageOps

from deepfake.errors import InputError

_BATCH = 256
"""Encoded files in memory at once."""


def decode(
    manifest: pd.DataFrame,
    raw: Path,
    size: int,
    *,
    destination: Path,
    threads: int,
    progress: Callable[[int], None] = lambda done: None,
) -> np.ndarray:
    """Decode every image of a manifest once, into one array on disk.

    Args:
        manifest: the rows to decode, in the order of the result.
        raw: the folder that their archives and paths start from.
        size: side of the result in pixels.
        destination: the `.npy` file to write; it is mapped, so that processes share its memory.
        threads: decoding threads; they do not change the result.
        progress: called with the number of images done.

    Returns:
        uint8 [n, size, size, 3], RGB: the central square of each image, resized.

    Raises:
        InputError: a file is missing or differs from the one that was ingested.
    """
    images = np.lib.format.open_memmap(destination, "w+", np.uint8, (len(manifest), size, size, 3))
    rows = list(zip(manifest["archive"], manifest["path"], strict=True))
    hashes = manifest["sha256"].tolist()

    def decode_one(row: int, data: bytes) -> np.ndarray:
        if hashlib.sha256(data).hexdigest() != hashes[row]:
            where = raw / Path(*rows[row])
            raise InputError(f"{where}: differs from the file that was ingested; ingest the data set again")
        return central_square(data, size)

    with ExitStack() as stack, ThreadPoolExecutor(threads) as pool:
        files = _read(rows, raw, stack)
        for start in range(0, len(rows), _BATCH):
            batch = [next(files) for _ in rows[start : start + _BATCH]]
            for offset, image in enumerate(pool.map(decode_one, itertools.count(start), batch)):
                images[start + offset] = image
            progress(start + len(batch))
    images.flush()
    return images


def central_square(data: bytes, size: int) -> np.ndarray:
    """Decode one image and resize its central square, with antialiasing (PIL's bilinear filter).

    Args:
        data: the encoded file.
        size: side of the result in pixels.

    Returns:
        uint8 [size, size, 3], RGB.
    """
    with Image.open(io.BytesIO(data)) as opened:
        # a palette with transparent entries has to become RGBA on its way to RGB
        image = opened.convert("RGBA") if "transparency" in opened.info else opened
        return np.asarray(ImageOps.fit(image.convert("RGB"), (size, size), Image.Resampling.BILINEAR))


def _read(rows: list[tuple[str, str]], raw: Path, stack: ExitStack) -> Iterator[bytes]:
    """Yield the encoded files one by one; each archive is opened once and read in place."""
    archives: dict[str, zipfile.ZipFile] = {}
    for archive, path in rows:
        try:
            if not archive:
                yield (raw / path).read_bytes()
                continue
            if archive not in archives:
                archives[archive] = stack.enter_context(zipfile.ZipFile(raw / archive))
            yield archives[archive].read(path)
        except (FileNotFoundError, KeyError, zipfile.BadZipFile, zlib.error, RuntimeError):
            where = raw / archive / path
            raise InputError(f"{where}: in the manifest but not readable; ingest the data set again") from None
