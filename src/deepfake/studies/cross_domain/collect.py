"""Every detector of the comparison on every data set: its own predictions where it has them, new ones elsewhere."""

import itertools
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from deepfake import project, runtime, tables
from deepfake.config import config_of, facts_of
from deepfake.config.params import Params
from deepfake.datasets import catalog, shared_identities, splits
from deepfake.errors import InputError
from deepfake.evaluation import pooling
from deepfake.execution import Tell, run_jobs
from deepfake.loading import views
from deepfake.progress import SILENT, Progress
from deepfake.project import paths
from deepfake.runs import detectors, heads, overlap
from deepfake.runs.detectors import Detector
from deepfake.studies.cross_domain.cells import Cell

_JUDGED = ("validation", "held_out")


@dataclass(frozen=True)
class FoldOnDataSet:
    """A fold of a detector and samples of another data set that it is to predict.

    Args:
        detector: the detector.
        fold: its fold.
        images: `.npy` file of each view's decoded images, in the manifest's order.
        rows: int [m], of the samples.
        path: where the logits go (`.npy`, float64 [m]).
    """

    detector: Detector
    fold: int
    images: dict[str, Path]
    rows: np.ndarray
    path: Path


def run(
    models: Sequence[str],
    datasets: Sequence[str],
    settings: Params,
    progress: Progress = SILENT,
    union: Sequence[str] = (),
) -> list[Cell]:
    """Return the predictions of all detectors on all data sets.

    The detector of fold k is judged by the samples that fold k of a data set holds out, whichever data set it was
    trained on. Where people stand in several data sets they have the same fold in all of them, so no detector meets
    one that it was trained on; what it knows nevertheless, by its group or bit for bit, is left out and counted.

    Args:
        models: names of finished runs.
        datasets: what each of them is asked about.
        settings: the checked params.yaml.
        progress: told what is about to be decoded, what was left out, and of the samples decoded and folds predicted.
        union: the data sets that are joined into the one called `union`.

    Returns:
        Each model on each data set: a row a clip, of an image a row a file.

    Raises:
        InputError: a detector was not trained, a data set was not prepared, or their folds do not fit.
    """
    manifests = {name: tables.read(paths().manifest(name), tables.MANIFEST) for name in datasets}
    found = {name: detectors.read(name) for name in models}
    scratch = paths().scratch / "cross_domain"
    asked: dict[tuple[str, str], _Asked] = {}
    for model, detector in found.items():
        known = overlap.seen(model)
        for dataset, manifest in manifests.items():
            if dataset in _own_data_sets(model, union):
                continue
            table = _judged(detector, dataset, manifest, known, progress)
            images = _images(detector, dataset, manifest, settings, progress)
            folder = scratch / model / dataset
            jobs = [
                FoldOnDataSet(detector, int(str(fold)), images, rows["row"].to_numpy(), folder / f"{fold}.npy")
                for fold, rows in table.groupby("fold")
            ]
            asked[model, dataset] = _Asked(table, jobs)
    _predict_all([job for cell in asked.values() for job in cell.jobs], progress)
    cells = []
    for model, detector in found.items():
        thresholds = {fold: record.threshold for fold, record in detector.records.items()}
        trained_on = _trained_on(model, union)
        for dataset, manifest in manifests.items():
            cell = asked.get((model, dataset))
            samples = cell.joined() if cell else _own(model, dataset, manifest)
            joined = pooling.by_clip(samples, facts_of(model)["pooling"]).drop(columns="clip_id")
            cells.append(Cell(model, dataset, dataset in trained_on, joined, thresholds))
    shutil.rmtree(scratch, ignore_errors=True)
    return cells


@dataclass(frozen=True)
class _Asked:
    """What a detector is asked about a data set.

    Args:
        table: its samples, by fold: `fold, subset, sample_id, clip_id, label, source, group`, and `row`, the place in
            the manifest.
        jobs: one a fold, in this order.
    """

    table: pd.DataFrame
    jobs: list[FoldOnDataSet]

    def joined(self) -> pd.DataFrame:
        """Return the samples with the logits that the jobs have left."""
        logits = np.concatenate([np.load(job.path) for job in self.jobs])
        return self.table.drop(columns="row").assign(logit=logits)


def _predict_all(jobs: list[FoldOnDataSet], progress: Progress) -> None:
    """Do all jobs side by side, once the features of frozen backbones are there."""
    wanted = [detectors.file_features(job.detector, job.fold, job.images, job.rows) for job in jobs]
    heads.ensure(list(itertools.chain.from_iterable(wanted)), progress)
    done = itertools.count(1)
    remedy = "give it more, or let the program use fewer cores"

    def on_news(_: str) -> None:
        progress.advance("predicting", next(done), len(jobs))

    run_jobs(predict, jobs, on_news=on_news, remedy=remedy)


