"""How the files of a data set are laid out: an adapter finds them, with what their place tells about them."""

import os
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from deepfake import modalities
from deepfake.datasets.entries import DataSet
from deepfake.datasets.layouts import dfdc, kinds, labelling, listing, published, tabled
from deepfake.datasets.layouts.labelling import CLASSES
from deepfake.errors import InputError

_LARGEST = 512 * 2**20
"""Bytes of the largest file that is read as a whole: no image that is taken needs more, even uncompressed. Loose files
of a modality that is streamed may be of any size."""
_DECIDING_SHOWN = 6


@dataclass(frozen=True, slots=True)
class RawFile:
    """A file of a raw data set and what its place tells about it.

    Args:
        sample_id: names the sample; the same whether its source is an archive or unpacked, and in Unicode's composed
            form however the file system stores it.
        archive: the archive below the raw folder that holds it, or "".
        path: inside the archive, or below the raw folder.
        size: bytes.
        source: who made it.
        label: `tables.REAL` or `tables.FAKE`.
        group: what it must not be parted from.
        refused: why it is not to be read; empty when it may be.
        published: its part of a published split that is kept (train, val or test), or "" (`published.parts`).
    """

    sample_id: str
    archive: str
    path: str
    size: int
    source: str
    label: int
    group: str
    refused: str
    published: str = ""


class MixedSource(InputError):
    """A source has files of both classes."""


class RawFiles(NamedTuple):
    """The files of a data set in their order, what was passed over, and how many files each thing labelled.

    `labelled` counts by class and by what decided it: the name of a folder, a pattern, an archive or a table. `notes`
    are what else is to be told.
    """

    files: list[RawFile]
    passed: listing.Passed
    labelled: Counter[tuple[int, str]]
    notes: Sequence[str] = ()

    def told(self) -> str:
        """Say in a line what decided the labels, and what was passed over."""
        classes = []
        for name, label in CLASSES.items():
            by = [f"{what} ({count:,})" for (found, what), count in self.labelled.most_common() if found == label]
            more = ", ..." if len(by) > _DECIDING_SHOWN else ""
            classes.append(f"{name} by {', '.join(by[:_DECIDING_SHOWN])}{more}" if by else f"{name}: none")
        passed = f". Passed over: {self.passed}" if str(self.passed) else ""
        return ". ".join([f"labels: {'; '.join(classes)}{passed}", *self.notes])


def find(raw: Path, dataset: DataSet, listed: listing.Listing | None = None) -> RawFiles:
    """Find the files of a data set and check that they can be told apart.

    Args:
        raw: the folder it lies in.
        dataset: its entry in the catalog.
        listed: all that lies in the folder, if that is known already.

    Raises:
        InputError: something is missing, or a sample is there twice; as MixedSource: a source has both labels.
    """
    found = ADAPTERS[dataset.adapter](raw, dataset, listed)
    if dataset.splits is not None:
        found = _with_parts(raw, dataset, found, listed)
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
            raise MixedSource(
                f"{raw}: source {file.source} is both real and fake ({first.path}, {file.path}); give each label its "
                "own sources (a folder right below that of the class names a source, folders of groups go below it), "
                "or set source: label in the catalog for one source a class"
            )
    return found


def sources(raw: Path, dataset: DataSet, listed: listing.Listing | None = None) -> RawFiles:
    """Find the files of a data set that comes as one zip archive a source, as DeepFakeFace does, or unpacked.

    Raises:
        InputError: a source is missing, or its archive is not a zip file.
    """
    labels_of = {listing.composed(source): label for source, label in dataset.sources.items()}
    archives = {source: listing.stored(raw, f"{source}.zip") for source in labels_of}
    folders = {source: listing.stored(raw, source) for source in labels_of if not (raw / archives[source]).is_file()}
    for source, folder in folders.items():
        if not (raw / folder).is_dir():
            raise InputError(
                f"{raw / archives[source]}: not found, nor a folder {source}; to obtain the data: {dataset.obtain}; "
                f"for files that lie otherwise, deepfake ingest --look {raw} writes the entry"
            )
    loose, passed = listing.in_folders(raw, folders.values())
    files: list[RawFile] = []
    for source, label in labels_of.items():
        if source in folders:
            archive, entries = "", [entry for entry in loose if f"{entry.path}/".startswith(f"{folders[source]}/")]
            places = [_below(source, entry.path) for entry in entries]
        else:
            archive = archives[source]
            entries, skipped = listing.in_archive(raw / archive, dataset.obtain)
            places = [PurePosixPath(listing.composed(entry.path)) for entry in entries]
            passed.add(skipped)
        # archives differ in whether they hold the folder that is called like them; the samples are the same
        if all(place.parts[:1] == (source,) for place, entry in zip(places, entries, strict=True) if not entry.refused):
            places = [_below(source, str(place)) for place in places]
        of_source = [
            _raw_file(
                entry, dataset, sample_id, source, CLASSES[label], _group(dataset.group, place, sample_id), archive
            )
            for place, entry in zip(places, entries, strict=True)
            if not _is_sidecar(entry, passed)
            for sample_id in [f"{source}/{place}"]
        ]
        files += sorted(of_source, key=lambda file: file.sample_id)
    return RawFiles(files, passed, Counter((file.label, file.source) for file in files))


