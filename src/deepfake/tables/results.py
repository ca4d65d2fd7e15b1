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
_PS = _floats("p_bootstrap p_ttest p_bootstrap_holm p_ttest_holm")
_TEST = _columns(str="verdict reason?", float="difference low high p detectable", int="samples groups repeats")
_CHANGE = ("_change", "_low", "_high")
_CUT = _DECIDED | _floats("false_positive_rate precision_recall_gap")
_SPREAD = ("_std", "_low", "_high", "_fold_low", "_fold_high")
_DROP = _floats("drop", *_ENDS)

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
_HISTORY = ResultTable(
    _columns(str="experiment", int="epoch fold", float="lr"),
    key=("experiment", "fold", "epoch"),
    families={"train_*": "float", "validation_*": "float"},
)
_ROC = ResultTable(_columns(str="experiment", int="fold", float="fpr tpr"))
_CONFUSION = ResultTable(
    _columns(str="experiment actual predicted", int="count"), key=("experiment", "actual", "predicted")
)

_SIZE = dict.fromkeys(("n (groups)", "n (groups) groups"), "int")
_TWO_PS = dict.fromkeys([f"p (Holm, the larger of two tests) {test}" for test in ("bootstrap", "t-test")], "float")
_INTERVALS = {"*% interval *": "float"}  # headings name the confidence
_MODELS = ResultTable(
    {"Experiment": "str", "Model": "str", "Params": "int"}
    | dict.fromkeys(("AUC (mean ± std)", "AUC (mean ± std) std", "Train/Val Gap", "Per-Source AUC Variance"), "float")
    | dict.fromkeys(("EER", "Balanced Accuracy", "Recall (Fake)", "Recall (Real)", "Brier", "ECE"), "float")
    | {"Test AUC": "float"}
    | _SIZE,
    optional=("Experiment",),
    families=_INTERVALS | {"Δ to *": "float", "* AUC": "float"},
    command="report",
)
_CONDITIONS = ResultTable(
    {"Experiment": "str", "significant": "bool?"}
    | dict.fromkeys(("AUC", "AUC std", "Train/Val Gap", "Per-Source AUC Variance", "Δ"), "float")
    | _TWO_PS
    | _SIZE,
    families=_INTERVALS,
    command="report",
)
_PAIRED = ResultTable(
    {"Model": "str", "significant": "bool?"} | _TWO_PS | _SIZE,
    families=_INTERVALS
    | dict.fromkeys(("* AUC", "* AUC std", "Δ", "Δ (*)", "Train/Val Gap (*)", "Source Variance (*)"), "float"),
    command="report",
)
_HOLDOUT_SHOWN = ResultTable(
    {"Experiment": "str", "Held-out Source": "str?", "Train Sources": "str"}
    | dict.fromkeys([f"{side} AUC{std}" for side in ("Held-out", "In-Source") for std in ("", " std")], "float")
    | dict.fromkeys(("Δ (In-Source - Held-out)", "p of Δ (Holm)", "Same Source, Trained On"), "float")
    | {"Benefit of Training On It": "float"}
    | {heading.replace("p (", "p of Benefit ("): kind for heading, kind in _TWO_PS.items()}
    | _SIZE,
    families=_INTERVALS,
    command="report",
)

