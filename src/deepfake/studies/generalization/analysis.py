"""What detectors are worth on every data set, what they lose away from home, and which remedy changes that.

Nothing is trained or chosen here but the re-tuned thresholds, which come from the inner validation's groups of the
other data set; held-out samples only ever meet them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import pandas as pd

from deepfake import tables
from deepfake.config import RunConfig, config_of
from deepfake.config.params import Params
from deepfake.evaluation import bootstrap, decisions, performance, statistics, transfer
from deepfake.evaluation.bootstrap import Interval
from deepfake.evaluation.transfer import AUC, Scored
from deepfake.project import paths
from deepfake.runs import completion
from deepfake.studies import comparison
from deepfake.studies.generalization import covariate_shift, paired, questions
from deepfake.studies.generalization.cells import Cell, of_source, sources
from deepfake.studies.generalization.scores import Scores
from deepfake.tables import results as result_tables

if TYPE_CHECKING:
    from deepfake.studies.generalization.external import ForeignRow

NAME = "generalization"


class Found(NamedTuple):
    """What the comparison finds; `write` writes each frame as a table.

    Args:
        rows: one row a detector and data set, and one each of other people's (`kind`: trained, predictions, reported):
            its `performance.COLUMNS` at its own threshold, each with `_low` and `_high`; shares again at a threshold
            of the data set's own inner validation (`retuned_`); `learned`, when the AUC's intervals over groups and
            over folds lie above chance; what the AUC loses against the first data set that the detector has seen
            (`gap`).
        tests: one row a paired test (`paired.run`): the `metric` of `model` on `dataset`, compared with that of
            `baseline` on `baseline_dataset`. p-values are corrected over the tests of a question and metric.
        sources: one row a detector, data set and source: the AUC of its fakes against all reals, and how many of its
            samples are called fake (`called`), with intervals.
        features: one row an away data set and feature: how the reals differ from those at home, and how the baseline's
            logit moves with it within folds and classes.
        matrix: the AUC of plainly trained detectors: architecture, trained on, tested on; where several share
            architecture and training data, that of the first.
    """

    rows: pd.DataFrame
    tests: pd.DataFrame
    sources: pd.DataFrame
    features: pd.DataFrame
    matrix: pd.DataFrame


_PARTS = ("", "_tests", "_sources", "_features", "_matrix")
"""The tables' names behind `NAME`, in the order of `Found`."""


def analyse(
    cells: list[Cell],
    configs: dict[str, RunConfig],
    features: dict[str, pd.DataFrame],
    settings: Params,
    foreign: Sequence[ForeignRow] = (),
) -> Found:
    """Compare detectors across data sets.

    Args:
        cells: each detector on each data set, in the order of the table; the first detector is the baseline.
        configs: what each was trained under.
        features: of each data set its `tables.FEATURES`.
        settings: the checked params.yaml.
        foreign: other people's detectors.

    Raises:
        InputError: a fold of a data set lacks a class or has one group.
    """
    scores = Scores(cells, configs, settings)
    tests = paired.run(scores, settings.evaluation.significance)
    rows = pd.DataFrame([_row(scores, cell) | _gap_of(cell, tests) for cell in cells])
    return Found(
        # records, so that columns keep their kinds where others have no value
        pd.DataFrame([*rows.to_dict("records"), *map(_foreign, foreign)], columns=rows.columns),
        tests,
        pd.DataFrame([row for cell in cells for row in _of_sources(scores, cell)]),
        covariate_shift.compare(scores, features),
        _matrix(scores, rows),
    )


def write(cells: list[Cell], foreign: Sequence[ForeignRow], settings: Params) -> Found:
    """Compare detectors across data sets, and write the tables and the metrics of the comparison.

    Args:
        cells: each detector on each data set (`analyse`).
        foreign: other people's detectors.
        settings: the checked params.yaml.

    Raises:
        InputError: as `analyse`, or a configuration or the features of a data set are not there.
    """
    configs = {name: config_of(name) for name in dict.fromkeys(cell.model for cell in cells)}
    features = {
        dataset: tables.read(paths().features(dataset), tables.FEATURES)
        for dataset in dict.fromkeys(cell.dataset for cell in cells)
    }
    found = analyse(cells, configs, features, settings, foreign)
    for part, frame in zip(_PARTS, found, strict=True):
        result_tables.write(frame, f"{NAME}{part}")
    comparison.write_metrics(NAME, metrics(found), completion.names(settings, NAME))
    return found


