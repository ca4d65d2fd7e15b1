"""A verdict on files that the project has never seen, by all fold models of a run together."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from scipy.special import expit

from deepfake import runtime
from deepfake.config.params import Faces
from deepfake.errors import InputError
from deepfake.inference import stream
from deepfake.inference.inputs import File
from deepfake.inference.reading import Chunk, Face
from deepfake.runs import shipped
from deepfake.runs.detectors import Detector, LoadedFold
from deepfake.runs.shipped import Scale

_DETECTED = {"cpu": 32, "cuda": 128}
"""Images that the detector of faces sees together, as when a data set's faces are found."""
_CHUNK = 128
"""Files in a chunk at most; where faces are looked for, as many as all cores together see at once."""
_PIXELS = 1 << 17
"""Pixels that a model sees at once on a CPU: what it computes of them stays in the processor's caches, which at 128 px
halved the time of SimpleCNN."""


@dataclass(frozen=True)
class Part:
    """What a detector is shown of a file at once: the image, or one of its faces.

    Args:
        logits: float64 [k], of each fold's model, as it comes out.
        face: what was cut out; None for the image, or its middle where a face was wanted and none found.
    """

    logits: np.ndarray
    face: Face | None = None


@dataclass(frozen=True)
class Verdict:
    """What a run says of a file.

    Args:
        file: its name, as the user would write it.
        parts: what was judged, the largest face first.
        scores: the calibrated logit of each part; greater means more likely fake.
        faces: what was found in it, the largest first; None where nobody looked.
        threshold: the calibrated logit from which on a file is predicted fake.
        notes: what was odd about the file (`inspection.Picture.notes`), as far as anybody looked.
    """

    file: str
    parts: tuple[Part, ...]
    scores: tuple[float, ...]
    faces: tuple[Face, ...] | None
    threshold: float
    notes: str = ""

    @property
    def logit(self) -> float:
        """Return the file's calibrated logit, the largest of its parts': one fake face makes a picture a fake."""
        return max(self.scores)

    @property
    def fake(self) -> bool:
        """Tell whether the file is predicted fake."""
        return self.logit >= self.threshold

    @property
    def probability(self) -> float:
        """Return the probability of being fake that the calibrated logit stands for."""
        return float(expit(self.logit))

    @property
    def threshold_probability(self) -> float:
        """Return the threshold as a probability."""
        return float(expit(self.threshold))


@dataclass(frozen=True)
class Failure:
    """A file that could not be judged, and why."""

    file: str
    reason: str


class Answers(NamedTuple):
    """What is known after some more files.

    Args:
        done: files that are behind us, those that were passed over among them.
        found: one for each new file that was judged or could not be, in order.
    """

    done: int
    found: list[Verdict | Failure]


def judge(file: str, parts: Sequence[Part], faces: tuple[Face, ...] | None, scale: Scale, notes: str = "") -> Verdict:
    """Return the verdict on a file from its parts' logits, on the scale of the shipped detector."""
    scores = tuple(float(scale.combine(part.logits)) for part in parts)
    return Verdict(file, tuple(parts), scores, faces, scale.threshold, notes)


def predict(detector: Detector, files: Sequence[File], faces: Faces | None) -> Iterator[Answers]:
    """Yield verdicts on files, chunk by chunk and in order.

    Of all files their names are in memory, no images: of these a few chunks are, however many there are.

    Args:
        detector: the run.
        files: of `inputs.find`.
        faces: the section `faces` of params.yaml, or None to look for no faces.

    Raises:
        InputError: a model cannot be loaded, or a view cannot be shown without labels or without looking for faces.
    """
    check_views(detector, faces is not None)
    device = runtime.device()
    threads = runtime.cores()
    runtime.one_thread()  # models work side by side instead, and their sums come out as in training
    loaded = [LoadedFold(detector, fold, device, fuse=True) for fold in detector.shipped]
    detected = _DETECTED[device.type]
    chunks = stream.chunks(
        files,
        detector.views,
        faces,
        size=_CHUNK if faces is None else min(detected * max(2, threads), _CHUNK),
        threads=threads,
        detector=None if faces is None else _face_detector(faces, device),
        detected=detected,
        cuda=runtime.has_gpu(),
    )
    ruler, done = shipped.scale(detector), 0
    with ThreadPoolExecutor(1 if device.type == "cuda" else threads) as pool:
        for chunk in chunks:
            logits = _logits(chunk, loaded, device, pool)
            done += len(chunk.files)
            yield Answers(done, _answers(chunk, logits, ruler))


def check_views(detector: Detector, looks_for_faces: bool) -> None:
    """Check that a run's views can be shown of any file.

    Raises:
        InputError: one needs to know the label, or to look for faces.
    """
    for name, view in detector.views.items():
        if view.geometry == "letterbox_real":
            raise InputError(
                f"{detector.name}: its view {name} shows reals and fakes differently, so it needs to know which is "
                "which; choose another run"
            )
        if view.face_margin is not None and not looks_for_faces:
            raise InputError(f"{detector.name}: its view {name} cuts out faces; leave out --no-faces")


def _face_detector(settings: Faces, device: torch.device) -> "stream.Detector":
    """Return the detector of faces."""
    from deepfake.modalities.image.faces import Detector as FaceDetector  # two seconds, which --no-faces does without

    return FaceDetector(settings, device)


def _logits(chunk: Chunk, loaded: Sequence[LoadedFold], device: torch.device, pool: ThreadPoolExecutor) -> np.ndarray:
    """Return the logits of a chunk's pieces, float64 [pieces, k]."""
    count = len(chunk.pieces)
    if not count:
        return np.empty((0, len(loaded)))
    side = max(pixels.shape[1] for pixels in chunk.pixels.values())
    # a picture of a crowd has many pieces
    size = _CHUNK if device.type == "cuda" else max(8, _PIXELS // side**2)
    parts = [np.arange(start, min(start + size, count)) for start in range(0, count, size)]
    jobs = [(fold, rows) for fold in loaded for rows in parts]
    found = pool.map(lambda job: job[0].logits(chunk.pixels, job[1]), jobs)
    return np.concatenate(list(found)).reshape(len(loaded), count).T


def _answers(chunk: Chunk, logits: np.ndarray, ruler: Scale) -> list[Verdict | Failure]:
    """Return what is said of a chunk's files, in their order."""
    row_of = {place: row for row, place in enumerate(chunk.usable)}
    parts: list[list[Part]] = [[] for _ in chunk.usable]
    for (row, face), values in zip(chunk.pieces, logits, strict=True):
        parts[row].append(Part(values, face))
    answers: list[Verdict | Failure] = []
    for place, file in enumerate(chunk.files):
        if place in row_of:
            row = row_of[place]
            faces, notes = None if chunk.faces is None else chunk.faces[row], chunk.samples["notes"].iloc[row]
            answers.append(judge(file.name, parts[row], faces, ruler, notes))
        elif place in chunk.refused:
            answers.append(Failure(file.name, chunk.refused[place]))
    return answers
