"""The page reports/data_cards/<data set>.md, which `deepfake split` writes."""

from pathlib import Path

import pandas as pd

from deepfake import modalities, tables
from deepfake.datasets import composition, near_duplicates, splits
from deepfake.datasets.entries import DataSet
from deepfake.errors import InputError
from deepfake.project import paths
from deepfake.reports import pages

_REASONS = 20
"""Reasons for which files were set aside that are shown, the most frequent first."""
_GROUPS = {
    "folder": "A group is what lies in one folder below its source.",
    "basename": "A group is the files of one name, whatever their sources and suffixes.",
    "file": "Every file is a group of its own.",
}


def write(name: str, entry: DataSet, manifest: pd.DataFrame) -> Path:
    """Write the data card of a data set that was split, and return its path.

    Args:
        name: the data set's key in the catalog.
        entry: its entry there.
        manifest: `tables.MANIFEST`.

    Raises:
        InputError: what ingest writes is missing.
    """
    repeated = _read(paths().duplicates(name))
    card = pages.render(
        __package__ or "",
        "page.md.j2",
        name=name,
        entry=entry,
        composition=composition.count(manifest).to_markdown(),
        repeats=splits.shape(manifest)[1],
        grouping=_grouping(entry),
        quarantine=_reasons(_read(paths().quarantine(name))),
        duplicates=f"{len(repeated):,}",
        both_labels=f"{int(repeated['both_labels'].sum()):,}",
        compared="fingerprint" in modalities.load(entry.modality).MEDIA.columns,
        near_duplicates=f"{len(near_duplicates.read(paths().near_duplicates(name))):,}",
        joined="join" if entry.near_duplicates == "join" else "do not join",
    )
    tables.write_text(card, paths().data_card(name))
    return paths().data_card(name)


def _grouping(entry: DataSet) -> str:
    """Say what makes a group, and where the test set is from if it was not drawn."""
    if entry.identities is not None:
        said = f"A group is all files that show a person in common, as `{entry.identities}` reads them from paths."
    elif entry.table is not None:
        said = f"Groups are those of `{entry.table}`; where it names none: {_GROUPS[entry.group]}"
    else:
        said = _GROUPS[entry.group]
    if entry.groups_of is not None:
        said += f" Groups called alike in `{entry.groups_of}` stand in the same fold."
    said += " Groups with a file in common are joined."
    return said + (" The test set is the published one." if entry.splits is not None else "")


def _reasons(quarantine: pd.DataFrame) -> str:
    """Return how many files were set aside for which reason, as a table; empty when none was."""
    counts = quarantine["reason"].str.replace("|", "/").value_counts()
    shown = counts.iloc[:_REASONS]
    if len(counts) > _REASONS:
        shown = pd.concat([shown, pd.Series({"other reasons": counts.iloc[_REASONS:].sum()})])
    return shown.rename_axis("reason").rename("files").to_markdown() if len(shown) else ""


def _read(path: Path) -> pd.DataFrame:
    """Read a CSV that ingest wrote."""
    try:
        return pd.read_csv(path)
    except FileNotFoundError:
        raise InputError(f"{path}: not found; run deepfake ingest") from None
