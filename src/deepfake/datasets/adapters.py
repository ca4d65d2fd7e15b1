"""How the files of a data set are laid out: an adapter finds them, with what their place tells about them."""

import itertools
import lzma
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from deepfake import tables
from deepfake.datasets import labels, listing
from deepfake.datasets.catalog import DataSet
from deepfake.errors import InputError

_LARGEST = 512 * 2**20
"""Bytes of the largest file that is read; no image that `inspection.inspect` takes needs more, even uncompressed."""
_CLASSES = {"real": tables.REAL, "fake": tables.FAKE}


@dataclass(frozen=True, slots=True)
class RawFile:
    """A file of a raw data set and what its place tells about it.

    Args:
        sample_id: names the sample; the same whether its source is an archive or unpacked.
        archive: the archive below the raw folder that holds it, or "".
        path: inside the archive, or below the raw folder.
        size: bytes.
        source: who made it.
        label: `tables.REAL` or `tables.FAKE`.
        group: what it must not be parted from.
        refused: why it is not to be read; empty when it may be.
    """

    sample_id: str
    archive: str
    path: str
    size: int
    source: str
    label: int
    group: str
    refused: str


class RawFiles(NamedTuple):
    """The files of a data set in their order, and the number of hidden and system files passed over."""

    files: list[RawFile]
    litter: int


def find(raw: Path, dataset: DataSet) -> RawFiles:
    """Find the files of a data set and check that they can be told apart.

    Args:
        raw: the folder it lies in.
        dataset: its entry in the catalog.

    Raises:
        InputError: something is missing, a sample is there twice, or a source has both labels.
    """
    found = ADAPTERS[dataset.adapter](raw, dataset)
    of_id: dict[str, RawFile] = {}
    of_source: dict[str, RawFile] = {}
    for file in found.files:
        if file.refused:
            continue
        twin = of_id.setdefault(file.sample_id, file)
        if twin is not file:
            raise InputError(f"{raw / file.archive}: {twin.path} and {file.path} are the same sample; remove one")
        first = of_source.setdefault(file.source, file)
        if first.label != file.label:
            raise InputError(
                f"{raw}: source {file.source} is both real and fake ({first.path}, {file.path}); give each label its "
                "own sources (a folder right below real/ or fake/ names a source, folders of groups go below it)"
            )
    return found


def sources(raw: Path, dataset: DataSet) -> RawFiles:
    """Find the files of a data set that comes as one zip archive a source, as DeepFakeFace does, or unpacked.

    Raises:
        InputError: a source is missing, or its archive is not a zip file.
    """
    unpacked = [source for source in dataset.sources if not (raw / f"{source}.zip").is_file()]
    for source in unpacked:
        if not (raw / source).is_dir():
            where = raw / f"{source}.zip"
            raise InputError(f"{where}: not found, nor a folder {source}; to obtain the data: {dataset.obtain}")
    loose, litter = listing.in_folders(raw, unpacked)
    files: list[RawFile] = []
    for source, label in dataset.sources.items():
        if source in unpacked:
            archive, entries = "", [entry for entry in loose if f"{entry.path}/".startswith(f"{source}/")]
            places = [_below(source, entry.path) for entry in entries]
        else:
            archive = f"{source}.zip"
            entries, skipped = listing.in_archive(raw / archive, dataset.obtain)
            places = [PurePosixPath(entry.path) for entry in entries]
            litter += skipped
        # archives differ in whether they hold the folder that is called like them; the samples are the same
        if all(place.parts[:1] == (source,) for place, entry in zip(places, entries, strict=True) if not entry.refused):
            places = [_below(source, str(place)) for place in places]
        of_source = [
            _raw_file(entry, sample_id, archive, source, _CLASSES[label], _group(dataset.group, place, sample_id))
            for place, entry in zip(places, entries, strict=True)
            for sample_id in [f"{source}/{place}"]
        ]
        files += sorted(of_source, key=lambda file: file.sample_id)
    return RawFiles(files, litter)


