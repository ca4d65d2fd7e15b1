"""What the caller of a Ray cluster, its courier and a node say to each other."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deepfake.config.execution import Engine


@dataclass(frozen=True)
class Order:
    """How the courier is to work.

    Args:
        address: of the cluster; None for one of this machine alone.
        gpu: the share of a GPU that a job takes; 0 on machines without.
        gpus: how many GPUs a cluster of this machine alone has; None for all.
        cores: how many cores it has.
        facts: what must be the same on all nodes (`gate.facts`).
    """

    address: str | None
    gpu: float
    gpus: int | None
    cores: int
    facts: dict[str, str | None]


@dataclass(frozen=True)
class Input:
    """A file that a job reads.

    Args:
        place: its absolute path on the caller's machine.
        size: in bytes.
        sha256: of its content.
    """

    place: str
    size: int
    sha256: str


@dataclass(frozen=True)
class Parcel:
    """A job and all that a node needs for it; nothing of it is unpacked before the node's versions were looked at.

    Args:
        function: what is done for the job.
        job: the job (`cluster.Portable`).
        root: the caller's project, as an absolute path.
        inputs: by the paths that the job knows them by.
        folder: where its results go on the caller's machine, as an absolute path.
        token: the name of a file beside that folder, as long as it is the caller's.
        engine: how training steps are carried out.
    """

    function: Callable[[Any, Any], None]
    job: Any
    root: str
    inputs: dict[Path, Input]
    folder: str
    token: str
    engine: Engine | None


@dataclass(frozen=True)
class Task:
    """A parcel as bytes.

    Args:
        name: of its job.
        parcel: a pickled `Parcel`.
    """

    name: str
    parcel: bytes
