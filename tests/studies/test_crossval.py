import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import psutil
import pytest
import torch
import yaml
from click.testing import CliRunner
from safetensors.torch import load_file

from conftest import make_project
from deepfake import cli, layout, models, params, tables
from deepfake.errors import InputError
from deepfake.evaluation import summary
from deepfake.loading import images
from deepfake.loading.batches import ArrayLoader
from deepfake.studies import crossval, fold
from deepfake.training.predict import predict


def config(name: str = "simple_cnn_low"):
    return params.resolve(params.load(), name)


@pytest.fixture(scope="module")
def finished(tmp_path_factory, tiny_raw):
    """A project in which one experiment has been run by several processes, and its outcome."""
    root = make_project(tmp_path_factory.mktemp("finished") / "project", tiny_raw)
    before = Path.cwd()
    os.chdir(root)
    try:
        for command in (["ingest", "sample"], ["split", "sample"]):
            assert CliRunner().invoke(cli.main, command).exit_code == 0
        outcome = crossval.run(config())
    finally:
        os.chdir(before)
    return root, outcome


@pytest.fixture
def outcome(finished, monkeypatch):
    """The outcome, with its project as the current folder; not to be changed."""
    monkeypatch.chdir(finished[0])
    return finished[1]


@pytest.fixture
def copied(finished, tmp_path, monkeypatch):
    """A copy of the finished project as the current folder."""
    shutil.copytree(finished[0], tmp_path / "copy")
    monkeypatch.chdir(tmp_path / "copy")


def test_a_run_leaves_all_its_artefacts(outcome):
    for path in (
        layout.checkpoints("simple_cnn_low") / "fold0.safetensors",
        layout.config("simple_cnn_low"),
        layout.predictions("simple_cnn_low"),
        layout.provenance("simple_cnn_low"),
        layout.train_metrics("simple_cnn_low"),
        layout.history("simple_cnn_low"),
    ):
        assert path.exists(), path
    assert not list(layout.SCRATCH.iterdir())
    assert tuple(json.loads(layout.train_metrics("simple_cnn_low").read_text())) == summary.HEADLINE
    assert outcome.by_fold["auc"].mean() > 0.8  # the stripes can be seen


def test_every_development_sample_is_held_out_once(outcome):
    predictions = outcome.predictions
    manifest = tables.read(layout.manifest("sample"), tables.MANIFEST).set_index("sample_id")
    held_out = predictions[predictions["subset"] == "held_out"]
    assert sorted(held_out["sample_id"]) == sorted(manifest.index[manifest["split"] == "dev"])
    assert (manifest.loc[held_out["sample_id"], "fold"].to_numpy() == held_out["fold"].to_numpy()).all()
    tested = predictions[predictions["subset"] == "test"]
    assert set(tested["sample_id"]) == set(manifest.index[manifest["split"] == "test"])


def test_another_run_by_one_process_gives_the_same_bits(outcome, copied, monkeypatch):
    before = {path.name: load_file(path) for path in layout.checkpoints("simple_cnn_low").iterdir()}
    monkeypatch.setattr("deepfake.runtime.cores", lambda: 1)
    again = crossval.run(config())
    pd.testing.assert_frame_equal(outcome.predictions, again.predictions, check_exact=True)
    for path in layout.checkpoints("simple_cnn_low").iterdir():
        weights = load_file(path)
        assert all(torch.equal(value, weights[name]) for name, value in before[path.name].items())


def test_a_killed_run_keeps_its_finished_folds(outcome, copied, monkeypatch):
    trained = []
    original = fold.train_fold

    def killed_in_the_second_fold(job, tell):
        if job.fold == 1:
            raise KeyboardInterrupt
        original(job, tell)

    monkeypatch.setattr("deepfake.runtime.cores", lambda: 1)
    monkeypatch.setattr(fold, "train_fold", killed_in_the_second_fold)
    with pytest.raises(KeyboardInterrupt):
        crossval.run(config())

    def counted(job, tell):
        trained.append(job.fold)
        original(job, tell)

    monkeypatch.setattr(fold, "train_fold", counted)
    resumed = crossval.run(config())
    assert trained == [1]
    pd.testing.assert_frame_equal(resumed.predictions, outcome.predictions, check_exact=True)


@pytest.mark.slow
def test_a_killed_process_takes_its_workers_along_and_the_next_run_ends_the_same(outcome, copied):
    values = yaml.safe_load(layout.PARAMS.read_text())
    values["presets"]["quick"]["epochs"] = 200  # long enough to be killed in
    values["shared"]["early_stopping_patience"] = 200
    layout.PARAMS.write_text(yaml.safe_dump(values))
    command = [sys.executable, "-m", "deepfake", "train", "simple_cnn_low"]
    before = layout.predictions("simple_cnn_low").read_bytes()
    process = psutil.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    workers = []
    deadline = time.monotonic() + 120
    while len(workers) < 2 and time.monotonic() < deadline:
        time.sleep(0.1)
        workers = process.children()
    assert len(workers) == 2
    process.kill()
    process.wait()
    _, alive = psutil.wait_procs(workers, timeout=10)
    assert not alive
    assert layout.predictions("simple_cnn_low").read_bytes() == before  # nothing half-written
    values["presets"]["quick"]["epochs"] = 2
    values["shared"]["early_stopping_patience"] = 5
    layout.PARAMS.write_text(yaml.safe_dump(values))
    again = crossval.run(config())
    pd.testing.assert_frame_equal(again.predictions, outcome.predictions, check_exact=True)


def test_an_unknown_model_is_told_before_anything_is_decoded(outcome, monkeypatch):
    monkeypatch.setattr(images, "decode", lambda *a, **k: pytest.fail("decoded"))
    with pytest.raises(InputError, match="resnet18"):
        crossval.run(config().model_copy(update={"model": "resnet81"}))


def test_a_manifest_of_other_folds_is_refused(outcome):
    with pytest.raises(InputError, match="has 2 folds"):
        crossval.run(config().model_copy(update={"folds": 3}))


def test_checkpoints_give_the_stored_predictions(outcome, tmp_path):
    settings = config()
    manifest = tables.read(layout.manifest("sample"), tables.MANIFEST)
    pixels = images.decode(
        manifest,
        layout.raw("sample"),
        settings.resolution,
        destination=tmp_path / "images.npy",
        threads=1,
    )
    model = models.create(settings.model, settings.resolution)
    model.load_state_dict(load_file(layout.checkpoints("simple_cnn_low") / "fold0.safetensors"))
    loader = ArrayLoader(pixels, manifest["label"].to_numpy(), settings.normalization, torch.device("cpu"))
    logits = pd.Series(predict(model, loader, np.arange(len(manifest))), index=manifest["sample_id"])
    first = outcome.predictions[outcome.predictions["fold"] == 0]
    assert logits[first["sample_id"]].to_numpy() == pytest.approx(first["logit"].to_numpy(), abs=1e-4)