def folder(raw: Path, dataset: DataSet, listed: listing.Listing | None = None) -> RawFiles:
    """Find the files below folders that say real and fake, or those that a table names.

    Raises:
        InputError: the folders do not say the classes, or say both of a file; or the table is missing or has a mistake.
    """
    if dataset.table is not None:
        return _tabled(raw, dataset, dataset.table, listed)
    if not raw.is_dir():
        raise InputError(f"{raw}: not found; to obtain the data: {dataset.obtain}")
    at_top = dataset.labels is None and all((raw / name).is_dir() for name in CLASSES)
    entries, passed = _listed(raw, listing.in_folders(raw, CLASSES) if at_top else listed)
    # what lies beside real/ and fake/ is not taken, but counted
    entries = [*entries, *listing.beside(raw, CLASSES)] if at_top else entries
    entries = sorted((entry for entry in entries if not _is_sidecar(entry, passed)), key=lambda entry: entry.path)
    media = [entry.path for entry in entries if not kinds.is_beside(entry.path, dataset.modality)]
    by_names = labelling.by_top if at_top else labelling.by_names(media)
    rule = by_names if dataset.labels is None else labelling.by_patterns(dataset.labels)
    files, labelled = [], Counter()
    for entry in entries:
        found = rule(entry.path)
        if found is None:
            if not _is_media(entry, dataset, passed):
                continue
            top, slash, _ = entry.path.partition("/")
            passed.unlabelled[f"in {top}" if slash else "in no folder"] += 1
            continue
        files.append(_placed(entry, dataset, found.label, found.below))
        labelled[found.label, found.by] += 1
    seen = {file.label for file in files if not kinds.is_beside(file.path, dataset.modality)}
    missing = [name for name, label in CLASSES.items() if label not in seen]
    if missing and not at_top:
        there = f" (passed over: {passed})" if str(passed) else ""
        how = labelling.remedy(dataset.labels, media)
        raise InputError(
            f"{raw}: no {' and no '.join(missing)} file{there}; {how}; deepfake ingest --look {raw} shows what there "
            f"is; to obtain the data: {dataset.obtain}"
        )
    return RawFiles(files, passed, labelled)


def metadata(raw: Path, dataset: DataSet, listed: listing.Listing | None = None) -> RawFiles:
    """Find the videos that each metadata.json of DFDC describes, or the frames in folders called like the videos.

    Raises:
        InputError: there is no metadata.json, or one that is not DFDC's.
    """
    if not raw.is_dir():
        raise InputError(f"{raw}: not found; to obtain the data: {dataset.obtain}")
    entries, passed = _listed(raw, listed)
    clips = dfdc.read(raw, [entry.path for entry in entries])
    files, labelled, seen = [], Counter(), set()
    for entry in sorted(entries, key=lambda entry: entry.path):
        if PurePosixPath(entry.path).name == dfdc.NAME or not _is_media(entry, dataset, passed):
            continue
        sample_id = listing.composed(entry.path)
        stem = next((stem for stem in _stems(sample_id) if stem in clips), None)
        if stem is None:
            passed.unlabelled[f"that no {dfdc.NAME} names"] += 1
            continue
        seen.add(stem)
        found = clips[stem]
        source = _source(dataset, sample_id, ()) or labelling.NAMES[found.label]
        files.append(_raw_file(entry, dataset, sample_id, source, found.label, found.original))
        labelled[found.label, dfdc.NAME] += 1
    missing = [name for name in clips if name not in seen]
    notes = []
    if missing:
        notes = [f"{len(missing):,} of {len(clips):,} videos that {dfdc.NAME} names are not there, first {missing[0]}"]
    return RawFiles(files, passed, labelled, notes)


ADAPTERS: dict[str, Callable[[Path, DataSet, listing.Listing | None], RawFiles]] = {
    "sources": sources,
    "folder": folder,
    "metadata": metadata,
}


def _listed(raw: Path, listed: listing.Listing | None) -> tuple[list[listing.Entry], listing.Passed]:
    """Return all files below a folder, and what is passed over, to be counted on."""
    entries, skipped = listed or listing.in_folders(raw, [""])
    passed = listing.Passed()
    passed.add(skipped)
    return entries, passed


