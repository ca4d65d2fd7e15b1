"""A trained run: one configuration, trained and predicted on every fold of a data set; an entry of the store."""

import json
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pandas as pd

from deepfake import run_files, runtime, tables
from deepfake.config import RunConfig, facts_of
from deepfake.datasets import splits
from deepfake.errors import InputError
from deepfake.evaluation import summary
from deepfake.execution import run_jobs
from deepfake.progress import SILENT, Progress
from deepfake.project import paths
from deepfake.runs import checkpoint_metadata, code, overlap, store, weights

if TYPE_CHECKING:
    from deepfake.runs.fold import FoldJob


_NAMES = {"experiment", "study", "preset"}
"""What a configuration is called, which decides no number."""


class Outcome(NamedTuple):
    """What a run gives.

    Args:
        predictions: `tables.PREDICTIONS`, all folds.
        history: one row an epoch and fold.
        facts: the resolved configuration, and what was found out: kind, parameters, hashes.
        by_fold: metrics, one row a fold (`summary.by_fold`).
    """

    predictions: pd.DataFrame
    history: pd.DataFrame
    facts: dict[str, Any]
    by_fold: pd.DataFrame


@dataclass(frozen=True)
class Prepared:
    """A run that can be trained: all that was asked for is there.

    Args:
        config: the resolved run.
        manifest: `tables.MANIFEST`.
        inputs: hashes of what its numbers depend on beside configuration, pixels and code.
        weights: what the backbones start from, or None for a random start.
        key: of its entry in the store; its name is no part of it.
    """

    config: RunConfig
    manifest: pd.DataFrame
    inputs: dict[str, str | None]
    weights: Path | None
    key: str

    @property
    def folders(self) -> list[Path]:
        """Return where each fold's results wait until all are there."""
        return [store.unfinished(self.key) / f"fold{fold}" for fold in range(self.config.trainings)]

    @property
    def kind(self) -> store.Kind:
        """Return the kind of its entry."""
        return "trained" if self.config.start_from is None else "fine-tuned"


def run(config: RunConfig, progress: Progress = SILENT) -> Outcome:
    """Train a run on all folds, unless the store has it, and return what it gives.

    Raises:
        InputError: as in `complete`.
    """
    complete([config], progress)
    manifest = tables.read(paths().manifest(config.dataset), tables.MANIFEST)
    predictions = tables.read(paths().predictions(config.experiment), tables.PREDICTIONS)
    by_fold = summary.by_fold(summary.join(predictions, manifest, config.pooling))
    history = pd.read_csv(paths().history(config.experiment))
    return Outcome(predictions, history, facts_of(config.experiment), by_fold)


def complete(configs: Iterable[RunConfig], progress: Progress = SILENT) -> int:
    """Put runs into their studies' folders: from the store what it has, the others trained, folds side by side.

    Folds that an earlier, killed process finished are taken over. Identical configurations train once.

    Args:
        configs: the resolved runs.
        progress: told what is about to be decoded, and how training goes.

    Returns:
        How many configurations were trained.

    Raises:
        InputError: unknown model, missing or inconsistent manifest, too few groups, an impossible holdout, no weights
            to start from, or such as have seen what is to be held out.
    """
    prepared = [prepare(config) for config in configs]
    missing = {each.key: each for each in prepared if not _take(each, progress)}
    if missing:
        with store.locked(missing, progress):
            # another process may have had the lock; what is damaged has been told
            trained = [each for each in missing.values() if not _take(each, SILENT)]
            waiting = [job for each in trained for job in jobs(each, progress)]
            if waiting:
                progress.begin()
            train(waiting, progress)
            for each in trained:
                _put(each)
            for each in prepared:
                _take(each, progress)
        return len(trained)
    return 0


