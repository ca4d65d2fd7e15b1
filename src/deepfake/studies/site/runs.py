"""The pages of the runs, and their index."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from deepfake.project import paths
from deepfake.reports.site import html
from deepfake.reports.site.html import Entry
from deepfake.studies.site import appearances, navigation, run_facts, run_page
from deepfake.studies.site.appearances import Tables, address
from deepfake.studies.site.run_facts import RunFacts

INDEX = "runs/index.html"
_HEADINGS = ["Run", "AUC [interval]", "Study", "Model", "View", "Training", "Shown by"]


def write(found: Sequence[RunFacts] | None = None) -> list[Path]:
    """Write a page for each run that is here, and the index of them.

    Args:
        found: all runs, where they were read already.

    Returns:
        The pages written, the index last.

    Raises:
        InputError: a result table is damaged.
    """
    known, shared, compared = read_all() if found is None else found, navigation.read(), Tables()
    pages, rows = write_pages(known), [_row(run, compared) for run in known]
    html.page(INDEX, __package__ or "", "runs.html.j2", title="Runs", navigation=shared, headings=_HEADINGS, rows=rows)
    return [*pages, paths().site / INDEX]


def write_pages(known: Sequence[RunFacts]) -> list[Path]:
    """Write a page for each of these runs, which are all that are here, and return them."""
    shared, compared = navigation.read(), Tables()
    for run in known:
        html.page(
            address(run.name),
            __package__ or "",
            "run.html.j2",
            title=run.name,
            navigation=shared,
            crumbs=[Entry("Runs", INDEX)],
            **run_page.values(run, compared, set(shared.runs)),
        )
    return [paths().site / address(run.name) for run in known]


def read_all() -> list[RunFacts]:
    """Read all runs whose folders are there."""
    manifests: dict[str, pd.DataFrame | None] = {}
    return [run_facts.read(study, name, manifests) for study, name in run_facts.names()]


def _row(run: RunFacts, compared: Tables) -> list[str | tuple[str, str]]:
    """Return a run as a row of the index."""
    figures = appearances.figures(run, compared)
    first = figures.shown().iloc[0] if figures else None
    auc = f"{run.headline['auc']:.3f} (all pairs)" if "auc" in run.headline else "-"
    uses = dict.fromkeys(use.study for use in appearances.uses(run, compared))
    page = navigation.address(run.study) if navigation.ran(run.study) else ""
    return [
        (run.name, address(run.name)),
        auc if first is None else str(first["AUC [interval]"]),
        (run.study, page),
        "-" if run.kind == "ensemble" else run.title,
        run.config.view.view if run.config else "-",
        run.kind,
        ", ".join(uses) or "-",
    ]
