"""A verdict on files that the project has never seen, by all fold models of a run together."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

import numpy as np
from scipy.special import expit

from deepfake import modalities, runtime
from deepfake.config.images import Parts
from deepfake.config.params import Faces
from deepfake.errors import InputError
from deepfake.evaluation import pooling
from deepfake.inference import parted, stream
from deepfake.inference.inputs import File
from deepfake.inference.parted import Opened
from deepfake.inference.reading import Chunk, Face, Other
from deepfake.inference.seeing import FaceFinder
from deepfake.runs import shipped
from deepfake.runs.detectors import Detector, LoadedFold
from deepfake.runs.shipped import Scale

_DETECTED = {"cpu": 32, "cuda": 128}
"""Images that the detector of faces sees together, as when a data set's faces are found."""
_CHUNK = 128
"""Files in a chunk at most; where faces are looked for, as many as all cores together see at once."""
_ELEMENTS = 1 << 17
"""Pixels that a model sees at once on a CPU: what it computes of them stays in the processor's caches, which at 128 px
halved the time of SimpleCNN."""


@dataclass(frozen=True)
class Part:
    """What a detector is shown of a file at once: the image, or one of its faces; a frame, or a window of sound.

    Args:
        logits: float64 [k], of each fold's model, as it comes out.
        face: what was cut out; None for the image, or its middle where a face was wanted and none found.
        span: seconds at which it begins and ends in its file; None where a file has one sample.
    """

    logits: np.ndarray
    face: Face | None = None
    span: tuple[float, float] | None = None


@dataclass(frozen=True)
class Verdict:
    """What a run says of a file.

    Args:
        file: its name, as the user would write it.
        parts: what was judged: the largest face first, or frames and windows in order.
        scores: the calibrated logit of each part; greater means more likely fake.
        faces: what was found in it, the largest first; None where nobody looked.
        threshold: the calibrated logit from which on a file is predicted fake.
        notes: what was odd about the file, as far as anybody looked.
        pooled: the file's calibrated logit where its parts are pooled; None: the largest counts.
        with_face: in how many of its parts there is a face, where each is looked at; None where nobody did.
        pictures: of its parts for people, of a height in pixels (`Modality.pictures`), where there are several.
    """

    file: str
    parts: tuple[Part, ...]
    scores: tuple[float, ...]
    faces: tuple[Face, ...] | None
    threshold: float
    notes: str = ""
    pooled: float | None = None
    with_face: int | None = None
    pictures: Callable[[int], Iterator[np.ndarray]] | None = field(default=None, compare=False, repr=False)

    @property
    def logit(self) -> float:
        """Return the file's calibrated logit: its parts' pooled, or the largest, as one fake face makes a fake."""
        return max(self.scores) if self.pooled is None else self.pooled

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

    @property
    def faceless(self) -> bool:
        """Tell whether somebody looked for a face and found none."""
        return self.faces == () or self.with_face == 0

    def deciding(self, count: int) -> list[int]:
        """Return the parts that speak most for the verdict, by their places, the first most; of images none."""
        timed = [place for place, part in enumerate(self.parts) if part.span is not None]
        return sorted(timed, key=lambda place: -self.scores[place] if self.fake else self.scores[place])[:count]


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
        others: files of another modality than the run's, and of which.
    """

    done: int
    found: list[Verdict | Failure]
    others: list[tuple[File, str]]


def judge(file: str, parts: Sequence[Part], faces: tuple[Face, ...] | None, scale: Scale, notes: str = "") -> Verdict:
    """Return the verdict on a file from its parts' logits, on the scale of the shipped detector."""
    scores = tuple(float(scale.combine(part.logits)) for part in parts)
    return Verdict(file, tuple(parts), scores, faces, scale.threshold, notes)


def predict(
    detector: Detector,
    files: Sequence[File],
    faces: Faces | None,
    parts: Parts | None = None,
) -> Iterator[Answers]:
    """Yield verdicts on files, some at a time and in order.

    Of all files their names are in memory; of their contents a few chunks are, however many there are.

    Args:
        detector: the run.
        files: of `inputs.find`.
        faces: the section `faces` of params.yaml, or None to look for no faces.
        parts: into how many samples files are divided (the section `ingest`); windows are as long as in training.

    Raises:
        InputError: a model cannot be loaded, or a view cannot be shown without labels or without looking for faces.
    """
    check_views(detector, faces is not None)
    judge = _Judge(detector, faces, parts or Parts())
    with judge.pool:
        yield from (judge.parted if judge.modality.STREAMED else judge.whole)(files)


