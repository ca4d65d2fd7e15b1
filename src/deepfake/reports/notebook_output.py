"""What stands below a notebook's cell, as HTML and as text, and its copy in the notebook's folder."""

import shutil
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Any

import jinja2
import pandas as pd
from PIL import Image

from deepfake import tables
from deepfake.errors import InputError
from deepfake.project import STUDIES, paths
from deepfake.reports.columns import Table

INDEX = "index.csv"
"""What lies in that folder, in the order of the cells."""
_STAGES = {
    **dict.fromkeys(("gradcam", "hard", "feature"), "explain"),
    **dict.fromkeys(("views", "augmentation"), "conditions"),
    "sample": "sample",
}
"""The stage that makes a picture, by how its name begins, where it does not begin with its study."""


_WIDEST = 1600
"""Pixels that a photograph is shown with; the copy beside the notebook has them all."""


@dataclass
class _Notebook:
    """The notebook that is open: where it saves, and what it has shown."""

    folder: Path | None = None
    shown: dict[tuple[str, str, str], list[str]] = field(default_factory=dict)


_notebook = _Notebook()


def open_in(folder: Path) -> None:
    """Save what is shown from now on in a folder."""
    _notebook.folder = folder
    _notebook.shown = {}


def not_run(name: str, caption: str) -> None:
    """Say that something was not made, and what makes it; not every preset makes all that a study can show.

    Args:
        name: of what was not made, which begins with that of its study.
        caption: what it would show.
    """
    known = max((begin for begin in (*STUDIES, *_STAGES) if name.startswith(begin)), key=len, default=name)
    ran = any(paths().results(name).glob("*.csv"))
    said = "Not among these results (not every preset makes it)" if ran else "Not run. Make it by"
    note(said, f"dvc repro {_STAGES.get(known, known)}", caption)


def note(said: str, command: str, caption: str) -> None:
    """Show a line instead of something: what is to be said, a command that helps or "", and what would be shown."""
    _display(_cells().note(said, command, caption), " ".join(filter(None, (said, command))) + f": {caption}")


def picture(there: list[Path], kind: str, name: str, caption: str, data: list[Path]) -> None:
    """Show a picture, and save it.

    Args:
        there: the files that show it, the best first; none: it was not made.
        kind: figure or photograph.
        name: of the picture.
        caption: what it shows.
        data: what it was drawn from, which is saved too.
    """
    if not there:
        return not_run(name, caption + (" (photographs are not committed)" if kind == "photograph" else ""))
    for path in (*there, *data):
        with tables.atomic(_saved(kind, name, caption, path.suffix)) as temporary:
            shutil.copyfile(path, temporary)
    _display(_cells().picture(_embedded(there[0], kind), kind, caption), f"[{caption}]")


def _embedded(path: Path, kind: str) -> str:
    """Return a picture as an address that holds all of it; photographs as JPEG, a tenth of a PNG's size."""
    media, data = {".svg": "image/svg+xml", ".png": "image/png"}[path.suffix], path.read_bytes()
    if kind == "photograph":
        with Image.open(path) as picture, BytesIO() as stream:
            shown = picture.convert("RGB")
            shown.thumbnail((_WIDEST, shown.height))
            shown.save(stream, "JPEG", quality=80)
            media, data = "image/jpeg", stream.getvalue()
    return f"data:{media};base64,{b64encode(data).decode()}"


def table(shown: Table, name: str, caption: str, more: Sequence[Sequence[str]] = ()) -> None:
    """Show a table, with rows of text below its own, and save its numbers."""
    tables.write_csv(shown.csv(), _saved("table", name, caption, ".csv"))
    cells = shown.shown()
    rows = [*cells.itertuples(index=False, name=None), *more]
    _display(_cells().table(list(cells), rows, caption), f"{caption}\n\n{shown.markdown()}")


def sentences(said: list[tuple[str, str]], name: str, caption: str) -> None:
    """Show sentences, each with its figures or "", and save them."""
    text = "\n".join(f"- {sentence}" + (f" ({figures})" if figures else "") for sentence, figures in said)
    tables.write_text(text + "\n", _saved("sentences", name, caption, ".md"))
    _display(_cells().sentences(said), text)


def _saved(kind: str, name: str, caption: str, suffix: str) -> Path:
    """Return where to save what is shown, and put it down in the index; shown again, it takes the same place."""
    if _notebook.folder is None:
        raise InputError("no notebook is open; its first cell calls start(name)")
    key = (kind, name, caption)
    number = [*_notebook.shown, key].index(key) + 1
    file = f"{number:02d}_{name}{suffix}"
    listed = _notebook.shown.setdefault(key, [])
    if file not in listed:
        listed.append(file)
    rows = [(*key, one) for key, files in _notebook.shown.items() for one in files]
    tables.write_csv(pd.DataFrame(rows, columns=["kind", "name", "caption", "file"]), _notebook.folder / INDEX)
    return _notebook.folder / file


@cache
def _cells() -> "Any":
    """Return the macros that write cells as HTML; what they are given is escaped."""
    loader = jinja2.PackageLoader("deepfake.reports", "templates")
    environment = jinja2.Environment(loader=loader, autoescape=True, undefined=jinja2.StrictUndefined)
    return environment.get_template("notebook_cells.html.j2").module


def _display(html: str, text: str) -> None:
    """Show something under the cell: rich where it can be, plain elsewhere."""
    from IPython.display import display

    display({"text/html": str(html), "text/plain": text}, raw=True)
