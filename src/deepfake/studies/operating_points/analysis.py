"""A trained run at every threshold: what it decides there, and how far its probabilities can be believed.

No threshold is chosen here: thresholds and temperatures are those of the checkpoints' records, from inner validation,
and the held-out samples only ever meet them.
"""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.special import logit

from deepfake.config.params import Evaluation, Params
from deepfake.evaluation import calibration, curves, decisions, influence, metrics, resampling, summary, thresholds
from deepfake.evaluation.evalset import EvalSet, Floats
from deepfake.evaluation.reliability import with_noise
from deepfake.runs.checkpoint_metadata import Record, read_records
from deepfake.studies import comparison
from deepfake.studies.operating_points.curves import recipe

HALF, BEST_F1 = "0.5", "best_f1"
"""Probability 0.5, and the threshold with the greatest macro F1 on each fold's inner validation."""
DECISIONS = (HALF, thresholds.TUNED, BEST_F1)
"""The thresholds at which runs are compared; the second is the one that a checkpoint ships with."""


class Case(NamedTuple):
    """One trained run.

    Args:
        joined: its predictions with label, source and group (`summary.join`).
        records: what is known of the checkpoint of each fold.
    """

    joined: pd.DataFrame
    records: dict[int, Record]

    def decided(self, rule: str) -> pd.DataFrame:
        """Return the held-out samples with their decisions at a rule or a probability."""
        return decisions.decide(self.joined, self.thresholds(rule))

    def thresholds(self, rule: str) -> dict[int, float]:
        """Return each fold's logit threshold by a rule of `thresholds.RULES`, or at a probability."""
        if rule in thresholds.RULES:
            return {fold: record.thresholds[rule] for fold, record in self.records.items()}
        return dict.fromkeys(self.records, float(logit(float(rule))))


class Examined(NamedTuple):
    """One run at every threshold.

    Args:
        points: one row a threshold (`decisions.operating_points`).
        calibration: `temperature` (median over folds, with the least and the greatest as `_low` and `_high`), of how
            many `folds` it is the greatest that is looked for (`folds_at_bound`); ECE, log loss and Brier score
            `_before` and `_after` temperature scaling, means over folds; `ece_floor` of both, what a perfectly
            calibrated detector would show; the `log_loss_change` with its 95% CI.
        reliability: one row a bin (`reliability.with_noise`), `scaled` or not, over the samples of all folds.
        roc: the ROC curve of each fold (`summary.roc`).
        band: their mean with pointwise intervals (`curves.roc`).
    """

    points: pd.DataFrame
    calibration: dict[str, float]
    reliability: pd.DataFrame
    roc: pd.DataFrame
    band: pd.DataFrame


def read(experiments: Iterable[str], settings: Params) -> dict[str, Case]:
    """Read what training left behind.

    Raises:
        InputError: a run has not been trained, or by another version of this program.
    """
    return {
        name: Case(joined, read_records(name))
        for name, joined in comparison.read(experiments, settings.dataset).items()
    }


def examine(case: Case, settings: Params) -> Examined:
    """Look at one run at the probabilities of params.yaml and by the rules of `thresholds.RULES`.

    Logits of different folds are never pooled: counts are pooled after each fold was decided at its own threshold,
    and the bins of the reliability diagram hold probabilities.
    """
    held_out = case.joined[case.joined["subset"] == "held_out"]
    fixed = [f"{probability:g}" for probability in sorted({0.5, *settings.studies.imbalance.thresholds})]
    # the rule `half` is probability 0.5, which is there
    rules = [*fixed, *(rule for rule in thresholds.RULES if rule != "half")]
    calibrated, bins = calibrate(case, settings.evaluation)
    return Examined(
        decisions.operating_points(case.joined, {rule: case.thresholds(rule) for rule in rules}),
        calibrated,
        bins,
        summary.roc(held_out),
        curves.roc(EvalSet.of(held_out), recipe(settings.evaluation)),
    )


def calibrate(case: Case, evaluation: Evaluation) -> tuple[dict[str, float], pd.DataFrame]:
    """Return `Examined.calibration` and `Examined.reliability` of a run."""
    held_out = case.joined[case.joined["subset"] == "held_out"]
    temperatures = {fold: record.temperature for fold, record in case.records.items()}
    scaled = held_out.assign(logit=held_out["logit"] / held_out["fold"].map(temperatures))
    diagrams = [
        with_noise(calibration.reliability(rows["label"], rows["logit"]), rows["repeat"].nunique()).assign(scaled=after)
        for after, rows in ((False, held_out), (True, scaled))
    ]
    return _calibration(held_out, scaled, temperatures, evaluation), pd.concat(diagrams, ignore_index=True)


def _calibration(
    before: pd.DataFrame, after: pd.DataFrame, temperatures: Mapping[int, float], evaluation: Evaluation
) -> dict[str, float]:
    """Return what temperature scaling does to the probabilities of held-out samples."""
    values = np.array(list(temperatures.values()))
    found = {"temperature": float(np.median(values)), "temperature_low": values.min(), "temperature_high": values.max()}
    found |= {"folds": len(values), "folds_at_bound": int((values == calibration.TEMPERATURES[1]).sum())}
    losses = []
    for when, rows in (("before", before), ("after", after)):
        folds = [
            (part["label"].to_numpy(), part["logit"].to_numpy(), int(str(fold))) for fold, part in rows.groupby("fold")
        ]
        each = pd.DataFrame([metrics.classification(labels, logits) for labels, logits, _ in folds]).mean()
        found |= {f"{name}_{when}": float(each[name]) for name in ("ece", "log_loss", "brier")}
        floors = [calibration.ece_floor(logits, seed=fold) for _, logits, fold in folds]
        found[f"ece_floor_{when}"] = float(np.mean(floors))
        losses += resampling.recomputed(EvalSet.of(rows), _log_loss, bounded=False)
    change = resampling.recipe(influence.difference(*losses), confidence=evaluation.confidence)
    return found | {"log_loss_change": change.value, "log_loss_low": change.low, "log_loss_high": change.high}


def _log_loss(labels: np.ndarray, logits: Floats) -> float:
    return float(np.mean(np.logaddexp(0, np.where(labels == 1, -logits, logits))))
