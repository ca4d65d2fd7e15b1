import numpy as np
import pytest
import torch
from sklearn.metrics import log_loss
from sklearn.utils.class_weight import compute_sample_weight
from torch.nn.functional import cross_entropy
from torchvision.ops import sigmoid_focal_loss

from deepfake.config.training import Loss
from deepfake.errors import InputError
from deepfake.training.losses import LOSSES

LABELS = np.array([0, 1, 1, 1, 0, 1, 1, 1])
LOGITS = np.linspace(-2, 3, 8)
PROBABILITIES = 1 / (1 + np.exp(-LOGITS))


def build(kind: str, labels=LABELS, *, gamma=2.0, alpha=0.75, smoothing=0.0):
    params = Loss.model_validate({"type": kind, "gamma": gamma, "minority_alpha": alpha, "label_smoothing": smoothing})
    return LOSSES[kind](params, labels)


def value(kind: str, labels=LABELS, **settings) -> float:
    loss = build(kind, labels, **settings)
    return float(loss(torch.from_numpy(LOGITS), torch.from_numpy(labels.astype(float))))


def test_bce_is_the_log_loss():
    assert value("bce") == pytest.approx(log_loss(LABELS, PROBABILITIES))


def test_pos_weight_gives_both_classes_the_same_total_weight():
    weights = compute_sample_weight("balanced", LABELS)
    expected = log_loss(LABELS, PROBABILITIES, sample_weight=weights)
    # pos_weight leaves reals at weight 1, scikit-learn scales both; the ratio is what counts
    scale = (len(LABELS) / 2) / (LABELS == 0).sum()
    assert value("bce_pos_weight") * scale == pytest.approx(expected)


def test_focal_loss_is_the_formula_of_the_paper():
    right = np.where(LABELS == 1, PROBABILITIES, 1 - PROBABILITIES)
    alpha = np.where(LABELS == 0, 0.8, 0.2)  # the reals are fewer
    expected = np.mean(-alpha * (1 - right) ** 1.5 * np.log(right))
    assert value("focal", gamma=1.5, alpha=0.8) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("labels", "positive"),
    [(LABELS, 0.25), (1 - LABELS, 0.75), (np.array([0, 1] * 4), 0.25)],
    ids=["reals are rare", "fakes are rare", "as many of both"],
)
def test_alpha_is_that_of_torchvision_for_the_minority(labels, positive):
    """torchvision's alpha weighs the positive class, ours the one with fewer samples."""
    targets = torch.from_numpy(labels.astype(float))
    expected = sigmoid_focal_loss(torch.from_numpy(LOGITS), targets, alpha=positive, gamma=2.0, reduction="mean")
    assert value("focal", labels, alpha=0.75) == pytest.approx(float(expected))


def test_focal_loss_without_focus_and_preference_is_half_the_cross_entropy():
    assert value("focal", gamma=0.0, alpha=0.5) == pytest.approx(value("bce") / 2)


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.4])
def test_label_smoothing_is_that_of_two_classes(smoothing):
    two = torch.stack([torch.zeros(8, dtype=torch.float64), torch.from_numpy(LOGITS)], dim=1)
    expected = cross_entropy(two, torch.from_numpy(LABELS), label_smoothing=smoothing)
    assert value("bce", smoothing=smoothing) == pytest.approx(float(expected))


def gradient(kind: str, label: int, **settings) -> float:
    """Return how strongly one wrong sample of a class pulls at its logit."""
    labels = np.array([0] + [1] * 9)
    logit = torch.tensor([2.0 if label == 0 else -2.0], requires_grad=True)
    build(kind, labels, **settings)(logit, torch.tensor([float(label)])).backward()
    return abs(float(logit.grad))


@pytest.mark.parametrize(("kind", "factor"), [("bce", 1.0), ("bce_pos_weight", 9.0), ("focal", 3.0)])
def test_a_rare_real_pulls_as_many_times_harder_than_a_fake(kind, factor):
    assert gradient(kind, 0) / gradient(kind, 1) == pytest.approx(factor)


@pytest.mark.parametrize("kind", ["bce_pos_weight", "focal"])
@pytest.mark.parametrize(("label", "name"), [(0, "real"), (1, "fake")])
def test_one_class_cannot_be_weighed(kind, label, name):
    with pytest.raises(InputError, match=f"all 5 training samples are {name}.*train on samples of both"):
        build(kind, np.full(5, label))


def test_params_allow_exactly_the_losses_there_are():
    assert set(Loss.model_fields["type"].annotation.__args__) == set(LOSSES)
