"""Class imbalance: what losses, samplers and thresholds make of detectors that see few reals.

Nothing is trained here and no threshold is chosen: predictions, thresholds and temperatures are those that training
left behind, and the held-out samples only ever meet them.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, NamedTuple

import pandas as pd

from deepfake import tables
from deepfake.config import RunConfig, facts_of
from deepfake.config import table as planned
from deepfake.config.params import Evaluation, Params
from deepfake.evaluation import decisions, influence, resampling, verdicts
from deepfake.evaluation.decisions import GAP
from deepfake.evaluation.estimate import Estimate
from deepfake.evaluation.evalset import EvalSet
from deepfake.evaluation.influence import Influence
from deepfake.project import paths
from deepfake.studies import comparison
from deepfake.studies.operating_points.analysis import BEST_F1, DECISIONS, HALF, Case, examine, read
from deepfake.tables import results as result_tables

NAME = "imbalance"
F1 = "f1_macro"
COMPARED = ("recall_real", F1, GAP)
"""The figures of decisions that have an interval."""
SCARCE = 0.05
"""Recall of the reals below which their gap says nothing of balance: it is 0 too where nothing is predicted real."""


class Expectation(NamedTuple):
    """What the study design expects of a metric at a decision, without having measured it."""

    decision: str
    before: str
    """Of plain training, as the design writes it."""
    after: str
    target: float
    """The end of `after` that is to be reached: from above for `GAP`, else from below."""


EXPECTED = {
    "recall_real": Expectation(HALF, "30% to 40%", "60% to 75%", 0.60),
    F1: Expectation(BEST_F1, "50% to 60%", "70% to 80%", 0.70),
    GAP: Expectation(BEST_F1, "over 30%", "under 15%", 0.15),
    "auc": Expectation("", "about 70%", "over 85%", 0.85),
}


class Found(NamedTuple):
    """What `run` writes; each frame has the columns that `run` lists."""

    rows: pd.DataFrame
    tests: pd.DataFrame
    expectations: pd.DataFrame
    thresholds: pd.DataFrame
    calibration: pd.DataFrame
    reliability: pd.DataFrame
    experiments: pd.DataFrame


def run(settings: Params) -> Found:
    """Compare the runs of `studies.imbalance`, and write what was found.

    Writes:
        imbalance.csv: one row a run and decision (`DECISIONS`): figures of `decisions.METRICS` of the counts pooled
            over folds, and `auc`; of `COMPARED` and `auc` also the 95% CI (`_low`, `_high`); `chance` is the verdict
            on the AUC; held-out `samples`, `reals`, `groups`, and the `ratio` of fakes to reals among them.
        imbalance_tests.csv: one row a planned contrast (`contrasts`).
        imbalance_expectations.csv: one row a run and metric of `EXPECTED`: `value` with the interval of its verdict.
        imbalance_thresholds.csv, imbalance_calibration.csv, imbalance_reliability.csv: `Examined`, by run.
        imbalance_roc.csv, imbalance_roc_band.csv: the ROC curves of `Examined`, by run.
        imbalance_history.csv: the epochs of those runs that were trained by epochs, where there are any.
        imbalance_experiments.csv: one row a run: how it was trained, and the row of `comparison.compare`.
        metrics/imbalance.json.

    Raises:
        InputError: a run has not been trained.
    """
    table = planned(settings, NAME)
    cases = read(table, settings)
    examined = {name: examine(case, settings) for name, case in cases.items()}
    joined = {name: case.joined for name, case in cases.items()}
    compared = comparison.compare({NAME: table}, joined, settings.evaluation)
    ranked = compared.rows.set_index("experiment")
    rows = [row for name in table for row in _rows(name, cases[name], ranked.loc[name], settings.evaluation)]
    found = Found(
        pd.DataFrame(rows),
        contrasts(table, cases, compared.tests, settings.evaluation),
        expectations(cases, settings.evaluation),
        _stacked({name: each.points for name, each in examined.items()}),
        _stacked({name: pd.DataFrame([each.calibration]) for name, each in examined.items()}),
        _stacked({name: each.reliability for name, each in examined.items()}),
        _experiments(cases, compared, settings),
    )
    for part, frame in zip(PARTS, found, strict=True):
        result_tables.write(frame, f"{NAME}{part}")
    result_tables.write(_stacked({name: each.roc for name, each in examined.items()}), f"{NAME}_roc")
    result_tables.write(_stacked({name: each.band for name, each in examined.items()}), f"{NAME}_roc_band")
    if by_epochs := [name for name in table if facts_of(name)["train"] == "all"]:
        comparison.write_curves(NAME, by_epochs, ["history"])
    comparison.write_metrics(NAME, _metrics(found), table)
    return found


PARTS = ("", "_tests", "_expectations", "_thresholds", "_calibration", "_reliability", "_experiments")
"""The tables' names behind `NAME`, in the order of `Found`."""


