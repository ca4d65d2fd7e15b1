"""A linear head on the features of a frozen trunk: scikit-learn's logistic regression, its C chosen on the validation.

The features are those of `models.LinearProbe`, which the fitted head goes back into.
"""

from typing import NamedTuple

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from deepfake.config import RunConfig
from deepfake.config.training import PENALTIES
from deepfake.loading.sampling import class_weights
from deepfake.models import LinearHead
from deepfake.training.engine import figures

_ITERATIONS = 5000
"""More than L-BFGS needs on standardised features for the weakest penalty."""
_TOLERANCE = 1e-6


class Fitted(NamedTuple):
    """A head, and how it was found.

    Args:
        head: in evaluation mode.
        history: a row for each C.
        best: the row that was chosen, from 1.
    """

    head: LinearHead
    history: list[dict[str, float]]
    best: int


class Rows(NamedTuple):
    """Features of some samples, float32 [n, d], and their labels, int [n]."""

    features: np.ndarray
    labels: np.ndarray


def fit(train: Rows, validation: Rows, weights: np.ndarray | None = None) -> Fitted:
    """Fit a head to training rows for each C, and keep the one whose AUC on the inner validation is highest.

    Features are standardised by the training rows alone, and the head is not fitted again with the validation. Of Cs
    that are equally good it is the strongest penalty.

    Args:
        train: the training rows, each draw of an augmented image one of them.
        validation: the inner validation.
        weights: float [n], of the training rows; None: all count the same.
    """
    with threadpool_limits(1):  # the same sums on every machine; folds run side by side
        scaler = StandardScaler().fit(train.features.astype(np.float64))
        inputs = [scaler.transform(rows.features.astype(np.float64)) for rows in (train, validation)]
        models = [_regression(penalty).fit(inputs[0], train.labels, sample_weight=weights) for penalty in PENALTIES]
        logits = [[model.decision_function(given) for given in inputs] for model in models]
    history = []
    for number, (penalty, (fitted, chosen)) in enumerate(zip(PENALTIES, logits, strict=True)):
        losses = {
            "train_loss": _loss(train.labels, fitted, weights),
            "validation_loss": _loss(validation.labels, chosen, None),
        }
        row = {"epoch": number + 1, "lr": 0.0, "c": penalty} | losses
        row |= figures("train", train.labels, fitted) | figures("validation", validation.labels, chosen)
        history.append(row)
    best = int(np.argmax([row["validation_auc"] for row in history]))
    return Fitted(_head(scaler, models[best]), history, best + 1)


def logits_of(head: LinearHead, features: np.ndarray) -> np.ndarray:
    """Return a head's logits, float64 [n], computed as a whole detector computes them."""
    with torch.inference_mode():
        return head(torch.from_numpy(features)).squeeze(1).double().numpy()


def row_weights(config: RunConfig, labels: np.ndarray, datasets: np.ndarray) -> np.ndarray | None:
    """Return what training rows count for, float [n], or None where all count the same.

    `bce_pos_weight` multiplies fakes by reals over fakes. A sampler that draws in proportion to weights has the same
    minimum, in expectation, as a loss with these weights; their mean is 1, so that C means the same.

    Args:
        config: the experiment.
        labels: int [n], of the training rows.
        datasets: int [n], the number of each row's data set.
    """
    weights = np.ones(len(labels))
    if config.loss.type == "bce_pos_weight":
        weights[labels == 1] *= (labels == 0).sum() / (labels == 1).sum()
    by = {"weighted": labels, "datasets": datasets}.get(config.sampler)
    if by is not None:
        drawn = class_weights(by)
        weights *= drawn / drawn.mean()
    return None if (weights == 1).all() else weights


def _regression(penalty: float) -> LogisticRegression:
    """Return an unfitted logistic regression; L-BFGS starts from zero, so nothing in it is left to chance."""
    return LogisticRegression(C=penalty, max_iter=_ITERATIONS, tol=_TOLERANCE)


def _loss(labels: np.ndarray, logits: np.ndarray, weights: np.ndarray | None) -> float:
    """Return the mean cross-entropy, weighted like the loss that is minimised."""
    probability = 1 / (1 + np.exp(-np.clip(logits, -500, 500)))
    return float(log_loss(labels, probability, sample_weight=weights, labels=[0, 1]))


def _head(scaler: StandardScaler, model: LogisticRegression) -> LinearHead:
    """Return what was fitted as a module."""
    head = LinearHead(model.coef_.shape[1])
    state = {
        "mean": scaler.mean_,
        "scale": scaler.scale_,
        "linear.weight": model.coef_,
        "linear.bias": model.intercept_,
    }
    head.load_state_dict({name: torch.from_numpy(np.asarray(value)).float() for name, value in state.items()})
    return head.eval()
