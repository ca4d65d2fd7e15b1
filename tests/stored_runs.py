"""Runs made of the tiny study's own, each in a study's folder as training leaves it."""

import json
import shutil
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file

from deepfake import config, modalities, models, tables
from deepfake.config import ViewConfig
from deepfake.config.images import Normalization
from deepfake.project import paths
from deepfake.runs import checkpoint_metadata
from deepfake.training.checkpoint import copy_weights, save_weights

RUN = "simple_cnn_low"


def edit(path: Path, **changes) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def copy_run(name: str) -> None:
    """Copy the run of the tiny study into another folder of its study."""
    shutil.copytree(paths().run(RUN), paths().study("phase1") / name)


def add_run(name: str, *, factor: float) -> None:
    """Write another run: that of the tiny study with its last layer multiplied."""
    copy_run(name)
    for fold in range(2):
        weights = load_file(paths().checkpoint(name, fold))
        weights["head.weight"] *= factor
        weights["head.bias"] *= factor
        save_file(weights, paths().checkpoint(name, fold))
        record = checkpoint_metadata.read(paths().checkpoint_record(name, fold))
        own = record.model_copy(update={"config": record.config.model_copy(update={"experiment": name})})
        paths().checkpoint_record(name, fold).write_text(own.model_dump_json())
    edit(paths().config(name), experiment=name)


def add_ensemble(name: str, **changes) -> None:
    """Write an ensemble of the run and of one with twice its logits."""
    add_run("twice", factor=2.0)
    copy_run(name)
    combination = {"experiments": [RUN, "twice"], "weights": "fitted"}
    combination |= {"coefficients": [[1.0, 0.5], [0.25, 2.0]], "intercepts": [0.0, -3.0]} | changes
    edit(paths().config(name), experiment=name, kind="ensemble", model="ensemble", ensemble=combination)


VIEWS = {
    "video": {"view": "frames", "geometry": "crop", "face_margin": None, "size": 48, "seconds": None},
    "audio": {"view": "log_mel", "geometry": "log_mel", "face_margin": None, "size": 64, "seconds": 1.0},
}


def add_untrained(kind: str, name: str, *, auc: float = 0.7, **changes) -> config.RunConfig:
    """Write a run whose two folds have random weights, and whose view is that of a modality, with some changes."""
    known = {"dataset": f"sample_{kind}", "modality": kind, "loader": "opencv"}
    view = ViewConfig.model_validate(known | VIEWS[kind] | changes)
    plain = config.resolve(config.load(), RUN)
    run = plain.model_copy(
        update={"experiment": name, "dataset": view.dataset, "view": view, "normalization": None, "fraction": 1.0}
    )
    (paths().study(run.study) / name).mkdir(parents=True, exist_ok=True)
    scale = Normalization(mean=(0.5, 0.5, 0.5), std=(0.25, 0.25, 0.25))
    model = models.create(run.model, modalities.shape(view))
    for fold in range(run.folds):
        torch.manual_seed(fold)
        model = models.create(run.model, modalities.shape(view))
        with torch.no_grad():
            model.head.weight *= 50  # pyright: ignore
        save_weights(copy_weights(model), paths().checkpoint(name, fold))
        record = checkpoint_metadata.of(
            run,
            fold,
            epoch=1,
            metrics={},
            normalization=scale,
            sample_ids=np.array(["a", "b", "c", "d"]),
            labels=np.array([0, 1, 0, 1]),
            logits=np.array([-1.0, 0.5, 0.75, 1.0]) * (fold + 1),
        )
        tables.write_text(record.model_dump_json(), paths().checkpoint_record(name, fold))
    facts = run.model_dump() | {"kind": "trained", "parameters": models.count_parameters(model)}
    tables.write_text(json.dumps(facts), paths().config(name))
    tables.write_text(json.dumps({"auc": auc}), paths().headline(name))
    return run
