"""A task trained by several processes together, so that all end with the weights that one would have trained.

torch's DistributedDataParallel averages their gradients beside the backward pass. Each process weighs its loss so that
the average is the gradient of the loss of the whole batch.
"""

import torch
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from deepfake.errors import InputError
from deepfake.loading.batches import Batch
from deepfake.training import ranks
from deepfake.training.tasks import Share, Step, Task

_TERMS = ("class_loss", "domain_loss")
"""The parts of a step that its loss is the sum of."""
_OF_THE_STEP = "domain_weight"
"""The part that is no mean over samples."""


class Together:
    """Gives the steps of a task; with one process those of the task itself."""

    def __init__(self, task: Task):
        """Begin, in all processes at the same time, with the first one's weights.

        Batch norm on GPUs is made to see the whole batch, in the model itself; its weights and their names stay.

        Args:
            task: the task, on its device.

        Raises:
            InputError: it has batch norm and is on a CPU, where each process would see its part of a batch alone.
        """
        self._task = task
        self._parallel: DistributedDataParallel | None = None
        if ranks.world() == 1:
            return
        if next(task.parameters()).is_cuda:
            from timm.layers.norm_act import convert_sync_batchnorm  # torch's own loses the activations of timm's

            convert_sync_batchnorm(task)
        elif any(isinstance(module, nn.modules.batchnorm._BatchNorm) for module in task.modules()):
            raise InputError(
                "execution.data_parallel: on a CPU batch norm would see each process's part of a batch alone, and give "
                "other results; set it to 1, or train on GPUs"
            )
        self._parallel = DistributedDataParallel(_Weighed(task))

    def step(self, batch: Batch, dtype: torch.dtype | None, counts: tuple[int, int] | None) -> Step:
        """Return what a batch gives (`Task.step`); its loss and parts are this process's shares of the whole batch's.

        Args:
            batch: this process's samples of it.
            dtype: of autocast, or None for full precision.
            counts: how many of them count, and how many samples the whole batch has (`ranks.Part`).
        """
        if self._parallel is None or counts is None:
            return self._task.step(batch, dtype)
        return self._parallel(batch, dtype, *counts)


class _Weighed(nn.Module):
    """A task whose loss is this process's share of that of the whole batch."""

    def __init__(self, task: Task):
        super().__init__()
        self.task = task

    def forward(self, batch: Batch, dtype: torch.dtype | None, mine: int, whole: int) -> Step:
        step = self.task.step(batch, dtype)
        counted = {name: self._counted(name, share, mine) for name, share in step.parts.items()}
        terms = [self._term(counted[name], whole) for name in _TERMS if name in counted]
        loss = torch.stack(terms).sum()
        # the mean of what all processes minimise is the loss of the whole batch
        counted["loss"] = Share(loss, whole / ranks.world())
        return Step(step.logits, loss, {name: counted[name] for name in step.parts})

    def _counted(self, name: str, share: Share, mine: int) -> Share:
        """Return a part of a step, without what a borrowed sample gave."""
        if name == _OF_THE_STEP:
            return Share(share.mean, 1 / ranks.world())
        if isinstance(share.samples, torch.Tensor):
            return Share(share.mean, share.samples * (mine > 0))
        return Share(share.mean, mine)

    def _term(self, share: Share, whole: int) -> torch.Tensor:
        """Return a mean over some samples here, weighed so that the mean over processes is that over all of them."""
        if isinstance(share.samples, torch.Tensor):
            return share.mean * (ranks.world() * share.samples / ranks.summed(share.samples).clamp(min=1))
        return share.mean * (ranks.world() * share.samples / whole)
