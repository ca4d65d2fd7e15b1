"""The deep dive: first layers, maps between, and what the last features separate."""

from collections.abc import Sequence
from typing import Any

from deepfake.config.params import Evaluation
from deepfake.progress import SILENT, Progress
from deepfake.reports.columns import Column, Table, estimate, number, text
from deepfake.reports.findings import Finding
from deepfake.studies.explain import cases, embedding, filters, panel
from deepfake.tables import results as result_tables

_FILTERS = [
    text("Network", "network"),
    text("Experiment", "experiment"),
    Column("First layer", {"": "filters", "size": "size"}, "{0} filters of {1}×{1}".format),
    number("Change in training", "change", "{:.0%}"),
    number("High frequencies before", "high_before", "{:.0%}"),
    number("After", "high_after", "{:.0%}"),
]
_NEIGHBOURS = [
    text("Experiment", "experiment"),
    text("Asked", "asked"),
    Column("n (groups)", {"": "samples", "groups": "groups"}, "{:,} ({})".format),
    estimate("Balanced accuracy [95% CI]", "accuracy", "low", "high"),
    number("Adjusted", "adjusted"),
    estimate("Silhouette [95% CI]", "silhouette", "silhouette_low", "silhouette_high", "{:+.3f}"),
    Column("Same group (chance)", {"": "own_group", "chance": "own_group_chance"}, "{:.0%} ({:.0%})".format),
]


def run(experiments: Sequence[str], evaluation: Evaluation, progress: Progress = SILENT) -> list[Finding]:
    """Write the tables and figures of `filters` and `embedding` and the photograph `feature_maps`; return the findings.

    Args:
        experiments: the explained runs, of one data set.
        evaluation: confidence and region of practical equivalence.
        progress: told of images decoded and features computed.
    """
    known = cases.read(panel.names(experiments), progress)
    filters.run(known.values())
    models = {name: known[name] for name in panel.pair(experiments)}
    filters.draw_maps(models.values())
    return embedding.run(models, cases.labels(models), evaluation, progress)


def values() -> dict[str, Any]:
    """Return what the page's part on the deep dive shows, from the tables that `run` left behind."""
    found = result_tables.read("explain_filters")
    return {
        "filters": Table(found, _FILTERS).markdown() if len(found) else "",
        "neighbours": Table(result_tables.read("explain_neighbours"), _NEIGHBOURS).markdown(),
        "voters": embedding.NEIGHBOURS,
        "noise": filters.NOISE,
    }
