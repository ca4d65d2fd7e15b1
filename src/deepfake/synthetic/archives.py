"""Write what is shipped as a folder of zip archives or loose files: reproducible bytes, whole or not at all."""

import os
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def write_zip(members: dict[str, bytes], path: Path) -> None:
    """Write a zip archive whose bytes depend on nothing but its members: sorted, stored, without a time."""
    with path.open("wb") as file:
        with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
            for name in sorted(members):
                info = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
                info.create_system, info.external_attr = 3, 0o100644 << 16  # as on any Unix
                archive.writestr(info, members[name])
        file.flush()
        os.fsync(file.fileno())


def write_files(files: dict[str, bytes], folder: Path) -> None:
    """Write files by their paths below a folder."""
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())


@contextmanager
def replacing(destination: Path) -> Iterator[Path]:
    """Give an empty folder that takes the destination's place when the block ends well.

    Until then, and when the block raises, the destination stays as it was.
    """
    destination.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{destination.name}.", dir=destination.parent) as temporary:
        folder = Path(temporary) / "new"
        folder.mkdir()
        yield folder
        if destination.exists():
            destination.rename(Path(temporary) / "old")
        folder.rename(destination)
