"""Layouts that are known by name: data sets that people download, as data in recipes.yaml."""

import functools
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml
from pydantic import Field

from deepfake.config.section import Section
from deepfake.datasets.layouts import kinds, labelling
from deepfake.datasets.layouts.listing import composed
from deepfake.errors import InputError, unknown

_RECIPES = Path(__file__).with_name("recipes.yaml")


class Recipe(Section):
    """A layout that is known by name."""

    seen: list[str | list[str]] = Field(min_length=1)
    """What recognises it: each pattern matches a file below the data set's folder, or one of each list does."""
    note: str = ""
    """What one should know before one takes it."""
    entry: dict[str, Any]
    """Keys of `entries.DataSet`."""


@functools.cache
def load() -> dict[str, Recipe]:
    """Read the recipes."""
    return {name: Recipe.model_validate(recipe) for name, recipe in yaml.safe_load(_RECIPES.read_text("utf-8")).items()}


def recognised(paths: Iterable[str]) -> list[str]:
    """Return the names of the recipes whose layout some files have.

    Args:
        paths: of all files below the data set's folder.
    """
    wanted = {name: [[each] if isinstance(each, str) else each for each in load()[name].seen] for name in load()}
    named = {pattern.rpartition("/")[2] for seen in wanted.values() for any_of in seen for pattern in any_of}
    # one file of each kind in a folder stands for all of them
    examples: dict[tuple[str, str], str] = {}
    for path in paths:
        folder, _, file = path.rpartition("/")
        examples.setdefault((folder, file if file in named else kinds.suffix(file)), path)
    known = [composed(path) for path in examples.values()]

    def is_there(pattern: str) -> bool:
        matches = labelling.expression(pattern).fullmatch
        return any(matches(path) for path in known)

    return [name for name, seen in wanted.items() if all(any(map(is_there, any_of)) for any_of in seen)]


def find(name: str) -> Recipe:
    """Return a recipe by its name.

    Raises:
        InputError: there is none of this name.
    """
    if name not in load():
        raise InputError(unknown("recipe", name, load()))
    return load()[name]
