"""Two and three real processes that train one fold together, against one."""

import numpy as np
import pytest
import torch
import torch._dynamo  # DistributedDataParallel wants it, for seconds; what is forked has it
import yaml
from torch import nn

from conftest import tiny_params
from deepfake import config as configs
from deepfake import runtime
from deepfake.config.execution import Execution
from deepfake.errors import InputError
from deepfake.execution import base, devices
from deepfake.execution.ranks import Ranks
from deepfake.loading import sampling
from deepfake.loading.batches import Loader
from deepfake.loading.pixels import place
from deepfake.training import engine, ranks, tasks
from deepfake.training.predict import predict
from deepfake.training.together import Together

CPU = torch.device("cpu")
SIDE, COUNT, BATCH = 32, 44, 12
TRAIN = np.arange(31)  # two whole batches, and seven: three processes take 3, 2 and 2 of them
VALIDATION = np.arange(31, 37)
LOSSES = [("bce", False), ("bce_pos_weight", False), ("focal", False), ("bce_pos_weight", True)]


@pytest.fixture(autouse=True)
def _without_gpus(request, monkeypatch):
    if "gpu" not in request.keywords:
        monkeypatch.setattr(devices, "gpus", lambda wanted: [])


def run(count, function, jobs, on_news=print):
    Ranks(Execution(data_parallel=count)).run(function, jobs, on_news=on_news, remedy="")


class Plain(nn.Module):
    """A network without batch norm and dropout, with the names of timm's."""

    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(nn.Conv2d(3, 8, 3, 2), nn.GELU(), nn.Conv2d(8, 12, 3, 2), nn.GELU())
        self.head = nn.Linear(12, 1)

    def forward(self, images):
        return self.head(self.forward_head(self.forward_features(images), pre_logits=True))

    def forward_features(self, images):
        return self.features(images)

    def forward_head(self, features, pre_logits):
        return features.mean(dim=(2, 3))

    def get_classifier(self):
        return self.head


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    values = tiny_params()
    path = tmp_path_factory.mktemp("params") / "params.yaml"
    path.write_text(yaml.safe_dump(values))
    found = configs.resolve(configs.load(path), "simple_cnn_low")
    return found.model_copy(update={"batch_size": BATCH, "precision": "fp32", "epochs": 2, "grad_clip": 1.0})


def samples():
    """Return images, labels (a third fake, so that classes weigh differently) and domains of the fakes."""
    rng = np.random.default_rng(3)
    labels = (np.arange(COUNT) % 3 == 0).astype(int)
    domains = np.where(labels == 1, rng.integers(0, 2, COUNT), -1)
    return rng.integers(0, 256, (COUNT, SIDE, SIDE, 3), dtype=np.uint8), labels, domains


class Recorder(Loader):
    """Remembers whom it served for training."""

    def __init__(self, config, device=CPU):
        images, labels, _ = samples()
        super().__init__(place(images, np.arange(COUNT), device), labels, config.view, config.normalization)
        self.served = []

    def given(self, index, batch_size, epoch, repeats=None):
        for given in super().given(index, batch_size, epoch, repeats):
            self.served.append(given.rows.tolist())
            yield given


def created(config, loss, domains):
    _, labels, codes = samples()
    config = config.model_copy(update={"loss": config.loss.model_copy(update={"type": loss})})
    runtime.seed_torch(5)
    return tasks.create(Plain(), config, labels, TRAIN, codes if domains else None)


def one_step(config, loss, domains, count):
    """Return what one batch of a list of samples gives, alone or together: its parts, logits and gradients."""
    torch.set_num_threads(1)
    task, loader = created(config, loss, domains), Recorder(config)
    together, taken = Together(task), ranks.part(count, BATCH)
    task.begin(0.5)
    batch = next(loader.training(TRAIN[taken.places], max(1, len(taken.places)), 0))
    step = together.step(batch, None, taken.counts[0])
    step.loss.backward()
    logits, parts = tasks.gathered(task, [tasks.told(step)])
    gradients = {name: value.grad.numpy() for name, value in task.named_parameters()}
    return ranks.gathered(logits, taken), parts, gradients


@base.shared
def tell_one_step(job, tell):
    tell((job[1:], one_step(*job)))


