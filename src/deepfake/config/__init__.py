"""params.yaml read, checked, and resolved to experiments: what a stage works with."""

from pathlib import Path

from deepfake.config import names, params
from deepfake.config.decisions import Decision, Final, Finalists, read_decision, read_final, read_finalists
from deepfake.config.params import Params
from deepfake.config.resolved import RunConfig, ViewConfig
from deepfake.config.run_metadata import config_of, facts_of
from deepfake.config.runs import (
    FROM_SCRATCH,
    TRAINING,
    Entry,
    candidates,
    entries,
    resolve,
    scaled,
    shares,
    table,
    tables_of,
    title,
)
from deepfake.config.views import decided_view, resolve_view
from deepfake.errors import InputError
from deepfake.project import paths

__all__ = [
    "FROM_SCRATCH",
    "TRAINING",
    "Decision",
    "Entry",
    "Final",
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
    "read_final",
    "read_finalists",
    "resolve",
    "resolve_view",
    "scaled",
    "shares",
    "table",
    "tables_of",
    "title",
]


def load(path: Path | None = None) -> Params:
    """Read params.yaml and check that all names in it refer to something and all experiments resolve.

    Raises:
        InputError: what is wrong, by its path.
    """
    path = path or paths().params
    settings = params.load(path)
    try:
        names.check(settings)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    return settings
