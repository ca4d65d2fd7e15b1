"""Recordings, cut into windows: inspected, decoded, augmented, corrupted and measured, behind `modalities.base`.

A stored sample is a window of mono sound at 16 kHz, int16; the front end is applied where the model runs. What needs
more than the standard library is imported when it is used.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from functools import partial
from typing import TYPE_CHECKING, Any

from deepfake.modalities.audio import schemas

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    import pandas as pd
    import torch

    from deepfake.config import ViewConfig
    from deepfake.config.images import Normalization, Parts
    from deepfake.config.params import AnyAugmentation
    from deepfake.modalities.base import Augmenter, Facts, File, Medium
    from deepfake.modalities.corruption import Corruption
    from deepfake.progress import Progress

MEDIA = schemas.MEDIA
REGIONS = schemas.REGIONS
FEATURES = schemas.FEATURES
FAMILIES = schemas.FAMILIES
MIRROR = ""
STREAMED = True
FILE = "recording"
PART = "window"
PICTURED = False
DECODING = tuple(f"deepfake.modalities.audio.{name}" for name in ("decoding", "windows"))
CODE = (
    "deepfake.modalities.chance",
    *(f"deepfake.modalities.audio.{name}" for name in ("augmentation", "codecs", "effects", "front_ends")),
)


def inspect(medium: "Medium", parts: "Parts") -> "list[Facts] | str":
    """Return what the windows of a recording are, or the reason why it is refused (`inspection.inspect`)."""
    from deepfake.modalities.audio import inspection

    return inspection.inspect(medium, parts)


def recognises(path: "Path") -> bool:
    """Tell whether a file has sound and no moving pictures (`streams.kind`)."""
    from deepfake.modalities import streams

    return streams.kind(path) == "audio"


def glance(medium: "Medium", parts: "Parts") -> "list[Facts] | str":
    """Return what `inspect` does: how long a recording is, its header may be wrong about."""
    return inspect(medium, parts)


def spans(samples: "pd.DataFrame", parts: "Parts") -> "np.ndarray":
    """Return when each window begins and ends, or its recording does, float [n, 2]."""
    import numpy as np

    begin, length = (samples[name].to_numpy(np.float64) / schemas.RATE for name in ("start", "length"))
    return np.stack([begin, np.minimum(begin + parts.window, length)], axis=1)


def pictures(view: "ViewConfig", files: "Iterable[File]", height: int) -> "Iterator[np.ndarray]":
    """Yield the log-mel of windows, low frequencies at the bottom, uint8 [height, w, 3] (`shown.log_mel`)."""
    from deepfake.modalities.audio import shown

    for file in files:
        rows = iter(file.rows)
        for windows in decode(view, [file], threads=1):
            for picture, (_, length) in zip(shown.log_mel(windows, height), rows, strict=False):
                # a recording that was repeated until the window was full is shown once
                yield picture[:, : max(1, round(picture.shape[1] * min(1.0, length / _window(view))))]


def quiet() -> AbstractContextManager[None]:
    """Keep what decoders warn about from the user (`decoding.quiet`)."""
    from deepfake.modalities.audio import decoding

    return decoding.quiet()


def regions(samples: "pd.DataFrame", view: "ViewConfig", faces: "pd.DataFrame | None") -> "pd.DataFrame":
    """Return the window of each sample: every view of sound shows all of it.

    Raises:
        InputError: the recordings were cut into windows of another length than the view's.
    """
    from deepfake.errors import InputError
    from deepfake.modalities.audio import windows

    wanted = samples["length"].map({one: len(windows.starts(one, _window(view))) for one in set(samples["length"])})
    if (samples.groupby("clip_id")["start"].transform("size") != wanted).any():
        raise InputError(
            f"{view.dataset}: its recordings were not cut into windows of {view.seconds:g} s (ingest.window); ingest "
            "the data set again"
        )
    return samples[list(REGIONS.columns)].reset_index(drop=True)


def stored(view: "ViewConfig") -> tuple[tuple[int, ...], str]:
    """Return the shape and dtype of a stored window: int16 [samples at 16 kHz]."""
    return (_window(view),), "<i2"


def decode(view: "ViewConfig", files: "Iterable[File]", *, threads: int, cuda: bool = False) -> "Iterator[np.ndarray]":
    """Decode files to windows, int16 [b, samples] (`windows.decode`)."""
    from deepfake.modalities.audio import windows

    return windows.decode(_window(view), files, threads=threads)


def decoder(
    view: "ViewConfig", *, threads: int, cuda: bool = False
) -> "Callable[[Iterable[File]], Iterator[np.ndarray]]":
    """Return `decode` for a view: nothing is built for it."""
    return partial(decode, view, threads=threads, cuda=cuda)


def shape(view: "ViewConfig") -> tuple[int, int, int]:
    """Return one channel, the rows and the frames of what a model sees of a window."""
    from deepfake.modalities.audio import front_ends

    return front_ends.shape(view.geometry, view.size, _window(view))


def inputs(
    view: "ViewConfig", scale: "Normalization", device: "torch.device"
) -> "Callable[[torch.Tensor], torch.Tensor]":
    """Return what maps windows to what a model sees of them (`front_ends.inputs`)."""
    from deepfake.modalities.audio import front_ends

    return front_ends.inputs(view.geometry, view.size, scale, device)


def statistics(view: "ViewConfig", samples: "np.ndarray", rows: "np.ndarray") -> "Normalization":
    """Return the statistics of what the front end gives for some windows (`front_ends.statistics`)."""
    from deepfake.modalities.audio import front_ends

    return front_ends.statistics(view.geometry, view.size, samples, rows)


def augmenter(
    view: "ViewConfig", policy: "AnyAugmentation", *, source: int, seed: int, batch_size: int, device: "torch.device"
) -> "Augmenter":
    """Build what applies a policy (`augmentation.Augmenter`)."""
    from deepfake.modalities.audio.augmentation import Augmenter

    return Augmenter(policy, window=_window(view), seed=seed)  # pyright: ignore[reportArgumentType]


def known_corruptions() -> "Mapping[str, Corruption]":
    """Return what `corrupt` knows, by name (`corruptions.CORRUPTIONS`)."""
    from deepfake.modalities.audio import corruptions

    return corruptions.CORRUPTIONS


def corrupt(name: str, samples: "np.ndarray", strength: float, rows: "np.ndarray") -> "np.ndarray":
    """Apply a corruption to windows, int16 [b, samples] (`corruptions.corrupt`)."""
    from deepfake.modalities.audio import corruptions

    return corruptions.corrupt(name, samples, strength, rows)


def measure(medium: "Medium") -> dict[str, Any]:
    """Return how a file is stored, and plain figures of its sound (`features.of_file`)."""
    from deepfake.modalities.audio import features

    return features.of_file(medium)


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
    """Return nothing: a view shows no more of a recording than its file does."""
    return None


def _window(view: "ViewConfig") -> int:
    """Return the samples of a window."""
    assert view.seconds is not None
    return round(view.seconds * schemas.RATE)
