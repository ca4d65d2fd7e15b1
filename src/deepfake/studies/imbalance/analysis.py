"""Class imbalance: what losses, samplers and thresholds make of detectors that see few reals.

Nothing is trained here and no threshold is chosen: predictions, thresholds and temperatures are those that training
left behind, and the held-out samples only ever meet them.
"""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import pandas as pd

from deepfake import tables
from deepfake.config import RunConfig, facts_of
from deepfake.config import table as planned
from deepfake.config.params import Evaluation, Params
from deepfake.evaluation import decisions, statistics
from deepfake.evaluation.decisions import GAP
from deepfake.project import paths
from deepfake.studies import comparison
from deepfake.studies.operating_points.analysis import HALF, TUNED, Case, examine, read
from deepfake.tables import results as result_tables

NAME = "imbalance"
COMPARED = ("recall_real", "f1_macro", GAP)
"""What decisions are compared by; AUC, which knows no threshold, is compared once."""
MOVED = {"f1_macro": "best_f1", "balanced_accuracy": TUNED}
"""The decision that is chosen for a metric. With both sides cut there, nothing is left of a remedy that only moves
logits: their rankings are compared."""


class Found(NamedTuple):
    """What `run` writes; each frame has the columns that `run` tells."""

    rows: pd.DataFrame
    tests: pd.DataFrame
    cuts: pd.DataFrame
    calibration: pd.DataFrame
    reliability: pd.DataFrame
    experiments: pd.DataFrame


def run(settings: Params) -> Found:
    """Compare the runs of `studies.imbalance`, and write what was found.

    Writes:
        imbalance.csv: one row an experiment and decision (`HALF`, `TUNED`): figures of `decisions.METRICS` and `auc`;
            of `COMPARED` and `auc` also the standard deviation over folds (`_std`), the interval over groups (`_low`,
            `_high`) and that over folds (`_fold_low`, `_fold_high`); held-out `samples`, `reals`, `groups`, and the
            `ratio` of fakes to reals among them.
        imbalance_tests.csv: one row a paired test (`paired`).
        imbalance_thresholds.csv, imbalance_calibration.csv, imbalance_reliability.csv: `Examined`, by experiment.
        imbalance_experiments.csv: one row an experiment: how it was trained, and the row of `comparison.compare`.
        metrics/imbalance.json.

    Raises:
        InputError: an experiment has not been trained.
    """
    table = planned(settings, NAME)
    cases = read(table, settings)
    examined = {name: examine(case, settings) for name, case in cases.items()}
    evaluation, seed = settings.evaluation, settings.shared.seed
    joined = {name: case.joined for name, case in cases.items()}
    # a pair is compared on the same held-out samples, or not at all
    pairs = {name: tuple(each for each in table[name] if _same(joined[each], joined[name])) for name in table}
    compared = comparison.compare({NAME: pairs}, joined, evaluation, seed)
    ranked = compared.rows.set_index("experiment")
    rows = [
        row for name in table for row in _rows(cases[name], examined[name].folds, ranked.loc[name], evaluation, seed)
    ]
    found = Found(
        pd.DataFrame(rows),
        paired(pairs, cases, {name: each.folds for name, each in examined.items()}, compared.tests, evaluation, seed),
        _stacked({name: each.cuts for name, each in examined.items()}),
        _stacked({name: pd.DataFrame([each.calibration]) for name, each in examined.items()}),
        _stacked({name: each.reliability for name, each in examined.items()}),
        _experiments(cases, compared, settings),
    )
    for part, frame in zip(PARTS, found, strict=True):
        result_tables.write(frame, f"{NAME}{part}")
    comparison.write_metrics(NAME, _metrics(found), table)
    return found


PARTS = ("", "_tests", "_thresholds", "_calibration", "_reliability", "_experiments")
"""The tables' names behind `NAME`, in the order of `Found`."""


