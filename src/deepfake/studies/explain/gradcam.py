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
        features, gradients = _gradients(model, layer, images)
        maps = _maps(model, features, images)
        # a head that is all zero explains nothing anywhere
        reads_positions = not gradients.any() or _maps(model, gradients, images).any()
        if reads_positions and maps.ndim == 4 and (features.ndim == 4 or maps.shape[3] > 1):
            return layer, maps.shape[2]
    raise _unexplainable(model)


def heatmaps(model: nn.Module, layer: nn.Module | None, images: torch.Tensor) -> torch.Tensor:
    """Return where each image speaks for a fake.

    Args:
        model: in evaluation mode.
        layer: that of `feature_layer`.
        images: float [b, 3, h, w], normalised.

    Returns:
        Float [b, h, w], bilinearly enlarged, 1 where it is hottest; 0 everywhere when nothing speaks for a fake.
    """
    maps, gradients = (_maps(model, each, images) for each in _gradients(model, layer, images))
    heat = (gradients.mean(dim=(2, 3), keepdim=True) * maps).sum(dim=1, keepdim=True).relu()
    heat = nn.functional.interpolate(heat, size=images.shape[-2:], mode="bilinear", align_corners=False).squeeze(1)
    highest = heat.amax(dim=(1, 2), keepdim=True)
    return heat / torch.where(highest > 0, highest, 1)


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
        with torch.no_grad():
            features = model.forward_features(images)  # pyright: ignore[reportCallIssue]
    finally:
        for hook in hooks:
            hook.remove()
    if not isinstance(features, torch.Tensor):  # of several branches
        raise _unexplainable(model)
    tokens = features.ndim == 3 or getattr(trunk, "output_fmt", "") == "NHWC"
    last = called[-1][0] if called and tokens and called[-1][1] is features else None
    attentions = [layer for layer, _ in called if layer is not norm]
    return last if last is norm else None, attentions[-1] if attentions else None


def _gradients(model: nn.Module, layer: nn.Module | None, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return what is explained and the gradient of each image's logit there, both as the model has them."""
    kept: list[torch.Tensor] = []

    def keep(features: torch.Tensor) -> torch.Tensor:
        kept.append(features.detach().requires_grad_())
        return kept[-1].clone()  # which what follows may change in place

    if layer is None:
        with torch.no_grad():
            features = model.forward_features(images)  # pyright: ignore[reportCallIssue]
        with torch.enable_grad():
            logits = model.forward_head(keep(features))  # pyright: ignore[reportCallIssue]
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


def _maps(model: nn.Module, features: torch.Tensor, images: torch.Tensor) -> torch.Tensor:
    """Return features or gradients as maps [b, c, h', w']."""
    return grids.as_maps(features, _trunk(model), (images.shape[2], images.shape[3]))


def _unexplainable(model: nn.Module) -> InputError:
    """Return the error of a model without a map of positions that its logit depends on."""
    name = type(model.trunk if isinstance(model, LinearProbe) else model).__name__
    return InputError(f"{name} has no feature map that Grad-CAM could explain; choose another backbone")
