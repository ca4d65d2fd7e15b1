"""Workers in their places: who gets the next job, and what becomes of a place whose memory did not suffice."""

import multiprocessing
import sys
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass, field
from typing import Any, Generic, Literal, NamedTuple

from deepfake.errors import InputError
from deepfake.execution import worker
from deepfake.execution.base import ENGINE, Job, News, Tell
from deepfake.execution.devices import Place
from deepfake.progress import JobState
from deepfake.project import current

FORK = sys.platform == "linux"
"""Whether workers on the CPU are forked: such a worker has torch already, which takes seconds to import. Nothing in the
parent has computed with torch or shown a progress bar before the fork, so no thread of its can hold a lock in the
worker. CUDA does not survive a fork: a server that never starts it forks the workers on GPUs, and has torch as well."""
_PRELOADED = ("torch", "timm")
"""What the server imports once for all workers, beside the module of the first jobs."""
_SECONDS = 0.2
"""At most so old are news when they are told."""


class _Running(NamedTuple):
    """A job by its number, and how many were allowed in its place when it began."""

    number: int
    bound: int


@dataclass(eq=False)
class _Pool:
    """Processes of one place, and what they do; on a GPU one process, so that it can be closed alone."""

    place: Place
    processes: int
    executor: ProcessPoolExecutor
    running: "dict[Future[str | None], _Running]" = field(default_factory=dict)


class Crew(Generic[Job, News]):
    """Carries out jobs by workers, once.

    Args:
        function: what is done for a job.
        jobs: all of them.
        names: what they are called.
        places: where they are done; none for the cores of this machine.
        count: of the workers.
    """

    def __init__(
        self,
        function: Callable[[Job, Tell[News]], None],
        jobs: Sequence[Job],
        names: Sequence[str],
        places: Sequence[Place],
        count: int,
    ) -> None:
        self._function, self._jobs, self._names = function, jobs, names
        self._forked = not places and FORK
        self._places = places or [Place(jobs=count)]
        self._count = count
        self._bound = min(max(place.jobs for place in self._places), -(-count // len(self._places)))
        self._context = context(function.__module__, forked=self._forked, on_gpus=bool(places))
        self._news = self._context.SimpleQueue()
        self._pools: list[_Pool] = []
        self._waiting = deque(range(len(jobs)))
        self._where = [""] * len(jobs)

    def work(self, on_news: Tell[News], on_state: Tell[JobState], remedy: str) -> None:
        """Carry out all jobs, and return when they are done (`base.Executor.run`).

        Raises:
            InputError: as there; and a job finds too little memory on a GPU of its own.
            BrokenProcessPool: a worker was killed.
        """

        def tell(number: int, state: Literal["waiting", "running", "done", "failed"], where: str = "") -> None:
            on_state(JobState(self._names[number], state, where))

        try:
            while self._waiting or self._running():
                self._start()
                done, _ = wait(self._running(), timeout=_SECONDS, return_when=FIRST_COMPLETED)
                while not self._news.empty():
                    news = self._news.get()
                    if isinstance(news, worker.Started):
                        tell(news.number, "running", self._where[news.number])
                    else:
                        on_news(news)
                for future in done:
                    pool = next(pool for pool in self._pools if future in pool.running)
                    job = pool.running.pop(future)
                    try:
                        said = future.result()
                        if said is not None and job.bound == 1:
                            alone = f"on {pool.place.name}" if pool.place.name else "on the GPU"
                            raise InputError(f"{self._names[job.number]}: {said}, alone {alone}; {remedy}")
                    except Exception as error:
                        tell(job.number, "failed", str(error).split("\n")[0] or type(error).__name__)
                        raise
                    if said is None:
                        tell(job.number, "done", self._where[job.number])
                    else:
                        tell(job.number, "waiting", self._fewer(pool, job))
        finally:
            self._close()

    def _running(self) -> "list[Future[str | None]]":
        return [future for pool in self._pools for future in pool.running]

    def _start(self) -> None:
        """Begin waiting jobs, each in the place where the fewest are at work, as long as there is room."""
        self._close_spare()
        while self._waiting and len(self._running()) < self._count:
            place = min(self._places, key=self._at_work)
            bound = min(self._bound, place.jobs)
            if self._at_work(place) >= bound:
                return
            pool, number = self._free(place), self._waiting.popleft()
            self._where[number] = place.name
            future = pool.executor.submit(worker.work, self._function, self._jobs[number], number, bound)
            pool.running[future] = _Running(number, bound)

    def _close_spare(self) -> None:
        """End processes beyond what is allowed once they are idle: they still hold the memory of their last job."""
        for place in self._places:
            here = [pool for pool in self._pools if pool.place is place]
            idle = [pool for pool in here if not pool.running]
            for pool in idle[: max(0, len(here) - self._bound)]:
                self._end(pool)

    def _end(self, pool: _Pool) -> None:
        self._pools.remove(pool)
        pool.executor.shutdown()

    def _at_work(self, place: Place) -> int:
        return sum(len(pool.running) for pool in self._pools if pool.place is place)

    def _free(self, place: Place) -> _Pool:
        """Return processes of a place one of which has nothing to do; new ones, where there are none."""
        for pool in self._pools:
            if pool.place is place and len(pool.running) < pool.processes:
                return pool
        processes = self._count if self._forked else 1
        start = (self._news, current(), ENGINE.get(None), place)
        executor = ProcessPoolExecutor(processes, self._context, initializer=worker.listen, initargs=start)
        self._pools.append(_Pool(place, processes, executor))
        return self._pools[-1]

    def _fewer(self, pool: _Pool, job: _Running) -> str:
        """Put a job back that found too little memory, and allow half as many in each place; return what to tell."""
        self._waiting.appendleft(job.number)
        told = ""
        if job.bound <= self._bound:  # else those that are at work now began before the last time
            self._bound = job.bound // 2
            told = f"out of memory with {job.bound} jobs a GPU; {self._bound} from now on"
        self._end(pool)  # which frees its memory for certain
        return told

    def _close(self) -> None:
        """End all workers once their jobs have ended; what is still told is let pass, lest they wait for a reader."""
        while left := [future for future in self._running() if not future.done()]:
            wait(left, timeout=_SECONDS)
            while not self._news.empty():
                self._news.get()
        for pool in self._pools:
            pool.executor.shutdown(cancel_futures=True)


def context(module: str, *, forked: bool, on_gpus: bool) -> Any:
    """Return how workers are started."""
    if forked:
        return multiprocessing.get_context("fork")
    if not on_gpus or "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([*_PRELOADED, module])  # of no effect once the server runs
    return context
