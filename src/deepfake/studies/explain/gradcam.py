"""Where a detector sees a fake: Grad-CAM, by captum.

Selvaraju et al. 2017, "Grad-CAM: visual explanations from deep networks via gradient-based localization". The last
feature map is weighted by the mean gradient of the logit, summed over channels, and what is below zero is cut off. So
heat is what speaks for a fake; an image in which nothing does has none.
"""

import torch
from captum.attr import LayerGradCam
from torch import nn

from deepfake.errors import InputError


def feature_layer(model: nn.Module, size: int) -> tuple[nn.Module, int]:
    """Return the layer that gives a model's last feature map, and the side of that map in cells.

    Args:
        model: SimpleCNN or a backbone of timm, in evaluation mode.
        size: side of the images in pixels.

    Raises:
        InputError: the model has no feature map, as a transformer has none.
    """
    given: list[tuple[nn.Module, object]] = []

    def remember(layer: nn.Module, _: object, output: object) -> None:
        given.append((layer, output))

    hooks = [layer.register_forward_hook(remember) for layer in model.modules() if layer is not model]
    device = next(model.parameters()).device
    try:
        with torch.no_grad():
            features = model.forward_features(  # pyright: ignore[reportCallIssue]
                torch.zeros(1, 3, size, size, device=device)
            )
    finally:
        for hook in hooks:
            hook.remove()
    # what layers do in place gives the same tensor; the outermost of them speaks last
    layers = [layer for layer, output in given if output is features]
    channels = features.shape[1] if features.ndim == 4 else None
    # a map whose channels come last is one of tokens
    if not layers or channels != getattr(model, "num_features", channels):
        raise InputError(
            f"{type(model).__name__} has no feature map to explain by Grad-CAM; choose a convolutional model"
        )
    return layers[-1], features.shape[2]


def heatmaps(model: nn.Module, layer: nn.Module, images: torch.Tensor) -> torch.Tensor:
    """Return where each image speaks for a fake.

    Args:
        model: in evaluation mode.
        layer: that of `feature_layer`.
        images: float [b, 3, s, s], normalised.

    Returns:
        Float [b, s, s], bilinearly enlarged, 1 where it is hottest; 0 everywhere when nothing speaks for a fake.
    """
    heat = LayerGradCam(model, layer).attribute(images, target=0, relu_attributions=True)
    assert isinstance(heat, torch.Tensor)
    size = images.shape[-2:]
    heat = nn.functional.interpolate(heat.detach(), size=size, mode="bilinear", align_corners=False).squeeze(1)
    highest = heat.amax(dim=(1, 2), keepdim=True)
    return heat / torch.where(highest > 0, highest, 1)
