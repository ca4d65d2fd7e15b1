"""What stands beside a fold's weights: all that it takes to use them, and how they were chosen (JSON)."""

from pathlib import Path

import numpy as np
from pydantic import ValidationError
from scipy.special import expit

from deepfake.config import RunConfig, facts_of
from deepfake.config.params import Normalization
from deepfake.config.section import Section
from deepfake.errors import InputError
from deepfake.evaluation import calibration, pooling, thresholds
from deepfake.project import paths


class Validation(Section):
    """The inner validation of a fold, on which thresholds and temperature were chosen."""

    sample_id: tuple[str, ...]
    clip_id: tuple[str, ...] | None = None
    """The clip of each sample; None: each sample is a clip of its own."""
    label: tuple[int, ...]
    """0 real, 1 fake."""
    logit: tuple[float, ...]
    probability: tuple[float, ...]
    """Of being fake, before calibration."""


class Record(Section):
    """The checkpoint of one fold, beside its weights."""

    fold: int
    epoch: int
    """The best one, from 1, after which the weights were kept."""
    metrics: dict[str, float]
    """That epoch's row of the history."""
    normalization: Normalization
    """The statistics that the fold's images are normalised by."""
    threshold: float
    """The logit from which on a sample is called fake: that of `thresholds.TUNED`."""
    thresholds: dict[str, float]
    """The same by every rule of `thresholds.RULES`."""
    temperature: float
    """What logits are divided by for calibrated probabilities."""
    validation: Validation
    config: RunConfig


def of(
    config: RunConfig,
    fold: int,
    *,
    epoch: int,
    metrics: dict[str, float],
    normalization: Normalization,
    sample_ids: np.ndarray,
    labels: np.ndarray,
    logits: np.ndarray,
    clip_ids: np.ndarray | None = None,
) -> Record:
    """Choose thresholds and temperature on the clips of a fold's inner validation; return its checkpoint's record.

    Args:
        config: the experiment.
        fold: the fold's number.
        epoch: the best one.
        metrics: its row of the history.
        normalization: the statistics that images are normalised by.
        sample_ids: str [n], of the inner validation.
        labels: int [n].
        logits: float [n].
        clip_ids: str [n], the clips that samples belong to; None: each sample is a clip of its own.
    """
    clips = None if clip_ids is None else pooling.codes(clip_ids)
    judged = pooling.decided(labels, logits, clips, config.pooling)
    found = thresholds.all_of(*judged)
    return Record(
        fold=fold,
        epoch=epoch,
        metrics=metrics,
        normalization=normalization,
        threshold=found[thresholds.TUNED],
        thresholds=found,
        temperature=calibration.temperature(*judged),
        validation=Validation(
            sample_id=tuple(sample_ids.tolist()),
            clip_id=None if clips is None or clip_ids is None else tuple(clip_ids.tolist()),
            label=tuple(labels.tolist()),
            logit=tuple(logits.tolist()),
            probability=tuple(expit(logits).tolist()),
        ),
        config=config,
    )


def read(path: Path) -> Record:
    """Read a record.

    Raises:
        InputError: it is missing, or of another version of this program.
    """
    other = InputError(f"{path}: written by another version; train the experiment again")
    try:
        record = Record.model_validate_json(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"{path}: not found; train the experiment again, or dvc repro") from None
    except (ValidationError, UnicodeDecodeError):
        raise other from None
    if set(record.thresholds) != set(thresholds.RULES):
        raise other
    return record


def read_records(experiment: str) -> dict[int, Record]:
    """Read the records of an experiment, by fold; of a re-evaluation those of the experiment that it re-evaluates.

    Raises:
        InputError: it has not been trained, or by another version of this program.
    """
    facts = facts_of(experiment)
    trained = facts.get("reevaluates", experiment)
    return {fold: read(paths().checkpoint_record(trained, fold)) for fold in range(facts["folds"] * facts["repeats"])}
