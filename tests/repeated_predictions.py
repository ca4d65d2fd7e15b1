"""Predictions of a repeated cross-validation of chosen quality, and figures of them written out plainly."""

import numpy as np
import pandas as pd
from sklearn.metrics import roc_auc_score

FOLDS, GROUPS, PER_GROUP = 4, 24, 6


def predictions(strength: float, seed: int, repeats: int = 2, spread: float = 0.3) -> pd.DataFrame:
    """Return joined predictions of a detector, each repeat with a partition of the groups of its own.

    Args:
        strength: how far fakes lie above reals, in standard deviations.
        seed: of the detector's own noise; the samples are always the same.
        repeats: of the cross-validation.
        spread: standard deviation of the groups' logits.
    """
    rng = np.random.default_rng(seed)
    group = np.repeat(np.arange(GROUPS), PER_GROUP)
    label = np.tile([0, 1, 1, 0, 1, 1], GROUPS)
    source = np.tile(["wiki", "a", "b"] * 2, GROUPS)
    by_group = rng.normal(0, spread, GROUPS)
    parts = []
    for repeat in range(repeats):
        place = np.random.default_rng(repeat).permutation(GROUPS) % FOLDS
        for fold in range(FOLDS):
            subset = np.where(place == fold, "held_out", np.where(place == (fold + 1) % FOLDS, "validation", "train"))
            parts.append(
                pd.DataFrame(
                    {
                        "sample_id": [f"{number:03d}" for number in range(len(group))],
                        "fold": repeat * FOLDS + fold,
                        "repeat": repeat,
                        "subset": subset[group],
                        "label": label,
                        "source": source,
                        "group": [f"g{number:02d}" for number in group],
                        "logit": strength * label + by_group[group] + rng.normal(size=len(group)),
                    }
                )
            )
    return pd.concat(parts, ignore_index=True)


def held_out(joined: pd.DataFrame) -> pd.DataFrame:
    return joined[joined["subset"] == "held_out"]


def mean_auc(joined: pd.DataFrame) -> float:
    """Return the mean over folds of the usual AUC, by scikit-learn."""
    folds = held_out(joined).groupby("fold")
    return float(np.mean([roc_auc_score(rows["label"], rows["logit"]) for _, rows in folds]))


def between_auc(joined: pd.DataFrame) -> float:
    """Return the mean over folds of the AUC over pairs of different groups, pair by pair."""
    found = []
    for _, rows in held_out(joined).groupby("fold"):
        fakes, reals = (rows[rows["label"] == label].to_dict("records") for label in (1, 0))
        pairs = [(f["logit"], r["logit"]) for f in fakes for r in reals if f["group"] != r["group"]]
        found.append(np.mean([(f > r) + 0.5 * (f == r) for f, r in pairs]))
    return float(np.mean(found))
