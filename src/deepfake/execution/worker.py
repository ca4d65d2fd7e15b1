"""What goes on in a worker: a process that carries out jobs, and tells its parent."""

import ctypes
import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.queues import SimpleQueue
from typing import Any

from deepfake import runtime
from deepfake.config.execution import Engine
from deepfake.execution import devices
from deepfake.execution.base import ENGINE, Job, Tell
from deepfake.project import Project


@dataclass(frozen=True)
class Started:
    """A worker's news that a job, by its number, has begun."""

    number: int


_PR_SET_PDEATHSIG = 1
"""From linux/prctl.h: the signal a process gets when its parent ends."""
_news: "SimpleQueue[Any] | None" = None
"""The way to the parent."""
_place = devices.Place()


def listen(news: "SimpleQueue[Any]", here: Project | None, engine: Engine | None, place: devices.Place) -> None:
    """Remember, in a new worker, whom to tell, where and how it works; end with the parent, even a killed one."""
    global _news, _place
    _news, _place = news, place
    os.environ.update(place.environment)
    if here is not None:
        here.enter()
    if engine is not None:
        ENGINE.set(engine)
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C reaches workers too; the parent has the word
    _end_with_parent()


def _end_with_parent() -> None:
    """End when the parent does: an orphan would go on working beside the run that takes over its work."""
    parent = multiprocessing.parent_process()
    if sys.platform == "linux" and parent is not None and parent.pid == os.getppid():
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    elif parent is not None:
        # started by the fork server, which lives as long as its children
        threading.Thread(target=lambda: (parent.join(), os._exit(1)), daemon=True).start()


def work(function: Callable[[Job, Tell[Any]], None], job: Job, number: int, sharers: int) -> str | None:
    """Carry out a job.

    Args:
        function: what is done for it.
        job: the job.
        number: by which the parent knows it.
        sharers: how many jobs share this one's GPU, itself included.

    Returns:
        What was said of the GPU's memory when it did not suffice, else None.

    Raises:
        InputError: the worker does not see its GPU; or what the job raises.
    """
    assert _news is not None
    os.environ[runtime.GPU_SHARERS] = str(sharers)
    devices.check_seen(_place)
    _news.put(Started(number))
    try:
        function(job, _news.put)
    except Exception as error:
        if (said := devices.out_of_memory(error)) is None:
            raise
        return said
    return None
