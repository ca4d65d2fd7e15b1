"""The data sets that the project makes itself: how each one is made, and what its pictures are called."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from deepfake.config.params import Params
from deepfake.errors import InputError, unknown
from deepfake.progress import Progress
from deepfake.project import paths
from deepfake.synthetic import edited, resent, sample


class Recipe(NamedTuple):
    """How a data set is made.

    Args:
        generate: writes its archives into a folder, whole or not at all.
        titles: its sources, and what a person reads above each column of its contact sheet.
    """

    generate: Callable[[Params, Path, Progress], None]
    titles: dict[str, str]


RECIPES = {
    "sample": Recipe(lambda settings, *to: sample.generate(settings.sample, *to), sample.TITLES),
    "sample_edited": Recipe(
        lambda settings, *to: edited.generate(settings.sample, settings.sample_edited, *to), edited.TITLES
    ),
    "sample_resent": Recipe(
        lambda settings, *to: resent.generate(paths().raw("sample"), settings.sample_resent, *to), sample.TITLES
    ),
}
"""By the names of `catalog.GENERATED`."""


def find(name: str) -> Recipe:
    """Return how a data set is made.

    Raises:
        InputError: the project makes none of this name.
    """
    if name not in RECIPES:
        raise InputError(unknown("generated data set", name, RECIPES))
    return RECIPES[name]
