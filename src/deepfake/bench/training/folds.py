"""Folds side by side: a small study through the executor, with one worker and with several."""

import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch

from deepfake import execution, project, runtime, tables
from deepfake.bench.training import loops
from deepfake.bench.training.material import Setting
from deepfake.config.execution import Execution
from deepfake.config.params import Params
from deepfake.execution import Executor, Tell
from deepfake.execution.processes import LocalProcesses
from deepfake.project import Project
from deepfake.runs.fold import FoldJob, train_fold


class Study(NamedTuple):
    """A small study.

    Args:
        setting: what is trained.
        images: in all; of these 80% are trained on, 10% chosen on, and 10% held out.
        epochs: of a fold.
        counts: so many folds are timed one after the other.
        workers: the last count is timed again with so many workers.
    """

    setting: Setting
    images: int
    epochs: int
    counts: tuple[int, ...]
    workers: tuple[int, ...]


STUDIES = {
    "cpu": Study(Setting("simple_cnn", 64, 32), 640, 4, (1, 2, 4), (2,)),
    "cuda": Study(Setting("resnet18", 64, 32), 2048, 8, (1, 2, 5), (2, 4, 5)),
}


class Began(NamedTuple):
    """A fold's process is ready to train.

    Args:
        moment: of `time.monotonic`, which all processes of a machine share.
    """

    moment: float


def measure(settings: Params, study: Study, folder: Path, repeats: int) -> Iterator[dict[str, float]]:
    """Time the folds, one row as soon as it is measured.

    Args:
        settings: gives what decides no speed.
        study: what is trained.
        folder: for the folds' files.
        repeats: of each; the least disturbed counts, the smallest.

    Yields:
        `folds`, `workers`, `startup` (seconds until the first fold begins), `seconds` from there to
        the end of the last.
    """
    shutil.copy(project.paths().params, folder)
    with Project(folder).entered():
        jobs = list(_jobs(settings, study, folder))
        for count, workers in [(count, 1) for count in study.counts] + [(study.counts[-1], n) for n in study.workers]:
            found = [_time(jobs[:count], _executor(workers)) for _ in range(repeats)]
            startup, seconds = min(found, key=lambda times: times[1])
            yield {"folds": count, "workers": workers, "startup": startup, "seconds": seconds}


def gains(rows: list[dict[str, float]]) -> pd.DataFrame:
    """Return the rows with `alone` (seconds over one fold alone) and `gain` (one by one over side by side)."""
    frame = pd.DataFrame(rows)
    alone = frame.loc[frame["folds"] == 1, "seconds"].iloc[0]
    single = frame[frame["workers"] == 1].set_index("folds")["seconds"]
    return frame.assign(alone=frame["seconds"] / alone, gain=frame["folds"].map(single) / frame["seconds"])


def _executor(workers: int) -> Executor:
    """Return so many processes, all on one GPU where there is one."""
    if runtime.device().type == "cuda":
        return LocalProcesses(settings=Execution(gpus=1, per_gpu=workers))
    return LocalProcesses(workers)


def _time(jobs: list[FoldJob], executor: Executor) -> tuple[float, float]:
    """Return the seconds until the first fold begins, and from there to the end."""
    moments: list[float] = []

    def hear(news: Any) -> None:
        if isinstance(news, Began):
            moments.append(news.moment)

    start = time.monotonic()
    with execution.using(executor):
        execution.run_jobs(_fold, jobs, on_news=hear)
    end = time.monotonic()
    return min(moments) - start, end - min(moments)


def _fold(job: FoldJob, tell: Tell[Any]) -> None:
    """Train a fold as a study does, once its process has a device."""
    torch.zeros(1, device=runtime.device())
    tell(Began(time.monotonic()))
    train_fold(job, tell)


def _jobs(settings: Params, study: Study, folder: Path) -> Iterator[FoldJob]:
    """Yield a fold's job each: the same images, other parts held out."""
    rng = np.random.default_rng(0)
    side = study.setting.size
    images = folder / "images.npy"
    np.save(images, rng.integers(0, 256, (study.images, side, side, 3), dtype=np.uint8))
    labels = np.arange(study.images) % 2
    ids = np.array([f"image{number}" for number in range(study.images)])
    run = loops.run_config(settings, study.setting, study.epochs)
    parts = np.array(["train"] * 8 + ["validation", "held_out"])
    assert set(parts) == set(tables.SUBSETS)
    for fold in range(study.counts[-1]):
        subsets = parts[(np.arange(study.images) // 2 + fold) % len(parts)]  # both labels in each part
        yield FoldJob(
            *(run, fold, ids, ids, labels, subsets, images, None, None, folder / f"fold{fold}"),
            datasets=np.zeros(study.images, np.int64),
        )
