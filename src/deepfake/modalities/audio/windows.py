"""How a recording is cut into windows of one length, and how the windows are read from its file."""

import queue
import threading
from collections import deque
from collections.abc import Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from itertools import islice

import numpy as np

from deepfake.errors import InputError
from deepfake.modalities.audio import decoding
from deepfake.modalities.base import File, Medium

_HELD = 64
"""Windows that are handed on at once, at most: of 4 s, 8 MB."""
_AHEAD = 2
"""Such portions of a file that are decoded before anybody wants them."""


def starts(length: int, window: int) -> list[int]:
    """Return where the windows of a recording begin.

    They follow each other from its beginning. What is left at its end is dropped when it is shorter than half a window;
    else the last window is moved back so that it ends with the recording. A recording shorter than a window has one.

    Args:
        length: samples of the recording.
        window: samples of a window.
    """
    whole, left = divmod(length, window)
    found = [number * window for number in range(whole)] or [0]
    return [*found, length - window] if whole and 2 * left >= window else found


def decode(window: int, files: Iterable[File], *, threads: int) -> Iterator[np.ndarray]:
    """Read windows, each file once, several files side by side.

    Args:
        window: samples of a window.
        files: with (start, length) of each of their windows, in ascending order.
        threads: decoding threads; they do not change the result.

    Yields:
        int16 [b, window], in the order of the files: at most 64 windows at once, whatever the length of a recording.

    Raises:
        InputError: a file has less sound than was seen when it was inspected.
    """
    if threads == 1:
        for file in files:
            yield from of_file(file, window)
        return
    stopped = threading.Event()

    def work(file: File, portions: "queue.Queue[np.ndarray | None]") -> None:
        try:
            with closing(of_file(file, window)) as found:
                for portion in found:
                    _put(portions, portion, stopped)
        finally:
            _put(portions, None, stopped)

    running: deque[tuple[Future[None], queue.Queue[np.ndarray | None]]] = deque()
    waiting = iter(files)
    with ThreadPoolExecutor(threads) as pool:
        try:
            while True:
                for file in islice(waiting, 2 * threads - len(running)):
                    portions: queue.Queue[np.ndarray | None] = queue.Queue(_AHEAD)
                    running.append((pool.submit(work, file, portions), portions))
                if not running:
                    return
                done, portions = running.popleft()
                while (portion := portions.get()) is not None:
                    yield portion
                done.result()
        finally:
            stopped.set()


def of_file(file: File, window: int) -> Generator[np.ndarray]:
    """Yield the windows of one file, int16 [b, window]; a recording shorter than a window is repeated until it is full.

    Raises:
        InputError: the file has less sound than was seen when it was inspected.
    """
    pieces = _pieces(file.medium, [(start, min(length, start + window)) for start, length in file.rows])
    while portion := [np.resize(piece, window) for piece in islice(pieces, _HELD)]:
        yield np.stack(portion)


def _pieces(medium: Medium, wanted: list[tuple[int, int]]) -> Iterator[np.ndarray]:
    """Yield parts of a recording, which may overlap, given by their first sample and that after their last."""
    held = np.empty(0, np.int16)
    first, pieces = 0, iter(wanted)
    try:
        with decoding.opened(medium) as track:
            blocks: list[np.ndarray] = []
            reached = 0
            samples = track.samples()
            for start, end in pieces:
                while reached < end:
                    block = next(samples, None)
                    if block is None:
                        raise decoding.Unusable(f"{reached} samples of sound, {end} expected")
                    blocks.append(block)
                    reached += len(block)
                    if reached <= start:  # what nobody wants is not held, however far the next piece is
                        held, blocks, first = held[:0], [], reached
                held = np.concatenate([held, *blocks])[start - first :]
                first, blocks = start, []
                yield held[: end - start]
    except decoding.Unusable as error:
        where = medium if not isinstance(medium, bytes) else "a file in an archive"
        raise InputError(f"{where}: {error}; ingest the data set again") from None


def _put(portions: "queue.Queue[np.ndarray | None]", portion: np.ndarray | None, stopped: threading.Event) -> None:
    """Hand on a portion as soon as there is room, unless nobody wants it any more."""
    while not stopped.is_set():
        try:
            return portions.put(portion, timeout=0.1)
        except queue.Full:
            continue
