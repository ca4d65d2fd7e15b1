"""Comparisons: runs on identical folds, each above chance or not, and planned contrasts with a verdict each."""

import json
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import pandas as pd

from deepfake import tables
from deepfake.config import facts_of
from deepfake.config.params import Evaluation
from deepfake.errors import InputError
from deepfake.evaluation import evalset, influence, pooling, resampling, statistics, summary, verdicts
from deepfake.evaluation.evalset import EvalSet
from deepfake.evaluation.influence import Influence
from deepfake.evaluation.verdicts import Verdict
from deepfake.project import paths
from deepfake.run_files import RUN_CONFUSION, RUN_HISTORY, RUN_ROC
from deepfake.tables import results as result_tables

Rows = Mapping[str, tuple[str, ...]]
"""The runs of a comparison, each with the baselines that it is tested against (`config.table`)."""
CHANGES = ("train_val_gap", "source_auc_variance")
"""What is compared beside the AUC: one fold by fold, the other by the contributions of the groups."""
TEST_COLUMNS = [
    *("table", "baseline", "experiment", "difference", "low", "high", "p", "verdict", "reason", "detectable"),
    *("samples", "groups", "repeats"),
    *(f"{metric}_{figure}" for metric in CHANGES for figure in ("change", "low", "high")),
]


class Comparison(NamedTuple):
    """What a comparison finds.

    Args:
        rows: one row a run: its AUC over pairs of different groups (`auc`) with the interval of its test against
            chance, `p_chance` and `chance` (the verdict); the usual AUC over all pairs (`auc_all`, `auc_std`
            over folds); the fold means of all metrics; `samples, groups, repeats`; how far its sources' AUCs lie
            apart beyond noise (`source_auc_variance`, `source_auc_sd`) and the `hardest_source`.
        folds: one row a run and fold (`summary.by_fold`).
        tests: one row a planned contrast, Holm's correction over its table: `difference` with the interval and the
            p-value of the test that gives the `verdict`, the difference that is `detectable` with 80% power, and for
            each of `CHANGES` its change with a 95% CI (the gap's by repeated cross-validation).
        cautions: what groups and folds are too few for, a line each.
    """

    rows: pd.DataFrame
    folds: pd.DataFrame
    tests: pd.DataFrame
    cautions: list[str]


def compare(comparisons: Mapping[str, Rows], joined: Mapping[str, pd.DataFrame], evaluation: Evaluation) -> Comparison:
    """Compare runs with their baselines.

    Args:
        comparisons: for each table its runs and their baselines.
        joined: each run's predictions with label, source and group (`summary.join`).
        evaluation: confidence and region of practical equivalence.
    """
    names = list(dict.fromkeys(name for rows in comparisons.values() for name in rows))
    held_out = {name: joined[name][joined[name]["subset"] == "held_out"] for name in names}
    folds = {name: summary.by_fold(joined[name]) for name in names}
    evalsets = {name: EvalSet.of(held_out[name]) for name in names}
    aucs = [resampling.recipe(resampling.auc(one), 0.5) for one in evalsets.values()]
    chances = verdicts.against_chance(aucs, evaluation.rope, evaluation.confidence)
    sources = {name: resampling.source_aucs(one) for name, one in evalsets.items()}
    rows = [
        {"experiment": name} | _row(folds[name], chance) | _sources(sources[name])
        for name, chance in zip(names, chances, strict=True)
    ]
    tests: list[dict[str, Any]] = []
    for table, baselines in comparisons.items():
        pairs = [(baseline, name) for name in baselines for baseline in baselines[name]]
        found = judge([difference(held_out[first], held_out[second]) for first, second in pairs], evaluation)
        tests += [
            {"table": table, "baseline": first, "experiment": second}
            | told(one, len(pairs), evaluation.rope)
            | _change("train_val_gap", fold_change(folds[first], folds[second], "train_val_gap", evaluation.confidence))
            | _change("source_auc_variance", _spread_change(held_out[first], held_out[second], evaluation.confidence))
            for (first, second), one in zip(pairs, found, strict=True)
        ]
    by_fold = pd.concat(folds.values(), keys=names, names=["experiment"]).reset_index("experiment")
    cautions = list(dict.fromkeys(line for name in names for line in verdicts.cautions(evalsets[name])))
    frames = (pd.DataFrame(rows), by_fold.reset_index(drop=True), pd.DataFrame(tests, columns=TEST_COLUMNS))
    return Comparison(*frames, cautions)


