"""What a loader takes of time, of the processor and of memory: an epoch of it, or what can be seen in some seconds."""

import multiprocessing
import os
import time
from pathlib import Path
from typing import NamedTuple

import torch

from deepfake.bench import memory
from deepfake.bench.photographs import BATCH
from deepfake.bench.rivals import Epoch


class Timed(NamedTuple):
    """A loader, the images in an epoch of it, and the batches after which the clock starts: then its workers work."""

    epoch: Epoch
    images: int
    skipped: int = 0


def an_image(loader: Timed, seconds: float) -> tuple[float, float]:
    """Return seconds and CPU seconds an image, of a whole epoch or of what can be seen of it in some seconds."""
    wall, cpu, seen = time.perf_counter(), _cpu_seconds(), 0
    for number, batch in enumerate(loader.epoch(), 1):
        seen += len(batch)
        if number == loader.skipped:
            wall, cpu, seen = time.perf_counter(), _cpu_seconds(), 0
        elif number > loader.skipped and time.perf_counter() - wall > seconds:
            break
    else:
        assert seen == loader.images - loader.skipped * BATCH
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return (time.perf_counter() - wall) / seen, (_cpu_seconds() - cpu) / seen


def _cpu_seconds() -> float:
    """Return the CPU time of this process and its workers (Linux); it counts that of workers in hundredths."""
    ticks = 0
    for child in multiprocessing.active_children():
        # the command's name, in parentheses, may contain spaces
        fields = Path(f"/proc/{child.pid}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return time.process_time() + ticks / os.sysconf("SC_CLK_TCK")


def growth(loader: Timed, seconds: float) -> float:
    """Return the largest growth of the process's own memory in a loader's first epoch, in MB."""
    before, start, most = memory.own(), time.perf_counter(), 0.0
    for number, _ in enumerate(loader.epoch(), 1):
        most = max(most, memory.own() - before)
        if number > loader.skipped and time.perf_counter() - start > seconds:
            break
    return most
