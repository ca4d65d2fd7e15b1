"""Probes: what of a data set predicts the label without a look at the content, of its files and of what views show."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from deepfake import modalities, runtime, tables
from deepfake.config import ViewConfig
from deepfake.config.params import Params
from deepfake.datasets import measuring
from deepfake.datasets.measuring import clips
from deepfake.evaluation import probes
from deepfake.loading import views
from deepfake.progress import SILENT, Progress
from deepfake.project import paths

FILES = "files"
"""The subject of the probes that see the files; the others see what a view shows, and are called after it."""


def measure(dataset: str, *, threads: int, progress: Progress = SILENT) -> pd.DataFrame:
    """Measure every file of a data set and write the table of features.

    Args:
        dataset: it must have been split.
        threads: decoding threads; they do not change the result.
        progress: told of the files done.

    Raises:
        InputError: no manifest, or a file is missing or differs from the one that was ingested.
    """
    manifest = tables.read(paths().manifest(dataset), tables.MANIFEST)
    found = measuring.measure(manifest, paths().raw(dataset), threads=threads, progress=progress)
    tables.write(found, paths().features(dataset), modalities.of(manifest).FEATURES)
    _write_hashes(dataset)
    return found


def _write_hashes(dataset: str) -> None:
    """Write the hashes of all that was prepared of a data set, for stages that need all data sets."""
    views = sorted(paths().views(dataset).glob("*/view.json"))
    written = [paths().manifest(dataset), paths().features(dataset), *views]
    hashes = {path.as_posix(): runtime.file_hash(path) for path in written}
    tables.write_text(json.dumps(hashes, indent=2) + "\n", paths().prepared(dataset))


@dataclass(frozen=True)
class Subject:
    """What is probed: files, or what a view shows.

    Args:
        features: of the development samples (`identities`), in their order.
        families: their columns by family.
        joint: the families that are probed together and held against detectors.
    """

    features: pd.DataFrame
    families: dict[str, tuple[str, ...]]
    joint: tuple[str, ...]


def identities(manifest: pd.DataFrame) -> pd.DataFrame:
    """Return the development samples that are probed, one row a clip, under its name."""
    return clips(manifest[manifest["split"] == "dev"])


def of_files(dataset: str, manifest: pd.DataFrame, *, threads: int, progress: Progress = SILENT) -> Subject:
    """Return the features of the files, measured now unless that was done before.

    Raises:
        InputError: they are of other files than the manifest's.
    """
    if not paths().features(dataset).exists():
        measure(dataset, threads=threads, progress=progress)
    found = measuring.read(dataset, manifest)
    families = dict(modalities.of(manifest).FAMILIES)
    development = (clips(manifest)["split"] == "dev").to_numpy()
    return Subject(found[development].reset_index(drop=True), families, tuple(families))


def subjects(
    dataset: str,
    manifest: pd.DataFrame,
    shown: Iterable[ViewConfig],
    *,
    threads: int,
    cuda: bool = False,
    progress: Progress = SILENT,
) -> dict[str, Subject]:
    """Return the features of the files, as `FILES`, and of those views that show more, by name; each view once."""
    found = {FILES: of_files(dataset, manifest, threads=threads, progress=progress)}
    for view in {each.view: each for each in shown}.values():
        subject = of_view(view, manifest, threads=threads, cuda=cuda, progress=progress)
        if subject is not None:
            found[view.view] = subject
    return found


def of_view(
    view: ViewConfig,
    manifest: pd.DataFrame,
    *,
    threads: int,
    cuda: bool = False,
    progress: Progress = SILENT,
) -> Subject | None:
    """Return the features of what a view shows, of a clip their means over its samples.

    Returns:
        Nothing where a view shows no more than the files do.
    """
    modality = modalities.of(manifest)
    path = views.pixels(view, manifest, threads=threads, cuda=cuda, progress=progress)
    regions = tables.read(paths().regions(view.dataset, view.view), modality.REGIONS)
    faces = None if view.face_margin is None else tables.read(paths().faces(view.dataset), tables.FACES)
    samples = tables.with_media(manifest, paths().media(view.dataset), modality.MEDIA)
    stored = np.load(path, mmap_mode="r")
    shown = modality.measure_shown(view, samples, stored, regions, faces, threads=threads, progress=progress)
    if shown is None:
        return None
    found, families, joint = shown
    if manifest["clip_id"].duplicated().any():
        found = found.groupby(manifest["clip_id"].to_numpy(), sort=False).mean()
    development = (clips(manifest)["split"] == "dev").to_numpy()
    return Subject(found[development].reset_index(drop=True), dict(families), joint)


def judge(
    subjects: Mapping[str, Subject], samples: pd.DataFrame, settings: Params, progress: Progress = SILENT
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Probe each subject by the manifest's folds.

    Args:
        subjects: by name.
        samples: `identities`.
        settings: the checked params.yaml.
        progress: told of each step.

    Returns:
        The rows of the probes (`probes.judge`), and the scores of the joint ones (`tables.PROBE_SCORES`).

    Raises:
        InputError: the data cannot be cross-validated.
    """
    identified = probes.identities(samples)
    found: list[probes.Probe] = []
    joint = []
    for name, subject in subjects.items():
        progress.say(f"probing {name}")
        each, scores = probes.probe(name, subject.features, subject.families, identified, joint=subject.joint)
        found += each
        joint.append(samples[["sample_id", "fold"]].assign(subject=name, score=scores))
    return probes.judge(found, settings.studies.shortcuts.severity, settings.evaluation), pd.concat(joint)
