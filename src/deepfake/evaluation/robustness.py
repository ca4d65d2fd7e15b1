"""What is left of a detector when its images are corrupted, and how sure that is.

All figures are means over folds of the AUC on held-out samples. All resamplings are the same draws of groups, so that
differences between corruptions, strengths and detectors are paired.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from deepfake.config.params import Evaluation
from deepfake.evaluation import bootstrap
from deepfake.evaluation.bootstrap import Floats

CLEAN = "clean"
"""The name of the condition in which nothing happens to an image; its level is 0."""
ALL = "all"
"""Instead of a corruption: the mean over all of them."""


@dataclass(frozen=True)
class HeldOut:
    """The samples of an experiment that its folds never saw, in one order for all conditions.

    Args:
        sample_ids: str [n].
        labels: int [n], 0 real, 1 fake.
        groups: str [n].
        folds: int [n].
        thresholds: float [folds]: the logit from which on each fold calls a sample fake.
    """

    sample_ids: np.ndarray
    labels: np.ndarray
    groups: np.ndarray
    folds: np.ndarray
    thresholds: Sequence[float]

    def same_samples(self, other: "HeldOut") -> bool:
        """Tell whether two experiments were held out on the same samples, fold by fold."""
        return np.array_equal(self.sample_ids, other.sample_ids) and np.array_equal(self.folds, other.folds)


@dataclass(frozen=True)
class Condition:
    """An experiment under one condition.

    Args:
        auc: the mean over folds.
        replicated: the same for each resampling of the groups, float [replicates].
        row: the figures of its table row.
    """

    auc: float
    replicated: Floats
    row: dict[str, float]


def condition(held_out: HeldOut, logits: Floats, evaluation: Evaluation, seed: int) -> Condition:
    """Return what an experiment's logits under one condition are worth.

    Args:
        held_out: the samples.
        logits: float [n].
        evaluation: confidence and replicates.
        seed: of the draws.

    Returns:
        Its row has `auc, auc_std` (over folds), `low, high` (interval over groups, `bootstrap.auc_interval`) and
        `balanced_accuracy`: the mean over folds, each at the threshold that it has for clean images.
    """
    samples = (held_out.labels, logits, held_out.groups, held_out.folds)
    replicates = evaluation.bootstrap_replicates
    interval = bootstrap.auc_interval(*samples, replicates=replicates, seed=seed, confidence=evaluation.confidence)
    row = {
        "auc": interval.estimate,
        "auc_std": float(bootstrap.fold_auc(held_out.labels, logits, held_out.folds).std(ddof=1)),
        "low": interval.low,
        "high": interval.high,
        "balanced_accuracy": _balanced_accuracy(held_out, logits),
    }
    return Condition(interval.estimate, bootstrap.bootstrap_auc(*samples, replicates=replicates, seed=seed), row)


def _balanced_accuracy(held_out: HeldOut, logits: Floats) -> float:
    """Return the mean over folds of the mean share of reals and of fakes that are called what they are."""
    right = (logits >= np.asarray(held_out.thresholds)[held_out.folds]) == held_out.labels
    return float(pd.Series(right).groupby([held_out.folds, held_out.labels]).mean().mean())


def difference(
    first: Sequence[Condition], second: Sequence[Condition], confidence: float
) -> tuple[float, float, float]:
    """Return the mean AUC of the first conditions minus that of the second, with its interval.

    The interval is the basic one, as in `bootstrap.paired_auc_difference`, which gives the same for two conditions.
    """
    estimate = float(np.mean([each.auc for each in first]) - np.mean([each.auc for each in second]))
    replicated = _mean(first) - _mean(second)
    low, high = np.quantile(replicated, [(1 - confidence) / 2, (1 + confidence) / 2])
    return estimate, 2 * estimate - float(high), 2 * estimate - float(low)


def _named(name: str, triple: tuple[float, float, float]) -> dict[str, float]:
    """Return an estimate and the ends of its interval under their columns' names."""
    return dict(zip((name, f"{name}_low", f"{name}_high"), triple, strict=True))


def _mean(conditions: Sequence[Condition]) -> Floats:
    """Return the mean of several conditions' replicates."""
    return np.mean([each.replicated for each in conditions], axis=0)


