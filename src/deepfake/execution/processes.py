"""Running independent jobs side by side on this machine's cores."""

import ctypes
import multiprocessing
import signal
import sys
from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.queues import SimpleQueue
from typing import Any

from deepfake import runtime
from deepfake.errors import InputError
from deepfake.execution.base import Job, News, Tell
from deepfake.project import Project, current

_START_METHOD = "fork" if sys.platform == "linux" else "spawn"
"""A forked worker has torch already, which takes seconds to import. Nothing in the parent has computed with torch
or shown a progress bar before the fork, so no thread of its can hold a lock in the worker."""


class LocalProcesses:
    """Processes of this machine, one a core; on a GPU one job after the other, in this process.

    Args:
        count: of processes at most; None for as many as the machine bears.
    """

    def __init__(self, count: int | None = None) -> None:
        self._count = count

    def workers(self) -> int:
        """Return the number of processes."""
        if self._count is not None:
            return self._count
        return 1 if runtime.device().type == "cuda" else runtime.cores()

    def run(
        self, function: Callable[[Job, Tell[News]], None], jobs: Iterable[Job], *, on_news: Tell[News], remedy: str
    ) -> None:
        """Call `function(job, tell)` for each job (`base.Executor.run`); with one worker in this process.

        Raises:
            InputError: a worker was killed, most likely for memory.
        """
        jobs = list(jobs)
        count = min(self.workers(), len(jobs))
        if count <= 1:
            for job in jobs:
                function(job, on_news)
            return
        context = multiprocessing.get_context(_START_METHOD)
        news = context.SimpleQueue()
        with ProcessPoolExecutor(count, context, initializer=_listen, initargs=(news, current())) as pool:
            waiting = {pool.submit(_work, function, job) for job in jobs}
            try:
                while waiting:
                    done, waiting = wait(waiting, timeout=0.2, return_when=FIRST_COMPLETED)
                    while not news.empty():
                        on_news(news.get())
                    for future in done:
                        future.result()
            except BrokenProcessPool:
                raise InputError(f"a process was killed, most likely for lack of memory; {remedy}") from None
            finally:
                pool.shutdown(wait=True, cancel_futures=True)


_PR_SET_PDEATHSIG = 1
"""From linux/prctl.h: the signal a process gets when its parent ends."""
_news: "SimpleQueue[Any] | None" = None
"""In a worker: the way to the parent."""


def _listen(news: "SimpleQueue[Any]", here: Project | None) -> None:
    """Remember, in a new worker, whom to tell and where it works; end with the parent, even when that is killed."""
    global _news
    _news = news
    if here is not None:
        here.enter()
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C reaches workers too; the parent has the word
    if sys.platform == "linux":
        # an orphan would go on working beside the run that takes over its work
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _work(function: Callable[[Job, Tell[Any]], None], job: Job) -> None:
    """Run a job in a worker."""
    assert _news is not None
    function(job, _news.put)
