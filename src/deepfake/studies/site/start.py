"""The start page: what was studied, the key findings, a figure a phase, and the way to everything else."""

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from deepfake import config
from deepfake.config.params import Params
from deepfake.project import paths
from deepfake.reports.findings import Finding
from deepfake.reports.site import html, markdown
from deepfake.reports.site.html import Navigation
from deepfake.studies import results
from deepfake.studies.site import navigation as site_navigation
from deepfake.studies.summary import page as summary
from deepfake.tables import results as result_tables

PATH = "index.html"
TITLE = "Which detector works, why, and will it work on new data?"
_FIGURES = {
    "phase1": ("phase1_auc", "AUC of each model, over all fakes and for each source."),
    "phase2": ("phase2_differences", "Differences in AUC with their intervals; band: region of practical equivalence."),
    "phase3": ("phase3_size", "AUC against the number of parameters."),
    "phase4": ("phase4_scaling", "AUC against the share of the training groups."),
}
"""The figure by which each phase is shown, and what is drawn there."""
_STUDY = "summary_study"
_HOW = "How to read this"
"""The table and the section of the summary that the start page repeats."""


@dataclass(frozen=True)
class Shown:
    """A phase as the start page shows it.

    Args:
        study: its name.
        title: of its page.
        path: its page below reports/site.
        figure: the figure's name.
        caption: what is drawn, and what the phase's first key finding says.
    """

    study: str
    title: str
    path: str
    figure: str
    caption: str


def write(settings: Params, navigation: Navigation) -> Path:
    """Write reports/site/index.html from the findings of all studies that were run, and return it."""
    keys = summary.key_findings()
    html.page(
        PATH,
        __package__ or "",
        "start.html.j2",
        title=TITLE,
        navigation=navigation,
        opening=summary.opening(settings),
        found=[one for _, one in keys],
        links=[site_navigation.address(study) for study, _ in keys],
        best=_best(settings),
        resolution=_resolution(),
        phases=[_shown(study, *drawn, keys) for study, drawn in _FIGURES.items() if site_navigation.ran(study)],
        absent=[title for study, title in summary.PAGES.items() if not site_navigation.ran(study)],
        study=_study(),
        left_out=", ".join(f"`{name}`" for name in summary.left_out(settings)),
        how=_how(),
    )
    return paths().site / PATH


def _shown(study: str, figure: str, drawn: str, keys: list[tuple[str, Finding]]) -> Shown:
    first = next((one for name, one in keys if name == study), None)
    said = f" {first.question} {first.answer.capitalize()}: {first.figures}." if first else ""
    return Shown(study, summary.PAGES[study], site_navigation.address(study), figure, drawn + said)


def _best(settings: Params) -> str:
    """Return which model is the final one and why (Markdown), or nothing where none was chosen."""
    if not (paths().final.is_file() and site_navigation.ran("phase4")):
        return ""
    name = config.read_final()
    titles = results.read("phase4b").titles
    if name not in titles:
        return ""
    return (
        f"The final model is **{titles[name]}** (`{name}`): the best AUC on all data, a lead of at most "
        f"{settings.evaluation.rope} going to the smaller model."
    )


def _resolution() -> str:
    """Return what differences the comparisons that were run can see, or nothing where none was."""
    names = [name for name in (f"{one}_tests" for one in summary.COMPARED) if paths().table(name).is_file()]
    return results.resolution(map(result_tables.read, names)) if names else ""


def _study() -> pd.DataFrame | None:
    """Return the design's summary table but for what the findings say, or None where there is no summary."""
    if not paths().table(_STUDY).is_file():
        return None
    return result_tables.read(_STUDY).drop(columns="Conclusion")


def _how() -> str:
    """Return how to read the findings, in the summary's words, or nothing where there is no summary."""
    page = paths().page("summary")
    text = page.read_text(encoding="utf-8") if page.is_file() else ""
    body = next((part for part in text.split("\n## ") if part.startswith(f"{_HOW}\n")), "")
    return markdown.to_html(body.removeprefix(_HOW), 0)
