"""What the names of a data set's files give reason to check before anything is trained on it."""

import os
from collections import Counter
from collections.abc import Sequence
from typing import Any

from deepfake.datasets import identities
from deepfake.datasets.layouts import kinds, labelling
from deepfake.datasets.layouts.adapters import RawFile
from deepfake.errors import InputError

_IDENTITIES = (r"(\d{3})(?:_(\d{3}))?", r"(id\d+)(?:_(id\d+))?_\d+", r"(id\d+)(?:_(id\d+))?_\d+_\d+")
"""Names of clips that show one or two people: those of FaceForensics++ and of Celeb-DF."""
_MADE_FROM = {"mask", "masks", "landmarks", "depth", "segmentation", "parsing", "heatmaps", "thumbs", "thumbnails"}
"""Folders of what is made from images, in the same formats."""
_FORMAT_SHARE = 0.95
"""Share of a class from which on a format is the class's own."""
_MANY_NUMBERED = 4
"""Sources of numbered files from which on one should ask whether they are clips."""
_FRAMES = 5
"""Files in a folder from which on numbered ones are frames of a clip."""


def of(files: Sequence[RawFile], entry: dict[str, Any]) -> list[str]:
    """Return what is to be checked, a line each.

    Args:
        files: of the data set.
        entry: keys of its entry in the catalog.
    """
    taken = [file for file in files if not file.refused]
    found = [_missing(taken), _refused(files), _empty(taken), _no_pictures(taken), _formats(taken)]
    found.append(_parted(taken))
    if "recipe" not in entry:
        named = ((file.sample_id, file.group, file.label) for file in taken)
        found += [_same_names(taken, entry), _frames(taken, entry)]
        if "identities" not in entry:
            found.append(identities.shared_names(named, entry["group"]))
    return [line for line in found if line]


def group_rule(files: Sequence[RawFile]) -> str:
    """Return the rule for groups that the names of files speak for.

    Args:
        files: found with `group: folder`.
    """
    in_folder = sum(not file.refused for file in files)
    if files and in_folder == len(files):
        return "folder"
    shared, unique = _shared_stems(files)
    return "basename" if shared and unique else "file"


def identities_rule(files: Sequence[RawFile], rule: str) -> str:
    """Return the rule for identities that fits all names, when names of real groups are part of those of fakes.

    Args:
        files: of the data set.
        rule: by which they are grouped (`DataSet.group`).
    """
    taken = [file for file in files if not file.refused]
    if not identities.shared_names(((file.sample_id, file.group, file.label) for file in taken), rule):
        return ""
    for known in _IDENTITIES:
        try:
            identities.bind(taken, known, "", rule)
        except InputError:
            continue
        return known
    return ""


def _shared_stems(files: Sequence[RawFile]) -> tuple[int, bool]:
    """Return how many names reals and fakes share, and whether these are names rather than numbers of each folder."""
    stems = {label: Counter() for label in labelling.CLASSES.values()}
    within: Counter[tuple[str, str]] = Counter()
    for file in files:
        stem = _stem(file)
        stems[file.label][stem] += 1
        # a photograph is there once, whatever its source; each generator may have a fake of it
        within[file.source if file.label == labelling.CLASSES["fake"] else "", stem] += 1
    real, fake = stems.values()
    shared = len(real.keys() & fake.keys())
    repeated = sum(count > 1 for count in within.values())
    return (shared if 2 * shared >= min(len(real), len(fake)) else 0), 100 * repeated <= len(within)


def _missing(files: Sequence[RawFile]) -> str:
    """Say that a class has no file."""
    missing = [name for name, label in labelling.CLASSES.items() if not any(file.label == label for file in files)]
    return f"no {' and no '.join(missing)} file" if missing else ""


def _refused(files: Sequence[RawFile]) -> str:
    """Say how many files go to quarantine already by their place."""
    reasons = Counter(file.refused for file in files if file.refused)
    told = ", ".join(f"{count:,} {reason}" for reason, count in reasons.most_common(3))
    return f"{reasons.total():,} files cannot be taken: {told}" if reasons else ""


