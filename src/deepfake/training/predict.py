"""Logits of a trained model under the evaluation transform."""

import numpy as np
import torch
from torch import nn

from deepfake.loading.batches import Loader

_BATCH = 128


def predict(model: nn.Module, loader: Loader, index: np.ndarray) -> np.ndarray:
    """Return the logits of an index list's samples, float64 [n], in its order.

    Always in full precision: bf16 has 8 significant bits, so that many samples would tie.
    """
    model.eval()
    with torch.inference_mode():
        logits = [model(batch.images).squeeze(1).float().cpu() for batch in loader.batches(index, _BATCH)]
    return torch.cat(logits).double().numpy()
