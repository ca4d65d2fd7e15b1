"""An experiment: one configuration, trained and predicted on every fold of a data set."""

import hashlib
import json
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass

import pandas as pd

from deepfake import layout, models, runtime, tables
from deepfake.data import splits
from deepfake.errors import InputError
from deepfake.evaluation import summary
from deepfake.loading import images
from deepfake.params import RunConfig
from deepfake.studies import fold as folds
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
    on_decode: Callable[[int, int], None] = lambda done, total: None,
    on_news: Callable[[FoldNews], None] = lambda news: None,
) -> Outcome:
    """Train an experiment on all folds and write everything that belongs to it.

    Folds that an earlier, killed run of the same configuration, data and code finished are taken over.

    Args:
        config: the resolved experiment.
        on_decode: called with the images decoded so far and their total.
        on_news: called when a fold has finished an epoch or itself.

    Raises:
        InputError: unknown model, missing or inconsistent manifest, too few groups.
    """
    started = time.time()
    models.check_name(config.model)
    manifest_file = layout.manifest(config.dataset)
    manifest = tables.read(manifest_file, tables.MANIFEST)
    splits.verify(manifest)
    if manifest["fold"].max() + 1 != config.folds:
        raise InputError(
            f"{manifest_file}: it has {manifest['fold'].max() + 1} folds, the preset {config.preset} wants "
            f"{config.folds}; run deepfake split {config.dataset}, or dvc repro"
        )
    data_hash = runtime.file_hash(manifest_file)
    scratch = layout.SCRATCH / _key(config, data_hash)
    scratch.mkdir(parents=True, exist_ok=True)
    parts = {
        fold: splits.subsets(manifest, fold, fraction=config.fraction, val_ratio=config.val_ratio, seed=config.seed)
        for fold in range(config.folds)
    }
    # the fraction leaves the same samples out of every fold: they are not decoded either
    in_use = manifest.loc[parts[0].index]
    decoded = scratch / "images.npy"
    images.decode(
        in_use,
        layout.raw(config.dataset),
        config.resolution,
        destination=decoded,
        threads=config.num_workers,
        progress=lambda done: on_decode(done, len(in_use)),
    )
    jobs = [
        folds.FoldJob(
            config,
            fold,
            in_use["sample_id"].to_numpy(),
            in_use["label"].to_numpy(),
            parts[fold].to_numpy(),
            decoded,
            scratch / f"fold{fold}",
        )
        for fold in range(config.folds)
    ]
    workers = 1 if runtime.device().type == "cuda" else runtime.cores()
    waiting = [job for job in jobs if not folds.is_done(job.folder)]
    run_jobs(folds.train_fold, waiting, workers=workers, on_news=on_news)
    outcome = _gather(config, jobs, manifest, data_hash)
    _write(config, outcome, manifest, jobs, started)
    shutil.rmtree(scratch)
    return outcome


def _key(config: RunConfig, data_hash: str) -> str:
    """Return what unfinished work is filed under: it is of use to the same config, data and code only."""
    parts = (config.model_dump_json(), data_hash, runtime.code_hash())
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


def _gather(config: RunConfig, jobs: list[folds.FoldJob], manifest: pd.DataFrame, data_hash: str) -> Outcome:
    """Put the folds' results together."""
    predictions = pd.concat(
        [tables.read(job.folder / folds.PREDICTIONS, tables.PREDICTIONS) for job in jobs], ignore_index=True
    )
    history = pd.concat([pd.read_csv(job.folder / folds.HISTORY) for job in jobs], ignore_index=True)
    done = [json.loads((job.folder / folds.DONE).read_text(encoding="utf-8")) for job in jobs]
    by_fold = summary.by_fold(summary.join(predictions, manifest))
    facts = config.model_dump() | {
        "parameters": done[0]["parameters"],
        "best_epoch": [fold["best_epoch"] for fold in done],
        "threshold": by_fold["threshold"].tolist(),
        "manifest_sha256": data_hash,
    }
    return Outcome(predictions, history, facts, by_fold)


def _write(
    config: RunConfig, outcome: Outcome, manifest: pd.DataFrame, jobs: list[folds.FoldJob], started: float
) -> None:
    """Write an experiment's artefacts; the metrics come last, so that their existence means all is there."""
    name = config.experiment
    for job in jobs:
        with tables.atomic(layout.checkpoint(name, job.fold)) as temporary:
            shutil.copyfile(job.folder / folds.WEIGHTS, temporary)
    tables.write_text(json.dumps(outcome.facts, indent=2) + "\n", layout.config(name))
    tables.write(outcome.predictions, layout.predictions(name), tables.PREDICTIONS)
    tables.write_csv(outcome.history, layout.history(name))
    held_out = summary.join(outcome.predictions, manifest).query("subset == 'held_out'")
    tables.write_csv(summary.roc(held_out), layout.roc(name))
    tables.write_csv(summary.confusion(held_out, outcome.by_fold), layout.confusion(name))
    record = runtime.provenance(experiment=name, seed=config.seed, seconds=round(time.time() - started, 1))
    tables.write_text(record, layout.provenance(name))
    tables.write_text(summary.headline_json(outcome.by_fold), layout.train_metrics(name))
