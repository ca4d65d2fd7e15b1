"""The faces of a data set, found once and by as many processes as there are cores."""

import hashlib
import shutil
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd

from deepfake import modalities, runtime, tables
from deepfake.config import ViewConfig
from deepfake.config.params import Backend, Faces
from deepfake.execution import Tell, run_jobs, workers
from deepfake.loading import files, views
from deepfake.modalities.base import rebatched
from deepfake.modalities.image.faces import Detector, locate
from deepfake.progress import SILENT, Progress
from deepfake.project import paths
from deepfake.studies import face_tables

CHUNK = 128
"""Images whose faces are kept together: what a killed run loses at most, for each process."""
BATCH = {"cpu": 32, "cuda": CHUNK}
"""Images that the detector sees together, by device; it divides CHUNK, so batches never depend on who makes them."""


@dataclass(frozen=True)
class FacesJob:
    """The chunks that one process works on.

    Args:
        settings: the section `faces` of params.yaml.
        view: what the detector sees: whole images.
        raw: the folder that archives and paths start from.
        chunks: the samples of each chunk (`views.read_samples`), and the file for its faces (`tables.FACES`).
    """

    settings: Faces
    view: ViewConfig
    raw: Path
    chunks: list[tuple[pd.DataFrame, Path]]


def run(dataset: str, settings: Faces, loader: Backend, *, progress: Progress = SILENT) -> pd.DataFrame:
    """Find the faces of all samples of a data set; write them, and how often each source has one.

    What an earlier, killed run with the same settings, samples and code found is taken over.

    Args:
        dataset: its samples must have been ingested.
        settings: the section `faces` of params.yaml; the margin plays no part.
        loader: the backend that decodes.
        progress: told of the images done.

    Returns:
        One row a source (`face_rates.summary`).

    Raises:
        InputError: no table of samples, or a file is missing or differs from the one that was ingested.
    """
    samples = views.read_samples(dataset)
    device = runtime.device().type
    scratch = paths().scratch / _key(settings, runtime.file_hash(paths().samples(dataset)), loader, device)
    scratch.mkdir(parents=True, exist_ok=True)
    parts = [samples.iloc[start : start + CHUNK] for start in range(0, len(samples), CHUNK)]
    chunks = [(part, scratch / f"chunk{number:05d}.parquet") for number, part in enumerate(parts)]
    waiting = [chunk for chunk in chunks if not chunk[1].exists()]
    done = len(samples) - sum(len(part) for part, _ in waiting)

    def on_news(images: int) -> None:
        nonlocal done
        done += images
        progress.advance(f"{dataset}: finding faces", done, len(samples))

    shares = [waiting[first :: workers()] for first in range(workers())]
    whole = ViewConfig(
        dataset=dataset,
        view="faces",
        modality=str(samples["modality"].iloc[0]),
        geometry="letterbox",
        face_margin=None,
        size=settings.detection_size,
        seconds=None,
        loader=loader,
    )
    jobs = [FacesJob(settings, whole, paths().raw(dataset), share) for share in shares if share]
    remedy = "give it more, or let the program use fewer cores"
    run_jobs(find, jobs, on_news=on_news, remedy=remedy)
    faces = pd.concat([tables.read(path, tables.FACES) for _, path in chunks], ignore_index=True)
    rates = face_tables.write(dataset, faces, samples)
    shutil.rmtree(scratch)
    return rates


def find(job: FacesJob, tell: Tell[int]) -> None:
    """Find the faces of a job's chunks, write each chunk's table and tell its number of images."""
    # a job that found too little memory is begun again, and has told of the chunks that are there
    job = replace(job, chunks=[chunk for chunk in job.chunks if not chunk[1].exists()])
    runtime.one_thread()
    device = runtime.device()
    detector, modality = Detector(job.settings, device), modalities.load(job.view.modality)
    regions = [modality.regions(samples, job.view, None) for samples, _ in job.chunks]
    read = (
        file
        for (samples, _), shown in zip(job.chunks, regions, strict=True)
        for file in files.read(samples, shown, job.raw, streamed=modality.STREAMED)
    )
    decoded = modality.decode(job.view, read, threads=1, cuda=device.type == "cuda")
    counts = [len(part) for samples, _ in job.chunks for part in _batches(samples, BATCH[device.type])]
    batches = rebatched(decoded, counts)
    with modality.quiet():
        for (samples, path), shown in zip(job.chunks, regions, strict=True):
            parts = _batches(shown, BATCH[device.type])
            found = [locate(detector.detect(next(batches)), part, job.settings) for part in parts]
            tables.write(pd.concat(found, ignore_index=True), path, tables.FACES)
            tell(len(samples))


def _batches(rows: pd.DataFrame, size: int) -> list[pd.DataFrame]:
    """Return a chunk's rows in batches; none reaches over two chunks."""
    return [rows.iloc[start : start + size] for start in range(0, len(rows), size)]


def _key(settings: Faces, samples_hash: str, loader: str, device: str) -> str:
    """Return what unfinished work is filed under: all that decides a chunk."""
    parts = (settings.model_dump_json(exclude={"margin"}), samples_hash, loader, device, runtime.code_hash())
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]
