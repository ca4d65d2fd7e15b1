"""Ensembles: trained experiments that decide together, by a weighted sum of their logits; nothing is trained.

An ensemble is a run like any other: predictions, configuration, records of its folds, metrics and plots. So it stands
in every table beside its members. Its weights, thresholds and temperatures come from the inner validation alone.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from deepfake import config, run_files, runtime, tables
from deepfake.config import facts_of
from deepfake.config.params import Params
from deepfake.config.studies import Ensemble
from deepfake.errors import InputError, unknown
from deepfake.evaluation import metrics, pooling
from deepfake.progress import SILENT, Progress
from deepfake.project import paths
from deepfake.runs import checkpoint_metadata, code, store
from deepfake.runs.checkpoint_metadata import Record
from deepfake.runs.cross_validation import write_results

MODEL = "ensemble"
"""The `model` in an ensemble's configuration."""
_KEY = ["fold", "subset", "sample_id"]
_ALIKE = ("dataset", "manifest_sha256", "folds", "repeats", "pooling")
"""What members must have in common; they may differ in model, view and normalisation."""


class Weights(NamedTuple):
    """How the logits of one fold's members are summed.

    Args:
        coefficients: one a member.
        intercept: what is added.
    """

    coefficients: tuple[float, ...]
    intercept: float

    def sum(self, logits: np.ndarray) -> np.ndarray:
        """Return the ensemble's logits, float64 [n], of its members', [n, members]."""
        # not a matrix product, whose last bit may depend on the number of rows
        return (logits * np.array(self.coefficients)).sum(axis=1) + self.intercept


def mean(logits: np.ndarray, labels: np.ndarray) -> Weights:
    """Weigh all members alike, whatever the samples are."""
    count = logits.shape[1]
    return Weights((1 / count,) * count, 0.0)


def fitted(logits: np.ndarray, labels: np.ndarray) -> Weights:
    """Weigh members by a logistic regression (scikit-learn's, with its default L2 penalty, C = 1).

    Each member's logits are standardised for it, so that the penalty is the same for a sure and an unsure one; the
    weights returned are those of the logits as they are. Nothing keeps a weight from being negative.

    Args:
        logits: the members' outputs on the inner validation, float [n, members].
        labels: 0 real or 1 fake, int [n]; both are there.
    """
    scaler = StandardScaler()
    # Newton's method ends at the optimum; the default one stops near it, and where depends on rounding
    found = LogisticRegression(solver="newton-cholesky", tol=1e-10).fit(scaler.fit_transform(logits), labels)
    coefficients = found.coef_[0] / scaler.scale_
    return Weights(tuple(coefficients.tolist()), float(found.intercept_[0] - coefficients @ scaler.mean_))


WEIGHTS: dict[str, Callable[[np.ndarray, np.ndarray], Weights]] = {"mean": mean, "fitted": fitted}
"""From the members' logits on a fold's inner validation, and the labels, to that fold's weights."""


@dataclass(frozen=True)
class Member:
    """A trained experiment of an ensemble.

    Args:
        name: the experiment.
        facts: its configuration, and what its training found out.
        records: what is known of the checkpoint of each fold.
        logits: of all samples in use, indexed by fold, subset and sample_id.
    """

    name: str
    facts: dict[str, Any]
    records: dict[int, Record]
    logits: pd.Series


def run(name: str, settings: Params, progress: Progress = SILENT) -> None:
    """Sum the logits of an ensemble's members, and put what comes of it into the store.

    Args:
        name: of a run of the kind `ensemble`.
        settings: the checked params.yaml.
        progress: told of each weight that is negative.

    Raises:
        InputError: no such ensemble; a member was not trained; members differ in data set, folds or samples.
    """
    known = config.entries(settings)
    if name not in known:
        raise InputError(f"studies: {unknown('run', name, known)}")
    study, entry = known[name]
    if not isinstance(entry, Ensemble):
        raise InputError(f"studies: {name} is {entry.kind}, no ensemble; name a run that is")
    members = [_read(experiment) for experiment in entry.members]
    _check_alike(name, members)
    # what decides the members' numbers is behind their predictions and records
    parts = [(paths().predictions(member.name), paths().config(member.name)) for member in members]
    hashes = [runtime.file_hash(path) for pair in parts for path in pair]
    key = store.key(study, name, entry.model_dump_json(), hashes, code.digest("deepfake.runs.ensembles"))
    if store.bring_back(study, name, key, progress):
        return
    manifest = _manifest_of(members[0])
    weights = [WEIGHTS[entry.weights](*_judged(members, fold)) for fold in members[0].records]
    for fold, one in enumerate(weights):
        for member, weight in zip(members, one.coefficients, strict=True):
            if weight < 0:
                progress.say(f"{name}: in fold {fold} the weight of {member.name} is negative ({weight:.3f})")
    predictions = _predictions(name, members, weights, manifest)
    facts = members[0].facts | {
        "experiment": name,
        "study": study,
        "kind": entry.kind,
        "model": MODEL,
        "parameters": sum(member.facts["parameters"] for member in members),
        "ensemble": {
            "experiments": entry.members,
            "weights": entry.weights,
            "coefficients": [one.coefficients for one in weights],
            "intercepts": [one.intercept for one in weights],
        },
    }

    def write(folder: Path) -> None:
        for fold, one in enumerate(weights):
            record = _record(name, members, fold, one)
            path = folder / run_files.CHECKPOINTS / run_files.record_name(fold)
            tables.write_text(record.model_dump_json(indent=2) + "\n", path)
        write_results(folder, predictions, manifest, facts)

    store.put(study, name, entry.kind, key, write)


