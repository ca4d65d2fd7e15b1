"""Every image of a view decoded once: one uint8 array on disk, named after all that decides its bytes.

A study reads each image some 75 times (folds times epochs), so decoding it each time is what a loader must not do.
The array can always be made again from the raw data, so neither git nor DVC keeps it.
"""

import fcntl
import hashlib
import itertools
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
import pandas as pd

from deepfake import runtime, tables
from deepfake.errors import InputError
from deepfake.modalities.image import backends, decoding, files, geometry
from deepfake.progress import SILENT, Progress

BATCH = 64
"""Images that are decoded, and in memory, at once."""
_READ = 1 << 22
"""Bytes that are hashed at once."""
_DECIDING_PACKAGES = ("pillow", "nvidia-dali-cuda130")
_DECODERS = ("dali", "decoding", "files", "metadata", "orientation", "vision")
_DECIDING_MODULES = ("loading/cache.py", *(f"modalities/image/{name}.py" for name in _DECODERS))


def ensure(
    samples: pd.DataFrame,
    regions: pd.DataFrame,
    size: int,
    *,
    raw: Path,
    folder: Path,
    original: Path | None = None,
    name: str,
    loader: str,
    threads: int,
    cuda: bool = False,
    progress: Progress = SILENT,
) -> Path:
    """Return the array of a view's images, decoded now unless that was done before.

    Args:
        samples: `tables.SAMPLES` or the manifest; the array has its order.
        regions: `tables.REGIONS`, in the same order.
        size: side in pixels.
        raw: the folder that archives and paths start from.
        folder: where arrays are kept.
        original: such a folder of the workspace that this is a copy of, if it is one: an array there is linked.
        name: what the array is called; older arrays of this name and size are removed when a new one is there.
        loader: the backend that decodes.
        threads: decoding threads; they do not change the result.
        cuda: whether to decode on the GPU.
        progress: told how large the array will be, before it is made, and of the images done.

    Returns:
        A `.npy` file of uint8 [n, size, size, 3], RGB.

    Raises:
        InputError: the disk is too small, or a file is missing or differs from the one that was ingested.
    """
    path = folder / f"{name}-{size}px-{_key(samples, regions, size, loader, cuda)}.npy"
    if path.exists():
        return path
    folder.mkdir(parents=True, exist_ok=True)
    if original is not None and (original / path.name).exists():
        with suppress(OSError):  # on another disk, or made or removed by another process just now
            os.link(original / path.name, path)
            return path
    # one process decodes at a time, the others wait and find it done; so what a killed one left behind is nobody's
    with _locked(folder):
        if path.exists():
            return path
        for leftover in folder.glob(".*.npy"):
            leftover.unlink()
        shape = (len(samples), size, size, 3)
        _check_space(shape, folder, name, progress)
        encoded = files.read(samples, regions, raw)
        batches = iter(lambda: list(itertools.islice(encoded, BATCH)), [])
        decoded = backends.load(loader).decode(batches, size, threads=threads, cuda=cuda)
        done = 0
        with decoding.quiet(), tables.atomic(path) as temporary, temporary.open("wb") as file:
            # written, not mapped: a disk that fills up gives an error here, where a mapped file would kill the process
            header = {"descr": "|u1", "fortran_order": False, "shape": shape}
            np.lib.format.write_array_header_1_0(file, header)
            for images in decoded:
                file.write(images.data)
                done += len(images)
                progress.advance(f"decoding {name}", done, len(samples))
        for old in folder.glob(f"{name}-{size}px-*.npy"):
            if old != path:
                old.unlink()
    return path


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Keep other processes out of a folder; a lock ends with its process."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def pixels_hash(path: Path) -> str:
    """Return the SHA-256 of an array's pixels, [n, size, size, 3] in that order."""
    digest = hashlib.sha256()
    # read, not mapped: the pages of a mapped file would count as this process's memory
    with path.open("rb") as file:
        np.lib.format.read_magic(file)
        np.lib.format.read_array_header_1_0(file)
        while part := file.read(_READ):
            digest.update(part)
    return digest.hexdigest()


def _check_space(shape: tuple[int, ...], folder: Path, name: str, progress: Progress) -> None:
    """Say how large an array will be, and refuse to start when the disk cannot hold it."""
    needed, free = int(np.prod(shape, dtype=np.int64)), shutil.disk_usage(folder).free
    sizes = f"{needed / 1e9:.2f} GB for {shape[0]:,} images of {shape[1]} px"
    progress.say(f"decoding {name}: {sizes}, {free / 1e9:.1f} GB free in {folder}")
    if needed > free:
        raise InputError(
            f"{folder}: {sizes} are needed and only {free / 1e9:.2f} GB are free; make room, put a link to a larger "
            "disk in its place, or lower the preset's resolution"
        )


def _key(samples: pd.DataFrame, regions: pd.DataFrame, size: int, loader: str, cuda: bool) -> str:
    """Return what an array is filed under: its files, their regions, and what decodes them."""
    digest = hashlib.sha256()
    digest.update("\n".join(samples["sha256"]).encode())
    digest.update(np.ascontiguousarray(regions[geometry.CORNERS].to_numpy()).data)
    versions = runtime.versions(_DECIDING_PACKAGES)
    digest.update(repr((size, loader, cuda, versions, runtime.code_hash(_DECIDING_MODULES))).encode())
    return digest.hexdigest()[:12]
