"""What lies in folders and in zip archives: each file and its size, or why it is not to be read."""

import os
import re
import stat
import zipfile
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from deepfake.errors import InputError

_LITTER = {"__macosx", "thumbs.db", "desktop.ini"}
_DRIVE = re.compile("[A-Za-z]:")


@dataclass(frozen=True, slots=True)
class Entry:
    """A file as it stands in a folder or an archive.

    Args:
        path: below the folder, or inside the archive.
        size: bytes; of an archive's member, once it is unpacked.
        refused: why it is not to be read; empty when it may be.
    """

    path: str
    size: int
    refused: str = ""


class Listing(NamedTuple):
    """The files found, and the number of names passed over because operating systems leave them everywhere."""

    entries: list[Entry]
    litter: int


def is_litter(name: str) -> bool:
    """Tell whether a file or folder is hidden or one that an operating system makes by itself."""
    return name.startswith(".") or name.lower() in _LITTER


def in_archive(path: Path, obtain: str) -> Listing:
    """List the files of a zip archive; nothing is unpacked.

    Args:
        path: the archive.
        obtain: how one gets it, for the message.

    Raises:
        InputError: it is not a readable zip archive.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            members = [member for member in archive.infolist() if not member.is_dir()]
    except (zipfile.BadZipFile, NotImplementedError) as error:
        raise InputError(f"{path}: not a readable zip archive ({error}); obtain it again: {obtain}") from None
    entries = [Entry(member.filename, member.file_size, _refusal(member)) for member in members]
    wanted = [entry for entry in entries if entry.refused or not any(map(is_litter, PurePosixPath(entry.path).parts))]
    return Listing(wanted, len(entries) - len(wanted))


def _refusal(member: zipfile.ZipInfo) -> str:
    """Return why a member is not to be read: it would not stay below the folder that it is unpacked into."""
    name = member.filename
    if name.startswith(("/", "\\")) or _DRIVE.match(name) or ".." in re.split(r"[/\\]", name):
        return "its path leaves the archive"
    if "\\" in name:
        return "backslashes in its path; pack the archive again with / between folders"
    if stat.S_ISLNK(member.external_attr >> 16):
        return "a link in the archive"
    return ""


def in_folders(root: Path, names: Iterable[str]) -> Listing:
    """List the files below some folders, at any depth and through links.

    A folder is listed once, however many links lead to it, so that a loop of links ends.

    Args:
        root: where the folders lie; the paths of the entries start from it.
        names: the folders.
    """
    entries: list[Entry] = []
    litter = 0
    listed = {root.resolve(): root.name}
    waiting = deque(PurePosixPath(name) for name in names)
    while waiting:
        folder = waiting.popleft()
        real = (root / folder).resolve()
        if real in listed:
            entries.append(Entry(str(folder), 0, f"a link to {listed[real]}, which is read already"))
            continue
        listed[real] = str(folder)
        for item in sorted(os.scandir(root / folder), key=lambda item: item.name):
            if is_litter(item.name):
                litter += 1
                continue
            entry = _entry(item, str(folder / item.name))
            if entry is not None:
                entries.append(entry)
            elif item.is_symlink():
                waiting.append(folder / item.name)
            else:
                # before the links, so that a folder is listed under its own name
                waiting.appendleft(folder / item.name)
    return Listing(entries, litter)


def _entry(item: os.DirEntry[str], path: str) -> Entry | None:
    """Return the entry of a directory's item, or nothing when it is a folder."""
    try:
        found = item.stat()
    except OSError:
        if not item.is_symlink():
            raise
        return Entry(_printable(path), 0, "a link that leads nowhere")
    if path != _printable(path):
        return Entry(_printable(path), 0, "its name is not UTF-8")
    if stat.S_ISDIR(found.st_mode):
        return None
    return Entry(path, found.st_size, "" if stat.S_ISREG(found.st_mode) else "not a regular file")


def at(root: Path, path: str) -> Entry:
    """Return the file at a path that somebody wrote down."""
    try:
        found = (root / path).stat()
    except OSError as error:
        return Entry(path, 0, "file not found" if isinstance(error, FileNotFoundError) else f"{error.strerror}")
    return Entry(path, found.st_size, "" if stat.S_ISREG(found.st_mode) else "not a regular file")


def _printable(path: str) -> str:
    """Return a path that can be written to a table: bytes that are no UTF-8 become escapes."""
    return path.encode("utf-8", "backslashreplace").decode()
