"""How an epoch of our engine grows with images and with their size, and how fast frozen trunks give features."""

import shutil
import statistics
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import timm
import torch
from safetensors.torch import save_file

from deepfake import execution, models, project
from deepfake.bench import memory
from deepfake.bench.training import loops
from deepfake.bench.training.material import Setting
from deepfake.bench.training.rates import Files
from deepfake.config.params import Params
from deepfake.execution.processes import LocalProcesses
from deepfake.project import Project
from deepfake.runs import features

TRUNK = "tf_efficientnet_lite0"
"""The trunk of preset `quick`; with random weights here, which are as fast."""
_BLOCK = 256


class Scale(NamedTuple):
    """What grows.

    Args:
        setting: what is trained, with the size at which images grow.
        images: the numbers of images of an epoch.
        sizes: the sides, at the first number of images.
        trunk: the sides at which the trunk's features are computed.
        rows: images whose features are computed.
    """

    setting: Setting
    images: tuple[int, ...]
    sizes: tuple[int, ...]
    trunk: tuple[int, ...]
    rows: int


SCALES = {
    "cpu": Scale(Setting("simple_cnn", 64, 32), (256, 512, 1024), (64, 96, 128), (64, 96, 128), 256),
    "cuda": Scale(Setting("resnet18", 128, 32), (1024, 2048, 4096), (64, 128, 224), (96, 128, 224), 2048),
}


def epochs(
    settings: Params, scale: Scale, files: Files, device: torch.device, repeats: int
) -> Iterator[dict[str, object]]:
    """Time epochs, the repeats of all in turns.

    Yields:
        `what` grows, its `value`, and the `seconds` of an epoch.
    """
    model, size, batch = scale.setting
    cases = [("images", size, count) for count in scale.images]
    cases += [("px", side, scale.images[0]) for side in scale.sizes]
    turns = [
        loops.ours(settings, Setting(model, side, batch), files.material(side, count), device, "auto")
        for _, side, count in cases
    ]
    seconds = [[turn(count // batch) for turn, (_, _, count) in zip(turns, cases, strict=True)] for _ in range(repeats)]
    for (what, side, count), times in zip(cases, zip(*seconds, strict=True), strict=True):
        value = side if what == "px" else count
        yield {"what": what, "value": value, "seconds": statistics.median(times)}


def exponents(rows: list[dict[str, object]]) -> pd.DataFrame:
    """Return the rows with `times` (over the smallest) and `exponent` (slope of log seconds over log value)."""
    frame = pd.DataFrame(rows)
    for _, part in frame.groupby("what"):
        slope = np.polyfit(np.log(part["value"].astype(float)), np.log(part["seconds"].astype(float)), 1)[0]
        frame.loc[part.index, "times"] = part["seconds"] / part["seconds"].iloc[0]
        frame.loc[part.index, "exponent"] = slope
    return frame


def trunk_rates(settings: Params, scale: Scale, folder: Path, device: torch.device) -> Iterator[dict[str, float]]:
    """Time the features of a frozen trunk as a study computes them, in one process.

    Yields:
        `size`, `rate` (images a second) and `mb` (peak of memory).
    """
    shutil.copy(project.paths().params, folder)
    weights = folder / "trunk.safetensors"
    save_file(timm.create_model(TRUNK).state_dict(), weights)
    with Project(folder).entered(), execution.using(LocalProcesses(1)):
        for size in scale.trunk:
            images = folder / f"images{size}.npy"
            rng = np.random.default_rng(size)
            np.save(images, rng.integers(0, 256, (_BLOCK + scale.rows, size, size, 3), dtype=np.uint8))
            view = loops.run_config(settings, Setting(TRUNK, size, 32), 1).view
            wanted = features.Wanted(TRUNK, view, models.PENULTIMATE, weights, images, settings.imagenet, np.arange(64))
            with memory.peak(device) as peak:
                features.ensure([wanted])  # the trunk is built, libraries choose their kernels
                start = time.perf_counter()
                features.ensure([wanted._replace(rows=np.arange(_BLOCK, _BLOCK + scale.rows))])
                seconds = time.perf_counter() - start
            yield {"size": size, "rate": scale.rows / seconds, "mb": peak.megabytes}
