"""Comparisons: experiments on identical folds, with intervals and corrected tests against their baselines."""

import json
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import pandas as pd

from deepfake import tables
from deepfake.config import facts_of
from deepfake.config.params import Evaluation
from deepfake.errors import InputError
from deepfake.evaluation import bootstrap, statistics, summary
from deepfake.project import RUN_CONFUSION, RUN_HISTORY, RUN_ROC, paths
from deepfake.tables import results as result_tables

Rows = Mapping[str, tuple[str, ...]]
"""The experiments of a comparison, each with the baselines that it is tested against (`config.table`)."""
METRICS = ("best_auc", "best_auc_low", "best_auc_high", "significant_differences")
CHANGES = ("train_val_gap", "source_auc_variance")
"""What is compared beside the AUC, fold by fold."""


class Comparison(NamedTuple):
    """What a comparison finds.

    Args:
        rows: one row an experiment: `experiment, auc, auc_std, learned, samples, groups`, the interval over groups
            `auc_low, auc_high`, that over folds `fold_low, fold_high`, and the fold means of all metrics. An
            experiment has `learned` something when both of its intervals lie above chance.
        folds: one row an experiment and fold (`summary.by_fold`).
        tests: one row a paired test: `table, baseline, experiment, difference` with its interval over groups, and for
            each of `CHANGES` its change with an interval over folds. A difference is `significant` when both tests say
            so after Holm's correction over the table: the bootstrap over groups (would it hold for other people?) and
            the corrected t-test over folds (would it hold for other training sets?).
    """

    rows: pd.DataFrame
    folds: pd.DataFrame
    tests: pd.DataFrame


def compare(
    comparisons: Mapping[str, Rows], joined: Mapping[str, pd.DataFrame], evaluation: Evaluation, seed: int
) -> Comparison:
    """Compare experiments with their baselines.

    Args:
        comparisons: for each table its experiments and their baselines.
        joined: each experiment's predictions with label, source and group (`summary.join`).
        evaluation: confidence, replicates and significance.
        seed: of the bootstrap.
    """
    names = list(dict.fromkeys(name for rows in comparisons.values() for name in rows))
    folds = {name: summary.by_fold(joined[name]) for name in names}
    rows = [{"experiment": name} | _row(joined[name], folds[name], evaluation, seed) for name in names]
    tests = []
    for table, baselines in comparisons.items():
        pairs = [(baseline, name) for name in baselines for baseline in baselines[name]]
        found = [
            {"table": table, "baseline": first, "experiment": second}
            | _test((joined[first], joined[second]), (folds[first], folds[second]), evaluation, seed)
            for first, second in pairs
        ]
        tests += _corrected(found, evaluation.significance)
    by_fold = pd.concat(folds.values(), keys=names, names=["experiment"]).reset_index("experiment")
    return Comparison(pd.DataFrame(rows), by_fold.reset_index(drop=True), pd.DataFrame(tests, columns=_TEST_COLUMNS))


_TEST_COLUMNS = [
    *("table", "baseline", "experiment", "difference", "low", "high", "p_bootstrap", "p_ttest"),
    *("p_bootstrap_holm", "p_ttest_holm", "significant"),
    *(f"{metric}_{figure}" for metric in CHANGES for figure in ("change", "low", "high")),
]


def _corrected(tests: list[dict[str, Any]], significance: float) -> list[dict[str, Any]]:
    """Correct the tests of one table for their number."""
    for kind in ("bootstrap", "ttest"):
        for test, p in zip(tests, statistics.holm([test[f"p_{kind}"] for test in tests]), strict=True):
            test[f"p_{kind}_holm"] = p
    for test in tests:
        test["significant"] = max(test["p_bootstrap_holm"], test["p_ttest_holm"]) <= significance
    return tests


def _row(joined: pd.DataFrame, folds: pd.DataFrame, evaluation: Evaluation, seed: int) -> dict[str, Any]:
    """Return the figures of one experiment."""
    held_out = joined[joined["subset"] == "held_out"]
    interval = bootstrap.auc_interval(
        held_out["label"].to_numpy(),
        held_out["logit"].to_numpy(),
        held_out["group"].to_numpy(),
        held_out["fold"].to_numpy(),
        replicates=evaluation.bootstrap_replicates,
        seed=seed,
        confidence=evaluation.confidence,
    )
    over_folds = statistics.fold_interval(folds["auc"], statistics.held_out_share(len(folds)), evaluation.confidence)
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


