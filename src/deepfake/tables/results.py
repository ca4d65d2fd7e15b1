"""The result tables of the studies: what columns each has, checked whenever one is written or read.

They are CSV files for people and for git below `reports`; what a study writes today, a page reads back next year.
"""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from deepfake.errors import InputError
from deepfake.project import paths
from deepfake.tables import write_csv
from deepfake.tables.result_table import ResultTable, columns, floats

if TYPE_CHECKING:
    import pandas as pd


_ENDS = ("", "_low", "_high")
_DECIDED = floats(
    "accuracy balanced_accuracy precision_fake recall_fake f1_fake precision_real recall_real f1_real f1_macro"
)
_FOLD_METRICS = _DECIDED | floats(
    "auc average_precision eer tpr_at_fpr_1 tpr_at_fpr_5 brier ece log_loss train_auc validation_auc train_val_gap"
)
_SOURCES = {"auc_*": "float"}
_RANKED = _FOLD_METRICS | columns(
    str="chance hardest_source",
    float="auc_std auc_low auc_high auc_all p_chance source_auc_variance? source_auc_sd?",
    int="samples groups repeats",
)
"""What a comparison says of an experiment, beside the AUC of each source."""
_TEST = columns(str="verdict reason?", float="difference low high p detectable", int="samples groups repeats")
_CHANGE = ("_change", "_low", "_high")
_OPERATING_POINT = _DECIDED | floats("false_positive_rate precision_recall_gap")
_LOOKS = floats("face border background", "", "_area", "_excess", "_low", "_high")
"""Shares of the heat on parts of images, what share of the area these are, and the excess with its interval."""
_AGAINST_CLEAN = _TEST | {"verdict": "str?"}  # of clean images there is none

_EXPERIMENTS = ResultTable(
    columns(
        str="experiment model train geometry normalization holdout?",
        int="parameters resolution",
        float="fraction",
        bool="face_crop augmented pretrained",
    )
    | _RANKED,
    key=("experiment",),
    families=_SOURCES,
)
_FOLDS = ResultTable(
    columns(str="experiment", int="fold repeat", float="threshold") | _FOLD_METRICS,
    key=("experiment", "fold"),
    families=_SOURCES,
)
_TESTS = ResultTable(
    columns(str="table baseline experiment") | _TEST | floats("train_val_gap source_auc_variance", *_CHANGE),
    key=("table", "baseline", "experiment"),
)
_FINAL = ResultTable(columns(str="metric note?", float="value low high p", int="samples groups"), key=("metric",))
_HISTORY = ResultTable(
    columns(str="experiment", int="epoch fold", float="lr c"),
    key=("experiment", "fold", "epoch"),
    optional=("c",),  # of runs that fit a head: what was tried instead of epochs
    families={"train_*": "float", "validation_*": "float"},
)
_ROC = ResultTable(columns(str="experiment", int="fold", float="fpr tpr"))
_CONFUSION = ResultTable(
    columns(str="experiment actual predicted", int="count"), key=("experiment", "actual", "predicted")
)
_DISTRIBUTIONS = ResultTable(
    columns(str="dataset source measure", int="label samples") | floats("mean sd min q05 q25 median q75 q95 max"),
    key=("dataset", "source", "label", "measure"),
)
_POINTS = ResultTable(
    columns(str="experiment rule", int="true_fakes false_fakes true_reals false_reals", float="probability")
    | _OPERATING_POINT,
    key=("experiment", "rule"),
)

