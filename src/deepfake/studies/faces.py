"""The faces of a data set, found once and by as many processes as there are cores."""

import hashlib
import itertools
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from deepfake import runtime, tables
from deepfake.config.params import Faces
from deepfake.execution import Tell, run_jobs, workers
from deepfake.modalities.image import backends, decoding, files, geometry
from deepfake.modalities.image.faces import Detector, locate
from deepfake.modalities.image.files import Encoded
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
        loader: the backend that decodes.
        raw: the folder that archives and paths start from.
        chunks: the samples of each chunk (`tables.SAMPLES` with `tables.MEDIA`), and the file for its faces
            (`tables.FACES`).
    """

    settings: Faces
    loader: str
    raw: Path
    chunks: list[tuple[pd.DataFrame, Path]]


def run(dataset: str, settings: Faces, loader: str, *, progress: Progress = SILENT) -> pd.DataFrame:
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
    samples = tables.with_media(tables.read(paths().samples(dataset), tables.SAMPLES), paths().media(dataset))
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
    jobs = [FacesJob(settings, loader, paths().raw(dataset), share) for share in shares if share]
    remedy = "give it more, or let the program use fewer cores"
    run_jobs(find, jobs, on_news=on_news, remedy=remedy)
    faces = pd.concat([tables.read(path, tables.FACES) for _, path in chunks], ignore_index=True)
    rates = face_tables.write(dataset, faces, samples)
    shutil.rmtree(scratch)
    return rates


def find(job: FacesJob, tell: Tell[int]) -> None:
    """Find the faces of a job's chunks, write each chunk's table and tell its number of images."""
    runtime.one_thread()
    device = runtime.device()
    detector = Detector(job.settings, device)
    regions = [geometry.regions(samples, "letterbox", None, 0) for samples, _ in job.chunks]
    batches = _batches(job, regions, BATCH[device.type])
    size, cuda = job.settings.detection_size, device.type == "cuda"
    decoded = backends.load(job.loader).decode(batches, size, threads=1, cuda=cuda)
    with decoding.quiet():
        for (samples, path), shown in zip(job.chunks, regions, strict=True):
            found = []
            for start in range(0, len(samples), BATCH[device.type]):
                images = next(decoded)
                found.append(locate(detector.detect(images), shown.iloc[start : start + len(images)], job.settings))
            tables.write(pd.concat(found, ignore_index=True), path, tables.FACES)
            tell(len(samples))


def _batches(job: FacesJob, regions: list[pd.DataFrame], size: int) -> Iterator[list[Encoded]]:
    """Yield the files of a job's chunks in batches; none reaches over two chunks."""
    for (samples, _), shown in zip(job.chunks, regions, strict=True):
        encoded = files.read(samples, shown, job.raw)
        yield from iter(lambda rest=encoded: list(itertools.islice(rest, size)), [])


def _key(settings: Faces, samples_hash: str, loader: str, device: str) -> str:
    """Return what unfinished work is filed under: all that decides a chunk."""
    parts = (settings.model_dump_json(exclude={"margin"}), samples_hash, loader, device, runtime.code_hash())
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]
