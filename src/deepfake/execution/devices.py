"""Where jobs are carried out on this machine: on its GPUs, some side by side on each; or on its cores."""

import functools
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import takewhile
from typing import Literal

from deepfake import runtime
from deepfake.config.execution import Execution
from deepfake.errors import InputError

VISIBLE = "CUDA_VISIBLE_DEVICES"
_MIG = "MIG-"
_SIDE_BY_SIDE = 5
"""Jobs on a GPU at most, where its owner does not say. On one H100 four folds of a small ResNet18 trained 3.0 times
as fast side by side as one by one, with the same numbers; a fifth lets the five folds of a run go in one round."""
_JOB_MIB = 6 * 1024
"""Memory that a job is thought to need before it has run. ConvNeXt-Tiny at 224 px took 17.6 GB at a batch of 256; at
the study's 32 its maps take an eighth, beside CUDA itself and the images. Where it is not enough, fewer go on."""


@dataclass(frozen=True)
class Place:
    """Where jobs work side by side: a GPU, or all cores together.

    Args:
        name: what it is called where jobs are told of, "" where there is no other.
        jobs: how many work there at most.
        environment: variables of its processes, set before CUDA starts in them.
    """

    name: str = ""
    jobs: int = 1
    environment: Mapping[str, str] = field(default_factory=dict)


def places(settings: Execution) -> list[Place]:
    """Return a place for each GPU that jobs may use, and none where they work on the CPU.

    CUDA is not started here: its context would take memory, and which GPU a process sees is decided before.

    Raises:
        InputError: there are fewer GPUs than asked for.
    """
    found = gpus(settings.gpus)
    each = per_gpu(settings.per_gpu, found) if found else 0
    return [Place(f"GPU {name}" if len(found) > 1 else "", each, {VISIBLE: name}) for name in found]


def gpus(wanted: Literal["all"] | int = "all") -> list[str]:
    """Return the GPUs that jobs may use, each as CUDA_VISIBLE_DEVICES names it.

    Raises:
        InputError: there are fewer than asked for.
    """
    there: list[str] = []
    if runtime.device().type == "cuda":
        import torch

        there = visible(os.environ.get(VISIBLE), torch.cuda.device_count())
    if wanted == "all":
        return there
    if wanted > len(there):
        fewer = f"set it to {len(there)}, or to all" if there else "set it to all"
        raise InputError(f"execution.gpus: {wanted} asked for, {len(there) or 'none'} there; {fewer}")
    return there[:wanted]


def visible(listed: str | None, count: int) -> list[str]:
    """Return the names of the GPUs that a process sees.

    Args:
        listed: CUDA_VISIBLE_DEVICES (numbers, UUIDs or MIG devices), None where it is not set.
        count: of the GPUs that CUDA counts; it stops at the first name that is none.
    """
    if listed is None:
        return [str(number) for number in range(count)]
    names = [name.strip() for name in listed.split(",")]
    if names[0].startswith(_MIG):
        # of MIG devices CUDA shows a process the first alone; each worker may be given another
        return list(takewhile(lambda name: name.startswith(_MIG), names))
    return names[:count]


def per_gpu(wanted: Literal["auto"] | int, names: Sequence[str]) -> int:
    """Return how many jobs share each of some GPUs: no more than cores, memory and the measured gain allow."""
    if wanted != "auto":
        return wanted
    if names[0].startswith(_MIG):
        return 1  # a part of a GPU already
    known = [free for name in names if (free := _free(name)) is not None]
    return max(1, min(_SIDE_BY_SIDE, runtime.cores() // len(names), *(mib // _JOB_MIB for mib in known)))


def _free(name: str) -> int | None:
    """Return a GPU's free memory in MiB, or None where nvidia-smi is missing or does not say.

    CUDA may count GPUs of different kinds in another order than nvidia-smi; a wrong guess costs speed, no number.
    """
    for row in smi(_smi()):
        if name == row[0] or (name.startswith("GPU-") and row[1].startswith(name)):
            return int(row[2])
    return None


def smi(text: str) -> list[list[str]]:
    """Return index, UUID and free MiB of each GPU in nvidia-smi's CSV; where memory is unknown, the GPU is left out."""
    rows = [[part.strip() for part in line.split(",")] for line in text.splitlines()]
    return [row for row in rows if len(row) == 3 and row[2].isdigit()]


@functools.cache
def _smi() -> str:
    """Return what nvidia-smi says, asked once: other jobs of ours will take of it."""
    command = ["nvidia-smi", "--query-gpu=index,uuid,memory.free", "--format=csv,noheader,nounits"]
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=20, check=False).stdout
    except (OSError, subprocess.TimeoutExpired):
        return ""


def check_seen(place: Place) -> None:
    """Refuse to work on the CPU, in a process that was given a GPU: its numbers would be filed as those of a GPU.

    Raises:
        InputError: CUDA does not see the GPU.
    """
    if (name := place.environment.get(VISIBLE)) is not None and runtime.device().type != "cuda":
        raise InputError(f"{VISIBLE}={name}: CUDA sees no such GPU; mend the list, or run deepfake doctor")


def out_of_memory(error: BaseException) -> str | None:
    """Return what an error says of the GPU's memory that did not suffice, None for all other errors."""
    torch = sys.modules.get("torch")
    if torch is None or not isinstance(error, RuntimeError):
        return None
    text = str(error)
    # cuBLAS and cuDNN, and a graph while it is captured, tell it in their own words
    other = "CUDA" in text and "out of memory" in text, "CUBLAS_STATUS_ALLOC_FAILED" in text
    if not isinstance(error, torch.OutOfMemoryError) and not any(other):
        return None
    return ". ".join(text.split("\n")[0].split(". ")[:2]).rstrip(".") or "out of memory"
