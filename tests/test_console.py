"""What a command shows while it works: bars on a terminal, and elsewhere only lines that say something."""

import io
import re
import threading

import pytest
from rich.console import Console

from deepfake.cli import console
from deepfake.progress import FoldNews, JobState


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


FOLD = "simple_cnn_low, fold 0"


def test_without_a_terminal_jobs_of_one_place_say_nothing(screen):
    with console.shown() as progress:
        for state in ("waiting", "running", "done"):
            progress.job(JobState(FOLD, state))
        progress.job(JobState("other", "running"))
        progress.job(JobState("other", "failed", "the command tells why"))
    assert screen.getvalue() == ""


def test_without_a_terminal_jobs_of_several_places_say_where_they_run_and_fail(screen):
    with console.shown() as progress:
        progress.job(JobState(FOLD, "waiting"))
        progress.job(JobState(FOLD, "running", "GPU 1"))
        progress.job(JobState(FOLD, "failed", "no memory [all gone]"))
        progress.job(JobState("other", "running", "GPU 0"))
        progress.job(JobState("other", "done", "GPU 0"))
    assert screen.getvalue().splitlines() == [
        f"{FOLD}: runs on GPU 1",
        f"{FOLD}: failed on GPU 1: no memory [all gone]",
        "other: runs on GPU 0",
    ]


@pytest.mark.parametrize("kind", ["screen", "terminal"])
def test_what_puts_a_job_back_is_told(kind, request):
    shown = request.getfixturevalue(kind)
    with console.shown() as progress:
        progress.job(JobState(FOLD, "running"))
        progress.job(JobState(FOLD, "waiting", "out of memory with 4 jobs a GPU; 2 from now on"))
    assert f"{FOLD}: out of memory with 4 jobs a GPU; 2 from now on\n" in shown.getvalue()


def drawn(terminal: io.StringIO) -> list[str]:
    """Return the last picture: all that was drawn after the cursor went up for it."""
    text = re.split(r"(?:\x1b\[2K|\x1b\[1A|\r)+", terminal.getvalue())[-1]
    return [line.rstrip() for line in re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text).splitlines() if line.strip()]


def test_on_a_terminal_jobs_are_counted_and_those_at_work_have_a_bar(terminal):
    with console.shown() as progress:
        for fold in range(5):
            progress.job(JobState(f"simple_cnn_low, fold {fold}", "waiting"))
        progress.job(JobState("simple_cnn_low, fold 0", "running", "GPU 1"))
        progress.job(JobState("simple_cnn_low, fold 1", "running", "GPU 0"))
        progress.job(JobState("simple_cnn_low, fold 0", "done", "GPU 1"))
        progress.job(JobState("simple_cnn_low, fold 2", "running", "GPU 1"))
        progress.job(JobState("simple_cnn_low, fold 2", "failed", "broken"))
        heading, *rows = drawn(terminal)
        assert heading == "jobs: 1 running, 2 waiting, 1 done, 1 failed"
        assert len(rows) == 1
        assert rows[0].startswith("simple_cnn_low, fold 1 ")
        assert rows[0].endswith("GPU 0")


def test_a_fold_that_tells_its_epochs_has_one_bar(terminal):
    with console.shown() as progress:
        progress.job(JobState(FOLD, "running", "GPU 1"))
        progress.news(news(3))
        progress.job(JobState("other", "running", "GPU 0"))
        first, second, third = drawn(terminal)
        assert first == "jobs: 2 running"
        assert second.startswith(f"{FOLD} ")
        assert "3/15" in second
        assert "GPU 1" in second
        assert third.startswith("other ")


def test_nothing_is_left_once_all_jobs_have_ended(terminal):
    with console.shown() as progress:
        progress.job(JobState(FOLD, "waiting"))
        progress.job(JobState(FOLD, "running"))
        progress.news(news(15, finished=True))
        progress.job(JobState(FOLD, "done"))
        assert drawn(terminal) == []
        assert terminal.getvalue().endswith("\x1b[?25h")
        progress.say("after")
