"""The tables on finished runs: under corruption, and explained."""

from deepfake.tables.result_table import ResultTable, columns, floats
from deepfake.tables.schemas.parts import AGAINST_CLEAN, CHANGE, ENDS, TEST

_LOOKS = floats("face border background", "", "_area", "_excess", "_low", "_high")
"""Shares of the heat on parts of images, what share of the area these are, and the excess with its interval."""

TABLES: dict[str, ResultTable] = {
    # finished runs under corruption, and explained
    "robustness": ResultTable(
        columns(str="experiment corruption", int="level", float="strength balanced_accuracy")
        | floats("auc", *ENDS)
        | AGAINST_CLEAN,
        key=("experiment", "corruption", "level"),
    ),
    "robustness_summary": ResultTable(
        columns(str="experiment worst", int="level", float="worst_auc") | floats("auc", *ENDS) | AGAINST_CLEAN,
        key=("experiment", "level"),
    ),
    "robustness_corruptions": ResultTable(
        columns(str="experiment corruption") | floats("auc", *ENDS) | TEST,
        key=("experiment", "corruption"),
    ),
    "robustness_contrasts": ResultTable(
        columns(str="baseline experiment corruption") | TEST | floats("loss_change", *ENDS),
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
        columns(str="phase table baseline experiment") | TEST | floats("border background", *CHANGE),
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
        columns(str="experiment order", float="area area_low area_high") | TEST | {"verdict": "str?"},
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
        | floats("kappa spearman error_kappa", *ENDS),
        key=("first", "second"),
    ),
    "explain_filters": ResultTable(
        columns(str="experiment network", int="filters size folds", float="change high_before high_after"),
        key=("experiment",),
    ),
    "explain_neighbours": ResultTable(
        columns(str="experiment asked", int="samples groups classes neighbours")
        | floats("chance accuracy low high adjusted own_group own_group_chance")
        | floats("silhouette", *ENDS),
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
}
