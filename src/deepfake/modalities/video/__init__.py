"""Clips: frames spread over them, behind the protocol of `modalities.base`; a frame taken is stored as an image is.

What follows decoding is that of images. What needs more than the standard library is imported when it is used.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from functools import partial
from typing import TYPE_CHECKING, Any

from deepfake.modalities import image
from deepfake.modalities.video import schemas

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    import pandas as pd

    from deepfake.config import ViewConfig
    from deepfake.config.images import Parts
    from deepfake.modalities.base import Facts, File, Medium
    from deepfake.modalities.corruption import Corruption
    from deepfake.progress import Progress

MEDIA = schemas.MEDIA
REGIONS = schemas.REGIONS
FEATURES = schemas.FEATURES
FAMILIES = schemas.FAMILIES
MIRROR = ""
STREAMED = True
FILE = "clip"
PART = "frame"
PICTURED = True
DECODING = tuple(
    f"deepfake.modalities.video.{name}" for name in ("containers", "decoding", "positions", "schemas", "views")
)
CODE = image.CODE

# a frame that is stored is an image
stored = image.stored
shape = image.shape
inputs = image.inputs
statistics = image.statistics
augmenter = image.augmenter


def inspect(medium: "Medium", parts: "Parts") -> "list[Facts] | str":
    """Return what each frame taken of a clip is, or the reason why the clip is refused (`inspection.inspect`)."""
    from deepfake.modalities.video import inspection

    return inspection.inspect(medium, parts)


def recognises(path: "Path") -> bool:
    """Tell whether a file has moving pictures (`streams.kind`)."""
    from deepfake.modalities import streams

    return streams.kind(path) == "video"


def glance(medium: "Medium", parts: "Parts") -> "list[Facts] | str":
    """Return what each frame taken of a clip is if all are like the first of them (`inspection.glance`)."""
    from deepfake.modalities.video import inspection

    return inspection.glance(medium, parts)


def spans(samples: "pd.DataFrame", parts: "Parts") -> "np.ndarray":
    """Return when each frame is shown, float [n, 2]."""
    import numpy as np

    return np.repeat(samples["time"].to_numpy(np.float64), 2).reshape(-1, 2)


def pictures(view: "ViewConfig", files: "Iterable[File]", height: int) -> "Iterator[np.ndarray]":
    """Yield what a view shows of frames, uint8 [height, height, 3]."""
    for shown in decode(view.model_copy(update={"size": height}), files, threads=1):
        yield from shown


def quiet() -> AbstractContextManager[None]:
    """Keep what libav and PIL warn about from the user (`containers.quiet`)."""
    from deepfake.modalities.video import containers

    return containers.quiet()


def regions(samples: "pd.DataFrame", view: "ViewConfig", faces: "pd.DataFrame | None") -> "pd.DataFrame":
    """Return the part of its frame that a view shows of each sample, and the frame (`crops.of_frames`)."""
    from deepfake.modalities.video import crops

    return crops.of_frames(samples, view, faces)


def decode(view: "ViewConfig", files: "Iterable[File]", *, threads: int, cuda: bool = False) -> "Iterator[np.ndarray]":
    """Decode the frames of clips as a view shows them (`views.decode`); libav and PIL have no use for a GPU."""
    from deepfake.modalities.video import views

    return views.decode(files, view.size, threads=threads)


def decoder(
    view: "ViewConfig", *, threads: int, cuda: bool = False
) -> "Callable[[Iterable[File]], Iterator[np.ndarray]]":
    """Return `decode` for a view: nothing is built for it."""
    return partial(decode, view, threads=threads, cuda=cuda)


def known_corruptions() -> "Mapping[str, Corruption]":
    """Return what `corrupt` knows, by name (`corruptions.CORRUPTIONS`)."""
    from deepfake.modalities.video import corruptions

    return corruptions.CORRUPTIONS


def corrupt(name: str, samples: "np.ndarray", strength: float, rows: "np.ndarray") -> "np.ndarray":
    """Apply a corruption to stored frames, each by itself (`corruptions.corrupt`)."""
    from deepfake.modalities.video import corruptions

    return corruptions.corrupt(name, samples, strength, rows)


def measure(medium: "Medium") -> dict[str, Any]:
    """Return how a clip is stored, and plain statistics of its middle frame (`features.measure`)."""
    from deepfake.modalities.video import features

    return features.measure(medium)


def measure_shown(
    view: "ViewConfig",
    samples: "pd.DataFrame",
    stored: "np.ndarray",
    regions: "pd.DataFrame",
    faces: "pd.DataFrame | None",
    *,
    threads: int,
    progress: "Progress",
) -> "tuple[pd.DataFrame, dict[str, tuple[str, ...]], tuple[str, ...]] | None":
    """Return what a view shows beside its content, as of images; a face counts where its track has it."""
    from deepfake.modalities.video import crops

    boxes = None if faces is None else crops.tracked(samples, faces)
    return image.measure_shown(view, samples, stored, regions, boxes, threads=threads, progress=progress)
