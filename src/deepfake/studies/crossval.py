"""An experiment: one configuration, trained and predicted on every fold of a data set."""

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pandas as pd

from deepfake import layout, runtime, tables
from deepfake.config import RunConfig, facts_of
from deepfake.data import splits
from deepfake.errors import InputError
from deepfake.evaluation import summary
from deepfake.studies import exposure, records, staged
from deepfake.studies.launch import FoldNews, run_jobs
from deepfake.studies.staged import Basis

if TYPE_CHECKING:
    from deepfake.studies.fold import FoldJob


@dataclass(frozen=True)
class Outcome:
    """What an experiment gives.

    Args:
        predictions: `tables.PREDICTIONS`, all folds.
        history: one row an epoch and fold.
        facts: the resolved configuration, and what was found out: parameters, best epochs, hashes.
        by_fold: metrics, one row a fold (`summary.by_fold`).
    """

    predictions: pd.DataFrame
    history: pd.DataFrame
    facts: dict[str, Any]
    by_fold: pd.DataFrame


def run(
    config: RunConfig,
    *,
    announce: Callable[[str], None] = lambda line: None,
    on_decode: Callable[[int, int], None] = lambda done, total: None,
    on_start: Callable[[], None] = lambda: None,
    on_news: Callable[[FoldNews], None] = lambda news: None,
) -> Outcome:
    """Train an experiment on all folds and write everything that belongs to it.

    Folds that an earlier, killed run of the same configuration, data and code finished are taken over, and so are the
    results of an experiment that differs in its name alone: identical configurations train once.

    Args:
        config: the resolved experiment.
        announce: called with a line about what is about to be done.
        on_decode: called with the images decoded so far and their total.
        on_start: called when all is there and training begins.
        on_news: called when a fold has finished an epoch or itself.

    Raises:
        InputError: unknown model, missing or inconsistent manifest, too few groups, an impossible holdout, or no
            weights to start from.
    """
    prepared = prepare(config)
    if staged.take(config) is not None:
        return _read_back(config, config.experiment, prepared.manifest)
    twin = _twin(config, prepared.basis.key)
    if twin is not None:
        announce(f"{config.experiment}: the configuration of {twin}, whose results are taken over")
        outcome = _read_back(config, twin, prepared.manifest)
        record = json.loads(layout.provenance(twin).read_text(encoding="utf-8")) | {"taken_from": twin}
        checkpoints = [_checkpoint_of(twin, fold) for fold in range(config.folds)]
        _write(config, outcome, prepared.manifest, checkpoints, record)
        return outcome
    if not all(is_done(folder) for folder in prepared.folders):
        waiting = jobs(prepared, announce=announce, on_decode=on_decode)
        on_start()
        train(waiting, on_news)
    outcome = _collect(prepared)
    shutil.rmtree(prepared.basis.scratch)
    return outcome


@dataclass(frozen=True)
class Prepared:
    """An experiment that can be trained: all that was asked for is there.

    Args:
        config: the resolved experiment.
        manifest: `tables.MANIFEST`.
        basis: what decides its results.
        folders: where each fold's results wait until all are there.
    """

    config: RunConfig
    manifest: pd.DataFrame
    basis: Basis
    folders: list[Path]


def prepare(config: RunConfig) -> Prepared:
    """Check that an experiment can be trained.

    Raises:
        InputError: missing or inconsistent manifest, an impossible holdout, no view, no weights to start from, or such
            as have seen what is to be held out.
    """
    manifest_file = layout.manifest(config.dataset)
    manifest = tables.read(manifest_file, tables.MANIFEST)
    splits.verify(manifest)
    if manifest["fold"].max() + 1 != config.folds:
        raise InputError(
            f"{manifest_file}: it has {manifest['fold'].max() + 1} folds, the preset {config.preset} wants "
            f"{config.folds}; run deepfake split {config.dataset}, or dvc repro"
        )
    if config.holdout is not None:
        splits.check_holdout(manifest, config.holdout)
    found = staged.basis(config)
    if config.start_from is not None:
        exposure.check_start(config, manifest)
    folders = [found.scratch / f"fold{fold}" for fold in range(config.folds)]
    return Prepared(config, manifest, found, folders)


