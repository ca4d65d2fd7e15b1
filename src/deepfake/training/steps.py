"""Training steps, one by one or as one CUDA graph: the same work, the same numbers."""

import copy
from collections.abc import Callable
from typing import Literal

import torch
from torch.nn.utils import clip_grad_norm_
from torch.optim import Optimizer

from deepfake.config import RunConfig
from deepfake.loading.batches import Given, Loader
from deepfake.training import graphs, ranks, tasks
from deepfake.training.tasks import Task, Told
from deepfake.training.together import Together

_BEFORE = 3
"""Whole batches that are trained on before a step is recorded, as torch asks for."""


def optimizer_of(task: Task, config: RunConfig) -> Optimizer:
    """Return the AdamW of a run; on a GPU its rate is a tensor there, so that a recorded step follows the schedule."""
    device = next(task.parameters()).device
    rate = torch.tensor(config.lr, device=device) if device.type == "cuda" else config.lr
    return torch.optim.AdamW(
        task.parameters(), lr=rate, weight_decay=config.weight_decay, fused=True, capturable=device.type == "cuda"
    )


class Steps:
    """Carries out the training steps of a fold.

    Whole batches are replayed as one CUDA graph, after the first few; the last, smaller one of an epoch is not, nor is
    a step that a graph cannot hold.
    """

    def __init__(
        self,
        task: Task,
        optimizer: Optimizer,
        loader: Loader,
        config: RunConfig,
        dtype: torch.dtype | None,
        *,
        graph: Literal["auto", "never"] = "auto",
        record: graphs.Record | None = None,
        on_note: Callable[[str], None] = lambda line: None,
    ):
        """Keep what a step needs.

        Args:
            task: what is trained.
            optimizer: of its parameters.
            loader: makes batches of what it gave.
            config: the experiment.
            dtype: of autocast, or None for full precision.
            graph: as `config.Engine.graph`.
            record: what records a step; None: as CUDA graph on a GPU, not at all on a CPU or with several processes.
            on_note: called once with why steps are not recorded.
        """
        self._task, self._optimizer, self._loader = task, optimizer, loader
        self._together = Together(task)
        self._counts: tuple[int, int] | None = None
        self._clip, self._size, self._dtype = config.grad_clip, config.batch_size, dtype
        if record is None and next(task.parameters()).is_cuda:
            record = graphs.record
        self._whole = graphs.Recorded(
            self._work,
            record if graph == "auto" and ranks.world() == 1 else None,
            before=_BEFORE,
            check=lambda samples, rows: graphs.obstacle(lambda: self._tried(samples, rows)),
            # gradients that are there would be freed while it is recorded
            prepare=lambda: optimizer.zero_grad(set_to_none=True),
            what="training steps",
            on_note=on_note,
        )

    def __call__(self, given: Given, progress: float, counts: tuple[int, int] | None = None) -> Told:
        """Train on some samples.

        Args:
            given: the samples, as the loader gave them for training.
            progress: share of the training that is done, in [0, 1].
            counts: of several processes: how many of the samples count, and how many the whole batch has
                (`ranks.Part`).

        Returns:
            What the step leaves; it stays as it is.
        """
        self._task.begin(progress)
        self._counts = counts
        return (self._whole if len(given.rows) == self._size else self._work)(*given)

    def forget(self) -> None:
        """Give back the memory of a recorded step."""
        self._whole.forget()

    def _tried(self, samples: torch.Tensor, rows: torch.Tensor) -> None:
        """Do a step but for its end, on a copy of what is trained."""
        self._optimizer.zero_grad(set_to_none=True)
        twin = copy.deepcopy(self._task)
        twin.step(self._loader.finish(samples, rows), self._dtype).loss.backward()

    def _work(self, samples: torch.Tensor, rows: torch.Tensor) -> Told:
        """Do what a step is."""
        self._optimizer.zero_grad(set_to_none=True)
        step = self._together.step(self._loader.finish(samples, rows), self._dtype, self._counts)
        step.loss.backward()
        if self._clip > 0:
            clip_grad_norm_(self._task.parameters(), self._clip)
        self._optimizer.step()
        return tasks.told(step)
