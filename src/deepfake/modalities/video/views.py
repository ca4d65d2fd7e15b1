"""From clips to stored frames: cut out and resized exactly as images are."""

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice

import numpy as np
from av.video.reformatter import VideoReformatter
from PIL import Image

from deepfake.errors import InputError
from deepfake.modalities.base import File
from deepfake.modalities.video import decoding, schemas
from deepfake.modalities.video.containers import Unreadable, opened
from deepfake.modalities.video.positions import timeline

_COLUMNS = [column for column in schemas.REGIONS.columns if column != "sample_id"]
_CORNERS = slice(_COLUMNS.index("left"), _COLUMNS.index("bottom") + 1)
_FRAME = _COLUMNS.index("frame")


def decode(files: Iterable[File], size: int, *, threads: int) -> Iterator[np.ndarray]:
    """Decode clips side by side; see `base.Modality.decode`.

    Args:
        files: each with the frames that are wanted of it, in whatever order.
        size: side of the result in pixels.
        threads: clips that are decoded at once; with fewer clips, each has several. No more frames are held than those
            of so many clips, and of each clip one at its full size.

    Yields:
        uint8 [frames, size, size, 3], RGB, of each clip.
    """
    files = iter(files)
    first = list(islice(files, threads))
    each = max(1, threads // max(1, len(first)))
    with ThreadPoolExecutor(threads) as pool:
        waiting: deque[Future[np.ndarray]] = deque(pool.submit(frames, file, size, each) for file in first)
        while waiting:
            shown = waiting.popleft().result()
            # the next one is read and begun before this one is handed on, whatever its receiver takes its time for
            waiting.extend(pool.submit(frames, file, size, each) for file in islice(files, 1))
            yield shown


def frames(file: File, size: int, threads: int) -> np.ndarray:
    """Return the frames that are wanted of one clip, uint8 [rows, size, size, 3]; see `decode`."""
    places: dict[int, list[int]] = {}
    for place, row in enumerate(file.rows):
        places.setdefault(row[_FRAME], []).append(place)
    shown = np.empty((len(file.rows), size, size, 3), np.uint8)
    reformatter = VideoReformatter()
    wanted = sorted(places)
    try:
        with opened(file.medium) as clip:
            line = timeline(file.medium, clip)
        if wanted and wanted[-1] >= line.length:
            raise Unreadable(f"frame {wanted[-1] + 1} of {line.length}")
        for number, frame in zip(wanted, decoding.frames(file.medium, line, wanted, threads=threads), strict=True):
            image = frame.image(reformatter)
            for place in places[number]:
                part = image.crop(file.rows[place][_CORNERS])
                shown[place] = np.asarray(part.resize((size, size), Image.Resampling.BILINEAR))
    except Unreadable as refused:
        name = "a clip" if isinstance(file.medium, bytes) else str(file.medium)
        raise InputError(f"{name}: differs from what was ingested ({refused}); ingest the data set again") from None
    return shown