def _stacked(frames: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Return the runs' frames one below the other."""
    return pd.concat(frames, names=["experiment"]).reset_index("experiment").reset_index(drop=True)


def _rows(name: str, case: Case, ranked: Any, evaluation: Evaluation) -> Iterable[dict[str, Any]]:
    """Yield the figures of one run at each decision; `ranked` is its row of `comparison.compare`."""
    points = decisions.operating_points(case.joined, {rule: case.thresholds(rule) for rule in DECISIONS})
    for decision, point in points.set_index("rule").iterrows():
        decided = case.decided(str(decision))
        row: dict[str, Any] = {"experiment": name, "decision": decision}
        row |= {metric: point[metric] for metric in decisions.METRICS}
        for metric in COMPARED:
            found = resampling.recipe(_figure(decided, metric), confidence=evaluation.confidence)
            value, low, high = _size(found) if metric == GAP else (found.value, found.low, found.high)
            row |= {metric: value, f"{metric}_low": low, f"{metric}_high": high}
        row |= {key: ranked[key] for key in ("auc", "auc_low", "auc_high", "chance", "samples", "groups", "repeats")}
        share = float((decided["label"] == tables.REAL).mean())
        yield row | {"reals": round(share * ranked["samples"]), "ratio": (1 - share) / share}


def _figure(decided: pd.DataFrame, metric: str) -> Influence:
    """Return a figure of decisions, with the reason where it says nothing."""
    figure = decisions.figure(decided, metric)
    if metric == GAP and decisions.figure(decided, "recall_real").values.mean() < SCARCE:
        return replace(figure, reason=f"fewer than {SCARCE:.0%} of the reals are recalled, so the gap says nothing")
    return figure


def _size(gap: Estimate) -> tuple[float, float, float]:
    """Return the size of precision less recall, and the ends of its interval; none is above 1."""
    value, low, high = gap.absolute()
    return value, low, min(high, 1.0) if high == high else high


def contrasts(
    rows: comparison.Rows, cases: Mapping[str, Case], ranked: pd.DataFrame, evaluation: Evaluation
) -> pd.DataFrame:
    """Judge what mitigations and thresholds change.

    Args:
        rows: the runs and their baselines.
        cases: the runs.
        ranked: the tests of AUC (`comparison.Comparison.tests`).
        evaluation: confidence and region of practical equivalence, of F1 as of the AUC.

    Returns:
        One row a contrast of `experiment` at `decision` with `baseline` at `baseline_decision`, by `metric`, with its
        verdict (`comparison.told`), after Holm's correction over those of the same question: `f1_half`, both at
        probability 0.5; `f1_tuned`, both at their best-F1 thresholds, where nothing is left of a mitigation that only
        moves the logits; `threshold`, a run at its best-F1 threshold with itself at probability 0.5; `auc`.
    """
    pairs = [(name, baseline) for name, baselines in rows.items() for baseline in baselines]
    asked = {
        "f1_half": [(name, HALF, baseline, HALF) for name, baseline in pairs],
        "f1_tuned": [(name, BEST_F1, baseline, BEST_F1) for name, baseline in pairs],
        "threshold": [(name, BEST_F1, name, HALF) for name in rows],
    }
    sides = ["experiment", "decision", "baseline", "baseline_decision"]
    found = []
    for question, family in asked.items():
        changes = [
            _difference(cases[baseline].decided(before), cases[name].decided(after))
            for name, after, baseline, before in family
        ]
        for sided, verdict in zip(family, comparison.judge(changes, evaluation), strict=True):
            told = comparison.told(verdict, len(family), evaluation.rope)
            found.append({"question": question, **dict(zip(sides, sided, strict=True)), "metric": F1} | told)
    columns = ["question", *sides, "metric", *comparison.TEST_COLUMNS[3:13]]
    auc = ranked.assign(question="auc", decision="", baseline_decision="", metric="auc")
    return pd.concat([part for part in (pd.DataFrame(found), auc[columns]) if len(part)], ignore_index=True)[columns]


def _difference(first: pd.DataFrame, second: pd.DataFrame) -> Influence:
    """Return the F1 of the second decisions less that of the first, on the samples and folds that both held out."""
    keys, others = (pd.MultiIndex.from_frame(each[["sample_id", "fold"]]) for each in (first, second))
    both = first[keys.isin(others)], second[others.isin(keys)]
    return influence.difference(*(decisions.figure(each, F1) for each in both))


def expectations(cases: Mapping[str, Case], evaluation: Evaluation) -> pd.DataFrame:
    """Hold each run against what the study design expects, by metric, with Holm's correction over the runs."""
    found = []
    for metric, expected in EXPECTED.items():
        figures = [_expected(case, metric, expected) for case in cases.values()]
        null, rope = (0.0, expected.target) if metric == GAP else (expected.target, evaluation.rope)
        estimates = [resampling.recipe(figure, null, evaluation.confidence) for figure in figures]
        for name, verdict in zip(cases, verdicts.compare(estimates, rope, evaluation.confidence), strict=True):
            value, low, high = verdict.estimate.value, verdict.low, verdict.high
            word = verdict.word
            if metric == GAP:  # precision less recall, of which only the size counts, within the target or beyond it
                value, low, high = _size(replace(verdict.estimate, low=low, high=high))
                word = {"equivalent": "better", "better": "worse"}.get(word, word)
            row = {"experiment": name, "metric": metric, "decision": expected.decision, "target": expected.target}
            row |= {"value": value, "low": low, "high": high, "p": verdict.p, "verdict": word}
            sizes = {"samples": verdict.estimate.n_samples, "groups": verdict.estimate.n_groups}
            found.append(row | {"reason": verdict.reason, **sizes, "repeats": verdict.estimate.repeats})
    return pd.DataFrame(found)


def _expected(case: Case, metric: str, expected: Expectation) -> Influence:
    """Return the figure of a run that is held against the design."""
    if metric == "auc":
        return resampling.auc(EvalSet.of(case.joined[case.joined["subset"] == "held_out"]))
    return _figure(case.decided(expected.decision), metric)


def _experiments(cases: Mapping[str, Case], compared: comparison.Comparison, settings: Params) -> pd.DataFrame:
    """Return how each run was trained, and what it ranks; sources also against the first baseline."""
    manifest = tables.read(paths().manifest(settings.dataset), tables.MANIFEST)
    manifest = manifest.drop_duplicates("clip_id").set_index("clip_id")
    facts = pd.DataFrame([_facts(name, case, manifest) for name, case in cases.items()])
    changes = [f"source_auc_variance_{figure}" for figure in ("change", "low", "high")]
    first = compared.tests.drop_duplicates("experiment")[["experiment", *changes]]
    return facts.merge(compared.rows, on="experiment").merge(first, on="experiment", how="left")


def _predicts_all_fake(metrics: Mapping[str, float]) -> bool:
    """Tell whether an epoch predicts every validation sample fake; a head without epochs has no such figures."""
    return metrics.get("validation_recall_real") == 0 and metrics.get("validation_recall_fake") == 1


def _facts(name: str, case: Case, manifest: pd.DataFrame) -> dict[str, Any]:
    """Return the conditions that a run was trained under."""
    facts = {key: value for key, value in facts_of(name).items() if key in RunConfig.model_fields}
    column = facts["domain"]["column"]
    return {
        "experiment": name,
        "model": facts["model"],
        "train": facts["train"],
        "loss": facts["loss"]["type"],
        "sampler": facts["sampler"],
        "class_ratio": facts["class_ratio"],
        "monitor": facts["monitor"],
        "domain": column,
        "folds": len(case.records),
        "blind_folds": sum(_predicts_all_fake(record.metrics) for record in case.records.values()),
        "best_epochs": " ".join(str(record.epoch) for _, record in sorted(case.records.items())),
        "domain_chance": None if column == "none" else _domain_chance(case.joined, manifest[column]),
    }


def _domain_chance(joined: pd.DataFrame, domain_of: pd.Series) -> float:
    """Return how often always naming the most frequent domain is right, a mean over folds.

    Among the training samples of classes with several domains, within each class, as `training.domains` has it.
    """
    train = joined[joined["subset"] == "train"]
    train = train.assign(domain=train["clip_id"].map(domain_of))
    several = train.groupby(["fold", "label"])["domain"].transform("nunique") > 1
    sizes = train[several].groupby(["fold", "label", "domain"]).size()
    right = sizes.groupby(["fold", "label"]).max().groupby("fold").sum() / sizes.groupby("fold").sum()
    return float(right.mean())


def _metrics(found: Found) -> dict[str, float]:
    """Return the metrics file of the study, always of the same keys."""
    baseline = found.rows[found.rows["experiment"] == found.rows["experiment"].iloc[0]].set_index("decision")
    figures: dict[str, float] = {
        f"baseline{ending}_{name}": baseline.loc[decision, metric]
        for decision, ending in zip(DECISIONS, ("", "_youden", "_best_f1"), strict=True)
        for name, metric in (("recall_real", "recall_real"), ("f1", F1))
    }
    figures["best_auc"] = found.rows["auc"].max()
    rounded = {key: round(float(value), 6) for key, value in figures.items()}
    words = ("better", "worse", "equivalent", "undecided")
    return rounded | {word: int((found.tests["verdict"] == word).sum()) for word in words}
