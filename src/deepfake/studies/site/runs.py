"""The pages of the runs: what each was trained with, how training went, what it predicts, and how to get it again."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from markupsafe import Markup

from deepfake import tables as schemas
from deepfake.project import CHECKPOINTS, CUSTOM_EXPERIMENT, paths
from deepfake.reports import settings as shown_settings
from deepfake.reports.columns import Column, Table, number
from deepfake.reports.site import charts, html
from deepfake.reports.site.charts import Histogram, LineChart
from deepfake.reports.site.html import Entry
from deepfake.studies.site import appearances, navigation, run_facts
from deepfake.studies.site.appearances import Tables
from deepfake.studies.site.run_facts import RunFacts
from deepfake.studies.summary.page import PAGES

FOLDER = "runs"
INDEX = f"{FOLDER}/index.html"
CARDS = ("phase1", "phase3", "phase4")
"""The studies whose runs have a model card: those that ask which model is best."""
MOST_PANELS = 8
"""Sources whose predictions are drawn; the table has all."""
_HEADLINE = {
    "auc": "AUC, all pairs",
    "auc_std": "its standard deviation over folds",
    "balanced_accuracy": "balanced accuracy at the tuned threshold",
    "eer": "equal error rate",
    "train_val_gap": "train AUC less held-out AUC",
}
_FOLDS = [
    number("Fold", "fold", "{:.0f}"),
    number("Repeat", "repeat", "{:.0f}"),
    number("Epoch", "epoch", "{:.0f}"),
    number("Penalty C", "penalty", "{:g}"),
    number("Threshold", "threshold"),
    number("Temperature", "temperature", "{:.2f}"),
    number("Held-out samples", "samples", "{:.0f}"),
    number("Held-out AUC", "auc"),
    number("Train AUC", "train_auc"),
    number("Validation AUC", "validation_auc"),
]
_EPOCHS = [
    number("Folds", "folds", "{:.0f}"),
    number("Train AUC", "train_auc"),
    number("Validation AUC", "validation_auc"),
    number("Validation loss", "validation_loss"),
]
_SEEN = ("train_auc", "validation_auc", "validation_loss")


@dataclass(frozen=True)
class Panel:
    """The distribution of one source's predictions.

    Args:
        name: the source, its label, and how many samples it has.
        label: what a screen reader says.
        chart: the histogram.
    """

    name: str
    label: str
    chart: Histogram


def write(found: Sequence[RunFacts] | None = None) -> list[Path]:
    """Write a page for each run that is here, and the index of them; pages of runs that are gone are removed.

    Args:
        found: all runs, where they were read already.

    Returns:
        The pages written, the index last.

    Raises:
        InputError: a result table is damaged.
    """
    known, shared = read_all() if found is None else found, navigation.read()
    compared = Tables()
    for run in known:
        crumbs = [Entry("Runs", INDEX)]
        html.page(
            address(run.name),
            __package__ or "",
            "run.html.j2",
            title=run.name,
            navigation=shared,
            crumbs=crumbs,
            **_shown(run, compared, {one.name for one in known}),
        )
    rows = [_row(run, compared) for run in known]
    headings = ["Run", "Study", "Model", "Images", "Training", "AUC [95% CI]", "Held-out samples (groups)", "For"]
    html.page(
        INDEX, __package__ or "", "runs.html.j2", title="Runs", navigation=shared, headings=headings, rows=rows
    )
    return tidy(FOLDER, [address(run.name) for run in known], INDEX)


def read_all() -> list[RunFacts]:
    """Read all runs whose folders are there."""
    manifests: dict[str, pd.DataFrame | None] = {}
    return [run_facts.read(study, name, manifests) for study, name in run_facts.names()]


def address(name: str) -> str:
    """Return the page of a run below reports/site."""
    return f"{FOLDER}/{name}.html"


def card(run: RunFacts) -> str:
    """Return the model card of a run below reports/site, or nothing where it has none."""
    return f"models/{run.name}.html" if run.study in CARDS or run.name == appearances.final() else ""


def tidy(folder: str, written: Iterable[str], index: str) -> list[Path]:
    """Remove the pages of a folder that were not written now, and return those that were, the index last."""
    kept = [paths().site / page for page in (*written, index)]
    for path in sorted((paths().site / folder).glob("*.html")):
        if path not in kept:
            path.unlink()
    return kept


def _shown(run: RunFacts, compared: Tables, known: set[str]) -> dict[str, Any]:
    """Return what the page of a run shows."""
    drawn = panels(run)
    return {
        "run": run,
        "kind": _kind(run),
        "card": card(run),
        "uses": appearances.uses(run, compared),
        "pages": PAGES,
        "figures": appearances.figures(run, compared),
        "headline": [(said, f"{run.headline[key]:.3f}") for key, said in _HEADLINE.items() if key in run.headline],
        "contrasts": contrast_rows(run, compared, known),
        "contrast_headings": [column.heading for column in appearances.CONTRASTS],
        "settings": configuration(run),
        "raw": _verbatim(json.dumps(run.facts, indent=1, ensure_ascii=False)) if run.facts else "",
        "curves": curves(run),
        "no_curves": _no_curves(run),
        "epochs": epochs(run),
        "panels": drawn,
        "more_sources": 0 if run.histogram is None else run.histogram["source"].nunique() - len(drawn),
        "shares": shares(run),
        "folds": fold_table(run.folds),
        "confusion": _confusion(run.confusion),
        "provenance": _provenance(run),
        "hashes": sorted(run.entry.files.items(), key=lambda file: _natural(file[0])) if run.entry else [],
        "commands": _commands(run),
    }


def _verbatim(text: str) -> Markup:
    """Return text for a `pre`, on one line of the page: pages are written without the spaces that lines begin with."""
    return Markup("&#10;").join(text.split("\n"))


def _kind(run: RunFacts) -> str:
    """Say what was done for a run."""
    facts = run.facts
    if run.kind == "re-evaluated":
        return f"Nothing was trained: {facts['reevaluates']} predicts again, as this view shows the images."
    if run.kind == "ensemble":
        return f"Nothing was trained: the logits of its members are summed, weights {facts['ensemble']['weights']}."
    if run.kind == "fine-tuned":
        return f"Fine-tuned, fold by fold, from {facts.get('start_from')}."
    return f"A run of {PAGES.get(run.study, run.study)}."


def contrast_rows(run: RunFacts, compared: Tables, known: set[str]) -> list[list[str | tuple[str, str]]]:
    """Return the planned contrasts of a run as cells that lead to the study and to the other run."""
    found = appearances.contrasts(run, compared)
    cells = Table(found, appearances.CONTRASTS).shown().astype(str).to_numpy().tolist()
    studies, others = found["study"], found["other"]
    return [
        [(row[0], navigation.address(study)), row[1], (row[2], address(other) if other in known else ""), *row[3:]]
        for row, study, other in zip(cells, studies, others, strict=True)
    ]


def configuration(run: RunFacts) -> list[tuple[str, str]]:
    """Return a run's configuration by the names that pages show."""
    if run.config is None:
        return []
    rows = [(name, tell(run.config)) for name, tell in shown_settings.SETTINGS.items()]
    parameters = run.facts.get("parameters")
    return [
        ("Model", f"{run.title} ({run.config.model})"),
        ("Parameters", f"{parameters:,}" if isinstance(parameters, int) else "unknown"),
        *rows,
        ("Inner validation", f"{run.config.val_ratio:.0%} of the training groups"),
        ("Seed", str(run.config.seed)),
        ("Preset", run.config.preset),
    ]


