"""Logits under corruption: held-out samples corrupted in many ways, predicted by models that never saw them.

Nothing is trained. Corruptions act on what is stored of the view that a run was trained on. Heads on one frozen
trunk share its features: those of a corrupted sample are computed once for all folds, repeats and runs.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import nn

from deepfake import modalities, runtime, tables
from deepfake.evaluation import pooling
from deepfake.execution import Tell, run_jobs
from deepfake.loading import views
from deepfake.loading.batches import Loader
from deepfake.models import LinearProbe
from deepfake.progress import SILENT, Progress
from deepfake.project import paths
from deepfake.runs import trained
from deepfake.runs.trained import Trained
from deepfake.studies import comparison
from deepfake.training import checkpoint

_BATCH = {"cpu": 16, "cuda": 128}
"""Samples in a forward pass. Of a frozen EfficientNet-Lite0 at 96 px a core computes 850 images/s by 16, and 300 by 64,
whose maps no longer fit its cache."""


@dataclass(frozen=True)
class HeldOut:
    """A run, and the samples that each of its trainings never saw.

    Args:
        run: the run.
        stored: `.npy` file of the decoded samples.
        samples: one row a sample and training: `sample_id, clip_id, fold, repeat, label, group, logit` (of the clean
            sample), and `row`, the sample's place in the manifest.
    """

    run: Trained
    stored: Path
    samples: pd.DataFrame

    def judged(self, logits: np.ndarray) -> pd.DataFrame:
        """Return what other logits of the samples, float [n], say: one row a clip and training."""
        return pooling.by_clip(self.samples.assign(logit=logits), self.run.config.pooling)


@dataclass(frozen=True)
class Member:
    """A training of a run, by its number, and the rows of the manifest that it predicts, int [n]."""

    run: Trained
    fold: int
    rows: np.ndarray


@dataclass(frozen=True)
class StrainJob:
    """Samples under all strengths of a corruption, and who predicts them: a model, or heads on one frozen trunk."""

    stored: Path
    corruption: str
    strengths: tuple[float, ...]
    members: tuple[Member, ...]


@dataclass(frozen=True)
class Strained:
    """Logits of a training's held-out samples under one condition, float [n]; strengths are counted from 0."""

    experiment: str
    fold: int
    corruption: str
    number: int
    logits: np.ndarray


class Corrupted:
    """A store that corrupts what it reads; the samples at rest stay as they are."""

    def __init__(self, stored: np.ndarray, modality: str, corruption: str, strength: float, device: torch.device):
        """Keep the stored samples, and what is to happen to them."""
        self.device = device
        self._corrupt = modalities.load(modality).corrupt
        self._stored, self._corruption, self._strength = stored, corruption, strength

    def stream(self, chunks: Iterable[np.ndarray]) -> Iterator[torch.Tensor]:
        """Yield the corrupted samples of each chunk."""
        for rows in chunks:
            changed = self._corrupt(self._corruption, self._stored[rows], self._strength, rows)
            yield torch.from_numpy(changed).to(self.device)


def held_out(experiment: str, progress: Progress = SILENT) -> HeldOut:
    """Read a finished run, and decode its samples unless that was done before.

    Raises:
        InputError: it has not been trained.
    """
    known = trained.read(experiment)
    manifest = tables.read(paths().manifest(known.config.dataset), tables.MANIFEST)
    threads, cuda = known.config.num_workers, runtime.has_gpu()
    stored = views.pixels(known.config.view, manifest, threads=threads, cuda=cuda, progress=progress)
    joined = comparison.read([experiment], known.config.dataset, by_clip=False)[experiment]
    standard = (joined["subset"] == "held_out") & (joined["condition"] == tables.STANDARD_CONDITION)
    places = pd.Series(range(len(manifest)), index=manifest["sample_id"])
    samples = joined[standard].assign(row=lambda found: places.loc[found["sample_id"]].to_numpy())
    return HeldOut(known, stored, samples.sort_values(["fold", "row"], ignore_index=True))


