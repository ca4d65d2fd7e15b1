"""What a detector is trained for: one step from a batch to a loss; the loop knows nothing of it."""

from typing import NamedTuple

import numpy as np
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from deepfake.config import RunConfig
from deepfake.loading.batches import Batch, Loader
from deepfake.training.domains import SCHEDULES, DomainHead, possible, reverse_gradient
from deepfake.training.losses import LOSSES, Loss


class Share(NamedTuple):
    """A mean over some samples of a batch."""

    mean: torch.Tensor
    samples: torch.Tensor | int


class Step(NamedTuple):
    """What one batch gives.

    Args:
        logits: float32 [b].
        loss: what is minimised, a scalar.
        parts: the figures of the history that training itself knows: `loss`, `class_loss`, ...
    """

    logits: torch.Tensor
    loss: torch.Tensor
    parts: dict[str, Share]


class Classification(nn.Module):
    """Tell fakes from reals."""

    def __init__(self, detector: nn.Module, loss: Loss):
        """Train this detector by this loss."""
        super().__init__()
        self.detector = detector
        self.loss = loss

    def step(self, batch: Batch, progress: float, dtype: torch.dtype | None) -> Step:
        """Return what a batch gives.

        Args:
            batch: the samples.
            progress: share of the training that is done, in [0, 1].
            dtype: of autocast, or None for full precision.
        """
        with torch.autocast(batch.images.device.type, dtype=dtype, enabled=dtype is not None):
            output = self.detector(batch.images)
        logits = output.squeeze(1).float()
        loss = self.loss(logits, batch.labels)
        count = len(batch.index)
        return Step(logits, loss, {"loss": Share(loss, count), "class_loss": Share(loss, count)})


class DomainAdversarial(nn.Module):
    """Tell fakes from reals by features from which a domain head, trained beside, cannot tell the domain."""

    def __init__(self, detector: nn.Module, loss: Loss, domains: np.ndarray, labels: np.ndarray, config: RunConfig):
        """Train this detector by this loss, and a new head.

        Args:
            detector: SimpleCNN or a backbone of timm.
            loss: of the labels.
            domains: int [n], each sample's domain (`domains.codes`).
            labels: int [n], of the same samples.
            config: the experiment.
        """
        super().__init__()
        self.detector = detector
        self.loss = loss
        classifier: nn.Linear = detector.get_classifier()  # pyright: ignore
        self.domain_head = DomainHead(classifier.in_features, int(domains.max()) + 1)
        self.register_buffer("_domains", torch.from_numpy(domains), persistent=False)
        self.register_buffer("_possible", torch.from_numpy(possible(domains, labels)), persistent=False)
        self._schedule, self._weight = SCHEDULES[config.domain.schedule], config.domain.weight

    def takes_part(self, rows: np.ndarray) -> np.ndarray:
        """Tell which samples are of a domain that the head knows, bool [m]."""
        return (self._domains >= 0).cpu().numpy()[rows]  # pyright: ignore

    def step(self, batch: Batch, progress: float, dtype: torch.dtype | None) -> Step:
        """Return what a batch gives; arguments as in `Classification.step`."""
        detector, device = self.detector, batch.images.device
        with torch.autocast(device.type, dtype=dtype, enabled=dtype is not None):
            features = detector.forward_head(  # pyright: ignore[reportCallIssue]
                detector.forward_features(batch.images),  # pyright: ignore[reportCallIssue]
                pre_logits=True,
            )
            output = detector.get_classifier()(features)  # pyright: ignore[reportCallIssue]
        logits = output.squeeze(1).float()
        class_loss = self.loss(logits, batch.labels)
        weight = self._weight * self._schedule(progress)
        told = self.domain_head(reverse_gradient(features.float(), weight))
        told = told.masked_fill(~self._possible[batch.labels.long()], -torch.inf)  # pyright: ignore
        domains: torch.Tensor = self._domains[torch.from_numpy(batch.index).to(device)]  # pyright: ignore
        count = (domains >= 0).sum()
        some = count.clamp(min=1)  # a batch may have none that take part
        domain_loss = cross_entropy(told, domains, ignore_index=-1, reduction="sum") / some
        right = (told.argmax(1) == domains).sum() / some
        loss, samples = class_loss + domain_loss, len(batch.index)
        return Step(
            logits,
            loss,
            {
                "loss": Share(loss, samples),
                "class_loss": Share(class_loss, samples),
                "domain_loss": Share(domain_loss, count),
                "domain_accuracy": Share(right, count),
                "domain_weight": Share(torch.tensor(weight), 1),
            },
        )


Task = Classification | DomainAdversarial


def detached(step: Step) -> Step:
    """Return a step without the graph behind it, which would keep its memory."""
    parts = {name: Share(part.mean.detach(), part.samples) for name, part in step.parts.items()}
    return Step(step.logits.detach(), step.loss.detach(), parts)


@torch.inference_mode()
def domain_figures(task: Task, loader: Loader, rows: np.ndarray, batch_size: int) -> dict[str, float]:
    """Return `domain_loss` and `domain_accuracy` on samples that are not trained on.

    Nothing without a domain head, or where no sample is of a domain that it was trained on.
    """
    if isinstance(task, Classification) or not len(rows := rows[task.takes_part(rows)]):
        return {}
    task.eval()
    found = means([task.step(batch, 1.0, None) for batch in loader.batches(rows, batch_size)])
    return {name: found[name] for name in ("domain_loss", "domain_accuracy")}


def means(steps: list[Step]) -> dict[str, float]:
    """Return the parts of many steps, each averaged over the samples that it is a mean of."""
    totals: dict[str, float] = {}
    for name in steps[0].parts:
        parts = [step.parts[name] for step in steps]
        counts = torch.tensor([float(part.samples) for part in parts])
        values = torch.stack([part.mean for part in parts]).cpu()
        totals[name] = float((values * counts).sum() / counts.sum())
    return totals


def create(
    detector: nn.Module, config: RunConfig, labels: np.ndarray, train: np.ndarray, domains: np.ndarray | None
) -> Task:
    """Return what an experiment trains a detector for.

    Args:
        detector: SimpleCNN or a backbone of timm.
        config: the experiment.
        labels: int [n], of all samples.
        train: rows of the training samples: class weights follow from their labels.
        domains: int [n], where there are domains.

    Raises:
        InputError: the training samples lack a class.
    """
    loss = LOSSES[config.loss.type](config.loss, labels[train])
    if domains is None:
        return Classification(detector, loss)
    return DomainAdversarial(detector, loss, domains, labels, config)
