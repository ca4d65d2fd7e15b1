"""What a command shows while it works: bars on a terminal, and elsewhere only lines that say something."""

import io
import threading

import pytest
from rich.console import Console

from deepfake.cli import console
from deepfake.progress import FoldNews


@pytest.fixture
def screen(monkeypatch) -> io.StringIO:
    """What stands for standard error: no terminal, until `terminal` is asked for."""
    stream = io.StringIO()
    monkeypatch.setattr(console, "Console", lambda stderr: Console(file=stream, width=100, force_terminal=False))
    return stream


@pytest.fixture
def terminal(screen, monkeypatch) -> io.StringIO:
    made = Console(file=screen, width=100, force_terminal=True, color_system=None)
    monkeypatch.setattr(console, "Console", lambda stderr: made)
    return screen


def news(epoch: int, *, finished: bool = False, fold: int = 0) -> FoldNews:
    return FoldNews("simple_cnn_low", fold, epoch, 15, 0.91234, finished)


def test_lines_are_printed_as_they_are(screen):
    line = "data/[mine]/:warning:/a.jpg: AUC 0.6 [0.5, 0.7] " + "x" * 200
    with console.shown() as progress:
        progress.say(line)
    assert screen.getvalue() == f"{line}\n"


def test_without_a_terminal_only_what_has_ended_is_told(screen):
    with console.shown() as progress:
        for done in range(4):
            progress.advance("decoding", done, 3)
        progress.news(news(1))
        progress.news(news(7, finished=True))
    assert screen.getvalue() == "simple_cnn_low: fold 0, 7 epochs, validation AUC 0.912\n"


def test_the_note_is_told_once_when_training_begins(screen):
    with console.shown("GPU: none") as progress:
        progress.say("first")
        progress.begin()
        progress.begin()
    assert screen.getvalue().splitlines() == ["first", "GPU: none"]
    with console.shown() as progress:
        progress.begin()
    assert len(screen.getvalue().splitlines()) == 2


def test_on_a_terminal_tasks_and_folds_have_a_bar_each(terminal):
    with console.shown() as progress:
        progress.advance("decoding [low]", 1, 3)
        progress.news(news(2))
        progress.news(news(3, fold=1))
        progress.say("a line beside the bars")
    shown = terminal.getvalue()
    assert "decoding [low]" in shown
    assert "simple_cnn_low, fold 0" in shown
    assert "simple_cnn_low, fold 1" in shown
    assert "validation AUC 0.912" in shown
    assert "2/15" in shown
    assert "a line beside the bars\n" in shown


def test_an_unknown_total_is_shown_all_the_same(terminal):
    with console.shown() as progress:
        progress.advance("fetching", 0, 0)
        progress.advance("fetching", 5, 0)
    assert "5/?" in terminal.getvalue()


def test_no_thread_draws(terminal):
    """Whoever trains next forks, and a thread that holds a lock would hold it in the child for ever."""
    before = threading.active_count()
    with console.shown() as progress:
        progress.advance("decoding", 1, 2)
        progress.news(news(1))
        assert threading.active_count() == before


def test_bars_come_again_once_all_have_ended(terminal):
    with console.shown() as progress:
        for number in range(2):
            progress.advance(f"task {number}", 1, 2)
            progress.advance(f"task {number}", 2, 2)
    assert "task 0" in terminal.getvalue()
    assert "task 1" in terminal.getvalue()


def test_bars_are_not_drawn_more_often_than_eyes_see(terminal):
    with console.shown() as progress:
        for done in range(10_000):
            progress.advance("decoding", done, 10_000)
    assert terminal.getvalue().count("decoding") < 200


def test_what_fails_leaves_no_bar(terminal):
    with pytest.raises(ValueError, match="broken"), console.shown() as progress:
        progress.advance("decoding", 1, 2)
        raise ValueError("broken")
    before = terminal.getvalue()
    assert before.endswith("\x1b[?25h")  # the cursor is shown again
