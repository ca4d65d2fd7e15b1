"""Quality checks of data sets: each is a count against a limit, with a verdict."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import pandas as pd

from deepfake import tables
from deepfake.evaluation.verdicts import FEW_GROUPS
from deepfake.studies.eda import splitting
from deepfake.studies.eda.samples import Samples

Outcome = Literal["passed", "caution", "failed", "not_checked"]
BALANCE = 0.05
"""Largest difference between folds' shares of fakes that still passes: it moves accuracy, though hardly the AUC."""
_FEW = 0.05
"""Share of images without a face, or with several, up to which a face crop is no matter of luck."""
_MINORITY = 0.2
"""Share of the minority class from which on a data set is not called imbalanced."""


@dataclass(frozen=True)
class Check:
    """One check of a data set.

    Args:
        dataset: its name.
        check: what is counted, in words.
        value: the figure.
        of: what it is a part of, or None.
        limit: up to which it passes; for `at_least`, from which on.
        outcome: the verdict: `failed` makes results wrong, `caution` makes them harder to read.
        meaning: what it means if it did not pass, or why it was not checked.
    """

    dataset: str
    check: str
    value: float | None
    of: int | None
    limit: float
    outcome: Outcome
    meaning: str


def checks(data: Sequence[Samples], splits: pd.DataFrame, smallest_side: int) -> pd.DataFrame:
    """Check data sets.

    Args:
        data: the data sets.
        splits: what their parts hold (`splitting.verify`).
        smallest_side: the largest side in pixels at which images are shown to models.

    Returns:
        One row a data set and check, the fields of `Check`.
    """
    found = []
    for each in data:
        found += [*_of_files(each, smallest_side), *_of_faces(each)]
        found += _of_splits(each, splits[splits["dataset"] == each.name])
    return pd.DataFrame(found)


def _of_files(each: Samples, smallest_side: int) -> Iterator[Check]:
    """Yield the checks of a data set's files."""
    rows, name, total = each.rows, each.name, len(each.rows)
    refused = len(each.quarantine)
    both = int(each.duplicates["both_labels"].sum())
    pairs = 0 if each.joined else len(each.near_duplicates)
    copies = int(rows["sha256"].duplicated().sum())
    small = int((rows[["width", "height"]].min(axis=1) < smallest_side).sum())
    noted = int((rows["notes"].fillna("") != "").sum())
    yield _at_most(name, "files refused", refused, refused + total, "caution", "They are not in the data set.")
    yield _at_most(name, "files labelled real and fake", both, total, "failed", "One of the labels is wrong.")
    several = len(each.duplicates)
    yield _at_most(name, "files in several groups", several, total, "caution", "Splits join their groups into one.")
    yield _at_most(name, "copies of a file", copies, total, "caution", "A copy adds no information.")
    meaning = "Nearly the same picture may be trained on and tested on."
    yield _at_most(name, "near-duplicates in groups not joined (pairs)", pairs, None, "caution", meaning)
    yield _at_most(name, "files with something odd", noted, total, "caution", "media.parquet says what.")
    meaning = f"Models see them enlarged to {smallest_side} px."
    yield _at_most(name, f"images with a side under {smallest_side} px", small, total, "caution", meaning)


def _of_faces(each: Samples) -> Iterator[Check]:
    """Yield the checks of the faces found in a data set."""
    rows, total = each.rows, len(each.rows)
    none, several = "share of images without a face", "share of images with several faces"
    if not each.looked_for:
        for check in (none, several):
            yield Check(each.name, check, None, total, _FEW, "not_checked", "No view in use cuts out faces.")
        return
    missing, more = (rows["face_found"] == 0).mean(), (rows["faces"] > 1).mean()
    yield _at_most(each.name, none, missing, total, "caution", "A face crop shows their central square.", _FEW)
    yield _at_most(each.name, several, more, total, "caution", "A face crop shows the largest face.", _FEW)


def _of_splits(each: Samples, splits: pd.DataFrame) -> Iterator[Check]:
    """Yield the checks of a data set's splits; one without folds has none."""
    name, groups = each.name, each.rows["group"].nunique()
    for what in ("groups", "files"):
        shared = int(splits[f"shared_{what}"].max())
        meaning = "Test results are too good: split again."
        yield _at_most(name, f"{what} that a part of a fold shares with another", shared, None, "failed", meaning)
    fewest = int(splits.loc[splits["part"].isin(["held_out", "test"]), "groups"].min())
    outcome: Outcome = "passed" if fewest >= FEW_GROUPS else "caution"
    yield Check(
        name,
        "groups in the smallest fold or test set, at least",
        fewest,
        groups,
        FEW_GROUPS,
        outcome,
        "Intervals are wide.",
    )
    gap = splitting.imbalance(splits)
    meaning = "Accuracy differs between folds for this alone."
    yield _at_most(name, "difference between folds' shares of fakes", gap, None, "caution", meaning, BALANCE)
    development = each.rows.loc[each.rows["split"] == "dev", "label"]
    minority = min((development == label).mean() for label in (tables.REAL, tables.FAKE))
    outcome = "passed" if minority >= _MINORITY else "caution"
    meaning = "Accuracy says little; see the study on class imbalance."
    yield Check(name, "share of the minority class, at least", minority, None, _MINORITY, outcome, meaning)


def _at_most(
    name: str, check: str, value: float, of: int | None, otherwise: Outcome, meaning: str, limit: float = 0
) -> Check:
    """Return a check that passes up to a limit."""
    return Check(name, check, value, of, limit, "passed" if value <= limit else otherwise, meaning)
