"""What leads to every page of the site."""

from deepfake import config
from deepfake.config.params import Params
from deepfake.errors import InputError
from deepfake.project import paths
from deepfake.reports.site.html import Entry, Navigation
from deepfake.runs import completion
from deepfake.studies.site import run_facts
from deepfake.studies.summary.page import KEY, PAGES

START = "index.html"
EDA = "eda"
CONCLUDING = tuple(KEY)
"""The studies whose findings the start page shows."""
_SHORT = {
    "phase1": "1 Architectures",
    "phase2": "2 Preprocessing",
    "phase3": "3 More architectures",
    "phase4": "4 All data",
    "final": "Final model",
    "explain": "Explanations",
    EDA: "Data analysis",
}
"""What the navigation calls pages whose titles are long."""
_GROUPS = {
    "Phases": ("phase1", "phase2", "phase3", "phase4", "final"),
    "Across phases": ("shortcuts", "robustness", "imbalance", "generalization", "explain"),
    "Sound and video": ("audio", "video"),
}


def ran(study: str) -> bool:
    """Return whether a study left its page behind."""
    return paths().page(study).is_file()


def address(study: str) -> str:
    """Return the page of a study below reports/site."""
    return f"{study}.html"


def titles() -> dict[str, str]:
    """Return the titles of all studies that have a page, or would have one."""
    return PAGES | {EDA: PAGES.get(EDA, "The data")}


def read() -> Navigation:
    """Return the navigation: all pages, and which studies were not run."""
    placed = {study for studies in _GROUPS.values() for study in studies}
    groups = {heading: [_entry(study) for study in studies] for heading, studies in _GROUPS.items()}
    rest = [_entry(study) for study in titles() if study not in placed]
    runs = {name: f"runs/{name}.html" for name in sorted([*_here(), *kept()])}
    lists = {"data": "Data sets", "models": "Models", "runs": "Runs"}
    groups["Data, models, runs"] = [*rest, *(Entry(title, f"{folder}/index.html") for folder, title in lists.items())]
    return Navigation({"Study": [Entry("Findings", START), Entry("Glossary", "glossary.html")], **groups}, runs)


def kept() -> list[str]:
    """Return the runs of the study that have a page from before but are not here, as in a clone without them."""
    earlier = {page.stem for page in (paths().site / "runs").glob("*.html")} - {"index", *_here()}
    if not earlier:
        return []
    settings = config.load()
    return sorted(earlier & {name for study in config.TRAINING for name in _planned(settings, study)})


def _here() -> list[str]:
    return [name for _, name in run_facts.names()]


def _planned(settings: Params, study: str) -> list[str]:
    try:
        return completion.names(settings, study)
    except InputError:  # phase 3 has not decided which runs phase 4 has
        return []


def _entry(study: str) -> Entry:
    return Entry(_SHORT.get(study, titles()[study]), address(study), absent=not ran(study))
