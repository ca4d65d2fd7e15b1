"""What the tests of the cluster have done on its nodes."""

import os
import signal
import time
from dataclasses import dataclass, replace
from pathlib import Path

from deepfake.errors import InputError
from deepfake.project import paths


@dataclass(frozen=True)
class Job:
    """A job that needs no torch; `diary` is where it writes down that it was begun, whichever node it is on."""

    name: str
    inputs: tuple[Path, ...] | None
    folder: Path
    diary: Path
    seconds: float = 0.0

    def moved(self, move):
        return replace(self, inputs=tuple(map(move, self.inputs)), folder=move(self.folder))

    def begin(self) -> None:
        with self.diary.open("a") as file:
            file.write(f"{self.name}\n")


def work(job, tell):
    job.begin()
    tell(("begun", os.getpid()))
    time.sleep(job.seconds)
    (job.folder / "result.txt").write_text("".join(path.read_text() for path in job.inputs))
    (job.folder / "where.txt").write_text(f"{paths().root}\n{os.path.realpath(job.inputs[0])}\n{job.folder}")
    tell(("ended", os.getpid()))


def fail_first(job, tell):
    """Fail in the first job, work in the others."""
    if job.name.endswith("0"):
        job.begin()
        time.sleep(0.5)  # until the next one is at work
        raise ZeroDivisionError("of no\nuse")
    work(job, tell)


def wrong(job, tell):
    raise InputError(f"{job.name} is wrong")


def fill_the_disk(job, tell):
    with Path("/dev/full").open("w") as file:
        file.write("x" * 100_000)


def die(job, tell):
    job.begin()
    os.kill(os.getpid(), signal.SIGKILL)


def train_until_killed(job, tell):
    """Train one of two folds at the same time as the other, saving each epoch; wait in the third one to be killed."""
    from deepfake.runs import fold
    from deepfake.training import engine

    (job.folder / "begun").touch()
    deadline = time.monotonic() + 90
    while len(list(job.folder.parent.glob("*/begun"))) < 2 and time.monotonic() < deadline:
        time.sleep(0.1)
    engine._SAVE_EVERY = 0.0
    original, diary = engine._Training._train, job.folder / "epochs.txt"

    def epoch(training, number):
        first = f"{number}\n" not in (diary.read_text() if diary.exists() else "")
        with diary.open("a") as file:
            file.write(f"{number}\n")
        # news are told every half a second
        time.sleep(120.0 if number == 2 and first else 1.0)
        return original(training, number)

    engine._Training._train = epoch
    try:
        fold.train_fold(job, tell)
    finally:
        engine._Training._train = original
