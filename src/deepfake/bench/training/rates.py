"""Images a second of all loops, in turns, and the memory that each takes."""

import statistics
import tempfile
import time
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from deepfake.bench import memory
from deepfake.bench.training import loops, material, rivals
from deepfake.bench.training.loops import Turn
from deepfake.bench.training.material import Material, Setting
from deepfake.config.params import Params

OURS, GRAPHED, IN_MEMORY, WHOLE = "ours", "ours, graphed", "tensors in memory", "whole-step graph"
TIMM, TIMM_TENSORS, TORCHVISION = "timm", "timm, tensors in memory", "torchvision"
ON_GPU = (GRAPHED, WHOLE)
"""The loops that are CUDA graphs."""
Tell = Callable[[str], None]
"""Takes a line as soon as there is something to tell."""


class Budget(NamedTuple):
    """How long it may take.

    Args:
        files: JPEG files that are written.
        seconds: of a turn, about; a turn has two batches at least.
        most: images in a turn at most; of loops that are no CUDA graph, on a GPU, half as many.
        repeats: turns of each loop; fewer where a setting's time is over.
        box: seconds of a setting, after which no further repeat begins.
        total: seconds of all settings, after which no further setting begins.
    """

    files: int
    seconds: float
    most: int
    repeats: int
    box: float
    total: float


_FIRST = 2
"""Batches of a loop's first turn: with the second one the optimiser's state is there, too."""
_SLOW = 2.0
"""Seconds of a step from which on the first turn is the only one; its first step is hardly slower than others then."""
BUDGETS = {
    "cpu": Budget(files=256, seconds=0.8, most=1024, repeats=3, box=20, total=240),
    "cuda": Budget(files=512, seconds=0.3, most=8192, repeats=2, box=10, total=100),
}


class Files:
    """The JPEG files of a benchmark, and what they show at every size."""

    def __init__(self, folder: Path, count: int):
        """Write so many files into a folder."""
        self._folder = folder
        self.paths = material.write_files(folder / "files", count)
        self._images: dict[int, np.ndarray] = {}

    def images(self, size: int) -> np.ndarray:
        """Return the images at a size, decoded once."""
        if size not in self._images:
            self._images[size] = material.decoded(self.paths, size)
        return self._images[size]

    def material(self, size: int, count: int) -> Material:
        """Return so many images at a size."""
        folder = Path(tempfile.mkdtemp(dir=self._folder))
        return material.spread(self.paths, self.images(size), folder, count)


def measure(
    settings: Params, setting: Setting, files: Files, device: torch.device, budget: Budget, tell: Tell
) -> dict[str, Any]:
    """Time all loops in one setting.

    Args:
        settings: gives what decides no speed.
        setting: what is trained.
        files: what is trained on.
        device: where.
        budget: how long it may take.
        tell: told of a loop that fails; the others go on.

    Returns:
        The setting, `images` a turn, `repeats`, and by the name of each loop `rate` (images a second, the median),
        `mb` (its peak of memory) and `ratio`: how many times as fast our engine is as it trains here, graphed on a GPU
        (the median over turns).
    """
    start = time.perf_counter()
    batches, slow = _batches(setting, device, budget)
    sample = files.material(setting.size, batches * setting.batch)
    scale = settings.imagenet
    builders: dict[str, Callable[[], Turn]] = {
        OURS: lambda: loops.ours(settings, setting, sample, device, "never"),
        TIMM_TENSORS: lambda: rivals.timm_loop(setting, None, device, scale),
        IN_MEMORY: lambda: loops.in_memory(setting, device),
        TIMM: lambda: rivals.timm_loop(setting, sample, device, scale),
        TORCHVISION: lambda: rivals.torchvision_loop(setting, sample, device, scale),
    }
    if device.type == "cuda":
        graphed = {
            GRAPHED: lambda: loops.ours(settings, setting, sample, device, "auto"),
            WHOLE: lambda: loops.whole_step_graph(setting, device),
        }
        builders = graphed | builders
    turns: dict[str, Turn] = {}
    peaks: dict[str, float] = {}
    seconds: dict[str, list[float]] = {}
    for name, build in builders.items():
        with _told(f"{setting}: {name}", tell):
            with memory.peak(device) as peak:
                turn = build()
                # libraries choose their kernels, workers start, files come into the system's cache
                first = turn(_FIRST) / (_FIRST * setting.batch)
            turns[name], peaks[name], seconds[name] = turn, peak.megabytes, [first] if slow else []
    lengths = {name: batches if name in ON_GPU or device.type == "cpu" else max(batches // 2, 2) for name in turns}
    repeats = int(slow)
    while repeats == 0 or (not slow and repeats < budget.repeats and time.perf_counter() - start < budget.box):
        for name, turn in turns.items():
            with _told(f"{setting}: {name}", tell):
                # an image's, so that loops whose turns are shorter can be compared
                seconds[name].append(turn(lengths[name]) / (lengths[name] * setting.batch))
        repeats += 1
        turns = {name: turn for name, turn in turns.items() if len(seconds[name]) == repeats}
    seconds = {name: seconds[name] for name in turns}
    unit = seconds.get(GRAPHED, seconds.get(OURS, [float("nan")] * repeats))
    return {
        **setting._asdict(),
        "images": batches * setting.batch,
        "repeats": repeats,
        "rate": {name: 1 / statistics.median(times) for name, times in seconds.items()},
        "mb": peaks,
        # of neighbours in time: a machine that slows down for a while changes both alike
        "ratio": {name: statistics.median(np.divide(times, unit)) for name, times in seconds.items()},
    }


@contextmanager
def _told(what: str, tell: Tell) -> Generator[None]:
    """Tell of what fails in this block, and go on: it ran out of memory, lost a worker, or cannot be a CUDA graph."""
    try:
        yield
    except RuntimeError as error:
        tell(f"{what} failed: {str(error).splitlines()[0]}")


def line(row: dict[str, Any]) -> str:
    """Return a setting's row as a line of text."""
    told = ", ".join(f"{name} {rate:,.0f}" for name, rate in row["rate"].items())
    return f"{row['model']}, {row['size']} px, batch {row['batch']}: images/s: {told}"


def _batches(setting: Setting, device: torch.device, budget: Budget) -> tuple[int, bool]:
    """Return how many batches make a turn of the wished length, and whether the first turn has to do."""
    probe = loops.in_memory(setting, device)
    if device.type == "cuda":
        with suppress(RuntimeError):  # the step cannot be a graph, as its row will say
            probe = loops.whole_step_graph(setting, device)
    seconds = probe(1)
    if seconds < budget.seconds:  # of what is slow already the second step says nothing new
        seconds = probe(1)
    return max(_FIRST, min(round(budget.seconds / seconds), budget.most // setting.batch)), seconds > _SLOW


def measure_all(
    settings: Params,
    wanted: Iterable[Setting],
    files: Files,
    device: torch.device,
    budget: Budget,
    tell: Tell,
) -> list[dict[str, Any]]:
    """Return a row a setting (`measure`), each told as soon as it is there; those that there is no time for lack."""
    start, rows = time.perf_counter(), []
    for setting in wanted:
        if rows and time.perf_counter() - start > budget.total:
            tell(f"{setting}: not measured, the time is over")
            continue
        rows.append(measure(settings, setting, files, device, budget, tell))
        tell(line(rows[-1]))
    return rows


def best(row: dict[str, Any]) -> float:
    """Return the images a second of our engine as it trains here, 0 where it failed."""
    return row["rate"].get(GRAPHED, row["rate"].get(OURS, 0.0))
