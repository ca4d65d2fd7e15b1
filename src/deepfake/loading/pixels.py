"""Where decoded images wait until a batch needs them: on the GPU when they fit, else in pinned memory, or mapped.

A store gives `stream(chunks)`: for each chunk of rows, in order, the samples [b, ...] on the device.
"""

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Protocol

import numpy as np
import torch

_RESIDENT_SHARE = 0.5
"""Largest share of the free GPU memory that images may take; the rest is the model's."""
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
    needed = len(rows) * int(np.prod(images.shape[1:])) * images.itemsize
    if needed <= _RESIDENT_SHARE * torch.cuda.mem_get_info(device)[0]:
        return Resident(images, rows, device)
    return Pinned(images, device)


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

    def __init__(self, images: np.ndarray, rows: np.ndarray, device: torch.device):
        """Upload the images of some rows, a part at a time, so that the host never holds them all."""
        self.device = device
        rows = np.unique(rows)
        self._images = torch.empty((len(rows), *images.shape[1:]), dtype=_dtype(images), device=device)
        for start in range(0, len(rows), _UPLOAD):
            part = torch.from_numpy(images[rows[start : start + _UPLOAD]])
            self._images[start : start + len(part)].copy_(part)
        place_of = np.full(len(images), -1)
        place_of[rows] = np.arange(len(rows))
        self._place_of = torch.from_numpy(place_of).to(device)

    def stream(self, chunks: Iterable[np.ndarray]) -> Iterator[torch.Tensor]:
        """Yield the images of each chunk, gathered on the device."""
        for rows in chunks:
            where = self._place_of[torch.from_numpy(rows).to(self.device, non_blocking=True)]
            yield self._images.index_select(0, where)


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
