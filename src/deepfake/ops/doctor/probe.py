"""Questions that another process answers, since they take seconds, may hang, or may crash on a broken machine.

`python -m deepfake.ops.doctor.probe NAME` prints the answer as one line of JSON; `Question` asks.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

from deepfake.project import paths

Answer = dict[str, Any]
"""What was found; with the key `error` where that was not possible: the exception's name and its first line."""


class Question:
    """A question that is being answered by a process of its own, which ends with the block at the latest.

    Args:
        name: a key of `PROBES`.
        seconds: how long the answer may take, counted from here.
    """

    def __init__(self, name: str, seconds: float) -> None:
        self._seconds = seconds
        self._deadline = time.monotonic() + seconds
        # without a terminal, nothing can stop to ask for a password
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", __name__, name],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            cwd=paths().root,
            start_new_session=True,
        )

    def __enter__(self) -> "Question":
        return self

    def __exit__(self, *error: object) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.communicate()

    def answer(self) -> Answer:
        """Wait for the answer; a process that crashed or took too long gives an error, too."""
        try:
            printed, _ = self._process.communicate(timeout=max(0.0, self._deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            return {"error": "Timeout", "message": f"no answer within {self._seconds:.0f} seconds"}
        lines = printed.splitlines()
        if self._process.returncode or not lines:
            return {"error": "Crash", "message": f"the process ended with code {self._process.returncode}"}
        return json.loads(lines[-1])


def _torch() -> Answer:
    """Import torch and torchvision, and ask torch for the GPUs."""
    import torch

    found: Answer = {"version": torch.__version__, "cuda": torch.version.cuda, "devices": [], "gpu_error": ""}
    found["architectures"] = torch.cuda.get_arch_list()
    try:
        torch.cuda.init()
        for number in range(torch.cuda.device_count()):
            gpu = torch.cuda.get_device_properties(number)
            found["devices"].append(
                {"name": gpu.name, "memory": gpu.total_memory, "capability": [gpu.major, gpu.minor]}
            )
    except (RuntimeError, AssertionError) as error:
        found["gpu_error"] = _first_line(error)
    found["torchvision"] = _safely(_torchvision)
    return found


def _torchvision() -> Answer:
    """Import torchvision, and run an operator of its library: of another torch's build it does not load."""
    import torch
    import torchvision

    torchvision.ops.nms(torch.zeros(1, 4), torch.ones(1), 0.5)
    return {"version": torchvision.__version__}


def _dali() -> Answer:
    """Import DALI."""
    from nvidia import dali

    return {"version": dali.__version__, "cuda": dali.__cuda_version__}


def _dvc() -> Answer:
    """Open the DVC repository, and try by which links it can give out what its cache holds."""
    import dvc
    from dvc.repo import Repo
    from dvc_objects.fs import generic

    with Repo() as repo:
        cache = repo.cache.local
        folder = cache.path
        while not os.path.exists(folder):
            folder = os.path.dirname(folder)
        beside = os.path.join(repo.root_dir, "any")  # its folder is where the links are tried
        works = generic.test_links(["reflink", "hardlink", "symlink"], cache.fs, folder, repo.fs, beside)
        return {"version": dvc.__version__, "folder": cache.path, "types": cache.cache_types, "works": works}


_BUCKETS = ("s3", "gs", "azure", "oss")
"""Remotes without folders: a place where nothing lies yet does not exist, but its bucket does."""


def _remote() -> Answer:
    """Look for the default remote of the DVC repository."""
    from dvc.repo import Repo

    with Repo() as repo:
        name = repo.config["core"].get("remote")
        if name is None:
            return {"name": None, "others": sorted(repo.config["remote"])}
        remote = repo.cloud.get_remote(name)
        scheme = remote.fs.protocol
        found = {"name": name, "url": repo.config["remote"][name]["url"], "scheme": scheme, "path": remote.path}
        place = remote.path.split("/")[0] if scheme in _BUCKETS else remote.path
        return found | {"there": bool(remote.fs.exists(remote.path) or remote.fs.exists(place))}


PROBES: dict[str, Callable[[], Answer]] = {"torch": _torch, "dali": _dali, "dvc": _dvc, "remote": _remote}
"""The questions, by name."""


def _safely(probe: Callable[[], Answer]) -> Answer:
    """Return what a probe finds, or the error it ends with."""
    try:
        return probe()
    except Exception as error:  # whatever is broken there is what was asked for
        return {"error": type(error).__name__, "message": _first_line(error)}


def _first_line(error: BaseException) -> str:
    """Return the first line of an error's message, or its name."""
    return next(iter(str(error).strip().splitlines()), type(error).__name__)


if __name__ == "__main__":
    print(json.dumps(_safely(PROBES[sys.argv[1]])))