def _read(experiment: str) -> Member:
    """Read a member."""
    found = checkpoint_metadata.read_records(experiment)
    facts = facts_of(experiment)
    predictions = tables.read(paths().predictions(experiment), tables.PREDICTIONS)
    return Member(experiment, facts, found, predictions.set_index(_KEY)["logit"])


def _check_alike(name: str, members: list[Member]) -> None:
    """Check that members were trained, chosen and judged on the same samples.

    Raises:
        InputError: what differs, and between whom.
    """
    first = members[0]
    for member in members[1:]:
        both = f"{name}: {member.name} and {first.name}"
        for key in _ALIKE:
            if member.facts[key] != first.facts[key]:
                found = f"{member.facts[key]}, {first.facts[key]}"
                raise InputError(f"{both} differ in {key} ({found}); name others, or train both again")
        for fold, record in first.records.items():
            if _labels(member.records[fold]) != _labels(record):
                raise InputError(f"{both} differ in the inner validation of fold {fold}; name others")
        if strange := member.logits.index.symmetric_difference(first.logits.index).tolist():
            fold, subset, sample = strange[0]
            raise InputError(f"{both} differ in the samples ({subset} of fold {fold}: {sample}); name others")


def _labels(record: Record) -> dict[str, int]:
    """Return the labels of a fold's inner validation by sample."""
    return dict(zip(record.validation.sample_id, record.validation.label, strict=True))


def _manifest_of(member: Member) -> pd.DataFrame:
    """Return the manifest that a member, and so all of them, was trained on.

    Raises:
        InputError: it is missing or has changed since.
    """
    path = paths().manifest(member.facts["dataset"])
    manifest = tables.read(path, tables.MANIFEST)
    if runtime.file_hash(path) != member.facts["manifest_sha256"]:
        raise InputError(f"{path}: not what {member.name} was trained on; train it again, or dvc repro")
    return manifest


def _validation(members: list[Member], fold: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the members' logits on a fold's inner validation, float64 [n, members], and the labels [n]."""
    # from the records, which hold nothing else: no sample that is judged by can come in
    own = [member.records[fold].validation for member in members]
    logits = [dict(zip(found.sample_id, found.logit, strict=True)) for found in own]
    rows = [[of[sample] for of in logits] for sample in own[0].sample_id]
    return np.array(rows), np.array(own[0].label)


def _judged(members: list[Member], fold: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the members' logits on the clips of a fold's inner validation, float64 [m, members], and labels [m]."""
    logits, labels = _validation(members, fold)
    record = members[0].records[fold]
    clips, how = record.validation.clip_id, record.config.pooling
    if clips is None:
        return logits, labels
    each = [pooling.decided(labels, logits[:, number], np.array(clips), how) for number in range(len(members))]
    return np.column_stack([one[1] for one in each]), each[0][0]


def _predictions(name: str, members: list[Member], weights: list[Weights], manifest: pd.DataFrame) -> pd.DataFrame:
    """Return the ensemble's predictions (`tables.PREDICTIONS`) of all samples in use, fold by fold."""
    places = members[0].logits.index
    each = np.column_stack([member.logits.reindex(places) for member in members])
    rows = places.to_frame(index=False)
    rows["clip_id"] = rows["sample_id"].map(manifest.set_index("sample_id")["clip_id"])
    for fold, found in enumerate(weights):
        of_fold = (rows["fold"] == fold).to_numpy()
        rows.loc[of_fold, "logit"] = found.sum(each[of_fold])
    rows["repeat"] = rows["fold"] // members[0].records[0].config.folds
    return rows.assign(experiment=name, condition=tables.STANDARD_CONDITION)[list(tables.PREDICTIONS.columns)]


def _record(name: str, members: list[Member], fold: int, weights: Weights) -> Record:
    """Return the record of a fold: thresholds and temperature from the ensemble's own logits."""
    first = members[0].records[fold]
    each, labels = _validation(members, fold)
    logits = weights.sum(each)
    clips = None if first.validation.clip_id is None else np.array(first.validation.clip_id)
    judged = pooling.decided(labels, logits, clips, first.config.pooling)
    return checkpoint_metadata.of(
        first.config.model_copy(update={"experiment": name, "model": MODEL}),
        fold,
        epoch=1,
        metrics={"validation_auc": metrics.auc(*judged)},
        normalization=first.normalization,
        sample_ids=np.array(first.validation.sample_id),
        labels=labels,
        logits=logits,
        clip_ids=clips,
    )