def jobs(
    prepared: Prepared,
    *,
    announce: Callable[[str], None] = lambda line: None,
    on_decode: Callable[[int, int], None] = lambda done, total: None,
) -> "list[FoldJob]":
    """Return the folds of an experiment that are still to be trained, once their images are decoded.

    Raises:
        InputError: unknown model, or too few groups.
    """
    from deepfake import models  # loads torch, which results that are there need not wait for
    from deepfake.studies import fold as folds

    models.check_name(prepared.config.model)
    every = folds.jobs(
        prepared.config,
        prepared.manifest,
        prepared.basis.scratch,
        weights=prepared.basis.weights,
        announce=announce,
        on_decode=on_decode,
    )
    return [job for job in every if not is_done(job.folder)]


def train(waiting: "list[FoldJob]", on_news: Callable[[FoldNews], None]) -> None:
    """Train folds side by side; of one experiment or of many."""
    from deepfake.studies import fold as folds

    run_jobs(folds.train_fold, waiting, workers=folds.workers(), on_news=on_news)


def is_finished(prepared: Prepared) -> bool:
    """Tell whether an experiment's results, or those of an identical one, are there and need not be computed again.

    Results that were pulled have no record of the code that made them; there, configuration and data decide.
    """
    config, key = prepared.config, prepared.basis.key
    if staged.is_there(config, prepared.basis) or _twin(config, key) or _holds(config.experiment, key, config):
        return True
    if layout.provenance(config.experiment).exists() or not _is_whole(config.experiment, config):
        return False
    facts = facts_of(config.experiment)
    expected = config.model_dump(mode="json") | prepared.basis.inputs
    return {key: facts.get(key) for key in expected} == expected


def stage(prepared: Prepared) -> None:
    """Put the folds of an experiment together and stage its results for `staged.take`."""
    _collect(prepared, prepared.basis.folder)
    for folder in prepared.folders:
        shutil.rmtree(folder)


def is_done(folder: Path) -> bool:
    """Tell whether a fold's results are complete; the marker is written last."""
    return (folder / layout.FOLD_DONE).exists()


def read_predictions(folders: list[Path]) -> pd.DataFrame:
    """Return the predictions of an experiment's folds, one after the other."""
    written = [tables.read(folder / layout.FOLD_PREDICTIONS, tables.PREDICTIONS) for folder in folders]
    return pd.concat(written, ignore_index=True)


class Checkpoint(NamedTuple):
    """Where a fold's checkpoint lies; the optimiser's state is there only where it is kept."""

    weights: Path
    record: Path
    optimizer: Path


def _checkpoint_of(experiment: str, fold: int) -> Checkpoint:
    """Return the checkpoint of a finished experiment."""
    return Checkpoint(
        layout.checkpoint(experiment, fold),
        layout.checkpoint_record(experiment, fold),
        layout.checkpoint_optimizer(experiment, fold),
    )


def _collect(prepared: Prepared, root: Path = Path()) -> Outcome:
    """Put the folds of an experiment together and write all that belongs to it, below a root."""
    predictions = read_predictions(prepared.folders)
    done = [json.loads((folder / layout.FOLD_DONE).read_text(encoding="utf-8")) for folder in prepared.folders]
    outcome = _gather(prepared, predictions, done)
    checkpoints = [
        Checkpoint(
            folder / layout.FOLD_WEIGHTS,
            folder / layout.FOLD_RECORD,
            folder / layout.FOLD_OPTIMIZER,
        )
        for folder in prepared.folders
    ]
    record = runtime.provenance(
        key=prepared.basis.key,
        seed=prepared.config.seed,
        seconds=round(sum(fold["seconds"] for fold in done), 1),
        **done[0]["machine"],
    )
    _write(prepared.config, outcome, prepared.manifest, checkpoints, record, root)
    return outcome


def _twin(config: RunConfig, key: str) -> str | None:
    """Return a finished experiment of the same key, if there is one whose results are still those it wrote."""
    names = [path.parent.name for path in sorted(layout.RUNS.glob(f"*/{layout.provenance('').name}"))]
    return next((name for name in names if name != config.experiment and _holds(name, key, config)), None)


