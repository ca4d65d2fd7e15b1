"""A comparison: several experiments on identical folds, with intervals and corrected tests."""

import json
from typing import Any

import pandas as pd

from deepfake import layout, tables
from deepfake.evaluation import bootstrap, statistics, summary
from deepfake.params import Evaluation, Table

METRICS = ("best_auc", "best_auc_low", "best_auc_high", "significant_differences")


def compare(
    table: Table, joined: dict[str, pd.DataFrame], evaluation: Evaluation, seed: int
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Compare experiments, each against the table's baseline.

    Args:
        table: names of the experiments and the baseline.
        joined: each experiment's predictions with label, source and group (`summary.join`).
        evaluation: confidence, replicates and significance.
        seed: of the bootstrap.

    Returns:
        One row an experiment (`experiment, auc, auc_std, learned, samples, groups`, the interval over groups
        `auc_low, auc_high`, that over folds `fold_low, fold_high`, and the fold means of all metrics), and one row
        a paired test against the baseline. An experiment has `learned` something when both of its intervals lie
        above chance. A difference is `significant` when both
        tests say so after Holm's correction over the table: the bootstrap over groups (would it hold for
        other people?) and the corrected t-test over folds (would it hold for other training sets?).
    """
    rows = [{"experiment": name} | _row(joined[name], evaluation, seed) for name in table.experiments]
    others = [name for name in table.experiments if name != table.baseline]
    tests = [
        {"baseline": table.baseline, "experiment": name} | _test(joined[table.baseline], joined[name], evaluation, seed)
        for name in others
    ]
    frame = pd.DataFrame(tests, columns=_TEST_COLUMNS)
    if tests:
        for kind in ("bootstrap", "ttest"):
            frame[f"p_{kind}_holm"] = statistics.holm(frame[f"p_{kind}"].to_numpy())
        largest = frame[["p_bootstrap_holm", "p_ttest_holm"]].max(axis=1)
        frame["significant"] = largest <= evaluation.significance
    return pd.DataFrame(rows), frame


_TEST_COLUMNS = [
    "baseline",
    "experiment",
    "difference",
    "low",
    "high",
    "p_bootstrap",
    "p_ttest",
    "p_bootstrap_holm",
    "p_ttest_holm",
    "significant",
]


def _row(joined: pd.DataFrame, evaluation: Evaluation, seed: int) -> dict[str, Any]:
    """Return the figures of one experiment."""
    held_out = joined[joined["subset"] == "held_out"]
    folds = summary.by_fold(joined)
    interval = bootstrap.auc_interval(
        held_out["label"].to_numpy(),
        held_out["logit"].to_numpy(),
        held_out["group"].to_numpy(),
        held_out["fold"].to_numpy(),
        replicates=evaluation.bootstrap_replicates,
        seed=seed,
        confidence=evaluation.confidence,
    )
    over_folds = statistics.fold_interval(folds["auc"], _test_share(joined), evaluation.confidence)
    return {
        **{str(key): value for key, value in folds.drop(columns=["fold", "threshold"]).mean().items()},
        "auc_std": folds["auc"].std(ddof=1),
        "auc_low": interval.low,
        "auc_high": interval.high,
        "fold_low": over_folds.low,
        "fold_high": over_folds.high,
        "learned": min(interval.low, over_folds.low) > 0.5,
        "samples": len(held_out),
        "groups": held_out["group"].nunique(),
    }


def _test(baseline: pd.DataFrame, other: pd.DataFrame, evaluation: Evaluation, seed: int) -> dict[str, Any]:
    """Test one experiment against the baseline, on the samples that both were held out on."""
    keys = ["sample_id", "fold", "label", "group"]
    paired = baseline[baseline["subset"] == "held_out"].merge(
        other.loc[other["subset"] == "held_out", [*keys, "logit"]],
        on=keys,
        suffixes=("_baseline", "_other"),
        validate="one_to_one",
    )
    labels, folds = paired["label"].to_numpy(), paired["fold"].to_numpy()
    logits = [paired["logit_baseline"].to_numpy(), paired["logit_other"].to_numpy()]
    difference = bootstrap.paired_auc_difference(
        labels,
        logits[0],
        logits[1],
        paired["group"].to_numpy(),
        folds,
        replicates=evaluation.bootstrap_replicates,
        seed=seed,
        confidence=evaluation.confidence,
    )
    first, second = (bootstrap.fold_auc(labels, each, folds) for each in logits)
    return {
        "difference": difference.estimate,
        "low": difference.low,
        "high": difference.high,
        "p_bootstrap": difference.p_value,
        "p_ttest": statistics.corrected_resampled_ttest(second - first, _test_share(baseline)).p_value,
    }


def _test_share(joined: pd.DataFrame) -> float:
    """Return the held-out samples of a fold over those it was trained and chosen on."""
    parts = joined["subset"].value_counts()
    return parts["held_out"] / (parts["train"] + parts["validation"])


def run(name: str, table: Table, dataset: str, evaluation: Evaluation, seed: int) -> None:
    """Read the experiments of a table, compare them, and write the table, its tests and its metrics."""
    manifest = tables.read(layout.manifest(dataset), tables.MANIFEST)
    joined = {
        experiment: summary.join(tables.read(layout.predictions(experiment), tables.PREDICTIONS), manifest)
        for experiment in table.experiments
    }
    rows, tests = compare(table, joined, evaluation, seed)
    facts = [json.loads(layout.config(experiment).read_text("utf-8")) for experiment in table.experiments]
    for column in ("fraction", "resolution", "parameters", "model"):
        rows.insert(1, column, [fact[column] for fact in facts])
    folds = [summary.by_fold(joined[experiment]) for experiment in table.experiments]
    tables.write_csv(rows, layout.table(name))
    tables.write_csv(
        pd.concat(folds, keys=table.experiments, names=["experiment"]).reset_index("experiment"),
        layout.table(f"{name}_folds"),
    )
    tables.write_csv(tests, layout.table(f"{name}_tests"))
    best = rows.iloc[rows["auc"].argmax()]
    figures = (best["auc"], best["auc_low"], best["auc_high"], int(tests["significant"].sum()))
    metrics = {key: round(value, 6) for key, value in zip(METRICS, figures, strict=True)}
    tables.write_text(json.dumps(metrics, indent=2) + "\n", layout.study_metrics(name))
