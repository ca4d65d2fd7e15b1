import numpy as np
import pytest
import torch
from sklearn.metrics import log_loss
from sklearn.utils.class_weight import compute_sample_weight

from deepfake.params import Shared
from deepfake.training.objectives import LOSSES

LABELS = np.array([0, 1, 1, 1, 0, 1, 1, 1])
LOGITS = np.linspace(-2, 3, 8)


def value(name: str) -> float:
    loss = LOSSES[name](LABELS)
    return float(loss(torch.from_numpy(LOGITS), torch.from_numpy(LABELS.astype(float))))


def test_bce_is_the_log_loss():
    assert value("bce") == pytest.approx(log_loss(LABELS, 1 / (1 + np.exp(-LOGITS))))


def test_bce_balanced_gives_both_classes_the_same_total_weight():
    weights = compute_sample_weight("balanced", LABELS)
    expected = log_loss(LABELS, 1 / (1 + np.exp(-LOGITS)), sample_weight=weights)
    # pos_weight leaves reals at weight 1, scikit-learn scales both; the ratio is what counts
    scale = (len(LABELS) / 2) / (LABELS == 0).sum()
    assert value("bce_balanced") * scale == pytest.approx(expected)


def test_params_allow_exactly_the_losses_there_are():
    choices = Shared.model_fields["loss"].annotation.__args__
    assert set(choices) == set(LOSSES)