def _holds(experiment: str, key: str, config: RunConfig) -> bool:
    """Tell whether an experiment's results are those of a key, and still as they were written."""
    path = layout.provenance(experiment)
    if not path.exists() or not _is_whole(experiment, config):
        return False
    record = json.loads(path.read_text(encoding="utf-8"))
    # another version may have been checked out since: the record is not versioned
    found = (record["experiment"], record.get("key"), record["predictions_sha256"])
    return found == (experiment, key, runtime.file_hash(layout.predictions(experiment)))


def _is_whole(experiment: str, config: RunConfig) -> bool:
    """Tell whether all is there that an experiment of such a configuration leaves behind."""
    parts = [layout.checkpoint, layout.checkpoint_record]
    parts += [layout.checkpoint_optimizer] if config.keep_optimizer else []
    checkpoints = [part(experiment, fold) for part in parts for fold in range(config.folds)]
    needed = [layout.predictions(experiment), layout.config(experiment), layout.history(experiment), *checkpoints]
    return all(file.exists() for file in needed)


def _read_back(config: RunConfig, source: str, manifest: pd.DataFrame) -> Outcome:
    """Return the results that an experiment, or its twin, has written, under the experiment's own name."""
    predictions = tables.read(layout.predictions(source), tables.PREDICTIONS).assign(experiment=config.experiment)
    facts = facts_of(source) | {"experiment": config.experiment}
    by_fold = summary.by_fold(summary.join(predictions, manifest))
    return Outcome(predictions, pd.read_csv(layout.history(source)), facts, by_fold)


def _gather(prepared: Prepared, predictions: pd.DataFrame, done: list[dict[str, Any]]) -> Outcome:
    """Put the folds' results together."""
    config = prepared.config
    histories = [pd.read_csv(folder / layout.FOLD_HISTORY) for folder in prepared.folders]
    by_fold = summary.by_fold(summary.join(predictions, prepared.manifest))
    facts = config.model_dump() | {
        "resolution": config.resolution,
        "parameters": done[0]["parameters"],
        **prepared.basis.inputs,
    }
    return Outcome(predictions, pd.concat(histories, ignore_index=True), facts, by_fold)


def _write(
    config: RunConfig,
    outcome: Outcome,
    manifest: pd.DataFrame,
    checkpoints: list[Checkpoint],
    record: dict[str, object],
    root: Path = Path(),
) -> None:
    """Write an experiment's artefacts below a root; the metrics come last: their existence means all is there."""
    name = config.experiment
    for fold, found in enumerate(checkpoints):
        copies = {found.weights: layout.checkpoint(name, fold)}
        if config.keep_optimizer:
            copies[found.optimizer] = layout.checkpoint_optimizer(name, fold)
        else:
            # that of an earlier training would stand beside weights that it does not belong to
            (root / layout.checkpoint_optimizer(name, fold)).unlink(missing_ok=True)
        for source, target in copies.items():
            with tables.atomic(root / target) as temporary:
                shutil.copyfile(source, temporary)
        # the configuration names the experiment, which may have been another one's twin
        own = records.read(found.record).model_copy(update={"config": config})
        tables.write_text(own.model_dump_json(indent=2) + "\n", root / layout.checkpoint_record(name, fold))
    tables.write_text(json.dumps(outcome.facts, indent=2) + "\n", root / layout.config(name))
    predictions = root / layout.predictions(name)
    tables.write(outcome.predictions, predictions, tables.PREDICTIONS)
    tables.write_csv(outcome.history, root / layout.history(name))
    held_out = summary.join(outcome.predictions, manifest).query("subset == 'held_out'")
    tables.write_csv(summary.roc(held_out), root / layout.roc(name))
    tables.write_csv(summary.confusion(held_out, outcome.by_fold), root / layout.confusion(name))
    record |= {"experiment": name, "predictions_sha256": runtime.file_hash(predictions)}
    tables.write_text(json.dumps(record, indent=2) + "\n", root / layout.provenance(name))
    tables.write_text(summary.headline_json(outcome.by_fold), root / layout.train_metrics(name))
