"""Which samples a detector gets wrong, how surely, and how sure it is of anything: from held-out predictions alone."""

import numpy as np
import pandas as pd
from scipy.special import expit

from deepfake import tables
from deepfake.evaluation import thresholds
from deepfake.evaluation.group_means import mean_over_groups

BINS = 20
"""Bins of the histogram of probabilities, of equal width."""
SURE = 0.9
"""Probability of the wrong class from which on an error is called confident."""
KINDS = {tables.REAL: "false positive", tables.FAKE: "false negative"}
"""What a wrong verdict on a sample of a label is called; positive is fake."""


def judged(joined: pd.DataFrame) -> pd.DataFrame:
    """Return the held-out samples with their verdicts.

    Args:
        joined: predictions of one experiment and condition with label, source and group (`summary.join`).

    Returns:
        The held-out rows, and `threshold` (Youden's, on the fold's inner validation), `probability` (of being fake),
        `wrong`, and `margin`: logit minus threshold in standard deviations of the fold's held-out logits, so that
        folds, whose logits have scales of their own, can be compared.
    """
    parts = []
    for _, rows in joined.groupby("fold"):
        validation, held_out = (rows[rows["subset"] == part] for part in ("validation", "held_out"))
        threshold = thresholds.youden(validation["label"], validation["logit"])
        logits = held_out["logit"]
        spread = logits.std(ddof=0)
        parts.append(
            held_out.assign(
                threshold=threshold,
                probability=expit(logits),
                wrong=(logits >= threshold) != (held_out["label"] == tables.FAKE),
                # logits without any spread are all at the same place, on one side or the other
                margin=(logits - threshold) / (spread if spread > 0 else 1.0),
            )
        )
    return pd.concat(parts, ignore_index=True)


def hardest(verdicts: pd.DataFrame, count: int) -> pd.DataFrame:
    """Return the most confidently wrong samples: those farthest on the wrong side of their fold's threshold.

    Args:
        verdicts: `judged`.
        count: at most so many false positives and so many false negatives.

    Returns:
        Columns `kind` (`KINDS`), `rank` (from 1), `sample_id, source, group, fold, logit, probability, threshold,
        margin`.
    """
    parts = []
    for label, kind in KINDS.items():
        wrong = verdicts[verdicts["wrong"] & (verdicts["label"] == label)]
        far = wrong.assign(distance=-wrong["margin"].abs()).sort_values(["distance", "sample_id"]).head(count)
        parts.append(far.assign(kind=kind, rank=np.arange(1, len(far) + 1)))
    columns = ["kind", "rank", "sample_id", "source", "group", "fold", "logit", "probability", "threshold", "margin"]
    return pd.concat(parts, ignore_index=True)[columns]


def confidence(verdicts: pd.DataFrame) -> pd.DataFrame:
    """Return the distribution of the probability of being fake, for each source.

    Returns:
        One row a source and bin: `label, source, bin` (from 0), `low, high` (its edges; a bin has its lower edge, the
        last one also its upper), `count` and `share` of the source's samples.
    """
    inner = np.linspace(0, 1, BINS + 1)[1:-1]
    rows = []
    for (label, source), part in verdicts.groupby(["label", "source"]):
        counts = np.bincount(np.searchsorted(inner, part["probability"], side="right"), minlength=BINS)
        rows += [
            {"label": label, "source": source, "bin": number, "low": number / BINS, "high": (number + 1) / BINS}
            | {"count": count, "share": count / len(part)}
            for number, count in enumerate(counts)
        ]
    return pd.DataFrame(rows)


def confident_errors(verdicts: pd.DataFrame, confidence: float) -> pd.DataFrame:
    """Return how often each source is a high-confidence error: its wrong class has a probability above `SURE`.

    Args:
        verdicts: `judged`.
        confidence: of the interval.

    Returns:
        One row a source, reals first: `label, source, samples, groups, errors` (at the fold's threshold), `confident`
        (errors by probability alone) and `share` of the samples that are, with its 95% CI `low, high` (jackknife over
        groups).
    """
    fake = verdicts["label"] == tables.FAKE
    sure = np.where(fake, verdicts["probability"] < 1 - SURE, verdicts["probability"] > SURE)
    rows = []
    for (label, source), part in verdicts.assign(sure=sure).groupby(["label", "source"]):
        share = mean_over_groups(part["sure"], part["group"], bounded=True, confidence=confidence)
        counts = {"samples": len(part), "groups": part["group"].nunique(), "errors": int(part["wrong"].sum())}
        told = {"share": share.value, "low": share.low, "high": share.high}
        rows.append({"label": label, "source": source} | counts | {"confident": int(part["sure"].sum())} | told)
    return pd.DataFrame(rows)
