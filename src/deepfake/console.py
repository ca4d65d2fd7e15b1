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


@contextmanager
def steps(title: str) -> Iterator[Callable[[int, int], None]]:
    """Show a bar for a task while the block runs; call what it gives with (done, total)."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda done, total: None
        return
    with _progress(console) as progress:
        task = progress.add_task(title, note="", total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total or None)


@contextmanager
def folds(title: str) -> Iterator[Callable[[FoldNews], None]]:
    """Show a bar for each fold of an experiment, or, where there is no terminal, a line at its end."""
    console = Console(stderr=True)
    if not console.is_terminal:

        def say(news: FoldNews) -> None:
            if news.finished:
                text = f"{title}: fold {news.fold} done, {news.epoch} epochs, "
                console.print(f"{text}validation AUC {news.validation_auc:.3f}", highlight=False)

        yield say
        return
    with _progress(console) as progress:
        bars: dict[int, TaskID] = {}

        def advance(news: FoldNews) -> None:
            if news.fold not in bars:
                bars[news.fold] = progress.add_task(f"{title}, fold {news.fold}", note="", total=news.epochs)
            total = news.epoch if news.finished else news.epochs
            progress.update(
                bars[news.fold],
                completed=news.epoch,
                total=total,
                note=f"validation AUC {news.validation_auc:.3f}",
            )

        yield advance


def _progress(console: Console) -> Progress:
    """Return a progress display whose tasks may carry a note."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}", style="dim"),
        console=console,
    )
