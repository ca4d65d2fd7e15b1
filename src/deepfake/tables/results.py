"""The result tables of the studies: what columns each has, checked whenever one is written or read.

They are CSV files for people and for git below `reports`; what a study writes today, a page reads back next year.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from deepfake.errors import InputError
from deepfake.project import paths
from deepfake.tables import write_csv

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class ResultTable:
    """The columns of a result table and what must hold for them.

    A kind is `str`, `int`, `float` or `bool`. A float may be empty, the others only where their kind ends with `?`.

    Args:
        columns: column name to kind.
        key: the columns that together name a row; none where a table is there to be looked at only.
        optional: the columns among them that may be missing.
        families: columns that depend on the data, by a pattern of their names, to their kind.
        command: the command of `deepfake` that writes the table; * is what * stands for in the table's name. That of
            the study's name unless given.
    """

    columns: dict[str, str]
    key: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()
    families: dict[str, str] = field(default_factory=dict)
    command: str = ""

    def kind(self, column: str) -> str | None:
        """Return the kind of a column, or None for one that the table may not have."""
        matching = (kind for pattern, kind in self.families.items() if fnmatchcase(column, pattern))
        return self.columns.get(column) or next(matching, None)


def _columns(**names: str) -> dict[str, str]:
    """Return columns by kind, names apart by spaces; those that end with ? may be empty."""
    return {
        name.removesuffix("?"): f"{kind}?" if name.endswith("?") else kind
        for kind, listed in names.items()
        for name in listed.split()
    }


def _floats(stems: str, *endings: str) -> dict[str, str]:
    """Return columns of numbers: each stem with each ending."""
    return {f"{stem}{ending}": "float" for stem in stems.split() for ending in endings or ("",)}


_ENDS = ("", "_low", "_high")
_DECIDED = _floats(
    "accuracy balanced_accuracy precision_fake recall_fake f1_fake precision_real recall_real f1_real f1_macro"
)
_FOLD_METRICS = _DECIDED | _floats(
    "auc average_precision eer tpr_at_fpr_1 tpr_at_fpr_5 brier ece log_loss "
    "train_auc validation_auc train_val_gap source_auc_variance"
)
_SOURCES = {"auc_*": "float"}
_RANKED = _FOLD_METRICS | _columns(
    str="chance", float="auc_std auc_low auc_high auc_all p_chance", int="samples groups repeats"
)
"""What a comparison says of an experiment, beside the AUC of each source."""
_TEST = _columns(str="verdict reason?", float="difference low high p detectable", int="samples groups repeats")
_CHANGE = ("_change", "_low", "_high")
_OPERATING_POINT = _DECIDED | _floats("false_positive_rate precision_recall_gap")
_AGAINST_CLEAN = _TEST | {"verdict": "str?"}  # of clean images there is none

_EXPERIMENTS = ResultTable(
    _columns(
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
    _columns(str="experiment", int="fold repeat", float="threshold") | _FOLD_METRICS,
    key=("experiment", "fold"),
    families=_SOURCES,
)
_TESTS = ResultTable(
    _columns(str="table baseline experiment") | _TEST | _floats("train_val_gap source_auc_variance", *_CHANGE),
    key=("table", "baseline", "experiment"),
)
_FINAL = ResultTable(_columns(str="metric note?", float="value low high p", int="samples groups"), key=("metric",))
_HISTORY = ResultTable(
    _columns(str="experiment", int="epoch fold", float="lr c"),
    key=("experiment", "fold", "epoch"),
    optional=("c",),  # of runs that fit a head: what was tried instead of epochs
    families={"train_*": "float", "validation_*": "float"},
)
_ROC = ResultTable(_columns(str="experiment", int="fold", float="fpr tpr"))
_CONFUSION = ResultTable(
    _columns(str="experiment actual predicted", int="count"), key=("experiment", "actual", "predicted")
)

RESULTS: dict[str, ResultTable] = {
    # what comparisons leave behind
    "*_experiments": _EXPERIMENTS,
    "*_folds": _FOLDS,
    "*_tests": _TESTS,
    "*_history": _HISTORY,
    "*_roc": _ROC,
    "*_confusion": _CONFUSION,
    "phase2_holdout": ResultTable(
        _columns(str="experiment source")
        | _floats("held_out_auc in_source_auc trained_auc")
        | _floats("delta", *_ENDS)
        | _TEST,
        key=("experiment",),
    ),
    "phase2_sources": ResultTable(_TEST | {"sources": "int"}),
    "phase2_bars": ResultTable(
        _columns(str="experiment baseline", int="folds_beyond folds samples groups", float="shift auc_change"),
        key=("experiment",),
    ),
    "phase2_interaction": ResultTable(_columns(str="experiment") | _TEST, key=("experiment",)),
    "phase2_shortcuts": ResultTable(_columns(str="table model metric", float="without with change low high")),
    "phase2_decision": ResultTable(
        _columns(str="factor table simple other chosen refused?", float="gain", int="models", bool="counts"),
        key=("factor",),
    ),
    "phase3_ranking": ResultTable(
        _columns(int="rank parameters", str="candidate", float="auc", bool="chosen"), key=("candidate",)
    ),
    "final_test": _FINAL,
    # the data
    "faces_*": ResultTable(
        _columns(str="source", int="samples found several", float="share median_confidence"),
        key=("source",),
        command="faces *",
    ),
    "probes": ResultTable(
        _columns(str="subject level name family nature severity verdict reason?")
        | _floats("boosting_auc logistic_auc auc auc_low auc_high p p_holm"),
        key=("subject", "level", "name"),
        command="probe",
    ),
    "shortcuts_runs": ResultTable(
        _columns(str="experiment view leak beyond?", int="samples groups pairs", bool="overlap")
        | _floats("auc r2 matched_auc residual_auc", *_ENDS)
        | _floats("leak_auc spearman_real spearman_fake matched_leak_auc matched_p"),
        key=("experiment", "leak"),
    ),
    # finished runs under corruption, and explained
    "robustness": ResultTable(
        _columns(str="experiment corruption", int="level", float="strength balanced_accuracy")
        | _floats("auc", *_ENDS)
        | _AGAINST_CLEAN,
        key=("experiment", "corruption", "level"),
    ),
    "robustness_summary": ResultTable(
        _columns(str="experiment worst", int="level", float="worst_auc") | _floats("auc", *_ENDS) | _AGAINST_CLEAN,
        key=("experiment", "level"),
    ),
    "robustness_corruptions": ResultTable(
        _columns(str="experiment corruption") | _floats("auc", *_ENDS) | _TEST,
        key=("experiment", "corruption"),
    ),
    "robustness_contrasts": ResultTable(
        _columns(str="baseline experiment corruption") | _TEST | _floats("loss_change", *_ENDS),
        key=("baseline", "experiment", "corruption"),
    ),
    "explain_gradcam": ResultTable(
        _columns(str="experiment source verdict", int="label images groups without_heat cells")
        | _floats("heat area excess low high"),
        key=("experiment", "source", "verdict"),
    ),
    "explain_hard_examples": ResultTable(
        _columns(str="experiment kind sample_id source group", int="rank fold")
        | _floats("logit probability threshold margin"),
        key=("experiment", "kind", "rank"),
    ),
    "explain_confidence": ResultTable(
        _columns(str="experiment source", int="label bin count", float="low high share"),
        key=("experiment", "source", "bin"),
    ),
    "explain_confident_errors": ResultTable(
        _columns(str="experiment source", int="label samples groups errors confident", float="share low high"),
        key=("experiment", "source"),
    ),
    # class imbalance
    "imbalance": ResultTable(
        _columns(str="experiment decision chance", int="samples reals groups repeats", float="ratio")
        | _OPERATING_POINT
        | _floats("recall_real f1_macro precision_recall_gap auc", *_ENDS),
        key=("experiment", "decision"),
    ),
    "imbalance_tests": ResultTable(
        _columns(str="question experiment decision? baseline baseline_decision? metric") | _TEST,
        key=("question", "experiment", "baseline"),
    ),
    "imbalance_expectations": ResultTable(
        _columns(str="experiment metric decision? verdict reason?", int="samples groups repeats")
        | _floats("target value low high p"),
        key=("experiment", "metric"),
    ),
    "imbalance_thresholds": ResultTable(
        _columns(str="experiment rule", int="true_fakes false_fakes true_reals false_reals", float="probability")
        | _OPERATING_POINT,
        key=("experiment", "rule"),
    ),
    "imbalance_calibration": ResultTable(
        _columns(str="experiment", int="folds folds_at_bound")
        | _floats("temperature", *_ENDS)
        | _floats("ece log_loss brier ece_floor", "_before", "_after")
        | _floats("log_loss", *_CHANGE),
        key=("experiment",),
    ),
    "imbalance_reliability": ResultTable(
        _columns(str="experiment", float="low high probability fakes", int="samples", bool="scaled"),
        key=("experiment", "scaled", "low"),
    ),
    "imbalance_experiments": ResultTable(
        _columns(str="experiment model train loss sampler monitor domain best_epochs", int="blind_folds folds")
        | _columns(float="class_ratio domain_chance")
        | _RANKED
        | _floats("source_auc_variance", *_CHANGE),
        key=("experiment",),
        families=_SOURCES,
    ),
    # other data sets
    "generalization_cells": ResultTable(
        _columns(str="kind experiment model? train? recipe? trained_on? dataset? chance?", bool="pretrained?")
        | _columns(int="in_domain? samples? reals? groups?", float="p_chance")
        | _floats("accuracy precision recall f1 auc auc_all eer balanced_accuracy retuned_balanced_accuracy", *_ENDS),
        key=("kind", "experiment", "dataset"),
    ),
    "generalization_gaps": ResultTable(
        _columns(str="metric experiment dataset reference source?") | _TEST,
        key=("metric", "experiment", "dataset", "reference", "source"),
    ),
    "generalization_contrasts": ResultTable(
        _columns(str="question baseline experiment dataset") | _TEST,
        key=("question", "baseline", "experiment", "dataset"),
    ),
    "generalization_sources": ResultTable(
        _columns(str="experiment dataset source", int="samples") | _floats("auc", *_ENDS),
        key=("experiment", "dataset", "source"),
    ),
    "generalization_features": ResultTable(
        _columns(str="dataset family feature in_domain_value? out_of_domain_value?")
        | _floats("in_domain_median out_of_domain_median in_domain_share out_of_domain_share separability p")
        | _floats("correlation", *_ENDS),
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
