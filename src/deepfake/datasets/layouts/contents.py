"""The bytes of a data set's files, or why a file has none."""

import hashlib
import itertools
import lzma
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from deepfake.datasets.layouts.adapters import RawFile
from deepfake.modalities.base import Medium


def read(raw: Path, files: Sequence[RawFile], *, streamed: bool = False) -> Iterator[tuple[RawFile, Medium | str]]:
    """Yield each file with its bytes or its path, or with the reason why it cannot be read.

    Archives are read in place and never unpacked, so no member can escape its folder.

    Args:
        raw: the folder that archives and paths start from.
        files: the files in any order; an archive is opened once as long as its files follow one another.
        streamed: whether loose files are handed on as paths, and not read into memory.
    """
    for archive, members in itertools.groupby(files, key=lambda file: file.archive):
        if not archive:
            for file in members:
                yield file, file.refused or _loose(raw / file.path, streamed)
            continue
        with zipfile.ZipFile(raw / archive) as opened:
            for file in members:
                yield file, file.refused or _member(opened, file.path)


def digest(medium: Medium) -> str:
    """Return the SHA-256 of a file."""
    if isinstance(medium, bytes):
        return hashlib.sha256(medium).hexdigest()
    with medium.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _loose(path: Path, streamed: bool) -> Medium | str:
    """Return a file's bytes or its path, or why it cannot be read."""
    try:
        if streamed:
            path.open("rb").close()
            return path
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
