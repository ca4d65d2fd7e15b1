"""What the probes conclude, and what shortcuts explain of detectors: one finding a question, from the tables."""

from collections.abc import Iterator
from typing import Any

import pandas as pd

from deepfake.reports.findings import Finding, probed, worst

FILES = "files"
"""The subject of the probes that see the files; the others are called after the view that they see."""
QUESTIONS: dict[str, tuple[str, tuple[str, ...]]] = {
    "geometry": ("Does the size or shape of {subject} predict the label?", ("geometry",)),
    "framing": ("Does the framing of {subject} predict the label?", ("framing",)),
    "storage": ("Does the way {subject} are stored predict the label?", ("compression", "metadata")),
    "bytes": ("Does the number of bytes of {subject} predict the label?", ("size",)),
    "pixels": ("Do plain pixel statistics of {subject} predict the label?", ()),
}
"""What is asked of each subject, and the families that answer it; pixels are answered by all other families."""


def of(rows: pd.DataFrame, runs: pd.DataFrame, size: tuple[int, int]) -> list[Finding]:
    """Return the findings of the study.

    Args:
        rows: the table of probes.
        runs: the table of runs.
        size: development samples and their groups.
    """
    found = [one for subject, seen in rows.groupby("subject", sort=False) for one in _subject(str(subject), seen, size)]
    own = runs.loc[runs["leak"] != FILES, "experiment"].iloc[:1].tolist()
    for row in runs.to_dict("records"):
        key = row["leak"] != FILES and row["experiment"] in own
        found.append(_beyond(row, key=key))
    return found


def _subject(subject: str, seen: pd.DataFrame, size: tuple[int, int]) -> Iterator[Finding]:
    """Yield what the families of a subject answer."""
    told = seen[seen["level"].isin(["family", "feature"])]
    # a family of several features is judged as a whole
    whole = set(told.loc[told["level"] == "family", "family"])
    families = told[(told["level"] == "family") | ~told["family"].isin(whole)]
    named = {family for _, listed in QUESTIONS.values() for family in listed}
    for id_, (question, listed) in QUESTIONS.items():
        chosen = families["family"].isin(listed) if listed else ~families["family"].isin(named)
        # the geometry of a view is how it was made, which it does not show
        if not chosen.any() or (id_ == "geometry" and subject != FILES):
            continue
        row = worst(families[chosen])
        yield probed(
            f"{id_}.{subject}",
            question.format(subject=f"{'the ' if subject == FILES else ''}{subject}"),
            row,
            n_samples=size[0],
            n_groups=size[1],
            note=f"The strongest is {row['name']}." if row["verdict"] == "shortcut" and chosen.sum() > 1 else "",
            key=(id_, subject) == ("geometry", FILES),
        )


def _beyond(row: dict[Any, Any], *, key: bool) -> Finding:
    """Return whether a detector tells reals from fakes that are alike to a leak."""
    few = "" if row["overlap"] else f"Too few pairs of a real and a fake are alike ({row['pairs']} in all)."
    leak = "the files" if row["leak"] == FILES else row["leak"]
    return Finding(
        id=f"beyond.{row['experiment']}.{row['leak']}",
        question=f"Does {row['experiment']} see more than the shortcuts of {leak}?",
        verdict=row["beyond"] if row["overlap"] else "undecided",
        measure="AUC on matched pairs",
        effect=row["matched_auc"],
        low=row["matched_auc_low"],
        high=row["matched_auc_high"],
        p=row["matched_p"],
        n_samples=2 * row["pairs"] or None,
        n_groups=row["groups"],
        note=few,
        key=key,
    )
