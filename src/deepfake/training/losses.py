"""Losses by name: each is built from its settings and a fold's training labels, and maps logits and labels to a scalar.

Class weights follow from the labels alone; no sample is decoded for them.
"""

from collections.abc import Callable

import numpy as np
import torch
from torch.nn.functional import binary_cross_entropy_with_logits

from deepfake.config.training import Loss as LossParams
from deepfake.errors import InputError

Loss = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


def bce(params: LossParams, labels: np.ndarray) -> Loss:
    """Return binary cross-entropy."""
    return lambda logits, targets: binary_cross_entropy_with_logits(logits, _smoothed(targets, params))


def bce_pos_weight(params: LossParams, labels: np.ndarray) -> Loss:
    """Return binary cross-entropy in which the real and the fake training samples weigh the same in total.

    The weight of the positive class, fake, is reals over fakes: below 1 where reals are rare.
    """
    reals, fakes = _counts(labels)
    # made on the device: a copy from the host could not be part of a CUDA graph
    return lambda logits, targets: binary_cross_entropy_with_logits(
        logits, _smoothed(targets, params), pos_weight=logits.new_full((), reals / fakes, dtype=torch.float32)
    )


def focal(params: LossParams, labels: np.ndarray) -> Loss:
    """Return the focal loss (Lin et al. 2017, "Focal loss for dense object detection"), by torchvision.

    torchvision and the paper give `alpha` to the positive class, here fake. `minority_alpha` is named for what it
    weighs: the class with fewer training samples (the reals, when there are as many of both).
    """
    from torchvision.ops import sigmoid_focal_loss  # a second, which other losses need not wait for

    alpha = focal_alpha(params, labels)
    return lambda logits, targets: sigmoid_focal_loss(
        logits, targets, alpha=alpha, gamma=params.gamma, reduction="mean"
    )


def focal_alpha(params: LossParams, labels: np.ndarray) -> float:
    """Return torchvision's alpha, the weight of the fakes."""
    reals, fakes = _counts(labels)
    return params.minority_alpha if fakes < reals else 1 - params.minority_alpha


def _counts(labels: np.ndarray) -> tuple[int, int]:
    """Count reals and fakes."""
    fakes = int((labels == 1).sum())
    reals = len(labels) - fakes
    if not reals or not fakes:
        raise InputError(
            f"loss: all {len(labels)} training samples are {'fake' if fakes else 'real'}, so they cannot be weighed; "
            "train on samples of both"
        )
    return reals, fakes


def _smoothed(targets: torch.Tensor, params: LossParams) -> torch.Tensor:
    """Share some of each label out between both classes.

    Szegedy et al. 2016, "Rethinking the inception architecture for computer vision", section 7.
    """
    if not params.label_smoothing:
        return targets
    return targets * (1 - params.label_smoothing) + params.label_smoothing / 2


LOSSES: dict[str, Callable[[LossParams, np.ndarray], Loss]] = {
    "bce": bce,
    "bce_pos_weight": bce_pos_weight,
    "focal": focal,
}
