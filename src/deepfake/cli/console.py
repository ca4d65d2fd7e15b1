"""What a command shows while it works: bars on a terminal, single lines elsewhere."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich import progress as bars
from rich.console import Console
from rich.progress import TaskID

from deepfake.progress import FoldNews, Progress

_SECONDS = 0.1
"""At most so often bars are drawn anew."""


@contextmanager
def shown(note: str = "") -> Iterator["Shown"]:
    """Show what long work tells of itself, until it is done; `note` when training begins."""
    progress = Shown(note)
    try:
        yield progress
    finally:
        progress.close()


class Shown(Progress):
    """Bars for tasks and running folds on a terminal, and a line for each fold that has ended."""

    def __init__(self, note: str = ""):
        """Show nothing yet."""
        self._note = note
        self._console = Console(stderr=True)
        self._display = _display(self._console)
        self._bars: dict[object, TaskID] = {}
        self._drawn = 0.0

    def say(self, line: str) -> None:
        """Print a line beside the results, as it is: rich would take brackets and colons of paths for its own."""
        self._console.print(line, highlight=False, soft_wrap=True, markup=False, emoji=False)

    def begin(self) -> None:
        """Print what is to be known before training."""
        if self._note:
            self.say(self._note)
            self._note = ""

    def advance(self, title: str, done: int, total: int) -> None:
        """Show how much of a task is done."""
        self._bar(title, title, done, total)
        if done == total:
            self._end(title)

    def news(self, news: FoldNews) -> None:
        """Show how far a fold is."""
        score = f"validation AUC {news.validation_auc:.3f}"
        fold = (news.experiment, news.fold)
        if news.finished:
            self._end(fold)
            self.say(f"{news.experiment}: fold {news.fold}, {news.epoch} epochs, {score}")
        else:
            self._bar(fold, f"{news.experiment}, fold {news.fold}", news.epoch, news.epochs, score)

    def close(self) -> None:
        """Take all bars away."""
        self._display.stop()

    def _bar(self, name: object, title: str, done: int, total: int, note: str = "") -> None:
        if not self._console.is_terminal:
            return
        if name not in self._bars:
            self._display.start()
            self._bars[name] = self._display.add_task(title, note="", total=total or None)
        self._display.update(self._bars[name], completed=done, total=total or None, note=note)
        if time.monotonic() - self._drawn > _SECONDS:
            self._display.refresh()
            self._drawn = time.monotonic()

    def _end(self, name: object) -> None:
        if name in self._bars:
            self._display.remove_task(self._bars.pop(name))
        if not self._bars:
            self._display.stop()


def _display(console: Console) -> bars.Progress:
    """Return a progress display whose tasks may carry a note."""
    return bars.Progress(
        bars.TextColumn("{task.description}", markup=False),
        bars.BarColumn(),
        bars.MofNCompleteColumn(),
        bars.TimeRemainingColumn(),
        bars.TextColumn("{task.fields[note]}", style="dim"),
        console=console,
        disable=not console.is_terminal,
        # no thread, which might hold a lock when the caller forks
        auto_refresh=False,
    )