def _empty(files: Sequence[RawFile]) -> str:
    """Say how many files are empty."""
    empty = [file for file in files if not file.size]
    many = "file" if len(empty) == 1 else "files"
    return f"{len(empty):,} empty {many}, the first {empty[0].sample_id}" if empty else ""


def _no_pictures(files: Sequence[RawFile]) -> str:
    """Say that files lie in folders of what is made from images."""
    inside = [file for file in files if _MADE_FROM & set(file.sample_id.casefold().split("/")[:-1])]
    if not inside:
        return ""
    where = inside[0].sample_id.rpartition("/")[0]
    return f"{len(inside):,} files in folders such as {where}: if they are no samples, write labels that leave them out"


def _parted(files: Sequence[RawFile]) -> str:
    """Say that a published test set shares groups with the rest."""
    inside, outside = set(), set()
    kept = any(file.published for file in files)
    for file in files:
        part = file.published if kept else labelling.part_or_several(file.sample_id.rpartition("/")[0])
        is_test = part == "test"
        (inside if is_test else outside).add(file.group)
    both = inside & outside
    if not both:
        return ""
    many = f"{len(both):,} of {len(inside | outside):,} groups are"
    return f"{many} in the published test set and outside it, as {min(both)}: splits: from_folders refuses that"


def _formats(files: Sequence[RawFile]) -> str:
    """Say that the classes have different suffixes: a detector may learn the format instead."""
    share = {}
    for name, label in labelling.CLASSES.items():
        suffixes = Counter(_format(file) for file in files if file.label == label)
        share[name] = {suffix: count / suffixes.total() for suffix, count in suffixes.items()}
    for name, other in (("real", "fake"), ("fake", "real")):
        for suffix, part in share[name].items():
            if part >= _FORMAT_SHARE and share[other] and share[other].get(suffix, 0) < 1 - _FORMAT_SHARE:
                others = max(share[other], key=lambda each: share[other][each])
                return (
                    f"{part:.0%} of the {name}s are {suffix}, the {other}s mostly {others}: the format predicts the "
                    "label, and a detector may learn it instead"
                )
    return ""


def _format(file: RawFile) -> str:
    suffix = kinds.suffix(file.path) or "no suffix"
    return {".jpeg": ".jpg", ".jpe": ".jpg", ".tiff": ".tif"}.get(suffix, suffix)


def _same_names(files: Sequence[RawFile], entry: dict[str, Any]) -> str:
    """Say that reals and fakes share names."""
    shared, unique = _shared_stems(files)
    if not shared or entry["group"] == "folder":
        return ""
    if unique:
        return (
            f"{shared:,} names stand under real and under fake: taken as fakes of these reals, which are never parted "
            "(group: basename); if they only count files, write group: file"
        )
    return f"{shared:,} names stand in several folders: taken as numbers (group: file)"


def _frames(files: Sequence[RawFile], entry: dict[str, Any]) -> str:
    """Say that files look like frames of clips."""
    sources: dict[str, str] = {}
    names: dict[str, list[str]] = {}
    for file in files:
        folder = file.sample_id.rpartition("/")[0]
        names.setdefault(folder, []).append(_stem(file))
        sources[folder] = file.source
    numbered = [folder for folder, stems in names.items() if len(stems) >= _FRAMES and all(map(_ends_in_digit, stems))]
    if entry["group"] == "folder":
        told = f"{len(numbered):,} folders of numbered files: taken as clips, whose frames are never parted"
        return f"{told} (group: folder)" if len(numbered) > 1 else ""
    # as many sources as folders: these may be generators, or clips
    if len({sources[folder] for folder in numbered} - set(labelling.CLASSES)) < _MANY_NUMBERED:
        return ""
    return (
        f"{len(numbered):,} folders of numbered files, as {numbered[0]}, are taken as sources: if they are clips, "
        "write source: label and group: folder"
    )


def _stem(file: RawFile) -> str:
    return os.path.splitext(file.sample_id.rpartition("/")[2])[0]


def _ends_in_digit(name: str) -> bool:
    return name[-1:].isdigit()
