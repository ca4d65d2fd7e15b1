"""The whole site, from what the studies left in reports/ and runs/."""

from deepfake.config.params import Params
from deepfake.reports.site import glossary, html
from deepfake.reports.site.templates import PACKAGE
from deepfake.studies.site import navigation as site_navigation
from deepfake.studies.site import start, study_pages


def write(settings: Params) -> None:
    """Write reports/site; what was not run is said there."""
    navigation = site_navigation.read()
    html.write_assets()
    html.page(
        "glossary.html", PACKAGE, "glossary.html.j2", title="Glossary", navigation=navigation, terms=glossary.terms()
    )
    study_pages.write(navigation)
    start.write(settings, navigation)
