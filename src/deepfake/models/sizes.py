"""The sizes of images that a backbone of timm can take, and the nearest ones to a size that it cannot."""

from collections.abc import Iterator
from typing import Any

import torch
from torch import nn

from deepfake.errors import InputError

_STEP = 32
"""What the sides of a hierarchical model's images are a multiple of: it halves them five times."""
_TRIED = 3
"""Sizes in either direction that are tried before none is named."""


def options(name: str, size: int) -> dict[str, Any]:
    """Return what timm has to be told to build a backbone for images of a size: position embeddings need it."""
    import timm

    cfg = timm.get_pretrained_cfg(name, allow_unregistered=True)
    return {"img_size": size} if cfg is not None and cfg.fixed_input_size else {}


def build(name: str, size: int) -> nn.Module:
    """Build a backbone with a head of one logit, in evaluation mode, and run it once.

    Args:
        name: of a model that timm knows.
        size: side of the images in pixels.

    Raises:
        InputError: it cannot take images of this size; the nearest sizes that it can take are named.
    """
    try:
        return _tried(name, size)
    except _Misfit as misfit:
        raise _refusal(name, size, misfit) from None


def check(name: str, size: int) -> None:
    """Check that a backbone takes images of a size, without its weights in memory.

    Raises:
        InputError: as in `build`.
    """
    try:
        with torch.device("meta"):
            _tried(name, size)
    except _Misfit as misfit:
        if misfit.patch is None:  # what fails without values may work with them
            build(name, size)
        else:
            raise _refusal(name, size, misfit) from None


class _Misfit(Exception):
    """Why a backbone does not take images of a size, and the side of its patches if that is the reason."""

    def __init__(self, reason: str, patch: int | None = None):
        super().__init__(reason)
        self.patch = patch


def _tried(name: str, size: int) -> nn.Module:
    """Return a backbone that has run on an image of a size.

    Raises:
        _Misfit: it cannot.
    """
    import timm

    try:
        model = timm.create_model(name, pretrained=False, num_classes=1, **options(name, size)).eval()
        for patch in _patches(model):
            if size % patch:  # timm drops the pixels behind the last whole patch without a word
                raise _Misfit(f"its patches of {patch} px do not divide them", patch)
        with torch.inference_mode():
            model(torch.zeros(1, 3, size, size))
    except (RuntimeError, ValueError, AssertionError, TypeError, IndexError) as error:
        raise _Misfit(" ".join(str(error).split())[:120] or type(error).__name__) from None
    return model


def _patches(model: nn.Module) -> Iterator[int]:
    """Yield the sides of the patches that a model cuts images into, unless it pads the last one."""
    from timm.layers.patch_embed import PatchEmbed

    for module in model.modules():
        if isinstance(module, PatchEmbed) and not module.dynamic_img_pad:
            yield from (int(side) for side in module.patch_size)


def _refusal(name: str, size: int, misfit: _Misfit) -> InputError:
    """Return the error of a size that does not fit."""
    import timm

    step = misfit.patch or _STEP
    below, above = size // step * step, (size // step + 1) * step
    cfg = timm.get_pretrained_cfg(name, allow_unregistered=True)
    tries = (
        range(below if below < size else below - step, 0, -step)[:_TRIED],
        range(above, above + _TRIED * step, step),
    )
    found = [next((each for each in tried if _fits(name, each, misfit)), None) for tried in tries]
    # the size of its weights, at least
    sides = [each for each in found if each] or ([cfg.input_size[-1]] if cfg else [])
    remedy = f"use {' or '.join(map(str, sides))} px" if sides else "use another model"
    return InputError(f"model {name} cannot take images of {size} px ({misfit}); {remedy}")


def _fits(name: str, size: int, misfit: _Misfit) -> bool:
    """Tell whether a size fits; where patches are the reason, this costs no memory."""
    try:
        with torch.device("meta" if misfit.patch else "cpu"):
            return bool(_tried(name, size))
    except _Misfit:
        return False
