"""The search for shortcuts in the data: what tells fakes from reals without a look at the content; no run is needed."""

import json
from dataclasses import dataclass

import numpy as np
import pandas as pd

from deepfake import runtime, tables
from deepfake.config import ViewConfig, resolve, resolve_view, title
from deepfake.config.params import Params
from deepfake.datasets import measuring
from deepfake.errors import InputError
from deepfake.evaluation import probes
from deepfake.loading import views
from deepfake.modalities.image import features, framing
from deepfake.progress import SILENT, Progress
from deepfake.project import paths
from deepfake.tables import results as result_tables

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
    tables.write(found, paths().features(dataset), tables.FEATURES)
    _write_hashes(dataset)
    return found


def _write_hashes(dataset: str) -> None:
    """Write the hashes of all that was prepared of a data set, for stages that need all data sets."""
    views = sorted(paths().views(dataset).glob("*/view.json"))
    written = [paths().manifest(dataset), paths().features(dataset), *views]
    hashes = {path.as_posix(): runtime.file_hash(path) for path in written}
    tables.write_text(json.dumps(hashes, indent=2) + "\n", paths().prepared(dataset))


def run(
    settings: Params,
    dataset: str,
    *,
    threads: int,
    cuda: bool = False,
    progress: Progress = SILENT,
) -> pd.DataFrame:
    """Probe a data set: its files, the views of `studies.shortcuts` and those that its runs are trained on.

    Writes the table of probes, and the scores of the joint ones, against which `analysis.run` holds trained runs.
    Views are those of the study's data set; of another one only the files are probed.

    Args:
        settings: the checked params.yaml.
        dataset: it must have been split; its features are measured unless that was done before.
        threads: decoding threads.
        cuda: whether views are decoded on the GPU, where they have to be.
        progress: told of each step and of the images done.

    Returns:
        The rows of the probes (`probes.judge`).

    Raises:
        InputError: the data cannot be cross-validated, or the features are of other files.
    """
    manifest = tables.read(paths().manifest(dataset), tables.MANIFEST)
    development = manifest[manifest["split"] == "dev"]
    samples = probes.identities(development)
    subjects = {FILES: of_files(dataset, manifest, threads=threads, progress=progress)}
    for view in _views(settings) if dataset == settings.dataset else ():
        if view.view not in subjects:
            subjects[view.view] = of_view(view, manifest, threads=threads, cuda=cuda, progress=progress)
    found: list[probes.Probe] = []
    joint = []
    for name, subject in subjects.items():
        progress.say(f"probing {name}")
        each, scores = probes.probe(name, subject.features, subject.families, samples, joint=subject.joint)
        found += each
        joint.append(development[["sample_id", "fold"]].assign(subject=name, score=scores))
    judged = probes.judge(found, settings.studies.shortcuts.severity, settings.evaluation)
    result_tables.write(judged, title(settings, "probes", dataset))
    tables.write(pd.concat(joint), paths().probe_scores(dataset), tables.PROBE_SCORES)
    return judged


def _views(settings: Params) -> list[ViewConfig]:
    """Return the views that are probed, some of them maybe twice."""
    return [
        *(resolve_view(settings, name, "studies.shortcuts.views") for name in settings.studies.shortcuts.views),
        *(resolve(settings, name).view for name in settings.studies.shortcuts.runs),
    ]


@dataclass(frozen=True)
class Subject:
    """What is probed: files, or what a view shows.

    Args:
        features: of the development samples, in the manifest's order.
        families: their columns by family.
        joint: the families that are probed together and held against detectors.
    """

    features: pd.DataFrame
    families: dict[str, tuple[str, ...]]
    joint: tuple[str, ...]


def of_files(dataset: str, manifest: pd.DataFrame, *, threads: int, progress: Progress = SILENT) -> Subject:
    """Return the features of the files, measured now unless that was done before.

    Raises:
        InputError: they are of other files than the manifest's.
    """
    path = paths().features(dataset)
    found = (
        tables.read(path, tables.FEATURES) if path.exists() else measure(dataset, threads=threads, progress=progress)
    )
    keys = ["sample_id", "sha256"]
    if not np.array_equal(found[keys], manifest[keys]):
        raise InputError(f"{path}: not of the files in the manifest; run deepfake features {dataset}")
    families = features.CONTAINER | features.PIXELS
    return Subject(_development(found, manifest), families, tuple(families))


def of_view(
    view: ViewConfig,
    manifest: pd.DataFrame,
    *,
    threads: int,
    cuda: bool = False,
    progress: Progress = SILENT,
) -> Subject:
    """Return the features of what a view shows.

    How far it shrinks an image is probed by itself: the view knows it, but does not show it. The same holds for where a
    face crop lay in its image: what it shows of that is where the face lies in the square.
    """
    path = views.pixels(view, manifest, threads=threads, cuda=cuda, progress=progress)
    found = features.of_pixels(np.load(path, mmap_mode="r"), threads=threads, progress=progress)
    regions = tables.read(paths().regions(view.dataset, view.view), tables.REGIONS)
    sides = (regions["right"] - regions["left"]).combine(regions["bottom"] - regions["top"], max)
    found.insert(0, "scale", sides.to_numpy() / view.size)
    crops_faces = view.face_margin is not None
    faces = tables.read(paths().faces(view.dataset), tables.FACES) if crops_faces else None
    samples = tables.with_media(manifest, paths().media(view.dataset))
    found = found.join(framing.measure(samples, regions, faces, view.face_margin or 0.0))
    hidden, shown = (framing.PLACE, framing.FACE) if crops_faces else ((), framing.PLACE)
    families = {"geometry": ("scale", *hidden), "framing": shown, **features.PIXELS}
    return Subject(_development(found, manifest), families, ("framing", *features.PIXELS))


def _development(found: pd.DataFrame, manifest: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of the development samples."""
    return found[(manifest["split"] == "dev").to_numpy()].reset_index(drop=True)
