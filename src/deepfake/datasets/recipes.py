"""Layouts that are known by name: data sets that people download, as data in recipes.yaml."""

import functools
from pathlib import Path
from typing import Any

import yaml
from pydantic import Field

from deepfake.config.section import Section
from deepfake.errors import InputError, unknown

_RECIPES = Path(__file__).with_name("recipes.yaml")


class Recipe(Section):
    """A layout that is known by name."""

    seen: list[str | list[str]] = Field(min_length=1)
    """What recognises it: each pattern matches a file below the data set's folder, or one of each list does."""
    note: str = ""
    """What one should know before one takes it."""
    entry: dict[str, Any]
    """Keys of `catalog.DataSet`."""


@functools.cache
def load() -> dict[str, Recipe]:
    """Read the recipes."""
    return {name: Recipe.model_validate(recipe) for name, recipe in yaml.safe_load(_RECIPES.read_text("utf-8")).items()}


def find(name: str) -> Recipe:
    """Return a recipe by its name.

    Raises:
        InputError: there is none of this name.
    """
    if name not in load():
        raise InputError(unknown("recipe", name, load()))
    return load()[name]
