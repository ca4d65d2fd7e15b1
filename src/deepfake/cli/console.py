"""What a command shows while it works: bars on a terminal, single lines elsewhere."""

import time
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from rich import progress as bars
from rich.console import Console, RenderableType
from rich.progress import TaskID
from rich.text import Text

from deepfake.progress import FoldNews, JobState, Note, Progress

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
    """Bars for tasks and running jobs on a terminal, below how many wait; and a line for each fold that has ended."""

    def __init__(self, note: str = ""):
        """Show nothing yet."""
        self._note = note
        self._console = Console(stderr=True)
        self._display = _display(self._console)
        self._jobs: dict[str, JobState] = {}
        self._bars: dict[str, TaskID] = {}
        self._drawn = 0.0
        self._noted: set[str] = set()

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
        self._bar(title, done, total)
        if done == total:
            self._end(title)

    def news(self, news: FoldNews | Note) -> None:
        """Show how far a fold is, or a line that was not shown before."""
        if isinstance(news, Note):
            if news.line not in self._noted:
                self._noted.add(news.line)
                self.say(news.line)
            return
        score = f"validation AUC {news.validation_auc:.3f}"
        fold = f"{news.experiment}, fold {news.fold}"  # as its job is called
        if news.finished:
            self._end(fold)
            self.say(f"{news.experiment}: fold {news.fold}, {news.epoch} epochs, {score}")
        else:
            self._bar(fold, news.epoch, news.epochs, score)

    def job(self, state: JobState) -> None:
        """Show what has become of a job; without a terminal a line says on which of several GPUs or machines."""
        before = self._jobs.get(state.name)
        self._jobs[state.name] = state
        told = ""
        if state.state == "running":
            told = "" if self._console.is_terminal or not state.where else f"runs on {state.where}"
        elif state.state == "waiting":
            told = state.where
        elif state.state == "failed" and before is not None and before.where:
            told = f"failed on {before.where}: {state.where}"
        if told:
            self.say(f"{state.name}: {told}")
        count = Counter(job.state for job in self._jobs.values())
        self._display.summary = "jobs: " + ", ".join(
            f"{count[kind]} {kind}" for kind in ("running", "waiting", "done", "failed") if count[kind]
        )
        if not count["running"] and not count["waiting"]:
            self._jobs.clear()
            self._display.summary = ""
        if state.state == "running":
            self._bar(state.name, 0, 0)
        else:
            self._end(state.name)
        if state.state != "waiting":
            self._display.refresh()

    def close(self) -> None:
        """Take all bars away."""
        self._display.stop()

    def _bar(self, name: str, done: int, total: int, note: str = "") -> None:
        if not self._console.is_terminal:
            return
        if name not in self._bars:
            self._display.start()
            self._bars[name] = self._display.add_task(name, note="", where="", total=total or None)
        where = self._jobs[name].where if name in self._jobs else ""
        self._display.update(self._bars[name], completed=done, total=total or None, note=note, where=where)
        if time.monotonic() - self._drawn > _SECONDS:
            self._display.refresh()
            self._drawn = time.monotonic()

    def _end(self, name: str) -> None:
        if name in self._bars:
            self._display.remove_task(self._bars.pop(name))
        if not self._bars and not self._jobs:
            self._display.stop()


class _Display(bars.Progress):
    """Bars below a line about all jobs."""

    summary = ""

    def get_renderables(self) -> Iterable[RenderableType]:
        """Give what is drawn."""
        if self.summary:
            yield Text(self.summary)
        yield from super().get_renderables()


def _display(console: Console) -> _Display:
    """Return a progress display whose tasks may carry a note, and where they run."""
    return _Display(
        bars.TextColumn("{task.description}", markup=False),
        bars.BarColumn(),
        bars.MofNCompleteColumn(),
        bars.TimeRemainingColumn(),
        bars.TextColumn("{task.fields[where]}", markup=False),
        bars.TextColumn("{task.fields[note]}", style="dim"),
        console=console,
        disable=not console.is_terminal,
        # no thread, which might hold a lock when the caller forks
        auto_refresh=False,
    )