def difference(first: pd.DataFrame, second: pd.DataFrame) -> Influence:
    """Return the AUC of the second run minus that of the first, on the samples and folds that both held out."""
    return influence.difference(*(resampling.auc(side) for side in _paired(first, second)))


def _paired(first: pd.DataFrame, second: pd.DataFrame) -> tuple[EvalSet, EvalSet]:
    keys = pd.MultiIndex.from_frame(first[["sample_id", "fold"]])
    others = pd.MultiIndex.from_frame(second[["sample_id", "fold"]])
    return evalset.paired(first[keys.isin(others)], second[others.isin(keys)])


def judge(differences: Iterable[Influence], evaluation: Evaluation) -> list[Verdict]:
    """Return the verdicts of planned contrasts that stand in one table."""
    estimates = [resampling.recipe(one, confidence=evaluation.confidence) for one in differences]
    return verdicts.compare(estimates, evaluation.rope, evaluation.confidence)


def told(verdict: Verdict, family: int, rope: float) -> dict[str, Any]:
    """Return a verdict as columns of a table."""
    estimate = verdict.estimate
    return {
        "difference": estimate.value,
        "low": verdict.low,
        "high": verdict.high,
        "p": verdict.p,
        "verdict": verdict.word,
        "reason": verdict.reason,
        "detectable": verdicts.detectable(estimate, rope, family) if not verdict.reason else None,
        "samples": estimate.n_samples,
        "groups": estimate.n_groups,
        "repeats": estimate.repeats,
    }


def _row(folds: pd.DataFrame, chance: Verdict) -> dict[str, Any]:
    """Return the figures of one run."""
    means = folds.drop(columns=["fold", "repeat", "threshold"]).mean()
    return {
        **{str(key): value for key, value in means.items()},
        "auc": chance.estimate.value,
        "auc_low": chance.low,
        "auc_high": chance.high,
        "p_chance": chance.p,
        "chance": chance.word,
        "auc_all": means["auc"],
        "auc_std": folds["auc"].std(ddof=1),
        "samples": chance.estimate.n_samples,
        "groups": chance.estimate.n_groups,
        "repeats": chance.estimate.repeats,
    }


def _sources(aucs: Mapping[str, Influence]) -> dict[str, Any]:
    """Return how far the sources' AUCs lie apart, and the source with the lowest."""
    variance = float(resampling.source_variance(aucs).values.mean().clip(min=0))
    return {
        "source_auc_variance": variance,
        "source_auc_sd": variance**0.5,
        "hardest_source": min(aucs, key=lambda source: aucs[source].values.mean()),
    }


def _spread_change(first: pd.DataFrame, second: pd.DataFrame, confidence: float) -> statistics.Interval:
    """Return how the variance over sources changes, with the interval of the test of AUCs."""
    sides = [resampling.source_variance(resampling.source_aucs(side)) for side in _paired(first, second)]
    found = resampling.recipe(influence.difference(*sides), confidence=confidence)
    return statistics.Interval(found.value, found.low, found.high, confidence)


def _change(metric: str, change: statistics.Interval) -> dict[str, float]:
    return {f"{metric}_change": change.estimate, f"{metric}_low": change.low, f"{metric}_high": change.high}


def fold_change(first: pd.DataFrame, second: pd.DataFrame, metric: str, confidence: float) -> statistics.Interval:
    """Return how a metric changes from one run's folds to another's, on those that both have, with its 95% CI."""
    both = first.merge(second, on=["fold", "repeat"], suffixes=("_first", "_second"))
    return over_folds(both[f"{metric}_second"] - both[f"{metric}_first"], both["repeat"], confidence)


def over_folds(values: pd.Series, repeats: pd.Series, confidence: float) -> statistics.Interval:
    """Return the mean over folds with its 95% CI (repeated cross-validation)."""
    folds = len(values) // max(1, repeats.nunique())
    return statistics.fold_interval(values, statistics.held_out_share(folds), confidence)