def prepare(config: RunConfig) -> Prepared:
    """Check that a run can be trained, and find out all that decides its numbers.

    Raises:
        InputError: missing or inconsistent manifest, an impossible holdout, no view, no weights to start from, or such
            as have seen what is to be held out.
    """
    manifest_file, regions = paths().manifest(config.dataset), paths().regions(config.dataset, config.view.view)
    pretrained = paths().weights(config.model) if config.pretrained else None
    start = config.start_from
    parents = [paths().checkpoint(start, fold) for fold in range(config.trainings)] if start else []
    for path, remedy in (
        (manifest_file, f"deepfake split {config.dataset}"),
        (regions, f"deepfake views {config.dataset}"),
        (pretrained, "deepfake weights"),
        *((parent, f"deepfake train {config.start_from}") for parent in parents),
    ):
        if path is not None and not path.exists():
            raise InputError(f"{path}: not found; run {remedy}, or dvc repro")
    manifest = tables.read(manifest_file, tables.MANIFEST)
    splits.verify(manifest)
    folds, repeats = splits.shape(manifest)
    if folds != config.folds or repeats < config.repeats:
        raise InputError(
            f"{manifest_file}: it has {folds} folds and {repeats} repeats, the preset {config.preset} wants "
            f"{config.folds} and {config.repeats}; run deepfake split {config.dataset}, or dvc repro"
        )
    if config.holdout is not None:
        splits.check_holdout(manifest, config.holdout)
    if config.start_from is not None:
        overlap.check_start(config, manifest)
    config = weights.with_statistics(config)
    inputs = {
        "manifest_sha256": runtime.file_hash(manifest_file),
        "weights_sha256": runtime.file_hash(pretrained) if pretrained else None,
        "start_sha256": " ".join(map(runtime.file_hash, parents)) or None,
    }
    key = store.key(
        config.model_dump_json(exclude=_NAMES),
        inputs,
        runtime.file_hash(regions),
        code.digest("deepfake.runs.heads" if config.train == "head" else "deepfake.runs.fold", config.view.modality),
        code.digest("deepfake.evaluation.summary"),
        runtime.versions(runtime.RECORDED_PACKAGES),
        runtime.has_gpu(),
    )
    return Prepared(config, manifest, inputs, pretrained, key)


def jobs(prepared: Prepared, progress: Progress = SILENT) -> "list[FoldJob]":
    """Return the folds of a run that are still to be trained, once their images are decoded.

    Raises:
        InputError: unknown model, one that cannot take images of this size, or too few groups.
    """
    from deepfake import modalities, models  # loads torch, which results that are there need not wait for
    from deepfake.runs import fold as folds

    models.check_size(prepared.config.model, modalities.shape(prepared.config.view))
    every = folds.jobs(
        prepared.config,
        prepared.manifest,
        store.unfinished(prepared.key),
        weights=prepared.weights,
        progress=progress,
    )
    return [job for job in every if not is_done(job.folder)]


def train(waiting: "list[FoldJob]", progress: Progress = SILENT) -> None:
    """Train folds side by side, of one run or of many; those on frozen trunks first."""
    from deepfake.runs import fold as folds
    from deepfake.runs import heads

    heads.train([job for job in waiting if job.config.train == "head"], progress)
    layers = [job for job in waiting if job.config.train == "all"]
    run_jobs(folds.train_fold, layers, on_news=progress.news, on_state=progress.job)


def is_done(folder: Path) -> bool:
    """Tell whether a fold's results are complete; the marker is written last."""
    return (folder / run_files.FOLD_DONE).exists()


def read_predictions(folders: list[Path]) -> pd.DataFrame:
    """Return the predictions of a run's folds, one after the other."""
    written = [tables.read(folder / run_files.FOLD_PREDICTIONS, tables.PREDICTIONS) for folder in folders]
    return pd.concat(written, ignore_index=True)


def write_results(folder: Path, predictions: pd.DataFrame, manifest: pd.DataFrame, facts: dict[str, Any]) -> None:
    """Write into an entry what all kinds of runs have: predictions, configuration, metrics, curves."""
    joined = summary.join(predictions, manifest, facts["pooling"])
    by_fold, held_out = summary.by_fold(joined), joined.query("subset == 'held_out'")
    tables.write(predictions, folder / run_files.RUN_PREDICTIONS, tables.PREDICTIONS)
    tables.write_text(json.dumps(facts, indent=2) + "\n", folder / run_files.RUN_CONFIG)
    tables.write_csv(summary.roc(held_out), folder / run_files.RUN_ROC)
    tables.write_csv(summary.confusion(held_out, by_fold), folder / run_files.RUN_CONFUSION)
    tables.write_text(summary.headline_json(by_fold), folder / run_files.RUN_METRICS)


