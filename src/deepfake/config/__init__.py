"""params.yaml read, checked, and resolved to experiments: what a stage works with."""

from pathlib import Path

from deepfake import layout, params
from deepfake.config import names
from deepfake.config.decisions import Decision, Gate, read_decision, read_gate
from deepfake.config.finished import config_of, facts_of
from deepfake.config.runs import (
    FROM_SCRATCH,
    SCALES,
    RunConfig,
    ViewConfig,
    candidate_experiments,
    candidate_of,
    decided_view,
    fixed_experiments,
    resolve,
    resolve_view,
)
from deepfake.errors import InputError
from deepfake.params import Params

__all__ = [
    "FROM_SCRATCH",
    "SCALES",
    "Decision",
    "Gate",
    "RunConfig",
    "ViewConfig",
    "candidate_experiments",
    "candidate_of",
    "config_of",
    "decided_view",
    "facts_of",
    "fixed_experiments",
    "load",
    "read_decision",
    "read_gate",
    "resolve",
    "resolve_view",
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
