"""Workers in places: plain data, so that a GPU's rules can be tried where there is none.

Only what CUDA itself does is missing here; the errors are torch's own.
"""

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
import torch

from deepfake import runtime
from deepfake.errors import InputError
from deepfake.execution import devices
from deepfake.execution.devices import Place
from deepfake.execution.processes import LocalProcesses
from deepfake.progress import JobState

VARIABLE = "DEEPFAKE_TEST_PLACE"


def two(jobs: int) -> list[Place]:
    return [Place(f"GPU {name}", jobs, {VARIABLE: name}) for name in "ab"]


def run(executor: LocalProcesses, function, jobs) -> tuple[list, list[JobState]]:
    """Return what jobs told, and what became of them."""
    heard, states = [], []
    executor.run(function, jobs, on_news=heard.append, remedy="buy memory", on_state=states.append)
    return heard, states


def tell_place(job, tell):
    time.sleep(0.2)
    tell((job, os.environ[VARIABLE], os.getpid(), runtime.gpu_sharers()))


def test_a_worker_has_the_environment_of_its_place():
    heard, states = run(LocalProcesses(places=two(2)), tell_place, range(8))
    assert sorted(job for job, *_ in heard) == list(range(8))
    processes = {pid: place for _, place, pid, _ in heard}
    assert os.getpid() not in processes
    assert Counter(processes.values()) == {"a": 2, "b": 2}
    assert {sharers for *_, sharers in heard} == {2}
    told = {state.name: state.where for state in states if state.state == "running"}
    assert {told[f"tell_place {job + 1}"] == f"GPU {place}" for job, place, *_ in heard} == {True}


def test_few_jobs_are_spread_over_the_gpus():
    heard, _ = run(LocalProcesses(places=two(3)), tell_place, range(2))
    assert {place for _, place, *_ in heard} == {"a", "b"}
    assert {sharers for *_, sharers in heard} == {1}


class Counting:
    """A job that needs a share of a GPU's memory: as many as `fit` may work in a place at the same time."""

    def __init__(self, folder: Path, number: int, fit: int, seconds: float = 0.4) -> None:
        self.folder, self.number, self.fit, self.seconds = folder, number, fit, seconds
        self.name = f"fold {number}"


def allocate(job: Counting, tell):
    here = job.folder / os.environ[VARIABLE]
    here.mkdir(exist_ok=True)
    mine = here / f"{job.number}"
    mine.touch()
    try:
        time.sleep(job.seconds / 2)
        if len(list(here.iterdir())) > job.fit:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.50 GiB. GPU 0 has a total capacity")
        time.sleep(job.seconds / 2)
        tell((job.number, runtime.gpu_sharers()))
    finally:
        mine.unlink()


@pytest.mark.parametrize("fit", [2, 1])
def test_jobs_that_find_too_little_memory_are_begun_again_with_half_as_many(tmp_path, fit):
    heard, states = run(LocalProcesses(places=two(4)), allocate, [Counting(tmp_path, job, fit) for job in range(9)])
    assert sorted(number for number, _ in heard) == list(range(9))
    assert Counter(state.name for state in states if state.state == "done") == {f"fold {n}": 1 for n in range(9)}
    told = [state.where for state in states if state.state == "waiting" and state.where]
    expected = ["out of memory with 4 jobs a GPU; 2 from now on", "out of memory with 2 jobs a GPU; 1 from now on"]
    assert told == expected[: 3 - fit]
    # as many share a place from then on, and each knows it
    assert heard[-1][1] == fit


def test_a_job_that_finds_too_little_memory_alone_is_told_in_one_line(tmp_path):
    states = []
    with pytest.raises(InputError) as caught:
        LocalProcesses(places=two(2)).run(
            allocate,
            [Counting(tmp_path, job, 0) for job in range(4)],
            on_news=print,
            remedy="lower shared.batch_size",
            on_state=states.append,
        )
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith("fold ")
    assert "CUDA out of memory. Tried to allocate 2.50 GiB, alone on GPU " in message
    assert message.endswith("; lower shared.batch_size")
    failed = [state for state in states if state.state == "failed"]
    assert len(failed) == 1
    assert failed[0].name == message.split(":")[0]


def exhaust(job, tell):
    raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.50 GiB. GPU 0")


def test_too_little_memory_in_this_process_is_told_in_one_line():
    with pytest.raises(InputError, match=r"exhaust 1: CUDA .* 2.50 GiB, alone on the GPU; buy memory"):
        run(LocalProcesses(1), exhaust, [1])


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (
            torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20 MiB."),
            "CUDA out of memory. Tried to allocate",
        ),
        (RuntimeError("CUDA error: out of memory\nCompile with"), "CUDA error: out of memory"),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling"), "CUDA error: CUBLAS_STATUS_ALLOC_FAILED"),
        (RuntimeError("shape '[2]' is invalid for input of size 3"), None),
        (InputError("CUDA error: out of memory"), None),
        (MemoryError("out of memory"), None),
    ],
)
def test_only_a_gpus_memory_counts(error, said):
    found = devices.out_of_memory(error)
    assert (found is None) if said is None else found.startswith(said)


