"""What long work tells of itself while it goes on: one object, which shows it or keeps silent."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class FoldNews:
    """What a running fold says of itself after an epoch."""

    experiment: str
    fold: int
    epoch: int
    epochs: int
    validation_auc: float
    finished: bool = False


@dataclass(frozen=True)
class JobState:
    """What has become of a job.

    Args:
        name: of the job.
        state: what it is doing.
        where: the GPU or the machine it runs on, where there are several; of a failed one why.
    """

    name: str
    state: Literal["waiting", "running", "done", "failed"]
    where: str = ""


@dataclass(frozen=True)
class Note:
    """What the user should know of how work is done, told once however many jobs say it."""

    line: str


class Progress:
    """Keeps silent; `console.Shown` shows what it is told."""

    def say(self, line: str) -> None:
        """Tell a line about what is about to be done."""

    def begin(self) -> None:
        """Tell that training begins."""

    def advance(self, title: str, done: int, total: int) -> None:
        """Tell how much of a task is done; a total of 0 is unknown."""

    def news(self, news: FoldNews | Note) -> None:
        """Tell that a fold has finished an epoch or itself, or what the user should know."""

    def job(self, state: JobState) -> None:
        """Tell what has become of a job."""


SILENT = Progress()
