"""The detectors: images in, one logit out (greater means more likely fake)."""

from typing import Any

import torch
from torch import nn

from deepfake.errors import InputError, unknown

SIMPLE_CNN = "simple_cnn"


class SimpleCNN(nn.Module):
    """A plain convolutional network of about 400,000 parameters, the plan's simplest baseline.

    Five 3x3 convolutions with batch norm and ReLU, halving the image after each but the last, a global
    average and a linear layer. The stem is thin (16 channels), which is what makes it fast on a CPU.
    """

    def __init__(self, widths: tuple[int, ...] = (16, 32, 64, 128, 256)):
        """Build the network with these numbers of channels."""
        super().__init__()
        layers: list[nn.Module] = []
        for before, after in zip((3, *widths), widths, strict=False):
            if before != 3:
                layers.append(nn.MaxPool2d(2))
            layers += [
                nn.Conv2d(before, after, kernel_size=3, padding=1, bias=False),
                nn.BatchNorm2d(after),
                nn.ReLU(inplace=True),
            ]
        self.features = nn.Sequential(*layers)
        self.head = nn.Linear(widths[-1], 1)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Map float [b, 3, h, w] (sides of at least 16 pixels) to logits [b, 1]."""
        return self.head(self.features(images).mean(dim=(2, 3)))


def check_name(name: str) -> None:
    """Check that a model of this name exists.

    Raises:
        InputError: with the nearest names.
    """
    if name == SIMPLE_CNN:
        return
    import timm  # takes two seconds, which SimpleCNN does not need

    if not timm.is_model(name):
        raise InputError(f"model: {unknown('model', name, [SIMPLE_CNN, *timm.list_models()])}")
    try:
        timm.get_pretrained_cfg(name)
    except RuntimeError:
        architecture, tag = timm.models.split_model_name_tag(name)
        raise InputError(f"model: {name}: {architecture} has no weights named {tag!r}; write {architecture}") from None


def create(name: str, size: int) -> nn.Module:
    """Build a detector with random initial weights, in training mode.

    Args:
        name: `simple_cnn`, or any backbone of timm, which gets a head of one logit.
        size: side of the input in pixels; transformers with position embeddings are built for it.

    Raises:
        InputError: no model has this name, or the model cannot take images of this size.
    """
    check_name(name)
    if name == SIMPLE_CNN:
        return SimpleCNN()
    import timm

    cfg = timm.get_pretrained_cfg(name, allow_unregistered=True)
    fixed: dict[str, Any] = {"img_size": size} if cfg is not None and cfg.fixed_input_size else {}
    try:
        model = timm.create_model(name, pretrained=False, num_classes=1, **fixed)
        with torch.inference_mode():
            model.eval()(torch.zeros(1, 3, size, size))
    except (RuntimeError, ValueError, AssertionError, TypeError) as error:
        reason = " ".join(str(error).split())[:120] or type(error).__name__
        raise InputError(f"model {name} cannot take images of {size} px ({reason}); use a larger resolution") from None
    return model.train()


def count_parameters(model: nn.Module) -> int:
    """Return the number of trainable parameters."""
    return sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
