"""Running independent jobs side by side on this machine: on its cores, or on its GPUs."""

import functools
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures.process import BrokenProcessPool

from deepfake import runtime
from deepfake.config.execution import Execution
from deepfake.errors import InputError
from deepfake.execution import devices
from deepfake.execution.base import Job, News, Tell, unheard
from deepfake.execution.crew import Crew
from deepfake.execution.devices import Place
from deepfake.progress import JobState


class LocalProcesses:
    """Processes of this machine: one a core, or some on each GPU; where that makes one, this process.

    Args:
        count: of processes at most; None for as many as the machine bears.
        settings: which GPUs are used, and by how many processes each.
        places: where jobs work, in processes of their own; None for the GPUs that the settings allow.
    """

    def __init__(
        self, count: int | None = None, settings: Execution | None = None, places: Sequence[Place] | None = None
    ) -> None:
        self._count = count
        self._settings = settings or Execution()
        self._given = places

    @functools.cached_property
    def _places(self) -> Sequence[Place]:
        return devices.places(self._settings) if self._given is None else self._given

    def workers(self) -> int:
        """Return the number of processes.

        Raises:
            InputError: there are fewer GPUs than asked for.
        """
        if not self._places:
            return self._count or runtime.cores()
        there = sum(place.jobs for place in self._places)
        return there if self._count is None else min(self._count, there)

    def run(
        self,
        function: Callable[[Job, Tell[News]], None],
        jobs: Iterable[Job],
        *,
        on_news: Tell[News],
        remedy: str,
        on_state: Tell[JobState] = unheard,
    ) -> None:
        """Call `function(job, tell)` for each job (`base.Executor.run`); with one worker in this process.

        A job that finds too little memory on a GPU which it shares is begun again, and half as many share each GPU from
        then on.

        Raises:
            InputError: a worker was killed, most likely for memory; a job finds too little memory on a GPU of its own;
                there are fewer GPUs than asked for.
        """
        jobs = list(jobs)
        if not jobs:
            return
        names = [str(getattr(job, "name", f"{function.__name__} {number}")) for number, job in enumerate(jobs, 1)]
        for name in names:
            on_state(JobState(name, "waiting"))
        count = min(self.workers(), len(jobs))
        if count <= 1:
            for name, job in zip(names, jobs, strict=True):
                _here(function, job, name, on_news, remedy, on_state)
            return
        try:
            Crew(function, jobs, names, self._places, count).work(on_news, on_state, remedy)
        except BrokenProcessPool:
            raise InputError(f"a process was killed, most likely for lack of memory; {remedy}") from None


def _here(
    function: Callable[[Job, Tell[News]], None],
    job: Job,
    name: str,
    on_news: Tell[News],
    remedy: str,
    on_state: Tell[JobState],
) -> None:
    """Carry out a job in this process."""
    on_state(JobState(name, "running"))
    try:
        function(job, on_news)
    except Exception as error:
        on_state(JobState(name, "failed", str(error).split("\n")[0] or type(error).__name__))
        if (said := devices.out_of_memory(error)) is not None:
            raise InputError(f"{name}: {said}, alone on the GPU; {remedy}") from None
        raise
    on_state(JobState(name, "done"))
