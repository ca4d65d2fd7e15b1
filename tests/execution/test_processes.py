import os
import signal

import pytest

from deepfake.errors import InputError
from deepfake.execution.processes import run_jobs
from deepfake.progress import FoldNews


def work(job, tell):
    tell(FoldNews("experiment", job, 1, 1, 0.5))


def fail(job, tell):
    raise InputError(f"job {job} is wrong")


def die(job, tell):
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.parametrize("workers", [1, 2])
def test_every_job_runs_once_and_is_heard(workers):
    heard = []
    run_jobs(work, range(5), workers=workers, on_news=heard.append)
    assert sorted(news.fold for news in heard) == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("workers", [1, 2])
def test_what_goes_wrong_in_a_job_is_told(workers):
    with pytest.raises(InputError, match=r"job \d is wrong"):
        run_jobs(fail, range(3), workers=workers, on_news=lambda news: None)


def test_a_killed_worker_is_told_in_words():
    with pytest.raises(InputError, match="lack of memory"):
        run_jobs(die, range(2), workers=2, on_news=lambda news: None)


def test_no_jobs_is_no_work():
    run_jobs(work, [], workers=2, on_news=lambda news: None)