def wrong(job, tell):
    if job == 3:
        raise InputError("job 3 is wrong")
    time.sleep(0.3)
    tell(b"x" * 100_000)  # more than a pipe holds: whoever tells it waits for a reader


def test_a_job_that_fails_waits_for_no_reader():
    states = []
    with pytest.raises(InputError, match="job 3 is wrong"):
        LocalProcesses(places=two(2)).run(wrong, range(4), on_news=lambda news: None, remedy="", on_state=states.append)
    assert JobState("wrong 4", "failed", "job 3 is wrong") in states


def test_a_worker_that_does_not_see_its_gpu_never_works_on_the_cpu():
    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    places = [Place("", 2, {devices.VISIBLE: "7"})]
    with pytest.raises(InputError, match="CUDA_VISIBLE_DEVICES=7: CUDA sees no such GPU"):
        run(LocalProcesses(places=places), tell_place, range(2))


def loaded(job, tell):
    import threading

    tell((torch.cuda.is_initialized(), "timm" in sys.modules, threading.active_count()))


def test_workers_on_gpus_are_forked_from_a_server_that_never_starts_cuda():
    heard, _ = run(LocalProcesses(places=two(1)), loaded, range(2))
    # one thread waits for the parent's end, one sends results
    assert {(started, timm) for started, timm, _ in heard} == {(False, True)}


PARENT = """
import sys, time
sys.path.insert(0, {tests!r})
from test_places import LocalProcesses, two, linger
if __name__ == "__main__":
    LocalProcesses(places=two(1)).run(linger, {files!r}, on_news=lambda pid: print(pid, flush=True), remedy="")
"""


def linger(file, tell):
    tell(os.getpid())
    for _ in range(200):
        time.sleep(0.1)
        Path(file).write_text(str(time.monotonic()))


def test_workers_end_with_a_killed_parent(tmp_path):
    """An orphan would go on writing beside the run that takes over."""
    files = [str(tmp_path / name) for name in "ab"]
    script = tmp_path / "parent.py"
    script.write_text(PARENT.format(tests=str(Path(__file__).parent), files=files))
    with subprocess.Popen([sys.executable, script], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout
        workers = [int(parent.stdout.readline()) for _ in files]
        parent.send_signal(signal.SIGKILL)
    for worker in workers:
        for _ in range(100):
            if not Path(f"/proc/{worker}").exists():
                break
            time.sleep(0.1)
        assert not Path(f"/proc/{worker}").exists()


@pytest.mark.parametrize(
    ("listed", "count", "names"),
    [
        (None, 2, ["0", "1"]),
        ("3,1", 2, ["3", "1"]),
        ("1, 0", 2, ["1", "0"]),
        ("0,-1,1", 1, ["0"]),
        ("GPU-aa,GPU-bb", 2, ["GPU-aa", "GPU-bb"]),
        ("MIG-aa,MIG-bb", 1, ["MIG-aa", "MIG-bb"]),
        ("MIG-GPU-aa/1/0", 1, ["MIG-GPU-aa/1/0"]),
    ],
)
def test_gpus_are_those_that_the_user_shows(listed, count, names):
    """The CUDA C++ programming guide, "CUDA Environment Variables": the list ends at the first name that is none."""
    assert devices.visible(listed, count) == names


def test_fewer_gpus_than_asked_for_are_told(monkeypatch):
    monkeypatch.setattr(runtime, "device", lambda: torch.device("cuda"))
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.delenv(devices.VISIBLE, raising=False)
    assert devices.gpus(1) == ["0"]
    assert devices.gpus() == ["0", "1"]
    with pytest.raises(InputError, match=r"execution\.gpus: 4 asked for, 2 there; set it to 2, or to all"):
        devices.gpus(4)


def test_a_gpu_asked_for_where_there_is_none_is_told(monkeypatch):
    monkeypatch.setattr(runtime, "device", lambda: torch.device("cpu"))
    assert devices.gpus() == []
    with pytest.raises(InputError, match=r"execution\.gpus: 1 asked for, none there; set it to all"):
        devices.gpus(1)


SMI = """0, GPU-0a1b, 81000
1, GPU-0c2d, 13000
2, GPU-0e3f, [N/A]
"""


@pytest.mark.parametrize(
    ("names", "cores", "jobs"),
    [
        (["0"], 16, 5),
        (["0"], 3, 3),
        (["0"], 1, 1),
        (["1"], 16, 2),
        (["0", "1"], 16, 2),
        (["GPU-0a"], 16, 5),
        (["GPU-0c"], 16, 2),
        (["2"], 16, 5),
        (["0", "0"], 6, 3),
        (["MIG-aa"], 16, 1),
    ],
)
def test_auto_is_what_cores_memory_and_gain_allow(monkeypatch, names, cores, jobs):
    monkeypatch.setattr(runtime, "cores", lambda: cores)
    monkeypatch.setattr(devices, "_smi", lambda: SMI)
    assert devices.per_gpu("auto", names) == jobs
    assert devices.per_gpu(7, names) == 7