def predict(job: FoldOnDataSet, tell: Tell[str]) -> None:
    """Predict samples of a data set by one fold of a detector, and write the logits."""
    runtime.one_thread()
    runtime.keep_memory()
    logits = detectors.file_logits(job.detector, job.fold, job.images, job.rows)
    with tables.atomic(job.path) as temporary, temporary.open("wb") as file:
        np.save(file, logits)
    tell(job.detector.name)


def _own_data_sets(model: str, union: Sequence[str]) -> Sequence[str]:
    """Return the data sets that a model's own predictions are of."""
    dataset = config_of(model).dataset
    return union if dataset == project.UNION else [dataset]


def _trained_on(model: str, union: Sequence[str]) -> set[str]:
    """Return the data sets that a model was trained on, those of the experiments that it goes on from included."""
    return {dataset for name in overlap.ancestry(model) for dataset in _own_data_sets(name, union)}


def _own(model: str, dataset: str, manifest: pd.DataFrame) -> pd.DataFrame:
    """Return a model's own predictions of a data set that it was trained on."""
    predictions = tables.read(paths().predictions(model), tables.PREDICTIONS).query("repeat == 0")
    predictions = predictions.loc[predictions["subset"].isin(_JUDGED), ["sample_id", "fold", "subset", "logit"]]
    if config_of(model).dataset == project.UNION:
        predictions = predictions[predictions["sample_id"].str.startswith(f"{dataset}/")]
        predictions = predictions.assign(sample_id=predictions["sample_id"].str.removeprefix(f"{dataset}/"))
    joined = predictions.merge(_identity(dataset, manifest), on="sample_id")
    return joined.sort_values(["fold", "row"], ignore_index=True).drop(columns="row")


def _identity(dataset: str, manifest: pd.DataFrame) -> pd.DataFrame:
    """Return who is who in a data set, with groups named across data sets."""
    identity = manifest[["sample_id", "clip_id", "label", "source"]]
    groups = shared_identities.groups(dataset, manifest, catalog.load())
    return identity.assign(group=groups, row=np.arange(len(manifest)))


def _judged(
    detector: Detector, dataset: str, manifest: pd.DataFrame, known: pd.DataFrame, progress: Progress
) -> pd.DataFrame:
    """Return what a detector is judged by in a data set that it has no predictions of, as `_Asked.table`."""
    config = detector.members[0].trained.config
    folds = int(manifest["fold"].max()) + 1
    if folds != config.folds:
        raise InputError(
            f"{paths().manifest(dataset)}: it has {folds} folds, {detector.name} has {config.folds}; "
            f"run deepfake split {dataset}, or dvc repro"
        )
    identity, samples = _identity(dataset, manifest), overlap.named(manifest, dataset)
    parts, left_out = [], 0
    for fold in range(folds):
        subset = splits.subsets(manifest, fold, fraction=1.0, val_ratio=config.val_ratio, seed=config.seed)
        subset = subset[subset.isin(_JUDGED)]
        held_out = subset == "held_out"
        of_fold = known[known["fold"] == fold]
        # a threshold may be chosen again on the people of the inner validation; nobody is judged by them
        untrained = overlap.unseen(samples, of_fold[of_fold["subset"] == "train"])[subset.index]
        new = untrained & (overlap.unseen(samples, of_fold)[subset.index] | ~held_out)
        left_out += int((~new & held_out).sum())
        part = identity.loc[subset.index[new]].assign(fold=fold, subset=subset[new])
        classes = part.groupby("subset", observed=True)["label"].nunique().reindex(_JUDGED, fill_value=0)
        if classes["held_out"] < 2:
            raise InputError(
                f"{detector.name} on {dataset}: fold {fold} knows all reals or all fakes of the held_out part from "
                "its training; give the data set other people, or its groups_of in the catalog and prepare it again"
            )
        if classes["validation"] < 2:  # too few people to choose a threshold again: the shipped one stays
            part = part[part["subset"] == "held_out"]
        parts.append(part)
    if left_out:
        progress.say(f"{detector.name} on {dataset}: {left_out} samples that it knows from its training are left out")
    return pd.concat(parts, ignore_index=True)


def _images(
    detector: Detector, dataset: str, manifest: pd.DataFrame, settings: Params, progress: Progress
) -> dict[str, Path]:
    """Return the decoded images of a data set, as the detector's members look at them."""
    return {
        name: views.pixels(
            view.model_copy(update={"dataset": dataset}),
            manifest,
            threads=settings.shared.num_workers,
            cuda=runtime.has_gpu(),
            progress=progress,
        )
        for name, view in detector.views.items()
    }