class _Judge:
    """A detector whose models are loaded."""

    def __init__(self, detector: Detector, faces: Faces | None, parts: Parts):
        """Load the models."""
        self._detector, self._faces = detector, faces
        self.modality = modalities.load(detector.modality)
        self._device = runtime.device()
        self._threads = runtime.cores()
        runtime.one_thread()  # models work side by side instead, and their sums come out as in training
        self._loaded = [LoadedFold(detector, fold, self._device, fuse=True) for fold in detector.shipped]
        self._scale = shipped.scale(detector)
        seconds = [view.seconds for view in detector.views.values() if view.seconds is not None]
        self._parts = parts.model_copy(update={"window": seconds[0]}) if seconds else parts
        self.pool = ThreadPoolExecutor(1 if self._device.type == "cuda" else self._threads)

    @cached_property
    def _finder(self) -> FaceFinder | None:
        """Return what looks for faces."""
        if self._faces is None or not self.modality.PICTURED:
            return None
        from deepfake.modalities.image.faces import Detector as FaceDetector  # takes seconds, which --no-faces saves

        return FaceFinder(self._faces, FaceDetector(self._faces, self._device), _DETECTED[self._device.type])

    def whole(self, files: Sequence[File]) -> Iterator[Answers]:
        """Yield verdicts on files of one sample each, chunk by chunk."""
        chunks = stream.chunks(
            files,
            self._detector.views,
            parts=self._parts,
            size=_CHUNK if self._finder is None else min(_DETECTED[self._device.type] * max(2, self._threads), _CHUNK),
            threads=self._threads,
            finder=self._finder,
            cuda=runtime.has_gpu(),
        )
        done = 0
        for chunk in chunks:
            logits = self._logits(chunk.pixels, len(chunk.pieces))
            done += len(chunk.files)
            others = [(chunk.files[place], modality) for place, modality in chunk.others.items()]
            yield Answers(done, _answers(chunk, logits, self._scale), others)

    def parted(self, files: Sequence[File]) -> Iterator[Answers]:
        """Yield verdicts on files of several samples, file by file."""
        opened = parted.opened(
            files,
            self._detector.views,
            parts=self._parts,
            threads=self._threads,
            finder=self._finder,
            cuda=runtime.has_gpu(),
        )
        for done, (file, found) in enumerate(opened, 1):
            if isinstance(found, Other):
                yield Answers(done, [], [(file, found.modality)])
            elif isinstance(found, str):
                yield Answers(done, [Failure(file.name, found)], [])
            else:
                yield Answers(done, [self._verdict(file, found)], [])

    def _verdict(self, file: File, found: Opened) -> Verdict | Failure:
        """Return what is said of a file of several samples."""
        logits = []
        try:
            for batch in found.batches():
                logits.append(self._logits(batch, len(next(iter(batch.values())))))
        except Exception as error:  # modalities raise what they like of a damaged file
            return Failure(file.name, found.words(error))
        each, one = np.concatenate(logits), np.zeros(sum(map(len, logits)), np.int64)
        pooled = [pooling.pooled(fold, one, self._detector.pooling)[0] for fold in each.T]
        spans = [(float(start), float(end)) for start, end in found.spans]
        return Verdict(
            file.name,
            tuple(Part(values, None, span) for values, span in zip(each, spans, strict=True)),
            tuple(self._scale.combine(each.T).tolist()),
            None,
            self._scale.threshold,
            found.notes,
            # in each fold as its threshold was chosen, then over folds
            float(self._scale.combine(np.array(pooled))),
            found.faces,
            found.pictures,
        )

    def _logits(self, pixels: Mapping[str, np.ndarray], count: int) -> np.ndarray:
        """Return the logits of stored samples, float64 [count, k]."""
        if not count:
            return np.empty((0, len(self._loaded)))
        seen = max(int(np.prod(self.modality.shape(view)[1:])) for view in self._detector.views.values())
        # a picture of a crowd has many pieces
        size = _CHUNK if self._device.type == "cuda" else max(8, _ELEMENTS // seen)
        parts = [np.arange(start, min(start + size, count)) for start in range(0, count, size)]
        jobs = [(fold, rows) for fold in self._loaded for rows in parts]
        found = self.pool.map(lambda job: job[0].logits(pixels, job[1]), jobs)
        return np.concatenate(list(found)).reshape(len(self._loaded), count).T


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
            faces = None if chunk.faces is None else chunk.faces[row]
            notes = str(chunk.samples["notes"].iloc[row]) if "notes" in chunk.samples else ""
            answers.append(judge(file.name, parts[row], faces, ruler, notes))
        elif place in chunk.refused:
            answers.append(Failure(file.name, chunk.refused[place]))
    return answers
