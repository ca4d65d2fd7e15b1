"""Runs made of the tiny study's own, each in a study's folder as training leaves it."""

import json
import shutil
from pathlib import Path

from safetensors.torch import load_file, save_file

from deepfake.project import paths
from deepfake.runs import checkpoint_metadata

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