STEPS = [(loss, domains, count) for loss, domains in LOSSES for count in (BATCH, 7, 2)]
"""A whole batch, an odd one, and one that has too few samples for three processes."""


@pytest.mark.parametrize("count", [2, 3])
def test_the_gradient_of_a_step_is_that_of_the_whole_batch(config, count):
    heard = []
    Ranks(Execution(data_parallel=count)).run(
        tell_one_step, [(config, *step) for step in STEPS], on_news=heard.append, remedy=""
    )
    assert [step for step, _ in heard] == STEPS
    for step, (logits, parts, gradients) in heard:
        expected_logits, expected_parts, expected = one_step(config, *step)
        np.testing.assert_allclose(logits, expected_logits, rtol=1e-6)
        assert parts == pytest.approx(expected_parts, rel=1e-6)
        for name, value in expected.items():
            norm = np.linalg.norm(value)
            assert norm > 0, "a gradient of zero would say nothing"
            assert np.linalg.norm(gradients[name] - value) <= 5e-6 * norm, (step, name)
        whole = np.concatenate([value.ravel() for value in expected.values()])
        found = np.concatenate([gradients[name].ravel() for name in expected])
        assert np.linalg.norm(found - whole) <= 1e-6 * np.linalg.norm(whole), step


def fitted(config, model, folder, loss="bce", domains=False, end_after=None, device=CPU):
    """Train a fold of two epochs, alone or together, and return all that comes of it."""
    torch.set_num_threads(1)
    runtime.seed_torch(5)
    if model == "plain":
        network = Plain()
    else:
        from deepfake import models

        network = models.create(model, SIDE)
    _, labels, codes = samples()
    loader, notes = Recorder(config, device), []
    data = engine.FoldData(loader, labels, TRAIN, VALIDATION, np.zeros(COUNT, int), codes if domains else None)
    config = config.model_copy(update={"loss": config.loss.model_copy(update={"type": loss})})

    def on_epoch(row):
        if row["epoch"] == end_after:
            raise InterruptedError

    progress = engine.fit(
        network, data, config, 0, device=device, scratch=folder / "p", on_epoch=on_epoch, on_note=notes.append
    )
    return progress, predict(network, loader, np.arange(COUNT)), loader.served, notes, network.state_dict()


@base.shared
def fit_together(job, tell):
    """Train, and leave what came of it in this process."""
    folder, arguments = job
    torch.save(fitted(*arguments[:2], folder, *arguments[2:]), folder / f"found{ranks.rank()}")


def found_of(folder, count):
    return [torch.load(folder / f"found{rank}", weights_only=False) for rank in range(count)]


FITS = [
    # model, loss, domains, sampler, processes
    ("plain", "focal", False, "shuffle", 3),
    ("plain", "bce_pos_weight", True, "weighted", 2),
    ("convnext_atto", "bce", False, "stratified", 2),
]


@pytest.mark.parametrize(("model", "loss", "domains", "sampler", "count"), FITS)
def test_a_fold_trained_together_is_that_trained_alone(config, tmp_path, model, loss, domains, sampler, count):
    """Up to rounding, which two epochs of AdamW carry on: history and logits within 1e-4 of their size."""
    config = config.model_copy(update={"sampler": sampler})
    alone, logits, served, notes, _ = fitted(config, model, tmp_path, loss, domains)
    Ranks(Execution(data_parallel=count)).run(
        fit_together, [(tmp_path, (config, model, loss, domains))], on_news=print, remedy=""
    )
    found = found_of(tmp_path, count)
    assert notes == found[0][3] == []
    for number, batch in enumerate(served):
        # the last of three batches in each of two epochs has seven samples, of which the first processes take more
        assert [row for each in found for row in each[2][number]] == batch
    for progress, others, _, _, weights in found:
        assert progress.history == found[0][0].history, "all processes decide alike"
        assert progress.best_epoch == alone.best_epoch
        np.testing.assert_array_equal(others, found[0][1])
        for name, value in weights.items():
            assert torch.equal(value, found[0][4][name])
        for row, expected in zip(progress.history, alone.history, strict=True):
            assert row == pytest.approx(expected, rel=1e-4, abs=1e-6)
        np.testing.assert_allclose(others, logits, atol=1e-4 * np.abs(logits).max())


