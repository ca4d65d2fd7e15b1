"""What tables say of a data set's files, and which files they mean."""

import os
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path, PurePosixPath

from deepfake.datasets import labels
from deepfake.datasets.entries import DataSet
from deepfake.datasets.layouts import kinds, labelling, listing
from deepfake.datasets.layouts.listing import Entry
from deepfake.errors import InputError


def rows(table: Path, dataset: DataSet) -> Iterator[tuple[labels.Row, str]]:
    """Yield the rows of a table, and the source of each.

    Args:
        table: where it lies.
        dataset: its data set, which says how it is read.

    Raises:
        InputError: the table has a mistake, or a source that the entry does not know (`source`).
    """
    positive, negative = dataset.labels_named()
    columns = {role: str(name) for role, name in dataset.columns.items()}
    found = labels.read(table, positive=positive, negative=negative, columns=columns)
    if not found:
        raise InputError(f"{table}: it has no row below the header; obtain it again, or write a row a file")
    if dataset.source == "label":
        yield from ((row, labelling.NAMES[row.label]) for row in found)
        return
    known = re.compile(dataset.source or ".*", re.DOTALL)
    strange = [row for row in found if row.source != labelling.NAMES[row.label] and not known.fullmatch(row.source)]
    if strange:
        raise InputError(
            f"{table}: unknown source {strange[0].source!r} of {strange[0].path} ({len(strange):,} of {len(found):,} "
            f"rows have such); correct the table, or the key source in the catalog, which knows {dataset.source}"
        )
    yield from ((row, row.source) for row in found)


def finder(raw: Path, entries: Iterable[Entry], dataset: DataSet) -> Callable[[str, str], Entry]:
    """Return what finds the file that a table means: it takes the table's path and what stands in it.

    Args:
        raw: the data set's folder.
        entries: all files in it.
        dataset: its entry in the catalog.
    """
    if dataset.table_names == "paths":
        known = {entry.path: entry for entry in entries}

        def at(table: str, path: str) -> Entry:
            place = str(PurePosixPath(table).parent / path)
            return known.get(place) or listing.at(raw, place)

        return at
    called: dict[str, list[Entry]] = {}
    for entry in entries:
        if not kinds.is_beside(entry.path, dataset.modality):
            name = listing.composed(entry.path).rpartition("/")[2]
            for each in {name, os.path.splitext(name)[0]}:
                called.setdefault(each, []).append(entry)

    def named(table: str, name: str) -> Entry:
        found = called.get(listing.composed(name), [])
        if len(found) > 1:
            raise InputError(
                f"{raw}: {found[0].path} and {found[1].path} are both called {name}, a name in {table}; remove one"
            )
        return found[0] if found else Entry(name, 0, "file not found")

    return named
