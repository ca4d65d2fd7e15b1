"""The tiny project with an experiment for every geometry, augmentation, normalisation and loader."""

import os
from pathlib import Path

import pandas as pd
import torch
import yaml
from click.testing import CliRunner
from safetensors.torch import load_file

from conftest import make_project, tiny_params, write_tiny_faces
from deepfake import cli, tables
from deepfake import config as configs
from deepfake.loading import views
from deepfake.project import paths
from deepfake.runs import cross_validation

GEOMETRIES = {
    "crop_low": ("crop", False),
    "letterbox_low": ("letterbox", False),
    "letterbox_real_low": ("letterbox_real", False),
    "resize_low": ("resize", False),
    "face_low": ("crop", True),
}
VARIANTS = {
    "plain_real": ("crop_low", "none", "real_training", "opencv"),
    "opencv_full": ("letterbox_low", "full", "imagenet", "opencv"),
    "opencv_light": ("resize_low", "light", "real_training", "opencv"),
    "dali_full": ("face_low", "full", "real_training", "dali"),
    "dali_light": ("letterbox_real_low", "light", "imagenet", "dali"),
}
"""View, augmentation, normalisation and loader of experiments beside `simple_cnn_low`."""
MARGIN = 0.25


def study_params() -> dict:
    """Return the tiny params with every geometry as a view."""
    values = tiny_params()
    values["views"] = {
        name: {"geometry": geometry, "face_crop": face, "resolution": "low"}
        for name, (geometry, face) in GEOMETRIES.items()
    }
    values["faces"]["margin"] = MARGIN
    for name, (view, augmentation, normalization, _) in VARIANTS.items():
        values["studies"]["phase1"]["runs"][name] = {
            "model": "simple_cnn",
            "view": view,
            "augmentation": augmentation,
            "normalization": normalization,
        }
    return values


def config(name: str = "simple_cnn_low", **changes) -> configs.RunConfig:
    """Return an experiment of the project in the current folder, with the loader that it is to be run with."""
    run = configs.resolve(configs.load(), name)
    if name in VARIANTS:
        run = run.model_copy(update={"view": run.view.model_copy(update={"loader": VARIANTS[name][-1]})})
    return run.model_copy(update=changes)


def prepared(name: str, **changes) -> configs.RunConfig:
    """Return an experiment whose view has been written; its larger images, for augmentation, have not."""
    run = config(name, **changes)
    views.write(run.view, threads=1)
    return run


def run_first_experiment(root: Path, raw: Path) -> cross_validation.Outcome:
    """Make the project and run its first experiment by several processes."""
    make_project(root, raw)
    (root / "params.yaml").write_text(yaml.safe_dump(study_params(), sort_keys=False))
    before = Path.cwd()
    os.chdir(root)
    try:
        for command in (["ingest", "sample"], ["split", "sample"]):
            assert CliRunner().invoke(cli.main, command).exit_code == 0
        write_tiny_faces()
        views.write(config().view, threads=1)
        return cross_validation.run(config())
    finally:
        os.chdir(before)


def manifest() -> pd.DataFrame:
    return tables.read(paths().manifest("sample"), tables.MANIFEST)


def weights(name: str) -> dict[str, torch.Tensor]:
    """Return the weights of all folds."""
    return {
        f"{path.name}/{key}": value
        for path in paths().checkpoints(name).glob("*.safetensors")
        for key, value in load_file(path).items()
    }
