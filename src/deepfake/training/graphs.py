"""Work on a GPU as one CUDA graph: recorded once, replayed for each batch, without a launch for each of its kernels.

At a batch of 32 a GPU waits for launches: one replay a step trained ResNet18 at 128 px 5.8 times as fast as timm's loop
(H100). Nakanishi et al., "Accelerating PyTorch with CUDA Graphs" (PyTorch blog, 2021), describes the procedure.
"""

import functools
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

Work = Callable[..., Any]
"""Work on tensors of fixed shapes; what it gives is on the device, too."""
Record = Callable[[Work, tuple[torch.Tensor, ...]], Work]
"""Maps work and an example of its tensors to the same work, recorded. What that gives is overwritten by the next call;
given fewer samples than in the example, the rest are those of the call before."""


@contextmanager
def own_stream(device: torch.device) -> Generator[None]:
    """Do all work of this block on a stream of its own, where work can be recorded; nothing on a CPU."""
    if device.type != "cuda":
        yield
        return
    outside, inside = torch.cuda.current_stream(device), _stream(torch.cuda.current_device())
    inside.wait_stream(outside)
    try:
        with torch.cuda.stream(inside):
            yield
    finally:
        outside.wait_stream(inside)


@functools.cache
def _stream(device: int) -> torch.cuda.Stream:
    """Return the one stream of a GPU that is recorded on: what torch keeps of freed memory it keeps by streams."""
    return torch.cuda.Stream(device)


def record(work: Work, example: tuple[torch.Tensor, ...]) -> Work:
    """Record work on the current stream, which is not torch's first one (`own_stream`); nothing is computed yet.

    The work was done before on this stream, at least once, so that what is allocated once is there.
    """
    kept = tuple(tensor.clone() for tensor in example)
    graph = torch.cuda.CUDAGraph()
    # of this thread alone: others may load, or wait, meanwhile
    with torch.cuda.graph(graph, stream=torch.cuda.current_stream(), capture_error_mode="thread_local"):
        found = work(*kept)

    def replay(*given: torch.Tensor) -> Any:
        for mine, theirs in zip(kept, given, strict=True):
            mine[: len(theirs)].copy_(theirs)
        graph.replay()
        return found

    return replay


class Recorded:
    """Work that is recorded once it was done a few times, or done anew each time where that cannot be."""

    def __init__(
        self,
        work: Work,
        record: Record | None,
        *,
        before: int = 1,
        check: Callable[..., str | None] = lambda *given: None,
        prepare: Callable[[], None] = lambda: None,
        what: str = "work",
        on_note: Callable[[str], None] = lambda line: None,
    ):
        """Keep the work; nothing is done yet.

        Args:
            work: what is done.
            record: what records it (`record`), or None: it is never recorded.
            before: how often it is done before it is recorded.
            check: called once before that, with what the work is given; returns what a graph could not hold, or None.
            prepare: called right before it is recorded.
            what: a plural that names the work, for the note.
            on_note: called once with why it is not recorded, where it was to be.
        """
        self._work, self._record, self._before = work, record, before
        self._check, self._prepare = check, prepare
        self._what, self._on_note = what, on_note
        self._done = 0
        self._replay: Work | None = None

    @property
    def is_recorded(self) -> bool:
        """Tell whether the next call is a replay, which may be given fewer samples."""
        return self._replay is not None

    def __call__(self, *given: torch.Tensor) -> Any:
        """Do the work; what it gives stays as it is."""
        if self._record is None:
            return self._work(*given)
        self._done += 1
        if self._done <= self._before:
            return self._work(*given)
        if self._replay is None:
            try:
                if (obstacle := self._check(*given)) is not None:
                    self._give_up(obstacle)
                    return self._work(*given)
                self._prepare()
                self._replay = self._record(self._work, given)
            except torch.OutOfMemoryError:
                raise
            except RuntimeError as error:  # what cannot be copied, or what CUDA refuses and `Watch` cannot see
                self._give_up(str(error).splitlines()[0])
                return self._work(*given)
        return tree_map(torch.clone, self._replay(*given))

    def forget(self) -> None:
        """Give back the memory of what is recorded, which else waits for Python's collector; record nothing anew."""
        self._record = self._replay = None

    def _give_up(self, why: str) -> None:
        self._record = None
        self._on_note(f"{self._what} are not recorded as CUDA graphs: {why}")


def obstacle(work: Callable[[], object]) -> str | None:
    """Do work and return what in it a graph could not hold, or None; chance goes on as if nothing had been done.

    The work is not to leave anything: operations are looked at one by one, which may change roundings.
    """
    devices = [torch.cuda.current_device()] if torch.cuda.is_available() else []
    with torch.inference_mode(False), torch.random.fork_rng(devices), Watch() as watch:
        work()
    return watch.found


class Watch(TorchDispatchMode):
    """Finds, while work is done, what a graph could not hold.

    A replay knows no host: work whose course or shapes depend on values, or that fetches tensors from another device,
    would do what it did when it was recorded.
    """

    def __init__(self) -> None:
        super().__init__()
        self.found: str | None = None

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Look at an operation, and do it."""
        given = [each for each in tree_leaves((args, kwargs)) if isinstance(each, torch.Tensor)]
        out = func(*args, **(kwargs or {}))
        made = [each for each in tree_leaves(out) if isinstance(each, torch.Tensor)]
        name = func.overloadpacket.__name__
        if "index" in name and (indices := _indices(args)):
            # by tensors of numbers its shape is theirs, whatever torch says of it
            if any(each.dtype in (torch.bool, torch.uint8) for each in indices):
                self.found = self.found or f"{name} by a mask depends on values"
        elif torch.Tag.data_dependent_output in func.tags or torch.Tag.dynamic_output_shape in func.tags:
            self.found = self.found or f"{name} depends on values"
        elif len({each.device for each in (*given, *made) if each.dim() or name in _COPIES}) > 1:
            self.found = self.found or f"{name} moves tensors between devices"
        return out


_COPIES = ("_to_copy", "copy_")


def _indices(args: tuple[Any, ...]) -> list[torch.Tensor]:
    """Return the tensors by which an operation indexes."""
    return [each for part in args[1:] if isinstance(part, list | tuple) for each in part if each is not None]
