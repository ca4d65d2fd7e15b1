"""One job after the other, each carried out by several processes together, with a GPU each where there are GPUs.

Only functions that are made for it (`base.shared`) are called by all processes; all others are those of
`LocalProcesses`. What a job's processes do together they find in `torch.distributed`.
"""

import contextlib
import os
import pickle
import sys
import tempfile
import traceback
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import contextmanager
from datetime import timedelta
from multiprocessing import connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, NamedTuple

from deepfake import runtime
from deepfake.config.execution import Engine, Execution
from deepfake.errors import InputError
from deepfake.execution import crew, devices, worker
from deepfake.execution.base import ENGINE, LAUNCHED, Job, News, Tell, is_shared, unheard
from deepfake.execution.processes import LocalProcesses
from deepfake.progress import JobState
from deepfake.project import current

_FOR_EVER = timedelta(days=30)
"""How long a process waits for others: one that is lost ends all (the caller sees to it), and until then may work."""
_SECONDS = 0.2
"""At most so old are news when they are told."""


class _Work(NamedTuple):
    """What is handed to each process."""

    function: Callable[[Any, Tell[Any]], None]
    jobs: list[Any]
    names: list[str]
    where: str
    remedy: str

    def carry_out(self, on_news: Tell[Any], on_state: Tell[JobState]) -> None:
        """Call the function for each job, and tell what becomes of it."""
        for name, job in zip(self.names, self.jobs, strict=True):
            on_state(JobState(name, "running", self.where))
            try:
                self.function(job, on_news)
            except Exception as error:
                on_state(JobState(name, "failed", str(error).split("\n")[0] or type(error).__name__))
                if (said := devices.out_of_memory(error)) is not None:
                    raise InputError(f"{name}: {said}, alone on its GPU; {self.remedy}") from None
                raise
            on_state(JobState(name, "done", self.where))


class Ranks:
    """Processes of this machine that carry out each job together.

    Args:
        settings: how many they are, and which GPUs are used.
    """

    def __init__(self, settings: Execution) -> None:
        self._settings, self._count = settings, settings.data_parallel
        self._alone = LocalProcesses(settings=settings)

    def workers(self) -> int:
        """Return how many jobs run side by side that are not shared."""
        return self._alone.workers()

    def run(
        self,
        function: Callable[[Job, Tell[News]], None],
        jobs: Iterable[Job],
        *,
        on_news: Tell[News],
        remedy: str,
        on_state: Tell[JobState] = unheard,
    ) -> None:
        """Call `function(job, tell)` for each job in all processes; the first one's news is heard.

        Raises:
            InputError: fewer GPUs than processes, a process was killed, most likely for memory; or what a job raises.
        """
        if not is_shared(function):
            self._alone.run(function, jobs, on_news=on_news, remedy=remedy, on_state=on_state)
            return
        if not (jobs := list(jobs)):
            return
        gpus = devices.gpus(self._settings.gpus)
        _check_gpus(self._count, gpus)
        work = _work(function, jobs, self._count, remedy, on_state)
        told: list[BaseException] = []

        def hear(news: Any) -> None:
            kind, what = news
            (told.append if kind == "error" else on_state if kind == "state" else on_news)(what)

        context = crew.context(function.__module__, forked=crew.FORK and not gpus, on_gpus=bool(gpus))
        news = context.SimpleQueue()
        with tempfile.TemporaryDirectory() as folder:
            rest = (self._count, Path(folder) / "meeting", work, news, current(), ENGINE.get(None))
            processes: list[BaseProcess] = [
                context.Process(target=_rank, args=(rank, _place(rank, gpus), *rest), daemon=True)
                for rank in range(self._count)
            ]
            try:
                for process in processes:
                    process.start()
                _hear_out(processes, news, hear)
                _check_end(processes, told, remedy)
            finally:
                for process in processes:
                    if process.pid is not None:
                        process.kill()
                        process.join()


