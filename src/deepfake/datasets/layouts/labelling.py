"""Which folders say real and fake, at any depth: by patterns of the catalog, or by the names of the folders."""

import functools
import itertools
import re
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import NamedTuple

from deepfake import tables
from deepfake.datasets import label_vocabulary
from deepfake.datasets.layouts.listing import composed
from deepfake.errors import InputError

CLASSES = {"real": tables.REAL, "fake": tables.FAKE}
NAMES = {label: name for name, label in CLASSES.items()}
_PARTS = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "dev", "development"), "val"),
    **dict.fromkeys(("test", "testing", "eval", "evaluation"), "test"),
}
"""Names of the parts of a published split, and the part."""
_TECHNICAL = frozenset({"c0", "c23", "c40", "raw", "frames", "images", "imgs", "faces", "videos", "audio", "wav"})
"""Folders that say how files are stored, and neither who made them nor whom they show."""
_NEUTRAL = frozenset(
    {"image", "images", "img", "imgs", "photo", "photos", "picture", "pictures", "pic", "pics", "face", "faces"}
    | {"video", "videos", "clip", "clips", "frame", "frames", "sequence", "sequences", "audio", "audios", "speech"}
    | {"sample", "samples", "data", "dataset", "set", "class", "cropped", "crops"}
)
"""Words that may stand beside the class in the name of a folder: `fake_images`."""


class Labelled(NamedTuple):
    """What the path of a file says.

    Args:
        label: `tables.REAL` or `tables.FAKE`.
        by: what decided: the pattern, or the name of the folder.
        below: the path from the folder that decided.
    """

    label: int
    by: str
    below: tuple[str, ...]


Rule = Callable[[str], Labelled | None]
"""Takes a path below the raw folder; None: it lies in no folder of a class."""


def hint(name: str) -> str:
    """Return real or fake when a name holds a word of that class beside words that are not known; else nothing.

    A name with a negation says nothing: not_real.
    """
    words = set(_words(name))
    if words & {"not", "non", "no"}:
        return ""
    said = [bool(words & label_vocabulary.REAL), bool(words & label_vocabulary.FAKE)]
    return NAMES[said.index(True)] if sum(said) == 1 else ""


def class_of_folder(name: str) -> int | None:
    """Return the class that a folder's name says: `REAL`, `1_fake`, `training_fake`, `AI-generated images`.

    A number alone says nothing, nor does a name with words of both classes, or with a word that is not known here.
    """
    words = [word for word in _words(name) if word not in _NEUTRAL and word not in _PARTS and not word.isdigit()]
    if words and all(word in label_vocabulary.FAKE for word in words):
        return tables.FAKE
    if words and all(word in label_vocabulary.REAL for word in words):
        return tables.REAL
    return None


def remedy(labels: Mapping[str, str] | None, paths: Iterable[str]) -> str:
    """Say what to do when no file is of a class.

    Args:
        labels: the patterns, if there are some.
        paths: of all files.
    """
    if labels is not None:
        names = [pattern for pattern in labels if "*" not in pattern]
        hint = f' (all files in a folder {names[0]} are "**/{names[0]}/**")' if names else ""
        return f"no path matches the patterns of labels in the catalog{hint}"
    numbers = {part for path in paths for part in path.split("/")[:-1]} & {"0", "1"}
    if numbers:
        return (
            f"a folder called {' or '.join(sorted(numbers))} does not say which is fake: write into the catalog "
            'labels: {"**/0/**": real, "**/1/**": fake}, or the other way round'
        )
    return (
        "no folder is called so, at any depth: say which folders hold which class with the key labels in the catalog, "
        "or name the files in a table"
    )


@functools.lru_cache(maxsize=4096)
def part_of(folder: str) -> str:
    """Return the part of a published split that the folders of a path name: train, val, test, or "" where none does.

    Raises:
        InputError: they name several.
    """
    named = {_part(part): part for part in folder.split("/") if _part(part)}
    if len(named) > 1:
        raise InputError(
            f"{folder}: {' and '.join(named.values())} are both parts of a published split; rename a folder, or remove "
            "splits from the catalog"
        )
    return next(iter(named), "")


def part_or_several(folder: str) -> str:
    """Return `part_of` a path's folders, or the word several."""
    try:
        return part_of(folder)
    except InputError:
        return "several"


@functools.lru_cache(maxsize=4096)
def is_aside(folder: str) -> bool:
    """Tell whether a folder is a part of a split or technical, so that it names neither a source nor a group."""
    return bool(_part(folder)) or folder.lower() in _TECHNICAL


