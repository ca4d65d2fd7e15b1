"""Running independent jobs side by side on this machine's cores."""

import multiprocessing
from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from queue import Empty
from typing import Any

from deepfake.errors import InputError

_PRELOADED = ["deepfake.studies.fold", "timm"]
"""Imported once in the server process that workers are forked from: torch and timm take seconds."""


@dataclass(frozen=True)
class FoldNews:
    """What a running fold says of itself after an epoch."""

    fold: int
    epoch: int
    epochs: int
    validation_auc: float
    finished: bool = False


Tell = Callable[[FoldNews], None]
"""By which a job gives news of itself."""


def run_jobs(function: Callable[[Any, Tell], None], jobs: Iterable[Any], *, workers: int, on_news: Tell) -> None:
    """Call `function(job, tell)` for each job, in as many processes as there are workers.

    With one worker the jobs run in this process. What a job tells reaches `on_news` here.

    Raises:
        InputError: a worker was killed, most likely for memory.
    """
    jobs = list(jobs)
    if workers <= 1 or len(jobs) <= 1:
        for job in jobs:
            function(job, on_news)
        return
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(_PRELOADED)
    with context.Manager() as manager, ProcessPoolExecutor(min(workers, len(jobs)), context) as pool:
        news = manager.Queue()

        def hand_on() -> None:
            while True:
                try:
                    on_news(news.get_nowait())
                except Empty:
                    return

        waiting = {pool.submit(function, job, news.put) for job in jobs}
        try:
            while waiting:
                done, waiting = wait(waiting, timeout=0.2, return_when=FIRST_COMPLETED)
                hand_on()
                for future in done:
                    future.result()
        except BrokenProcessPool:
            message = "a training process was killed, most likely for lack of memory; lower shared.batch_size"
            raise InputError(message) from None
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
