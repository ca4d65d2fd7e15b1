"""What lies between a file and an array, one folder a modality, all behind the protocol of `base`."""

import importlib
from pathlib import Path
from typing import TYPE_CHECKING

from deepfake.errors import InputError, unknown

if TYPE_CHECKING:
    import pandas as pd

    from deepfake.config import ViewConfig
    from deepfake.modalities.base import Modality

MODALITIES = {name: f"deepfake.modalities.{name}" for name in ("image", "video", "audio")}
"""The module of each modality, imported when it is asked for."""


def load(name: str) -> "Modality":
    """Return a modality by its name.

    Raises:
        InputError: there is none of this name.
    """
    if name not in MODALITIES:
        raise InputError(unknown("modality", name, MODALITIES))
    return importlib.import_module(MODALITIES[name])  # pyright: ignore[reportReturnType]


def of(samples: "pd.DataFrame") -> "Modality":
    """Return the modality of samples (`tables.SAMPLES` or the manifest): a data set has one."""
    return load(str(samples["modality"].iloc[0]))


def shape(view: "ViewConfig") -> tuple[int, int, int]:
    """Return channels, height and width of what a model sees of a sample."""
    return load(view.modality).shape(view)


def recognise(path: Path) -> str:
    """Return the first modality that a file begins as one of, whatever it is called; nothing where there is none."""
    return next((name for name in MODALITIES if load(name).recognises(path)), "")
