"""Work that a CUDA graph can hold: what is recorded is replayed on other numbers, and what cannot be is found before.

Without a GPU `again` stands for the recording: it does the work anew on the tensors that a graph would read, at the
moments when it would be replayed. So buffers, order and numbers are tested, and the recording itself is not.
"""

import functools

import numpy as np
import pytest
import torch
import yaml
from torch import nn

from conftest import tiny_params
from deepfake import config as configs
from deepfake import models, runtime
from deepfake.loading.batches import Loader
from deepfake.loading.pixels import Mapped, place
from deepfake.training import engine, graphs
from deepfake.training.predict import Predictor, predict
from deepfake.training.steps import Steps

COUNT = 122
TRAIN, VALIDATION = np.arange(90), np.arange(90, COUNT)  # batches of 16: five whole ones and one of ten; two


def again(work, example):
    """Stand for `graphs.record`."""
    kept = tuple(tensor.clone() for tensor in example)

    def replay(*given):
        for mine, theirs in zip(kept, given, strict=True):
            mine[: len(theirs)].copy_(theirs)
        return work(*kept)

    return replay


@pytest.fixture
def config(tmp_path):
    path = tmp_path / "params.yaml"
    path.write_text(yaml.safe_dump(tiny_params()))
    found = configs.resolve(configs.load(path), "simple_cnn_low")
    return found.model_copy(update={"batch_size": 16, "epochs": 3, "early_stopping_patience": 9, "precision": "fp32"})


@pytest.fixture
def images():
    rng = np.random.default_rng(3)
    return rng.integers(0, 256, (COUNT, 32, 32, 3), np.uint8), np.arange(COUNT) % 2


class Careless(nn.Module):
    """A detector whose course depends on a value."""

    def __init__(self, how):
        super().__init__()
        self.body = models.create("simple_cnn", 32)
        self._how = how

    def forward(self, images):
        if self._how == "branch" and images.mean() > 1e6:
            return self.body(images) * 2
        if self._how == "mask":
            return self.body(images * (images[images > 0].sum() > 0))
        if self._how == "elsewhere":
            return self.body(images + torch.zeros(3, 1, 1, device="meta").to(images.device, copy=True))
        return self.body(images)


def trained(config, images, device, tmp_path, monkeypatch, *, record=None, domains=None, **options):
    """Train a fold; return its history, its weights and its logits."""
    pixels, labels = images
    torch.set_num_threads(1)
    runtime.seed_torch(0)
    model = options.pop("model", None) or models.create(config.model, 32)
    loader = Loader(place(pixels, np.arange(COUNT), device), labels, config.view, config.normalization)
    data = engine.FoldData(loader, labels, TRAIN, VALIDATION, np.zeros(COUNT, int), domains)
    with monkeypatch.context() as patch:
        if record is not None:
            patch.setattr(engine, "Steps", functools.partial(Steps, record=record))
            patch.setattr(engine, "Predictor", lambda model, loader, _: Predictor(model, loader, record))
        progress = engine.fit(model, data, config, 0, device=device, scratch=tmp_path / "scratch", **options)
    return progress.history, progress.best_weights, predict(model, loader, np.arange(COUNT))


def changed(config, change):
    match change:
        case "focal" | "bce_pos_weight":
            return config.model_copy(update={"loss": config.loss.model_copy(update={"type": change})})
        case "clip":
            return config.model_copy(update={"grad_clip": 0.1})
        case "dropout":
            return config.model_copy(update={"model": "mobilenetv3_small_050"})
        case "domains":
            return config.model_copy(update={"domain": config.domain.model_copy(update={"column": "source"})})
    return config


