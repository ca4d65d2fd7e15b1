"""A trunk's features as maps of positions: timm has maps, with channels first or last, and rows of tokens."""

import torch
from torch import nn


def as_maps(features: torch.Tensor, trunk: nn.Module, size: tuple[int, int]) -> torch.Tensor:
    """Return features as maps [b, c, rows, columns].

    Args:
        features: maps [b, c, h', w'], [b, h', w', c] where the trunk's `output_fmt` says so, or tokens [b, n, c], the
            first `num_prefix_tokens` of which are no positions (class, distillation and register tokens).
        trunk: the backbone of timm that gave them.
        size: height and width of the images in pixels.

    Returns:
        The maps. Tokens that are no grid of this shape are a single column; what is neither maps nor tokens stays.
    """
    if features.ndim == 4:
        return features.permute(0, 3, 1, 2) if getattr(trunk, "output_fmt", "NCHW") == "NHWC" else features
    if features.ndim != 3:
        return features
    tokens = features[:, int(getattr(trunk, "num_prefix_tokens", 0)) :].transpose(1, 2)
    return tokens.unflatten(2, _grid(trunk, tokens.shape[2], size))


def _grid(trunk: nn.Module, count: int, size: tuple[int, int]) -> tuple[int, int]:
    """Return rows and columns of so many positions: those of the patches, or of a coarser grid of the same shape."""
    embed = getattr(trunk, "patch_embed", None)
    if embed is not None and hasattr(embed, "dynamic_feat_size"):
        rows, columns = embed.dynamic_feat_size(size)
        if rows * columns == count:
            return rows, columns
    rows = max(1, round((count * size[0] / size[1]) ** 0.5))
    columns = round(rows * size[1] / size[0])
    return (rows, columns) if rows * columns == count else (count, 1)