def _work(function: Any, jobs: list[Any], count: int, remedy: str, on_state: Tell[JobState]) -> _Work:
    """Return what is handed to each of so many processes, and tell that it waits."""
    names = [str(getattr(job, "name", f"{function.__name__} {number}")) for number, job in enumerate(jobs, 1)]
    for name in names:
        on_state(JobState(name, "waiting"))
    return _Work(function, jobs, names, f"{count} processes", remedy)


def _check_gpus(count: int, gpus: Sequence[str]) -> None:
    """Check that each of so many processes has a GPU, if there are any."""
    if 0 < len(gpus) < count:
        raise InputError(
            f"execution.data_parallel: {count} processes want a GPU each, and {len(gpus)} can be used; "
            f"set it to {len(gpus)} or less"
        )


def _place(rank: int, gpus: Sequence[str]) -> devices.Place:
    """Return where one of the processes works."""
    return devices.Place(environment={devices.VISIBLE: gpus[rank]} if gpus else {})


def _backend(place: devices.Place) -> str:
    """Return by what the processes speak to each other: of tensors on a GPU, and of those that are not."""
    return "cpu:gloo,cuda:nccl" if place.environment else "gloo"


def _hear_out(processes: list[BaseProcess], news: Any, hear: Callable[[Any], None]) -> None:
    """Hear what is told until all processes have ended, or one has failed."""
    while True:
        connection.wait([process.sentinel for process in processes if process.exitcode is None], timeout=_SECONDS)
        codes = [process.exitcode for process in processes]
        while not news.empty():
            hear(news.get())
        if None not in codes or any(codes):
            return


def _check_end(processes: list[BaseProcess], told: list[BaseException], remedy: str) -> None:
    """Raise what went wrong first: all others have lost their connection to the one that failed."""
    codes = [process.exitcode or 0 for process in processes]
    if min(codes) < 0:
        raise InputError(f"a process was killed, most likely for lack of memory; {remedy}")
    if told:
        raise told[0]
    if any(codes):
        raise RuntimeError(f"processes of a job ended with exit codes {codes}")


def _rank(
    rank: int, place: devices.Place, count: int, meeting: Path, work: _Work, news: Any, here: Any, engine: Any
) -> None:
    """Be one of the processes: carry out all jobs, and tell what went wrong."""
    worker.listen(news, here, engine, place)
    tell: Tell[tuple[str, Any]] = news.put if rank == 0 else lambda what: None
    try:
        devices.check_seen(place)
        with _group(rank, count, _backend(place), init_method=meeting.as_uri()):
            work.carry_out(lambda what: tell(("news", what)), lambda state: tell(("state", state)))
    except BaseException as error:
        news.put(("error", _picklable(error)))
        sys.exit(1)


@contextmanager
def _group(rank: int, count: int, backend: str, **how: Any) -> Generator[None]:
    """Be one of the processes of `torch.distributed` in this block."""
    from torch import distributed

    if sys.platform == "linux":
        os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")  # whatever the machine's name stands for
    distributed.init_process_group(backend, rank=rank, world_size=count, timeout=_FOR_EVER, **how)
    yield
    # not when it failed: others may wait for this process, and it for them
    distributed.destroy_process_group()


def _picklable(error: BaseException) -> BaseException:
    """Return an error as another process can take it, and where it was raised."""
    if not isinstance(error, InputError):
        error.add_note("".join(traceback.format_exception(error)))
    with contextlib.suppress(Exception):
        return pickle.loads(pickle.dumps(error))
    return RuntimeError("".join(traceback.format_exception(error)))


_LAUNCHER = ("RANK", "LOCAL_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE", "GROUP_RANK", "TORCHELASTIC_RUN_ID")
"""Variables by which torchrun says what a process is; what it starts in turn is none of torchrun's."""


