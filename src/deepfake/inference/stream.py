"""From files that nobody has ingested to what a detector sees of them, chunk by chunk: the pixels of training.

Each step works on the next chunk while its successor still works on this one, so files are read and decoded while
faces are looked for and models compute, and there is never more in memory than a few chunks.
"""

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import pandas as pd

from deepfake.config import ViewConfig
from deepfake.config.params import Faces
from deepfake.inference.inputs import File
from deepfake.inference.reading import Chunk, Face, Piece, read
from deepfake.modalities.image import backends, decoding, geometry, inspection
from deepfake.modalities.image.files import Encoded

if TYPE_CHECKING:
    from deepfake.modalities.image.faces import Detector

T = TypeVar("T")


def chunks(
    files: Sequence[File],
    views: Mapping[str, ViewConfig],
    faces: Faces | None,
    *,
    size: int,
    threads: int,
    detector: "Detector | None" = None,
    detected: int = 32,
    cuda: bool = False,
) -> Iterator[Chunk]:
    """Yield the files with what a detector sees of them, decoded ahead.

    Where a view cuts out faces, each face of a file is a piece of its own, shown by all views.

    Args:
        files: of `inputs.find`.
        views: what the detector looks through, by name.
        faces: the section `faces` of params.yaml, or None when there is no detector of faces.
        size: files in a chunk at most.
        threads: that read, decode and look for faces; they do not change the result.
        detector: finds faces, and the views that cut these out need it.
        detected: images that it sees together.
        cuda: whether to decode on the GPU where the backend can.
    """
    with decoding.quiet(), ThreadPoolExecutor(threads) as pool:
        found = _ahead(read(files, size, pool))
        decode = partial(_Decoder, threads=threads, cuda=cuda)
        # the backend of any view will do: all decode alike
        loader = next(iter(views.values())).loader
        if faces is not None and detector is not None:
            eye = decode(loader, faces.detection_size)
            shown = _ahead(map(partial(_show, eyes={"": eye}, regions=lambda chunk: {"": _whole(chunk)}), found))
            found = _ahead(map(partial(_locate, detector=detector, settings=faces, batch=detected, pool=pool), shown))
            if any(view.face_margin is not None for view in views.values()):
                found = map(_by_face, found)
        eyes = {name: decode(view.loader, view.size) for name, view in views.items()}
        yield from _ahead(map(partial(_show, eyes=eyes, regions=partial(_regions, views=views)), found))


def _ahead(items: Iterator[T]) -> Iterator[T]:
    """Yield items; the next one is made while this one is used."""
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(next, items, None)
        while (item := waiting.result()) is not None:
            waiting = pool.submit(next, items, None)
            yield item


class _Decoder:
    """A backend that decodes one batch after the other at one size, and is built again after a failure."""

    def __init__(self, loader: str, size: int, *, threads: int, cuda: bool):
        """Keep how to decode."""
        self._backend = backends.load(loader)
        self._size, self._threads, self._cuda = size, threads, cuda
        self._start()

    def _start(self) -> None:
        """Build what decodes the batches that are put into the queue."""
        queue: deque[Sequence[Encoded]] = deque()
        self._queue = queue
        self._decoded = self._backend.decode(
            iter(lambda: queue.popleft(), None), self._size, threads=self._threads, cuda=self._cuda
        )

    def decode(self, batch: Sequence[Encoded]) -> np.ndarray:
        """Return uint8 [b, size, size, 3]; raises whatever the backend does when a file is damaged."""
        self._queue.append(batch)
        try:
            return next(self._decoded)
        except Exception:
            self._start()  # a generator that has raised is at its end
            raise


