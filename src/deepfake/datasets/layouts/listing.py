"""What lies in folders and in zip archives: each file and its size, or why it is not to be read."""

import os
import re
import stat
import unicodedata
import zipfile
from collections import Counter, deque
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from deepfake.errors import InputError

_THUMBNAILS = {"@eadir", ".thumbnails", ".@__thumb"}
"""Folders of small copies that network drives and desktops make: an image in them is no sample."""
_LITTER = {
    *("__macosx", "thumbs.db", "ehthumbs.db", "ehthumbs_vista.db", "desktop.ini"),
    *("#recycle", "$recycle.bin", "system volume information", "lost+found"),
}
_KINDS_SHOWN = 5
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


@dataclass(slots=True)
class Passed:
    """What is passed over because nobody meant it as a sample; none of it is opened.

    Args:
        hidden: hidden and system files and folders.
        thumbnails: folders of small copies.
        others: files of other kinds, as captions and tables, by suffix.
        unlabelled: files without a label, by the topmost folder that they lie in, or by what does not name them.
    """

    hidden: int = 0
    thumbnails: int = 0
    others: Counter[str] = field(default_factory=Counter)
    unlabelled: Counter[str] = field(default_factory=Counter)

    def add(self, more: "Passed") -> None:
        """Count what was passed over elsewhere as well."""
        self.hidden += more.hidden
        self.thumbnails += more.thumbnails
        self.others += more.others
        self.unlabelled += more.unlabelled

    def __str__(self) -> str:
        """Return the counts in words; empty when nothing was passed over."""
        told = [
            _counted(self.others.total(), "other file", "other files", self.others),
            _counted(
                self.unlabelled.total(),
                "file without a label",
                "files without a label",
                self.unlabelled,
            ),
            _counted(self.thumbnails, "thumbnail folder", "thumbnail folders"),
            _counted(self.hidden, "hidden or system file", "hidden or system files"),
        ]
        *first, last = [words for words in told if words] or [""]
        return f"{', '.join(first)} and {last}" if first else last


def _counted(number: int, one: str, several: str, kinds: Counter[str] | None = None) -> str:
    """Return `3 files (2 .txt, 1 .json)`; empty for none."""
    if not number:
        return ""
    shown = [
        f"{count:,} {kind}"
        for kind, count in sorted((kinds or {}).items(), key=lambda each: (-each[1], each[0]))[:_KINDS_SHOWN]
    ]
    more = ", ..." if kinds and len(kinds) > _KINDS_SHOWN else ""
    return f"{number:,} {one if number == 1 else several}" + (f" ({', '.join(shown)}{more})" if shown else "")


class Listing(NamedTuple):
    """The files found, and what was passed over because operating systems leave it everywhere."""

    entries: list[Entry]
    passed: Passed


def is_litter(name: str) -> bool:
    """Tell whether a file or folder is hidden or one that an operating system makes by itself."""
    return name.startswith(".") or name.lower() in _LITTER or name.lower() in _THUMBNAILS


def composed(name: str) -> str:
    """Return a name in Unicode's composed form (NFC): a Mac may store `ü` as two characters, a table writes one."""
    return name if name.isascii() else unicodedata.normalize("NFC", name)


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
    entries: list[Entry] = []
    passed, thumbnails = Passed(), set()
    for member in members:
        refusal, parts = _refusal(member), PurePosixPath(member.filename).parts
        where = next((place for place, name in enumerate(parts) if is_litter(name)), None)
        if refusal or where is None:
            entries.append(Entry(member.filename, member.file_size, refusal))
        elif parts[where].lower() in _THUMBNAILS:
            thumbnails.add(parts[: where + 1])
        else:
            passed.hidden += 1
    passed.thumbnails = len(thumbnails)
    return Listing(entries, passed)


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
        names: the folders; "" is the root itself.
    """
    names = list(names)
    entries: list[Entry] = []
    passed = Passed()
    listed = {} if "" in names else {root.resolve(): root.name}
    waiting = deque(PurePosixPath(name) for name in names)
    while waiting:
        folder = waiting.popleft()
        real = (root / folder).resolve()
        if real in listed:
            entries.append(Entry(str(folder), 0, f"a link to {listed[real]}, which is read already"))
            continue
        listed[real] = str(folder) if folder != PurePosixPath() else root.name
        above = "" if folder == PurePosixPath() else f"{folder}/"
        for item in sorted(os.scandir(root / folder), key=lambda item: item.name):
            if is_litter(item.name):
                if item.name.lower() in _THUMBNAILS:
                    passed.thumbnails += 1
                else:
                    passed.hidden += 1
                continue
            entry = _entry(item, above + item.name)
            if entry is not None:
                entries.append(entry)
            elif item.is_symlink():
                waiting.append(folder / item.name)
            else:
                # before the links, so that a folder is listed under its own name
                waiting.appendleft(folder / item.name)
    return Listing(entries, passed)


def beside(root: Path, names: Collection[str]) -> list[Entry]:
    """List the files below a folder that are not in some of its folders.

    Args:
        root: the folder; the paths of the entries start from it.
        names: its folders that are left out.
    """
    items = [item for item in os.scandir(root) if item.name not in names and not is_litter(item.name)]
    entries = [(item.name, _entry(item, item.name)) for item in sorted(items, key=lambda item: item.name)]
    below = in_folders(root, [name for name, entry in entries if entry is None]).entries
    return [*(entry for _, entry in entries if entry is not None), *below]


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
    """Return the file at a path that somebody wrote down; its name may be stored in another form of Unicode."""
    path = stored(root, path)
    try:
        found = (root / path).stat()
    except OSError as error:
        return Entry(path, 0, "file not found" if isinstance(error, FileNotFoundError) else f"{error.strerror}")
    return Entry(path, found.st_size, "" if stat.S_ISREG(found.st_mode) else "not a regular file")


def stored(root: Path, path: str) -> str:
    """Return a path as the file system spells it, where that differs in the form of Unicode only (`composed`).

    Args:
        root: where the path starts.
        path: as somebody wrote it, with / between folders.
    """
    if path.isascii() or os.path.lexists(root / path):
        return path
    found = PurePosixPath()
    for part in PurePosixPath(path).parts:
        forms = (part, *(unicodedata.normalize(form, part) for form in ("NFC", "NFD")))
        found /= next((form for form in forms if os.path.lexists(root / found / form)), part)
    return str(found)


def _printable(path: str) -> str:
    """Return a path that can be written to a table: bytes that are no UTF-8 become escapes."""
    return path.encode("utf-8", "backslashreplace").decode()