def metrics(found: Found) -> dict[str, float | None]:
    """Return the metrics file of the comparison, always of the same keys.

    Away is what the baseline has not seen. A detector's AUC away is a mean over those of the data sets away that it has
    not seen itself, which may be fewer for one detector than for another. `union_away_auc` is that of the baseline's
    architecture trained on the union. None where there is no such detector or data set. `significant_gaps` counts
    losses alone.
    """
    trained = found.rows[found.rows["kind"] == "trained"]
    baseline = trained[trained["model"] == trained["model"].iloc[0]]
    home, away = baseline[baseline["home"] == 1], baseline[baseline["home"] == 0]
    unseen = trained[trained["dataset"].isin(away["dataset"]) & (trained["home"] == 0)]
    plain = found.matrix[found.matrix["architecture"] == baseline["architecture"].iloc[0]]
    union = plain[plain["trained_on"].str.contains(" + ", regex=False)]
    gaps = found.tests[(found.tests["question"] == "gap") & (found.tests["metric"] == AUC)]
    figures = {
        "baseline_home_auc": home["auc"].head(1).mean(),
        "baseline_away_auc": away["auc"].mean(),
        "baseline_gap": away["gap"].mean(),
        "union_away_auc": unseen[unseen["model"].isin(union["model"])]["auc"].mean(),
        "best_away_auc": unseen.groupby("model")["auc"].mean().max(),
        "significant_gaps": int((gaps["significant"] & (gaps["difference"] > 0)).sum()),
    }
    return {key: None if pd.isna(value) else round(value, 6) for key, value in figures.items()}


def _row(scores: Scores, cell: Cell) -> dict[str, Any]:
    """Return what one detector is worth on one data set."""
    key, config = (cell.model, cell.dataset), scores.configs[cell.model]
    of = scores.scored[key]
    found = performance.of_scores(of.labels, of.logits, of.groups, of.folds, cell.thresholds, **scores.draws)
    retuned = performance.of_decisions(decisions.decided(cell.joined, scores.retuned[key]), **scores.draws)
    aucs = transfer.by_fold(of, AUC)
    folds = statistics.fold_interval(aucs, statistics.held_out_share(len(aucs)), scores.draws["confidence"])
    held_out = cell.joined[cell.joined["subset"] == "held_out"].drop_duplicates("sample_id")
    return {
        "kind": "trained",
        "model": cell.model,
        "architecture": config.model,
        "trained_on": questions.trained_on(config, scores.configs, scores.settings),
        "dataset": cell.dataset,
        "home": int(cell.seen),
        "files": len(held_out),
        "reals": int((held_out["label"] == tables.REAL).sum()),
        "groups": held_out["group"].nunique(),
        **_flat(found),
        "fold_low": folds.low,
        "fold_high": folds.high,
        "learned": bool(min(found[AUC].low, folds.low) > 0.5),
        **_flat({f"retuned_{name}": interval for name, interval in retuned.items()}),
    }


def _of_sources(scores: Scores, cell: Cell) -> Iterator[dict[str, Any]]:
    """Yield what one detector makes of each source of a data set."""
    for source in sources(cell):
        joined = of_source(cell, source)
        of = Scored.of(joined, cell.thresholds)
        found: dict[str, Any] = dict.fromkeys(("auc", "auc_low", "auc_high"))
        if source.fake:
            found = _flat({AUC: bootstrap.auc_interval(of.labels, of.logits, of.groups, of.folds, **scores.draws)})
        metric = "recall_fake" if source.fake else "false_positive_rate"
        called = decisions.interval(decisions.decided(joined, cell.thresholds), metric, **scores.draws)
        yield {
            "model": cell.model,
            "dataset": cell.dataset,
            "source": source.name,
            "label": "fake" if source.fake else "real",
            "files": int((of.labels == source.fake).sum()),
            **found,
            **_flat({"called": called}),
        }


def _matrix(scores: Scores, rows: pd.DataFrame) -> pd.DataFrame:
    """Return the AUC of plainly trained detectors by what they were trained and tested on, one of each kind."""
    plain = rows["model"].map({name: questions.is_plain(config) for name, config in scores.configs.items()})
    columns = ["architecture", "trained_on", "dataset", "model", "home", "auc", "auc_low", "auc_high", "learned"]
    found = rows.loc[plain.astype(bool), columns].rename(columns={"dataset": "tested_on"})
    return found.drop_duplicates(["architecture", "trained_on", "tested_on"])


def _flat(intervals: Mapping[str, Interval]) -> dict[str, float]:
    """Return each estimate under its name, and its ends behind it."""
    return {
        key: value
        for name, each in intervals.items()
        for key, value in ((name, each.estimate), (f"{name}_low", each.low), (f"{name}_high", each.high))
    }


_GAP = {
    "baseline_dataset": "gap_from",
    "difference": "gap",
    "low": "gap_low",
    "high": "gap_high",
    "p_bootstrap_holm": "p_bootstrap_holm",
    "p_ttest_holm": "p_ttest_holm",
    "significant": "significant",
}
"""What the rows take from the tests of the AUC's gap, and what they call it."""


def _gap_of(cell: Cell, tests: pd.DataFrame) -> dict[str, Any]:
    """Return what a detector's AUC loses on a data set, where it has not seen it."""
    asked = (tests["question"] == "gap") & (tests["metric"] == AUC)
    found = tests[asked & (tests["model"] == cell.model) & (tests["dataset"] == cell.dataset)]
    return {new: found[old].iloc[0] if len(found) else None for old, new in _GAP.items()}


def _foreign(row: ForeignRow) -> dict[str, Any]:
    """Return somebody else's detector as a row; what is not known of it stays empty."""
    known = {name: interval for name, interval in row.performance.items() if interval is not None}
    kind = "reported" if row.reported else "predictions"
    return {"kind": kind, "model": row.title, "dataset": row.dataset, "files": row.files, **_flat(known)}
