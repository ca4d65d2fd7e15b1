"""The runs of a synthetic study of class imbalance, and a project for them."""

import shutil
from pathlib import Path

import pytest
import yaml

from conftest import ROOT, changed
from deepfake import config
from deepfake.params import Params

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
"""A baseline that calls nearly all fake; the same logits shifted; one that ranks better too; the baseline with noise of
its own, and the same again with a domain head."""


def write_project(root: Path, **changes: object) -> Params:
    """Write a project whose balance table has these runs, without the runs; it becomes no one's current folder."""
    values = yaml.safe_load((ROOT / "params.yaml").read_text("utf-8"))
    table = {name: [] if name == BASELINE else [BASELINE] for name in RUNS}
    values = changed(
        values,
        {
            "presets.quick.folds": 4,
            "evaluation.bootstrap_replicates": 1000,
            "tables.balance": table,
            "balance.detail": [BASELINE, BETTER],
            **{path.replace("__", "."): value for path, value in changes.items()},
        },
    )
    (root / "data").mkdir(parents=True)
    (root / "params.yaml").write_text(yaml.safe_dump(values, sort_keys=False))
    shutil.copy(ROOT / "data/catalog.yaml", root / "data/catalog.yaml")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        return config.load()
