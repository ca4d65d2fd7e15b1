"""All detectors on all data sets, scored at their own thresholds and at re-tuned ones."""

from typing import Any

from deepfake.config import RunConfig
from deepfake.config.params import Params
from deepfake.evaluation import thresholds
from deepfake.evaluation.transfer import Scored
from deepfake.studies.generalization.cells import Cell


class Scores:
    """All cells, with what is made of each of them once."""

    def __init__(self, cells: list[Cell], configs: dict[str, RunConfig], settings: Params) -> None:
        self.settings, self.configs = settings, configs
        self.cells = {(cell.model, cell.dataset): cell for cell in cells}
        self.baseline = cells[0].model
        self.retuned = {key: _retuned(cell) for key, cell in self.cells.items()}
        self.scored = {key: Scored.of(cell.joined, cell.thresholds) for key, cell in self.cells.items()}
        evaluation = settings.evaluation
        self.draws: dict[str, Any] = {
            "replicates": evaluation.bootstrap_replicates,
            "seed": settings.shared.seed,
            "confidence": evaluation.confidence,
        }

    def home(self, model: str) -> str | None:
        """Return the first data set that a detector has seen."""
        return next((cell.dataset for cell in self._of(model) if cell.seen), None)

    def away(self, model: str) -> list[str]:
        """Return the data sets that a detector has not seen."""
        return [cell.dataset for cell in self._of(model) if not cell.seen]

    def _of(self, model: str) -> list[Cell]:
        return [cell for cell in self.cells.values() if cell.model == model]


def _retuned(cell: Cell) -> dict[int, float]:
    """Return each fold's threshold by the usual rule, from the inner validation's groups of this data set."""
    rule = thresholds.RULES[thresholds.TUNED]
    parts = cell.joined[cell.joined["subset"] == "validation"].groupby("fold")
    return {int(str(fold)): rule(rows["label"], rows["logit"]) for fold, rows in parts}
