"""Images: inspected, decoded, augmented, corrupted and measured, behind the protocol of `modalities.base`.

What needs more than the standard library is imported when it is used.
"""

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from functools import partial
from typing import TYPE_CHECKING, Any

from deepfake import tables
from deepfake.modalities.image import families

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    import pandas as pd
    import torch

    from deepfake.config import ViewConfig
    from deepfake.config.images import Parts
    from deepfake.config.params import Augmentation, Normalization
    from deepfake.modalities.base import Facts, File, Medium
    from deepfake.modalities.corruption import Corruption
    from deepfake.modalities.image.tensors import Augmenter
    from deepfake.progress import Progress

MEDIA = tables.MEDIA
REGIONS = tables.REGIONS
FEATURES = tables.FEATURES
FAMILIES = families.CONTAINER | families.PIXELS
# the opposite sign wherever the cosine across is odd about the middle: at every other frequency
MIRROR = "aa" * 32
STREAMED = False
FILE = "image"
PART = "image"
PICTURED = True
DECODING = tuple(
    f"deepfake.modalities.image.{name}" for name in ("dali", "decoding", "encoded", "metadata", "orientation", "pil")
)
CODE = (
    "deepfake.modalities.chance",
    *(
        f"deepfake.modalities.image.{name}"
        for name in ("augmentation", "backends", "dali", "normalization", "opencv", "pil", "tensors")
    ),
)
_BATCH = 64
"""Images that are decoded, and in memory, at once."""


def inspect(medium: "Medium", parts: "Parts") -> "list[Facts] | str":
    """Return what an image is, or the reason why it is refused (`inspection.inspect`)."""
    from deepfake.modalities.image import encoded, inspection

    found = inspection.inspect(encoded.contents(medium))
    return found if isinstance(found, str) else [found]


def recognises(path: "Path") -> bool:
    """Tell whether a file begins as an image does (`inspection.recognises`)."""
    from deepfake.modalities.image import inspection

    return inspection.recognises(path)


def glance(medium: "Medium", parts: "Parts") -> "list[Facts] | str":
    """Return what an image is by its header, or the reason why it is refused (`inspection.glance`)."""
    from deepfake.modalities.image import encoded, inspection

    found = inspection.glance(encoded.contents(medium))
    return found if isinstance(found, str) else [found]


def spans(samples: "pd.DataFrame", parts: "Parts") -> "np.ndarray":
    """Return that an image has no time: float [n, 2] of zeros."""
    import numpy as np

    return np.zeros((len(samples), 2))


def pictures(view: "ViewConfig", files: "Iterable[File]", height: int) -> "Iterator[np.ndarray]":
    """Yield what a view shows of images, uint8 [height, height, 3]."""
    for batch in decode(view.model_copy(update={"size": height}), files, threads=1):
        yield from batch


def quiet() -> AbstractContextManager[None]:
    """Keep what PIL warns about from the user (`decoding.quiet`)."""
    from deepfake.modalities.image import decoding

    return decoding.quiet()


def regions(samples: "pd.DataFrame", view: "ViewConfig", faces: "pd.DataFrame | None") -> "pd.DataFrame":
    """Return the rectangle of each image that a view shows (`geometry.regions`)."""
    from deepfake.modalities.image import geometry

    return geometry.regions(samples, view.geometry, faces, view.face_margin or 0.0)


def stored(view: "ViewConfig") -> tuple[tuple[int, ...], str]:
    """Return the shape and dtype of a stored image: uint8 [size, size, 3], RGB."""
    return (view.size, view.size, 3), "|u1"


def decode(view: "ViewConfig", files: "Iterable[File]", *, threads: int, cuda: bool = False) -> "Iterator[np.ndarray]":
    """Decode files to uint8 [b, size, size, 3], RGB (`backends.Backend.decode`)."""
    from deepfake.modalities.image import backends, encoded

    images = encoded.of(files)
    batches = iter(lambda: list(itertools.islice(images, _BATCH)), [])
    return backends.load(view.loader).decode(batches, view.size, threads=threads, cuda=cuda)


def decoder(
    view: "ViewConfig", *, threads: int, cuda: bool = False
) -> "Callable[[Iterable[File]], Iterator[np.ndarray]]":
    """Build what decodes some files after others (`backends.Kept`)."""
    from deepfake.modalities.image import backends, encoded

    kept = backends.Kept(partial(backends.load(view.loader).decode, size=view.size, threads=threads, cuda=cuda))

    def decoded(files: "Iterable[File]") -> "Iterator[np.ndarray]":
        images = encoded.of(files)
        return map(kept, iter(lambda: list(itertools.islice(images, _BATCH)), []))

    return decoded


def shape(view: "ViewConfig") -> tuple[int, int, int]:
    """Return channels, height and width of a model's input."""
    return 3, view.size, view.size


def inputs(
    view: "ViewConfig", scale: "Normalization", device: "torch.device"
) -> "Callable[[torch.Tensor], torch.Tensor]":
    """Return what normalises images (`tensors.normalised`)."""
    from deepfake.modalities.image import tensors

    return tensors.normalised(scale, device)


def statistics(view: "ViewConfig", samples: "np.ndarray", rows: "np.ndarray") -> "Normalization":
    """Return the statistics of the pixels of some images (`normalization.statistics`)."""
    from deepfake.modalities.image import normalization

    return normalization.statistics(samples, rows)


def augmenter(
    view: "ViewConfig", policy: "Augmentation", *, source: int, seed: int, batch_size: int, device: "torch.device"
) -> "Augmenter":
    """Build what applies a policy (`tensors.Augmenter`)."""
    from deepfake.modalities.image.tensors import Augmenter

    return Augmenter(view, policy, source=source, seed=seed, batch_size=batch_size, device=device)


def known_corruptions() -> "Mapping[str, Corruption]":
    """Return what `corrupt` knows, by name (`corruptions.CORRUPTIONS`)."""
    from deepfake.modalities.image import corruptions

    return corruptions.CORRUPTIONS


def corrupt(name: str, samples: "np.ndarray", strength: float, rows: "np.ndarray") -> "np.ndarray":
    """Apply a corruption to images, uint8 [b, s, s, 3] (`corruptions.corrupt`)."""
    from deepfake.modalities.image import corruptions

    return corruptions.corrupt(name, samples, strength, rows)


def measure(medium: "Medium") -> dict[str, Any]:
    """Return how a file is stored, and plain statistics of its pixels (`features.of_file`)."""
    from deepfake.modalities.image import encoded, features

    return features.of_file(encoded.contents(medium))


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
    """Return what a view shows beside its content: statistics of its pixels, and how it is framed.

    How far it shrinks an image is probed by itself: the view knows it, but does not show it. The same holds for where a
    face crop lay in its image: what it shows of that is where the face lies in the square.
    """
    from deepfake.modalities.image import features, framing

    found = features.of_pixels(stored, threads=threads, progress=progress)
    sides = (regions["right"] - regions["left"]).combine(regions["bottom"] - regions["top"], max)
    found.insert(0, "scale", sides.to_numpy() / view.size)
    found = found.join(framing.measure(samples, regions, faces, view.face_margin or 0.0))
    hidden, shown = (framing.PLACE, framing.FACE) if view.face_margin is not None else ((), framing.PLACE)
    named = {"geometry": ("scale", *hidden), "framing": shown, **families.PIXELS}
    return found, named, ("framing", *families.PIXELS)
