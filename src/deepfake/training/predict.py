"""Logits of a trained model under the evaluation transform."""

import numpy as np
import torch
from torch import nn

from deepfake.loading.batches import Loader
from deepfake.training import graphs, ranks

_BATCH = {"cpu": 16, "cuda": 128}
"""On a CPU what is computed of few images stays in its caches."""


class Predictor:
    """Predicts with a model whose weights may change in between; on a GPU each batch is one CUDA graph."""

    def __init__(self, model: nn.Module, loader: Loader, record: graphs.Record | None = None):
        """Keep what predicts.

        Args:
            model: the model, on its device.
            loader: serves the samples.
            record: what records a forward pass, or None: it is done anew for each batch.
        """
        self._model, self._loader = model, loader
        self._size = _BATCH["cuda" if next(model.parameters()).is_cuda else "cpu"]
        self._whole = graphs.Recorded(self._work, record, check=self._obstacle)

    def __call__(self, index: np.ndarray) -> np.ndarray:
        """Return the logits of an index list's samples, float64 [n], in its order.

        Always in full precision: bf16 has 8 significant bits, so that many samples would tie.
        """
        self._model.eval()
        taken = ranks.part(len(index), len(index))
        with torch.inference_mode():
            logits = [self._logits(*given) for given in self._loader.stored(index[taken.places], self._size)]
        return ranks.gathered(torch.cat(logits).cpu().double().numpy(), taken)

    def forget(self) -> None:
        """Give back the memory of a recorded batch."""
        self._whole.forget()

    def _logits(self, samples: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
        """Return the logits of a batch; of a smaller one, too, the graph computes all that it has room for."""
        if len(rows) == self._size or self._whole.is_recorded:
            return self._whole(samples, rows)[: len(rows)]
        return self._work(samples, rows)

    def _obstacle(self, *given: torch.Tensor) -> str | None:
        with torch.no_grad():
            return graphs.obstacle(lambda: self._work(*given))

    def _work(self, samples: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
        return self._model(self._loader.shown(samples, rows).images).squeeze(1).float()


def predict(model: nn.Module, loader: Loader, index: np.ndarray) -> np.ndarray:
    """Return the logits of an index list's samples under a model (`Predictor`)."""
    return Predictor(model, loader)(index)
