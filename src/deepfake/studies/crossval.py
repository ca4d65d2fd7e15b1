"""An experiment: one configuration, trained and predicted on every fold of a data set."""

import hashlib
import json
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from deepfake import layout, runtime, tables
from deepfake.config import RunConfig
from deepfake.data import splits
from deepfake.errors import InputError
from deepfake.evaluation import summary
from deepfake.loading import views
from deepfake.studies.launch import FoldNews, run_jobs


@dataclass(frozen=True)
class Outcome:
    """What an experiment gives.

    Args:
        predictions: `tables.PREDICTIONS`, all folds.
        history: one row an epoch and fold.
        facts: the resolved configuration, and what was found out: parameters, best epochs, data hash.
        by_fold: metrics, one row a fold (`summary.by_fold`).
    """

    predictions: pd.DataFrame
    history: pd.DataFrame
    facts: dict[str, object]
    by_fold: pd.DataFrame


def run(
    config: RunConfig,
    *,
    announce: Callable[[str], None] = lambda line: None,
    on_decode: Callable[[int, int], None] = lambda done, total: None,
    on_news: Callable[[FoldNews], None] = lambda news: None,
) -> Outcome:
    """Train an experiment on all folds and write everything that belongs to it.

    Folds that an earlier, killed run of the same configuration, data and code finished are taken over, and so are the
    results of an experiment that differs in its name alone: identical configurations train once.

    Args:
        config: the resolved experiment.
        announce: called with a line about what is about to be done.
        on_decode: called with the images decoded so far and their total.
        on_news: called when a fold has finished an epoch or itself.

    Raises:
        InputError: unknown model, missing or inconsistent manifest, too few groups.
    """
    manifest_file = layout.manifest(config.dataset)
    manifest = tables.read(manifest_file, tables.MANIFEST)
    splits.verify(manifest)
    if manifest["fold"].max() + 1 != config.folds:
        raise InputError(
            f"{manifest_file}: it has {manifest['fold'].max() + 1} folds, the preset {config.preset} wants "
            f"{config.folds}; run deepfake split {config.dataset}, or dvc repro"
        )
    data_hash = runtime.file_hash(manifest_file)
    key = _key(config, data_hash)
    twin = _twin(config, key)
    if twin is not None:
        announce(f"{config.experiment}: the configuration of {twin}, whose results are taken over")
        outcome, weights = _taken_over(config, twin, manifest)
        record = json.loads(layout.provenance(twin).read_text(encoding="utf-8")) | {"taken_from": twin}
        _write(config, outcome, manifest, weights, record)
        return outcome
    return _train(config, manifest, data_hash, key, announce, on_decode, on_news)


def _train(
    config: RunConfig,
    manifest: pd.DataFrame,
    data_hash: str,
    key: str,
    announce: Callable[[str], None],
    on_decode: Callable[[int, int], None],
    on_news: Callable[[FoldNews], None],
) -> Outcome:
    """Train an experiment on all folds; unfinished work lies in a folder of its key."""
    from deepfake import models  # loads torch, which results that are taken over need not wait for
    from deepfake.studies import fold as folds

    started = time.time()
    models.check_name(config.model)
    scratch = layout.SCRATCH / f"{config.experiment}-{key}"
    scratch.mkdir(parents=True, exist_ok=True)
    parts = {
        fold: splits.subsets(manifest, fold, fraction=config.fraction, val_ratio=config.val_ratio, seed=config.seed)
        for fold in range(config.folds)
    }
    images = [
        views.pixels(
            config.view,
            manifest,
            oversampling=oversampling,
            threads=config.num_workers,
            cuda=runtime.has_gpu(),
            announce=announce,
            progress=on_decode,
        )
        for oversampling in (1.0, config.oversampling)
        if oversampling is not None
    ]
    jobs = [
        folds.FoldJob(
            config,
            fold,
            manifest["sample_id"].to_numpy(),
            manifest["label"].to_numpy(),
            parts[fold].reindex(manifest.index, fill_value="").to_numpy(),
            images[0],
            images[1] if config.oversampling else None,
            scratch / f"fold{fold}",
        )
        for fold in range(config.folds)
    ]
    workers = 1 if runtime.device().type == "cuda" else runtime.cores()
    waiting = [job for job in jobs if not folds.is_done(job.folder)]
    run_jobs(folds.train_fold, waiting, workers=workers, on_news=on_news)
    outcome = _gather(config, [job.folder for job in jobs], manifest, data_hash)
    weights = [job.folder / layout.FOLD_WEIGHTS for job in jobs]
    seconds = round(time.time() - started, 1)
    _write(config, outcome, manifest, weights, runtime.provenance(key=key, seed=config.seed, seconds=seconds))
    shutil.rmtree(scratch)
    return outcome


