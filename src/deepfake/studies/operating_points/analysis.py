"""A trained experiment at every threshold: what it decides there, and how far its probabilities can be believed.

No threshold is chosen here: thresholds and temperatures are those of the checkpoints' records, from inner validation,
and the held-out samples only ever meet them.
"""

from collections.abc import Iterable
from typing import NamedTuple

import pandas as pd
from scipy.special import logit

from deepfake.config.params import Params
from deepfake.evaluation import calibration, decisions, metrics, statistics, summary, thresholds
from deepfake.evaluation.decisions import Counts
from deepfake.runs.checkpoint_metadata import Record, read_records
from deepfake.studies import comparison

HALF, TUNED = "0.5", "tuned"
"""The decisions that are compared: at probability 0.5, and at each checkpoint's own threshold."""
CALIBRATED = ("ece", "log_loss", "brier")
"""The metrics of calibration."""


class Case(NamedTuple):
    """One trained experiment.

    Args:
        joined: its predictions with label, source and group (`summary.join`).
        records: what is known of the checkpoint of each fold.
    """

    joined: pd.DataFrame
    records: dict[int, Record]


class Examined(NamedTuple):
    """One experiment at every cut.

    Args:
        folds: one row a cut and fold (`decisions.at_thresholds`), those of `HALF` and `TUNED` among them.
        cuts: one row a cut: means over folds of its probability and of every metric of `decisions.METRICS`, each with
            its `_std`, and the four counts, summed over folds.
        calibration: `temperature`, and of each of `CALIBRATED` the mean over folds `_before` and `_after` temperature
            scaling, each with its `_std`, and the `_change` with its interval over folds.
        reliability: one row a bin (`calibration.reliability`), `scaled` or not, over the samples of all folds.
        roc: the ROC curve of each fold (`summary.roc`).
    """

    folds: pd.DataFrame
    cuts: pd.DataFrame
    calibration: dict[str, float]
    reliability: pd.DataFrame
    roc: pd.DataFrame


def read(experiments: Iterable[str], settings: Params) -> dict[str, Case]:
    """Read what training left behind.

    Raises:
        InputError: an experiment has not been trained, or by another version of this program.
    """
    return {
        name: Case(joined, read_records(name))
        for name, joined in comparison.read(experiments, settings.dataset).items()
    }


def examine(case: Case, settings: Params) -> Examined:
    """Look at one experiment at every cut: the probabilities of params.yaml and the rules of `thresholds.RULES`.

    Logits of different folds are never pooled: counts are summed after each fold was cut at its own threshold, and
    the bins of the reliability diagram hold probabilities.
    """
    records, held_out = case.records, case.joined[case.joined["subset"] == "held_out"]
    fixed = sorted({0.5, *settings.studies.imbalance.thresholds})
    chosen = {f"{probability:g}": dict.fromkeys(records, float(logit(probability))) for probability in fixed}
    # the rule `half` is probability 0.5, which is there
    chosen |= {
        rule: {fold: record.thresholds[rule] for fold, record in records.items()}
        for rule in thresholds.RULES
        if rule != "half"
    }
    chosen[TUNED] = {fold: record.threshold for fold, record in records.items()}
    folds = decisions.at_thresholds(case.joined, chosen)
    scaled = held_out.assign(logit=held_out["logit"] / held_out["fold"].map(_temperatures(records)))
    diagrams = [
        calibration.reliability(rows["label"], rows["logit"]).assign(scaled=after)
        for after, rows in ((False, held_out), (True, scaled))
    ]
    return Examined(
        folds,
        _by_cut(folds[folds["rule"] != TUNED]),
        _calibration(
            held_out,
            scaled,
            records,
            statistics.held_out_share(case.joined["fold"].nunique()),
            settings.evaluation.confidence,
        ),
        pd.concat(diagrams, ignore_index=True),
        summary.roc(held_out),
    )


def _temperatures(records: dict[int, Record]) -> dict[int, float]:
    return {fold: record.temperature for fold, record in records.items()}


def _by_cut(folds: pd.DataFrame) -> pd.DataFrame:
    """Return means and spreads over folds, and summed counts, of each cut."""
    by_cut = folds.groupby("rule", sort=False)
    figures = ["probability", *decisions.METRICS]
    means, spreads = by_cut[figures].mean(), by_cut[figures].std(ddof=1).add_suffix("_std")
    counts = by_cut[list(Counts._fields)].sum()
    return pd.concat([means, spreads, counts], axis=1).rename_axis("cut").reset_index()


def _calibration(
    before: pd.DataFrame, after: pd.DataFrame, records: dict[int, Record], share: float, confidence: float
) -> dict[str, float]:
    """Return what temperature scaling does to the probabilities of held-out samples."""
    temperature = pd.Series(_temperatures(records))
    found = {"temperature": float(temperature.mean()), "temperature_std": float(temperature.std(ddof=1))}
    found["folds_at_bound"] = int((temperature == calibration.TEMPERATURES[1]).sum())
    values = [
        pd.DataFrame(
            {
                fold: metrics.classification(part["label"].to_numpy(), part["logit"].to_numpy())
                for fold, part in rows.groupby("fold")
            }
        ).T
        for rows in (before, after)
    ]
    for name in CALIBRATED:
        for when, value in zip(("before", "after"), values, strict=True):
            found |= {f"{name}_{when}": value[name].mean(), f"{name}_{when}_std": value[name].std(ddof=1)}
        change = statistics.fold_interval(values[1][name] - values[0][name], share, confidence)
        found |= {f"{name}_change": change.estimate, f"{name}_low": change.low, f"{name}_high": change.high}
    return found
