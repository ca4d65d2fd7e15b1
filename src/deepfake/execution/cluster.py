"""Jobs on the machines of a Ray cluster: the extra `deepfake[ray]`.

What can be carried to another machine (`Portable`: the folds of all runs) goes to the cluster, everything else to the
processes of this machine. Ray is spoken to by a process of its own (`courier`): this one can still be forked, hears
nothing of Ray's noise, and outlives a cluster that goes away.

A node uses its own file where it has the same one (same place in the project, same size and SHA-256): on a shared file
system, or after `dvc pull` there. Every other file comes through Ray's object store, once a node. Where a node sees the
caller's folder of results it works in it, so that a fold whose node is lost goes on elsewhere after the last epoch that
was saved; otherwise it begins anew there, and the results come back through Ray when it is done.
"""

import errno
import os
import pickle
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager
from multiprocessing import Pipe
from pathlib import Path
from typing import IO, Any, Protocol, Self

from deepfake import run_files, runtime, tables
from deepfake.config.execution import Execution
from deepfake.errors import InputError
from deepfake.execution import devices, gate
from deepfake.execution.base import ENGINE, Job, News, Tell, unheard
from deepfake.execution.orders import Input, Order, Parcel, Task
from deepfake.execution.processes import LocalProcesses
from deepfake.progress import JobState
from deepfake.project import paths

_REMEDY = "start one (ray start --head), or set address to null"
_KNOCK = 5.0
"""Seconds that a machine has to take a connection in."""
_ANSWER = 30.0
"""Seconds that a cluster has to answer in, on a busy machine; one of this machine alone is started first."""
_START = 120.0
_GOODBYE = 15.0
"""Seconds that the courier has to end all tasks in."""
_VISIBLE = 60.0
"""Seconds after which a file that another node has written is seen here at the latest: NFS remembers what was not."""


class Portable(Protocol):
    """A job that another machine can carry out."""

    folder: Path
    """Where its results go."""

    @property
    def name(self) -> str:
        """Return what it is called where jobs are told of."""
        ...

    @property
    def inputs(self) -> tuple[Path, ...] | None:
        """Return the files that it reads, None when it needs more than files."""
        ...

    def moved(self, move: Callable[[Path], Path]) -> Self:
        """Return the job with all its paths changed."""
        ...


class Cluster:
    """The nodes of a Ray cluster.

    Args:
        settings: address, and how many jobs share a GPU.

    Raises:
        InputError: the settings do not fit a cluster.
    """

    def __init__(self, settings: Execution) -> None:
        if settings.gpus != "all" and settings.address is not None:
            raise InputError(
                "execution.gpus: a node offers the GPUs that it was started with (ray start --num-gpus); set it to all"
            )
        self._settings = settings

    @property
    def called(self) -> str:
        """Return what the cluster is called in messages."""
        return (
            "Ray on this machine" if self._settings.address is None else f"the Ray cluster at {self._settings.address}"
        )

    def workers(self) -> int:
        """Return how many jobs run side by side on this machine: what is cut into as many parts is not portable."""
        return LocalProcesses(settings=self._settings).workers()

    def run(
        self,
        function: Callable[[Job, Tell[News]], None],
        jobs: Iterable[Job],
        *,
        on_news: Tell[News],
        remedy: str,
        on_state: Tell[JobState] = unheard,
    ) -> None:
        """Call `function(job, tell)` for each job (`base.Executor.run`); portable ones on the cluster.

        A job whose worker or node is lost is tried three times more; one that fails is not, and ends the others before
        they begin. What is running by then is finished.

        Raises:
            InputError: the cluster does not answer, a node has other versions, a job failed or was lost too often.
            ConnectionError: the cluster went away.
        """
        jobs = list(jobs)
        if not jobs or any(getattr(job, "inputs", None) is None for job in jobs):
            LocalProcesses(settings=self._settings).run(
                function, jobs, on_news=on_news, remedy=remedy, on_state=on_state
            )
            return
        portable: list[Any] = jobs
        for job in portable:
            on_state(JobState(job.name, "waiting"))
        with _tokens(portable) as token, self._courier(len(portable)) as connection:
            self._carry_out(connection, function, portable, token, on_news, remedy, on_state)

    def _carry_out(
        self,
        connection: Any,
        function: Callable[[Any, Tell[Any]], None],
        jobs: list[Any],
        token: str,
        on_news: Tell[Any],
        remedy: str,
        on_state: Tell[JobState],
    ) -> None:
        """Let the courier carry out jobs, and write what comes back."""
        failure = ""
        known: dict[Path, Input] = {}
        while True:
            kind, number, value = connection.recv()
            match kind:
                case "wants":
                    connection.send(_task(function, jobs[number], token, known))
                case "news":
                    on_news(pickle.loads(value))
                case "waiting" | "running":
                    on_state(JobState(jobs[number].name, kind, value))
                case "done":
                    _receive(jobs[number].folder, value)
                    on_state(JobState(jobs[number].name, "done"))
                case "failed" | "lost" | "refused":
                    why = f"{value}; {remedy}" if kind == "lost" else value
                    on_state(JobState(jobs[number].name, "failed", why))
                    failure = failure or (why if kind == "refused" else f"{jobs[number].name}: {why}")
                case _:
                    break
        if failure:
            raise InputError(failure)

    @contextmanager
    def _courier(self, count: int) -> Generator[Any]:
        """Give the way to a process that is connected to the cluster; it ends with the block, and its tasks with it."""
        settings = self._settings
        names = devices.gpus() if runtime.has_gpu() else []
        share = 1 / devices.per_gpu(settings.per_gpu, names) if names else 0.0
        gpus = None if settings.gpus == "all" else settings.gpus
        order = Order(settings.address, share, gpus, runtime.cores(), gate.facts(runtime.RECORDED_PACKAGES))
        _knock(settings.address)
        ours, theirs = Pipe()
        with tempfile.TemporaryFile() as noise, tempfile.TemporaryDirectory() as nowhere, ours:
            process = subprocess.Popen(
                # Ray lets workers import from the folder that it was started in: an empty one
                [sys.executable, "-P", "-m", "deepfake.execution.courier", str(theirs.fileno())],
                cwd=nowhere,
                env=os.environ | {"PYTHONPATH": os.pathsep.join(map(os.path.abspath, filter(None, sys.path)))},
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=noise,
                stderr=noise,
                start_new_session=True,  # Ctrl-C is for this process, which then tells that one
            )
            theirs.close()
            patience = 0.0
            try:
                ours.send((order, count))
                if not ours.poll(_START if settings.address is None else _ANSWER):
                    raise InputError(self._silent("it does not answer"))
                try:
                    problem = ours.recv()
                except (EOFError, ConnectionResetError):
                    problem = self._silent((_lines(noise) or ["it does not answer"])[-1])
                if problem:
                    raise InputError(problem)
                patience = _GOODBYE
                try:
                    yield ours
                except (EOFError, ConnectionResetError):
                    raise self._gone(_lines(noise)) from None
            finally:
                ours.close()
                _end(process, patience)

    def _gone(self, noise: list[str]) -> Exception:
        """Return what to raise when the courier has ended before its time."""
        if any(line.startswith("Traceback") for line in noise):
            return RuntimeError("\n".join(noise))
        again = "start it and run the same command again: it goes on from what is finished"
        return ConnectionError(errno.ECONNABORTED, f"it is gone; {again}", self.called)

    def _silent(self, why: str) -> str:
        return f"execution.address: {self.called}: {why}; {_REMEDY}"