def test_batch_norm_on_a_cpu_is_refused(config, tmp_path):
    with pytest.raises(InputError, match="on a CPU batch norm would see each process's part of a batch alone"):
        run(2, fit_together, [(tmp_path, (config, "simple_cnn"))])


@base.shared
def fit_on_gpus(job, tell):
    folder, config = job
    config = config.model_copy(update={"lr": 1e-4})  # AdamW makes a whole step of any rounding
    found = fitted(config, "simple_cnn", folder, device=torch.device("cuda"))
    tell((found[0].history, found[1], found[3]))


@pytest.mark.gpu
def test_on_gpus_batch_norm_sees_the_whole_batch(config, tmp_path):
    """Without it, batches of 12 in two parts would differ by percents."""
    if torch.cuda.device_count() < 2:
        pytest.skip("one GPU")
    heard = []
    run(2, fit_on_gpus, [(tmp_path, config)], heard.append)
    [(history, logits, notes)] = heard
    small = config.model_copy(update={"lr": 1e-4})
    alone, expected, *_ = fitted(small, "simple_cnn", tmp_path, device=torch.device("cuda"))
    assert notes == []
    for row, other in zip(history, alone.history, strict=True):
        assert row["train_loss"] == pytest.approx(other["train_loss"], rel=1e-2)
    np.testing.assert_allclose(logits, expected, atol=1e-2 * np.abs(expected).max())


@base.shared
def fit_in_two_parts(job, tell):
    """Train whole, and again: ended after the first epoch, and gone on with."""
    folder, config = job
    engine._SAVE_EVERY = 0.0
    whole = folder / "whole"
    if ranks.leads():
        whole.mkdir()
    ranks.summed(torch.zeros(1))  # until it is there
    expected = fitted(config, "plain", whole)
    with pytest.raises(InterruptedError):
        fitted(config, "plain", folder, end_after=1)
    found = fitted(config, "plain", folder)
    tell((expected[0].history, found[0].history, np.abs(expected[1] - found[1]).max(), len(found[2])))


def test_training_together_goes_on_where_it_ended(config, tmp_path):
    heard = []
    run(2, fit_in_two_parts, [(tmp_path, config)], heard.append)
    [(expected, history, difference, batches)] = heard
    assert history == expected
    assert difference == 0
    assert batches == 3, "the first epoch was not trained again"


def test_a_batch_that_cannot_be_shared_is_refused(config, tmp_path):
    job = (tmp_path, (config.model_copy(update={"batch_size": 32}), "plain"))
    with pytest.raises(InputError) as raised:
        run(3, fit_together, [job])
    assert str(raised.value) == (
        "execution.data_parallel: a batch of 32 cannot be shared by 3 processes; "
        "set shared.batch_size to a multiple of 3, 6 or more, or data_parallel to 1"
    )


@pytest.mark.parametrize("count", [1, 2, 3, 5])
@pytest.mark.parametrize("length", [0, 1, 2, 14, 31, 60])
def test_parts_are_stretches_of_the_batches_of_one_process(monkeypatch, count, length):
    size = 15 if count in (3, 5) else 12
    monkeypatch.setattr(ranks, "world", lambda: count)
    parts = []
    for rank in range(count):
        monkeypatch.setattr(ranks, "rank", lambda rank=rank: rank)
        parts.append(ranks.part(length, size))
    for batch, start in enumerate(range(0, length, size)):
        whole = list(range(start, min(start + size, length)))
        counts = [part.counts[batch] for part in parts]
        assert sum(mine for mine, _ in counts) == len(whole)
        assert {each for _, each in counts} == {len(whole)}
        assert max(mine for mine, _ in counts) - min(mine for mine, _ in counts) <= 1
        taken = [part.places[batch * part.size :][: part.size] for part in parts]
        joined = [place for part, (mine, _) in zip(taken, counts, strict=True) for place in part[:mine]]
        assert joined == whole
        assert all(len(part) for part in taken), "nobody has nothing to do"


def test_repeats_of_a_sample_are_counted_over_all_processes(monkeypatch):
    order = np.array([4, 4, 4, 7, 4, 7])
    monkeypatch.setattr(ranks, "world", lambda: 2)
    monkeypatch.setattr(ranks, "rank", lambda: 1)
    assert sampling.occurrences(order)[ranks.part(6, 4).places].tolist() == [2, 0, 1]
