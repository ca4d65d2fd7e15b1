"""The bytes of a data set's files, or why a file has none."""

import itertools
import lzma
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from deepfake.datasets.layouts.adapters import RawFile


def read(raw: Path, files: Sequence[RawFile]) -> Iterator[tuple[RawFile, bytes | str]]:
    """Yield each file with its bytes, or with the reason why there are none.

    Archives are read in place and never unpacked, so no member can escape its folder.

    Args:
        raw: the folder that archives and paths start from.
        files: the files in any order; an archive is opened once as long as its files follow one another.
    """
    for archive, members in itertools.groupby(files, key=lambda file: file.archive):
        if not archive:
            for file in members:
                yield file, file.refused or _loose(raw / file.path)
            continue
        with zipfile.ZipFile(raw / archive) as opened:
            for file in members:
                yield file, file.refused or _member(opened, file.path)


def _loose(path: Path) -> bytes | str:
    """Return a file's bytes, or why it cannot be read."""
    try:
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