@contextmanager
def launched() -> Generator[bool]:
    """Take part in what torchrun started, if it started this process: in this block the command is carried out.

    The command is that of the first process alone, which reads and writes the run store and prints. The others wait for
    its shared jobs, and end with it.

    Yields:
        Whether this process carries out the command; another one has done its work by then.

    Raises:
        InputError: torchrun runs on several machines, or there are fewer GPUs than processes.
    """
    if "TORCHELASTIC_RUN_ID" not in os.environ or int(os.environ["WORLD_SIZE"]) == 1:
        yield True
        return
    processes = Launched()
    if processes.rank:
        processes.follow()
        yield False
        return
    token = LAUNCHED.set(processes)
    try:
        yield True
    finally:
        LAUNCHED.reset(token)
        processes.end()


class Launched:
    """The processes that torchrun started on this machine; as an executor, that of the first one's jobs."""

    def __init__(self) -> None:
        """Find the others, by the variables that torchrun sets; they are taken away."""
        self.rank, self._count = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
        if self._count != int(os.environ["LOCAL_WORLD_SIZE"]):
            raise InputError("torchrun: data_parallel works within one machine; use --nnodes 1, or ray for more")
        from torch import cuda
        from torch.distributed.rendezvous import rendezvous

        # counted by the driver's library: CUDA must not be started before it is told which GPU it may see
        count = cuda.device_count() if runtime.has_gpu() else 0
        gpus = devices.visible(os.environ.get(devices.VISIBLE), count) if count else []
        _check_gpus(self._count, gpus)
        place = _place(self.rank, gpus)
        os.environ.update(place.environment)
        self._backend = _backend(place)
        self._store, _, _ = next(rendezvous("env://", timeout=_FOR_EVER))
        for name in _LAUNCHER:
            os.environ.pop(name, None)
        self._alone = LocalProcesses()
        self._turn = 0

    def workers(self) -> int:
        """Return how many jobs run side by side that are not shared."""
        return self._alone.workers()

    def run(
        self,
        function: Callable[[Job, Tell[News]], None],
        jobs: Iterable[Job],
        *,
        on_news: Tell[News],
        remedy: str,
        on_state: Tell[JobState] = unheard,
    ) -> None:
        """Call `function(job, tell)` for each job in all processes; torchrun ends all when one fails."""
        if not is_shared(function):
            self._alone.run(function, jobs, on_news=on_news, remedy=remedy, on_state=on_state)
        elif jobs := list(jobs):
            work = _work(function, jobs, self._count, remedy, on_state)
            self._store.set(f"turn {self._turn}", "work")
            self._take_turn((work, current(), ENGINE.get(None)), on_news, on_state)

    def follow(self) -> None:
        """Carry out the first process's jobs together with it, until it has no more."""
        while self._next() == b"work":
            self._take_turn(None, lambda what: None, unheard)

    def end(self) -> None:
        """Tell the others that there are no more jobs."""
        self._store.set(f"turn {self._turn}", "end")

    def _next(self) -> bytes:
        """Wait for the first process."""
        self._store.wait([f"turn {self._turn}"], _FOR_EVER)
        return self._store.get(f"turn {self._turn}")

    def _take_turn(self, handed: Any, on_news: Tell[Any], on_state: Tell[JobState]) -> None:
        """Carry out jobs, which the first process hands to the others."""
        import torch
        from torch import distributed

        store = distributed.PrefixStore(f"group {self._turn}", self._store)  # pyright: ignore[reportPrivateImportUsage]
        self._turn += 1
        with _group(self.rank, self._count, self._backend, store=store):
            box = [handed]
            distributed.broadcast_object_list(box, src=0, device=torch.device("cpu"))
            work, here, engine = box[0]
            token = ENGINE.set(engine or Engine())
            try:
                with here.entered() if here else contextlib.nullcontext():
                    work.carry_out(on_news, on_state)
            finally:
                ENGINE.reset(token)
