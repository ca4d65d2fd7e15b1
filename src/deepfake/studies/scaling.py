"""Phase 4 for one candidate: more data, when its gate is open; else nothing but a mark that it was skipped."""

import json
from collections.abc import Callable

from deepfake import layout, tables
from deepfake.config import SCALES, read_gate
from deepfake.errors import InputError, unknown
from deepfake.params import Params

SKIPPED = {"skipped": True}
"""What stands for the results of a candidate that phase 4 does not go on with."""


def experiments(candidate: str) -> list[str]:
    """Return the names of a candidate's experiments in phase 4."""
    return [f"{candidate}{suffix}" for fraction, suffix in SCALES.items() if fraction != "small"]


def run(
    candidate: str,
    settings: Params,
    train: Callable[[str], None],
) -> bool:
    """Train a candidate on more data when its gate is open, else write that it was skipped.

    Args:
        candidate: a key of `candidates`.
        settings: the checked params.yaml.
        train: trains an experiment by its name and writes all that belongs to it.

    Returns:
        Whether the gate is open.

    Raises:
        InputError: no such candidate, or the candidates have not been ranked.
    """
    if candidate not in settings.candidates:
        raise InputError(f"candidates: {unknown('candidate', candidate, settings.candidates)}")
    is_open = read_gate(candidate).open
    for name in experiments(candidate):
        if is_open:
            train(name)
        else:
            _skip(name)
    return is_open


def _skip(experiment: str) -> None:
    """Write a mark in every place that a trained experiment fills: a stage must leave all that it declares."""
    import pandas as pd  # a second, which a candidate that was trained ahead need not wait for

    text = json.dumps(SKIPPED) + "\n"
    empty = pd.DataFrame({column: [] for column in tables.PREDICTIONS.columns})
    tables.write(empty, layout.predictions(experiment), tables.PREDICTIONS)
    for path in (
        layout.checkpoints(experiment) / "skipped.json",
        layout.plots(experiment) / "skipped.json",
        layout.config(experiment),
        layout.train_metrics(experiment),
    ):
        tables.write_text(text, path)