def _take(prepared: Prepared, progress: Progress) -> bool:
    """Put a run into its study's folder if the store has it; tell whether it has."""
    config = prepared.config
    found = store.find(prepared.key, run=config.experiment, progress=progress)
    if found is None:
        return False
    own = json.loads((found.folder / run_files.RUN_CONFIG).read_text(encoding="utf-8"))
    called = all(own[key] == value for key, value in _called(config).items())
    if called and found.folder == paths().study(config.study) / config.experiment:
        return True
    if found.entry.run != config.experiment:
        progress.say(f"{config.experiment}: the configuration of {found.entry.run}, whose results are taken over")
    store.put(
        config.study,
        config.experiment,
        prepared.kind,
        prepared.key,
        lambda folder: _copy(found.folder, folder, config),
    )
    return True


def _called(config: RunConfig) -> dict[str, str]:
    """Return what is written of a run and is no part of its key."""
    return {key: getattr(config, key) for key in _NAMES}


def _copy(source: Path, folder: Path, config: RunConfig) -> None:
    """Copy an entry's files under another run's name."""
    own = _called(config)
    store.copy(source, folder)
    for path in (folder / run_files.CHECKPOINTS).glob("*.json"):
        record = checkpoint_metadata.read(path)
        record = record.model_copy(update={"config": record.config.model_copy(update=own)})
        tables.write_text(record.model_dump_json(indent=2) + "\n", path)
    path = folder / run_files.RUN_CONFIG
    facts = json.loads(path.read_text(encoding="utf-8")) | own
    tables.write_text(json.dumps(facts, indent=2) + "\n", path)
    path = folder / run_files.RUN_PREDICTIONS
    predictions = tables.read(path, tables.PREDICTIONS)
    tables.write(predictions.assign(experiment=config.experiment), path, tables.PREDICTIONS)


def _put(prepared: Prepared) -> None:
    """Put the folds of a run together, and the run into the store."""
    config = prepared.config
    done = [json.loads((folder / run_files.FOLD_DONE).read_text(encoding="utf-8")) for folder in prepared.folders]
    predictions = read_predictions(prepared.folders).assign(experiment=config.experiment)
    facts = config.model_dump() | {
        "kind": prepared.kind,
        "resolution": config.resolution,
        "parameters": done[0]["parameters"],
        **prepared.inputs,
    }

    def write(folder: Path) -> None:
        checkpoints = folder / run_files.CHECKPOINTS
        checkpoints.mkdir()
        for fold, source in enumerate(prepared.folders):
            copies = {run_files.FOLD_WEIGHTS: run_files.weights_name(fold)}
            if config.keep_optimizer:
                copies[run_files.FOLD_OPTIMIZER] = run_files.optimizer_name(fold)
            for name, target in copies.items():
                shutil.copyfile(source / name, checkpoints / target)
            # an unfinished run may have been begun under another name
            own = checkpoint_metadata.read(source / run_files.FOLD_RECORD).model_copy(update={"config": config})
            record = checkpoints / run_files.record_name(fold)
            tables.write_text(own.model_dump_json(indent=2) + "\n", record)
        histories = [pd.read_csv(source / run_files.FOLD_HISTORY) for source in prepared.folders]
        tables.write_csv(pd.concat(histories, ignore_index=True), folder / run_files.RUN_HISTORY)
        write_results(folder, predictions, prepared.manifest, facts)

    store.put(config.study, config.experiment, prepared.kind, prepared.key, write)
    record = runtime.provenance(
        paths().root,
        key=prepared.key,
        run=config.experiment,
        seed=config.seed,
        seconds=round(sum(fold["seconds"] for fold in done), 1),
        **done[0]["machine"],
    )
    tables.write_text(json.dumps(record, indent=2) + "\n", paths().provenance(config.experiment))
