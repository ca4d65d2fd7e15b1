"""The whole site, from what the studies left in reports/ and runs/."""

from pathlib import Path

from deepfake.config.params import Params
from deepfake.project import paths
from deepfake.reports.site import glossary, html
from deepfake.reports.site.templates import PACKAGE
from deepfake.studies.site import data_sets, models, runs, start, study_pages
from deepfake.studies.site import navigation as site_navigation

_GLOSSARY = "glossary.html"


def write(settings: Params) -> list[Path]:
    """Write reports/site; what was not run is said there.

    Args:
        settings: params.yaml.

    Returns:
        The pages, in alphabetical order. Older pages, of what is gone, are deleted.

    Raises:
        InputError: params.yaml, the catalog, a findings file or a table is damaged.
    """
    navigation, known, terms = site_navigation.read(), runs.read_all(), glossary.terms()
    # the start page reads all findings: were one damaged, nothing is written
    pages = [start.write(settings, navigation), *study_pages.write(navigation)]
    html.page(_GLOSSARY, PACKAGE, "glossary.html.j2", title="Glossary", navigation=navigation, terms=terms)
    html.write_assets()
    pages += [paths().site / _GLOSSARY, *runs.write(known), *models.write(known), *data_sets.write(known)]
    for page in set(paths().site.rglob("*.html")) - set(pages):
        page.unlink()
    return sorted(pages)