RESULTS: dict[str, ResultTable] = {
    # what comparisons leave behind
    "*_experiments": _EXPERIMENTS,
    "*_folds": _FOLDS,
    "*_tests": _TESTS,
    "*_history": _HISTORY,
    "*_roc": _ROC,
    "*_confusion": _CONFUSION,
    # curves of held-out predictions, with pointwise intervals
    "*_roc_band": ResultTable(columns(str="experiment") | floats("fpr tpr low high"), key=("experiment", "fpr")),
    "*_pr": ResultTable(
        columns(str="experiment") | floats("recall precision low high prevalence"), key=("experiment", "recall")
    ),
    "*_thresholds": ResultTable(
        columns(str="experiment", float="probability")
        | floats("recall_fake recall_real balanced_accuracy f1_macro", *_ENDS),
        key=("experiment", "probability"),
    ),
    "*_chosen": ResultTable(
        columns(str="experiment", int="fold", float="probability"),
        key=("experiment", "fold"),
    ),
    "*_risk_coverage": ResultTable(
        columns(str="experiment") | floats("coverage risk low high"), key=("experiment", "coverage")
    ),
    "*_aurc": ResultTable(
        columns(str="experiment") | floats("aurc excess risk_80 risk_100", *_ENDS),
        key=("experiment",),
    ),
    "*_points": _POINTS,
    "*_calibration": ResultTable(
        columns(str="experiment", int="folds folds_at_bound")
        | floats("temperature", *_ENDS)
        | floats("ece log_loss brier ece_floor", "_before", "_after")
        | floats("log_loss", *_CHANGE),
        key=("experiment",),
    ),
    "*_reliability": ResultTable(
        columns(str="experiment", int="samples", bool="scaled")
        | floats("low high probability fakes noise_low noise_high"),
        key=("experiment", "scaled", "low"),
    ),
    "phase2_holdout": ResultTable(
        columns(str="experiment source")
        | floats("held_out_auc in_source_auc trained_auc")
        | floats("delta", *_ENDS)
        | _TEST,
        key=("experiment",),
    ),
    "phase2_sources": ResultTable(_TEST | {"sources": "int"}),
    "phase2_bars": ResultTable(
        columns(str="experiment baseline", int="folds_beyond folds samples groups", float="shift auc_change"),
        key=("experiment",),
    ),
    "phase2_interaction": ResultTable(columns(str="experiment") | _TEST, key=("experiment",)),
    "phase2_shortcuts": ResultTable(columns(str="table model metric", float="without with change low high")),
    "phase2_decision": ResultTable(
        columns(str="factor table simple other chosen refused?", float="gain", int="models", bool="counts"),
        key=("factor",),
    ),
    "phase3_ranking": ResultTable(
        columns(int="rank parameters", str="candidate", float="auc", bool="chosen"), key=("candidate",)
    ),
    "final_test": _FINAL,
    # the data
    "faces_*": ResultTable(
        columns(str="source", int="samples found several", float="share median_confidence"),
        key=("source",),
        command="faces *",
    ),
    "eda_summary": ResultTable(
        columns(
            str="dataset formats modes",
            int="samples groups reals fakes sources fake_sources test_samples test_groups smallest_group largest_group "
            "sizes",
            float="share_fake median_group megabytes",
        )
        | floats("width height bytes", "_min", "_median", "_max"),
        key=("dataset",),
    ),
    "eda_sources": ResultTable(
        columns(str="dataset source split", int="label samples groups"), key=("dataset", "source", "label", "split")
    ),
    "eda_sizes": _DISTRIBUTIONS,
    "eda_colours": _DISTRIBUTIONS,
    "eda_differences": ResultTable(
        columns(str="dataset family level name severity verdict reason? judged_by", int="samples groups")
        | floats("auc auc_low auc_high p_holm"),
        key=("dataset", "level", "name"),
    ),
    "eda_quality": ResultTable(
        columns(str="dataset check outcome meaning", int="of?", float="value limit"), key=("dataset", "check")
    ),
    "eda_splits": ResultTable(
        columns(
            str="dataset part",
            int="repeat fold samples groups shared_groups shared_files",
            float="share_fake source_gap",
        ),
        key=("dataset", "fold", "part"),
    ),
    "eda_normalization": ResultTable(
        columns(str="statistics", int="fold images?") | floats("mean std", "_r", "_g", "_b"),
        key=("statistics", "fold"),
    ),
    "eda_zscores": ResultTable(
        columns(str="statistics source", int="label samples groups", float="z low high sd"),
        key=("statistics", "source", "label"),
    ),
    "eda_faces": ResultTable(
        columns(str="dataset source", int="label samples groups found several")
        | floats("share low high faces_per_image confidence confidence_q05 box_q05 box_median box_q95"),
        key=("dataset", "source", "label"),
    ),
    "eda_views": ResultTable(
        columns(str="dataset view", int="size label samples scales", float="face shown black scale"),
        key=("dataset", "view", "label"),
    ),
    "probes": ResultTable(
        columns(str="subject level name family nature severity verdict reason?")
        | floats("boosting_auc logistic_auc auc auc_low auc_high p p_holm"),
        key=("subject", "level", "name"),
        command="probe",
    ),
    "shortcuts_runs": ResultTable(
        columns(str="experiment view leak beyond?", int="samples groups pairs", bool="overlap")
        | floats("auc r2 matched_auc residual_auc", *_ENDS)
        | floats("leak_auc spearman_real spearman_fake matched_leak_auc matched_p"),
        key=("experiment", "leak"),
    ),
    # finished runs under corruption, and explained
    "robustness": ResultTable(
        columns(str="experiment corruption", int="level", float="strength balanced_accuracy")
        | floats("auc", *_ENDS)
        | _AGAINST_CLEAN,
        key=("experiment", "corruption", "level"),
    ),
    "robustness_summary": ResultTable(
        columns(str="experiment worst", int="level", float="worst_auc") | floats("auc", *_ENDS) | _AGAINST_CLEAN,
        key=("experiment", "level"),
    ),
    "robustness_corruptions": ResultTable(
        columns(str="experiment corruption") | floats("auc", *_ENDS) | _TEST,
        key=("experiment", "corruption"),
    ),
    "robustness_contrasts": ResultTable(
        columns(str="baseline experiment corruption") | _TEST | floats("loss_change", *_ENDS),
        key=("baseline", "experiment", "corruption"),
    ),
    "explain_gradcam": ResultTable(
        columns(str="experiment source verdict", int="label images groups without_heat cells") | _LOOKS,
        key=("experiment", "source", "verdict"),
    ),
    "explain_regions": ResultTable(
        columns(str="experiment", int="cells images groups without_heat") | _LOOKS, key=("experiment",)
    ),
    "explain_attention_changes": ResultTable(
        columns(str="phase table baseline experiment") | _TEST | floats("border background", *_CHANGE),
        key=("table", "baseline", "experiment"),
    ),
    "explain_sanity": ResultTable(
        columns(str="experiment compared", int="images groups without_heat", float="correlation low high"),
        key=("experiment", "compared"),
    ),
    "explain_deletion": ResultTable(
        columns(str="experiment order", int="images groups", float="deleted probability low high"),
        key=("experiment", "order", "deleted"),
    ),
    "explain_deletion_area": ResultTable(
        columns(str="experiment order", float="area area_low area_high") | _TEST | {"verdict": "str?"},
        key=("experiment", "order"),
    ),
    "explain_hard_examples": ResultTable(
        columns(str="experiment kind sample_id source group", int="rank fold")
        | floats("logit probability threshold margin"),
        key=("experiment", "kind", "rank"),
    ),
    "explain_hard_others": ResultTable(
        columns(str="experiment kind sample_id other", int="rank", float="percentile", bool="wrong"),
        key=("experiment", "kind", "rank", "other"),
    ),
    "explain_errors": ResultTable(
        columns(str="experiment", int="samples errors others", float="right low high independent nobody"),
        key=("experiment",),
    ),
    "explain_agreement": ResultTable(
        columns(str="first second", int="samples groups", float="both_wrong independent")
        | floats("kappa spearman error_kappa", *_ENDS),
        key=("first", "second"),
    ),
    "explain_filters": ResultTable(
        columns(str="experiment network", int="filters size folds", float="change high_before high_after"),
        key=("experiment",),
    ),
    "explain_neighbours": ResultTable(
        columns(str="experiment asked", int="samples groups classes neighbours")
        | floats("chance accuracy low high adjusted own_group own_group_chance")
        | floats("silhouette", *_ENDS),
        key=("experiment", "asked"),
    ),
    "explain_embedding": ResultTable(
        columns(str="experiment method sample_id source", int="label fold", float="x y"),
        key=("experiment", "method", "sample_id"),
    ),
    "explain_confidence": ResultTable(
        columns(str="experiment source", int="label bin count", float="low high share"),
        key=("experiment", "source", "bin"),
    ),
    "explain_confident_errors": ResultTable(
        columns(str="experiment source", int="label samples groups errors confident", float="share low high"),
        key=("experiment", "source"),
    ),
    # class imbalance
    "imbalance": ResultTable(
        columns(str="experiment decision chance", int="samples reals groups repeats", float="ratio")
        | _OPERATING_POINT
        | floats("recall_real f1_macro precision_recall_gap auc", *_ENDS),
        key=("experiment", "decision"),
    ),
    "imbalance_tests": ResultTable(
        columns(str="question experiment decision? baseline baseline_decision? metric") | _TEST,
        key=("question", "experiment", "baseline"),
    ),
    "imbalance_expectations": ResultTable(
        columns(str="experiment metric decision? verdict reason?", int="samples groups repeats")
        | floats("target value low high p"),
        key=("experiment", "metric"),
    ),
    "imbalance_thresholds": _POINTS,
    "imbalance_experiments": ResultTable(
        columns(str="experiment model train loss sampler monitor domain best_epochs", int="blind_folds folds")
        | columns(float="class_ratio domain_chance")
        | _RANKED
        | floats("source_auc_variance", *_CHANGE),
        key=("experiment",),
        families=_SOURCES,
    ),
    # other data sets
    "generalization_cells": ResultTable(
        columns(str="kind experiment model? train? recipe? trained_on? dataset? chance?", bool="pretrained?")
        | columns(int="in_domain? samples? reals? groups?", float="p_chance")
        | floats("accuracy precision recall f1 auc auc_all eer balanced_accuracy retuned_balanced_accuracy", *_ENDS),
        key=("kind", "experiment", "dataset"),
    ),
    "generalization_gaps": ResultTable(
        columns(str="metric experiment dataset reference source?") | _TEST,
        key=("metric", "experiment", "dataset", "reference", "source"),
    ),
    "generalization_contrasts": ResultTable(
        columns(str="question baseline experiment dataset") | _TEST,
        key=("question", "baseline", "experiment", "dataset"),
    ),
    "generalization_sources": ResultTable(
        columns(str="experiment dataset source", int="samples") | floats("auc", *_ENDS),
        key=("experiment", "dataset", "source"),
    ),
    "generalization_features": ResultTable(
        columns(str="dataset family feature in_domain_value? out_of_domain_value?")
        | floats("in_domain_median out_of_domain_median in_domain_share out_of_domain_share separability p")
        | floats("correlation", *_ENDS),
        key=("dataset", "feature"),
    ),
    "summary_study": ResultTable(
        dict.fromkeys(("Phase", "Variable Tested", "Models", "Data", "Resolution", "Facecrop", "Augment"), "str")
        | {"CV": "str", "Conclusion": "str"},
        command="report",
    ),
}
"""Each result table by its name; * stands for what the same table is called by elsewhere: a phase, a data set.

A table of one's own data or run goes by the same name behind `own_<data set or run>_`.
"""


