"""Where a detector sees a fake: Grad-CAM.

Selvaraju et al. 2017, "Grad-CAM: visual explanations from deep networks via gradient-based localization". The last
feature map is weighted by the mean gradient of the logit, summed over channels, and what is below zero is cut off. So
heat is what speaks for a fake; an image in which nothing does has none.

A transformer's map is its tokens, put back to where their patches lie. Where the head takes the mean of all tokens
(Swin, EVA, BEiT), that is the output of the last block, as of the last stage in a convolutional network. Where it reads
a class token only (ViT, DeiT, DINO), the last block's other tokens decide nothing; then it is what the last attention
reads, the output of `blocks[-1].norm1`, as the authors of pytorch-grad-cam advise
(https://jacobgil.github.io/pytorch-gradcam-book/vision_transformers.html). They advise it for Swin, too; but of tokens
whose mean is taken, attention is one way among two.
"""

import torch
from torch import nn

from deepfake.errors import InputError
from deepfake.models import LinearProbe, grids


def feature_layer(model: nn.Module, size: int) -> tuple[nn.Module | None, int]:
    """Return what a model is explained at.

    Args:
        model: SimpleCNN, a backbone of timm or a head on one, in evaluation mode.
        size: side of the images in pixels.

    Returns:
        The layer whose input is explained, or None for the model's last feature map; and the side of the map in cells.

    Raises:
        InputError: the model has no map of positions that its logit depends on.
    """
    device = next(model.parameters()).device
    images = torch.randn(2, 3, size, size, generator=torch.Generator().manual_seed(0)).to(device)
    norm, attention = _last_layers(model, images)
    for layer in (norm, attention) if attention is not None else (norm,):
        found, gradients = _gradients(model, layer, images)
        maps = _maps(model, found, images)
        # a head that is all zero explains nothing anywhere
        reads_positions = not gradients.any() or _maps(model, gradients, images).any()
        if reads_positions and maps.ndim == 4 and (found.ndim == 4 or maps.shape[3] > 1):
            return layer, maps.shape[2]
    raise _unexplainable(model)


def features(model: nn.Module, images: torch.Tensor) -> torch.Tensor:
    """Return a model's last feature map, which heads on one frozen trunk have in common."""
    with torch.no_grad():
        return model.forward_features(images)  # pyright: ignore[reportCallIssue]


def heat(
    model: nn.Module, layer: nn.Module | None, images: torch.Tensor, known: torch.Tensor | None = None
) -> torch.Tensor:
    """Return where each image speaks for a fake, cell by cell (`evaluation.attention.enlarged` enlarges it).

    Args:
        model: in evaluation mode.
        layer: that of `feature_layer`.
        images: float [b, 3, h, w], normalised.
        known: the images' `features`, where the layer is None and somebody has them.

    Returns:
        Float [b, h', w'] at the map's own resolution; 0 everywhere when nothing speaks for a fake.
    """
    maps, gradients = (_maps(model, each, images) for each in _gradients(model, layer, images, known))
    return (gradients.mean(dim=(2, 3), keepdim=True) * maps).sum(dim=1).relu()


def _last_layers(model: nn.Module, images: torch.Tensor) -> tuple[nn.Module | None, nn.Module | None]:
    """Return the norm that gives a transformer's last tokens, and the attention that runs last, if there are such.

    In timm these are called `norm` and `attn`.
    """
    trunk = _trunk(model)
    called: list[tuple[nn.Module, object]] = []
    norm = getattr(trunk, "norm", None)
    layers = [module for name, module in trunk.named_modules() if module is norm or name.rpartition(".")[2] == "attn"]
    hooks = [layer.register_forward_hook(lambda layer, _, output: called.append((layer, output))) for layer in layers]
    try:
        found = features(model, images)
    finally:
        for hook in hooks:
            hook.remove()
    if not isinstance(found, torch.Tensor):  # of several branches
        raise _unexplainable(model)
    tokens = found.ndim == 3 or getattr(trunk, "output_fmt", "") == "NHWC"
    last = called[-1][0] if called and tokens and called[-1][1] is found else None
    attentions = [layer for layer, _ in called if layer is not norm]
    return last if last is norm else None, attentions[-1] if attentions else None


def _gradients(
    model: nn.Module, layer: nn.Module | None, images: torch.Tensor, known: torch.Tensor | None = None
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return what is explained and the gradient of each image's logit there, both as the model has them."""
    kept: list[torch.Tensor] = []

    def keep(inputs: torch.Tensor) -> torch.Tensor:
        kept.append(inputs.detach().requires_grad_())
        return kept[-1].clone()  # which what follows may change in place

    if layer is None:
        inputs = features(model, images) if known is None else known
        with torch.enable_grad():
            logits = model.forward_head(keep(inputs))  # pyright: ignore[reportCallIssue]
    else:
        hook = layer.register_forward_pre_hook(lambda _, inputs: (keep(inputs[0]), *inputs[1:]))
        try:
            with torch.enable_grad():
                logits = model(images)
        finally:
            hook.remove()
    (gradients,) = torch.autograd.grad(logits.sum(), kept[-1])
    return kept[-1].detach(), gradients


def _trunk(model: nn.Module) -> nn.Module:
    """Return what says how features are laid out: the trunk below a head on its final ones, or the model."""
    return model.trunk if isinstance(model, LinearProbe) and model.final else model


def _maps(model: nn.Module, found: torch.Tensor, images: torch.Tensor) -> torch.Tensor:
    """Return features or gradients as maps [b, c, h', w']."""
    return grids.as_maps(found, _trunk(model), (images.shape[2], images.shape[3]))


def _unexplainable(model: nn.Module) -> InputError:
    """Return the error of a model without a map of positions that its logit depends on."""
    name = type(model.trunk if isinstance(model, LinearProbe) else model).__name__
    return InputError(f"{name} has no feature map that Grad-CAM could explain; choose another backbone")
