"""The page on the explanations: where models look, whether that moves, what they get wrong, how sure they are."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from deepfake.config import config_of, facts_of
from deepfake.evaluation import attention
from deepfake.evaluation.hard_examples import SURE
from deepfake.reports import findings, pages
from deepfake.reports import settings as shown_settings
from deepfake.reports.columns import Column, Table, estimate, number, text
from deepfake.studies import results
from deepfake.studies.explain import changes, deep, deletion, figures, hard, sanity, shown
from deepfake.studies.explain.analysis import NAME
from deepfake.studies.explain.columns import ATTENTION, LOOKS, SIZE
from deepfake.tables import results as result_tables

TITLE = "Explanations"
_REGIONS = [text("Experiment", "experiment"), number("Cells", "cells", "{0}×{0}"), *LOOKS]
_SANITY = [
    text("Experiment", "experiment"),
    text("Compared with", "with"),
    estimate("Rank correlation [95% CI]", "correlation", "low", "high", "{:+.2f}"),
    SIZE,
    number("No heat", "without_heat", "{:,}"),
]
_COMPARED = {
    "retrained": "another training",
    "head": "a random head on the same trunk",
    "all": "a random model",
}
_AREAS = [
    text("Painted over", "name"),
    estimate("Area under the curve [95% CI]", "area", "area_low", "area_high"),
    estimate("Random minus this [interval]", "difference", "low", "high", "{:+.3f}"),
    Column("n (groups)", {"": "samples", "groups": "groups"}, "{:,.0f} ({:.0f})".format),
]
ERRORS = [
    text("Experiment", "experiment"),
    text("Source", "source"),
    Column("Errors", {"": "errors", "samples": "samples"}, "{:,} of {:,}".format),
    number("High-confidence errors", "confident", "{:,}"),
    estimate("Share [95% CI]", "share", "low", "high", "{:.1%}"),
    number("Groups", "groups", "{:,}"),
]
_HEADINGS = {
    "phase1": "Phase 1: architectures",
    "phase2": "Phase 2: preprocessing",
    "phase3": "Phase 3: more architectures",
    "phase4": "Phase 4: more data",
}


def write() -> None:
    """Write the page and its figures from what `analysis.study` left behind.

    Raises:
        InputError: nothing has been explained yet.
    """
    heat, errors, looks, moved, similar, curves, areas = (
        result_tables.read(f"{NAME}_{part}")
        for part in (
            *("gradcam", "confident_errors", "regions"),
            *("attention_changes", "sanity", "deletion", "deletion_area"),
        )
    )
    figures.histogram(result_tables.read(f"{NAME}_confidence"))
    if len(looks):
        figures.regions(looks)
    if len(moved):
        figures.changes(moved, {int(str(index)): _contrast(row) for index, row in moved.iterrows()}, _HEADINGS)
    if len(curves):
        figures.deletion(curves)
    found = findings.read(NAME)
    finalists = list(errors["experiment"].unique())
    configs = [config_of(name) for name in finalists]
    contrasts = changes.planned()
    pages.write(
        NAME,
        __package__ or "",
        "page.md.j2",
        title=TITLE,
        found=found,
        attention=Table(heat[heat["experiment"].isin(finalists)], ATTENTION).markdown() if len(heat) else "",
        looks=Table(looks, _REGIONS).markdown() if len(looks) else "",
        coarse=looks.loc[looks["cells"] <= _COARSE, "experiment"].tolist(),
        moved=len(moved),
        similar=Table(similar.assign(**{"with": similar["compared"].map(_COMPARED)}), _SANITY).markdown(),
        areas=Table(areas.assign(name=areas["order"].map(figures.ORDERS)), _AREAS).markdown(),
        curves=len(curves),
        choosers={phase: changes.runs(rows)[0] for phase, rows in contrasts.groupby("phase", sort=False)},
        errors=Table(errors, ERRORS).markdown(),
        worst=_worst(errors),
        limits={
            "images": shown.HEAT,
            "shown": shown.SHOWN,
            "ring": attention.RING,
            "random": sanity.DRAWS,
            "compared": sanity.IMAGES,
            "painted": deletion.IMAGES,
            "sure": SURE,
        },
        settings=shown_settings.shared(configs),
        varied=shown_settings.varied(configs),
        **deep.values(),
        **hard.values(),
    )


_COARSE = 4
"""A map of so many cells a side says no more than which part of the image."""


def _contrast(row: Any) -> str:
    """Return what a planned contrast is called in the figure."""
    facts, baseline = facts_of(row["experiment"]), facts_of(row["baseline"])
    title = results.title(facts)
    what: str | None = changes.cause(str(row["table"]), facts)
    if what:
        return f"{title}:\n{what}"
    return f"{title}\nagainst {_against(facts, baseline)}{', all data' if row['table'] == 'phase4b' else ''}"


def _against(facts: Mapping[str, Any], baseline: Mapping[str, Any]) -> str:
    title = results.title(baseline)
    return title if title != results.title(facts) else str(baseline["experiment"])


def _worst(errors: pd.DataFrame) -> dict[str, str]:
    """Return the source that each experiment is most often sure of and wrong about, if there is one."""
    some = errors[errors["confident"] > 0].sort_values(["share", "source"], ascending=[False, True])
    first = some.drop_duplicates("experiment")
    return dict(zip(first["experiment"], first["source"], strict=True))
