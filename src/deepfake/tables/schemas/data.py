"""The tables on data: what they look like, and what predicts the label without a look at the content."""

from deepfake.tables.result_table import ResultTable, columns, floats
from deepfake.tables.schemas.parts import ENDS

_DISTRIBUTIONS = ResultTable(
    columns(str="dataset source measure", int="label samples") | floats("mean sd min q05 q25 median q75 q95 max"),
    key=("dataset", "source", "label", "measure"),
)

TABLES: dict[str, ResultTable] = {
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
        | floats("auc r2 matched_auc residual_auc", *ENDS)
        | floats("leak_auc spearman_real spearman_fake matched_leak_auc matched_p"),
        key=("experiment", "leak"),
    ),
}
