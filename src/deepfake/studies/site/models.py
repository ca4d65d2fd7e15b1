"""The model cards: what each model is, what it was trained on, what it is worth, and where it fails.

The headings are those of Mitchell et al. 2019, "Model cards for model reporting".
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from deepfake import config
from deepfake.config.params import Params
from deepfake.datasets import catalog
from deepfake.project import paths
from deepfake.reports import settings as shown_settings
from deepfake.reports.columns import Table, estimate, number, text
from deepfake.reports.site import html
from deepfake.reports.site.html import Entry
from deepfake.runs.weights import PACKAGED
from deepfake.studies.explain.columns import ATTENTION
from deepfake.studies.site import appearances, limits, measures, navigation, runs
from deepfake.studies.site.appearances import Tables
from deepfake.studies.site.run_facts import RunFacts
from deepfake.studies.site.run_page import capital
from deepfake.studies.summary.page import PAGES

FOLDER = "models"
INDEX = f"{FOLDER}/index.html"
_TRAINING = ("Data", "Share of training groups", "Cross-validation", "Held-out source", "Augmentation", "Trained")
_TRAINING += ("Optimiser", "Loss", "Sampling")
"""The settings that say what a model was trained on, and how."""
_TEST = [
    text("Figure", "metric"),
    estimate("Value [95% CI]", "value", "low", "high"),
    number("Samples", "samples", "{:,}"),
    text("Note", "note"),
]


def write(found: Sequence[RunFacts] | None = None) -> list[Path]:
    """Write a card for each run of the phases that ask which model is best, and their index.

    Args:
        found: all runs, where they were read already.

    Returns:
        The pages written, the index last.

    Raises:
        InputError: params.yaml or a result table is damaged.
    """
    known, compared = runs.read_all() if found is None else found, Tables()
    pages = write_cards(known)
    headings = ["Model", "Run", "AUC [interval]", "Test AUC [95% CI]", "Phase", "View", "Share", "Parameters"]
    html.page(
        INDEX,
        __package__ or "",
        "models.html.j2",
        title="Models",
        navigation=navigation.read(),
        headings=headings,
        rows=[_row(run, compared) for run in known if appearances.card(run)],
    )
    return [*pages, paths().site / INDEX]


def write_cards(known: Sequence[RunFacts]) -> list[Path]:
    """Write the cards of these runs, which are all that are here, and return them."""
    settings, compared, shared = config.load(), Tables(), navigation.read()
    carded = [run for run in known if appearances.card(run)]
    for run in carded:
        html.page(
            appearances.card(run),
            __package__ or "",
            "model.html.j2",
            title=f"{capital(run.title)} ({run.name})",
            navigation=shared,
            crumbs=[Entry("Models", INDEX)],
            **_shown(run, known, compared, settings),
        )
    return [paths().site / appearances.card(run) for run in carded]


def _shown(run: RunFacts, known: Sequence[RunFacts], compared: Tables, settings: Params) -> dict[str, Any]:
    """Return what the card of a model shows."""
    assert run.config is not None
    row, final = appearances.ranked(run, compared), run.name == appearances.final()
    confidence = settings.evaluation.confidence
    decided = measures.at_threshold(run, confidence)
    told = {name: tell(run.config) for name, tell in shown_settings.SETTINGS.items()}
    return {
        "run": run,
        "study": PAGES.get(run.study, run.study),
        "data_set": f"data/{run.config.dataset}.html" if run.config.dataset in catalog.load() else "",
        "final": final,
        "lead": f"It is shown {run.shown}. A model of {PAGES.get(run.study, run.study)}.",
        "details": _details(run, told),
        "origin": origin(run),
        "wrong": _wrong(decided),
        "hardest": "" if row is None else row["hardest_source"],
        "tested": "The test set is apart from them." if final else "The test set was not opened for it.",
        "training": [(name, told[name]) for name in _TRAINING],
        "figures": appearances.figures(run, compared),
        "overall": [] if row is None else measures.overall(row),
        "sources": measures.by_source(run, confidence),
        "test": _test(compared) if final else None,
        "untested": "The test set has not been opened yet: deepfake final."
        if final
        else "The test set was not opened for it: only the final model has figures there.",
        "decided": decided,
        "threshold": _threshold(run),
        "calibration": measures.calibration(run, settings),
        "reliability": f"{'final' if final else run.study}_reliability",
        "gradcam": f"gradcam_{run.study}",
        "attention": _attention(run, compared),
        "data_limits": _data_limits(run.config.dataset, row, compared),
        "limits": limits.of(run, known, compared),
        "licence": _licence(run.config.dataset),
        "provenance": _provenance(run),
    }


def _details(run: RunFacts, told: dict[str, str]) -> list[tuple[str, str]]:
    """Return what a model is."""
    assert run.config is not None
    parameters = run.facts.get("parameters")
    return [
        (
            "Architecture",
            f"{run.title}, a convolutional network"
            if run.config.model in config.FROM_SCRATCH
            else f"{run.title} ({run.config.model} of timm)",
        ),
        ("Parameters", f"{parameters:,}" if isinstance(parameters, int) else "unknown"),
        ("Trained", told["Trained"]),
        ("Input", told["Input"]),
        ("Normalisation", told["Normalisation"]),
        ("Output", "a logit; greater means more likely fake"),
    ]


def origin(run: RunFacts) -> str:
    """Say where a model's first weights are from, and under which licence."""
    assert run.config is not None
    if not run.config.pretrained:
        return "Its weights were trained here, from random ones."
    if package := PACKAGED.get(run.config.model):
        return f"Its ImageNet weights are those of the Python package {package}, whose metadata name no licence."
    return "Its ImageNet weights are those that timm downloads; their licence is on the model's page there."


