"""Domain-adversarial training: features from which a second head cannot tell the domain.

Ganin and Lempitsky 2015, "Unsupervised domain adaptation by backpropagation"; Ganin et al. 2016, "Domain-adversarial
training of neural networks". A domain is a value of a column of the manifest: a data set, or a source.
"""

import math
from collections.abc import Callable

import numpy as np
import torch
from torch import nn

from deepfake.errors import InputError

_WIDTH = 128
"""Hidden units of the head."""
SCHEDULES: dict[str, Callable[[float], float]] = {
    "constant": lambda progress: 1.0,
    # Ganin et al. 2016, section 5.2.2, with their gamma of 10: noise of the untrained head does no harm
    "ganin": lambda progress: 2 / (1 + math.exp(-10 * progress)) - 1,
}
"""Each maps the share of the training that is done, in [0, 1], to the share of the reversed gradient that is used."""


class _Reversal(torch.autograd.Function):
    """The identity, whose gradient is multiplied by minus a weight."""

    @staticmethod
    def forward(ctx, features: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:  # pyright: ignore
        ctx.save_for_backward(weight)
        return features.view_as(features)

    @staticmethod
    def backward(ctx, gradient: torch.Tensor) -> tuple[torch.Tensor, None]:  # pyright: ignore
        (weight,) = ctx.saved_tensors
        return -weight * gradient, None


def reverse_gradient(features: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """Return the features as they are; on the way back their gradient is multiplied by `-weight`, a scalar."""
    return _Reversal.apply(features, weight)  # pyright: ignore[reportReturnType]


class DomainHead(nn.Sequential):
    """Tells the domain from a detector's pooled features, float [b, f] to logits [b, domains]."""

    def __init__(self, features: int, domains: int):
        """Build it for so many features and domains."""
        super().__init__(nn.Linear(features, _WIDTH), nn.ReLU(), nn.Linear(_WIDTH, domains))


def codes(names: np.ndarray, labels: np.ndarray, train: np.ndarray, column: str) -> np.ndarray:
    """Number the domains that a fold is trained on.

    A class that has a single domain takes no part: its domain says nothing but the label, which must stay. So with one
    data set, whose reals are of one source, the sources of the fakes are what must not be told apart.

    Args:
        names: str [n]: each sample's value in the column.
        labels: int [n].
        train: rows of the training samples.
        column: the column's name, for messages.

    Returns:
        int [n]: 0, 1, ...; -1 for samples that take no part: those of a class with one domain, and of a domain that
        their class does not have among the training samples.

    Raises:
        InputError: no class has two domains, or a domain has a single training sample.
    """
    of_class = {label: np.unique(names[train[labels[train] == label]]) for label in np.unique(labels[train])}
    known = {label: found for label, found in of_class.items() if len(found) > 1}
    if not known:
        raise InputError(
            f"domain.column: {column} has no two values among the training samples of a class; "
            "choose another column, or none"
        )
    taking_part = np.zeros(len(names), dtype=bool)
    for label, domains in known.items():
        taking_part |= (labels == label) & np.isin(names, domains)
    domains, counts = np.unique(names[train[taking_part[train]]], return_counts=True)
    if counts.min() < 2:
        raise InputError(
            f"domain.column: {column} {domains[counts.argmin()]} has a single training sample; "
            "a domain needs at least two: leave it out, or choose another column"
        )
    found = np.full(len(names), -1)
    found[taking_part] = np.searchsorted(domains, names[taking_part])
    return found


def possible(domains: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return which domains each class has, bool [2, domains]; all for a class that takes no part.

    Between the domains of one class there is nothing but the domain to tell; a head that chose among all of them would
    have to tell the class first, and its reversed gradient would take the label from the features.

    Args:
        domains: int [n], of `codes`.
        labels: int [n], 0 or 1.
    """
    found = np.zeros((2, int(domains.max()) + 1), dtype=bool)
    inside = domains >= 0
    found[labels[inside], domains[inside]] = True
    found[~found.any(axis=1)] = True
    return found
