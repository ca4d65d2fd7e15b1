import os
import signal

import pytest

from deepfake.errors import InputError
from deepfake.execution.processes import LocalProcesses
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
    LocalProcesses(workers).run(work, range(5), on_news=heard.append, remedy="")
    assert sorted(news.fold for news in heard) == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("workers", [1, 2])
def test_what_goes_wrong_in_a_job_is_told(workers):
    with pytest.raises(InputError, match=r"job \d is wrong"):
        LocalProcesses(workers).run(fail, range(3), on_news=lambda news: None, remedy="")


def test_a_killed_worker_is_told_in_words():
    with pytest.raises(InputError, match="lack of memory; buy some"):
        LocalProcesses(2).run(die, range(2), on_news=lambda news: None, remedy="buy some")


def test_no_jobs_is_no_work():
    LocalProcesses(2).run(work, [], on_news=lambda news: None, remedy="")