def run(phase: str, comparisons: Mapping[str, Rows], dataset: str, evaluation: Evaluation) -> Comparison:
    """Compare the runs of a phase, and write its rows, its folds, its tests and its metrics.

    Args:
        phase: what the files are named after.
        comparisons: the tables of the phase.
        dataset: the data set of the study.
        evaluation: confidence and region of practical equivalence.

    Raises:
        InputError: a run has not been trained.
    """
    names = dict.fromkeys(name for rows in comparisons.values() for name in rows)
    return write(phase, comparisons, read(names, dataset), evaluation)


def read(experiments: Iterable[str], dataset: str, *, by_clip: bool = True) -> dict[str, pd.DataFrame]:
    """Return the predictions of runs with label, source and group.

    Args:
        experiments: the runs.
        dataset: what they were trained on.
        by_clip: whether the samples of a clip become one row, as the run pools them.

    Raises:
        InputError: a run has not been trained, or was trained on other samples.
    """
    manifest = tables.read(paths().manifest(dataset), tables.MANIFEST)
    joined = {}
    for name in experiments:
        path = paths().predictions(name)
        if not path.exists():
            raise InputError(f"{path}: not found; run deepfake train {name}, or dvc repro")
        predictions = tables.read(path, tables.PREDICTIONS)
        joined[name] = summary.join(predictions, manifest, None)
        if len(joined[name]) != len(predictions):
            raise InputError(f"{path}: it has samples that are not in the manifest; run deepfake train {name} again")
        if by_clip:
            joined[name] = pooling.by_clip(joined[name], facts_of(name)["pooling"])
    return joined


def write(
    phase: str, comparisons: Mapping[str, Rows], joined: Mapping[str, pd.DataFrame], evaluation: Evaluation
) -> Comparison:
    """Compare, and write the rows, the folds, the tests and the metrics of a phase."""
    found = compare(comparisons, joined, evaluation)
    facts = pd.DataFrame([_facts(name) for name in found.rows["experiment"]])
    rows = pd.concat([found.rows[["experiment"]], facts, found.rows.drop(columns="experiment")], axis=1)
    result_tables.write(rows, f"{phase}_experiments")
    result_tables.write(found.folds, f"{phase}_folds")
    result_tables.write(found.tests, f"{phase}_tests")
    best = rows.iloc[rows["auc"].argmax()]
    metrics = {f"best_auc{end}": round(best[f"auc{end}"], 6) for end in ("", "_low", "_high")}
    metrics |= {word: int((found.tests["verdict"] == word).sum()) for word in ("better", "worse", "undecided")}
    write_metrics(phase, metrics, [] if phase == "phase4b" else rows["experiment"])  # 4A has the same runs and more
    return found._replace(rows=rows)


def write_metrics(name: str, metrics: Mapping[str, Any], experiments: Iterable[str]) -> None:
    """Write a study's metrics, and those of its runs; runs of other studies stand in theirs."""
    own = [one for one in experiments if name.startswith(paths().run(one).parent.name)]
    runs = {one: json.loads(paths().headline(one).read_text(encoding="utf-8")) for one in own}
    text = json.dumps({**metrics, "runs": runs}, indent=2)
    tables.write_text(text + "\n", paths().study_metrics(name))


CURVES = {"history": RUN_HISTORY, "roc": RUN_ROC, "confusion": RUN_CONFUSION}
"""What `dvc plots` shows of runs, each a table of its own."""


def write_curves(phase: str, experiments: Iterable[str], kinds: Iterable[str] = tuple(CURVES)) -> None:
    """Write the curves of several runs, one below the other, of some of the kinds in `CURVES`."""
    names = list(experiments)
    for kind in kinds:
        file = CURVES[kind]
        parts = [pd.read_csv(paths().run(name) / file).assign(experiment=name) for name in names]
        result_tables.write(pd.concat(parts, ignore_index=True), f"{phase}_{kind}")


def _facts(experiment: str) -> dict[str, Any]:
    """Return the conditions that a run was trained under, as the tables show them."""
    facts = facts_of(experiment)
    view = facts["view"]
    return {
        "model": facts["model"],
        "train": facts["train"],
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
