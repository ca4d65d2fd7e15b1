"""What the user says about a table of predictions."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

Higher = Literal["real", "fake"]
ScoreIs = Literal["probability", "percent", "confidence"]
Aggregate = Literal["mean", "max", "median"]
SKIP = "skip"


@dataclass(frozen=True)
class Options:
    """What the user says about the file; None: it is found, or not done.

    Args:
        truth: the column of the true labels; like all columns by its name or number, the first being 1.
        pred: the column of what the detector predicted.
        score: the column of its scores.
        group: the column of what samples share, so that they are not independent.
        source: the column of who made each sample; only a key's is found.
        clip: the column of the clips whose rows `aggregate` joins.
        positive: the true labels of the positive class.
        negative: those of the negative class; all others are then positive.
        threshold: the score from which on a sample is predicted positive, on the scale of the column.
        higher: the class that a higher score speaks for.
        score_is: what the scores are: the probability of `higher`, that in percent, or the detector's confidence in its
            own prediction.
        missing: what becomes of rows without a score: `skip`, or the score that they get.
        key: a second file that holds the true labels by the name of each sample.
        aggregate: how the scores of a clip become one.
    """

    truth: str | None = None
    pred: str | None = None
    score: str | None = None
    group: str | None = None
    source: str | None = None
    clip: str | None = None
    positive: tuple[str, ...] = field(default=())
    negative: tuple[str, ...] = field(default=())
    threshold: float | None = None
    higher: Higher | None = None
    score_is: ScoreIs | None = None
    missing: str | None = None
    key: Path | None = None
    aggregate: Aggregate | None = None
