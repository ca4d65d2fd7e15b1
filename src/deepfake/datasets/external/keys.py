"""A second file that holds the true labels: the protocols of ASVspoof, DFDC's metadata.json, or any table."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import pandas as pd

from deepfake.datasets import text_tables
from deepfake.datasets.external.columns import NOTHING, called_like, hold_classes
from deepfake.datasets.label_vocabulary import listed, named_class
from deepfake.errors import InputError

_ASVSPOOF = {
    5: {"group": 1, "id": 2, "source": 4, "truth": 5},  # 2019 LA and PA
    8: {"group": 1, "id": 2, "source": 5, "truth": 6},  # 2021 LA
    10: {"group": 1, "id": 2, "source": 8, "truth": 9},  # ASVspoof 5
    13: {"group": 1, "id": 2, "source": 5, "truth": 6},  # 2021 DF
}
"""Protocols without a header, by their number of columns: where speaker, utterance, attack and label are listed."""
_SHOWN = 5


@dataclass(frozen=True)
class Key:
    """The true labels by name.

    Args:
        rows: columns `id`, `truth` and, where there are any, `group` and `source`.
        columns: what these are called in the file, or what they stand for.
    """

    rows: pd.DataFrame
    columns: dict[str, str]


@dataclass(frozen=True)
class Joined:
    """A key's rows for predictions.

    Args:
        rows: those of `Key.rows` without `id`, in the order of the names asked for and with their index.
        unused: rows of the key that no prediction is for.
    """

    rows: pd.DataFrame
    unused: int


def read(path: Path) -> Key:
    """Read a key.

    Raises:
        InputError: it is missing, or which column holds what cannot be told.
    """
    if path.suffix.lower() == ".json":
        return _of_json(path)
    try:
        return _of_table(text_tables.read(path))
    except InputError as error:
        said = str(error)
        raise InputError(said if said.startswith(str(path)) else f"{path}: {said}") from None


def join(names: pd.Series, key: Key, where: Path) -> Joined:
    """Return the key's row for each name.

    Names match as they are written; where none does, by the file's name without folders and suffix.

    Args:
        names: those of the predictions, indexed by lines.
        key: the key.
        where: its file, for messages.

    Raises:
        InputError: a name is not in the key, or there twice.
    """
    own, known = names, key.rows["id"]
    if not own.isin(known).any():
        own, known = (column.map(_stem) for column in (own, known))
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
    rows = key.rows.drop(columns="id").iloc[places].set_axis(names.index, axis="index")
    return Joined(rows, len(known) - len(set(places)))


def _of_json(path: Path) -> Key:
    """Read `{name: {"label": ..., "original": ...}}`, as DFDC's metadata.json is."""
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        raise InputError(f"{path}: not found") from None
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise InputError(f"{path}: not valid JSON: {error}") from None
    if not isinstance(content, dict) or not content:
        raise InputError(f"{path}: expected each file's name with what is known of it, as DFDC's metadata.json has it")
    bad = [name for name, facts in content.items() if not isinstance(facts, dict) or "label" not in facts]
    if bad:
        raise InputError(f"{path}: {len(bad):,} of {len(content):,} entries have no label: {listed(bad[:_SHOWN])}")
    rows = pd.DataFrame({"id": list(content), "truth": [str(facts["label"]) for facts in content.values()]})
    if not any(_original(facts) for facts in content.values()):
        return Key(rows, {"id": "names", "truth": "label"})
    groups = [_original(facts) or name for name, facts in content.items()]
    return Key(rows.assign(group=groups), {"id": "names", "truth": "label", "group": "original"})


def _original(facts: dict[str, Any]) -> str | None:
    """Return the video that a fake was made from."""
    name = facts.get("original")
    return name if isinstance(name, str) and name else None


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
    else:
        classes = [name for name in names if hold_classes(cells[name])]
        unique = [name for name in names if cells[name].is_unique]
        columns = {role: found[0] for role, found in (("truth", classes), ("id", unique)) if len(found) == 1}
    for role, words in (("truth", "true labels"), ("id", "names")):
        if role not in columns:
            raise InputError(
                f"no column of {words} that could be told; found: {listed(names)}; give it a header with file and label"
            )
    return _key(cells, columns)


def _key(cells: pd.DataFrame, columns: dict[str, str]) -> Key:
    """Return the columns of a key; one that says nothing of its rows is left out."""
    used: Sequence[str] = [role for role in columns if not _is_empty(cells[columns[role]])]
    rows = pd.DataFrame({role: cells[columns[role]] for role in used})
    return Key(rows, {role: columns[role] for role in used})


def _is_empty(cells: pd.Series) -> bool:
    return bool(cells.str.casefold().isin(NOTHING).all())


def _stem(name: str) -> str:
    """Return a file's name without folders and suffix."""
    return PurePosixPath(name.replace("\\", "/")).stem
