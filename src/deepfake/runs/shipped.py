"""The detector that is shipped: the models of one repeat's folds, put on one scale and averaged."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from deepfake.evaluation.calibration import TEMPERATURES
from deepfake.evaluation.pooling import Pooling, pooled
from deepfake.runs import heads
from deepfake.runs.checkpoint_metadata import Record
from deepfake.runs.detectors import Detector, file_features, file_logits


@dataclass(frozen=True)
class Scale:
    """How the folds' logits are put on one scale: float64 [k] each.

    Args:
        temperatures: what each fold's logits are divided by.
        thresholds: each fold's threshold, divided likewise.
    """

    temperatures: np.ndarray
    thresholds: np.ndarray

    @property
    def threshold(self) -> float:
        """Return the threshold of the averaged logit: the mean of the folds'."""
        return float(self.thresholds.mean())

    def combine(self, logits: np.ndarray) -> np.ndarray:
        """Return the average of the folds' logits, [k, ...], each divided by its fold's temperature.

        An approximation: temperature and threshold of each fold are right for that fold's model alone. What the average
        is worth is measured on the test set (`studies.final`).
        """
        return (logits / self.temperatures.reshape(-1, *[1] * (logits.ndim - 1))).mean(axis=0)


def scale(detector: Detector) -> Scale:
    """Return the scale of a detector from its checkpoints' records."""
    return scale_of({fold: detector.records[fold] for fold in detector.shipped})


def scale_of(records: Mapping[int, Record]) -> Scale:
    """Return the scale of folds from their records.

    A fold whose temperature is at its lower bound parts the classes of its inner validation without error, so that
    there is no best temperature: its logits stay as they are, or they would outweigh those of all other folds. A fold
    at the upper bound does not tell the classes apart, or around a shifted zero: by that division it hardly counts.
    """
    found = [records[fold] for fold in sorted(records)]
    temperatures = np.array([1.0 if one.temperature <= TEMPERATURES[0] else one.temperature for one in found])
    return Scale(temperatures, np.array([one.threshold for one in found]) / temperatures)


def logits(
    detector: Detector,
    images: Mapping[str, Path],
    rows: np.ndarray,
    clips: np.ndarray | None = None,
    how: Pooling = "mean",
) -> np.ndarray:
    """Return the calibrated logits of the shipped detector, float64 [m], one a clip.

    Args:
        detector: the run.
        images: `.npy` file of the stored samples by the name of the view that shows them.
        rows: int [n], the samples that are asked about.
        clips: int [n], the clip of each (`pooling.codes`); None: each sample is a clip of its own.
        how: the logits of a clip's samples become one, in each fold, as its threshold was chosen.
    """
    heads.ensure([wanted for fold in detector.shipped for wanted in file_features(detector, fold, images, rows)])
    each = [file_logits(detector, fold, images, rows) for fold in detector.shipped]
    return scale(detector).combine(np.stack([one if clips is None else pooled(one, clips, how) for one in each]))