def find(name: str) -> tuple[ResultTable, str]:
    """Return the schema of a table, and the command that writes it.

    Raises:
        KeyError: no table has this name.
    """
    bare, subject = name, ""
    if name.startswith("own_"):
        bare = max((known for known in RESULTS if name.endswith(f"_{known}")), key=len, default=name)
        subject = f" {name.removeprefix('own_').removesuffix(f'_{bare}')}"
    # a table's own schema goes before that of its kind
    pattern = next((known for known in (bare, *RESULTS) if known in RESULTS and fnmatchcase(bare, known)), None)
    if pattern is None:
        raise KeyError(name)
    varying = bare[len(pattern.split("*")[0]) :]
    command = RESULTS[pattern].command or paths().results(bare).name
    return RESULTS[pattern], f"deepfake {command.replace('*', varying)}{subject}"


def write(frame: pd.DataFrame, name: str) -> None:
    """Check a result table and write it.

    Raises:
        ValueError: it does not fit its schema, which is a mistake of this program.
    """
    path = paths().table(name)
    if faults := _faults(frame, find(name)[0]):
        raise ValueError(f"{path}: {faults[0]}")
    write_csv(frame, path)


def read(name: str) -> pd.DataFrame:
    """Read and check a result table; columns of words are words, even where they look like numbers.

    Raises:
        InputError: it is missing, unreadable or does not fit its schema.
    """
    import pandas as pd

    path = paths().table(name)
    table, command = find(name)
    words = {column: str for column, kind in table.columns.items() if kind.startswith("str")}
    try:
        frame = pd.read_csv(path, dtype=words)
    except FileNotFoundError:
        raise InputError(f"{path}: not found; run {command}, or dvc repro") from None
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: not a readable table: {' '.join(str(error).split())}; run {command}") from None
    if faults := _faults(frame, table):
        raise InputError(f"{path}: {faults[0]}; run {command} again")
    return frame


