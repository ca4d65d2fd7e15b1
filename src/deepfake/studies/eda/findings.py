"""What is concluded of the data before any training: one finding a question and data set, from the tables."""

from collections.abc import Iterator, Sequence
from typing import Any

import pandas as pd

from deepfake.config.analysis import Evaluation
from deepfake.evaluation import verdicts
from deepfake.reports.findings import Finding, Verdict, probed, tested
from deepfake.studies import comparison
from deepfake.studies.eda import quality, splitting
from deepfake.studies.eda.normalization import Scales

ROPE = 0.1
"""How far from 0 the mean z-score of real images may be, in standard deviations, to count as standardised."""
DIFFERENCES = {
    "sizes.geometry": ("Do width, height or aspect ratio differ between real and fake images of {}?", "geometry"),
    "sizes.quality": ("Does the JPEG quality differ between real and fake images of {}?", "quality"),
    "sizes.bytes": ("Do bytes per pixel differ between real and fake images of {}?", "bytes_per_pixel"),
    "colours.channels": (
        "Do the colours (mean, SD, saturation) differ between real and fake images of {}?",
        "colour",
    ),
    "colours.brightness": ("Does the brightness differ between real and fake images of {}?", "brightness"),
    "colours.contrast": ("Does the contrast differ between real and fake images of {}?", "contrast"),
    "colours.gray": ("Does the share of gray images differ between real and fake images of {}?", "gray"),
    "faces.found": ("Is a face found more often in one class of {} than in the other?", "face_found"),
    "faces.size": ("Does the face's share of the image differ between real and fake images of {}?", "face_share"),
}
"""What is asked of each data set, and the figure or family that answers it."""


def of(
    differences: pd.DataFrame,
    checks: pd.DataFrame,
    splits: pd.DataFrame,
    scales: Scales | None,
    evaluation: Evaluation,
) -> list[Finding]:
    """Return the findings of the study; the first data set's are those that matter most.

    Args:
        differences: the table `eda_differences`.
        checks: the table `eda_quality`.
        splits: the table `eda_splits`.
        scales: what normalisation does, or None where it was not measured.
        evaluation: how certain a statement has to be.
    """
    names = list(dict.fromkeys(checks["dataset"]))
    found = []
    for name in names:
        found += _differences(name, differences[differences["dataset"] == name], key=name == names[0])
        found += _splits(name, splits[splits["dataset"] == name], key=name == names[0])
        found.append(_quality(name, checks[checks["dataset"] == name]))
    return found + (_normalization(scales, evaluation) if scales else [])


def _differences(name: str, rows: pd.DataFrame, *, key: bool) -> Iterator[Finding]:
    """Yield whether figures of a data set differ between real and fake."""
    by_name = {row["name"]: row for row in rows.to_dict("records")}
    for id_, (question, figure) in DIFFERENCES.items():
        # a family of one feature has no row of its own
        if (row := by_name.get(figure)) is None:
            continue
        yield probed(
            f"{id_}.{name}",
            question.format(name),
            row,
            note=f"Undecided: {row['reason']}." if row["reason"] and row["verdict"] == "undecided" else "",
            key=key and id_ == "sizes.geometry",
        )


def _splits(name: str, rows: pd.DataFrame, *, key: bool) -> Iterator[Finding]:
    """Yield whether the splits of a data set are sound."""
    whole = rows.groupby("fold")[["samples", "groups"]].sum().iloc[0]
    size: dict[str, Any] = {"n_samples": int(whole["samples"]), "n_groups": int(whole["groups"])}
    size["repeats"] = rows["repeat"].nunique()
    shared, files = (int(rows[f"shared_{what}"].max()) for what in ("groups", "files"))
    apart = not shared and not files
    yield Finding(
        id=f"splits.groups.{name}",
        question=f"Are the parts of every fold of {name} free of shared groups and files?",
        verdict="holds" if apart else "fails",
        note="" if apart else f"Up to {shared} groups and {files} files of a part stand in another one: split again.",
        key=key,
        **size,
    )
    gap = splitting.imbalance(rows)
    yield Finding(
        id=f"splits.balance.{name}",
        question=f"Is the share of fakes the same in all folds and the test set of {name}, within {quality.BALANCE:g}?",
        verdict="holds" if gap <= quality.BALANCE else "fails",
        measure="largest difference",
        effect=gap,
        **size,
    )


def _quality(name: str, rows: pd.DataFrame) -> Finding:
    """Return whether a data set passes all quality checks."""
    counts = rows["outcome"].value_counts()
    wrong = [f"{counts[outcome]} {outcome}" for outcome in ("failed", "caution", "not_checked") if outcome in counts]
    verdict: Verdict = "fails" if "failed" in counts or "caution" in counts else "holds"
    note = f"Of {len(rows)} checks: {', '.join(wrong).replace('_', ' ')}." if wrong else ""
    return Finding(id=f"quality.{name}", question=f"Does {name} pass all quality checks?", verdict=verdict, note=note)


def _normalization(scales: Scales, evaluation: Evaluation) -> list[Finding]:
    """Return whether each statistics puts held-out real images around 0."""
    words: dict[str, Verdict] = {"equivalent": "holds", "better": "fails", "worse": "fails"}
    judged = verdicts.compare(list(scales.reals.values()), ROPE, evaluation.confidence)
    return [
        tested(
            f"normalization.{place}",
            f"Normalised by {name}, do held-out real images have a mean z-score within ±{ROPE:g}?",
            comparison.told(verdict, len(judged), ROPE),
            words,
            measure="mean z",
        )
        for place, (name, verdict) in enumerate(zip(scales.reals, judged, strict=True))
    ]


def failing(checks: pd.DataFrame) -> Sequence[str]:
    """Return what the checks that did not pass mean, a line each."""
    wrong = checks[checks["outcome"].isin(["failed", "caution"])]
    return [f"{row['dataset']}: {row['check']}. {row['meaning']}" for row in wrong.to_dict("records")]
