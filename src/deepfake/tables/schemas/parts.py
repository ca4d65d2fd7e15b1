"""What the schemas of several result tables have in common."""

from deepfake.tables.result_table import ResultTable, columns, floats

ENDS = ("", "_low", "_high")
DECIDED = floats(
    "accuracy balanced_accuracy precision_fake recall_fake f1_fake precision_real recall_real f1_real f1_macro"
)
FOLD_METRICS = DECIDED | floats(
    "auc average_precision eer tpr_at_fpr_1 tpr_at_fpr_5 brier ece log_loss train_auc validation_auc train_val_gap"
)
SOURCES = {"auc_*": "float"}
RANKED = FOLD_METRICS | columns(
    str="chance hardest_source",
    float="auc_std auc_low auc_high auc_all p_chance source_auc_variance? source_auc_sd?",
    int="samples groups repeats",
)
"""What a comparison says of an experiment, beside the AUC of each source."""
TEST = columns(str="verdict reason?", float="difference low high p detectable", int="samples groups repeats")
CHANGE = ("_change", "_low", "_high")
OPERATING_POINT = DECIDED | floats("false_positive_rate precision_recall_gap")
AGAINST_CLEAN = TEST | {"verdict": "str?"}  # of clean images there is none
POINTS = ResultTable(
    columns(str="experiment rule", int="true_fakes false_fakes true_reals false_reals", float="probability")
    | OPERATING_POINT,
    key=("experiment", "rule"),
)
HOLDOUT = ResultTable(
    columns(str="experiment source") | floats("held_out_auc in_source_auc trained_auc") | floats("delta", *ENDS) | TEST,
    key=("experiment",),
)
"""What detectors make of a source that they were not trained on."""
HOLDOUT_MEAN = ResultTable(TEST | {"sources": "int"})
