"""The largest memory that some work takes: of the GPU where there is one, else of this process."""

import ctypes
import gc
import threading
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path

import torch

_EVERY = 0.005
"""Seconds between two looks at the process."""


class Peak:
    """What was taken, in MB."""

    megabytes = 0.0


@contextmanager
def peak(device: torch.device) -> Generator[Peak]:
    """Measure how much the work of this block takes at most, beyond what is there at its start.

    On a CPU it is the process's own memory without mapped files and without other processes (Linux, `RssAnon`).
    """
    found = Peak()
    gc.collect()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
        torch.cuda.empty_cache()
        before = torch.cuda.memory_allocated(device)
        torch.cuda.reset_peak_memory_stats(device)
        yield found
        found.megabytes = (torch.cuda.max_memory_allocated(device) - before) / 2**20
        return
    _give_back()
    before, done = own(), threading.Event()

    def watch() -> None:
        while not done.wait(_EVERY):
            found.megabytes = max(found.megabytes, own() - before)

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield found
    finally:
        done.set()
        watcher.join()


def own() -> float:
    """Return this process's memory without mapped files, in MB (Linux)."""
    with suppress(FileNotFoundError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("RssAnon:"):
                return int(line.split()[1]) / 1024
    return 0.0


def _give_back() -> None:
    """Return memory that was freed but kept (`runtime.keep_memory`), which would otherwise be taken without a trace."""
    with suppress(OSError, AttributeError):  # not glibc
        ctypes.CDLL("libc.so.6").malloc_trim(0)