def _show(chunk: Chunk, eyes: Mapping[str, _Decoder], regions: Callable[[Chunk], Mapping[str, pd.DataFrame]]) -> Chunk:
    """Decode a chunk as some views show it; a file that cannot be decoded is taken out, with the reason."""
    while chunk.usable:
        shown = regions(chunk)
        batches = {name: _encoded(chunk, shown[name]) for name in eyes}
        try:
            return replace(chunk, pixels={name: eye.decode(batches[name]) for name, eye in eyes.items()})
        except Exception:
            # one damaged file fails its whole batch, and backends raise what they like
            reasons = _damaged(chunk, batches, eyes)
            if not reasons:
                raise
            chunk = chunk.without(reasons)
    return chunk


def _damaged(chunk: Chunk, batches: Mapping[str, Sequence[Encoded]], eyes: Mapping[str, _Decoder]) -> dict[int, str]:
    """Return the usable files of a chunk that cannot be decoded, and why."""
    reasons: dict[int, str] = {}
    for name, eye in eyes.items():
        for row, file in enumerate(batches[name]):
            try:
                eye.decode([file])
            except Exception as error:
                said = inspection.inspect(file.data)
                words = said if isinstance(said, str) else f"cannot be decoded: {error or type(error).__name__}"
                reasons[chunk.pieces[row].row] = words
    return reasons


def _encoded(chunk: Chunk, regions: pd.DataFrame) -> list[Encoded]:
    """Return a chunk's pieces as backends take them."""
    data = [chunk.data[row] for row, _ in chunk.pieces]
    corners = regions[geometry.CORNERS].itertuples(index=False, name=None)
    return [Encoded(*file) for file in zip(data, corners, regions["plain"] == 1, strict=True)]


def _whole(chunk: Chunk) -> pd.DataFrame:
    """Return the regions in which faces are looked for: the whole images."""
    return geometry.regions(chunk.samples, "letterbox", None, 0)


def _by_face(chunk: Chunk) -> Chunk:
    """Divide a chunk's files into their faces; one without any stays one piece."""
    found = chunk.faces or []
    return replace(chunk, pieces=[Piece(row, face) for row, faces in enumerate(found) for face in faces or (None,)])


def _regions(chunk: Chunk, views: Mapping[str, ViewConfig]) -> dict[str, pd.DataFrame]:
    """Return what each view shows of a chunk's pieces."""
    names = [str(number) for number in range(len(chunk.pieces))]
    samples = chunk.samples.iloc[[row for row, _ in chunk.pieces]].assign(sample_id=names)
    corners = [
        (0.0,) * 4 if face is None else (face.left, face.top, face.right, face.bottom) for _, face in chunk.pieces
    ]
    faces = pd.DataFrame(corners, columns=geometry.CORNERS)
    faces = faces.assign(sample_id=names, faces=[int(face is not None) for _, face in chunk.pieces])
    return {
        name: geometry.regions(
            samples, view.geometry, None if view.face_margin is None else faces, view.face_margin or 0.0
        )
        for name, view in views.items()
    }


def _locate(chunk: Chunk, detector: "Detector", settings: Faces, batch: int, pool: ThreadPoolExecutor) -> Chunk:
    """Find the faces of a chunk."""
    if not chunk.usable:
        return replace(chunk, faces=[])
    shown, seen = _whole(chunk), chunk.pixels[""]
    starts = range(0, len(seen), batch)
    detections = list(pool.map(detector.detect, [seen[start : start + batch] for start in starts]))
    faces = []
    for start, found in zip(starts, detections, strict=True):
        here = shown.iloc[start : start + batch]
        left, top, right, bottom = found.boxes.T
        sure = found.confidence >= settings.confidence
        for image, corners in enumerate(here[geometry.CORNERS].to_numpy()):
            mine = np.flatnonzero(sure & (found.image == image))
            largest = mine[np.argsort(-((right - left) * (bottom - top))[mine], kind="stable")]
            scale = (corners[2] - corners[0]) / settings.detection_size
            boxes = found.boxes[largest] * scale + np.tile(corners[:2], 2)
            values = np.column_stack([boxes, found.confidence[largest]])
            faces.append(tuple(Face(*row) for row in values.tolist()))
    return replace(chunk, faces=faces, pixels={})
