"""What an executor is: all that studies and runs need to know of where their jobs are carried out."""

from collections.abc import Callable, Iterable
from typing import Protocol, TypeVar

Job = TypeVar("Job")
News = TypeVar("News")
Tell = Callable[[News], None]
"""By which a job gives news of itself: anything that can be pickled."""


class Executor(Protocol):
    """Carries out independent jobs."""

    def workers(self) -> int:
        """Return how many jobs run side by side at most."""
        ...

    def run(
        self, function: Callable[[Job, Tell[News]], None], jobs: Iterable[Job], *, on_news: Tell[News], remedy: str
    ) -> None:
        """Call `function(job, tell)` for each job, and return when all are done.

        A worker is in the project of its caller (`project.current`), and sees the same files.

        Args:
            function: what is done for a job; a name at the top of its module, so that it can be pickled.
            jobs: independent of each other, and picklable.
            on_news: called in the caller's process with what a job tells.
            remedy: what the user can do when memory does not suffice.

        Raises:
            InputError: a worker was killed, most likely for memory; or what a job raises.
        """
        ...
