"""What the control groups of a container or a session allow this process (Linux, versions 1 and 2)."""

import os
from collections.abc import Iterator
from pathlib import Path

_UNLIMITED = 1 << 60
"""Version 1 writes a number as large as this for no limit."""


def memory(root: Path = Path("/")) -> int | None:
    """Return the smallest memory limit of the control groups that this process is in, in bytes."""
    texts = [*_group_files(root, "", "memory.max"), *_group_files(root, "memory", "memory.limit_in_bytes")]
    limits = [int(text) for text in texts if text.isdecimal() and int(text) < _UNLIMITED]
    return min(limits, default=None)


def cores(root: Path = Path("/")) -> float | None:
    """Return the processor time that the control groups of this process allow, in cores."""
    quotas = []
    for text in _group_files(root, "", "cpu.max"):
        quota, period = text.split()
        quotas += [int(quota) / int(period)] if quota.isdecimal() else []
    pairs = (_group_files(root, "cpu", f"cpu.cfs_{name}_us") for name in ("quota", "period"))
    quotas += [int(quota) / int(period) for quota, period in zip(*pairs, strict=False) if int(quota) > 0]
    return min(quotas, default=None)


def _group_files(root: Path, controller: str, name: str) -> Iterator[str]:
    """Yield what a file says in this process's control group and all above it.

    Args:
        root: the root of the file system.
        controller: of version 1; "" for version 2.
        name: the file.
    """
    try:
        lines = (root / "proc/self/cgroup").read_text(encoding="utf-8").splitlines()
    except OSError:
        return
    base = root / "sys/fs/cgroup" / controller
    for line in lines:
        _, controllers, group = line.split(":", 2)
        if controller not in controllers.split(","):
            continue
        inner = Path(group.lstrip("/"))
        # in a container the group may be named as the host sees it, and lie at the top
        for folder in {base / inner, *(base / parent for parent in inner.parents), base}:
            if (folder / name).is_file() and os.access(folder / name, os.R_OK):
                yield (folder / name).read_text(encoding="utf-8").strip()