def _knock(address: str | None) -> None:
    """Raise an error where nobody listens at an address, which Ray itself would try for minutes."""
    if address is None or address == "auto":
        return
    host, _, port = address.removeprefix("ray://").rpartition(":")
    try:
        if not port.isdecimal() or not host:
            raise InputError(f"execution.address: {address}: write auto, HOST:PORT or ray://HOST:PORT")
        socket.create_connection((host.strip("[]"), int(port)), timeout=_KNOCK).close()
    except (OSError, OverflowError) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise InputError(f"execution.address: no Ray cluster answers at {address} ({why}); {_REMEDY}") from None


def _lines(noise: IO[bytes]) -> list[str]:
    """Return what the courier and Ray have printed."""
    noise.seek(0)
    return noise.read().decode(errors="replace").strip().splitlines()


def _end(process: "subprocess.Popen[bytes]", patience: float) -> None:
    """Wait for the courier to end by itself, and end it when it does not."""
    try:
        process.wait(timeout=patience)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


@contextmanager
def _tokens(jobs: list[Any]) -> Generator[str]:
    """Put a file beside the folders of results while the jobs run, by which a node finds out that it sees them."""
    name = f".{uuid.uuid4().hex}.token"
    places = sorted({job.folder.parent / name for job in jobs})
    try:
        for place in places:
            place.parent.mkdir(parents=True, exist_ok=True)
            place.touch()
        yield name
    finally:
        for place in places:
            place.unlink(missing_ok=True)


def _task(
    function: Callable[[Any, Tell[Any]], None], job: Any, token: str, known: dict[Path, Input]
) -> tuple[Task, dict[str, str]]:
    """Return a job as it is carried to a node, and where here the files lie that the node may ask for."""
    root = Path(os.path.abspath(paths().root))
    for path in job.inputs:
        if path not in known:
            place = Path(os.path.abspath(path))
            known[path] = Input(str(place), path.stat().st_size, runtime.file_hash(path))
    inputs = {path: known[path] for path in job.inputs}
    folder = os.path.abspath(job.folder)
    parcel = Parcel(function, job, str(root), inputs, folder, token, ENGINE.get(None))
    return Task(job.name, pickle.dumps(parcel)), {each.sha256: each.place for each in inputs.values()}


def _receive(folder: Path, files: "dict[str, bytes] | list[str]") -> None:
    """Write the files that came back, the one that says that all are there last; or see that they are here already."""
    if isinstance(files, dict):
        for name in sorted(files, key=lambda name: (name == run_files.FOLD_DONE, name)):
            with tables.atomic(folder / name) as temporary:
                temporary.write_bytes(files[name])
        return
    deadline = time.monotonic() + _VISIBLE
    while missing := [name for name in files if not (folder / name).exists()]:
        if time.monotonic() > deadline:
            raise InputError(
                f"{folder / missing[0]}: written by another node, and not seen here; look at the file system"
            )
        time.sleep(0.2)