def domains_of(change):
    return np.where(np.arange(COUNT) % 2 == 0, -1, np.arange(COUNT) // 2 % 2) if change == "domains" else None


CHANGES = ["nothing", "focal", "bce_pos_weight", "clip", "dropout", "domains"]


@pytest.mark.parametrize("change", CHANGES)
def test_steps_on_kept_tensors_give_the_same_bits(config, images, tmp_path, monkeypatch, change):
    config, cpu = changed(config, change), torch.device("cpu")
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    records = []

    def record(work, example):
        records.append(len(example[0]))
        return again(work, example)

    plain = trained(config, images, cpu, tmp_path / "a", monkeypatch, domains=domains_of(change))
    kept = trained(config, images, cpu, tmp_path / "b", monkeypatch, record=record, domains=domains_of(change))
    assert records == [16, 16]  # a step and a batch of the evaluation, once for all epochs
    assert plain[0] == kept[0]
    assert all(torch.equal(value, kept[1][name]) for name, value in plain[1].items())
    assert np.array_equal(plain[2], kept[2])


def test_a_smaller_batch_of_the_evaluation_is_replayed_with_what_was_there(config, images):
    pixels, labels = images
    model = models.create(config.model, 32)
    loader = Loader(Mapped(pixels), labels, config.view, config.normalization)
    calls = []
    kept = Predictor(model, loader, lambda work, example: calls.append(1) or again(work, example))
    for rows in (np.arange(32), np.arange(5), np.arange(40, 61)):
        np.testing.assert_allclose(kept(rows), predict(model, loader, rows), atol=1e-5)
    assert calls == [1]


@pytest.mark.parametrize(("how", "why"), [("branch", "depends on values"), ("mask", "by a mask depends on values")])
def test_what_depends_on_values_is_not_recorded_and_told_once(config, images, tmp_path, monkeypatch, how, why):
    notes, records = [], []
    runtime.seed_torch(0)
    trained(
        config,
        images,
        torch.device("cpu"),
        tmp_path,
        monkeypatch,
        record=lambda work, example: records.append(work),
        model=Careless(how),
        on_note=notes.append,
    )
    assert not records
    assert len(notes) == 1
    assert notes[0].startswith("training steps are not recorded as CUDA graphs: ")
    assert why in notes[0]


def test_what_a_device_refuses_is_done_without(config, images, tmp_path, monkeypatch):
    def refuses(work, example):
        raise RuntimeError("operation not permitted when stream is capturing\nand more")

    notes = []
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    plain = trained(config, images, torch.device("cpu"), tmp_path / "a", monkeypatch)
    tried = trained(
        config, images, torch.device("cpu"), tmp_path / "b", monkeypatch, record=refuses, on_note=notes.append
    )
    assert plain[0] == tried[0]
    assert notes == ["training steps are not recorded as CUDA graphs: operation not permitted when stream is capturing"]


def test_out_of_memory_is_not_taken_for_a_refusal():
    def full(work, example):
        raise torch.OutOfMemoryError("no room")

    work = graphs.Recorded(lambda tensor: tensor + 1, full)
    work(torch.zeros(2))
    with pytest.raises(torch.OutOfMemoryError):
        work(torch.zeros(2))


@pytest.mark.parametrize(
    ("work", "why"),
    [
        (lambda x: x * x.sum().item(), "_local_scalar_dense"),
        (lambda x: x.nonzero(), "nonzero"),
        (lambda x: torch.unique(x), "unique"),
        (lambda x: x[x > 0], "index by a mask"),
        (lambda x: x.masked_select(x > 0), "masked_select"),
        (lambda x: x.to("meta"), "between devices"),
    ],
)
def test_what_a_graph_cannot_hold_is_found(work, why):
    with graphs.Watch() as watch:
        work(torch.arange(4.0))
    assert watch.found is not None
    assert why in watch.found


@pytest.mark.parametrize(
    "work",
    [
        lambda x: x.sum() * 2,
        lambda x: x[torch.tensor([0, 1])],
        lambda x: x.masked_fill(x > 0, 0.0),
        lambda x: nn.functional.dropout(x, 0.5),
        lambda x: x.new_full((), 3.0) + x,
    ],
)
def test_what_a_graph_can_hold_is_let_be(work):
    with graphs.Watch() as watch:
        work(torch.arange(4.0))
    assert watch.found is None


@pytest.mark.parametrize(
    "name", ["simple_cnn", "resnet18", "convnext_atto", "mobilenetv3_small_050", "vit_tiny_patch16_224"]
)
def test_a_step_of_the_models_of_the_study_can_be_held(config, images, tmp_path, monkeypatch, name):
    notes = []
    pixels, labels = images
    model = models.create(name, 224 if name.startswith("vit") else 32)
    if name.startswith("vit"):
        pixels = np.zeros((COUNT, 224, 224, 3), np.uint8)
    loader = Loader(Mapped(pixels), labels, config.view, config.normalization)
    config = config.model_copy(update={"batch_size": 2})
    from deepfake.training import tasks
    from deepfake.training.steps import optimizer_of

    task = tasks.create(model, config, labels, TRAIN, None)
    steps = Steps(task, optimizer_of(task, config), loader, config, None, record=again, on_note=notes.append)
    for given in loader.given(np.arange(10), 2, 0):
        steps(given, 0.0)
    assert notes == []


@pytest.mark.gpu
@pytest.mark.parametrize("change", CHANGES)
def test_on_a_gpu_a_recorded_step_trains_as_a_plain_one(config, images, tmp_path, monkeypatch, change):
    """Other kernels may be chosen while recording; what is learned must be the same but for roundings."""
    # small steps: AdamW makes a whole one of any gradient, however near to zero
    config = changed(config, change).model_copy(update={"lr": 1e-4})
    cuda, notes = torch.device("cuda"), []
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    plain = trained(config, images, cuda, tmp_path / "a", monkeypatch, graph="never", domains=domains_of(change))
    graph = trained(config, images, cuda, tmp_path / "b", monkeypatch, domains=domains_of(change), on_note=notes.append)
    assert notes == []
    for mine, theirs in zip(plain[0], graph[0], strict=True):
        assert mine["train_loss"] == pytest.approx(theirs["train_loss"], rel=1e-3)
        assert mine["lr"] == theirs["lr"]
        assert not any(np.isnan(value) for value in theirs.values())
    np.testing.assert_allclose(plain[2], graph[2], atol=5e-3)


@pytest.mark.gpu
def test_on_a_gpu_what_cannot_be_recorded_is_trained_without(config, images, tmp_path, monkeypatch):
    notes = []
    runtime.seed_torch(0)
    history, *_ = trained(
        config,
        images,
        torch.device("cuda"),
        tmp_path,
        monkeypatch,
        model=Careless("branch"),
        on_note=notes.append,
    )
    assert len(history) == config.epochs
    assert len(notes) == 1


@pytest.mark.gpu
def test_on_a_gpu_a_killed_fold_goes_on_with_the_rate_where_a_graph_reads_it(config, images, tmp_path, monkeypatch):
    monkeypatch.setattr(engine, "_SAVE_EVERY", 0.0)
    config, cuda = config.model_copy(update={"lr": 1e-4}), torch.device("cuda")
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    whole = trained(config, images, cuda, tmp_path / "a", monkeypatch)

    class Killed(Exception):
        pass

    def kill(row):
        if row["epoch"] == 2:
            raise Killed

    with pytest.raises(Killed):
        trained(config, images, cuda, tmp_path / "b", monkeypatch, on_epoch=kill)
    resumed = trained(config, images, cuda, tmp_path / "b", monkeypatch)
    assert [row["lr"] for row in whole[0]] == pytest.approx([row["lr"] for row in resumed[0]])
    np.testing.assert_allclose(whole[2], resumed[2], atol=5e-3)
