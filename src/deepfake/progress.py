"""What long work tells of itself while it goes on: one object, which shows it or keeps silent."""

from dataclasses import dataclass


@dataclass(frozen=True)
class FoldNews:
    """What a running fold says of itself after an epoch."""

    experiment: str
    fold: int
    epoch: int
    epochs: int
    validation_auc: float
    finished: bool = False


class Progress:
    """Keeps silent; `console.Shown` shows what it is told."""

    def say(self, line: str) -> None:
        """Tell a line about what is about to be done."""

    def begin(self) -> None:
        """Tell that training begins."""

    def advance(self, title: str, done: int, total: int) -> None:
        """Tell how much of a task is done; a total of 0 is unknown."""

    def news(self, news: FoldNews) -> None:
        """Tell that a fold has finished an epoch or itself."""


SILENT = Progress()
