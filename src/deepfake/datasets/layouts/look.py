"""What a folder would be taken for as a data set, without opening its files: and the catalog's entry for it."""

import re
import shlex
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from deepfake.datasets import catalog
from deepfake.datasets.layouts import dfdc, kinds, labelling, listing, published, readings, recipes, suspicions
from deepfake.datasets.layouts.adapters import RawFile
from deepfake.errors import InputError

_SHOWN = 8


def look(raw: Path, name: str | None = None) -> str:
    """Describe a folder as a data set.

    Args:
        raw: the folder.
        name: what the data set is to be called; by default after the folder.

    Returns:
        Lines: the layout, classes, sources, groups, published parts and kinds of files, what is suspicious, and the
        entry for the catalog, when it is known which files are fake.

    Raises:
        InputError: there is no such folder, or no file in it.
    """
    if not raw.is_dir():
        what = "is a file; unpack it, or" if raw.is_file() else "not found;"
        raise InputError(f"{raw}: {what} name the folder that holds the data set")
    listed = listing.in_folders(raw, [""])
    listed = listed._replace(entries=sorted(listed.entries, key=lambda entry: entry.path))
    if not listed.entries:
        passed = f" (passed over: {listed.passed})" if str(listed.passed) else ""
        raise InputError(f"{raw}: no file in it{passed}; name the folder that holds the data set")
    paths = readings.paths_of(listed)
    name = name or _name(raw)
    if not catalog.is_name(name):
        raise InputError(f"{name!r} cannot name a data set; use small letters, digits, - and _")
    lines = [f"{raw}: {len(paths):,} files", f"kinds: {_kinds(paths)}"]
    reading, reasons = readings.of(raw, listed)
    if reading is None:
        return "\n".join([*lines, "layout: no known layout", *reasons, *_tables(paths), *_template(name, paths)])
    files = [file for file in reading.found.files if not file.refused]
    lines += [
        f"layout: {reading.layout}",
        reading.found.told(),
        *_classes(files),
        f"groups: {_groups(files, reading.entry)}",
        f"published split: {_parts(files, _keys(reading.entry))}",
    ]
    to_check = [*reading.notes, *suspicions.of(reading.found.files, reading.entry), *_tables(paths, reading.entry)]
    if to_check:
        lines += ["to check:", *(f"- {note}" for note in to_check)]
    return "\n".join([*lines, *_entry(raw, name, reading, files)])


def _classes(files: Sequence[RawFile]) -> list[str]:
    """Return a line a class: its files, and those of each source."""
    lines = []
    for name, label in labelling.CLASSES.items():
        sources = Counter(file.source for file in files if file.label == label)
        shown = ", ".join(f"{source} {count:,}" for source, count in sources.most_common(_SHOWN))
        more = f" and {len(sources) - _SHOWN:,} more" if len(sources) > _SHOWN else ""
        number = sources.total()
        lines.append(f"{name}: {number:,} {'file' if number == 1 else 'files'}; sources: {shown or 'none'}{more}")
    return lines


def _groups(files: Sequence[RawFile], entry: dict[str, Any]) -> str:
    """Return how many groups there are, by which rule."""
    groups = Counter(file.group for file in files)
    of_class = [{file.group for file in files if file.label == label} for label in labelling.CLASSES.values()]
    keys = _keys(entry)
    rule = "identities" if "identities" in keys else "original" if keys["adapter"] == "metadata" else keys["group"]
    if "group" in keys.get("columns", {}):
        rule = "the table"
    largest, size = groups.most_common(1)[0] if groups else ("", 0)
    of_both = f", {len(of_class[0] & of_class[1]):,} with reals and fakes"
    many = "file" if size == 1 else "files"
    return f"{len(groups):,} by {rule}{of_both}; the largest has {size:,} {many} ({largest})"


def _keys(entry: dict[str, Any]) -> dict[str, Any]:
    """Return the keys of an entry with those of its recipe."""
    return recipes.find(entry["recipe"]).entry | entry if "recipe" in entry else entry


def _parts(files: Sequence[RawFile], keys: dict[str, Any]) -> str:
    """Return how many files are in each part of a published split: of that which is kept, or else by folders."""
    kept = keys.get("splits") is not None
    count = Counter(
        file.published if kept else labelling.part_or_several(file.sample_id.rpartition("/")[0]) for file in files
    )
    named = [f"{part} {count[part]:,}" for part in ("train", "val", "test", "several") if count[part]]
    return ", ".join([*named, *([f"none {count['']:,}"] if named and count[""] else [])]) or "none"


