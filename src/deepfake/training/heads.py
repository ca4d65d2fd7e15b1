"""A linear head on the features of a frozen trunk: scikit-learn's logistic regression, its C chosen on the validation.

Focal loss, which scikit-learn has not, is minimised under the same penalty by the same method (L-BFGS from zero).
The features are those of `models.LinearProbe`, which the fitted head goes back into.
"""

from typing import NamedTuple

import numpy as np
import torch
from scipy.optimize import minimize
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from deepfake.config import RunConfig
from deepfake.config.training import PENALTIES, Loss
from deepfake.evaluation import pooling
from deepfake.evaluation.pooling import Pooling
from deepfake.loading.sampling import class_weights
from deepfake.models import LinearHead
from deepfake.training.engine import figures
from deepfake.training.losses import focal_alpha

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
    """Features of some samples, float32 [n, d], their labels, int [n], and their clips where these have several."""

    features: np.ndarray
    labels: np.ndarray
    clips: np.ndarray | None = None


def fit(
    train: Rows,
    validation: Rows,
    weights: np.ndarray | None = None,
    loss: Loss | None = None,
    how: Pooling = "mean",
) -> Fitted:
    """Fit a head to training rows for each C, and keep the one whose AUC on the inner validation is highest.

    Features are standardised by the training rows alone, and the head is not fitted again with the validation. Of Cs
    that are equally good it is the strongest penalty.

    Args:
        train: the training rows, each draw of an augmented image one of them.
        validation: the inner validation.
        weights: float [n], of the training rows; None: all count the same.
        loss: what is minimised; None, or any but focal loss: cross-entropy.
        how: the logits of a clip's samples become the one that its figures are of (`pooling.POOLINGS`).
    """
    with threadpool_limits(1):  # the same sums on every machine; folds run side by side
        scaler = StandardScaler().fit(train.features.astype(np.float64))
        inputs = [np.asarray(scaler.transform(rows.features.astype(np.float64))) for rows in (train, validation)]
        models = [_fitted(penalty, inputs[0], train.labels, weights, loss) for penalty in PENALTIES]
        logits = [[model.decision_function(given) for given in inputs] for model in models]
    history = []
    for number, (penalty, (fitted, chosen)) in enumerate(zip(PENALTIES, logits, strict=True)):
        losses = {
            "train_loss": _loss(train.labels, fitted, weights),
            "validation_loss": _loss(validation.labels, chosen, None),
        }
        row = {"epoch": number + 1, "lr": 0.0, "c": penalty} | losses
        for part, rows, found in (("train", train, fitted), ("validation", validation, chosen)):
            row |= figures(part, *pooling.decided(rows.labels, found, rows.clips, how))
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


def _fitted(
    penalty: float, features: np.ndarray, labels: np.ndarray, weights: np.ndarray | None, loss: Loss | None
) -> LogisticRegression:
    """Return a fitted linear model; L-BFGS starts from zero, so nothing in it is left to chance."""
    regression = LogisticRegression(C=penalty, max_iter=_ITERATIONS, tol=_TOLERANCE)
    if loss is None or loss.type != "focal":
        return regression.fit(features, labels, sample_weight=weights)
    found = _focal(penalty, features, labels, np.ones(len(labels)) if weights is None else weights, loss)
    regression.coef_, regression.intercept_, regression.classes_ = found[None, :-1], found[-1:], np.array([0, 1])
    return regression


def _focal(penalty: float, features: np.ndarray, labels: np.ndarray, weights: np.ndarray, loss: Loss) -> np.ndarray:
    """Return weights and bias, float64 [d + 1], that minimise the penalised focal loss (Lin et al. 2017).

    The loss counts twice, so that gamma 0 and alpha 0.5 are logistic regression.
    """
    from torchvision.ops import sigmoid_focal_loss  # a second, which other losses need not wait for

    given, targets, rows = (torch.from_numpy(np.asarray(each, np.float64)) for each in (features, labels, weights))
    alpha = focal_alpha(loss, labels)

    def objective(values: np.ndarray) -> tuple[float, np.ndarray]:
        parameters = torch.from_numpy(values).requires_grad_()
        logits = given @ parameters[:-1] + parameters[-1]
        each = 2 * sigmoid_focal_loss(logits, targets, alpha=alpha, gamma=loss.gamma, reduction="none")
        total = penalty * (rows * each).sum() + 0.5 * parameters[:-1].square().sum()
        (gradient,) = torch.autograd.grad(total, parameters)
        return total.item(), gradient.numpy()

    start = np.zeros(given.shape[1] + 1)
    options = {"maxiter": _ITERATIONS, "gtol": _TOLERANCE * penalty}
    return minimize(objective, start, jac=True, method="L-BFGS-B", options=options).x


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
