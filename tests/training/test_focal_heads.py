"""Focal loss on frozen features, against scikit-learn and a general minimiser of the loss of torchvision."""

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.optimize import minimize
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from torchvision.ops import sigmoid_focal_loss

from deepfake.config.training import PENALTIES, Loss
from deepfake.training import heads


def rows(n: int, seed: int) -> heads.Rows:
    rng = np.random.default_rng(seed)
    labels = (rng.random(n) < 0.8).astype(int)
    return heads.Rows((rng.normal(size=(n, 5)) + labels[:, None] * 0.7).astype(np.float32), labels)


def loss(gamma: float, alpha: float) -> Loss:
    return Loss(type="focal", gamma=gamma, minority_alpha=alpha, label_smoothing=0.0)


def test_without_focus_it_is_logistic_regression():
    train, weights = rows(300, 0), np.random.default_rng(1).uniform(0.5, 2, 300)
    features = train.features.astype(np.float64)
    expected = LogisticRegression(C=0.1, tol=1e-8, max_iter=5000).fit(features, train.labels, sample_weight=weights)
    found = heads._focal(0.1, features, train.labels, weights, loss(0.0, 0.5))
    assert found == pytest.approx(np.r_[expected.coef_[0], expected.intercept_], abs=1e-4)


def test_it_minimises_torchvisions_loss_with_the_minoritys_alpha():
    train = rows(200, 2)  # reals are the minority: alpha, which torchvision gives to fakes, is 1 - 0.75
    features, weights = train.features.astype(np.float64), np.ones(200)

    def objective(values: np.ndarray) -> float:
        logits = torch.from_numpy(features @ values[:-1] + values[-1])
        targets = torch.from_numpy(train.labels.astype(np.float64))
        each = sigmoid_focal_loss(logits, targets, alpha=0.25, gamma=2.0, reduction="none")
        return float(2 * 0.1 * each.sum()) + 0.5 * float((values[:-1] ** 2).sum())

    expected = minimize(objective, np.zeros(6), method="Nelder-Mead", options={"maxiter": 20000, "xatol": 1e-7})
    found = heads._focal(0.1, features, train.labels, weights, loss(2.0, 0.75))
    assert found == pytest.approx(expected.x, abs=2e-3)
    assert objective(found) <= expected.fun + 1e-7


def test_a_fit_chooses_c_on_the_validation_and_differs_from_cross_entropy():
    train, validation = rows(300, 3), rows(100, 4)
    focused = heads.fit(train, validation, loss=loss(2.0, 0.75))
    plain = heads.fit(train, validation, loss=Loss(type="bce", gamma=0, minority_alpha=0.5, label_smoothing=0))
    assert [row["c"] for row in focused.history] == list(PENALTIES)
    logits = [heads.logits_of(one.head, validation.features) for one in (focused, plain)]
    assert logits[0].mean() < logits[1].mean()  # what weighs the minority more calls fewer samples fake
    assert focused.history[focused.best - 1]["validation_auc"] == max(row["validation_auc"] for row in focused.history)


@pytest.mark.parametrize("how", ["mean", "median", "max"])
def test_c_is_chosen_by_clips(how):
    rng = np.random.default_rng(8)
    clips = np.repeat(np.arange(60), 3)
    labels = clips % 2
    features = [(rng.normal(size=(180, 5)) + labels[:, None] * 0.3).astype(np.float32) for _ in range(2)]
    train, validation = (heads.Rows(each, labels, clips) for each in features)
    found = heads.fit(train, validation, how=how)
    logits = heads.logits_of(found.head, validation.features)
    pooled = pd.DataFrame({"clip": clips, "label": labels, "logit": logits}).groupby("clip")
    pooled = pooled.agg({"label": "first", "logit": how})
    chosen = found.history[found.best - 1]
    assert chosen["validation_auc"] == pytest.approx(roc_auc_score(pooled["label"], pooled["logit"]), abs=1e-3)
    assert chosen["validation_auc"] == max(row["validation_auc"] for row in found.history)
    # the fit itself is of samples
    plain = heads.fit(train._replace(clips=None), validation._replace(clips=None))
    assert [row["train_loss"] for row in plain.history] == [row["train_loss"] for row in found.history]
    assert [row["validation_auc"] for row in plain.history] != [row["validation_auc"] for row in found.history]
