"""What the page of a run shows: its configuration, how training went, what it predicts, and how to get it again."""

import json
from dataclasses import dataclass
from typing import Any

import pandas as pd
from markupsafe import Markup

from deepfake import tables as schemas
from deepfake.project import CUSTOM_EXPERIMENT
from deepfake.reports import settings as shown_settings
from deepfake.reports.columns import Column, Table, number
from deepfake.reports.site import charts
from deepfake.reports.site.charts import Histogram, LineChart
from deepfake.run_files import CHECKPOINTS
from deepfake.studies.site import appearances, navigation
from deepfake.studies.site.appearances import Tables
from deepfake.studies.site.run_facts import RunFacts
from deepfake.studies.summary.page import PAGES

MOST_PANELS = 8
"""Sources whose predictions are drawn; the table has all."""
MOST_SOURCES = 20
"""Sources that have a column each in the table of predictions; more have a row each, without the bins."""
_HEADLINE = {
    "auc": "AUC, all pairs",
    "auc_std": "standard deviation of that AUC over folds",
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
_MEMBERS = ("Input", "Augmentation", "Normalisation", "Trained", "Optimiser", "Loss", "Sampling", "Domain-adversarial")
"""The settings in which the members of an ensemble may differ: their own pages have them."""
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


def values(run: RunFacts, compared: Tables, known: set[str]) -> dict[str, Any]:
    """Return what the page of a run shows."""
    drawn, (headings, contrasts) = panels(run), contrast_rows(run, compared, known)
    return {
        "run": run,
        "lead": capital(run.title) + ("." if run.kind == "ensemble" else f", {run.shown}."),
        "kind": _kind(run),
        "card": appearances.card(run),
        "uses": appearances.uses(run, compared),
        "pages": PAGES,
        "figures": appearances.figures(run, compared),
        "headline": [
            (capital(said), f"{run.headline[key]:.3f}") for key, said in _HEADLINE.items() if key in run.headline
        ],
        "contrast_headings": headings,
        "contrasts": contrasts,
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


def capital(text: str) -> str:
    """Return a text with a capital at its beginning."""
    return text[:1].upper() + text[1:]


def _verbatim(text: str) -> Markup:
    """Return text for a `pre`, on one line of the page: pages are written without the spaces that lines begin with."""
    return Markup("&#10;").join(text.split("\n"))


def _kind(run: RunFacts) -> str:
    """Say what was done for a run."""
    if run.kind == "re-evaluated":
        trained = run.facts.get("reevaluates", "another run")
        return f"Nothing was trained: {trained} predicts again, as this view shows the images."
    if run.kind == "ensemble":
        return "Nothing was trained: the logits of its members are summed."
    if run.kind == "fine-tuned":
        return f"Fine-tuned, fold by fold, from {run.facts.get('start_from')}."
    return f"A run of {PAGES.get(run.study, run.study)}."


def contrast_rows(run: RunFacts, compared: Tables, known: set[str]) -> tuple[list[str], list[list[Any]]]:
    """Return the headings and the planned contrasts of a run, as cells that lead to the study and to the other run."""
    found = appearances.contrasts(run, compared)
    columns = [one for one in appearances.CONTRASTS if one.heading != "Data set" or (found["dataset"] != "-").any()]
    rows = Table(found, columns).shown().astype(str)
    rows["Asked"] = list(zip(rows["Asked"], map(navigation.address, found["study"]), strict=True))
    pages = [appearances.address(other) if other in known else "" for other in found["other"]]
    rows["Against"] = list(zip(rows["Against"], pages, strict=True))
    return list(map(str, rows)), rows.to_numpy().tolist()


def configuration(run: RunFacts) -> list[tuple[str, str]]:
    """Return a run's configuration by the names that pages show; what nothing was trained by is left out."""
    if run.config is None:
        return []
    parameters, told = run.facts.get("parameters"), shown_settings.SETTINGS.items()
    left_out = _MEMBERS if run.kind == "ensemble" else ()
    return [
        ("Model", run.title if run.kind == "ensemble" else f"{run.title} ({run.config.model})"),
        ("Parameters", f"{parameters:,}" if isinstance(parameters, int) else "unknown"),
        *((name, tell(run.config)) for name, tell in told if name not in left_out),
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
        return (
            "There are no epochs: a linear head is fitted, for each penalty C, and the best by inner validation kept."
        )
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
    """Return the shares of each source's samples by probability of being fake, a column a source.

    A table of 200 columns cannot be read: more than `MOST_SOURCES` have a row each, with their mean.
    """
    rows = run.histogram
    if rows is None:
        return None
    if rows["source"].nunique() > MOST_SOURCES:
        told = [
            {"source": source, "samples": int(part["count"].sum()), "mean": f"{_mean(part):.2f}"}
            for (_, source), part in rows.groupby(["label", "source"])
        ]
        return pd.DataFrame(told)
    wide = rows.pivot_table(index=["low", "high"], columns="source", values="share", sort=False)
    wide = wide[rows.drop_duplicates("source").sort_values(["label", "source"])["source"]].map("{:.1%}".format)
    wide.insert(0, "probability", [f"{low:.2f} to {high:.2f}" for low, high in wide.index], allow_duplicates=True)
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
    asked = str(run.facts.get("reevaluates", run.name))
    train = "deepfake train" if run.name == CUSTOM_EXPERIMENT else f"deepfake train {run.name}"
    return [train, f"deepfake runs show {run.name}", f"deepfake predict FILE --run {asked}"]
