"""The files that somebody wants predicted: named one by one, by folders, or by patterns."""

import glob
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath

from deepfake import modalities
from deepfake.datasets.layouts import kinds, listing
from deepfake.errors import InputError

WANTED = "name images, clips or recordings, or a folder that holds some"
_PATTERN = "*?["
_SHOWN = 6
"""Endings of names that a message shows."""


@dataclass(frozen=True, slots=True)
class File:
    """A file that may be an image, a clip or a recording.

    Args:
        name: as the user would write it, printable.
        path: where it lies.
        size: in bytes.
        refused: why it is not to be read; empty when it may be.
        promised: whether it is answered or reported in any case: it was named, or its name promises a medium. Others
            lie in a folder, and are passed over unless their content is one.
    """

    name: str
    path: str
    size: int
    refused: str
    promised: bool


def find(paths: Sequence[str], here: Path, *, recursive: bool = True) -> list[File]:
    """Return the files behind paths, each once.

    Folders are read in order of names; hidden and system files are left out.

    Args:
        paths: files, folders, and patterns (`photos/**/*.jpg`) that no shell has expanded.
        here: where relative paths start from.
        recursive: whether to read folders at any depth, or what lies right in them.

    Raises:
        InputError: a path leads nowhere, a pattern matches nothing, or a folder has no files.
    """
    found: dict[str, File] = {}
    for path in paths:
        before = 0
        for file in _behind(path, here, recursive):
            before += 1
            found.setdefault(os.path.realpath(file.path), file)
        if not before:
            deeper = "" if recursive else ", or read the folders in it with --recursive"
            raise InputError(f"{printable(path)}: no files in it; {WANTED}{deeper}")
    return list(found.values())


def described(names: Iterable[str]) -> str:
    """Return how many files of which kind there are, by their names: "2 clips (.mov, .mp4), 1 other file (.txt)"."""
    counts: Counter[str] = Counter()
    suffixes: dict[str, set[str]] = {}
    for name in names:
        kind = promise(name)
        counts[kind] += 1
        suffixes.setdefault(kind, set()).add(PurePath(name).suffix.lower() or "no ending")
    return ", ".join(
        f"{counted(counts[kind], modalities.load(kind).FILE if kind else 'other file')} ({_some(suffixes[kind])})"
        for kind in (*modalities.MODALITIES, "")
        if kind in counts
    )


def promise(name: str) -> str:
    """Return the modality that a name's ending promises, or nothing."""
    kind = kinds.of(name)
    return kind if kind in modalities.MODALITIES else ""


def counted(count: int, noun: str) -> str:
    """Return a number of things: "2 clips"."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def _some(suffixes: set[str]) -> str:
    """Return the first few endings."""
    shown = sorted(suffixes)
    return ", ".join(shown[:_SHOWN] + ["..."] * (len(shown) > _SHOWN))


def _behind(path: str, here: Path, recursive: bool) -> Iterator[File]:
    """Yield the files behind one path."""
    if (here / path).is_dir():
        yield from _in_folder(path, here, recursive)
    elif os.path.lexists(here / path):
        yield _named(path, here)
    elif any(sign in path for sign in _PATTERN):
        matches = [match for match in sorted(glob.glob(path, root_dir=here, recursive=True)) if not _is_litter(match)]
        if not matches:
            raise InputError(f"{printable(path)}: the pattern matches nothing below {here}")
        for match in matches:
            # `**` matches the folders and all that lies in them
            if not (here / match).is_dir():
                yield _named(match, here)
            elif "**" not in path:
                yield from _in_folder(match, here, recursive)
    else:
        raise InputError(f"{printable(path)}: not found below {here}; name files, folders or patterns like 'a/*.jpg'")


def _named(path: str, here: Path) -> File:
    """Return a file that was named."""
    entry = listing.at(here, path)
    return File(printable(path), str(here / path), entry.size, entry.refused, promised=True)


def _in_folder(path: str, here: Path, recursive: bool) -> Iterator[File]:
    """Yield the files in a folder."""
    folder = Path(os.path.abspath(here / path))
    for entry in sorted(listing.in_folders(folder.parent, [folder.name]).entries, key=lambda entry: entry.path):
        below = PurePath(entry.path).relative_to(folder.name)
        promised = bool(promise(below.name))
        if (promised or not entry.refused) and (recursive or len(below.parts) == 1):
            name = printable(os.path.normpath(os.path.join(path, below)))
            yield File(name, str(folder / below), entry.size, entry.refused, promised)


def _is_litter(path: str) -> bool:
    return listing.is_litter(PurePath(path).name)


def printable(name: str) -> str:
    """Return a name in which nothing moves a terminal's cursor, and no byte is no UTF-8."""
    return "".join(sign if sign.isprintable() else sign.encode("unicode_escape").decode() for sign in name)