def _stacked(frames: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Return the experiments' frames one below the other."""
    return pd.concat(frames, names=["experiment"]).reset_index("experiment").reset_index(drop=True)


def _same(first: pd.DataFrame, other: pd.DataFrame) -> bool:
    """Tell whether two experiments were held out on the same samples in the same folds."""
    kept = [frame.loc[frame["subset"] == "held_out", ["sample_id", "fold"]] for frame in (first, other)]
    return set(map(tuple, kept[0].to_numpy())) == set(map(tuple, kept[1].to_numpy()))


def _rows(case: Case, folds: pd.DataFrame, ranked: Any, evaluation: Evaluation, seed: int) -> Iterable[dict[str, Any]]:
    """Yield the figures of one experiment, at each decision.

    Args:
        case: the experiment.
        folds: its cuts (`Examined.folds`).
        ranked: its row of `comparison.compare`, which knows its AUC.
        evaluation: confidence and replicates.
        seed: of the bootstrap.
    """
    held_out = case.joined[case.joined["subset"] == "held_out"]
    share = statistics.held_out_share(case.joined["fold"].nunique())
    reals = int((held_out["label"] == tables.REAL).sum())
    sizes = {"samples": len(held_out), "reals": reals, "groups": held_out["group"].nunique()}
    ends = {"auc_low": "auc_low", "auc_high": "auc_high", "auc_fold_low": "fold_low", "auc_fold_high": "fold_high"}
    auc = {"auc": ranked["auc"], "auc_std": ranked["auc_std"]} | {end: ranked[key] for end, key in ends.items()}
    for decision in (HALF, TUNED):
        inside = folds[folds["rule"] == decision].set_index("fold")
        decided = decisions.decided(case.joined, _thresholds(inside))
        row: dict[str, Any] = {"experiment": case.joined["experiment"].iloc[0], "decision": decision}
        row |= {metric: inside[metric].mean() for metric in decisions.METRICS}
        for metric in COMPARED:
            groups = decisions.interval(
                decided, metric, evaluation.bootstrap_replicates, seed, confidence=evaluation.confidence
            )
            over_folds = statistics.fold_interval(inside[metric], share, evaluation.confidence)
            row |= {f"{metric}_std": inside[metric].std(ddof=1), f"{metric}_low": groups.low}
            row |= {f"{metric}_high": groups.high}
            row |= {f"{metric}_fold_low": over_folds.low, f"{metric}_fold_high": over_folds.high}
        yield row | auc | sizes | {"ratio": (len(held_out) - reals) / reals}


def _thresholds(rows: pd.DataFrame) -> dict[int, float]:
    """Return each fold's threshold, from rows whose index is the fold."""
    return dict(zip(rows.index.tolist(), rows["threshold"].tolist(), strict=True))


class _Pair(NamedTuple):
    """Two decisions that are compared by a metric, and the question that this answers."""

    question: str
    experiment: str
    decision: str
    baseline: str
    baseline_decision: str
    metric: str


def _pairs(rows: comparison.Rows) -> Iterable[_Pair]:
    """Yield what is compared."""
    against = [(name, baseline) for name, baselines in rows.items() for baseline in baselines]
    for metric in COMPARED:
        for decision in (HALF, TUNED):
            for name, baseline in against:
                yield _Pair("remedy", name, decision, baseline, decision, metric)
        for name in rows:
            yield _Pair("threshold", name, TUNED, name, HALF, metric)
    for metric, moved in MOVED.items():
        for name, baseline in against:
            yield _Pair("beyond", name, moved, baseline, moved, metric)


def paired(
    rows: comparison.Rows,
    cases: Mapping[str, Case],
    folds: Mapping[str, pd.DataFrame],
    ranked: pd.DataFrame,
    evaluation: Evaluation,
    seed: int,
) -> pd.DataFrame:
    """Test what remedies and thresholds change.

    Args:
        rows: the experiments and the baselines that were held out on the same samples.
        cases: the experiments.
        folds: the cuts of each (`Examined.folds`).
        ranked: the tests of AUC (`comparison.Comparison.tests`).
        evaluation: confidence, replicates and significance.
        seed: of the bootstrap.

    Returns:
        One row a test of `experiment` at `decision` against `baseline` at `baseline_decision`, by `metric`, with
        `difference`, its interval over groups `low, high`, both p-values, both after Holm's correction over the tests
        of the same question, decision and metric (a column of the page), `over_groups`, when the bootstrap says so,
        and `significant`, when both do.
        `question` tells what is asked: `remedy`, the same decision of both; `threshold`, an experiment tuned against
        itself at probability 0.5; `beyond`, both at the threshold chosen for the metric (`MOVED`): is the remedy more
        than a moved threshold?
    """
    at = {
        (name, str(decision)): rows.set_index("fold")
        for name, frame in folds.items()
        for decision, rows in frame.groupby("rule")
    }
    found = []
    for pair in _pairs(rows):
        sides = ((pair.baseline, pair.baseline_decision), (pair.experiment, pair.decision))
        first, second = (decisions.decided(cases[side[0]].joined, _thresholds(at[side])) for side in sides)
        difference = decisions.difference(
            first, second, pair.metric, evaluation.bootstrap_replicates, seed, confidence=evaluation.confidence
        )
        by_fold = at[sides[1]][pair.metric] - at[sides[0]][pair.metric]
        share = statistics.held_out_share(cases[pair.baseline].joined["fold"].nunique())
        found.append(
            pair._asdict()
            | {"difference": difference.estimate, "low": difference.low, "high": difference.high}
            | {
                "p_bootstrap": difference.p_value,
                "p_ttest": statistics.corrected_resampled_ttest(by_fold, share).p_value,
            }
        )
    auc = ranked.assign(question="remedy", decision="", baseline_decision="", metric="auc")
    return _corrected(pd.concat([pd.DataFrame(found, columns=_TESTED), auc[_TESTED]]), evaluation.significance)


_TESTED = [*_Pair._fields, "difference", "low", "high", "p_bootstrap", "p_ttest"]


def _corrected(tests: pd.DataFrame, significance: float) -> pd.DataFrame:
    """Correct the tests of each column of the page's tables for their number: a question at a decision by a metric."""
    tests = tests.reset_index(drop=True)
    family = ["question", "decision", "metric"]
    for kind in ("p_bootstrap", "p_ttest"):
        tests[f"{kind}_holm"] = tests.groupby(family)[kind].transform(statistics.holm)
    return tests.assign(
        over_groups=tests["p_bootstrap_holm"] <= significance,
        significant=tests[["p_bootstrap_holm", "p_ttest_holm"]].max(axis=1) <= significance,
    )


def _experiments(cases: Mapping[str, Case], compared: comparison.Comparison, settings: Params) -> pd.DataFrame:
    """Return how each experiment was trained, and what it ranks; sources also against the first baseline."""
    manifest = tables.read(paths().manifest(settings.dataset), tables.MANIFEST).set_index("sample_id")
    configs = {name: facts_of(name) for name in cases}
    first = next(iter(configs.values()))
    facts = pd.DataFrame([_facts(configs[name], first, case, manifest) for name, case in cases.items()])
    changes = [f"source_auc_variance_{figure}" for figure in ("change", "low", "high")]
    first = compared.tests.drop_duplicates("experiment")[["experiment", *changes]]
    return facts.merge(compared.rows, on="experiment").merge(first, on="experiment", how="left")


def _is_blind(metrics: Mapping[str, float]) -> bool:
    """Tell whether an epoch calls every validation sample fake."""
    return metrics["validation_recall_real"] == 0 and metrics["validation_recall_fake"] == 1


def _differing(facts: Mapping[str, Any], baseline: Mapping[str, Any]) -> set[str]:
    """Return in which settings two experiments differ, beside their names."""
    return {key for key in RunConfig.model_fields if key not in ("experiment", "study") and facts[key] != baseline[key]}


def _facts(facts: Mapping[str, Any], baseline: Mapping[str, Any], case: Case, manifest: pd.DataFrame) -> dict[str, Any]:
    """Return the conditions that an experiment was trained under, compared with those of the first."""
    epochs = [record.epoch for _, record in sorted(case.records.items())]
    column = facts["domain"]["column"]
    return {
        "experiment": facts["experiment"],
        "model": facts["model"],
        "loss": facts["loss"]["type"],
        "sampler": facts["sampler"],
        "class_ratio": facts["class_ratio"],
        "monitor": facts["monitor"],
        "domain": column,
        "best_epoch": pd.Series(epochs).mean(),
        "blind_folds": sum(_is_blind(record.metrics) for record in case.records.values()),
        "only_monitor_differs": _differing(facts, baseline) == {"monitor"},
        "best_epochs": " ".join(str(epoch) for epoch in epochs),
        "domain_chance": None if column == "none" else _domain_chance(case.joined, manifest[column]),
    }


def _domain_chance(joined: pd.DataFrame, domain_of: pd.Series) -> float:
    """Return how often always naming the most frequent domain is right, a mean over folds.

    Among the training samples of classes with several domains, within each class, as `training.domains` has it.
    """
    train = joined[joined["subset"] == "train"]
    train = train.assign(domain=train["sample_id"].map(domain_of))
    several = train.groupby(["fold", "label"])["domain"].transform("nunique") > 1
    sizes = train[several].groupby(["fold", "label", "domain"]).size()
    right = sizes.groupby(["fold", "label"]).max().groupby("fold").sum() / sizes.groupby("fold").sum()
    return float(right.mean())


def _metrics(found: Found) -> dict[str, float]:
    """Return the metrics file of the study, always of the same keys."""
    baseline = found.rows[found.rows["experiment"] == found.rows["experiment"].iloc[0]].set_index("decision")
    figures: dict[str, float] = {
        f"baseline{prefix}_{name}": baseline.loc[decision, metric]
        for decision, prefix in ((HALF, ""), (TUNED, "_tuned"))
        for name, metric in (("recall_real", "recall_real"), ("f1", "f1_macro"))
    }
    figures["best_auc"] = found.rows["auc"].max()
    rounded = {key: round(float(value), 6) for key, value in figures.items()}
    learned = found.experiments.loc[found.experiments["learned"].astype(bool), "experiment"]
    # the gap is 0 where nothing is called real, and decisions of what cannot be told from guessing are no detection
    told = found.tests[(found.tests["metric"] != GAP) & found.tests["experiment"].isin(learned)]
    return rounded | {"significant_differences": int(told["significant"].sum())}
