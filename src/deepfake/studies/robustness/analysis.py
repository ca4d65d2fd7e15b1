"""Trained detectors under strain: held-out images corrupted in many ways, predicted by the model that never saw them.

Nothing is trained. Corruptions act on the decoded pixels of the view that an experiment was trained on.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from deepfake import runtime, tables
from deepfake.config.params import Evaluation
from deepfake.config.studies import Robustness
from deepfake.evaluation import robustness
from deepfake.evaluation.robustness import CLEAN, Condition, HeldOut
from deepfake.execution import Tell, run_jobs
from deepfake.loading import views
from deepfake.loading.batches import Loader
from deepfake.loading.pixels import Store, place
from deepfake.modalities.image.corruptions import check, corrupt
from deepfake.progress import SILENT, Progress
from deepfake.project import paths
from deepfake.runs import trained
from deepfake.runs.trained import Trained
from deepfake.tables import results as result_tables
from deepfake.training.predict import predict

NAME = "robustness"


@dataclass(frozen=True)
class Tables:
    """What `run` writes.

    Args:
        conditions: one row an experiment and condition (`evaluation.robustness.rows`).
        summary: one row an experiment and level (`evaluation.robustness.summary`).
        corruptions: one row an experiment and corruption (`evaluation.robustness.corruptions`).
        contrasts: each further experiment against the first (`evaluation.robustness.contrasts`), by `baseline` and
            `experiment`; one that was held out on other samples is left out.
    """

    conditions: pd.DataFrame
    summary: pd.DataFrame
    corruptions: pd.DataFrame
    contrasts: pd.DataFrame


@dataclass(frozen=True)
class StrainJob:
    """A fold of an experiment under all strengths of one corruption.

    Args:
        run: the experiment.
        fold: whose model predicts.
        images: `.npy` file of the decoded images.
        rows: int [n]: the fold's held-out samples, as rows of the manifest.
        corruption: its name, or `CLEAN`.
        strengths: from weak to strong; one that is not looked at for `CLEAN`.
    """

    run: Trained
    fold: int
    images: Path
    rows: np.ndarray
    corruption: str
    strengths: tuple[float, ...]


@dataclass(frozen=True)
class Strained:
    """The logits of a fold's held-out samples under one condition, float [n]; strengths are counted from 0."""

    experiment: str
    fold: int
    corruption: str
    number: int
    logits: np.ndarray


class Corrupted:
    """A store that corrupts what it reads; the images at rest stay as they are."""

    def __init__(self, images: np.ndarray, corruption: str, strength: float, device: torch.device):
        """Keep the images, uint8 [n, s, s, 3], and what is to happen to them."""
        self.device = device
        self._images, self._corruption, self._strength = images, corruption, strength

    def stream(self, chunks: Iterable[np.ndarray]) -> Iterator[torch.Tensor]:
        """Yield the corrupted images of each chunk."""
        for rows in chunks:
            changed = corrupt(self._corruption, self._images[rows], self._strength, rows)
            yield torch.from_numpy(changed).to(self.device)


def run(
    experiments: Sequence[str],
    settings: Robustness,
    evaluation: Evaluation,
    seed: int,
    *,
    name: str = NAME,
    progress: Progress = SILENT,
) -> Tables:
    """Put finished experiments under strain and write what is left of them.

    Args:
        experiments: names of finished experiments; the others are compared with the first.
        settings: the corruptions and their strengths.
        evaluation: confidence and replicates.
        seed: of the bootstrap.
        name: what the tables are called: `name`, `name_summary`, `name_corruptions` and `name_contrasts`.
        progress: told what is about to be decoded, and of the images decoded and predicted.

    Raises:
        InputError: an unknown corruption, or an experiment that has not been trained.
    """
    check(settings.corruptions)
    conditions = {CLEAN: (0.0,)} | settings.corruptions
    held_out: dict[str, HeldOut] = {}
    jobs: list[StrainJob] = []
    for experiment in experiments:
        known = trained.read(experiment)
        manifest = tables.read(paths().manifest(known.config.dataset), tables.MANIFEST)
        threads, cuda = known.config.num_workers, runtime.has_gpu()
        images = views.pixels(known.config.view, manifest, threads=threads, cuda=cuda, progress=progress)
        samples = trained.predicted(experiment, manifest).query("subset == 'held_out'")
        arrays = [samples[column].to_numpy() for column in ("sample_id", "label", "group", "fold")]
        held_out[experiment] = HeldOut(*arrays, thresholds=known.thresholds)
        rows_of = {fold: part["row"].to_numpy(copy=True) for fold, part in samples.groupby("fold")}
        jobs += [
            StrainJob(known, fold, images, rows_of[fold], corruption, strengths)
            for corruption, strengths in conditions.items()
            for fold in range(known.config.folds)
        ]
    logits = _predictions(jobs, held_out, progress)
    curves = _curves(held_out, logits, evaluation, seed)
    found = _tables(held_out, curves, settings, evaluation.confidence)
    result_tables.write(found.conditions, name)
    result_tables.write(found.summary, f"{name}_summary")
    result_tables.write(found.corruptions, f"{name}_corruptions")
    result_tables.write(found.contrasts, f"{name}_contrasts")
    return found


