"""What a model is worth, measured on its held-out samples: by source, at its threshold, and how well calibrated."""

from collections.abc import Mapping

import pandas as pd

from deepfake.config.params import Params
from deepfake.evaluation import decisions, resampling, thresholds
from deepfake.evaluation.estimate import Estimate
from deepfake.evaluation.evalset import EvalSet
from deepfake.reports.columns import Column, Table, estimate, number, text
from deepfake.studies.operating_points import analysis
from deepfake.studies.operating_points.analysis import Case
from deepfake.studies.site.run_facts import RunFacts

FALSE_POSITIVES = "false positive rate"
_DECIDED = {
    "balanced_accuracy": "balanced accuracy",
    "recall_fake": "recall (fake)",
    "recall_real": "recall (real)",
    "false_positive_rate": FALSE_POSITIVES,
    "precision_fake": "precision (fake)",
    "f1_macro": "macro F1",
}
_OVERALL = {
    "average_precision": "Average precision",
    "eer": "Equal error rate",
    "tpr_at_fpr_5": "True positive rate at 5% false positives",
    "brier": "Brier score",
    "train_val_gap": "Train AUC less held-out AUC",
}
ESTIMATES = [
    text("Figure", "figure"),
    estimate("Value [95% CI]", "value", "low", "high"),
    number("Held-out samples", "samples", "{:,}"),
]


def overall(row: pd.Series) -> list[tuple[str, str]]:
    """Return a run's other figures, means over folds, from its row of a comparison."""
    return [(said, f"{row[key]:.3f}") for key, said in _OVERALL.items() if key in row and row[key] == row[key]]


def by_source(run: RunFacts, confidence: float) -> Table | None:
    """Return the AUC of each source's fakes against all reals, with its interval; None without predictions."""
    if run.held_out is None:
        return None
    aucs = resampling.source_aucs(EvalSet.of(run.held_out))
    return _table({source: resampling.recipe(one, confidence=confidence) for source, one in aucs.items()})


def at_threshold(run: RunFacts, confidence: float) -> Table | None:
    """Return what a run decides at its tuned threshold, counts pooled over folds; None without checkpoints."""
    if run.joined is None or run.held_out is None or not run.records:
        return None
    decided = Case(run.joined, run.records).decided(thresholds.TUNED)
    return _table(
        {
            said: resampling.recipe(decisions.figure(decided, metric), confidence=confidence)
            for metric, said in _DECIDED.items()
        }
    )


def calibration(run: RunFacts, settings: Params) -> Table | None:
    """Return how well a run's probabilities are calibrated, before and after temperature scaling."""
    if run.joined is None or run.held_out is None or not run.records:
        return None
    found = analysis.examine(Case(run.joined, run.records), settings).calibration
    rows = [
        {"when": f"{when} temperature scaling"}
        | {key: found[f"{key}_{when}"] for key in ("ece", "ece_floor", "log_loss", "brier")}
        for when in ("before", "after")
    ]
    shown: list[Column] = [
        text("Probabilities", "when"),
        number("ECE", "ece"),
        number("ECE by chance alone", "ece_floor"),
        number("Log loss", "log_loss"),
        number("Brier score", "brier"),
        estimate(
            "Temperature: median [least, greatest]", "temperature", "temperature_low", "temperature_high", "{:.2f}"
        ),
    ]
    scaled = {key: found[key] for key in ("temperature", "temperature_low", "temperature_high")}
    rows[1] |= scaled
    return Table(pd.DataFrame(rows), shown)


def _table(found: Mapping[str, Estimate]) -> Table:
    rows = [
        {"figure": name, "value": one.value, "low": one.low, "high": one.high, "samples": one.n_samples}
        for name, one in found.items()
    ]
    return Table(pd.DataFrame(rows), ESTIMATES)
