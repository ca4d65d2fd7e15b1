"""params.yaml read, checked, and resolved to experiments: what a stage works with."""

from pathlib import Path

from deepfake import layout, params
from deepfake.config import names
from deepfake.config.decisions import Decision, Finalists, read_decision, read_finalists
from deepfake.config.finished import config_of, facts_of
from deepfake.config.runs import (
    FROM_SCRATCH,
    TRAINING,
    Entry,
    RunConfig,
    ViewConfig,
    candidates,
    decided_view,
    entries,
    resolve,
    resolve_view,
    scaled,
    shares,
    table,
    tables_of,
    title,
)
from deepfake.errors import InputError
from deepfake.params import Params

__all__ = [
    "FROM_SCRATCH",
    "TRAINING",
    "Decision",
    "Entry",
    "Finalists",
    "RunConfig",
    "ViewConfig",
    "candidates",
    "config_of",
    "decided_view",
    "entries",
    "facts_of",
    "load",
    "read_decision",
    "read_finalists",
    "resolve",
    "resolve_view",
    "scaled",
    "shares",
    "table",
    "tables_of",
    "title",
]


def load(path: Path = layout.PARAMS) -> Params:
    """Read params.yaml and check that all names in it refer to something and all experiments resolve.

    Raises:
        InputError: what is wrong, by its path.
    """
    settings = params.load(path)
    try:
        names.check(settings)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    return settings
