"""The processes that train one fold together: which samples each takes, and how what each has computed is put together.

The order of an epoch and its batches are those of one process; of each batch a process takes a stretch. Where
`torch.distributed` is not initialised there is one process, which takes all.
"""

from typing import NamedTuple

import numpy as np
import torch
from torch import distributed

from deepfake.errors import InputError

LEAST = 2
"""Samples of a whole batch that each process takes at least: batch norm cannot be trained on one."""


def world() -> int:
    """Return how many processes train together."""
    return distributed.get_world_size() if distributed.is_available() and distributed.is_initialized() else 1


def rank() -> int:
    """Return the number of this process among them."""
    return distributed.get_rank() if world() > 1 else 0


def leads() -> bool:
    """Tell whether this is the process that writes files."""
    return rank() == 0


def chance() -> tuple[int, ...]:
    """Return what this process adds to the seed of dropout, so that no two drop the same."""
    return (rank(),) if world() > 1 else ()


def check(batch_size: int) -> None:
    """Check that a batch can be shared.

    Raises:
        InputError: it cannot.
    """
    count = world()
    if count > 1 and (batch_size % count or batch_size < LEAST * count):
        raise InputError(
            f"execution.data_parallel: a batch of {batch_size} cannot be shared by {count} processes; "
            f"set shared.batch_size to a multiple of {count}, {LEAST * count} or more, or data_parallel to 1"
        )


class Part(NamedTuple):
    """What this process takes of a list of samples that is gone through batch by batch.

    Args:
        places: int [m], where its samples stand in the list. With no sample of the last batch it borrows the first of
            them, which does not count: it must take part in all that the others wait for.
        size: samples of a whole batch that it takes.
        counts: for each batch how many samples count here, and how many the batch has.
    """

    places: np.ndarray
    size: int
    counts: list[tuple[int, int]]


def part(count: int, batch_size: int) -> Part:
    """Return the part of a list of so many samples that this process takes: of each batch a stretch.

    Args:
        count: of samples.
        batch_size: of whole batches.
    """
    places, counts = [np.arange(0)], []
    for start in range(0, count, max(1, batch_size)):
        batch = np.arange(start, min(start + batch_size, count))
        mine = np.array_split(batch, world())[rank()]
        places.append(mine if len(mine) else batch[:1])
        counts.append((len(mine), len(batch)))
    return Part(np.concatenate(places), -(-batch_size // world()), counts)


def gathered(values: np.ndarray, taken: Part) -> np.ndarray:
    """Return the values of all samples of a list, each computed by one process.

    Args:
        values: float [m], of those that this process took.
        taken: its part.

    Returns:
        float64 [n], in the order of the list; the same in all processes, to the last bit.
    """
    if world() == 1:
        return values
    found = torch.zeros(sum(whole for _, whole in taken.counts), dtype=torch.float64)
    counted = sum(mine for mine, _ in taken.counts)
    found[torch.from_numpy(taken.places[:counted])] = torch.from_numpy(values[:counted]).double()
    distributed.all_reduce(found)  # each is a sum of itself and zeros, which is exact
    return found.numpy()


def summed(values: torch.Tensor) -> torch.Tensor:
    """Return the sum of a tensor over all processes."""
    if world() > 1:
        values = values.clone()
        distributed.all_reduce(values)
    return values
