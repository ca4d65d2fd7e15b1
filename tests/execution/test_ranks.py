"""Real processes on this machine, two or three of them, that carry out jobs together."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from deepfake.config.execution import Engine, Execution
from deepfake.errors import InputError
from deepfake.execution import base, devices, ranks, using
from deepfake.execution.ranks import Ranks


@pytest.fixture(autouse=True)
def _without_gpus(monkeypatch):
    monkeypatch.setattr(devices, "gpus", lambda wanted: [])
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")  # for what is started anew


class Named(str):
    """A job with a name."""

    @property
    def name(self):
        return f"job {self}"


@base.shared
def meet(job, tell):
    """Write who was there, and tell what all know together."""
    import torch
    from torch import distributed

    rank = distributed.get_rank()
    both = torch.tensor([10.0**rank])
    distributed.all_reduce(both)
    Path(f"{job}-{rank}").write_text(f"{os.getpid()} {base.ENGINE.get().graph}")
    tell((str(job), rank, float(both)))


def alone(job, tell):
    from torch import distributed

    tell((job, distributed.is_initialized()))


@base.shared
def fail_in_one(job, tell):
    from torch import distributed

    if distributed.get_rank() == 1:
        raise InputError(f"job {job} is wrong")
    distributed.barrier()


@base.shared
def break_in_one(job, tell):
    from torch import distributed

    if distributed.get_rank() == 1:
        raise ZeroDivisionError("nothing to share")
    distributed.barrier()


@base.shared
def die_in_one(job, tell):
    from torch import distributed

    if distributed.get_rank() == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    distributed.barrier()


@base.shared
def wait_for_ever(job, tell):
    from torch import distributed

    Path(f"waiting-{distributed.get_rank()}").write_text(str(os.getpid()))
    if distributed.get_rank() == 0:
        time.sleep(600)
    distributed.barrier()


def run(function, jobs, count=2, **hear):
    Ranks(Execution(data_parallel=count)).run(
        function, jobs, **{"on_news": lambda news: None, "remedy": "buy some"} | hear
    )


def test_all_processes_carry_out_every_job_together_and_one_is_heard(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    heard, states = [], []
    with using(engine=Engine(graph="never")):
        run(meet, [Named("a"), Named("b")], 3, on_news=heard.append, on_state=states.append)
    assert heard == [("a", 0, 111.0), ("b", 0, 111.0)]
    assert [(state.name, state.state, state.where) for state in states] == [
        *(("job a", "waiting", ""), ("job b", "waiting", "")),
        *(("job a", "running", "3 processes"), ("job a", "done", "3 processes")),
        *(("job b", "running", "3 processes"), ("job b", "done", "3 processes")),
    ]
    written = {path.name: path.read_text().split() for path in tmp_path.iterdir()}
    assert sorted(written) == ["a-0", "a-1", "a-2", "b-0", "b-1", "b-2"]
    processes = [{written[f"{job}-{rank}"][0] for job in "ab"} for rank in range(3)]
    assert [len(each) for each in processes] == [1, 1, 1], "a process is kept for all jobs"
    assert len(set.union(*processes)) == 3
    assert {engine for _, engine in written.values()} == {"never"}


def test_what_is_not_made_for_it_is_done_once_a_job():
    heard = []
    run(alone, [1, 2, 3], on_news=heard.append)
    assert sorted(heard) == [(1, False), (2, False), (3, False)]


def test_what_one_process_raises_is_told_and_ends_all():
    with pytest.raises(InputError, match=r"^job 7 is wrong$"):
        run(fail_in_one, [7])
    with pytest.raises(ZeroDivisionError, match="nothing to share") as raised:
        run(break_in_one, [7])
    assert "break_in_one" in raised.value.__notes__[0], "where it was raised"


def test_a_killed_process_is_told_in_words():
    with pytest.raises(InputError, match="a process was killed, most likely for lack of memory; buy some"):
        run(die_in_one, [1])


def test_no_jobs_is_no_work():
    run(meet, [])


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGKILL])
def test_processes_end_with_their_caller(tmp_path, end):
    # what is started in the background is not interrupted unless it wants to be
    code = (
        "import signal, test_ranks; signal.signal(signal.SIGINT, signal.default_int_handler); "
        "test_ranks.run(test_ranks.wait_for_ever, [1])"
    )
    environment = os.environ | {"PYTHONPATH": f"{Path(__file__).parent}:{os.environ.get('PYTHONPATH', '')}"}
    caller = subprocess.Popen([sys.executable, "-c", code], cwd=tmp_path, env=environment, stderr=subprocess.DEVNULL)
    files = [tmp_path / f"waiting-{rank}" for rank in range(2)]
    _until(lambda: all(file.exists() and file.read_text() for file in files))
    caller.send_signal(end)
    try:
        assert caller.wait(20) != 0
    finally:
        caller.kill()
    for file in files:
        _until(lambda file=file: not _runs(int(file.read_text())))


def _until(true, seconds=60):
    begun = time.monotonic()
    while not true():
        assert time.monotonic() - begun < seconds
        time.sleep(0.05)


def _runs(process):
    """Tell whether a process is alive; one that its parent has not asked for yet is not."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_fewer_gpus_than_processes_are_refused(monkeypatch):
    """None of them is started."""
    monkeypatch.setattr(devices, "gpus", lambda wanted: ["3", "5", "7"][: 3 if wanted == "all" else wanted])
    for settings, found in ((Execution(data_parallel=4), 3), (Execution(data_parallel=3, gpus=2), 2)):
        with pytest.raises(InputError) as raised:
            Ranks(settings).run(meet, [1], on_news=print, remedy="")
        assert str(raised.value) == (
            f"execution.data_parallel: {settings.data_parallel} processes want a GPU each, and {found} can be used; "
            f"set it to {found} or less"
        )
    assert [dict(ranks._place(rank, ["3", "5"]).environment) for rank in range(2)] == [
        {"CUDA_VISIBLE_DEVICES": "3"},
        {"CUDA_VISIBLE_DEVICES": "5"},
    ]


def test_processes_that_torchrun_started_carry_out_the_first_ones_jobs(tmp_path):
    """The command itself is carried out once, and what it starts is none of torchrun's."""
    (tmp_path / "command.py").write_text(
        "import os, test_ranks\n"
        "from deepfake import execution\n"
        "from deepfake.config.execution import Engine, Execution\n"
        "from deepfake.execution import ranks\n"
        "with ranks.launched() as leads:\n"
        "    if leads:\n"
        "        executor = execution.create(Execution())\n"
        "        with execution.using(executor, Engine(graph='never')):\n"
        "            for jobs in (['a', 'b'], [], ['c']):\n"
        "                execution.run_jobs(test_ranks.meet, jobs, on_news=print)\n"
        "        execution.run_jobs(test_ranks.alone, ['d'], on_news=print)\n"
        "        print(sorted({'RANK', 'WORLD_SIZE'} & set(os.environ)))\n"
    )
    environment = os.environ | {"PYTHONPATH": f"{Path(__file__).parent}:{os.environ.get('PYTHONPATH', '')}"}
    found = subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "command.py"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert found.returncode == 0, found.stderr
    assert found.stdout.splitlines() == ["('a', 0, 11.0)", "('b', 0, 11.0)", "('c', 0, 11.0)", "('d', False)", "[]"]
    assert (tmp_path / "c-1").read_text().endswith(" never")