def by_patterns(labels: Mapping[str, str]) -> Rule:
    """Label paths by patterns: `*` and `?` stand for letters of one name, `**` for any number of folders.

    Args:
        labels: patterns of paths below the raw folder, and the class.

    Returns:
        The rule. It raises an InputError for a path that patterns of both classes match.
    """
    compiled = [(pattern, CLASSES[name], expression(pattern)) for pattern, name in labels.items()]

    def rule(path: str) -> Labelled | None:
        path = composed(path)
        found = [(pattern, label, match) for pattern, label, regex in compiled if (match := regex.fullmatch(path))]
        if not found:
            return None
        # of several, that which leads to the outermost folder
        pattern, label, match = max(found, key=lambda each: len(each[2]["below"]))
        other = next((other for other, another, _ in found if another != label), None)
        if other is not None:
            raise InputError(
                f"{path}: labels: {pattern!r} says {NAMES[label]} and {other!r} says {NAMES[1 - label]}; "
                "change one of the patterns in the catalog"
            )
        return Labelled(label, pattern, tuple(match["below"].split("/")))

    return rule


def by_names(paths: Collection[str]) -> Rule:
    """Label paths by the outermost folder whose name says a class (`class_of_folder`).

    Args:
        paths: of all files; a folder that holds them all is called after the data set (`deepfake_dataset`).

    Returns:
        The rule. It raises an InputError for a path of which one folder says real and another fake.
    """
    ends = (composed(pick(paths, default="")).split("/")[:-1] for pick in (min, max))
    common = sum(1 for _ in itertools.takewhile(lambda pair: pair[0] == pair[1], zip(*ends, strict=False)))

    def rule(path: str) -> Labelled | None:
        *folders, name = composed(path).split("/")
        parts = tuple(folders[common:])
        found = _classes(parts)
        if not found:
            return None
        place, label = found[0]
        other = next((place for place, another in found if another != label), None)
        if other is not None:
            raise InputError(
                f"{path}: folder {parts[place]} says {NAMES[label]} and folder {parts[other]} says {NAMES[1 - label]}; "
                f"say which one counts with the key labels in the catalog, as "
                f'labels: {{"**/{parts[place]}/**": {NAMES[label]}, ...}}'
            )
        return Labelled(label, parts[place], (*parts[place + 1 :], name))

    return rule


@functools.lru_cache(maxsize=4096)
def _classes(folders: tuple[str, ...]) -> list[tuple[int, int]]:
    """Return the places of the folders that say a class, and the class; files of one folder follow one another."""
    return [(place, label) for place, name in enumerate(folders) if (label := class_of_folder(name)) is not None]


def by_top(path: str) -> Labelled | None:
    """Label a path by the folders `real` and `fake` at its top."""
    top, *below = composed(path).split("/")
    return Labelled(CLASSES[top], top, tuple(below)) if top in CLASSES and below else None


def _part(folder: str) -> str:
    """Return the part that a folder's name says: `train`, `test_set`, `training_fake`; "" for another name."""
    beside = _NEUTRAL | label_vocabulary.FAKE | label_vocabulary.REAL
    words = [word for word in _words(folder) if word not in beside and not word.isdigit()]
    return _PARTS.get(words[0], "") if len(words) == 1 else ""


def _words(name: str) -> list[str]:
    """Return the words of a folder's name in small letters; two that are one word here, as `bona fide`, are joined."""
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z])|(?<=\d)(?=[A-Za-z])|(?<=[A-Za-z])(?=\d)", " ", name)
    parts = [part for part in re.split(r"[\W_]+", spaced.casefold()) if part]
    words: list[str] = []
    for part in parts:
        if words and words[-1] + part in label_vocabulary.FAKE | label_vocabulary.REAL:
            words[-1] += part
        else:
            words.append(part)
    return words


def expression(pattern: str) -> re.Pattern[str]:
    """Translate a pattern of paths; its group `below` is what lies in the folder that the pattern leads to."""
    pattern = composed(pattern)
    *above, last = pattern.split("/")
    folders = "".join("(?:[^/]+/)*?" if part == "**" else f"{_name(part)}/" for part in above)
    return re.compile(f"{folders}(?P<below>{'.+' if last == '**' else _name(last)})", re.DOTALL)


def _name(part: str) -> str:
    """Translate the pattern of one name."""
    signs = {"*": "[^/]*", "?": "[^/]"}
    return "".join(signs.get(sign, re.escape(sign)) for sign in part)
