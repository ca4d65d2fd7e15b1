"""What lies between a file and an array, one folder a modality, all behind the protocol of `base`."""

import importlib
from typing import TYPE_CHECKING

from deepfake.errors import InputError, unknown

if TYPE_CHECKING:
    from deepfake.modalities.base import Modality

MODALITIES = {"image": "deepfake.modalities.image"}
"""The module of each modality, imported when it is asked for."""


def load(name: str) -> "Modality":
    """Return a modality by its name.

    Raises:
        InputError: there is none of this name.
    """
    if name not in MODALITIES:
        raise InputError(unknown("modality", name, MODALITIES))
    return importlib.import_module(MODALITIES[name])  # pyright: ignore[reportReturnType]
