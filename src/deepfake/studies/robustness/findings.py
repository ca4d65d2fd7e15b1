"""What corruption does to detectors: one finding a question, from the tables of the study."""

from typing import Any

import pandas as pd

from deepfake import modalities
from deepfake.config import facts_of
from deepfake.reports.findings import Finding, tested
from deepfake.studies import results

ALL = "all"
"""Instead of a corruption: the mean over all of them."""


def of(corruptions: pd.DataFrame, contrasts: pd.DataFrame) -> list[Finding]:
    """Return the findings of the study.

    Args:
        corruptions: the table of what each corruption costs each run.
        contrasts: the table of the runs against the first.
    """
    first = corruptions["experiment"].iloc[0]
    names = results.described(corruptions["experiment"].unique())
    found = []
    for row in corruptions.to_dict("records"):
        what = "all corruptions together" if row["corruption"] == ALL else row["corruption"]
        name, key = row["experiment"], row["experiment"] == first and row["corruption"] == ALL
        files = modalities.load(facts_of(name)["view"]["modality"]).FILE
        question = f"Does {names[name]} keep the AUC of clean {files}s under {what}?"
        found.append(_tested(f"loss.{name}.{row['corruption']}", question, row, key=key))
    for place, row in enumerate(contrasts.to_dict("records")):
        id_ = f"contrast.{row['experiment']}.{row['corruption']}"
        found.append(_tested(id_, _compared(row), row, key=place == 0))
    return found


def _compared(row: dict[Any, Any]) -> str:
    """Ask whether a run is better than the first under corruption: by augmentation, where that is the difference."""
    other, first = (facts_of(row[end]) for end in ("experiment", "baseline"))
    under = "corruption" if row["corruption"] == ALL else row["corruption"]
    same = all(other[fact] == first[fact] for fact in ("model", "train", "view", "resolution", "normalization"))
    if same and other["augmentation"] and not first["augmentation"]:
        title = results.title({fact: first[fact] for fact in ("model", "train", "pretrained")})
        return f"Does augmentation improve {title} under {under}?"
    names = results.described([row["baseline"], row["experiment"]])
    return f"Is {names[row['experiment']]} better than {names[row['baseline']]} under {under}?"


def _tested(id_: str, question: str, row: dict[Any, Any], *, key: bool) -> Finding:
    reason = row["reason"]
    note = f"{reason[0].upper()}{reason[1:]}." if isinstance(reason, str) and reason else ""
    return tested(id_, question, row, note=note, key=key)