def folder(raw: Path, dataset: DataSet) -> RawFiles:
    """Find the files below `real/` and `fake/`, or those that a table names.

    Raises:
        InputError: a folder or the table is missing, or the table has a mistake.
    """
    if dataset.table is not None:
        return _tabled(raw, dataset, dataset.table)
    for name in _CLASSES:
        if not (raw / name).is_dir():
            raise InputError(
                f"{raw / name}: not found; adapter folder needs the folders real and fake, or the key table in the "
                f"catalog; to obtain the data: {dataset.obtain}"
            )
    entries, litter = listing.in_folders(raw, _CLASSES)
    files = []
    for entry in sorted(entries, key=lambda entry: entry.path):
        name, *below = PurePosixPath(entry.path).parts
        source, place = (below[0], below[1:]) if len(below) > 1 else (name, below)
        group = _group(dataset.group, PurePosixPath(*place), entry.path)
        files.append(_raw_file(entry, entry.path, "", source, _CLASSES[name], group))
    return RawFiles(files, litter)


ADAPTERS: dict[str, Callable[[Path, DataSet], RawFiles]] = {"sources": sources, "folder": folder}


def read(raw: Path, files: Sequence[RawFile]) -> Iterator[tuple[RawFile, bytes | str]]:
    """Yield each file with its bytes, or with the reason why there are none.

    Archives are read in place and never unpacked, so no member can escape its folder.

    Args:
        raw: the folder that archives and paths start from.
        files: the files in any order; an archive is opened once as long as its files follow one another.
    """
    for archive, members in itertools.groupby(files, key=lambda file: file.archive):
        if not archive:
            for file in members:
                yield file, file.refused or _loose(raw / file.path)
            continue
        with zipfile.ZipFile(raw / archive) as opened:
            for file in members:
                yield file, file.refused or _member(opened, file.path)


def _tabled(raw: Path, dataset: DataSet, table: str) -> RawFiles:
    """Find the files that a table names."""
    if not (raw / table).is_file():
        raise InputError(f"{raw / table}: not found; to obtain the data: {dataset.obtain}")
    files = []
    positive, negative = dataset.labels_named()
    names = {role: str(name) for role, name in dataset.columns.items()}
    for row in labels.read(raw / table, positive=positive, negative=negative, columns=names):
        entry = listing.at(raw, str(PurePosixPath(table).parent / row.path))
        group = row.group or _group(dataset.group, PurePosixPath(row.path), entry.path)
        files.append(_raw_file(entry, entry.path, "", row.source, row.label, group))
    return RawFiles(files, 0)


def _raw_file(entry: listing.Entry, sample_id: str, archive: str, source: str, label: int, group: str) -> RawFile:
    """Describe a file, and refuse it when it is too large or would stand in no group."""
    refused = entry.refused
    if not refused and entry.size > _LARGEST:
        refused = f"larger than {_LARGEST // 2**20} MB"
    elif not refused and not group:
        refused = "in no folder below its source, and the catalog groups by folder"
    return RawFile(sample_id, archive, entry.path, entry.size, source, label, group, refused)


def _group(rule: str, place: PurePosixPath, sample_id: str) -> str:
    """Return the group of a file by its place below its source; empty when it lies in no folder there."""
    if rule == "file":
        return sample_id
    if rule == "basename":
        return place.stem
    return "/".join(place.parts[:-1])


def _below(source: str, path: str) -> PurePosixPath:
    """Return a path without the folder that is called like its source."""
    parts = PurePosixPath(path).parts
    return PurePosixPath(*parts[parts[:1] == (source,) :])


def _loose(path: Path) -> bytes | str:
    """Return a file's bytes, or why it cannot be read."""
    try:
        return path.read_bytes()
    except OSError as error:
        return f"cannot be read: {error.strerror}"


def _member(archive: zipfile.ZipFile, path: str) -> bytes | str:
    """Return a member's bytes, or why it cannot be read."""
    try:
        return archive.read(path)
    except (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, OSError) as error:
        return f"damaged in the archive: {error}"
    except (RuntimeError, NotImplementedError) as error:
        # zipfile's words for an encrypted member and for an unknown compression
        return f"cannot be unpacked: {error}"
