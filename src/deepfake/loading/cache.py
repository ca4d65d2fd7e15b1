"""Every sample of a view decoded once: one array on disk, named after all that decides its bytes.

A study reads each sample some 75 times (folds times epochs), so decoding it each time is what a loader must not do.
The array can always be made again from the raw data, so neither git nor DVC keeps it.
"""

import fcntl
import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
import pandas as pd

from deepfake import modalities, runtime, tables
from deepfake.config import ViewConfig
from deepfake.errors import InputError
from deepfake.loading import files
from deepfake.progress import SILENT, Progress

_READ = 1 << 22
"""Bytes that are hashed at once."""
_DECIDING_PACKAGES = ("pillow", "nvidia-dali-cuda130", "av")


def ensure(
    view: ViewConfig,
    samples: pd.DataFrame,
    regions: pd.DataFrame,
    *,
    raw: Path,
    folder: Path,
    original: Path | None = None,
    threads: int,
    cuda: bool = False,
    progress: Progress = SILENT,
) -> Path:
    """Return the array of a view's samples, decoded now unless that was done before.

    Args:
        view: the resolved view; older arrays of its name and size are removed when a new one is there.
        samples: `tables.SAMPLES` or the manifest; the array has its order.
        regions: the modality's `REGIONS`, in the same order.
        raw: the folder that archives and paths start from.
        folder: where arrays are kept.
        original: such a folder of the workspace that this is a copy of, if it is one: an array there is linked.
        threads: decoding threads; they do not change the result.
        cuda: whether to decode on the GPU.
        progress: told how large the array will be, before it is made, and of the samples done.

    Returns:
        A `.npy` file of [n, ...], each sample as the modality stores it: of images uint8 [size, size, 3], RGB.

    Raises:
        InputError: the disk is too small, or a file is missing or differs from the one that was ingested.
    """
    name = f"{view.view}-{view.size}px"
    key = _key(view, samples, regions, cuda)
    path = folder / f"{name}-{key}.npy"
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
        if same := next(folder.glob(f"[!.]*-{key}.npy"), None):  # a view that differs in what follows decoding
            os.link(same, path)
            _remove_older(folder, name, path)
            return path
        for leftover in folder.glob(".*.npy"):
            leftover.unlink()
        modality = modalities.load(view.modality)
        shape, dtype = modality.stored(view)
        _check_space((len(samples), *shape), dtype, folder, view, progress)
        encoded = files.read(samples, regions, raw, streamed=modality.STREAMED)
        decoded = modality.decode(view, encoded, threads=threads, cuda=cuda)
        done = 0
        with modality.quiet(), tables.atomic(path) as temporary, temporary.open("wb") as file:
            # written, not mapped: a disk that fills up gives an error here, where a mapped file would kill the process
            header = {"descr": dtype, "fortran_order": False, "shape": (len(samples), *shape)}
            np.lib.format.write_array_header_1_0(file, header)
            for part in decoded:
                file.write(np.ascontiguousarray(part).data)
                done += len(part)
                progress.advance(f"decoding {view.view}", done, len(samples))
            if done != len(samples):
                raise AssertionError(f"{view.view}: {done} samples decoded of {len(samples)}")
        _remove_older(folder, name, path)
    return path


def _remove_older(folder: Path, name: str, path: Path) -> None:
    """Remove the arrays of a view and size that were made before this one."""
    for old in folder.glob(f"{name}-*.npy"):
        if old != path:
            old.unlink()


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
    """Return the SHA-256 of an array's values in their order, whatever its header."""
    digest = hashlib.sha256()
    # read, not mapped: the pages of a mapped file would count as this process's memory
    with path.open("rb") as file:
        np.lib.format.read_magic(file)
        np.lib.format.read_array_header_1_0(file)
        while part := file.read(_READ):
            digest.update(part)
    return digest.hexdigest()


def _check_space(shape: tuple[int, ...], dtype: str, folder: Path, view: ViewConfig, progress: Progress) -> None:
    """Say how large an array will be, and refuse to start when the disk cannot hold it."""
    needed = int(np.prod(shape, dtype=np.int64)) * np.dtype(dtype).itemsize
    free = shutil.disk_usage(folder).free
    sizes = f"{needed / 1e9:.2f} GB for {shape[0]:,} samples of {' x '.join(map(str, shape[1:]))}"
    progress.say(f"decoding {view.view}: {sizes}, {free / 1e9:.1f} GB free in {folder}")
    if needed > free:
        raise InputError(
            f"{folder}: {sizes} are needed and only {free / 1e9:.2f} GB are free; make room, put a link to a larger "
            "disk in its place, or lower the preset's resolution"
        )


def _key(view: ViewConfig, samples: pd.DataFrame, regions: pd.DataFrame, cuda: bool) -> str:
    """Return what an array is filed under: its files, their regions, and what decodes them."""
    modality = modalities.load(view.modality)
    digest = hashlib.sha256()
    digest.update("\n".join(samples["sha256"]).encode())
    digest.update(np.ascontiguousarray(regions.drop(columns="sample_id").to_numpy()).data)
    # front ends are applied to what is stored, so those of one window share it
    stored = (modality.stored(view), view.loader, cuda)
    code = runtime.code_hash(["loading/cache.py", "loading/files.py", *map(runtime.module_file, modality.DECODING)])
    digest.update(repr((stored, runtime.versions(_DECIDING_PACKAGES), code)).encode())
    return digest.hexdigest()[:12]
