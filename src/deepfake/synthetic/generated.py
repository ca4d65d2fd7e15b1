"""The data sets that the project makes itself: how each one is made, and what its pictures are called."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from deepfake.config.params import Params
from deepfake.errors import InputError, unknown
from deepfake.progress import Progress
from deepfake.project import paths
from deepfake.synthetic import audio, contact_sheet, edited, resent, sample, spectrograms, spoken_texts, video


class Recipe(NamedTuple):
    """How a data set is made.

    Args:
        generate: writes its files into a folder, whole or not at all.
        titles: its sources, and what a person reads above each column of its contact sheet.
        draw: draws the contact sheet of that folder with those titles; None where there is nothing to see.
    """

    generate: Callable[[Params, Path, Progress], None]
    titles: dict[str, str]
    draw: Callable[[Path, dict[str, str], Path], None] | None = contact_sheet.draw


RECIPES = {
    "sample": Recipe(lambda settings, *to: sample.generate(settings.sample, *to), sample.TITLES),
    "sample_edited": Recipe(
        lambda settings, *to: edited.generate(settings.sample, settings.sample_edited, *to), edited.TITLES
    ),
    "sample_resent": Recipe(
        lambda settings, *to: resent.generate(paths().raw("sample"), settings.sample_resent, *to), sample.TITLES
    ),
    "sample_audio": Recipe(
        lambda settings, *to: audio.generate(settings.sample_audio, *to), audio.TITLES, spectrograms.draw
    ),
    "sample_speech": Recipe(
        lambda settings, *to: spoken_texts.generate(settings.sample_speech, *to), spoken_texts.TITLES, spectrograms.draw
    ),
    "sample_video": Recipe(
        lambda settings, *to: video.generate(settings.sample_video, *to), video.TITLES, contact_sheet.draw_clips
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