RESULTS: dict[str, ResultTable] = {
    # what comparisons leave behind, and what the report makes of them
    "*_experiments": _EXPERIMENTS,
    "*_folds": _FOLDS,
    "*_tests": _TESTS,
    "*_history": _HISTORY,
    "*_roc": _ROC,
    "*_confusion": _CONFUSION,
    **dict.fromkeys(("custom", "phase1", "phase3", "phase4b"), _MODELS),
    **dict.fromkeys(("phase2a_geometry", "phase2a_colour"), _CONDITIONS),
    **dict.fromkeys(("phase2b", "phase2c", "phase2d", "phase2e", "phase4a"), _PAIRED),
    "phase2a_holdout": _HOLDOUT_SHOWN,
    "phase2_holdout": ResultTable(
        _columns(str="experiment source", bool="delta_significant benefit_significant")
        | _floats("held_out_auc held_out_std in_source_auc in_source_std trained_auc")
        | _floats("delta benefit", *_ENDS)
        | _floats("p_delta p_benefit_bootstrap p_benefit_ttest", "", "_holm"),
        key=("experiment",),
    ),
    "phase2_shortcuts": ResultTable(
        _columns(str="table model metric", float="without with change low high"), command="report"
    ),
    "phase2_decision": ResultTable(
        _columns(
            str="factor table simple other chosen refused?", float="gain standard_error", int="models", bool="counts"
        ),
        key=("factor",),
    ),
    "phase3_ranking": ResultTable(
        _columns(int="rank parameters", str="candidate", float="auc", bool="chosen"), key=("candidate",)
    ),
    # the data
    "faces_*": ResultTable(
        _columns(str="source", int="samples found several", float="share median_confidence"),
        key=("source",),
        command="faces *",
    ),
    "probes": ResultTable(
        _columns(str="subject level name family nature severity")
        | _floats("boosting_auc logistic_auc auc auc_low auc_high fold_low fold_high p p_holm"),
        key=("subject", "level", "name"),
        command="probe",
    ),
    "shortcuts_runs": ResultTable(
        _columns(str="experiment view leak", int="samples groups pairs", bool="overlap")
        | _floats("auc r2 matched_auc residual_auc", *_ENDS)
        | _floats("leak_auc spearman_real spearman_fake matched_leak_auc"),
        key=("experiment", "leak"),
    ),
    # finished runs under strain, and explained
    "robustness": ResultTable(
        _columns(str="experiment corruption", int="level")
        | _floats("strength auc auc_std low high balanced_accuracy")
        | _DROP,
        key=("experiment", "corruption", "level"),
    ),
    "robustness_summary": ResultTable(
        _columns(str="experiment worst", int="level samples groups", float="auc worst_auc") | _DROP,
        key=("experiment", "level"),
    ),
    "robustness_corruptions": ResultTable(
        _columns(str="experiment corruption", float="chance") | _DROP | _floats("behind", *_ENDS),
        key=("experiment", "corruption"),
    ),
    "robustness_contrasts": ResultTable(
        _columns(str="baseline experiment corruption") | _floats("auc", *_ENDS) | _DROP,
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
        _columns(str="experiment decision", int="samples reals groups", float="auc ratio")
        | _CUT
        | _floats("recall_real f1_macro precision_recall_gap auc", *_SPREAD),
        key=("experiment", "decision"),
    ),
    "imbalance_tests": ResultTable(
        _columns(str="question experiment decision? baseline baseline_decision? metric", bool="over_groups") | _TEST,
        key=("question", "experiment", "decision", "baseline", "baseline_decision", "metric"),
    ),
    "imbalance_thresholds": ResultTable(
        _columns(str="experiment cut", int="true_fakes false_fakes true_reals false_reals")
        | _floats(f"probability {' '.join(_CUT)}", "", "_std"),
        key=("experiment", "cut"),
    ),
    "imbalance_calibration": ResultTable(
        _columns(str="experiment", int="folds_at_bound", float="temperature temperature_std")
        | _floats("ece log_loss brier", "_before", "_before_std", "_after", "_after_std", *_CHANGE),
        key=("experiment",),
    ),
    "imbalance_reliability": ResultTable(
        _columns(str="experiment", float="low high probability fakes", int="samples", bool="scaled"),
        key=("experiment", "scaled", "low"),
    ),
    "imbalance_experiments": ResultTable(
        _columns(str="experiment model loss sampler monitor domain best_epochs", bool="only_monitor_differs")
        | _columns(int="blind_folds", float="class_ratio best_epoch domain_chance")
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