def _predictions(
    jobs: list[StrainJob], held_out: dict[str, HeldOut], progress: Progress
) -> dict[tuple[str, str], np.ndarray]:
    """Return the logits of each experiment and corruption, float [strengths, n]."""
    logits = {
        (job.run.config.experiment, job.corruption): np.empty(
            (len(job.strengths), len(held_out[job.run.config.experiment].labels))
        )
        for job in jobs
    }
    done, total = 0, sum(len(job.rows) * len(job.strengths) for job in jobs)

    def on_news(news: Strained) -> None:
        nonlocal done
        inside = held_out[news.experiment].folds == news.fold
        logits[news.experiment, news.corruption][news.number, inside] = news.logits
        done += len(news.logits)
        progress.advance("predicting corrupted images", done, total)

    run_jobs(strain, jobs, on_news=on_news, remedy="let the program use fewer cores")
    return logits


def strain(job: StrainJob, tell: Tell[Strained]) -> None:
    """Predict a fold's held-out samples under each strength of a corruption, in full precision."""
    runtime.one_thread()
    device = runtime.device()
    config = job.run.config
    model = trained.model_of(job.run, job.fold, device)
    images = np.load(job.images, mmap_mode="r")
    # predicting needs no labels
    labels = np.zeros(len(images))
    for number, strength in enumerate(job.strengths):
        store: Store = Corrupted(images, job.corruption, strength, device)
        if job.corruption == CLEAN:
            store = place(images, job.rows, device)
        loader = Loader(store, labels, job.run.scales[job.fold])
        logits = predict(model, loader, job.rows)
        tell(Strained(config.experiment, job.fold, job.corruption, number, logits))


@dataclass(frozen=True)
class CurveJob:
    """The logits of an experiment under all strengths of a corruption, float [strengths, n], to be judged."""

    experiment: str
    corruption: str
    held_out: HeldOut
    logits: np.ndarray
    evaluation: Evaluation
    seed: int


def judge(job: CurveJob, tell: Tell[tuple[str, str, list[Condition]]]) -> None:
    """Resample the groups for each strength of a corruption."""
    conditions = [robustness.condition(job.held_out, each, job.evaluation, job.seed) for each in job.logits]
    tell((job.experiment, job.corruption, conditions))


def _curves(
    held_out: dict[str, HeldOut], logits: dict[tuple[str, str], np.ndarray], evaluation: Evaluation, seed: int
) -> dict[str, dict[str, list[Condition]]]:
    """Return the conditions of each experiment, by corruption."""
    curves: dict[str, dict[str, list[Condition]]] = {name: {} for name in held_out}
    for experiment, corruption in logits:
        curves[experiment][corruption] = []  # in the order of params.yaml, whichever is judged first
    jobs = [
        CurveJob(experiment, corruption, held_out[experiment], values, evaluation, seed)
        for (experiment, corruption), values in logits.items()
    ]

    def on_news(news: tuple[str, str, list[Condition]]) -> None:
        experiment, corruption, conditions = news
        curves[experiment][corruption] = conditions

    run_jobs(judge, jobs, on_news=on_news, remedy="lower evaluation.bootstrap_replicates")
    return curves


def _tables(
    held_out: dict[str, HeldOut],
    curves: dict[str, dict[str, list[Condition]]],
    settings: Robustness,
    confidence: float,
) -> Tables:
    """Put the experiments' tables together."""
    baseline, *others = held_out
    strengths = settings.corruptions
    parts = {
        "conditions": {name: robustness.rows(curves[name], strengths, confidence) for name in held_out},
        "summary": {name: robustness.summary(curves[name], held_out[name], confidence) for name in held_out},
        "corruptions": {name: robustness.corruptions(curves[name], strengths, confidence) for name in held_out},
        "contrasts": {
            # the baseline against itself gives the columns when there is nothing else
            baseline: robustness.contrasts(curves[baseline], curves[baseline], confidence).iloc[:0],
            **{
                name: robustness.contrasts(curves[baseline], curves[name], confidence)
                for name in others
                if held_out[name].same_samples(held_out[baseline])
            },
        },
    }
    joined = {kind: pd.concat(frames, names=["experiment"]).reset_index("experiment") for kind, frames in parts.items()}
    joined["contrasts"].insert(0, "baseline", baseline)
    return Tables(**joined)
