"""A second file that holds the true labels: the protocols of ASVspoof, DFDC's metadata.json, or any table."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import pandas as pd

from deepfake.datasets import text_tables
from deepfake.datasets.external.columns import NOTHING, are_answers, called_like, hold_classes
from deepfake.datasets.label_vocabulary import listed, named_class
from deepfake.errors import InputError

_ASVSPOOF = {
    5: {"group": 1, "id": 2, "source": 4, "truth": 5},  # 2019 LA and PA
    8: {"group": 1, "id": 2, "source": 5, "truth": 6},  # 2021 LA
    10: {"group": 1, "id": 2, "source": 8, "truth": 9},  # ASVspoof 5
    13: {"group": 1, "id": 2, "source": 5, "truth": 6},  # 2021 DF
}
"""Protocols without a header, by their number of columns: where speaker, utterance, attack and label are listed."""
_CLIP = "clip_id"
"""What a manifest of this project calls the clips that its samples are of."""
_ORIGINAL = "original"
"""DFDC's name for the video that a fake was made from."""
_SHOWN = 5


@dataclass(frozen=True)
class Key:
    """The true labels by name.

    Args:
        rows: columns `id`, `truth` and, where there are any, `group`, `source` and `clip`.
        columns: what these are called in the file, or what they stand for.
        others: the file's further columns, which may contradict labels that are numbers.
    """

    rows: pd.DataFrame
    columns: dict[str, str]
    others: pd.DataFrame


@dataclass(frozen=True)
class Joined:
    """A key's rows for predictions.

    Args:
        rows: those of `Key.rows` without `id`, in the order of the names asked for and with their index.
        names: those of the key, likewise.
        others: the key's further columns, likewise.
        unused: rows of the key that no prediction is for.
    """

    rows: pd.DataFrame
    names: pd.Series
    others: pd.DataFrame
    unused: int


def read(path: Path) -> Key:
    """Read a key.

    Raises:
        InputError: it is missing, or which column holds what cannot be told.
    """
    table = text_tables.read(path)
    try:
        return _of_table(table)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None


def join(names: pd.Series, key: Key, where: Path) -> Joined:
    """Return the key's row for each name.

    Names match as they are written; where none does, they may be those of the key's clips, or else match by the file's
    name without folders and suffix.

    Args:
        names: those of the predictions, indexed by lines.
        key: the key.
        where: its file, for messages.

    Raises:
        InputError: a name is not in the key, or there twice.
    """
    own, known = names, key.rows["id"]
    if "clip" in key.rows and not own.isin(known).any() and own.isin(key.rows["clip"]).any():
        return join(names, _of_clips(key), where)
    if not own.isin(known).any():
        own, known = (column.map(_stem) for column in (own, known))
        for written, stems in ((names, own), (key.rows["id"], known)):
            _check_stems(written, stems, where)
    if (twice := known.duplicated()).any():
        line, name = known.index[int(twice.to_numpy().argmax())], known[twice].iloc[0]
        raise InputError(f"{where}: line {line}: {name!r} is listed already; remove one of them")
    places = pd.Index(known).get_indexer(pd.Index(own))
    if (absent := places < 0).any():
        shown = listed(names[absent].iloc[:_SHOWN])
        raise InputError(
            f"{absent.sum():,} of {len(names):,} names are not in {where}: {shown}"
            + (f" and {absent.sum() - _SHOWN:,} more" if absent.sum() > _SHOWN else "")
            + f"; it has names like {listed(key.rows['id'].iloc[:2])}"
        )
    rows, others = (part.iloc[places].set_axis(names.index, axis="index") for part in (key.rows, key.others))
    their_names = rows["id"].rename(f"{key.columns['id']} of the key")
    return Joined(rows.drop(columns="id"), their_names, others.add_suffix(" of the key"), len(known) - len(set(places)))


def _of_clips(key: Key) -> Key:
    """Return a key of samples as one of their clips."""
    first = ~key.rows["clip"].duplicated()
    rows = key.rows[first].assign(id=key.rows["clip"]).drop(columns="clip")
    return Key(rows, key.columns | {"id": key.columns["clip"]}, key.others[first])


def _check_stems(names: pd.Series, stems: pd.Series, where: Path) -> None:
    """Refuse names that differ in folders or suffixes alone: which one of the other file is meant is not known."""
    first = stems.map(dict(zip(stems[::-1], names[::-1], strict=True)))
    if (other := first != names).any():
        line, name, stem = names.index[int(other.to_numpy().argmax())], names[other].iloc[0], stems[other].iloc[0]
        before = first[other].iloc[0]
        at = names.index[int((names == before).to_numpy().argmax())]
        raise InputError(
            f"no name is written alike in the predictions and in {where}; without folders and suffix {stem!r} stands "
            f"for both {before!r} (line {at}) and {name!r} (line {line}); write names alike in both files"
        )


def _of_table(table: text_tables.TextTable) -> Key:
    """Read a table: a protocol of ASVspoof, or one whose columns are told by name or content."""
    cells, names = table.cells, [str(name) for name in table.cells.columns]
    if not table.named and len(names) in _ASVSPOOF:
        columns = {role: names[place - 1] for role, place in _ASVSPOOF[len(names)].items()}
        if hold_classes(cells[columns["truth"]]):
            return _key(cells, columns)
    columns = {}
    if table.named:
        for role in ("truth", "id", "group", "source"):
            free = [name for name in names if name not in columns.values()]
            found = called_like(role, free)
            if role == "truth":
                found = found or [name for name in free if named_class(name) is not None]
            if len(found) > 1 and role != "id":
                raise InputError(f"{listed(found)} may each be the key's {role}; rename the others")
            if found:
                columns[role] = found[0]
        if _CLIP in names and _CLIP not in columns.values():
            columns["clip"] = _CLIP
    else:
        classes = [name for name in names if hold_classes(cells[name])]
        classes = classes or [name for name in names if are_answers(cells[name])]
        unique = [name for name in names if name not in classes and cells[name].is_unique]
        columns = {role: found[0] for role, found in (("truth", classes), ("id", unique)) if len(found) == 1}
    for role, words in (("truth", "true labels"), ("id", "names")):
        if role not in columns:
            raise InputError(
                f"no column of {words} that could be told; found: {listed(names)}; give it a header with file and label"
            )
    if _ORIGINAL in cells and "group" not in columns:
        # a fake and the video that it was made from are one group
        group = cells[_ORIGINAL].where(cells[_ORIGINAL] != "", cells[columns["id"]])
        cells, columns["group"] = cells.assign(**{_ORIGINAL: group}), _ORIGINAL
    return _key(cells, columns)


def _key(cells: pd.DataFrame, columns: dict[str, str]) -> Key:
    """Return the columns of a key; a group or source that says nothing of its rows is left out."""
    for role in ("id", "truth"):
        if _is_empty(cells[columns[role]]):
            raise InputError(f"no value in column {columns[role]!r}; it needs a name and a label a row")
    used: Sequence[str] = [role for role in columns if not _is_empty(cells[columns[role]])]
    rows = pd.DataFrame({role: cells[columns[role]] for role in used})
    return Key(rows, {role: columns[role] for role in used}, cells.drop(columns=list(columns.values())))


def _is_empty(cells: pd.Series) -> bool:
    return bool(cells.str.casefold().isin(NOTHING).all())


def _stem(name: str) -> str:
    """Return a file's name without folders and suffix."""
    return PurePosixPath(name.replace("\\", "/")).stem
