"""Where decoded images wait until a batch needs them: on the GPU when they fit, else in pinned memory, or mapped.

A store gives `stream(chunks)`: for each chunk of rows, in order, the samples [b, ...] on the device.
"""

import copy
import gc
import mmap
import weakref
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch

from deepfake import runtime

_RESIDENT_SHARE = 0.5
"""Largest share of the free GPU memory that images may take, of all jobs there together; the rest is the models'."""
_UPLOAD = 512
"""Images in one step of the upload."""
_AHEAD = 3
"""Batches that are gathered and copied before they are asked for."""


class Store(Protocol):
    """Decoded images at rest."""

    device: torch.device

    def stream(self, chunks: Iterable[np.ndarray]) -> Iterator[torch.Tensor]:
        """Yield the samples of each chunk of rows, [b, ...]."""
        ...


def place(images: np.ndarray, rows: np.ndarray, device: torch.device) -> Store:
    """Put images where batches are made from them fastest.

    Args:
        images: [n, ...], as a modality stores them, most often mapped from a file.
        rows: the rows that will be asked for.
        device: where the batches are needed.
    """
    if device.type != "cuda":
        return Mapped(images)
    return _resident(images, rows, device) or Pinned(images, device)


_kept: "dict[tuple[Any, ...], tuple[Resident, weakref.ref[Resident]]]" = {}
"""Of each file that this process works on: its images on the device, and the store by which they were lent last."""


def _resident(images: np.ndarray, rows: np.ndarray, device: torch.device) -> "Resident | None":
    """Return images on the device, or None where they do not fit; each is uploaded once while its file is in use."""
    key, size = _identity(images, device), int(np.prod(images.shape[1:])) * images.itemsize
    rows = np.unique(rows)
    have = _kept[key][0] if key in _kept else None
    if have is not None:
        new = np.setdiff1d(rows, have.rows)
        if len(new) == 0:
            return _lent(key, have)
        # folds of one run share most of their images; what shares none, such as blocks of features, comes only once
        if len(new) < len(rows) and (len(have.rows) + len(new)) * size <= _room(device):
            return _lent(key, Resident(images, new, device, have))
    have = None
    _give_back(key)
    if len(rows) * size > _room(device):
        gc.collect()
        _give_back(key)
        torch.cuda.empty_cache()  # what torch keeps for later counts as taken
        if len(rows) * size > _room(device):
            return None
    return _lent(key, Resident(images, rows, device))


def _room(device: torch.device) -> float:
    """Return how many bytes images may take."""
    return _RESIDENT_SHARE * torch.cuda.mem_get_info(device)[0] / runtime.gpu_sharers()


def _identity(images: np.ndarray, device: torch.device) -> tuple[Any, ...]:
    """Return what a whole mapped file is known by until it is written anew; () for any other array."""
    if not isinstance(images, np.memmap) or not isinstance(images.base, mmap.mmap) or images.filename is None:
        return ()
    path = Path(images.filename)
    try:
        stat = path.stat()
    except OSError:
        return ()
    return (path.resolve(), stat.st_ino, stat.st_mtime_ns, stat.st_size, device)


def _lent(key: tuple[Any, ...], store: "Resident") -> "Resident":
    """Keep the images of a file, and return a store whose end tells that nobody uses them any more."""
    lent = copy.copy(store)
    if key:
        _kept[key] = (store, weakref.ref(lent))
    return lent


def _give_back(key: tuple[Any, ...]) -> None:
    """Give back the memory of a file's images, and of those that nobody uses any more."""
    _kept.pop(key, None)
    for other in [other for other, (_, lent) in _kept.items() if lent() is None]:
        del _kept[other]


def _dtype(samples: np.ndarray) -> torch.dtype:
    return torch.from_numpy(samples[:0].copy()).dtype


class Mapped:
    """Images in the memory of the processor: the pages of a mapped file, shared by all processes."""

    def __init__(self, images: np.ndarray):
        """Keep the array."""
        self.device = torch.device("cpu")
        self._images = images

    def stream(self, chunks: Iterable[np.ndarray]) -> Iterator[torch.Tensor]:
        """Yield copies of the images of each chunk."""
        for rows in chunks:
            yield torch.from_numpy(self._images[rows])


class Resident:
    """Images on the device itself: a batch is one gather there, and nothing is transferred."""

    def __init__(self, images: np.ndarray, rows: np.ndarray, device: torch.device, have: "Resident | None" = None):
        """Upload the images of some rows, a part at a time, so that the host never holds them all.

        Args:
            images: [n, ...].
            rows: those that will be asked for.
            device: where they go.
            have: a store of other rows of the same images, which are copied on the device.
        """
        self.device = device
        new = np.unique(rows)
        known = np.empty(0, new.dtype) if have is None else have.rows
        self.rows = np.concatenate([known, new])
        self._images = torch.empty((len(self.rows), *images.shape[1:]), dtype=_dtype(images), device=device)
        if have is not None:
            self._images[: len(known)].copy_(have._images)
        for start in range(0, len(new), _UPLOAD):
            part = torch.from_numpy(images[new[start : start + _UPLOAD]])
            self._images[len(known) + start : len(known) + start + len(part)].copy_(part)
        place_of = np.full(len(images), -1)
        place_of[self.rows] = np.arange(len(self.rows))
        self._place_of = torch.from_numpy(place_of).to(device)

    def stream(self, chunks: Iterable[np.ndarray]) -> Iterator[torch.Tensor]:
        """Yield the images of each chunk, gathered on the device; their rows are sent there once for all chunks."""
        chunks = list(chunks)
        if chunks:
            where = self._place_of[torch.from_numpy(np.concatenate(chunks)).to(self.device)]
            for part in where.split([len(rows) for rows in chunks]):
                yield self._images.index_select(0, part)


class Pinned:
    """Images that do not fit on the device: gathered by a thread into pinned memory, copied beside the computation."""

    def __init__(self, images: np.ndarray, device: torch.device):
        """Keep the array and make the buffers' stream."""
        self.device = device
        self._images = images
        self._stream = torch.cuda.Stream(device)

    def stream(self, chunks: Iterable[np.ndarray]) -> Iterator[torch.Tensor]:
        """Yield the images of each chunk; the next ones are on their way already."""
        waiting: deque[Future[tuple[torch.Tensor, torch.cuda.Event]]] = deque()
        with ThreadPoolExecutor(1) as pool:
            for rows in chunks:
                waiting.append(pool.submit(self._send, rows))
                if len(waiting) > _AHEAD:
                    yield self._receive(waiting.popleft())
            while waiting:
                yield self._receive(waiting.popleft())

    def _send(self, rows: np.ndarray) -> tuple[torch.Tensor, torch.cuda.Event]:
        """Gather rows and start their copy; torch reuses a pinned block only when its copies are done."""
        pinned = torch.empty((len(rows), *self._images.shape[1:]), dtype=_dtype(self._images), pin_memory=True)
        np.take(self._images, rows, axis=0, out=pinned.numpy())
        with torch.cuda.stream(self._stream):
            images = pinned.to(self.device, non_blocking=True)
            arrived = torch.cuda.Event()
            arrived.record(self._stream)
        return images, arrived

    def _receive(self, sent: "Future[tuple[torch.Tensor, torch.cuda.Event]]") -> torch.Tensor:
        """Hand over images once they have arrived, as far as the current stream is concerned."""
        images, arrived = sent.result()
        stream = torch.cuda.current_stream(self.device)
        arrived.wait(stream)
        images.record_stream(stream)
        return images
