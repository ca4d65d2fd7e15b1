"""Losses by name: each is built from a fold's training labels and maps logits and labels to a scalar."""

from collections.abc import Callable

import numpy as np
import torch
from torch.nn.functional import binary_cross_entropy_with_logits

Loss = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


def bce(labels: np.ndarray) -> Loss:
    """Return binary cross-entropy."""
    return binary_cross_entropy_with_logits


def bce_balanced(labels: np.ndarray) -> Loss:
    """Return binary cross-entropy in which the real and the fake training samples weigh the same in total."""
    fakes = int((labels == 1).sum())
    weight = torch.tensor((len(labels) - fakes) / fakes)
    return lambda logits, targets: binary_cross_entropy_with_logits(
        logits, targets, pos_weight=weight.to(logits.device)
    )


LOSSES: dict[str, Callable[[np.ndarray], Loss]] = {"bce": bce, "bce_balanced": bce_balanced}