def predict(
    runs: Mapping[str, HeldOut], corruptions: Mapping[str, Sequence[float]], progress: Progress = SILENT
) -> dict[str, dict[str, np.ndarray]]:
    """Return the logits of each run and corruption, float [strengths, n], in the order of the run's samples."""
    found = {
        name: {corruption: np.empty((len(each), len(run.samples))) for corruption, each in corruptions.items()}
        for name, run in runs.items()
    }
    inside = {
        (name, int(str(fold))): part.index.to_numpy()
        for name, run in runs.items()
        for fold, part in run.samples.groupby("fold")
    }
    jobs = [
        StrainJob(stored, corruption, tuple(strengths), members)
        for stored, members in _teams(runs)
        for corruption, strengths in corruptions.items()
    ]
    done, total = 0, sum(len(member.rows) * len(job.strengths) for job in jobs for member in job.members)

    def on_news(news: Strained) -> None:
        nonlocal done
        found[news.experiment][news.corruption][news.number, inside[news.experiment, news.fold]] = news.logits
        done += len(news.logits)
        progress.advance("predicting corrupted samples", done, total)

    run_jobs(strain, jobs, on_news=on_news, remedy="let the program use fewer cores")
    return found


def _teams(runs: Mapping[str, HeldOut]) -> list[tuple[Path, tuple[Member, ...]]]:
    """Return who predicts together: each model by itself, or all heads whose trunk sees the same."""
    teams: dict[tuple[Any, ...], list[Member]] = defaultdict(list)
    for name, known in runs.items():
        config = known.run.config
        for fold, part in known.samples.groupby("fold"):
            number = int(str(fold))
            stage = config.probe and config.probe.stage
            shared = (config.model, *modalities.shape(config.view), stage, known.run.scales[number].model_dump_json())
            key = shared if config.train == "head" else (name, number)
            member = Member(known.run, number, part["row"].to_numpy(copy=True))
            teams[known.stored, *key].append(member)
    return [(key[0], tuple(members)) for key, members in teams.items()]


def strain(job: StrainJob, tell: Tell[Strained]) -> None:
    """Predict each member's held-out samples under each strength of a corruption, in full precision."""
    runtime.one_thread()
    runtime.keep_memory()
    device = runtime.device()
    first = job.members[0]
    trunk, heads = _models(job.members, device)
    stored = np.load(job.stored, mmap_mode="r")
    rows = np.unique(np.concatenate([member.rows for member in job.members]))
    for number, strength in enumerate(job.strengths):
        view = first.run.config.view
        store = Corrupted(stored, view.modality, job.corruption, strength, device)
        # predicting needs no labels
        loader = Loader(store, np.zeros(len(stored)), view, first.run.scales[first.fold])
        with torch.inference_mode():
            found = torch.cat([trunk(batch.images).float() for batch in loader.batches(rows, _BATCH[device.type])])
            for member, head in zip(job.members, heads, strict=True):
                chosen = torch.from_numpy(np.searchsorted(rows, member.rows)).to(device)
                logits = head(found[chosen]).squeeze(1).cpu().double().numpy()
                tell(Strained(member.run.config.experiment, member.fold, job.corruption, number, logits))


def _models(
    members: Sequence[Member], device: torch.device
) -> tuple[Callable[[torch.Tensor], torch.Tensor], list[nn.Module]]:
    """Return what all members have in common, and the rest of each: of a model by itself that is nothing.

    Raises:
        InputError: weights are missing or belong to another model or trunk.
    """
    first = members[0]
    model = trained.model_of(first.run, first.fold, device)
    if first.run.config.train != "head" or not isinstance(model, LinearProbe):
        return model, [nn.Identity()]
    heads = [checkpoint.head(each.run.config, _weights(each), model.head.linear.in_features) for each in members]
    return lambda inputs: model.pooled(model.forward_features(inputs)), [head.to(device) for head in heads]


def _weights(member: Member) -> Path:
    return paths().checkpoint(member.run.config.experiment, member.fold)
