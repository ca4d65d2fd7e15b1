"""The shapes of inputs that a backbone of timm can take, and the nearest ones to a shape that it cannot."""

import itertools
from collections.abc import Iterator
from typing import Any

import torch
from torch import nn

from deepfake.errors import InputError

Shape = int | tuple[int, int, int]
"""Of one input: channels, height and width, or the side of a square of three channels."""
_STEP = 32
"""What the sides of a hierarchical model's images are a multiple of: it halves them five times."""
_TRIED = 3
"""Sizes in either direction that are tried before none is named."""


def sides(shape: Shape) -> tuple[int, int, int]:
    """Return channels, height and width."""
    return (3, shape, shape) if isinstance(shape, int) else shape


def options(name: str, shape: Shape) -> dict[str, Any]:
    """Return what timm has to be told to build a backbone for inputs of a shape: position embeddings need the sides."""
    import timm

    channels, height, width = sides(shape)
    cfg = timm.get_pretrained_cfg(name, allow_unregistered=True)
    told: dict[str, Any] = {} if channels == 3 else {"in_chans": channels}
    if cfg is not None and cfg.fixed_input_size:
        told["img_size"] = height if height == width else (height, width)
    return told


def build(name: str, shape: Shape) -> nn.Module:
    """Build a backbone with a head of one logit, in evaluation mode, and run it once.

    Args:
        name: of a model that timm knows.
        shape: of an input.

    Raises:
        InputError: it cannot take inputs of this shape; the nearest sides that it can take are named.
    """
    try:
        return _tried(name, sides(shape))
    except _Misfit as misfit:
        raise _refusal(name, sides(shape), misfit) from None


def check(name: str, shape: Shape) -> None:
    """Check that a backbone takes inputs of a shape, without its weights in memory.

    Raises:
        InputError: as in `build`.
    """
    try:
        with torch.device("meta"):
            _tried(name, sides(shape))
    except _Misfit as misfit:
        if misfit.patch is None:  # what fails without values may work with them
            build(name, shape)
        else:
            raise _refusal(name, sides(shape), misfit) from None


class _Misfit(Exception):
    """Why a backbone does not take inputs of a shape, and the side of its patches if that is the reason."""

    def __init__(self, reason: str, patch: int | None = None):
        super().__init__(reason)
        self.patch = patch


def _tried(name: str, shape: tuple[int, int, int]) -> nn.Module:
    """Return a backbone that has run on an input of a shape.

    Raises:
        _Misfit: it cannot.
    """
    import timm

    try:
        model = timm.create_model(name, pretrained=False, num_classes=1, **options(name, shape)).eval()
        for patches in _patches(model):
            for side, patch in zip(shape[1:], patches, strict=True):
                if side % patch:  # timm drops the pixels behind the last whole patch without a word
                    raise _Misfit(f"its patches of {patch} px do not divide them", patch)
        with torch.inference_mode():
            model(torch.zeros(1, *shape))
    except (RuntimeError, ValueError, AssertionError, TypeError, IndexError) as error:
        raise _Misfit(" ".join(str(error).split())[:120] or type(error).__name__) from None
    return model


def _patches(model: nn.Module) -> Iterator[tuple[int, int]]:
    """Yield height and width of the patches that a model cuts images into, unless it pads the last one."""
    from timm.layers.patch_embed import PatchEmbed

    for module in model.modules():
        if isinstance(module, PatchEmbed) and not module.dynamic_img_pad:
            height, width = module.patch_size
            yield int(height), int(width)


def _refusal(name: str, shape: tuple[int, int, int], misfit: _Misfit) -> InputError:
    """Return the error of a shape that does not fit, with the nearest sides, both shorter or both longer, that do."""
    import timm

    step = misfit.patch or _STEP
    first = all(side % step == 0 for side in shape[1:])  # rounding changes nothing then
    found: list[tuple[int, ...]] = []
    for down in (True, False):
        rounded = [side // step if down else -(-side // step) for side in shape[1:]]
        tries = [
            tuple(step * (side - times if down else side + times) for side in rounded)
            for times in range(first, first + _TRIED)
        ]
        fitting = (each for each in tries if min(each) > 0 and _fits(name, (shape[0], each[0], each[1]), misfit))
        found += itertools.islice(fitting, 1)
    cfg = timm.get_pretrained_cfg(name, allow_unregistered=True)
    if not found and cfg:  # the size of its weights, at least
        found = [tuple(cfg.input_size[1:])]
    remedy = f"use {' or '.join(map(told, found))} px" if found else "use another model"
    kind = "images" if shape[0] == 3 else "maps"
    return InputError(f"model {name} cannot take {kind} of {told(shape[1:])} px ({misfit}); {remedy}")


def told(found: tuple[int, ...]) -> str:
    """Return height and width for people to read, those of a square as one number."""
    return str(found[0]) if found[0] == found[1] else f"{found[0]}x{found[1]}"


def _fits(name: str, shape: tuple[int, int, int], misfit: _Misfit) -> bool:
    """Tell whether a shape fits; where patches are the reason, this costs no memory."""
    try:
        with torch.device("meta" if misfit.patch else "cpu"):
            return bool(_tried(name, shape))
    except _Misfit:
        return False
