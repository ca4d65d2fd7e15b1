"""How independent jobs are carried out: by the executor in use, processes of this machine unless one says otherwise."""

from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager
from contextvars import ContextVar

from deepfake.execution.base import Executor, Job, News, Tell
from deepfake.execution.processes import LocalProcesses

__all__ = ["Executor", "Tell", "run_jobs", "using", "workers"]

_IN_USE: ContextVar[Executor] = ContextVar("executor")


@contextmanager
def using(executor: Executor) -> Generator[None]:
    """Carry out, in this block and thread, all jobs by another executor."""
    token = _IN_USE.set(executor)
    try:
        yield
    finally:
        _IN_USE.reset(token)


def workers() -> int:
    """Return how many jobs run side by side at most (`Executor.workers`)."""
    return _executor().workers()


def run_jobs(
    function: Callable[[Job, Tell[News]], None],
    jobs: Iterable[Job],
    *,
    on_news: Tell[News],
    remedy: str = "lower shared.batch_size",
) -> None:
    """Call `function(job, tell)` for each job (`Executor.run`).

    Raises:
        InputError: a worker was killed, most likely for memory; or what a job raises.
    """
    _executor().run(function, jobs, on_news=on_news, remedy=remedy)


def _executor() -> Executor:
    return _IN_USE.get(None) or LocalProcesses()
