"""Heat as people see it: at the size of the images."""

import torch
from torch import nn

from deepfake.evaluation import attention
from deepfake.studies.explain import gradcam


def heatmaps(model: nn.Module, layer: nn.Module | None, images: torch.Tensor) -> torch.Tensor:
    """Return Grad-CAM's heat enlarged to the images, float [b, h, w], 1 where one is hottest."""
    cells = gradcam.heat(model, layer, images)
    return torch.from_numpy(attention.enlarged(cells.numpy(), (images.shape[2], images.shape[3])))
