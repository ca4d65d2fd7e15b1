"""The plan's simplest baseline, a plain convolutional network."""

import torch
from torch import nn


class SimpleCNN(nn.Module):
    """A plain convolutional network of about 400,000 parameters, the plan's simplest baseline.

    Five 3x3 convolutions with batch norm and ReLU, halving the image after each but the last, a global
    average and a linear layer. The stem is thin (16 channels), which is what makes it fast on a CPU.
    """

    def __init__(self, channels: int = 3, widths: tuple[int, ...] = (16, 32, 64, 128, 256)):
        """Build the network for images of so many channels, with these numbers of channels in its layers."""
        super().__init__()
        layers: list[nn.Module] = []
        for before, after in zip((channels, *widths), widths, strict=False):
            if layers:
                layers.append(nn.MaxPool2d(2))
            layers += [
                nn.Conv2d(before, after, kernel_size=3, padding=1, bias=False),
                nn.BatchNorm2d(after),
                nn.ReLU(inplace=True),
            ]
        self.features = nn.Sequential(*layers)
        self.head = nn.Linear(widths[-1], 1)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Map float [b, channels, h, w] (sides of at least 16 pixels) to logits [b, 1]."""
        return self.forward_head(self.forward_features(images))

    # from here on: what timm's backbones have, by timm's names

    def forward_features(self, images: torch.Tensor) -> torch.Tensor:
        """Map float [b, channels, h, w] to feature maps [b, c, h', w']."""
        return self.features(images)

    def forward_head(self, features: torch.Tensor, pre_logits: bool = False) -> torch.Tensor:
        """Map feature maps to logits [b, 1], or to what these are computed from, [b, c]."""
        pooled = features.mean(dim=(2, 3))
        return pooled if pre_logits else self.head(pooled)

    def get_classifier(self) -> nn.Module:
        """Return the layer that gives the logit."""
        return self.head