def epochs(run: RunFacts) -> Table | None:
    """Return the mean over folds of what training saw, by epoch, or by penalty where a head is fitted."""
    history = run.history
    by = "c" if run.head else "epoch"
    if history is None or not {by, "fold", *_SEEN} <= set(history):
        return None
    grouped = history.groupby(by)
    means = grouped[list(_SEEN)].mean().assign(folds=grouped["fold"].nunique()).reset_index()
    first = number("Penalty C", "c", "{:g}") if run.head else number("Epoch", "epoch", "{:.0f}")
    return Table(means, [first, *_EPOCHS])


def curves(run: RunFacts) -> LineChart | None:
    """Return the learning curves of a run that was trained by epochs."""
    found = None if run.head else epochs(run)
    if found is None:
        return None
    rows = found.numbers
    lowest = min(0.5, float(rows[["train_auc", "validation_auc"]].min().min()))
    series = {
        name: list(zip(rows["epoch"].tolist(), rows[key].tolist(), strict=True))
        for name, key in (("train", "train_auc"), ("validation", "validation_auc"))
    }
    return charts.lines(series, int(lowest * 10) / 10, 1.0)


def _no_curves(run: RunFacts) -> str:
    if run.kind in ("re-evaluated", "ensemble"):
        return "There is no history: nothing was trained."
    if run.head:
        return "There are no epochs: a linear head is fitted, for each penalty C, and the best by inner validation kept."
    return "There is no history of its training here."


