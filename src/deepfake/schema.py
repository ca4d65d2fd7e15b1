"""What all typed YAML files of the project have in common, and how their mistakes are told."""

import difflib
import types
from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

Ratio = Annotated[float, Field(gt=0, lt=1)]
Share = Annotated[float, Field(gt=0, le=1)]
Probability = Annotated[float, Field(ge=0, le=1)]
Factor = Annotated[float, Field(ge=0, lt=1)]
Seed = Annotated[int, Field(ge=0, lt=2**32)]  # what scikit-learn takes
Channels = tuple[float, float, float]
Resolution = Literal["low", "high"] | Annotated[int, Field(ge=32)]
Fraction = Literal["small", "medium", "all"] | Share
Epochs = Literal["short", "long"] | Annotated[int, Field(ge=1)]
LearningRate = Literal["base", "low"] | Annotated[float, Field(gt=0)]
TAGS = ("trained", "fine-tuned", "re-evaluated", "ensemble")
"""Kinds of runs: pydantic names the one that it chose in the path of a mistake."""


class Section(BaseModel):
    """A part of a YAML file: frozen, complete, and an unknown key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


def first_mistake(error: ValidationError, schema: type[BaseModel], prefix: str = "") -> str:
    """Return a validation error's first mistake as `path: message`, with the nearest key for a typo."""
    # an unknown key first: it explains the missing one that it was meant to be
    first, *others = sorted(error.errors(), key=lambda mistake: mistake["type"] != "extra_forbidden")
    where = ".".join(str(part) for part in (prefix, *first["loc"]) if part not in ("", *TAGS))
    message = first["msg"][0].lower() + first["msg"][1:]
    if first["type"] == "value_error":
        message = first["msg"].removeprefix("Value error, ")  # a rule of the project's own, in its own words
    elif first["type"] == "extra_forbidden":
        message = f"unknown key{_nearest_key(where, schema)}"
    elif first["type"] == "missing":
        message = "this key is missing"
    more = f" (and {len(others)} more)" if others else ""
    return f"{where or 'the file'}: {message}{more}"


def _nearest_key(where: str, schema: type[BaseModel]) -> str:
    """Return `; did you mean PATH?` for the known key nearest to an unknown one, or nothing."""
    *_, last = where.split(".")
    paths = list(_paths(schema))
    leaves = {path.split(".")[-1]: path for path in reversed(paths)}
    near = difflib.get_close_matches(last, leaves, n=1, cutoff=0.7)
    return f"; did you mean {leaves[near[0]]}?" if near else ""


def _paths(model: type[BaseModel], prefix: str = "") -> Iterator[str]:
    """Yield the dotted path of every key that the schema knows; the keys of a dict are shown as `<name>`."""
    for name, field in model.model_fields.items():
        path = f"{prefix}{name}"
        yield path
        annotation: Any = field.annotation
        if isinstance(annotation, types.GenericAlias) and annotation.__origin__ is dict:
            annotation, path = annotation.__args__[1], f"{path}.<name>"
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            yield from _paths(annotation, f"{path}.")
