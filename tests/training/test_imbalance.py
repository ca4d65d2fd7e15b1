"""What each remedy does to a small model on one real for nine fakes."""

import numpy as np
import pytest
import torch
import yaml
from sklearn.metrics import f1_score, log_loss, precision_score, recall_score, roc_auc_score
from torch import nn

from conftest import tiny_params
from deepfake import config as configs
from deepfake import models, runtime
from deepfake.loading.batches import Batch, Loader
from deepfake.loading.pixels import Mapped
from deepfake.training import engine, tasks
from deepfake.training.predict import predict

CPU = torch.device("cpu")
COUNT = 1000
TRAIN, VALIDATION, TEST = np.arange(400), np.arange(400, 500), np.arange(500, COUNT)


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    values = tiny_params()
    values["presets"]["quick"]["epochs"] = {"short": 4, "base": 4, "long": 4}
    values["shared"]["early_stopping_patience"] = 99
    path = tmp_path_factory.mktemp("params") / "params.yaml"
    path.write_text(yaml.safe_dump(values))
    return configs.resolve(configs.load(path), "simple_cnn_low").model_copy(update={"lr": 3e-3})


def pictures(rare: int):
    """Return images whose classes overlap: fakes are a little brighter; one in ten is of the rare class."""
    rng = np.random.default_rng(5)
    labels = np.where(np.arange(COUNT) % 10 == 0, rare, 1 - rare)
    brightness = rng.normal(0, 12, COUNT) + 18 * labels
    images = rng.normal(110, 20, (COUNT, 32, 32, 3)) + brightness[:, None, None, None]
    return images.clip(0, 255).astype(np.uint8), labels


def train(config, data, tmp_path, domains=None, model=None, **changes):
    torch.set_num_threads(1)
    images, labels = data
    loss = config.loss.model_copy(update=changes.pop("loss", {}))
    config = config.model_copy(update=changes | {"loss": loss})
    runtime.seed_torch(0)
    model = model or models.create(config.model, config.resolution)
    loader = Loader(Mapped(images), labels, config.view, config.normalization)
    fold = engine.FoldData(loader, labels, TRAIN, VALIDATION, np.zeros_like(labels), domains)
    progress = engine.fit(model, fold, config, 0, device=CPU, scratch=tmp_path / "progress")
    return progress, predict(model, loader, TEST), model


def brightness() -> nn.Module:
    """Return a logistic regression on the mean of each channel: what it ends at does not hang on rounding."""
    torch.manual_seed(0)
    return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 1))


def recall_of(rare, data, logits):
    return recall_score(data[1][TEST], logits >= 0, pos_label=rare)


@pytest.mark.parametrize("rare", [0, 1], ids=["rare reals", "rare fakes"])
def test_every_remedy_raises_the_recall_of_the_rare_class(base, rare, tmp_path):
    data = pictures(rare)
    remedies = {
        "bce": {},
        "pos_weight": {"loss": {"type": "bce_pos_weight"}},
        "focal": {"loss": {"type": "focal", "gamma": 2.0, "minority_alpha": 0.9}},
        "focal for the others": {"loss": {"type": "focal", "gamma": 2.0, "minority_alpha": 0.1}},
        "sampler": {"sampler": "weighted"},
    }
    usual = {"monitor": "loss", "epochs": 8, "lr": 0.1}
    recall = {
        name: recall_of(rare, data, train(base, data, tmp_path / name, model=brightness(), **usual, **changes)[1])
        for name, changes in remedies.items()
        if (tmp_path / name).mkdir() is None
    }
    assert recall["bce"] < 0.4
    for name in ("pos_weight", "focal", "sampler"):
        assert recall[name] > recall["bce"] + 0.3, recall
    assert recall["focal for the others"] <= recall["bce"]