def _key(config: RunConfig, data_hash: str) -> str:
    """Return what decides an experiment's results: configuration (but for the name), data, code, packages, device.

    Raises:
        InputError: the view has not been written.
    """
    regions = layout.regions(config.dataset, config.view.view)
    if not regions.exists():
        raise InputError(f"{regions}: not found; run deepfake cache {config.view.view}, or dvc repro")
    view_hash = runtime.file_hash(regions)
    configuration = config.model_dump_json(exclude={"experiment"})
    packages = runtime.versions(runtime.RECORDED_PACKAGES)
    parts = (configuration, data_hash, view_hash, runtime.code_hash(), packages, runtime.has_gpu())
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]


def _twin(config: RunConfig, key: str) -> str | None:
    """Return a finished experiment of the same key, if there is one whose results are still those it wrote."""
    for path in sorted(layout.RUNS.glob(f"*/{layout.provenance('').name}")):
        record = json.loads(path.read_text(encoding="utf-8"))
        name = record["experiment"]
        if record.get("key") != key or name == config.experiment:
            continue
        checkpoints = [layout.checkpoint(name, fold) for fold in range(config.folds)]
        needed = [layout.predictions(name), layout.config(name), layout.history(name), *checkpoints]
        # another version may have been checked out since, or some of it removed: the record is not versioned
        if all(file.exists() for file in needed) and runtime.file_hash(needed[0]) == record["predictions_sha256"]:
            return name
    return None


def _taken_over(config: RunConfig, twin: str, manifest: pd.DataFrame) -> tuple[Outcome, list[Path]]:
    """Return a twin's results under the experiment's own name, and the twin's checkpoints."""
    predictions = tables.read(layout.predictions(twin), tables.PREDICTIONS).assign(experiment=config.experiment)
    facts = json.loads(layout.config(twin).read_text(encoding="utf-8")) | {"experiment": config.experiment}
    by_fold = summary.by_fold(summary.join(predictions, manifest))
    weights = [layout.checkpoint(twin, fold) for fold in range(config.folds)]
    return Outcome(predictions, pd.read_csv(layout.history(twin)), facts, by_fold), weights


def _gather(config: RunConfig, folders: list[Path], manifest: pd.DataFrame, data_hash: str) -> Outcome:
    """Put the folds' results together."""
    predictions = pd.concat(
        [tables.read(folder / layout.FOLD_PREDICTIONS, tables.PREDICTIONS) for folder in folders], ignore_index=True
    )
    history = pd.concat([pd.read_csv(folder / layout.FOLD_HISTORY) for folder in folders], ignore_index=True)
    done = [json.loads((folder / layout.FOLD_DONE).read_text(encoding="utf-8")) for folder in folders]
    by_fold = summary.by_fold(summary.join(predictions, manifest))
    facts = config.model_dump() | {
        "resolution": config.resolution,
        "parameters": done[0]["parameters"],
        "best_epoch": [fold["best_epoch"] for fold in done],
        "normalization_used": [fold["normalization"] for fold in done],
        "threshold": by_fold["threshold"].tolist(),
        "manifest_sha256": data_hash,
    }
    return Outcome(predictions, history, facts, by_fold)


def _write(
    config: RunConfig, outcome: Outcome, manifest: pd.DataFrame, weights: list[Path], record: dict[str, object]
) -> None:
    """Write an experiment's artefacts; the metrics come last, so that their existence means all is there."""
    name = config.experiment
    for fold, path in enumerate(weights):
        with tables.atomic(layout.checkpoint(name, fold)) as temporary:
            shutil.copyfile(path, temporary)
    tables.write_text(json.dumps(outcome.facts, indent=2) + "\n", layout.config(name))
    tables.write(outcome.predictions, layout.predictions(name), tables.PREDICTIONS)
    tables.write_csv(outcome.history, layout.history(name))
    held_out = summary.join(outcome.predictions, manifest).query("subset == 'held_out'")
    tables.write_csv(summary.roc(held_out), layout.roc(name))
    tables.write_csv(summary.confusion(held_out, outcome.by_fold), layout.confusion(name))
    record |= {"experiment": name, "predictions_sha256": runtime.file_hash(layout.predictions(name))}
    tables.write_text(json.dumps(record, indent=2) + "\n", layout.provenance(name))
    tables.write_text(summary.headline_json(outcome.by_fold), layout.train_metrics(name))
