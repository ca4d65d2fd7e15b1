"""The ways to take a folder as a data set: as a known layout, by the names of folders or archives, or by a table."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from deepfake import tables
from deepfake.datasets import identities, labels
from deepfake.datasets.entries import DataSet
from deepfake.datasets.layouts import adapters, kinds, labelling, listing, published, recipes, suspicions
from deepfake.datasets.layouts.adapters import RawFiles
from deepfake.errors import InputError

_MANY_SOURCES = 30
"""So many folders right below that of a class are people or clips rather than generators and cameras."""
_SHOWN = 8
_TABLES = 8
"""So many files of a kind in a folder may be tables; more are captions."""


@dataclass
class Reading:
    """One way to take a folder.

    Args:
        layout: what it is taken for.
        entry: keys of `DataSet`.
        found: its files.
        notes: what one should know or check.
    """

    layout: str
    entry: dict[str, Any]
    found: RawFiles
    notes: list[str] = field(default_factory=list)


def of(raw: Path, listed: listing.Listing) -> tuple[Reading | None, list[str]]:
    """Return how a folder is taken, or why it cannot be."""
    paths = paths_of(listed)
    count = Counter(map(kinds.of, paths))
    reasons = []
    # a layout may be known as frames and as videos: that counts of which there are more
    for name in sorted(recipes.recognised(paths), key=lambda name: -count[recipes.find(name).entry["modality"]]):
        recipe = recipes.find(name)
        entry = dict(recipe.entry)
        notes = [recipe.note] if recipe.note else []
        if "*" not in entry.get("table", "*"):
            entry["table"] = min((path for path in paths if path.endswith(entry["table"])), key=len)
        missing = [pattern for pattern, there in published.lists(entry.get("splits"), paths).items() if not there]
        if missing:
            entry["splits"] = None
            notes.append(f"the published split is not kept: no {', no '.join(missing)}")
        try:
            found = _grouped(adapters.find(raw, _dataset(entry), listed), entry)
        except InputError as error:
            reasons.append(f"not as recipe {name}: {str(error).partition(';')[0].removeprefix(f'{raw}: ')}")
            continue
        changed = {key: value for key, value in entry.items() if recipe.entry.get(key) != value}
        title = f"recipe {name}: {entry['title']}"
        return Reading(title, {"recipe": name, **changed}, found, notes), reasons
    for read in (_folders, _archives, _table):
        try:
            reading = read(raw, listed)
            reading.notes[:0] = reasons
            return reading, []
        except InputError as error:
            reasons += [str(error)] if str(error) else []
    return None, reasons


def _folders(raw: Path, listed: listing.Listing) -> Reading:
    """Take a folder by the names of its folders."""
    modality = kinds.most(paths_of(listed))
    entry: dict[str, Any] = {"modality": modality, "adapter": "folder", "group": "file"}
    notes = []
    at_top = all((raw / name).is_dir() for name in labelling.CLASSES)
    said: dict[str, int] = {}
    if at_top:
        beside = [path for path in paths_of(listed) if path.partition("/")[0] not in labelling.CLASSES]
        beside = [path for path in beside if not kinds.is_beside(path, modality)]
        if beside:
            notes.append(f"{len(beside):,} files lie beside real/ and fake/ and are not taken, the first {beside[0]}")
    else:
        taken = [path for path in paths_of(listed) if not kinds.is_beside(path, modality)]
        said = {found.by: found.label for found in map(labelling.by_names(taken), taken) if found is not None}
        missing = [name for name, label in labelling.CLASSES.items() if label not in said.values()]
        if missing:
            raise InputError(f"no folder's name says {' or '.join(missing)}")
    try:
        found = adapters.find(raw, _dataset(entry), listed)
    except adapters.MixedSource:
        entry["source"] = "label"
        found = adapters.find(raw, _dataset(entry), listed)
        notes.append("folders of the same name are below real and below fake: taken as groups, not as sources")
    sources = {file.source for file in found.files}
    if len(sources) > _MANY_SOURCES and "source" not in entry:
        entry["source"] = "label"
        notes.append(f"{len(sources):,} folders right below those of the classes: taken as groups, not as sources")
    if said and sources == set(labelling.CLASSES) and "source" not in entry and (rule := _source_above(found, said)):
        entry["source"] = rule
        notes.append("folders above those of the fakes are taken as sources")
    entry["group"] = suspicions.group_rule(adapters.find(raw, _dataset(entry | {"group": "folder"}), listed).files)
    if rule := suspicions.identities_rule(adapters.find(raw, _dataset(entry), listed).files, entry["group"]):
        entry["identities"] = rule
        notes.append("names of real groups are part of names of fake groups: identities joins a swap with both people")
    if 0 < len(said) <= _SHOWN:
        # written out, so that it can be seen and changed
        entry["labels"] = {f"**/{by}/**": labelling.NAMES[label] for by, label in sorted(said.items())}
    found = _grouped(adapters.find(raw, _dataset(entry), listed), entry)
    return Reading("no known layout; by the names of folders", entry, found, notes)


def _source_above(found: RawFiles, said: dict[str, int]) -> str:
    """Return the rule for sources where each folder of fakes lies in one that is called after a generator.

    Args:
        found: the files, of one source a class.
        said: the names of folders that say a class.
    """
    fakes = [name for name, label in said.items() if label == tables.FAKE]
    above, aside = set(), set()
    common = set.intersection(*(set(file.sample_id.split("/")[:-1]) for file in found.files))
    for file in found.files:
        if file.label == tables.FAKE:
            folders = file.sample_id.split("/")[:-1]
            folders = folders[: next(place for place, name in enumerate(folders) if name in fakes)]
            named = [name for name in folders if name not in common and not labelling.is_aside(name)]
            aside.update(name for name in folders if labelling.is_aside(name))
            above.add(named[0] if len(named) == 1 else "")
    if "" in above or len(above) < 2:
        return ""
    between = f"(?:/(?:{'|'.join(map(re.escape, sorted(aside)))}))*" if aside else ""
    return f"([^/]+){between}/(?:{'|'.join(map(re.escape, sorted(fakes)))})/"


def _archives(raw: Path, listed: listing.Listing) -> Reading:
    """Take a folder of zip archives by their names."""
    stems = [path[:-4] for path in paths_of(listed) if "/" not in path and path.endswith(".zip")]
    label_of = {stem: labelling.class_of_folder(stem) for stem in stems}
    sources = {stem: labelling.NAMES[label] for stem, label in label_of.items() if label is not None}
    how = "unpack them, or say with adapter sources which are fake"
    if set(sources.values()) != {"real", "fake"}:
        raise InputError(f"archives: {', '.join(stems[:_SHOWN])}; {how}" if stems else "")
    members = [each.path for stem in sources for each in listing.in_archive(raw / f"{stem}.zip", how).entries]
    entry = {"modality": kinds.most(members), "adapter": "sources", "sources": sources, "group": "file"}
    return Reading("one archive a source, by their names", entry, adapters.find(raw, _dataset(entry), listed))


def _table(raw: Path, listed: listing.Listing) -> Reading:
    """Take a folder by a table in it."""
    found, reasons = [], []
    for path in near_top(paths_of(listed), {".csv", ".tsv"}):
        modality = kinds.most(paths_of(listed))
        entry = {"modality": modality, "adapter": "folder", "table": path, "group": "file"}
        try:
            files = adapters.find(raw, _dataset(entry), listed)
            beside = labels.unused(raw / path)
            notes = [f"columns of {path} that are not used: {', '.join(beside[:_SHOWN])}"] if beside else []
            if {name.casefold() for name in beside} & {"split", "subset", "partition", "set", "fold"}:
                notes[0] += "; a published split is kept from folders alone (splits: from_folders)"
            found.append(Reading(f"no known layout; by the table {path}", entry, files, notes))
        except InputError as error:
            reasons.append(f"no table of labels: {error}")
    if len(found) > 1:
        raise InputError(f"several tables of labels: {', '.join(each.entry['table'] for each in found)}; choose one")
    if not found:
        raise InputError("\n".join(reasons))
    return found[0]


def paths_of(listed: listing.Listing) -> list[str]:
    """Return the paths of all files."""
    return [entry.path for entry in listed.entries]


def _dataset(entry: dict[str, Any]) -> DataSet:
    """Return an entry as a data set whose modality need not exist."""
    keys: dict[str, Any] = {"title": "", "licence": "", "obtain": "it is not there", **entry}
    return DataSet.model_construct(None, **keys)


def _grouped(found: RawFiles, entry: dict[str, Any]) -> RawFiles:
    """Return files in the groups that their identities make, as ingest does."""
    if "identities" not in entry:
        return found
    return found._replace(files=identities.bind(found.files, entry["identities"], "identities", entry["group"]))


def near_top(paths: Sequence[str], suffixes: set[str]) -> list[str]:
    """Return files of some suffixes that are few in their folder and called like no other: tables, not captions."""
    stems = Counter(path.rpartition(".")[0] for path in paths)
    found = [path for path in paths if kinds.suffix(path) in suffixes and stems[path.rpartition(".")[0]] == 1]
    few = Counter(path.rpartition("/")[0] for path in found)
    return [path for path in found if few[path.rpartition("/")[0]] <= _TABLES]