def test_the_history_has_the_metrics_of_every_epoch(base, tmp_path):
    data = pictures(0)
    progress, _, model = train(base, data, tmp_path, monitor="loss")
    row = progress.history[progress.best_epoch - 1]
    loader = Loader(Mapped(data[0]), data[1], base.view, base.normalization)
    logits, labels = predict(model, loader, VALIDATION), data[1][VALIDATION]
    called = logits >= 0
    expected = {
        "validation_loss": log_loss(labels, 1 / (1 + np.exp(-logits))),
        "validation_auc": roc_auc_score(labels, logits),
        "validation_accuracy": (called == labels).mean(),
        "validation_recall_real": recall_score(labels, called, pos_label=0),
        "validation_precision_fake": precision_score(labels, called, zero_division=0),
        "validation_f1_macro": f1_score(labels, called, average="macro", zero_division=0),
    }
    for name, value in expected.items():
        assert row[name] == pytest.approx(value, abs=1e-6), name
    assert {f"train_{name.removeprefix('validation_')}" for name in expected} <= set(row)
    assert row["train_class_loss"] == row["train_loss"]


@pytest.mark.parametrize(
    ("monitor", "column", "best"), [("loss", "validation_loss", min), ("auc", "validation_auc", max)]
)
def test_the_best_epoch_is_best_in_what_is_monitored(base, monitor, column, best, tmp_path):
    progress, *_ = train(base, pictures(0), tmp_path, monitor=monitor)
    values = [row[column] for row in progress.history]
    assert progress.best_epoch == values.index(best(values)) + 1


@pytest.mark.parametrize("monitor", list(engine.MONITORS))
def test_each_monitor_chooses_by_its_own_column(base, monitor, tmp_path, monkeypatch):
    columns = {name: column for name, (column, _) in engine.MONITORS.items()}
    best = {"auc": 1, "f1_macro": 2, "balanced_accuracy": 3, "loss": 4}
    epoch = iter(range(1, 5))

    def validate(task, *arguments):
        now = next(epoch)
        sign = {name: sign for name, (_, sign) in engine.MONITORS.items()}
        return {columns[name]: sign[name] * float(now == best[name]) for name in columns} | {
            "validation_auc": float(now == 1)
        }

    monkeypatch.setattr(engine._Training, "_validate", validate)
    progress, *_ = train(base, pictures(0), tmp_path, monitor=monitor)
    assert progress.best_epoch == best[monitor]


def domain_pictures():
    """Return fakes of two sources, of which one has stripes, beside the brightness that tells fakes from reals."""
    images, labels = pictures(0)
    source = np.where(labels == 0, -1, np.arange(COUNT) % 3 % 2)
    stripes = 60 * (np.arange(32) % 2)[None, None, :, None] * (source == 1)[:, None, None, None]
    return ((images + stripes).clip(0, 255).astype(np.uint8), labels), source


def test_domain_adversarial_training_makes_the_sources_harder_to_tell(base, tmp_path):
    data, source = domain_pictures()
    domain = base.domain.model_copy(update={"column": "source", "schedule": "constant"})
    found = {}
    for weight in (0.0, 1.0):
        (tmp_path / str(weight)).mkdir()
        config = base.model_copy(update={"domain": domain.model_copy(update={"weight": weight}), "epochs": 10})
        progress, logits, _ = train(config, data, tmp_path / str(weight), domains=source, monitor="auc")
        last = progress.history[-1]
        assert last["train_loss"] == pytest.approx(last["train_class_loss"] + last["train_domain_loss"], rel=0.1)
        assert last["train_domain_weight"] == weight
        accuracy = np.mean([row["train_domain_accuracy"] for row in progress.history[-5:]])
        found[weight] = accuracy, roc_auc_score(data[1][TEST], logits)
    # the head reads the stripes from features that are not made blind to them; two thirds are of one source
    assert found[0.0][0] > 0.75
    assert found[1.0][0] < found[0.0][0] - 0.15
    assert min(auc for _, auc in found.values()) > 0.6


def test_the_head_is_read_on_the_inner_validation_too(base, tmp_path):
    data, source = domain_pictures()
    domain = base.domain.model_copy(update={"column": "source", "schedule": "constant", "weight": 0.0})
    progress, *_ = train(base.model_copy(update={"domain": domain, "epochs": 10}), data, tmp_path, domains=source)
    last = progress.history[-1]
    assert last["validation_domain_accuracy"] > 0.8  # stripes that features have not been made blind to
    assert 0 < last["validation_domain_loss"] < np.log(2)


