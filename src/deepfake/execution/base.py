"""What an executor is: all that studies and runs need to know of where their jobs are carried out."""

from collections.abc import Callable, Iterable
from contextvars import ContextVar
from typing import Protocol, TypeVar

from deepfake.config.execution import Engine
from deepfake.progress import JobState

Job = TypeVar("Job")
News = TypeVar("News")
Tell = Callable[[News], None]
"""By which a job gives news of itself: anything that can be pickled."""

ENGINE: ContextVar[Engine] = ContextVar("engine")
"""How training steps are carried out; each executor hands it on to its workers."""


def unheard(state: JobState) -> None:
    """Let what becomes of a job pass."""


_SHARED = "shared"
_Function = TypeVar("_Function", bound=Callable[..., None])


def shared(function: _Function) -> _Function:
    """Mark a function that several processes can carry out together (`torch.distributed`) for the same job."""
    setattr(function, _SHARED, True)
    return function


def is_shared(function: Callable[..., None]) -> bool:
    """Tell whether a function is marked so."""
    return getattr(function, _SHARED, False)


class Executor(Protocol):
    """Carries out independent jobs."""

    def workers(self) -> int:
        """Return how many jobs run side by side at most."""
        ...

    def run(
        self,
        function: Callable[[Job, Tell[News]], None],
        jobs: Iterable[Job],
        *,
        on_news: Tell[News],
        remedy: str,
        on_state: Tell[JobState] = unheard,
    ) -> None:
        """Call `function(job, tell)` for each job, and return when all are done.

        A worker is in the project of its caller (`project.current`), and sees the same files.

        Args:
            function: what is done for a job; a name at the top of its module, so that it can be pickled.
            jobs: independent of each other, and picklable.
            on_news: called in the caller's process with what a job tells.
            remedy: what the user can do when memory does not suffice.
            on_state: called in the caller's process with what becomes of each job; a job's `name` is used where it
                has one.

        Raises:
            InputError: a worker was killed, most likely for memory; or what a job raises.
        """
        ...


LAUNCHED: ContextVar[Executor] = ContextVar("launched")
"""The executor of processes that torchrun started (`ranks.launched`)."""
