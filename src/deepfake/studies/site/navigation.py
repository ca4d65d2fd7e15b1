"""What leads to every page of the site."""

from deepfake.project import paths
from deepfake.reports.site.html import Entry, Navigation
from deepfake.studies.summary.page import PAGES

SHORT = {
    "phase1": "1 Architectures",
    "phase2": "2 Preprocessing",
    "phase3": "3 More architectures",
    "phase4": "4 All data",
    "final": "Final model",
    "shortcuts": "Shortcuts",
    "robustness": "Robustness",
    "imbalance": "Class imbalance",
    "generalization": "Other data sets",
    "explain": "Explanations",
    "custom": "Custom run",
    "eda": "The data",
}
"""What the navigation calls the studies' pages; others go by their titles."""
_GROUPS = {
    "Phases": ("phase1", "phase2", "phase3", "phase4", "final"),
    "Across phases": ("shortcuts", "robustness", "imbalance", "generalization", "explain"),
}
_START = "index.html"


def ran(study: str) -> bool:
    """Return whether a study left its page behind."""
    return paths().page(study).is_file()


def address(study: str) -> str:
    """Return the page of a study below reports/site."""
    return f"{study}.html"


def read() -> Navigation:
    """Return the navigation: all pages, and which studies were not run."""
    grouped = {heading: [_entry(study) for study in studies] for heading, studies in _GROUPS.items()}
    named = {study for studies in _GROUPS.values() for study in studies}
    others = [_entry(study) for study in dict.fromkeys((*SHORT, *PAGES)) if study not in named]
    listed = [
        Entry("Models", f"{_START}#models"),
        Entry("Data sets", f"{_START}#data-sets"),
        Entry("Runs", f"{_START}#runs"),
    ]
    return Navigation(
        {
            "Study": [Entry("Findings", _START), Entry("Glossary", "glossary.html")],
            **grouped,
            "Data and runs": [*others, *listed],
        }
    )


def _entry(study: str) -> Entry:
    return Entry(SHORT.get(study) or PAGES[study], address(study) if ran(study) else "")
