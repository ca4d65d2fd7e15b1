"""Detectors by name: those of `OWN`, or any backbone of timm with a head of one logit, its own or a linear one."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn

from deepfake.config.runs import LCNN, SIMPLE_CNN
from deepfake.errors import InputError, unknown
from deepfake.models import sizes
from deepfake.models.frozen import LinearProbe
from deepfake.models.light_cnn import LightCNN
from deepfake.models.simple_cnn import SimpleCNN
from deepfake.models.sizes import Shape

OWN: dict[str, Callable[[tuple[int, int, int]], nn.Module]] = {
    SIMPLE_CNN: lambda shape: SimpleCNN(shape[0]),
    LCNN: LightCNN,
}
"""The networks that are no backbones of timm, by name; each is built for inputs of a shape."""


def check_name(name: str) -> None:
    """Check that a model of this name exists.

    Raises:
        InputError: with the nearest names.
    """
    if name in OWN:
        return
    import timm  # takes two seconds, which these do not need

    if not timm.is_model(name):
        raise InputError(f"model: {unknown('model', name, [*OWN, *timm.list_models()])}")
    try:
        timm.get_pretrained_cfg(name)
    except RuntimeError:
        architecture, tag = timm.models.split_model_name_tag(name)
        raise InputError(f"model: {name}: {architecture} has no weights named {tag!r}; write {architecture}") from None


def check_size(name: str, shape: Shape) -> None:
    """Check that a model exists and takes inputs of this shape.

    Args:
        name: a key of `OWN`, or any backbone of timm.
        shape: channels, height and width of an input, or the side of a square of three channels in pixels.

    Raises:
        InputError: with the nearest names or sizes.
    """
    check_name(name)
    if name in OWN:
        with torch.device("meta"):
            OWN[name](sizes.sides(shape))
    else:
        sizes.check(name, shape)


def create(name: str, shape: Shape, weights: Path | None = None, stage: str | None = None) -> nn.Module:
    """Build a detector in training mode.

    Args:
        name: a key of `OWN`, or any backbone of timm, which gets a head of one logit.
        shape: channels, height and width of an input, or the side of a square of three channels in pixels;
            transformers with position embeddings are built for it.
        weights: safetensors of timm's classifier of this name: what the backbone starts from; of one channel its stem
            has the sum over those of colours. Everything is random without it; the head always is, and the same one
            for the same seed.
        stage: of the backbone, whose features a linear head sees instead of timm's own (`frozen.LinearProbe`).

    Raises:
        InputError: no model has this name, it cannot take inputs of this shape, it lacks the stage, or the
            weights are not its own.
    """
    check_name(name)
    if name in OWN:
        return OWN[name](sizes.sides(shape))
    model = sizes.build(name, shape)
    if weights is not None:
        model.load_state_dict(_backbone(model, _classifier(name, weights, sizes.options(name, shape))))
    return (model if stage is None else LinearProbe(model, stage, shape)).train()


_MISFIT = re.compile(r'(Missing|Unexpected) key\(s\) in state_dict: "([^"]+)"|size (mismatch) for ([^:]+)')
"""The first tensor that torch names when weights do not fit a model."""


def misfit(error: RuntimeError) -> str:
    """Return what torch found when weights did not fit a model: the first tensor that is missing, unexpected, ..."""
    found = _MISFIT.search(str(error))
    return " ".join(part for part in found.groups() if part) if found else " ".join(str(error).split())


def _classifier(name: str, weights: Path, fixed: dict[str, Any]) -> nn.Module:
    """Return timm's own classifier of this name with the weights of a file."""
    import timm

    try:
        # timm is given tensors, not the file: it would unpickle one that is no safetensors
        return timm.create_model(
            name, pretrained=True, pretrained_cfg_overlay={"state_dict": load_file(weights)}, **fixed
        )
    except SafetensorError as error:
        raise InputError(f"{weights}: not a safetensors file ({error}); put the weights of {name} there") from None
    except RuntimeError as error:
        raise InputError(f"{weights}: not weights of {name} ({misfit(error)}); put its own there") from None


def _backbone(model: nn.Module, classifier: nn.Module) -> dict[str, torch.Tensor]:
    """Return a detector's state with that of a classifier wherever the number of classes does not decide the shape."""
    state = model.state_dict()
    given = classifier.state_dict()
    return {
        key: given[key] if key in given and given[key].shape == value.shape else value for key, value in state.items()
    }


def count_parameters(model: nn.Module) -> int:
    """Return the number of trainable parameters."""
    return sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
