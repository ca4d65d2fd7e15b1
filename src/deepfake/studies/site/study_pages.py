"""The studies' pages: each is the report's Markdown page inside the layout, so that its text is said once."""

import re
from pathlib import Path

from deepfake.project import paths
from deepfake.reports.site import html, markdown
from deepfake.reports.site.html import Navigation
from deepfake.studies.site import navigation as site_navigation

NOTEBOOKS = {
    "eda": ("01_eda",),
    "phase1": ("03_phase1_analysis",),
    "phase2": ("02_preprocessing", "04_phase2_analysis"),
    "phase3": ("05_phase3_analysis",),
    "phase4": ("06_phase4_analysis",),
    "explain": ("07_gradcam_deep_dive",),
    "generalization": ("08_cross_dataset",),
    "imbalance": ("08_cross_dataset",),
}
"""The notebooks that go through each study's results."""
_UP = re.compile(rf"^\[Summary\]\({re.escape(markdown.SUMMARY)}\)(?:, )?\n?", re.MULTILINE)
"""The link to the summary, whose part the breadcrumbs play."""
_LONG = 4
"""A page with more sections has a table of contents."""


def write(navigation: Navigation) -> list[Path]:
    """Write the page of every study, that of one that was not run says so; return them."""
    for study, title in site_navigation.titles().items():
        page = _read(study, navigation) if site_navigation.ran(study) else None
        html.page(
            site_navigation.address(study),
            __package__ or "",
            "study.html.j2",
            title=page.title if page and page.title else title,
            navigation=navigation,
            study=study,
            page=page,
            contents=page is not None and len(page.sections) > _LONG,
            notebooks=NOTEBOOKS.get(study, ()),
            unrecorded=study in site_navigation.CONCLUDING and not paths().findings(study).is_file(),
        )
    return [paths().site / site_navigation.address(study) for study in site_navigation.titles()]


def _read(study: str, navigation: Navigation) -> markdown.Rendered:
    text = _UP.sub("", paths().page(study).read_text(encoding="utf-8"), count=1)
    return markdown.render(text, 0, runs=navigation.runs)