def _tabled(raw: Path, dataset: DataSet, table: str, listed: listing.Listing | None) -> RawFiles:
    """Find the files that tables name, and count the media that they do not."""
    if "*" not in table and not (raw / table).is_file():
        raise InputError(f"{raw / table}: not found; to obtain the data: {dataset.obtain}")
    entries, skipped = listed or listing.in_folders(raw, [""])
    matches = labelling.expression(table).fullmatch
    there = [entry.path for entry in entries if matches(listing.composed(entry.path))] if "*" in table else [table]
    if not there:
        raise InputError(f"{raw}: no table {table}; to obtain the data: {dataset.obtain}")
    find_file = tabled.finder(raw, entries, dataset)
    files, labelled = [], Counter()
    for path in sorted(there):
        for row, source in tabled.rows(raw / path, dataset):
            entry = find_file(path, row.path)
            sample_id = listing.composed(entry.path)
            group = row.group or _group(dataset.group, PurePosixPath(listing.composed(row.path)), sample_id)
            files.append(_raw_file(entry, dataset, sample_id, source, row.label, group))
            labelled[row.label, path if len(there) == 1 else path.rpartition("/")[2]] += 1
    named, passed = {file.path for file in files}, listing.Passed(hidden=skipped.hidden, thumbnails=skipped.thumbnails)
    beside = [
        entry for entry in entries if entry.path not in named and not kinds.is_beside(entry.path, dataset.modality)
    ]
    passed.unlabelled += Counter(f"that {there[0] if len(there) == 1 else table} does not name" for _ in beside)
    return RawFiles(files, passed, labelled)


def _with_parts(raw: Path, dataset: DataSet, found: RawFiles, listed: listing.Listing | None) -> RawFiles:
    """Return files with their parts of the published split."""
    # an archive may be called after a part, as train_fake.zip, and say nothing by that
    above = [f"{file.source}/" if dataset.adapter == "sources" else "" for file in found.files]
    paths = [file.sample_id.removeprefix(source) for file, source in zip(found.files, above, strict=True)]
    parts, notes = published.parts(raw, dataset, paths, listed)
    files = [replace(file, published=part) for file, part in zip(found.files, parts, strict=True)]
    return found._replace(files=files, notes=[*found.notes, *notes])


def _placed(entry: listing.Entry, dataset: DataSet, label: int, below: tuple[str, ...]) -> RawFile:
    """Describe a file by the folders below the one that says its class."""
    sample_id = listing.composed(entry.path)
    *folders, name = below
    naming = [folder for folder in folders if not labelling.is_aside(folder)]
    source = _source(dataset, sample_id, tuple(naming)) or labelling.NAMES[label]
    if naming[:1] == [source]:
        del naming[0]
    group = "/".join(naming) if dataset.group == "folder" else _group(dataset.group, PurePosixPath(name), sample_id)
    return _raw_file(entry, dataset, sample_id, source, label, group)


def _source(dataset: DataSet, path: str, naming: tuple[str, ...]) -> str:
    """Return the source that a path names; empty where it names none."""
    if dataset.source is None:
        return naming[0] if naming else ""
    found = None if dataset.source == "label" else re.search(dataset.source, path)
    return next(filter(None, found.groups()), "") if found else ""


def _is_sidecar(entry: listing.Entry, passed: listing.Passed) -> bool:
    """Tell whether a file lies beside media by its suffix, as a caption or a table; count it as passed over then."""
    if kinds.of(entry.path) != "other":
        return False
    passed.others[kinds.suffix(entry.path)] += 1
    return True


def _is_media(entry: listing.Entry, dataset: DataSet, passed: listing.Passed) -> bool:
    """Tell whether a file may be a sample; count it as passed over when its suffix says that it is none."""
    if not kinds.is_beside(entry.path, dataset.modality):
        return True
    passed.others[kinds.suffix(entry.path)] += 1
    return False


def _stems(path: str) -> Iterator[str]:
    """Yield a file's name, then those of its folders from the inside, without suffixes."""
    yield from (os.path.splitext(part)[0] for part in reversed(path.split("/")))


def _raw_file(
    entry: listing.Entry, dataset: DataSet, sample_id: str, source: str, label: int, group: str, archive: str = ""
) -> RawFile:
    """Describe a file, and refuse it when it is of another modality, too large, or would stand in no group."""
    refused, kind = entry.refused, kinds.of(entry.path)
    if not refused and kind not in ("", "other", dataset.modality):
        refused = f"by its suffix of modality {kind}, in a data set of modality {dataset.modality}"
    elif not refused and entry.size > _LARGEST and (archive or not modalities.load(dataset.modality).STREAMED):
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
    folders = place.parts[:-1]
    # train/ann and test/ann are one person
    return "/".join([folder for folder in folders if not labelling.is_aside(folder)] or folders)


def _below(source: str, path: str) -> PurePosixPath:
    """Return a path without the folder that is called like its source."""
    parts = PurePosixPath(listing.composed(path)).parts
    return PurePosixPath(*parts[parts[:1] == (source,) :])