def _wrong(decided: Table | None) -> str:
    """Return the false positive rate as people read it, or nothing."""
    if decided is None:
        return ""
    rates = decided.numbers.set_index("figure")["value"]
    return f"{rates[measures.FALSE_POSITIVES]:.0%}"


def _threshold(run: RunFacts) -> str:
    values = pd.Series([record.threshold for record in run.records.values()], dtype=float)
    return (
        f"Each fold has its own threshold, a logit: {values.median():.2f} in the median, {values.min():.2f} to "
        f"{values.max():.2f}. Counts are pooled over folds."
    )


def _test(compared: Tables) -> Table | None:
    """Return the figures of the final model on the test set, or None while it has not been opened."""
    if not paths().table("final_test").exists():
        return None
    rows = compared.of("final_test")
    return Table(rows.assign(note=rows["note"].fillna("")), _TEST)


def _data_limits(dataset: str, row: pd.Series | None, compared: Tables) -> str:
    """Say what is known of the limits of the data."""
    said = [] if row is None else [f"All figures on held-out folds rest on {row['groups']} groups."]
    checks = compared.of("eda_quality")
    own = checks[checks["dataset"] == dataset] if len(checks) else checks
    if len(own):
        others = own[own["outcome"] != "passed"]
        told = [
            f"{check} ({outcome.replace('_', ' ')})"
            for check, outcome in zip(others["check"], others["outcome"], strict=True)
        ]
        rest = f"; the others: {', '.join(told)}." if told else "."
        said.append(f"Of {len(own)} quality checks of {dataset}, {len(own) - len(told)} passed{rest}")
    return " ".join(said) or "Nothing is known yet of the limits of the data."


def _attention(run: RunFacts, compared: Tables) -> Table | None:
    """Return where a model looks, by source."""
    rows = compared.about("explain_gradcam", run.name)
    return Table(rows, [column for column in ATTENTION if column.heading != "Experiment"]) if len(rows) else None


def _licence(dataset: str) -> str:
    """Return the licence of a data set, as the catalog has it."""
    known = catalog.load()
    return known[dataset].licence if dataset in known else "see its data card"


def _provenance(run: RunFacts) -> list[tuple[str, str]]:
    found = {
        "Run": run.name,
        "Key in the run store": run.entry.key if run.entry else "no whole entry",
        "SHA-256 of the data's manifest": run.facts.get("manifest_sha256"),
        "SHA-256 of the ImageNet weights": run.facts.get("weights_sha256"),
        "Commit, versions, device": f".store/provenance/{run.name}.json",
    }
    return [(name, str(value)) for name, value in found.items() if value]


def _row(run: RunFacts, compared: Tables) -> list[str | tuple[str, str]]:
    """Return a model as a row of the index."""
    assert run.config is not None
    figures, final = appearances.figures(run, compared), run.name == appearances.final()
    test = _test(compared) if final else None
    parameters = run.facts.get("parameters")
    return [
        (capital(run.title), appearances.card(run)),
        (run.name, appearances.address(run.name)),
        "-" if figures is None else str(figures.shown()["AUC [interval]"].iloc[0]),
        "-" if test is None else str(test.shown()["Value [95% CI]"].iloc[0]),
        (run.study, navigation.address(run.study) if navigation.ran(run.study) else ""),
        run.config.view.view,
        f"{run.config.fraction:.0%}",
        f"{parameters:,}" if isinstance(parameters, int) else "-",
    ]
