"""Which files a process and those that it forks open: an audit hook, which no file that Python opens escapes.

What libraries open by themselves, without Python, is not seen: here the weights in checkpoints (safetensors).
"""

import os
import sys
from pathlib import Path
from typing import NamedTuple


class Opened(NamedTuple):
    """What was opened below a folder, relative to it."""

    read: set[str]
    written: set[str]


_log: int | None = None


def install(log: Path) -> None:
    """Append every file that is opened to a log, for as long as the process lives."""
    global _log
    before, _log = _log, os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    if before is None:
        sys.addaudithook(_hook)
    else:
        os.close(before)


def in_processes(folder: Path, log: Path) -> str:
    """Return the PYTHONPATH with which other Pythons, as kernels of notebooks are, append what they open to a log, too.

    Args:
        folder: an empty one, for what a Python imports when it starts.
        log: the log.
    """
    folder.mkdir()
    lines = ("import sys", f"sys.path.append({str(Path(__file__).parent)!r})", "import tracing")
    lines += ("from pathlib import Path", f"tracing.install(Path({str(log)!r}))")
    (folder / "sitecustomize.py").write_text("\n".join(lines))
    return os.pathsep.join(filter(None, [str(folder), os.environ.get("PYTHONPATH")]))


def _hook(event: str, arguments: tuple) -> None:
    if event != "open" or _log is None:
        return
    path, mode, flags = arguments
    if isinstance(path, (str, bytes, os.PathLike)):
        writes = any(letter in mode for letter in "wax+") if mode else bool(flags & (os.O_WRONLY | os.O_RDWR))
        line = f"{'w' if writes else 'r'} {os.path.abspath(os.fsdecode(path))}\n"
        os.write(_log, line.encode(errors="surrogateescape"))  # one write a line: processes share the log


def opened(log: Path, root: Path) -> Opened:
    """Return what a log tells of the files below a folder that are still there."""
    found = Opened(set(), set())
    for line in log.read_text().splitlines():
        kind, _, name = line.partition(" ")
        path = Path(name)
        if path.is_relative_to(root) and path.is_file():
            (found.read if kind == "r" else found.written).add(path.relative_to(root).as_posix())
    return found


if __name__ == "__main__":  # python tracing.py LOG ARGUMENTS...: a command of the program in a process of its own
    install(Path(sys.argv[1]))
    from deepfake.cli import main

    main(sys.argv[2:])
