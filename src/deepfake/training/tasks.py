"""What a detector is trained for: one step from a batch to a loss; the loop knows nothing of it."""

from typing import NamedTuple

import numpy as np
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from deepfake.config import RunConfig
from deepfake.loading.batches import Batch, Loader
from deepfake.training import ranks
from deepfake.training.domains import SCHEDULES, DomainHead, possible, reverse_gradient
from deepfake.training.losses import LOSSES, Loss


class Share(NamedTuple):
    """A mean over some samples of a batch, and how many these are."""

    mean: torch.Tensor
    samples: torch.Tensor | float


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

    PARTS = ("loss", "class_loss")
    """The parts of a step, in order."""

    def __init__(self, detector: nn.Module, loss: Loss):
        """Train this detector by this loss."""
        super().__init__()
        self.detector = detector
        self.loss = loss

    def begin(self, progress: float) -> None:
        """Get ready for a step; what of it changes from step to step is set here, so that `step` can be replayed.

        Args:
            progress: share of the training that is done, in [0, 1].
        """

    def step(self, batch: Batch, dtype: torch.dtype | None) -> Step:
        """Return what a batch gives.

        Args:
            batch: the samples.
            dtype: of autocast, or None for full precision.
        """
        with torch.autocast(batch.images.device.type, dtype=dtype, enabled=dtype is not None):
            output = self.detector(batch.images)
        logits = output.squeeze(1).float()
        loss = self.loss(logits, batch.labels)
        count = len(logits)
        return Step(logits, loss, {"loss": Share(loss, count), "class_loss": Share(loss, count)})


class DomainAdversarial(nn.Module):
    """Tell fakes from reals by features from which a domain head, trained beside, cannot tell the domain."""

    PARTS = (*Classification.PARTS, "domain_loss", "domain_accuracy", "domain_weight")

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
        self.register_buffer("_reversal", torch.tensor(0.0), persistent=False)
        self._schedule, self._weight = SCHEDULES[config.domain.schedule], config.domain.weight

    def takes_part(self, rows: np.ndarray) -> np.ndarray:
        """Tell which samples are of a domain that the head knows, bool [m]."""
        return (self._domains >= 0).cpu().numpy()[rows]  # pyright: ignore

    def begin(self, progress: float) -> None:
        """Get ready for a step (`Classification.begin`)."""
        self._reversal.fill_(self._weight * self._schedule(progress))  # pyright: ignore[reportCallIssue]

    def step(self, batch: Batch, dtype: torch.dtype | None) -> Step:
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
        weight: torch.Tensor = self._reversal.clone()  # pyright: ignore
        told = self.domain_head(reverse_gradient(features.float(), weight))
        told = told.masked_fill(~self._possible[batch.labels.long()], -torch.inf)  # pyright: ignore
        domains: torch.Tensor = self._domains[batch.index]  # pyright: ignore
        count = (domains >= 0).sum()
        some = count.clamp(min=1)  # a batch may have none that take part
        domain_loss = cross_entropy(told, domains, ignore_index=-1, reduction="sum") / some
        right = (told.argmax(1) == domains).sum() / some
        loss, samples = class_loss + domain_loss, len(logits)
        return Step(
            logits,
            loss,
            {
                "loss": Share(loss, samples),
                "class_loss": Share(class_loss, samples),
                "domain_loss": Share(domain_loss, count),
                "domain_accuracy": Share(right, count),
                "domain_weight": Share(weight, 1),
            },
        )


Task = Classification | DomainAdversarial


class Told(NamedTuple):
    """What a step leaves: all of it on the device, and without what its gradients were computed from.

    Args:
        logits: float32 [b].
        parts: float32 [p, 2]: each of the step's parts, and how many samples it is a mean over.
    """

    logits: torch.Tensor
    parts: torch.Tensor


def told(step: Step) -> Told:
    """Return what is kept of a step."""
    shares = [number for share in step.parts.values() for number in (share.mean.detach().float(), _count(share))]
    return Told(step.logits.detach(), torch.stack(shares).view(-1, 2))


def _count(share: Share) -> torch.Tensor:
    """Return how many samples a share is of, on its device without a copy from the host."""
    if isinstance(share.samples, torch.Tensor):
        return share.samples.float()
    return share.mean.new_full((), share.samples, dtype=torch.float32)


@torch.inference_mode()
def domain_figures(task: Task, loader: Loader, rows: np.ndarray, batch_size: int) -> dict[str, float]:
    """Return `domain_loss` and `domain_accuracy` on samples that are not trained on.

    Nothing without a domain head, or where no sample is of a domain that it was trained on.
    """
    if isinstance(task, Classification) or not len(rows := rows[task.takes_part(rows)]):
        return {}
    task.eval()
    task.begin(1.0)
    _, found = gathered(task, [told(task.step(batch, None)) for batch in loader.batches(rows, batch_size)])
    return {name: found[name] for name in ("domain_loss", "domain_accuracy")}


def gathered(task: Task, steps: list[Told]) -> tuple[np.ndarray, dict[str, float]]:
    """Bring what many steps left to the host, all at once.

    Returns:
        Their logits, float32 [n], and each of their parts, averaged over the samples that it is a mean of, those of
        other processes included.
    """
    logits, parts = torch.cat([step.logits for step in steps]), torch.stack([step.parts for step in steps])
    found = torch.cat([logits, parts.flatten()]).cpu()
    parts = found[len(logits) :].view(parts.shape)
    means = {name: _mean(parts[:, place, 0], parts[:, place, 1]) for place, name in enumerate(task.PARTS)}
    return found[: len(logits)].numpy(), means


def _mean(values: torch.Tensor, counts: torch.Tensor) -> float:
    """Return a mean of means."""
    return float(ranks.summed((values * counts).sum()) / ranks.summed(counts.sum()))


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