def _test(
    joined: tuple[pd.DataFrame, pd.DataFrame],
    folds: tuple[pd.DataFrame, pd.DataFrame],
    evaluation: Evaluation,
    seed: int,
) -> dict[str, Any]:
    """Test an experiment against its baseline, on the samples that both were held out on."""
    baseline, other = (frame[frame["subset"] == "held_out"] for frame in joined)
    keys = ["sample_id", "fold", "label", "group"]
    paired = baseline.merge(other[[*keys, "logit"]], on=keys, suffixes=("_baseline", "_other"), validate="one_to_one")
    labels, fold_of = paired["label"].to_numpy(), paired["fold"].to_numpy()
    logits = [paired["logit_baseline"].to_numpy(), paired["logit_other"].to_numpy()]
    difference = bootstrap.paired_auc_difference(
        labels,
        logits[0],
        logits[1],
        paired["group"].to_numpy(),
        fold_of,
        replicates=evaluation.bootstrap_replicates,
        seed=seed,
        confidence=evaluation.confidence,
    )
    first, second = (bootstrap.fold_auc(labels, each, fold_of) for each in logits)
    share = statistics.held_out_share(len(folds[0]))
    found = {
        "difference": difference.estimate,
        "low": difference.low,
        "high": difference.high,
        "p_bootstrap": difference.p_value,
        "p_ttest": statistics.corrected_resampled_ttest(second - first, share).p_value,
    }
    for metric in CHANGES:
        change = statistics.fold_interval(folds[1][metric] - folds[0][metric], share, evaluation.confidence)
        found |= {f"{metric}_change": change.estimate, f"{metric}_low": change.low, f"{metric}_high": change.high}
    return found


def run(phase: str, comparisons: Mapping[str, Rows], dataset: str, evaluation: Evaluation, seed: int) -> None:
    """Compare the experiments of a phase, and write its rows, its folds, its tests and its metrics.

    Args:
        phase: what the files are named after.
        comparisons: the tables of the phase.
        dataset: the data set of the study.
        evaluation: confidence, replicates and significance.
        seed: of the bootstrap.

    Raises:
        InputError: an experiment has not been trained.
    """
    names = dict.fromkeys(name for rows in comparisons.values() for name in rows)
    write(phase, comparisons, read(names, dataset), evaluation, seed)


def read(experiments: Iterable[str], dataset: str) -> dict[str, pd.DataFrame]:
    """Return the predictions of experiments with each sample's label, source and group.

    Raises:
        InputError: an experiment has not been trained, or was trained on other samples.
    """
    manifest = tables.read(paths().manifest(dataset), tables.MANIFEST)
    joined = {}
    for name in experiments:
        path = paths().predictions(name)
        if not path.exists():
            raise InputError(f"{path}: not found; run deepfake train {name}, or dvc repro")
        predictions = tables.read(path, tables.PREDICTIONS)
        joined[name] = summary.join(predictions, manifest)
        if len(joined[name]) != len(predictions):
            raise InputError(f"{path}: it has samples that are not in the manifest; run deepfake train {name} again")
    return joined


def write(
    phase: str,
    comparisons: Mapping[str, Rows],
    joined: Mapping[str, pd.DataFrame],
    evaluation: Evaluation,
    seed: int,
) -> None:
    """Compare, and write the rows, the folds, the tests and the metrics of a phase."""
    rows, folds, tests = compare(comparisons, joined, evaluation, seed)
    facts = pd.DataFrame([_facts(name) for name in rows["experiment"]])
    rows = pd.concat([rows[["experiment"]], facts, rows.drop(columns="experiment")], axis=1)
    result_tables.write(rows, f"{phase}_experiments")
    result_tables.write(folds, f"{phase}_folds")
    result_tables.write(tests, f"{phase}_tests")
    best = rows.iloc[rows["auc"].argmax()]
    figures = (best["auc"], best["auc_low"], best["auc_high"], int(tests["significant"].sum()))
    metrics = {key: round(value, 6) for key, value in zip(METRICS, figures, strict=True)}
    write_metrics(phase, metrics, [] if phase == "phase4b" else rows["experiment"])  # 4A has the same runs and more


def write_metrics(name: str, metrics: Mapping[str, Any], experiments: Iterable[str]) -> None:
    """Write a study's metrics, and those of its runs; runs of other studies stand in theirs."""
    own = [one for one in experiments if name.startswith(paths().run(one).parent.name)]
    runs = {one: json.loads(paths().headline(one).read_text(encoding="utf-8")) for one in own}
    text = json.dumps({**metrics, "runs": runs}, indent=2)
    tables.write_text(text + "\n", paths().study_metrics(name))


CURVES = {"history": RUN_HISTORY, "roc": RUN_ROC, "confusion": RUN_CONFUSION}
"""What `dvc plots` shows of runs, each a table of its own."""


def write_curves(phase: str, experiments: Iterable[str]) -> None:
    """Write the curves of several runs, one below the other."""
    names = list(experiments)
    for kind, file in CURVES.items():
        parts = [pd.read_csv(paths().run(name) / file).assign(experiment=name) for name in names]
        result_tables.write(pd.concat(parts, ignore_index=True), f"{phase}_{kind}")


def _facts(experiment: str) -> dict[str, Any]:
    """Return the conditions that an experiment was trained under, as the tables show them."""
    facts = facts_of(experiment)
    view = facts["view"]
    return {
        "model": facts["model"],
        "parameters": facts["parameters"],
        "resolution": facts["resolution"],
        "fraction": facts["fraction"],
        "geometry": view["geometry"],
        "face_crop": view["face_margin"] is not None,
        "augmented": facts["augmentation"] is not None,
        "normalization": "real training images" if facts["normalization"] is None else "fixed",
        "holdout": facts["holdout"] or "",
        "pretrained": facts["pretrained"],
    }