def panels(run: RunFacts) -> list[Panel]:
    """Return a histogram of each source's predictions, the first `MOST_PANELS` sources."""
    rows = run.histogram
    if rows is None:
        return []
    highest = float(rows["share"].max())
    drawn = []
    for (label, source), part in list(rows.groupby(["label", "source"]))[:MOST_PANELS]:
        kind = "real" if label == schemas.REAL else "fake"
        name = f"{source} ({kind}), {part['count'].sum():,} samples"
        said = f"Probability of being fake for {source} ({kind}), mean bin {_mean(part):.2f}; the table has the numbers"
        drawn.append(Panel(name, said, charts.histogram(part["share"].tolist(), highest)))
    return drawn


def _mean(part: pd.DataFrame) -> float:
    """Return the mean of a distribution, its bins at their middles."""
    return float(((part["low"] + part["high"]) / 2 * part["share"]).sum())


def shares(run: RunFacts) -> pd.DataFrame | None:
    """Return the shares of each source's samples by probability of being fake, a column a source."""
    if run.histogram is None:
        return None
    rows = run.histogram.assign(column=[f"{source}" for source in run.histogram["source"]])
    wide = rows.pivot_table(index=["low", "high"], columns="column", values="share", sort=False)
    if len(wide.columns) > len(wide):  # sources downwards: a table of 200 columns cannot be read
        wide = rows.pivot_table(index="column", columns="low", values="share", sort=False)
        wide.columns = [f"from {low:.2f}" for low in wide.columns]
        return wide.map("{:.1%}".format).rename_axis("source").reset_index()
    wide = wide.map("{:.1%}".format)
    wide.insert(0, "probability", [f"{low:.2f} to {high:.2f}" for low, high in wide.index])
    return wide.reset_index(drop=True)


def fold_table(folds: pd.DataFrame) -> Table | None:
    """Return the table of folds, without columns of which nothing is known."""
    if folds.empty:
        return None
    known: list[Column] = [one for one in _FOLDS if folds[next(iter(one.keys.values()))].notna().any()]
    return Table(folds, known)


def _confusion(counts: pd.DataFrame | None) -> pd.DataFrame | None:
    """Return the confusion matrix with the share of each class that is recognised."""
    if counts is None or not {"actual", "predicted", "count"} <= set(counts):
        return None
    wide = counts.pivot_table(index="actual", columns="predicted", values="count", aggfunc="sum", fill_value=0)
    wide = wide.reindex(index=["real", "fake"], columns=["real", "fake"], fill_value=0).astype(int)
    recall = [f"{wide.loc[one, one] / max(1, wide.loc[one].sum()):.1%}" for one in wide.index]
    shown = wide.rename(columns="predicted {}".format).assign(recall=recall)
    return shown.rename_axis("actual").reset_index()


def _provenance(run: RunFacts) -> list[tuple[str, str]]:
    """Return what identifies a run."""
    found = {
        "Key in the run store": run.entry.key if run.entry else None,
        "SHA-256 of the data's manifest": run.facts.get("manifest_sha256"),
        "SHA-256 of the ImageNet weights": run.facts.get("weights_sha256"),
        "SHA-256 of what it starts from": run.facts.get("start_sha256"),
        "Checkpoints": _checkpoints(run),
    }
    return [(name, str(value)) for name, value in found.items() if value]


def _checkpoints(run: RunFacts) -> str:
    weights = [name for name in run.entry.files if name.endswith(".safetensors")] if run.entry else []
    return f"{len(weights)} files below {run.study}/{run.name}/{CHECKPOINTS}" if weights else ""


def _natural(name: str) -> tuple[str, int, str]:
    """Return what sorts fold2 before fold10."""
    folder, _, file = name.rpartition("/")
    digits = "".join(filter(str.isdigit, file.split(".")[0]))
    return folder, int(digits or 0), file


def _commands(run: RunFacts) -> list[str]:
    asked = run.facts.get("reevaluates", run.name)
    train = "deepfake train" if run.name == CUSTOM_EXPERIMENT else f"deepfake train {run.name}"
    return [train, f"deepfake runs show {run.name}", f"deepfake predict FILE --run {asked}"]


def _row(run: RunFacts, compared: Tables) -> list[str | tuple[str, str]]:
    """Return a run as a row of the index."""
    figures = appearances.figures(run, compared)
    first = figures.shown().iloc[0] if figures else None
    auc = f"{run.headline['auc']:.3f}" if "auc" in run.headline else "-"
    uses = dict.fromkeys(PAGES.get(use.study, use.study) for use in appearances.uses(run, compared))
    page = navigation.address(run.study) if navigation.ran(run.study) else ""
    return [
        (run.name, address(run.name)),
        (run.study, page),
        run.title,
        run.shown,
        run.kind,
        auc if first is None else str(first["AUC [95% CI]"]),
        "-" if first is None else str(first["Held-out samples (groups)"]),
        "; ".join(uses) or "-",
    ]
