"""Which part of a published split each file is in: by its folders, by patterns of paths, or by lists of names."""

import json
import os
import re
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from deepfake.datasets.entries import DataSet, Published
from deepfake.datasets.layouts import kinds, labelling, listing
from deepfake.errors import InputError

_LISTS = {".json", ".txt"}


class Parts(NamedTuple):
    """The part of each file (train, val, test, or "" for none), and what is to be told of the lists."""

    of_file: list[str]
    notes: list[str]


def parts(raw: Path, dataset: DataSet, paths: Sequence[str], listed: listing.Listing | None) -> Parts:
    """Return which part of the published split each file is in.

    Args:
        raw: the data set's folder.
        dataset: its entry in the catalog, which keeps a published split (`splits`).
        paths: the sample ids of its files.
        listed: all that lies in the folder, if that is known already.

    Raises:
        InputError: a list is missing or is none, the test set has no file, or a file is in several parts.
    """
    if dataset.splits == "from_folders":
        return Parts([labelling.part_of(path.rpartition("/")[0]) for path in paths], [])
    of_file, notes = [""] * len(paths), []
    for part, pattern in Published.model_validate(dataset.splits).patterns().items():
        if kinds.suffix(pattern) in _LISTS:
            inside, told = _listed(raw, dataset, pattern, paths, listed)
            notes += told
        else:
            matches = labelling.expression(pattern).fullmatch
            inside = [bool(matches(path)) for path in paths]
        if part == "test" and not any(inside):
            raise InputError(f"{raw}: splits.{part} in the catalog: {pattern!r} names no file; {_REMEDY}")
        for place in (place for place, is_inside in enumerate(inside) if is_inside):
            if of_file[place]:
                raise InputError(
                    f"{raw}: {paths[place]} is in two parts of the published split, {of_file[place]} and {part}; "
                    "correct the lists or the patterns of splits in the catalog"
                )
            of_file[place] = part
    return Parts(of_file, notes)


def lists(splits: object, paths: Sequence[str]) -> dict[str, list[str]]:
    """Return for each pattern of lists the files that match it.

    Args:
        splits: what an entry of the catalog says under that key.
        paths: of all files below the data set's folder.
    """
    if splits is None or splits == "from_folders":
        return {}
    patterns = [each for each in Published.model_validate(splits).patterns().values() if kinds.suffix(each) in _LISTS]
    matches = {pattern: labelling.expression(pattern).fullmatch for pattern in patterns}
    return {pattern: [path for path in paths if match(listing.composed(path))] for pattern, match in matches.items()}


_REMEDY = "put the published lists into that folder, or write splits: null in the catalog: a test set is then drawn"


class _Names:
    """The names of a list: of files, with or without folders before and a suffix behind, or of people."""

    def __init__(self, names: Sequence[str]):
        """Sort the names by their own name; `1/a.mp4` is `a` below a folder `1`."""
        self.all = set(names)
        self.found: set[str] = set()
        self._of_stem: dict[str, list[tuple[str, frozenset[str]]]] = {}
        for name in names:
            *folders, last = name.split("/")
            self._of_stem.setdefault(os.path.splitext(last)[0], []).append((name, frozenset(folders)))

    def has(self, path: str, rule: re.Pattern[str] | None) -> bool:
        """Tell whether the list names a file, or a folder that it lies in, or all people that its name tells."""
        *folders, last = path.split("/")
        own = (*folders, os.path.splitext(last)[0])
        for place, stem in enumerate(own):
            for name, needed in self._of_stem.get(stem, ()):
                if needed <= {*own[:place]}:
                    self.found.add(name)
                    return True
        if rule is None:
            return False
        for match in filter(None, map(rule.fullmatch, own)):
            people = {person for person in match.groups() if person}
            if people and people <= self.all:
                self.found |= people
                return True
        return False


def _listed(
    raw: Path, dataset: DataSet, pattern: str, paths: Sequence[str], listed: listing.Listing | None
) -> tuple[list[bool], list[str]]:
    """Return whether lists name each file, and a line about names of which there is no file."""
    entries, _ = listed or listing.in_folders(raw, [""])
    found = lists({"test": pattern}, [entry.path for entry in entries])[pattern]
    if not found:
        raise InputError(f"{raw}: no list {pattern} of the published split; {_REMEDY}")
    names = _Names([listing.composed(name) for path in found for name in _read(raw / path)])
    rule = re.compile(dataset.identities) if dataset.identities is not None else None
    inside = [names.has(path, rule) for path in paths]
    missing = sorted(names.all - names.found)
    for name in missing:
        if rule and not rule.fullmatch(os.path.splitext(name)[0].rpartition("/")[2]):
            raise InputError(
                f"{raw / found[0]}: {name!r} names no file, and nobody as the key identities reads names; correct the "
                f"list; identities: {rule.pattern}"
            )
    notes = []
    if missing:
        notes = [f"{len(missing):,} of {len(names.all):,} names in {found[0]} have no file, first {missing[0]}"]
    return inside, notes


def _read(path: Path) -> list[str]:
    """Read a list: JSON with names or pairs of names, or text with a name at the end of each line."""
    try:
        text = path.read_text(encoding="utf-8-sig")
        content = json.loads(text) if path.suffix.lower() == ".json" else [line.split()[-1:] for line in _lines(text)]
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: not a list of names ({error}); obtain it again") from None
    rows = [row if isinstance(row, list) else [row] for row in content] if isinstance(content, list) else []
    names = [name for row in rows for name in row]
    if not names or not all(isinstance(name, str) and PurePosixPath(name).name for name in names):
        raise InputError(f'{path}: not a list of names; expected JSON as [["000", "003"], ...] or a name a line')
    return [str(PurePosixPath(name)) for name in names]


def _lines(text: str) -> list[str]:
    """Return the lines that are not empty."""
    return [line for line in text.splitlines() if line.strip()]
