"""All measurements of training, the most important first, each told as soon as it is there."""

import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
import torch

from deepfake import models, runtime
from deepfake.bench.training import folds, growth, projection, rates
from deepfake.bench.training.material import Setting
from deepfake.bench.training.projection import Rates
from deepfake.config.params import Params
from deepfake.errors import InputError

MODELS = (models.SIMPLE_CNN, "resnet18", "convnext_tiny")
SIZES = (128, 224)
BATCHES = (32, 256)
_REPEATS = {"cpu": 2, "cuda": 1}


class Plan(NamedTuple):
    """What is measured, and how long it may take.

    Args:
        settings: what is trained, the most important first.
        budget: of the loops' rates.
        study: whose folds run side by side.
        scale: what grows.
        project: whether the full study is projected.
    """

    settings: tuple[Setting, ...]
    budget: rates.Budget
    study: folds.Study
    scale: growth.Scale
    project: bool


class Found(NamedTuple):
    """What was measured.

    Args:
        rates: a row a setting (`rates.measure`).
        folds: of the study's folds (`folds.gains`).
        trunk: of the frozen trunk (`growth.trunk_rates`).
        growth: of epochs (`growth.exponents`), of folds as well.
        hours: of the full study (`projection.hours`), or None.
        policies: the policies of augmentation whose time is in the hours.
        plan: what was to be measured.
    """

    rates: list[dict[str, Any]]
    folds: pd.DataFrame
    trunk: pd.DataFrame
    growth: pd.DataFrame
    hours: pd.DataFrame | None
    policies: tuple[str, ...]
    plan: Plan


def plan(names: Iterable[str], device: torch.device, *, quick: bool = False) -> Plan:
    """Return what is measured on a device.

    Args:
        names: the models.
        device: a CPU does not measure batches of 256 but of SimpleCNN: the others take minutes.
        quick: whether to measure at 64 px and batch 32 alone, in less time, and to project nothing.

    Raises:
        InputError: no model has one of these names, or it cannot take inputs of these sizes.
    """
    names = tuple(dict.fromkeys(names)) or MODELS
    budget, study, scale = rates.BUDGETS[device.type], folds.STUDIES[device.type], growth.SCALES[device.type]
    if quick:
        found = [Setting(name, 64, 32) for name in names]
        budget = budget._replace(files=64, seconds=0.2, most=512, repeats=1)
        study = study._replace(images=study.images // 2, epochs=2)
        scale = scale._replace(images=scale.images[:2], sizes=scale.sizes[:2], trunk=scale.trunk[:1])
    else:
        found = [Setting(name, size, batch) for batch in BATCHES for size in SIZES for name in names]
        if device.type == "cpu":
            kept = Setting(models.SIMPLE_CNN, SIZES[0], BATCHES[1])
            found = [setting for setting in found if setting.batch == BATCHES[0] or setting == kept]
    for setting in found:
        models.check_size(setting.model, setting.size)
    return Plan(tuple(found), budget, study, scale, not quick)


def run(settings: Params, wanted: Plan, tell: Callable[[str], None]) -> Found:
    """Measure.

    Args:
        settings: the preset `full` is projected; all else decides no speed.
        wanted: what is measured.
        tell: given a line for each row as soon as it is there.
    """
    runtime.one_thread()
    runtime.keep_memory()
    device = runtime.device()
    with tempfile.TemporaryDirectory() as folder:
        files = rates.Files(Path(folder) / "loops", wanted.budget.files)
        measured = rates.measure_all(settings, wanted.settings, files, device, wanted.budget, tell)
        together = []
        for row in folds.measure(settings, wanted.study, _made(folder, "folds"), _REPEATS[device.type]):
            together.append(row)
            tell("folds: {folds}, {workers} at a time: {seconds:.1f} s, begun after {startup:.1f} s".format(**row))
        trunk = []
        for row in growth.trunk_rates(settings, wanted.scale, _made(folder, "trunk"), device):
            trunk.append(row)
            tell(f"features of {growth.TRUNK}, {row['size']} px: {row['rate']:,.0f} images/s")
        grown = []
        for row in growth.epochs(settings, wanted.scale, files, device, _REPEATS[device.type]):
            grown.append(row)
            tell(f"an epoch at {row['value']} {row['what']}: {row['seconds']:.2f} s")
        alone = [row for row in together if row["workers"] == 1]
        grown += [{"what": "folds", "value": row["folds"], "seconds": row["seconds"]} for row in alone]
        hours, policies = _hours(settings, wanted, measured, files, device, tell)
    return Found(measured, folds.gains(together), pd.DataFrame(trunk), growth.exponents(grown), hours, policies, wanted)


def _made(folder: str, name: str) -> Path:
    """Return a new folder."""
    made = Path(folder) / name
    made.mkdir()
    return made


def _hours(
    settings: Params,
    wanted: Plan,
    measured: list[dict[str, Any]],
    files: rates.Files,
    device: torch.device,
    tell: Callable[[str], None],
) -> tuple[pd.DataFrame | None, tuple[str, ...]]:
    """Return the projection, with the rates that it lacks measured."""
    if not wanted.project:
        return None, ()
    try:
        counted = projection.work(settings)
    except InputError as error:
        tell(f"no projection: {error}")
        return None, ()
    usual = [row for row in measured if row["batch"] == BATCHES[0] and rates.best(row)]
    known = {(row["model"], row["size"]): rates.best(row) for row in usual}
    found = Rates({}, {}, {})
    for field, key, rate in projection.measure(settings, counted, known, files, device, wanted.budget):
        getattr(found, field)[key] = rate
        if field != "train" or key not in known:
            tell(f"{field} {key[0]}, {key[1]} px: {rate:,.0f} images/s")
    hours = projection.hours(counted, found, settings.presets["full"].top)
    return hours, tuple(sorted({policy for policy, _ in found.augment}))
