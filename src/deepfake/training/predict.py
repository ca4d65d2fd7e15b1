"""Logits of a trained model under the evaluation transform."""

import numpy as np
import torch
from torch import nn

from deepfake.loading.batches import Loader

_BATCH = {"cpu": 16, "cuda": 128}
"""On a CPU what is computed of few images stays in its caches."""


def predict(model: nn.Module, loader: Loader, index: np.ndarray) -> np.ndarray:
    """Return the logits of an index list's samples, float64 [n], in its order.

    Always in full precision: bf16 has 8 significant bits, so that many samples would tie.
    """
    model.eval()
    size = _BATCH["cuda" if next(model.parameters()).is_cuda else "cpu"]
    with torch.inference_mode():
        logits = [model(batch.images).squeeze(1).float().cpu() for batch in loader.batches(index, size)]
    return torch.cat(logits).double().numpy()
