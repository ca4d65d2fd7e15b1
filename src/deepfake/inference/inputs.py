"""The files that somebody wants predicted: named one by one, by folders, or by patterns."""

import glob
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath

from deepfake.datasets import listing
from deepfake.errors import InputError

SUFFIXES = {
    *(".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".png", ".webp", ".bmp", ".dib", ".tif", ".tiff"),
    # what cannot be read is told
    *(".gif", ".avif", ".heic", ".heif", ".jp2", ".jxl"),
}
"""The endings of names that promise an image."""
_PATTERN = "*?["


@dataclass(frozen=True, slots=True)
class File:
    """A file that may be an image.

    Args:
        name: as the user would write it, printable.
        path: where it lies.
        size: in bytes.
        refused: why it is not to be read; empty when it may be.
        promised: whether it is answered or reported in any case: it was named, or its name promises an image. Others
            lie in a folder, and are passed over unless their content is an image.
    """

    name: str
    path: str
    size: int
    refused: str
    promised: bool


def find(paths: Sequence[str], here: Path) -> list[File]:
    """Return the files behind paths, each once.

    Folders are read at any depth and in order of names; hidden and system files are left out.

    Args:
        paths: files, folders, and patterns (`photos/**/*.jpg`) that no shell has expanded.
        here: where relative paths start from.

    Raises:
        InputError: a path leads nowhere, a pattern matches nothing, or a folder has no files.
    """
    found: dict[str, File] = {}
    for path in paths:
        before = 0
        for file in _behind(path, here):
            before += 1
            found.setdefault(os.path.realpath(file.path), file)
        if not before:
            raise InputError(f"{_printable(path)}: no files in it; name images, or a folder that holds some")
    return list(found.values())


def _behind(path: str, here: Path) -> Iterator[File]:
    """Yield the files behind one path."""
    if (here / path).is_dir():
        yield from _in_folder(path, here)
    elif os.path.lexists(here / path):
        yield _named(path, here)
    elif any(sign in path for sign in _PATTERN):
        matches = [match for match in sorted(glob.glob(path, root_dir=here, recursive=True)) if not _is_litter(match)]
        if not matches:
            raise InputError(f"{_printable(path)}: the pattern matches nothing below {here}")
        for match in matches:
            # `**` matches the folders and all that lies in them
            if not (here / match).is_dir():
                yield _named(match, here)
            elif "**" not in path:
                yield from _in_folder(match, here)
    else:
        raise InputError(f"{_printable(path)}: not found below {here}; name files, folders or patterns like 'a/*.jpg'")


def _named(path: str, here: Path) -> File:
    """Return a file that was named."""
    entry = listing.at(here, path)
    return File(_printable(path), str(here / path), entry.size, entry.refused, promised=True)


def _in_folder(path: str, here: Path) -> Iterator[File]:
    """Yield the files in a folder."""
    folder = Path(os.path.abspath(here / path))
    for entry in sorted(listing.in_folders(folder.parent, [folder.name]).entries, key=lambda entry: entry.path):
        below = PurePath(entry.path).relative_to(folder.name)
        promised = below.suffix.lower() in SUFFIXES
        if promised or not entry.refused:
            name = _printable(os.path.normpath(os.path.join(path, below)))
            yield File(name, str(folder / below), entry.size, entry.refused, promised)


def _is_litter(path: str) -> bool:
    return listing.is_litter(PurePath(path).name)


def _printable(name: str) -> str:
    """Return a name in which nothing moves a terminal's cursor, and no byte is no UTF-8."""
    return "".join(sign if sign.isprintable() else sign.encode("unicode_escape").decode() for sign in name)
