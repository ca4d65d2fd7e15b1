"""How independent jobs are carried out: by the executor in use, processes of this machine unless one says otherwise."""

import importlib
import importlib.util
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager
from contextvars import ContextVar

from deepfake.config.execution import Engine, Execution
from deepfake.errors import InputError
from deepfake.execution.base import ENGINE, LAUNCHED, Executor, Job, News, Tell, shared, unheard
from deepfake.execution.processes import LocalProcesses
from deepfake.progress import JobState

__all__ = ["Executor", "Tell", "create", "engine", "here", "run_jobs", "shared", "using", "workers"]

_IN_USE: ContextVar[Executor] = ContextVar("executor")


def create(settings: Execution) -> Executor:
    """Return the executor that params.yaml asks for, or that of torchrun, where it started this process.

    Raises:
        InputError: it needs Ray, which is not installed.
    """
    if (launched := LAUNCHED.get(None)) is not None:
        return launched
    if settings.backend == "ray":
        if importlib.util.find_spec("ray") is None:
            raise InputError("execution.backend: ray is not installed; install deepfake[ray], or set it to processes")
        return _by_name("cluster", "Cluster")(settings)
    if settings.data_parallel > 1:
        return _by_name("ranks", "Ranks")(settings)
    return LocalProcesses(settings=settings)


def here(settings: Execution) -> Executor:
    """Return the executor for work that stays on this machine: its GPUs, as far as params.yaml allows them."""
    return LocalProcesses(settings=settings)


def _by_name(module: str, kind: str) -> Callable[[Execution], Executor]:
    """Return a kind of executor; imported by name, it is no part of a run's key, as it decides no number."""
    return getattr(importlib.import_module(f"deepfake.execution.{module}"), kind)


@contextmanager
def using(executor: Executor | None = None, engine: Engine | None = None) -> Generator[None]:
    """Carry out, in this block and thread, all jobs by another executor, or training steps in another way."""
    tokens = [
        (variable, variable.set(value))  # pyright: ignore[reportArgumentType]
        for variable, value in ((_IN_USE, executor), (ENGINE, engine))
        if value is not None
    ]
    try:
        yield
    finally:
        for variable, token in tokens:
            variable.reset(token)  # pyright: ignore[reportArgumentType]


def engine() -> Engine:
    """Return how training steps are carried out here; a worker has it from its caller."""
    return ENGINE.get(None) or Engine()


def workers() -> int:
    """Return how many jobs run side by side at most (`Executor.workers`)."""
    return _executor().workers()


def run_jobs(
    function: Callable[[Job, Tell[News]], None],
    jobs: Iterable[Job],
    *,
    on_news: Tell[News],
    remedy: str = "lower shared.batch_size",
    on_state: Tell[JobState] = unheard,
) -> None:
    """Call `function(job, tell)` for each job (`Executor.run`).

    Raises:
        InputError: a worker was killed, most likely for memory; or what a job raises.
    """
    _executor().run(function, jobs, on_news=on_news, remedy=remedy, on_state=on_state)


def _executor() -> Executor:
    return _IN_USE.get(None) or LocalProcesses()
