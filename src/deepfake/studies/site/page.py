"""The whole site, from what the studies left in reports/ and runs/."""

from pathlib import Path

from deepfake.config.params import Params
from deepfake.progress import SILENT, Progress
from deepfake.project import paths
from deepfake.reports.site import glossary, html
from deepfake.reports.site.templates import PACKAGE
from deepfake.studies.site import data_sets, models, runs, start, study_pages
from deepfake.studies.site import navigation as site_navigation

_GLOSSARY = "glossary.html"
_LISTED = ("runs", models.FOLDER)
"""The folders that have a page for a run."""


def write(settings: Params, progress: Progress = SILENT) -> list[Path]:
    """Write reports/site; what was not run is said there.

    In a clone without the runs their committed pages stay, and so do the lists of runs, models and data sets.

    Args:
        settings: params.yaml.
        progress: told of what stays.

    Returns:
        The pages written, in alphabetical order. Older pages, of what is gone, are deleted.

    Raises:
        InputError: params.yaml, the catalog, a findings file or a table is damaged.
    """
    navigation, known, terms = site_navigation.read(), runs.read_all(), glossary.terms()
    # the start page reads all findings: were one damaged, nothing is written
    pages = [start.write(settings, navigation), *study_pages.write(navigation)]
    html.page(_GLOSSARY, PACKAGE, "glossary.html.j2", title="Glossary", navigation=navigation, terms=terms)
    html.write_assets()
    pages += [paths().site / _GLOSSARY]
    there = set(paths().site.rglob("*.html"))
    if absent := site_navigation.kept():
        progress.say(_kept(absent))
        pages += [*runs.write_pages(known), *models.write_cards(known)]
        there -= {paths().site / f"{folder}/{name}.html" for folder in _LISTED for name in (*absent, "index")}
        there -= set((paths().site / data_sets.FOLDER).glob("*.html"))
    else:
        pages += [*runs.write(known), *models.write(known), *data_sets.write(known)]
    for page in there - set(pages):
        page.unlink()
    return sorted(pages)


def _kept(absent: list[str]) -> str:
    """Say what stays as it was, and how to have it made again."""
    others = f" and {len(absent) - 1} more" if len(absent) > 1 else ""
    return (
        f"not below runs/: {absent[0]}{others}; their pages and the lists of runs, models and data sets stay as they "
        "were (`dvc pull` fetches the runs)"
    )
