"""From files that nobody has ingested to what a detector sees of them, chunk by chunk: the pixels of training.

Each step works on the next chunk while its successor still works on this one, so files are read and decoded while
faces are looked for and models compute, and there is never more in memory than a few chunks.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from typing import TypeVar

import pandas as pd

from deepfake import modalities, tables
from deepfake.config import ViewConfig
from deepfake.config.images import Parts
from deepfake.inference.inputs import File
from deepfake.inference.reading import Chunk, Piece, read
from deepfake.inference.seeing import Eye, FaceFinder
from deepfake.modalities import base

T = TypeVar("T")


def chunks(
    files: Sequence[File],
    views: Mapping[str, ViewConfig],
    *,
    parts: Parts,
    size: int,
    threads: int,
    finder: FaceFinder | None = None,
    cuda: bool = False,
) -> Iterator[Chunk]:
    """Yield files of one sample each with what a detector sees of them, decoded ahead.

    Where a view cuts out faces, each face of a file is a piece of its own, shown by all views.

    Args:
        files: of `inputs.find`.
        views: what the detector looks through, by name; all of one modality.
        parts: into how many samples files are divided.
        size: files in a chunk at most.
        threads: that read, decode and look for faces; they do not change the result.
        finder: finds faces, and the views that cut these out need it.
        cuda: whether to decode on the GPU where the modality can.
    """
    modality = modalities.load(next(iter(views.values())).modality)
    eye_of = partial(Eye, modality, parts=parts, threads=threads, cuda=cuda)
    with modality.quiet(), ThreadPoolExecutor(threads) as pool:
        found = ahead(read(files, size, pool, modality, parts))
        if finder is not None:
            whole = {"": eye_of(finder.view(next(iter(views.values()))))}
            shown = ahead(map(partial(_show, eyes=whole, faces=lambda _: None), found))
            found = ahead(map(partial(_locate, finder=finder, eye=whole[""], pool=pool), shown))
            if any(view.face_margin is not None for view in views.values()):
                found = map(_by_face, found)
        eyes = {name: eye_of(view) for name, view in views.items()}
        yield from ahead(map(partial(_show, eyes=eyes, faces=_boxes), found))


def ahead(items: Iterator[T]) -> Iterator[T]:
    """Yield items; the next one is made while this one is used."""
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(next, items, None)
        while (item := waiting.result()) is not None:
            waiting = pool.submit(next, items, None)
            yield item


def _show(chunk: Chunk, eyes: Mapping[str, Eye], faces: Callable[[Chunk], pd.DataFrame | None]) -> Chunk:
    """Decode a chunk as some views show it; a file that cannot be decoded is taken out, with the reason."""
    while chunk.usable:
        batches = {name: _files(chunk, eye, faces(chunk)) for name, eye in eyes.items()}
        try:
            return replace(chunk, pixels={name: eye.decode(batches[name]) for name, eye in eyes.items()})
        except Exception:
            # one damaged file fails its whole batch, and backends raise what they like
            reasons = _damaged(chunk, batches, eyes)
            if not reasons:
                raise
            chunk = chunk.without(reasons)
    return chunk


def _damaged(chunk: Chunk, batches: Mapping[str, Sequence[base.File]], eyes: Mapping[str, Eye]) -> dict[int, str]:
    """Return the usable files of a chunk that cannot be decoded, and why."""
    reasons: dict[int, str] = {}
    for name, eye in eyes.items():
        for piece, file in zip(chunk.pieces, batches[name], strict=True):
            if piece.row not in reasons and (reason := eye.fails(file)):
                reasons[piece.row] = reason
    return reasons


def _files(chunk: Chunk, eye: Eye, faces: pd.DataFrame | None) -> list[base.File]:
    """Return a chunk's pieces as its modality decodes them."""
    names = [str(number) for number in range(len(chunk.pieces))]
    samples = chunk.samples.iloc[[row for row, _ in chunk.pieces]].assign(sample_id=names)
    rows = eye.rows(samples, faces)
    return [base.File(chunk.data[piece.row], [row]) for piece, row in zip(chunk.pieces, rows, strict=True)]


def _by_face(chunk: Chunk) -> Chunk:
    """Divide a chunk's files into their faces; one without any stays one piece."""
    found = chunk.faces or []
    return replace(chunk, pieces=[Piece(row, face) for row, faces in enumerate(found) for face in faces or (None,)])


def _boxes(chunk: Chunk) -> pd.DataFrame:
    """Return the faces of a chunk's pieces, as far as views need to know them (`tables.FACES`)."""
    boxes = [(0.0,) * 4 if face is None else (face.left, face.top, face.right, face.bottom) for _, face in chunk.pieces]
    names = [str(number) for number in range(len(boxes))]
    known = pd.DataFrame(boxes, columns=["left", "top", "right", "bottom"])
    known = known.assign(sample_id=names, faces=[int(face is not None) for _, face in chunk.pieces])
    return known.reindex(columns=list(tables.FACES.columns), fill_value=0.0)


def _locate(chunk: Chunk, finder: FaceFinder, eye: Eye, pool: ThreadPoolExecutor) -> Chunk:
    """Find the faces of a chunk."""
    if not chunk.usable:
        return replace(chunk, faces=[])
    shown = eye.regions(chunk.samples, None)
    return replace(chunk, faces=finder.all(chunk.pixels[""], shown, pool), pixels={})