def test_a_head_tells_no_label_where_each_class_has_domains_of_its_own(base):
    """Two cameras and two generators: given the class, nothing but the domain is left to tell."""
    source = np.arange(8) % 4  # 0 and 1 real, 2 and 3 fake
    labels = (source > 1).astype(int)
    domain = base.domain.model_copy(update={"column": "source", "weight": 1.0})
    config = base.model_copy(update={"domain": domain})
    task = tasks.create(models.create("simple_cnn", 32), config, labels, np.arange(8), source)
    images = torch.randn(8, 3, 32, 32)
    batch = Batch(images, torch.from_numpy(labels).float(), torch.arange(8))
    with torch.no_grad():
        for parameter in task.domain_head.parameters():
            parameter.zero_()
    task.begin(1.0)
    step = task.step(batch, None)
    # a head that knows nothing guesses between two domains, not four
    assert step.parts["domain_loss"].mean.item() == pytest.approx(np.log(2), abs=1e-6)
    step.loss.backward()
    assert all(torch.isfinite(value.grad).all() for value in task.parameters() if value.grad is not None)


def test_without_a_known_domain_the_inner_validation_has_no_domain_figures(base, tmp_path):
    data, source = domain_pictures()
    domain = base.domain.model_copy(update={"column": "source", "weight": 1.0})
    source = np.where(np.isin(np.arange(COUNT), VALIDATION), -1, source)
    progress, *_ = train(base.model_copy(update={"domain": domain, "epochs": 1}), data, tmp_path, domains=source)
    assert "train_domain_loss" in progress.history[0]
    assert "validation_domain_loss" not in progress.history[0]


def test_a_batch_without_domains_has_no_domain_loss(base):
    domain = base.domain.model_copy(update={"column": "source", "weight": 1.0})
    labels, source = np.array([0, 0, 1, 1]), np.array([-1, -1, 0, 1])
    task = tasks.create(
        models.create("simple_cnn", 32), base.model_copy(update={"domain": domain}), labels, np.arange(4), source
    )
    task.begin(1.0)
    step = task.step(Batch(torch.randn(2, 3, 32, 32), torch.zeros(2), torch.tensor([0, 1])), None)
    step.loss.backward()
    assert step.parts["domain_loss"].mean.item() == 0
    assert all(torch.isfinite(value.grad).all() for value in task.parameters() if value.grad is not None)


def test_a_head_without_weight_changes_nothing_of_the_detector(base, tmp_path):
    """At lambda 0 the detector must be trained by the labels alone."""
    data, source = domain_pictures()
    domain = base.domain.model_copy(update={"column": "source", "weight": 0.0, "schedule": "ganin"})
    (tmp_path / "plain").mkdir()
    *_, plain = train(base, data, tmp_path / "plain")
    *_, beside = train(base.model_copy(update={"domain": domain}), data, tmp_path, domains=source)
    for name, value in plain.state_dict().items():
        torch.testing.assert_close(value, beside.state_dict()[name], atol=1e-5, rtol=1e-4)


class Killed(Exception):
    """Stands for the end of the process."""


def test_a_killed_run_with_domains_and_weights_goes_on_with_the_same_bits(base, tmp_path, monkeypatch):
    data, source = domain_pictures()
    config = base.model_copy(
        update={"domain": base.domain.model_copy(update={"column": "source", "weight": 1.0}), "keep_optimizer": True}
    )
    monkeypatch.setattr(engine, "_SAVE_EVERY", 0.0)
    (tmp_path / "whole").mkdir()
    (tmp_path / "killed").mkdir()
    whole, logits, _ = train(config, data, tmp_path / "whole", domains=source, sampler="weighted")
    original = engine._Training._validate
    calls = []

    def killed(task, *arguments):
        calls.append(1)
        if len(calls) == 3:
            raise Killed
        return original(task, *arguments)

    monkeypatch.setattr(engine._Training, "_validate", killed)
    with pytest.raises(Killed):
        train(config, data, tmp_path / "killed", domains=source, sampler="weighted")
    monkeypatch.setattr(engine._Training, "_validate", original)
    again, resumed, _ = train(config, data, tmp_path / "killed", domains=source, sampler="weighted")
    assert np.array_equal(logits, resumed)
    assert whole.history == again.history
    assert set(whole.best_optimizer) == set(again.best_optimizer)
    for name, value in whole.best_optimizer.items():
        assert torch.equal(value, again.best_optimizer[name]), name
    assert {name.split(".")[0] for name in whole.best_optimizer} == {"detector", "domain_head"}
