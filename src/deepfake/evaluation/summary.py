"""What the predictions of one experiment say, fold by fold: the figures that tables and plots are made of."""

import json

import pandas as pd

from deepfake import tables
from deepfake.evaluation import metrics, thresholds
from deepfake.evaluation.pooling import Pooling, by_clip

HEADLINE = ("auc", "auc_std", "train_val_gap", "eer", "balanced_accuracy")
"""The keys of every experiment's metrics file, the same for all so that `dvc metrics diff` lines them up."""


def join(predictions: pd.DataFrame, manifest: pd.DataFrame, pooling: Pooling | None = "mean") -> pd.DataFrame:
    """Return the predictions with label, source and group, one row a clip, fold and condition.

    Args:
        predictions: `tables.PREDICTIONS`.
        manifest: `tables.MANIFEST`.
        pooling: how the logits of a clip's samples become one, that of the run (`facts_of(name)["pooling"]`); None for
            one row a sample.

    Returns:
        `pooling.by_clip`; the samples as they are where each is a clip of its own.
    """
    identity = manifest[["sample_id", "label", "source", "group"]]
    joined = predictions.merge(identity, on="sample_id", how="inner", validate="many_to_one")
    return joined if pooling is None else by_clip(joined, pooling)


def by_fold(joined: pd.DataFrame) -> pd.DataFrame:
    """Return one row of metrics a fold.

    The decision threshold is Youden's on the fold's inner validation; the held-out fold only
    ever meets it afterwards.

    Args:
        joined: predictions with `label` and `source`, of one experiment and condition.

    Returns:
        Columns `fold, repeat, threshold, train_auc, validation_auc, train_val_gap`,
        `auc_<source>` for each fake source, and every metric of `metrics.classification`, all on the held-out
        fold unless the name says otherwise. The gap is train AUC minus held-out AUC.
    """
    return pd.DataFrame(
        [
            {"fold": fold, "repeat": int(rows["repeat"].iloc[0])} | _fold_row(rows)
            for fold, rows in joined.groupby("fold")
        ]
    )


def _fold_row(rows: pd.DataFrame) -> dict[str, float]:
    """Return the metrics of one fold."""
    parts = {part: rows[rows["subset"] == part] for part in tables.SUBSETS}
    arrays = {part: (frame["label"].to_numpy(), frame["logit"].to_numpy()) for part, frame in parts.items()}
    threshold = thresholds.RULES[thresholds.TUNED](*arrays["validation"])
    held_out = parts["held_out"]
    sources = metrics.source_auc(*arrays["held_out"], held_out["source"].to_numpy())
    found = metrics.classification(*arrays["held_out"], threshold)
    aucs = {f"{part}_auc": metrics.auc(*arrays[part]) for part in ("train", "validation")}
    return {
        "threshold": threshold,
        **found,
        **aucs,
        "train_val_gap": aucs["train_auc"] - found["auc"],
        **{f"auc_{source}": value for source, value in sources.items()},
    }


def headline(folds: pd.DataFrame) -> dict[str, float]:
    """Return the figures of `HEADLINE`: means over the folds, and the standard deviation of the AUC."""
    means = folds.drop(columns=["fold", "repeat"]).mean()
    return {key: float(folds["auc"].std(ddof=1) if key == "auc_std" else means[key]) for key in HEADLINE}


def headline_json(folds: pd.DataFrame) -> str:
    """Return the metrics file of an experiment, rounded to what its folds can tell apart."""
    return json.dumps({key: round(value, 6) for key, value in headline(folds).items()}, indent=2) + "\n"


def roc(held_out: pd.DataFrame) -> pd.DataFrame:
    """Return each fold's ROC curve on its held-out samples: `fold, fpr, tpr`, thinned for plotting."""
    curves = [
        metrics.roc_points(rows["label"].to_numpy(), rows["logit"].to_numpy())[["fpr", "tpr"]].assign(fold=fold)
        for fold, rows in held_out.groupby("fold")
    ]
    return pd.concat(curves, ignore_index=True)[["fold", "fpr", "tpr"]]


def confusion(held_out: pd.DataFrame, folds: pd.DataFrame) -> pd.DataFrame:
    """Return the confusion matrix over all folds, each at its threshold: `actual, predicted, count`."""
    thresholds_by_fold = folds.set_index("fold")["threshold"]
    counts = [
        metrics.confusion(rows["label"], rows["logit"], thresholds_by_fold[fold])
        for fold, rows in held_out.groupby("fold")
    ]
    return pd.concat([count.stack() for count in counts], axis=1).sum(axis=1).reset_index(name="count")
