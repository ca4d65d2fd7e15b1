"""The engine on a task that a small network learns in seconds."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from sklearn.metrics import balanced_accuracy_score, roc_auc_score

from conftest import tiny_params
from deepfake import config as configs
from deepfake import models, runtime
from deepfake.errors import InputError
from deepfake.loading.batches import Loader
from deepfake.loading.pixels import Mapped
from deepfake.training import engine
from deepfake.training.predict import predict

CPU = torch.device("cpu")
COUNT = 96


@pytest.fixture
def config(tmp_path):
    values = tiny_params()
    values["presets"]["quick"] |= {"epochs": {"short": 4, "base": 4, "long": 4}}
    path = tmp_path / "params.yaml"
    path.write_text(yaml.safe_dump(values))
    return configs.resolve(configs.load(path), "simple_cnn_low")


@pytest.fixture
def images():
    """Fakes carry stripes; rows 64 and up are not for training."""
    rng = np.random.default_rng(1)
    labels = np.arange(COUNT) % 2
    stripes = 40 * (np.arange(32) % 2)[None, None, :, None] * labels[:, None, None, None]
    return (rng.normal(120, 25, (COUNT, 32, 32, 3)) + stripes).clip(0, 255).astype(np.uint8), labels


def fit(config, images, labels, scratch, *, model_seed=0, on_epoch=lambda row: None, clips=None):
    torch.set_num_threads(1)
    runtime.seed_torch(model_seed)
    model = models.create(config.model, config.resolution)
    loader = Loader(Mapped(images), labels, config.view, config.normalization)
    data = engine.FoldData(loader, labels, np.arange(48), np.arange(48, 64), np.zeros(64, int), clips=clips)
    progress = engine.fit(model, data, config, 0, device=CPU, scratch=scratch, on_epoch=on_epoch)
    return model, loader, progress


def test_it_learns_what_there_is_to_learn(config, images, tmp_path):
    model, loader, progress = fit(config, *images, tmp_path / "p")
    logits = predict(model, loader, np.arange(64, COUNT))
    fakes = images[1][64:] == 1
    assert logits[fakes].min() > logits[~fakes].max()
    assert progress.history[-1]["train_loss"] < progress.history[0]["train_loss"]


def test_the_learning_rate_follows_the_cosine(config, images, tmp_path):
    _, _, progress = fit(config.model_copy(update={"early_stopping_patience": 99}), *images, tmp_path / "p")
    found = [row["lr"] for row in progress.history]
    expected = [config.lr * (1 + np.cos(np.pi * epoch / config.epochs)) / 2 for epoch in range(config.epochs)]
    assert found == pytest.approx(expected)


def test_the_model_ends_with_the_weights_of_its_best_epoch(config, images, tmp_path, monkeypatch):
    scores = iter([0.6, 0.9, 0.7, 0.8])
    monkeypatch.setattr(
        engine._Training, "_validate", lambda *arguments: {"validation_loss": 1.0, "validation_auc": next(scores)}
    )
    after: dict[int, torch.Tensor] = {}

    def spy(model, **options):
        after[len(after)] = model.state_dict()["head.weight"].clone()
        return original(model, **options)

    original = engine.copy_weights
    monkeypatch.setattr(engine, "copy_weights", spy)
    model, _, progress = fit(config, *images, tmp_path / "p")
    assert progress.best_epoch == 2
    assert torch.equal(model.state_dict()["head.weight"], after[1])


def test_it_stops_when_patience_runs_out(config, images, tmp_path, monkeypatch):
    scores = iter([0.9, 0.8, 0.7, 0.6])
    monkeypatch.setattr(
        engine._Training, "_validate", lambda *arguments: {"validation_loss": 1.0, "validation_auc": next(scores)}
    )
    _, _, progress = fit(config.model_copy(update={"early_stopping_patience": 2}), *images, tmp_path / "p")
    assert len(progress.history) == 3


def test_metrics_that_come_in_later_complete_the_history(config, images, tmp_path, monkeypatch):
    """On a GPU those of training are computed beside the next epoch."""
    _, _, at_once = fit(config, *images, tmp_path / "a")
    original = engine._Training.__init__

    def begin(training, *arguments, **options):
        original(training, *arguments, **options)
        training._beside = ThreadPoolExecutor(1)

    monkeypatch.setattr(engine._Training, "__init__", begin)
    monkeypatch.setattr(engine, "_SAVE_EVERY", 0.0)
    seen = []
    _, _, later = fit(config, *images, tmp_path / "b", on_epoch=lambda row: seen.append(row["validation_auc"]))
    assert later.history == at_once.history
    assert [list(row) for row in later.history] == [list(row) for row in at_once.history]
    assert seen == [row["validation_auc"] for row in at_once.history]


def test_the_same_seed_gives_the_same_bits(config, images, tmp_path):
    first, _, _ = fit(config, *images, tmp_path / "a")
    second, _, _ = fit(config, *images, tmp_path / "b")
    for name, value in first.state_dict().items():
        assert torch.equal(value, second.state_dict()[name]), name


def test_what_is_held_out_never_reaches_the_weights(config, images, tmp_path):
    pixels, labels = images
    first, _, _ = fit(config, pixels, labels, tmp_path / "a")
    pixels, labels = pixels.copy(), labels.copy()
    pixels[64:] = 255 - pixels[64:]
    labels[64:] = 1 - labels[64:]
    second, _, _ = fit(config, pixels, labels, tmp_path / "b")
    for name, value in first.state_dict().items():
        assert torch.equal(value, second.state_dict()[name]), name


def test_training_and_evaluation_ask_for_different_images(config, images, tmp_path):
    """Augmentation is for training rows alone, and each epoch has its own."""
    asked = []

    class Spy(Loader):
        def given(self, index, batch_size, epoch, repeats=None):
            asked.append((epoch, sorted(index)))
            return super().stored(index, batch_size)

        def stored(self, index, batch_size):
            asked.append(("as they are", sorted(index)))
            return super().stored(index, batch_size)

    pixels, labels = images
    model = models.create(config.model, config.resolution)
    loader = Spy(Mapped(pixels), labels, config.view, config.normalization)
    data = engine.FoldData(loader, labels, np.arange(48), np.arange(48, 64), np.zeros(64, int))
    engine.fit(model, data, config, 0, device=CPU, scratch=tmp_path / "p")
    train, validation = list(range(48)), list(range(48, 64))
    assert asked == [call for epoch in range(4) for call in ((epoch, train), ("as they are", validation))]


class Killed(Exception):
    """Stands for the end of the process."""


@pytest.mark.parametrize("model", ["simple_cnn", "mobilenetv3_small_050"])  # the second has dropout
def test_a_killed_run_goes_on_and_ends_with_the_same_bits(config, images, tmp_path, monkeypatch, model):
    config = config.model_copy(update={"model": model})
    monkeypatch.setattr(engine, "_SAVE_EVERY", 0.0)
    whole, _, undisturbed = fit(config, *images, tmp_path / "whole")

    def kill(row):
        if row["epoch"] == 2:
            raise Killed

    with pytest.raises(Killed):
        fit(config, *images, tmp_path / "killed", on_epoch=kill)
    seen = []
    resumed, _, progress = fit(
        config, *images, tmp_path / "killed", model_seed=99, on_epoch=lambda row: seen.append(row["epoch"])
    )
    assert progress.history == undisturbed.history
    assert seen == [1, 2, 3, 4]
    for name, value in whole.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[name]), name


def test_a_loss_that_is_not_finite_says_what_to_do(config, images, tmp_path):
    with pytest.raises(InputError, match="lower the learning rate"):
        fit(config.model_copy(update={"lr": 1e30}), *images, tmp_path / "p")


def test_a_last_batch_of_one_is_left_out(config, images, tmp_path):
    # 48 training samples in batches of 47 would leave one, on which batch norm at 1x1 cannot be trained
    fit(config.model_copy(update={"batch_size": 47, "model": "resnet10t"}), *images, tmp_path / "p")


def test_prediction_does_not_depend_on_who_else_is_in_the_batch(config, images, tmp_path):
    model, loader, _ = fit(config, *images, tmp_path / "p")
    together = predict(model, loader, np.arange(64, COUNT))
    alone = np.concatenate([predict(model, loader, np.array([row])) for row in range(64, COUNT)])
    assert together == pytest.approx(alone, abs=1e-4)


@pytest.mark.parametrize("how", ["mean", "max"])
def test_figures_are_of_clips_and_the_loss_is_of_samples(config, images, tmp_path, how):
    clips = np.arange(COUNT) // 4 * 2 + np.arange(COUNT) % 2  # two samples each, of one label
    config = config.model_copy(update={"pooling": how, "early_stopping_patience": 99, "lr": 2e-4})
    plain = fit(config, *images, tmp_path / "plain")[2].history
    model, loader, progress = fit(config, *images, tmp_path / "clips", clips=clips)
    # pooling changes what is told, and no weight
    for one, other in zip(plain, progress.history, strict=True):
        assert one["train_loss"] == other["train_loss"]
        assert one["validation_loss"] == other["validation_loss"]
    assert [row["train_auc"] for row in plain] != [row["train_auc"] for row in progress.history]
    rows = np.arange(48, 64)
    shown = pd.DataFrame({"clip": clips[rows], "label": images[1][rows], "logit": predict(model, loader, rows)})
    pooled = shown.groupby("clip").agg({"label": "first", "logit": how})
    best = progress.history[progress.best_epoch - 1]
    assert best["validation_auc"] == pytest.approx(roc_auc_score(pooled["label"], pooled["logit"]))
    right = balanced_accuracy_score(pooled["label"], pooled["logit"] >= 0)
    assert best["validation_balanced_accuracy"] == pytest.approx(right)
    assert best["validation_auc"] == max(row["validation_auc"] for row in progress.history)
