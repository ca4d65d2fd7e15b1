"""What a command shows while it works: bars on a terminal, single lines elsewhere."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)

from deepfake.studies.launch import FoldNews


def say(line: str) -> None:
    """Print a line beside the results."""
    Console(stderr=True).print(line, highlight=False, soft_wrap=True)


@contextmanager
def steps(title: str) -> Iterator[Callable[[int, int], None]]:
    """Show a bar for a task until it is done; call what this gives with (done, total), 0 for an unknown total."""
    console = Console(stderr=True)
    progress = _progress(console)
    task = progress.add_task(title, note="", total=None)

    def advance(done: int, total: int) -> None:
        if not console.is_terminal:
            return
        progress.start()
        progress.update(task, completed=done, total=total or None)
        if done == total:
            # no thread of the display may be alive when the caller forks
            progress.stop()

    try:
        yield advance
    finally:
        progress.stop()


@contextmanager
def folds() -> Iterator[Callable[[FoldNews], None]]:
    """Show a bar for each running fold, and a line for each one that has ended."""
    console = Console(stderr=True)
    progress = _progress(console)
    bars: dict[tuple[str, int], TaskID] = {}

    def advance(news: FoldNews) -> None:
        score = f"validation AUC {news.validation_auc:.3f}"
        running = (news.experiment, news.fold)
        if news.finished:
            if running in bars:
                progress.remove_task(bars.pop(running))
            line = f"{news.experiment}: fold {news.fold}, {news.epoch} epochs, {score}"
            progress.console.print(line, highlight=False)
        elif console.is_terminal:
            progress.start()
            if running not in bars:
                bars[running] = progress.add_task(f"{news.experiment}, fold {news.fold}", note="", total=news.epochs)
            progress.update(bars[running], completed=news.epoch, note=score)

    try:
        yield advance
    finally:
        progress.stop()


def _progress(console: Console) -> Progress:
    """Return a progress display whose tasks may carry a note."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}", style="dim"),
        console=console,
        disable=not console.is_terminal,
    )
