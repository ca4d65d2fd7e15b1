"""The views of a data set: what each one shows, written once, and its decoded pixels, made when they are missing."""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from deepfake import modalities, originals, tables
from deepfake.config import ViewConfig, entries
from deepfake.config.images import PixelView
from deepfake.config.params import Params, View
from deepfake.config.studies import BEST, AnyRun, Ensemble, Reevaluated, Trained
from deepfake.errors import InputError
from deepfake.loading import cache
from deepfake.progress import SILENT, Progress
from deepfake.project import Project, paths


def write(view: ViewConfig, *, threads: int, cuda: bool = False, progress: Progress = SILENT) -> dict[str, object]:
    """Decode a view and write which part of each image it shows, and the hash of its pixels.

    Args:
        view: the resolved view.
        threads: decoding threads.
        cuda: whether to decode on the GPU.
        progress: told of the size, before anything is decoded, and of the images done.

    Returns:
        What was written as the view's facts: its configuration, `images`, `without_face` and `pixels_sha256`.

    Raises:
        InputError: a table or a file is missing, or the disk is too small.
    """
    modality = modalities.load(view.modality)
    samples = read_samples(view.dataset)
    if samples["modality"].iloc[0] != view.modality:
        raise InputError(
            f"views.{view.view}: its modality is {view.modality}, that of {view.dataset} is "
            f"{samples['modality'].iloc[0]}; name another view"
        )
    faces = None if view.face_margin is None else tables.read(paths().faces(view.dataset), tables.FACES)
    if faces is not None and not samples["sample_id"].isin(faces["sample_id"]).all():
        remedy = f"run deepfake faces {view.dataset} again, or dvc repro"
        raise InputError(f"{paths().faces(view.dataset)}: faces were not looked for in all samples; {remedy}")
    regions = modality.regions(samples, view, faces)
    path = _array(view, samples, regions, threads, cuda, progress)
    facts = view.model_dump() | {
        "images": len(samples),
        "without_face": 0 if faces is None else int((regions["face"] == 0).sum()),
        "pixels_sha256": cache.pixels_hash(path),
    }
    tables.write(regions, paths().regions(view.dataset, view.view), modality.REGIONS)
    tables.write_text(json.dumps(facts, indent=2) + "\n", paths().view_facts(view.dataset, view.view))
    return facts


def read_samples(dataset: str) -> pd.DataFrame:
    """Return the samples of a data set with what their media are (`tables.SAMPLES` and the modality's `MEDIA`).

    Raises:
        InputError: it has not been ingested.
    """
    samples = tables.read(paths().samples(dataset), tables.SAMPLES)
    return tables.with_media(samples, paths().media(dataset), modalities.of(samples).MEDIA)


def wanted(settings: Params, dataset: str) -> list[str]:
    """Return the views of a data set that runs look through: of the study's own all of its modality."""
    if dataset == settings.dataset:
        modality = tables.read(paths().samples(dataset), tables.SAMPLES)["modality"].iloc[0]
        return [name for name, view in settings.views.items() if view.modality == modality]
    found = {run.view for run in _asked(settings, dataset) if not isinstance(run, Ensemble)}
    return [name for name, view in settings.views.items() if name in found or (BEST in found and _may_be_best(view))]


def _asked(settings: Params, dataset: str) -> Iterator[AnyRun]:
    """Yield the runs that are trained on a data set other than the study's, or asked about it."""
    known = {name: entry.run for name, entry in entries(settings).items()}
    for study, run in entries(settings).values():
        first = known[run.of] if isinstance(run, Reevaluated) else run
        if isinstance(first, Trained) and first.dataset == dataset:
            yield run
        # every run of a comparison is asked about every data set, an ensemble through its members
        if dataset in getattr(getattr(settings.studies, study), "datasets", ()):
            yield from (known[member] for member in run.members) if isinstance(run, Ensemble) else (run,)


def _may_be_best(view: View) -> bool:
    """Tell whether phase 2 may decide for a view."""
    return isinstance(view, PixelView) and view.geometry == "crop" and isinstance(view.resolution, str)


def pixels(
    view: ViewConfig,
    manifest: pd.DataFrame,
    *,
    oversampling: float = 1.0,
    threads: int,
    cuda: bool = False,
    progress: Progress = SILENT,
) -> Path:
    """Return a view's decoded samples, in the manifest's order.

    Args:
        view: the resolved view; its regions have been written.
        manifest: `tables.MANIFEST`.
        oversampling: side of the result over the view's size.
        threads: decoding threads.
        cuda: whether to decode on the GPU.
        progress: told of the size, before anything is decoded, and of the images done.

    Returns:
        A `.npy` file, as `cache.ensure` returns it.

    Raises:
        InputError: the regions are missing or belong to other samples, or the images cannot be decoded.
    """
    source = paths().regions(view.dataset, view.view)
    regions = tables.read(source, modalities.load(view.modality).REGIONS)
    if not np.array_equal(regions["sample_id"], manifest["sample_id"]):
        raise InputError(f"{source}: not of the samples in the manifest; run deepfake views {view.dataset}")
    larger = view.model_copy(update={"size": round(view.size * oversampling)})
    return _array(larger, manifest, regions, threads, cuda, progress)


def _array(
    view: ViewConfig,
    samples: pd.DataFrame,
    regions: pd.DataFrame,
    threads: int,
    cuda: bool,
    progress: Progress,
) -> Path:
    """Return the decoded samples of a view."""
    above = originals.original(paths().root)
    return cache.ensure(
        view,
        samples,
        regions,
        raw=paths().raw(view.dataset),
        folder=paths().cache(view.dataset),
        original=Project(above).cache(view.dataset) if above else None,
        threads=threads,
        cuda=cuda,
        progress=progress,
    )