def _kinds(paths: Sequence[str]) -> str:
    """Return how many files there are of each suffix."""
    count = Counter(kinds.suffix(path) or "no suffix" for path in paths)
    return ", ".join(f"{number:,} {suffix}" for suffix, number in count.most_common(_SHOWN))


def _tables(paths: Sequence[str], entry: dict[str, Any] | None = None) -> list[str]:
    """Say which files may hold labels or a published split."""
    suffixes = {".csv", ".tsv", ".json", ".jsonl", ".txt", ".lst", ".xlsx", ".parquet"}
    keys = _keys(entry or {})
    read = {path for there in published.lists(keys.get("splits"), paths).values() for path in there}
    of_table = labelling.expression(keys.get("table", "")).fullmatch
    found = [path for path in readings.near_top(paths, suffixes) if path not in read and not of_table(path)]
    if keys.get("adapter") == "metadata":
        found = [path for path in found if path.rpartition("/")[2] != dfdc.NAME]
    if not found:
        return []
    more = f" and {len(found) - _SHOWN:,} more" if len(found) > _SHOWN else ""
    return [f"files that may hold labels, groups or a split, not read: {', '.join(found[:_SHOWN])}{more}"]


def _template(name: str, paths: Sequence[str]) -> list[str]:
    """Return the lines of an entry in which the user says which files are fake."""
    # the first folder that may say a class: train/0 and train/1 are told by their second names
    named = ([folder for folder in path.split("/")[:-1] if not labelling.is_aside(folder)] for path in paths)
    tops = Counter(folders[0] for folders in named if folders)
    # a word at the beginning of names, as in real_0001.jpg
    words = {re.split(r"[^A-Za-z]", path.rpartition("/")[2])[0] for path in paths}
    label_of = {word: labelling.class_of_folder(word) for word in sorted(words) if word}
    rules = {f"**/{word}*": labelling.NAMES[label] for word, label in label_of.items() if label is not None}
    if len(set(rules.values())) < 2:
        rules = {f"**/{top}/**": _guess(top) for top in list(tops)[:_SHOWN]} or {"FOLDER/**": _guess("")}
    how = ["  adapter: folder", "  labels:", *(f'    "{pattern}": {label}' for pattern, label in rules.items())]
    archives = [path[:-4] for path in paths if "/" not in path and path.endswith(".zip")]
    if len(archives) == len(paths):
        how = ["  adapter: sources", "  sources:", *(f'    "{name}": {_guess(name)}' for name in archives)]
    modality = f"  modality: {kinds.most(paths)}"
    entry = [f"{name}:", "  title: ...", modality, *how, "  group: file", "  licence: ...", "  obtain: ..."]
    return [
        *([f"folders: {', '.join(f'{top}/ {count:,}' for top, count in tops.most_common(_SHOWN))}"] if tops else []),
        "say in an entry of data/catalog.yaml which files are fake:",
        "",
        *(f"# {line}" for line in entry),
    ]


def _guess(name: str) -> str:
    """Return what is to be replaced for a folder or an archive: the catalog refuses it as it is."""
    guess = labelling.hint(name)
    return f"real-or-fake    # by its name {guess}?" if guess else "real-or-fake"


def _entry(raw: Path, name: str, reading: readings.Reading, files: Sequence[RawFile]) -> list[str]:
    """Return the lines of the entry, as they are pasted into the catalog."""
    entry = reading.entry
    if "recipe" not in entry:
        own = {"title": f"my data set {name}", **entry}
        entry = own | {"licence": "not known yet", "obtain": f"it lies in {raw.resolve()}"}
    if {file.label for file in files} != set(labelling.CLASSES.values()):
        return ["no entry: a data set needs real and fake files"]
    dumped = yaml.safe_dump({name: entry}, sort_keys=False, allow_unicode=True, width=1000).splitlines()
    if "recipe" in entry:
        dumped.append("  # title: ...    # if it is another data set with the same folders")
    elif "test " in _parts(files, entry):
        dumped.append("  # splits: from_folders    # keeps the published test set; without it one is drawn")
    return [
        "entry for data/catalog.yaml:",
        "",
        *dumped,
        "",
        f"then: deepfake ingest {name} --raw {shlex.quote(str(raw))}",
    ]


def _name(raw: Path) -> str:
    """Return a name for a data set, after its folder."""
    name = re.sub(r"[^a-z0-9_-]+", "_", raw.resolve().name.lower()).strip("_-")
    return name if catalog.is_name(name) else f"my_{name}".rstrip("_")
