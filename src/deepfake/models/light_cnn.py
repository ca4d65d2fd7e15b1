"""The light CNN of the ASVspoof baselines, for maps of sound: time runs along their last axis."""

import torch
from torch import nn

from deepfake.errors import InputError

_LAYERS = (
    # kernel, channels, max-pooling, batch norm
    (5, 32, True, False),
    (1, 32, False, True),
    (3, 48, True, True),
    (1, 48, False, True),
    (3, 64, True, False),
    (1, 64, False, True),
    (3, 32, False, True),
    (1, 32, False, True),
    (3, 32, True, False),
)
"""Each convolution of Lavrentyeva et al. (2019, table 2): its channels behind the max-feature-map, and what follows."""
_HALVINGS = sum(pooled for _, _, pooled, _ in _LAYERS)
_HIDDEN = 80
"""Channels of the fully connected layer behind its max-feature-map."""


class MaxFeatureMap(nn.Module):
    """The greater of each two channels, one of the first half and one of the second (Wu et al. 2018, MFM 2/1)."""

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Map [b, 2c, ...] to [b, c, ...]."""
        first, second = features.chunk(2, dim=1)
        return torch.maximum(first, second)


class LightCNN(nn.Module):
    """LCNN as of Lavrentyeva et al. 2019, "STC antispoofing systems for the ASVspoof2019 challenge".

    It differs in three ways. The fully connected layer sees the mean over time of the last maps (their bins are kept
    apart), so that windows of any length fit and it has 15,000 weights rather than 10 million. One logit takes the
    place of the angular-margin softmax over two classes. By default its layers have a quarter of the paper's channels:
    it trains six times faster on a CPU, and dropout is weaker (0.5 rather than 0.75).
    """

    def __init__(self, shape: tuple[int, int, int], width: float = 0.25, dropout: float = 0.5):
        """Build the network.

        Args:
            shape: channels, bins and frames of an input; any other number of frames fits, too.
            width: of its layers over those of the paper.
            dropout: share of what the fully connected layer gives that is dropped in training.

        Raises:
            InputError: the maps are so small that nothing would be left of them.
        """
        super().__init__()
        channels, bins, frames = shape
        least = 2**_HALVINGS
        if min(bins, frames) < least:
            raise InputError(f"model lcnn cannot take maps of {bins}x{frames}; use {least} bins and frames or more")
        layers: list[nn.Module] = []
        self.feature_info: list[dict[str, object]] = []
        for kernel, full, pooled, normed in _LAYERS:
            after = max(1, round(full * width))
            layers.append(nn.Conv2d(channels, 2 * after, kernel, padding=kernel // 2))
            if pooled:
                layers.append(nn.MaxPool2d(2))  # the same before the max-feature-map as behind it, and faster
            layers.append(MaxFeatureMap())
            if pooled:
                self.feature_info.append({"module": f"features.{len(layers) - 1}", "num_chs": after})
            if normed:
                layers.append(nn.BatchNorm2d(after))
            channels = after
        hidden = max(1, round(_HIDDEN * width))
        self.features = nn.Sequential(*layers)
        self.hidden = nn.Sequential(
            nn.Linear(channels * (bins // least), 2 * hidden),
            MaxFeatureMap(),
            nn.BatchNorm1d(hidden),
            nn.Dropout(dropout),
        )
        self.head = nn.Linear(hidden, 1)

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """Map float [b, channels, bins, frames] to logits [b, 1]."""
        return self.forward_head(self.forward_features(maps))

    # from here on: what timm's backbones have, by timm's names

    def forward_features(self, maps: torch.Tensor) -> torch.Tensor:
        """Map float [b, channels, bins, frames] to feature maps [b, c, bins', frames']."""
        return self.features(maps)

    def forward_head(self, features: torch.Tensor, pre_logits: bool = False) -> torch.Tensor:
        """Map feature maps to logits [b, 1], or to what these are computed from, [b, d]."""
        hidden = self.hidden(features.mean(dim=3).flatten(1))
        return hidden if pre_logits else self.head(hidden)

    def get_classifier(self) -> nn.Module:
        """Return the layer that gives the logit."""
        return self.head
