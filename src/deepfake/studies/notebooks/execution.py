"""Executing the notebooks: scripts in jupytext's percent format, each in a kernel of this very Python."""

import asyncio
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import jupytext
import nbformat
from jupyter_client.kernelspec import KernelSpec, KernelSpecManager
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient
from nbclient.exceptions import CellControlSignal, CellTimeoutError

import deepfake
from deepfake import tables
from deepfake.errors import InputError, unknown
from deepfake.project import paths
from deepfake.reports.notebook import RESULTS_VARIABLE
from deepfake.studies.notebooks import page
from deepfake.synthetic.archives import replacing

AT_A_TIME = 2
"""Kernels side by side: each waits for its imports most of the time."""
TIMEOUT = 300
"""Seconds that a cell may take; it reads tables, so one that takes longer hangs."""
_LONGEST = 200
"""Characters of a cell's error that are said."""


class _ThisPython(KernelSpecManager):
    """Finds one kernel, that of the Python that runs this: whatever is installed for the user is not asked."""

    def get_kernel_spec(self, kernel_name: str) -> KernelSpec:
        """Return how to start it."""
        command = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
        return KernelSpec(argv=command, display_name="Python 3", language="python", name=kernel_name)


class _Died(InputError):
    """A kernel died, most likely for lack of memory, so no other is worth a try."""


class _Loop(asyncio.SelectorEventLoop):
    """Leaves signals alone: nbclient's own handlers would stop one kernel, and the rest would go on."""

    def add_signal_handler(self, sig: int, callback: Callable[..., object], *args: Any) -> None:
        """Do nothing: Ctrl-C cancels all, and each kernel is stopped."""

    def remove_signal_handler(self, sig: int) -> bool:
        """Do nothing."""
        return False


def names(wanted: Iterable[str]) -> list[str]:
    """Return the notebooks that are asked for, or all of them, in order.

    Raises:
        InputError: there is none of a name, or none at all.
    """
    folder = paths().notebook("*").parent
    known = sorted(path.stem for path in folder.glob("[0-9]*.py"))
    if not known:
        raise InputError(f"{folder}: no notebook (NN_name.py); get the folder from the repository")
    for name in wanted:
        if name not in known:
            raise InputError(f"{folder}: {unknown('notebook', name, known)}")
    return [name for name in known if name in set(wanted)] if wanted else known


def run(wanted: list[str], tell: Callable[[str, int, int], None]) -> None:
    """Execute notebooks and write each, its page and what it shows: all of a notebook or nothing.

    Args:
        wanted: their names.
        tell: called with a title, how many are done, and of how many.

    Raises:
        InputError: a cell failed; the notebooks that did not are written all the same.
    """
    with tempfile.TemporaryDirectory(prefix="deepfake-") as scratch, asyncio.Runner(loop_factory=_Loop) as runner:
        failed = runner.run(_all(wanted, Path(scratch), tell))
    if failed:
        raise failed[0]


async def _all(wanted: list[str], scratch: Path, tell: Callable[[str, int, int], None]) -> list[InputError]:
    """Execute notebooks, some side by side, and return what went wrong, in their order."""
    places = asyncio.Semaphore(AT_A_TIME)
    done = 0

    async def one(name: str) -> InputError | None:
        nonlocal done
        async with places:
            try:
                await _one(name, scratch / name)
            except _Died:
                raise
            except InputError as error:
                return error
            finally:
                done += 1
                tell("notebooks", done, len(wanted))
        return None

    found = await asyncio.gather(*(one(name) for name in wanted))
    return [error for error in found if error is not None]


async def _one(name: str, scratch: Path) -> None:
    """Execute one notebook and write it."""
    (scratch / "results").mkdir(parents=True)
    notebook = read(name)
    await _execute(name, notebook, scratch)
    html = page.render(name, notebook)
    with replacing(paths().executed_notebook(name)) as folder:
        shutil.copytree(scratch / "results", folder, dirs_exist_ok=True)
    tables.write_text(html, paths().executed_notebook(name).with_suffix(".html"))
    tables.write_text(nbformat.writes(notebook) + "\n", paths().executed_notebook(name).with_suffix(".ipynb"))


def read(name: str) -> nbformat.NotebookNode:
    """Read a notebook's script; its cells have their numbers for names, so that a notebook has the same bytes again.

    Raises:
        InputError: it cannot be read.
    """
    path = paths().notebook(name)
    try:
        notebook = jupytext.read(path, fmt="py:percent")
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: not a notebook: {' '.join(str(error).split())[:_LONGEST]}") from None
    for number, cell in enumerate(notebook.cells, 1):
        cell.id = f"cell-{number:02d}"
    return notebook


async def _execute(name: str, notebook: nbformat.NotebookNode, scratch: Path) -> None:
    """Execute a notebook's cells in place, with the project's folder as the working directory."""
    root = paths().root.resolve()
    manager = AsyncKernelManager(
        kernel_spec_manager=_ThisPython(),
        kernel_name="python3",
        transport="ipc",  # no port that two kernels could both take, and nothing that others could reach
        connection_file=str(scratch / "kernel.json"),
    )
    begun: list[int] = []
    client = NotebookClient(
        notebook,
        km=manager,
        timeout=TIMEOUT,
        record_timing=False,
        on_cell_start=lambda cell, cell_index: begun.append(cell_index),
    )
    try:
        await client.async_execute(cwd=str(root), env=_environment(scratch))
    except CellControlSignal as error:
        raise InputError(_failure(name, notebook, begun, error)) from None
    except RuntimeError as error:  # a kernel that died, or did not come up
        raise _Died(_failure(name, notebook, begun, error)) from None
    finally:
        if client.kc is not None:
            client.kc.stop_channels()
        if manager.has_kernel:
            await manager.shutdown_kernel(now=True)
        client.km = manager  # where it was interrupted nbclient has lost it, and would fail at exit
    # without the version of Python, and whatever else differs between machines
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    notebook.metadata = nbformat.from_dict({"kernelspec": kernel})


def _environment(scratch: Path) -> dict[str, str]:
    """Return a kernel's environment: this package, and no file of the user's read or written."""
    package = str(Path(deepfake.__file__).resolve().parents[1])
    found = os.pathsep.join(filter(None, [package, os.environ.get("PYTHONPATH")]))
    own = {"IPYTHONDIR": str(scratch / "ipython"), "PYTHONPATH": found}
    return dict(os.environ) | own | {RESULTS_VARIABLE: str(scratch / "results")}


def _failure(name: str, notebook: nbformat.NotebookNode, begun: list[int], error: Exception) -> str:
    """Return in one line which cell failed, the last that had begun, and how."""
    cell: Any = notebook.cells[begun[-1]] if begun else {}
    remedy = "fix the cell"
    if raised := [output for output in cell.get("outputs", []) if output.output_type == "error"]:
        what = f"{raised[0].ename}: {raised[0].evalue}"
    elif isinstance(error, CellTimeoutError):
        what = f"took longer than {TIMEOUT} s"
    else:
        what, remedy = str(error), "run it again, with more memory if it was killed"
    where = f"cell {begun[-1] + 1} ({_first_line(cell)})" if begun else "its kernel"
    return f"{paths().notebook(name)}: {where}: {_short(what)}; {remedy}"


def _first_line(cell: Any) -> str:
    return _short(str(cell.source).splitlines()[0], 60)


def _short(text: str, longest: int = _LONGEST) -> str:
    line = " ".join(text.split())
    return line if len(line) <= longest else line[: longest - 1] + "…"
