"""The tables of single studies: class imbalance, other data sets, the summary."""

from deepfake.tables.result_table import ResultTable, columns, floats
from deepfake.tables.schemas.parts import (
    CHANGE,
    ENDS,
    HOLDOUT,
    HOLDOUT_MEAN,
    OPERATING_POINT,
    POINTS,
    RANKED,
    SOURCES,
    TEST,
)

_BY_SOURCE = ResultTable(
    columns(str="experiment source", int="samples groups repeats") | floats("auc", *ENDS), key=("experiment", "source")
)
_PROBES = ResultTable(
    columns(str="dataset level name family nature severity verdict reason?", int="samples groups")
    | floats("boosting_auc logistic_auc auc auc_low auc_high p p_holm"),
    key=("dataset", "level", "name"),
)

TABLES: dict[str, ResultTable] = {
    # class imbalance
    "imbalance": ResultTable(
        columns(str="experiment decision chance", int="samples reals groups repeats", float="ratio")
        | OPERATING_POINT
        | floats("recall_real f1_macro precision_recall_gap auc", *ENDS),
        key=("experiment", "decision"),
    ),
    "imbalance_tests": ResultTable(
        columns(str="question experiment decision? baseline baseline_decision? metric") | TEST,
        key=("question", "experiment", "baseline"),
    ),
    "imbalance_expectations": ResultTable(
        columns(str="experiment metric decision? verdict reason?", int="samples groups repeats")
        | floats("target value low high p"),
        key=("experiment", "metric"),
    ),
    "imbalance_thresholds": POINTS,
    "imbalance_experiments": ResultTable(
        columns(str="experiment model train loss sampler monitor domain best_epochs", int="blind_folds folds")
        | columns(float="class_ratio domain_chance")
        | RANKED
        | floats("source_auc_variance", *CHANGE),
        key=("experiment",),
        families=SOURCES,
    ),
    # other data sets
    "generalization_cells": ResultTable(
        columns(str="kind experiment model? train? recipe? trained_on? dataset? chance?", bool="pretrained?")
        | columns(int="in_domain? samples? reals? groups?", float="p_chance")
        | floats("accuracy precision recall f1 auc auc_all eer balanced_accuracy retuned_balanced_accuracy", *ENDS),
        key=("kind", "experiment", "dataset"),
    ),
    "generalization_gaps": ResultTable(
        columns(str="metric experiment dataset reference source?") | TEST,
        key=("metric", "experiment", "dataset", "reference", "source"),
    ),
    "generalization_contrasts": ResultTable(
        columns(str="question baseline experiment dataset") | TEST,
        key=("question", "baseline", "experiment", "dataset"),
    ),
    "generalization_sources": ResultTable(
        columns(str="experiment dataset source", int="samples") | floats("auc", *ENDS),
        key=("experiment", "dataset", "source"),
    ),
    "generalization_features": ResultTable(
        columns(str="dataset family feature in_domain_value? out_of_domain_value?")
        | floats("in_domain_median out_of_domain_median in_domain_share out_of_domain_share separability p")
        | floats("correlation", *ENDS),
        key=("dataset", "feature"),
    ),
    # data sets of speech and of clips
    "audio_eer": ResultTable(
        columns(str="experiment", int="samples groups repeats") | floats("eer", *ENDS), key=("experiment",)
    ),
    "audio_vocoders": _BY_SOURCE,
    "audio_holdout": HOLDOUT,
    "audio_holdout_mean": HOLDOUT_MEAN,
    "audio_cells": ResultTable(
        columns(str="experiment dataset chance", int="in_domain samples reals groups", float="p_chance")
        | floats("accuracy precision recall f1 auc auc_all eer balanced_accuracy retuned_balanced_accuracy", *ENDS),
        key=("experiment", "dataset"),
    ),
    "audio_gaps": ResultTable(
        columns(str="metric experiment dataset reference source?") | TEST,
        key=("metric", "experiment", "dataset", "reference", "source"),
    ),
    "audio_probes": _PROBES,
    "video_pooling": ResultTable(
        columns(str="experiment pooling") | floats("auc", *ENDS) | TEST | {"verdict": "str?"},
        key=("experiment", "pooling"),
    ),
    "video_frames": ResultTable(
        columns(str="experiment", int="frames") | floats("auc", *ENDS) | TEST | {"verdict": "str?"},
        key=("experiment", "frames"),
    ),
    "video_sources": _BY_SOURCE,
    "video_rates": ResultTable(
        columns(str="experiment rate", int="samples groups repeats", float="kilobits") | floats("auc", *ENDS),
        key=("experiment", "rate"),
    ),
    "video_probes": _PROBES,
    "summary_study": ResultTable(
        dict.fromkeys(("Phase", "Variable Tested", "Models", "Data", "Resolution", "Facecrop", "Augment"), "str")
        | {"CV": "str", "Conclusion": "str"},
        command="report",
    ),
}
