"""The runs of a synthetic study of class imbalance, and a project for them."""

import shutil
from pathlib import Path

import yaml

from conftest import ROOT
from deepfake import config
from deepfake.config.params import Params

BASELINE, SHIFTED, BETTER, NOISE, DOMAINS = (
    "balance_bce",
    "balance_focal",
    "balance_focal_sampler",
    "balance_by_f1",
    "balance_domains",
)
RUNS = {
    BASELINE: {"quality": 0.8, "bias": 2.6},
    SHIFTED: {"quality": 0.8, "bias": -0.8},
    BETTER: {"quality": 4.0, "bias": -2.0},
    NOISE: {"quality": 0.8, "bias": 2.6, "own": 1.0},
    DOMAINS: {"quality": 0.8, "bias": 2.6},
}
"""A baseline that predicts nearly all fake; the same logits shifted; one that ranks better too; the baseline with
noise of its own, and the same again with a domain head."""


def write_project(root: Path) -> Params:
    """Write a project whose study of imbalance has these runs, without the runs; it becomes no one's current folder."""
    values = yaml.safe_load((ROOT / "params.yaml").read_text("utf-8"))
    values["presets"]["quick"]["folds"] = 4
    study = values["studies"]["imbalance"]
    # all weights are trained: only then can there be a domain head and a choice of the best epoch
    study["base"] |= {"model": "simple_cnn", "repeats": 1}
    runs = {name: {key: value for key, value in study["runs"][name].items() if key != "presets"} for name in RUNS}
    study |= {"runs": runs, "detail": [BASELINE, BETTER]}
    (root / "data").mkdir(parents=True)
    (root / "params.yaml").write_text(yaml.safe_dump(values, sort_keys=False))
    shutil.copy(ROOT / "data/catalog.yaml", root / "data/catalog.yaml")
    return config.load(root / "params.yaml")
