"""What is known of a run: its folder read file by file, so that what is missing is said and the rest is shown."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import pandas as pd
from pydantic import ValidationError

from deepfake import tables
from deepfake.config import RunConfig, config_of
from deepfake.errors import InputError
from deepfake.evaluation import hard_examples, metrics, pooling, summary
from deepfake.evaluation.evalset import EvalSet
from deepfake.project import paths
from deepfake.reports import settings as shown_settings
from deepfake.run_files import ENTRY
from deepfake.runs import checkpoint_metadata
from deepfake.runs.checkpoint_metadata import Record
from deepfake.runs.store import Entry
from deepfake.studies import results

FOLD_COLUMNS = [
    *("fold", "repeat", "epoch", "penalty", "threshold", "temperature", "samples", "auc", "train_auc", "validation_auc")
]
"""Of the table of a run's folds (`RunFacts.folds`)."""
_Found = TypeVar("_Found")


@dataclass(frozen=True)
class RunFacts:
    """A run, as far as its folder tells.

    Args:
        name: the run.
        study: whose folder it lies in.
        facts: its config.json, as it is; empty where there is none.
        config: the same, checked; None where it is of another version.
        entry: what the run store says of it.
        records: of its folds' checkpoints.
        joined: its predictions with label, source and group.
        history: its metrics by epoch and fold.
        confusion: its confusion matrix.
        headline: its headline metrics.
    """

    name: str
    study: str
    facts: dict[str, Any]
    config: RunConfig | None
    entry: Entry | None
    records: dict[int, Record]
    joined: pd.DataFrame | None
    history: pd.DataFrame | None
    confusion: pd.DataFrame | None
    headline: dict[str, float]

    @property
    def kind(self) -> str:
        """Return what kind of run it is."""
        return str(self.facts.get("kind", "unknown"))

    @property
    def title(self) -> str:
        """Return the name of its model, and how it was trained."""
        if self.config is None:
            return str(self.facts.get("model", "unknown"))
        if self.kind == "ensemble":
            return f"ensemble of {' and '.join(self.members) or 'unknown members'}"
        return results.title(self.config.model_dump() | {"recipe": self.kind})

    @property
    def members(self) -> list[str]:
        """Return the runs that an ensemble sums."""
        combination = self.facts.get("ensemble")
        found = combination.get("experiments") if isinstance(combination, dict) else None
        return [str(name) for name in found] if isinstance(found, list) else []

    @property
    def shown(self) -> str:
        """Return what it is shown of an image."""
        return shown_settings.view(self.config) if self.config else "unknown"

    @property
    def head(self) -> bool:
        """Return whether a linear head is fitted, so that there are no epochs."""
        return self.config is not None and self.config.train == "head"

    @cached_property
    def held_out(self) -> pd.DataFrame | None:
        """Return the held-out predictions of all repeats; None where nothing can be said of them."""
        if self.joined is None:
            return None
        rows = self.joined[self.joined["subset"] == "held_out"]
        return None if _or_none(lambda: EvalSet.of(rows)) is None else rows

    @cached_property
    def folds(self) -> pd.DataFrame:
        """Return one row a fold: its checkpoint's epoch (or penalty), threshold and temperature, and its AUCs."""
        rows = {number: _of_record(record) for number, record in self.records.items()}
        if self.joined is not None:
            for number, part in self.joined.groupby("fold"):
                rows.setdefault(int(str(number)), {}).update(_of_predictions(part))
        frame = pd.DataFrame([{"fold": number} | rows[number] for number in sorted(rows)])
        return frame.reindex(columns=FOLD_COLUMNS)

    @cached_property
    def histogram(self) -> pd.DataFrame | None:
        """Return the distribution of the probability of being fake by source (`hard_examples.confidence`).

        Of the first repeat: each development sample was held out once.
        """
        if self.joined is None or self.held_out is None:
            return None
        first = self.joined[self.joined["repeat"] == self.joined["repeat"].min()]
        return _or_none(lambda: hard_examples.confidence(hard_examples.judged(first)))


def names() -> list[tuple[str, str]]:
    """Return study and name of every run whose folder is there, in order."""
    folders = sorted(path for path in paths().runs.glob("*/*/") if not path.name.startswith("."))
    return [(path.parent.name, path.name) for path in folders]


def read(study: str, name: str, manifests: dict[str, pd.DataFrame | None]) -> RunFacts:
    """Read a run.

    Args:
        study: whose folder it lies in.
        name: the run.
        manifests: those read so far, by data set; what this run needs is added.
    """
    facts = _json(paths().config(name))
    config = _or_none(lambda: config_of(name))
    return RunFacts(
        name=name,
        study=study,
        facts=facts,
        config=config,
        entry=_entry(paths().run(name) / ENTRY),
        records=_or_none(lambda: checkpoint_metadata.read_records(name)) or {},
        joined=_joined(name, config, manifests),
        history=_csv(paths().history(name)),
        confusion=_csv(paths().confusion(name)),
        headline={key: value for key, value in _json(paths().headline(name)).items() if isinstance(value, float)},
    )


def _joined(name: str, config: RunConfig | None, manifests: dict[str, pd.DataFrame | None]) -> pd.DataFrame | None:
    """Read predictions with label, source and group; None where they or their data set are not here, or another one."""
    if config is None:
        return None
    if config.dataset not in manifests:
        path = paths().manifest(config.dataset)
        manifests[config.dataset] = _or_none(lambda: tables.read(path, tables.MANIFEST))
    manifest, path = manifests[config.dataset], paths().predictions(name)
    predictions = _or_none(lambda: tables.read(path, tables.PREDICTIONS))
    if manifest is None or predictions is None:
        return None
    joined = summary.join(predictions, manifest, None)
    return pooling.by_clip(joined, config.pooling) if len(joined) == len(predictions) else None


def _of_record(record: Record) -> dict[str, Any]:
    """Return what a checkpoint's record says of its fold."""
    penalty = record.metrics.get("c")
    epoch = {"epoch": record.epoch} if penalty is None else {"penalty": penalty}
    return epoch | {"threshold": record.threshold, "temperature": record.temperature}


def _of_predictions(part: pd.DataFrame) -> dict[str, Any]:
    """Return what the predictions of a fold say."""
    found: dict[str, Any] = {"repeat": int(part["repeat"].iloc[0])}
    for subset, column in (("held_out", "auc"), ("train", "train_auc"), ("validation", "validation_auc")):
        rows = part[part["subset"] == subset]
        if rows["label"].nunique() == 2:
            found[column] = metrics.auc(rows["label"], rows["logit"])
    return found | {"samples": int((part["subset"] == "held_out").sum())}


def _entry(path: Path) -> Entry | None:
    try:
        return Entry.model_validate_json(path.read_text(encoding="utf-8"))
    except (OSError, ValidationError, UnicodeDecodeError):
        return None


def _json(path: Path) -> dict[str, Any]:
    """Read a JSON file; empty where it is missing or damaged."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _csv(path: Path) -> pd.DataFrame | None:
    """Read a CSV; None where it is missing, damaged or empty."""
    try:
        found = pd.read_csv(path)
    except (OSError, ValueError):
        return None
    return found if len(found) else None


def _or_none(read: Callable[[], _Found]) -> _Found | None:
    """Return what is read, or None where it cannot be: a page says so instead of failing."""
    try:
        return read()
    except InputError:
        return None
