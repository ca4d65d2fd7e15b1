"""The tables that comparisons leave behind: runs, folds, contrasts, curves of held-out predictions."""

from deepfake.tables.result_table import ResultTable, columns, floats
from deepfake.tables.schemas.parts import (
    CHANGE,
    ENDS,
    FOLD_METRICS,
    HOLDOUT,
    HOLDOUT_MEAN,
    POINTS,
    RANKED,
    SOURCES,
    TEST,
)

_EXPERIMENTS = ResultTable(
    columns(
        str="experiment model train geometry normalization holdout?",
        int="parameters resolution",
        float="fraction",
        bool="face_crop augmented pretrained",
    )
    | RANKED,
    key=("experiment",),
    families=SOURCES,
)
_FOLDS = ResultTable(
    columns(str="experiment", int="fold repeat", float="threshold") | FOLD_METRICS,
    key=("experiment", "fold"),
    families=SOURCES,
)
_TESTS = ResultTable(
    columns(str="table baseline experiment") | TEST | floats("train_val_gap source_auc_variance", *CHANGE),
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

TABLES: dict[str, ResultTable] = {
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
        | floats("recall_fake recall_real balanced_accuracy f1_macro", *ENDS),
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
        columns(str="experiment") | floats("aurc excess risk_80 risk_100", *ENDS),
        key=("experiment",),
    ),
    "*_points": POINTS,
    "*_calibration": ResultTable(
        columns(str="experiment", int="folds folds_at_bound")
        | floats("temperature", *ENDS)
        | floats("ece log_loss brier ece_floor", "_before", "_after")
        | floats("log_loss", *CHANGE),
        key=("experiment",),
    ),
    "*_reliability": ResultTable(
        columns(str="experiment", int="samples", bool="scaled")
        | floats("low high probability fakes noise_low noise_high"),
        key=("experiment", "scaled", "low"),
    ),
    "phase2_holdout": HOLDOUT,
    "phase2_sources": HOLDOUT_MEAN,
    "phase2_bars": ResultTable(
        columns(str="experiment baseline", int="folds_beyond folds samples groups", float="shift auc_change"),
        key=("experiment",),
    ),
    "phase2_interaction": ResultTable(columns(str="experiment") | TEST, key=("experiment",)),
    "phase2_shortcuts": ResultTable(columns(str="table model metric", float="without with change low high")),
    "phase2_decision": ResultTable(
        columns(str="factor table simple other chosen refused?", float="gain", int="models", bool="counts"),
        key=("factor",),
    ),
    "phase3_ranking": ResultTable(
        columns(int="rank parameters", str="candidate", float="auc", bool="chosen"), key=("candidate",)
    ),
    "final_test": _FINAL,
}