def _faults(frame: pd.DataFrame, table: ResultTable) -> list[str]:
    """Return what is wrong with a table."""
    missing = [name for name in table.columns if name not in frame.columns and name not in table.optional]
    if missing:
        return [f"lacks column {', '.join(missing)}"]
    # by place: where two models go by one title, so do the columns of what a page compares with them
    faults = []
    for place, name in enumerate(map(str, frame.columns)):
        kind = table.kind(name)
        if kind is None:
            faults.append(f"unknown column {name}")
        elif not _fits(frame.iloc[:, place], kind):
            faults.append(f"column {name}: expected {kind}")
    if table.key and frame.duplicated(list(table.key)).any():
        row = frame[frame.duplicated(list(table.key))].iloc[0]
        faults.append(f"{', '.join(f'{name}={row[name]}' for name in table.key)} stands there more than once")
    return faults


def _fits(values: pd.Series, kind: str) -> bool:
    """Tell whether all values of a column are of a kind."""
    present = values[values.notna() & (values.astype(str) != "")].infer_objects()
    if len(present) < len(values) and not (kind.endswith("?") or kind == "float"):
        return False
    if not len(present):
        return True
    dtype = present.dtype.kind
    if kind.startswith("int"):
        return dtype in "iu" or (dtype == "f" and bool((present % 1 == 0).all()))
    return dtype in {"str": "O", "float": "iuf", "bool": "b"}[kind.removesuffix("?")]