Curves = Mapping[str, Sequence[Condition]]
"""For each corruption, and for `CLEAN`, the conditions from weak to strong."""


def rows(curves: Curves, strengths: Mapping[str, Sequence[float]], confidence: float) -> pd.DataFrame:
    """Return one row a condition: `corruption, strength, level`, the figures of `condition`, and the AUC it costs.

    `drop` is the clean AUC minus that of the condition, with its paired interval `drop_low, drop_high`. The clean
    condition has level 0 and no strength.
    """
    found = []
    for corruption, conditions in curves.items():
        clean = corruption == CLEAN
        for number, each in enumerate(conditions):
            strength = np.nan if clean else strengths[corruption][number]
            place = {"corruption": corruption, "strength": strength, "level": 0 if clean else number + 1}
            found.append(place | each.row | _named("drop", difference(curves[CLEAN], [each], confidence)))
    return pd.DataFrame(found)


def summary(curves: Curves, held_out: HeldOut, confidence: float) -> pd.DataFrame:
    """Return one row a level: the mean over all corruptions, and the corruption that leaves the least.

    Returns:
        Columns `level, auc, drop, drop_low, drop_high, worst` (corruption), `worst_auc, samples, groups`; level 0 is
        the clean condition.
    """
    names = [name for name in curves if name != CLEAN]
    clean = curves[CLEAN][0]
    facts = {"samples": len(held_out.labels), "groups": len(np.unique(held_out.groups))}
    found = []
    for level, conditions in enumerate([(clean,), *zip(*(curves[name] for name in names), strict=True)]):
        aucs = [each.auc for each in conditions]
        worst = int(np.argmin(aucs))
        least = {"worst": names[worst] if level else CLEAN, "worst_auc": aucs[worst]}
        lost = _named("drop", difference([clean], conditions, confidence))
        found.append({"level": level, "auc": float(np.mean(aucs))} | lost | least | facts)
    return pd.DataFrame(found)


def corruptions(curves: Curves, strengths: Mapping[str, Sequence[float]], confidence: float) -> pd.DataFrame:
    """Return one row a corruption, the costliest first: what it costs on average over its strengths.

    Returns:
        Columns `corruption`; `drop, drop_low, drop_high`; `behind, behind_low, behind_high`: the drop of the costliest
        corruption minus its own, paired; and `chance`: the first strength at which the interval of the AUC reaches
        0.5, or nothing when it never does.
    """
    clean = curves[CLEAN]
    drops = {name: difference(clean, each, confidence) for name, each in curves.items() if name != CLEAN}
    ranked = sorted(drops, key=lambda name: -drops[name][0])
    found = []
    for name in ranked:
        lows = [each.row["low"] for each in curves[name]]
        at_chance = [strength for strength, low in zip(strengths[name], lows, strict=True) if low <= 0.5]
        behind = difference(curves[name], curves[ranked[0]], confidence)
        chance = {"chance": at_chance[0] if at_chance else np.nan}
        found.append({"corruption": name} | _named("drop", drops[name]) | _named("behind", behind) | chance)
    return pd.DataFrame(found)


def contrasts(baseline: Curves, other: Curves, confidence: float) -> pd.DataFrame:
    """Compare two experiments on the same samples: does the other one lose less, and does it also end up better?

    Returns:
        One row for each corruption and one for `ALL`, means over all strengths: `corruption`; `auc, auc_low, auc_high`:
        AUC under corruption, the other experiment's minus the baseline's, paired; and `drop, drop_low, drop_high`:
        likewise what corruption costs, so that below 0 the other one loses less.
    """
    names = [name for name in baseline if name != CLEAN]
    chosen = {ALL: names} | {name: [name] for name in names}
    found = []
    for corruption, parts in chosen.items():
        first, second = ([each for name in parts for each in curves[name]] for curves in (baseline, other))
        better = difference(second, first, confidence)
        lost = difference(_lost(other, second), _lost(baseline, first), confidence)
        found.append({"corruption": corruption} | _named("auc", better) | _named("drop", lost))
    return pd.DataFrame(found)


def _lost(curves: Curves, conditions: Sequence[Condition]) -> list[Condition]:
    """Return what conditions cost, in place of what they leave."""
    clean = curves[CLEAN][0]
    return [Condition(clean.auc - each.auc, clean.replicated - each.replicated, {}) for each in conditions]
