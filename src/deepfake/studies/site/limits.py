"""What is known to go wrong with a model: measured on it, or on the nearest relative that was examined."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import pandas as pd

from deepfake.config import RunConfig
from deepfake.project import paths
from deepfake.reports import findings
from deepfake.reports import settings as shown_settings
from deepfake.reports.columns import Column, Table, text
from deepfake.reports.findings import Finding
from deepfake.studies.site.appearances import Tables
from deepfake.studies.site.run_facts import RunFacts

_SIZES = ("Share of training groups", "Cross-validation")
"""Settings that leave a recipe the same."""
COLUMNS = [
    text("Limit", "limit"),
    text("Measure", "measure"),
    Column(
        "Value [interval]",
        {"": "value", "low": "low", "high": "high"},
        "{:+.3f} [{:+.3f}, {:+.3f}]".format,
        "{:+.3f}".format,
    ),
    text("Verdict", "verdict"),
    text("Measured on", "run"),
    text("How near", "relation"),
]


class Relation(NamedTuple):
    """How near another run is to the one that a card is about; less is nearer."""

    rank: int
    said: str


class Limits(NamedTuple):
    """The limits of a model.

    Args:
        table: one row a limit, of the nearest relative that was examined for it.
        shortcuts: the findings on shortcuts in what the model is shown.
        unmeasured: what was examined on no relative.
    """

    table: Table
    shortcuts: Sequence[Finding]
    unmeasured: list[str]


def relation(own: RunConfig, other: RunConfig) -> Relation | None:
    """Return how near another run's recipe is, or None where its model is another one.

    Args:
        own: of the run that the card is about.
        other: of another run, or the same.
    """
    if own.experiment == other.experiment:
        return Relation(0, "this run")
    if (own.model, own.train, own.pretrained) != (other.model, other.train, other.pretrained):
        return None
    differ = [name for name, tell in shown_settings.SETTINGS.items() if name not in _SIZES and tell(own) != tell(other)]
    if not differ:
        return Relation(1, f"same recipe, {other.fraction:.0%} of the training groups")
    return Relation(1 + len(differ), "same model; other " + ", ".join(name[0].lower() + name[1:] for name in differ))


def of(run: RunFacts, others: Sequence[RunFacts], tables: Tables) -> Limits:
    """Return the limits of a model.

    Args:
        run: the model's, with its configuration.
        others: all runs that are here.
        tables: the result tables.
    """
    assert run.config is not None
    related = {
        other.name: near
        for other in others
        if other.kind in ("trained", "fine-tuned")
        and other.config is not None
        and (near := relation(run.config, other.config)) is not None
    }
    parts, unmeasured = [], []
    for topic, (table, told) in _TOPICS.items():
        rows = tables.of(table)
        found = told(rows) if len(rows) else pd.DataFrame({"run": []})
        found = found[found["run"].isin(list(related))]
        ranks = found["run"].map({name: near.rank for name, near in related.items()})
        if found.empty:
            unmeasured.append(topic)
        parts.append(found[ranks == ranks.min()])
    rows = pd.concat(parts, ignore_index=True).reindex(
        columns=["limit", "measure", "value", "low", "high", "verdict", "run"]
    )
    rows = rows.assign(relation=[related[name].said for name in rows["run"]])
    return Limits(Table(rows, COLUMNS), _in_view(run.config.view.view), unmeasured)


def _corruption(rows: pd.DataFrame) -> pd.DataFrame:
    """Return what the strongest corruption leaves of the AUC, over all kinds of it."""
    worst = rows[rows["level"] == rows["level"].max()]
    limits = [
        f"corruption of level {level:.0f}; worst: {kind}"
        for level, kind in zip(worst["level"], worst["worst"], strict=True)
    ]
    return _limit(worst, limits, "ΔAUC", ("difference", "low", "high"))


def _other_data(rows: pd.DataFrame) -> pd.DataFrame:
    """Return how much of the AUC is lost on other data sets."""
    lost = rows[(rows["metric"] == "auc") & rows["source"].isna()]
    return _limit(lost, "data set " + lost["dataset"], "ΔAUC", ("difference", "low", "high"))


def _shortcuts(rows: pd.DataFrame) -> pd.DataFrame:
    """Return how much of the scores shortcuts explain, and whether the model sees more than they do."""
    said = rows.assign(verdict=["sees more" if word == "above_chance" else "undecided" for word in rows["beyond"]])
    return _limit(said, "shortcuts of " + said["leak"], "R² of its scores", ("r2", "r2_low", "r2_high"))


def _limit(rows: pd.DataFrame, limits: object, measure: str, ends: tuple[str, str, str]) -> pd.DataFrame:
    value, low, high = (rows[column] for column in ends)
    said = {"limit": limits, "measure": measure, "value": value, "low": low, "high": high}
    return pd.DataFrame(said | {"verdict": rows["verdict"].fillna("-"), "run": rows["experiment"]})


_TOPICS: dict[str, tuple[str, Callable[[pd.DataFrame], pd.DataFrame]]] = {
    "corrupted images": ("robustness_summary", _corruption),
    "other data sets": ("generalization_gaps", _other_data),
    "shortcuts": ("shortcuts_runs", _shortcuts),
}
"""What is asked of every model, the table that answers, and how."""


def _in_view(view: str) -> list[Finding]:
    """Return whether anything in a view but the face predicts the label."""
    if not paths().findings("shortcuts").exists():
        return []
    found = findings.read("shortcuts")
    return [one for name, one in found.items() if name.endswith(f".{view}") and not name.startswith("beyond.")]
