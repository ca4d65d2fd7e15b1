"""In what two data sets differ, and what a detector's scores go with."""

import numpy as np
import pandas as pd
from scipy import stats

from deepfake.evaluation import metrics
from deepfake.evaluation.evalset import EvalSet, Floats
from deepfake.evaluation.influence import Influence, Part, assemble

SHIFTED = [
    "feature",
    *(f"{side}_{figure}" for figure in ("median", "value", "share") for side in ("in_domain", "out_of_domain")),
    "separability",
]
"""The columns of `shifts`."""
_EQUAL = 1e-9
"""A variance of ranks that is 0 but for rounding."""


def shifts(in_domain: pd.DataFrame, out_of_domain: pd.DataFrame) -> pd.DataFrame:
    """Compare the features of two data sets, one by one.

    Args:
        in_domain: one row a sample, a column a feature: numbers or words.
        out_of_domain: the same columns; of the same kind of samples (reals, say), so that only the data set differs.

    Returns:
        One row a feature: `SHIFTED`; of numbers the medians, of words the commonest with their shares. `separability`
        is how well the feature alone tells the data sets apart, from 0 to 1: |2 AUC - 1| of numbers, the total
        variation distance of words, which is the same where there are two.
    """
    which = np.repeat([0, 1], [len(in_domain), len(out_of_domain)])
    rows: list[dict[str, object]] = []
    for name in in_domain.columns:
        sides = {"in_domain": in_domain[name], "out_of_domain": out_of_domain[name]}
        row: dict[str, object] = {"feature": name}
        if pd.api.types.is_numeric_dtype(in_domain[name]):
            row |= {f"{side}_median": float(values.median()) for side, values in sides.items()}
            joined = np.concatenate([values.to_numpy(np.float64) for values in sides.values()])
            row["separability"] = abs(2 * metrics.auc(which, joined) - 1)
        else:
            shares = {side: values.value_counts(normalize=True) for side, values in sides.items()}
            row |= {f"{side}_value": values.index[0] for side, values in shares.items()}
            row |= {f"{side}_share": float(values.iloc[0]) for side, values in shares.items()}
            apart = shares["in_domain"].sub(shares["out_of_domain"], fill_value=0.0)
            row["separability"] = float(apart.abs().sum() / 2)
        rows.append(row)
    return pd.DataFrame(rows, columns=SHIFTED)


def correlations(evalset: EvalSet, features: pd.DataFrame) -> dict[str, Influence]:
    """Return Spearman's rank correlation of the scores with each feature, within folds and classes.

    The mean over the folds and classes in which both vary, so that neither label nor fold plays a part. Without a group
    the remaining samples keep their ranks. Features that never vary are left out.

    Args:
        evalset: the samples.
        features: numbers, one row a sample in the same order, a column a feature.
    """
    names, codes = np.unique(evalset.groups, return_inverse=True)
    values = features.to_numpy(np.float64)
    parts: dict[str, list[Part]] = {}
    for fold in np.unique(evalset.folds):
        inside = evalset.folds == fold
        present = np.unique(codes[inside])
        classes = [inside & (evalset.labels == label) for label in (0, 1)]
        found = [_without_each(evalset.scores[rows], values[rows], codes[rows], len(names)) for rows in classes]
        repeat = int(evalset.repeats[inside][0])
        for column, feature in enumerate(features.columns):
            varying = [(value[column], without[present, column]) for value, without in found]
            varying = [pair for pair in varying if not np.isnan(pair[0])]
            if varying:
                value, without = (np.mean(side, axis=0) for side in zip(*varying, strict=True))
                parts.setdefault(str(feature), []).append(Part(int(fold), repeat, present, float(value), without))
    return {feature: assemble(evalset, found, bounded=False) for feature, found in parts.items()}


def _without_each(scores: Floats, values: Floats, codes: np.ndarray, groups: int) -> tuple[Floats, Floats]:
    """Return the correlations [features] of ranks, and those without each group [groups, features]; NaN: undefined."""
    ranks = stats.rankdata(np.column_stack([scores, values]), axis=0)
    ranks -= ranks.mean(axis=0)
    x, y = ranks[:, :1], ranks[:, 1:]
    member = np.zeros((groups, len(codes)))
    member[codes, np.arange(len(codes))] = 1.0
    sums = [member @ part for part in (np.ones_like(x), x, x**2, y, y**2, x * y)]
    whole = _correlation(*(part.sum(axis=0, keepdims=True) for part in sums))
    return whole[0], _correlation(*(part.sum(axis=0) - part for part in sums))


def _correlation(n: Floats, x: Floats, xx: Floats, y: Floats, yy: Floats, xy: Floats) -> Floats:
    n = np.maximum(n, 1.0)
    spreads = xx / n - (x / n) ** 2, yy / n - (y / n) ** 2
    defined = (spreads[0] > _EQUAL) & (spreads[1] > _EQUAL)
    scale = np.sqrt(np.where(defined, spreads[0] * spreads[1], 1.0))
    return np.where(defined, (xy / n - x * y / n**2) / scale, np.nan)
