"""The machine: cores, memory, temporary files, and what processes talk through."""

import multiprocessing
import tempfile
from pathlib import Path

from deepfake import limits, runtime
from deepfake.ops.doctor.finding import Finding, gigabytes

WORKER_BYTES = 1_700_000_000
"""What one fold of ResNet50 takes on the CPU at the sizes of `quick`, torch included (measured); SimpleCNN: 1.1 GB."""


def cores() -> Finding:
    """Say how many cores this process may use."""
    return Finding("ok", "cores", str(runtime.cores()))


def memory(root: Path = Path("/")) -> Finding:
    """Say how much memory this process may use, and whether that suffices for a fold on every core."""
    total, available = meminfo((root / "proc/meminfo").read_text(encoding="utf-8"))
    limit = limits.memory(root)
    usable = min(total, limit or total)
    text = gigabytes(usable)
    if limit is not None and limit < total:
        text += f" by the limit of this container or session, of {gigabytes(total)}"
    text += f"; {gigabytes(min(available, usable))} free"
    if usable < runtime.cores() * WORKER_BYTES:
        text += f"; on the CPU {runtime.cores()} folds train at once, up to {gigabytes(WORKER_BYTES)} each"
        return Finding("note", "memory", text, "give it more memory, or fewer cores: taskset, docker --cpuset-cpus")
    return Finding("ok", "memory", text)


def temporary() -> Finding:
    """Say whether temporary files can be written."""
    try:
        return Finding("ok", "temporary", tempfile.gettempdir())
    except FileNotFoundError as error:
        text = f"no folder for temporary files can be written ({error.strerror})"
        return Finding("missing", "temporary", text, "export TMPDIR=FOLDER; in a container: docker run --tmpfs /tmp")


def processes() -> Finding:
    """Say whether processes can talk to each other.

    That takes a named semaphore, a few bytes in /dev/shm; images do not go through there, so its size does not matter.
    """
    try:
        multiprocessing.get_context().SimpleQueue()
    except OSError as error:
        text = f"processes cannot talk to each other: {error.strerror} (/dev/shm)"
        return Finding("missing", "processes", text, "mount /dev/shm, writable: docker run --tmpfs /dev/shm")
    return Finding("ok", "processes", "can talk to each other")


def meminfo(text: str) -> tuple[int, int]:
    """Return the total and the available memory in bytes, from the text of /proc/meminfo."""
    values = {line.partition(":")[0]: line.split()[1] for line in text.splitlines() if len(line.split()) > 1}
    total = int(values["MemTotal"]) * 1024
    return total, int(values.get("MemAvailable", values["MemTotal"])) * 1024
