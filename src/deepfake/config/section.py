"""What all typed YAML files of the project have in common, and how their mistakes are told."""

import difflib
import types
from collections.abc import Callable, Iterator
from typing import Annotated, Any, Literal, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Field, ValidationError, WrapValidator

from deepfake.errors import unknown


def _one_mistake(value: Any, handler: Callable[[Any], Any]) -> Any:
    """Tell what is wrong with a word or number as one mistake; pydantic would tell it once for each."""
    try:
        return handler(value)
    except ValidationError as error:
        words, number = (mistake["msg"].removeprefix("Input should be ") for mistake in error.errors())
        raise ValueError(f"input should be {words}, or {number.split(',')[0]}") from None


_OneMistake = WrapValidator(_one_mistake)

Ratio = Annotated[float, Field(gt=0, lt=1)]
Share = Annotated[float, Field(gt=0, le=1)]
Probability = Annotated[float, Field(ge=0, le=1)]
Factor = Annotated[float, Field(ge=0, lt=1)]
Seed = Annotated[int, Field(ge=0, lt=2**32)]  # what scikit-learn takes
Channels = tuple[float, float, float]
Resolution = Annotated[Literal["low", "high"] | Annotated[int, Field(ge=32)], _OneMistake]
Fraction = Annotated[Literal["small", "medium", "all"] | Share, _OneMistake]
Epochs = Annotated[Literal["short", "base", "long"] | Annotated[int, Field(ge=1)], _OneMistake]
LearningRate = Annotated[Literal["base", "low"] | Annotated[float, Field(gt=0)], _OneMistake]
KINDS = ("trained", "fine-tuned", "re-evaluated", "ensemble")
"""Kinds of runs."""
_SENSES = ("pixels", "sound")
_CHOSEN = {"runs": KINDS, "views": _SENSES, "augmentations": _SENSES}
"""What pydantic puts into the path of a mistake, below the name of an entry: the kind that it chose, by section."""


class Section(BaseModel):
    """A part of a YAML file: frozen, complete, and an unknown key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


def first_mistake(error: ValidationError, schema: type[BaseModel], prefix: str = "") -> str:
    """Return a validation error's first mistake as `path: message`, with the nearest key for a typo."""
    # an unknown key first: it explains the missing one that it was meant to be
    first, *others = sorted(error.errors(), key=lambda mistake: mistake["type"] != "extra_forbidden")
    loc = first["loc"]
    above = ("", "", *loc)
    parts = [part for part, section in zip(loc, above, strict=False) if part not in _CHOSEN.get(str(section), ())]
    if first["type"] == "union_tag_invalid":
        parts.append("kind")
    where = ".".join(str(part) for part in (prefix, *parts) if part != "")
    message = first["msg"][0].lower() + first["msg"][1:]
    if first["type"] == "value_error":
        message = first["msg"].removeprefix("Value error, ")  # a rule of the project's own, in its own words
    elif first["type"] == "extra_forbidden":
        message = f"unknown key{_nearest_key(where, schema)}"
    elif first["type"] == "missing":
        message = "this key is missing"
    elif first["type"] == "union_tag_invalid":
        message = unknown("kind", first.get("ctx", {})["tag"], KINDS)
    more = f" (and {len(others)} more)" if others else ""
    return f"{where or 'the file'}: {message}{more}"


def _nearest_key(where: str, schema: type[BaseModel]) -> str:
    """Return `; did you mean PATH?` for the known key nearest to an unknown one, or nothing.

    One of the same section comes first, then one of another section, where the key may belong. Nothing is said of a
    key that another kind of run has.
    """
    *above, last = where.split(".")
    paths = [path.split(".") for path in _paths(schema)]
    beside = [path for path in paths if len(path) == len(above) + 1 and all(map(_names, path, above))]
    for known in (beside, paths):
        leaves = {path[-1]: ".".join(path) for path in reversed(known)}
        near = difflib.get_close_matches(last, leaves, n=1, cutoff=0.7)
        if near:
            return f"; did you mean {leaves[near[0]]}?" if known is paths or near[0] != last else ""
    return ""


def _names(known: str, part: str) -> bool:
    return known in (part, "<name>")


def _paths(model: type[BaseModel], prefix: str = "") -> Iterator[str]:
    """Yield the dotted path of every key that the schema knows; the keys of a dict are shown as `<name>`."""
    for name, field in model.model_fields.items():
        path = f"{prefix}{name}"
        yield path
        annotation: Any = field.annotation
        if isinstance(annotation, types.GenericAlias) and annotation.__origin__ is dict:
            annotation, path = annotation.__args__[1], f"{path}.<name>"
        for each in _members(annotation):
            if isinstance(each, type) and issubclass(each, BaseModel):
                yield from _paths(each, f"{path}.")


def _members(annotation: Any) -> tuple[Any, ...]:
    """Return the types that an annotation allows."""
    if get_origin(annotation) is Annotated:
        annotation = get_args(annotation)[0]
    return get_args(annotation) if isinstance(annotation, types.UnionType) else (annotation,)
