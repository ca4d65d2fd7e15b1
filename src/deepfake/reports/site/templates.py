"""The Jinja environment of the site: its layout and macros, and what they call."""

from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote

import jinja2
import pandas as pd
from markupsafe import Markup

from deepfake.project import paths
from deepfake.reports.columns import Table
from deepfake.reports.site import cells, files

PACKAGE = "deepfake.reports.site"
_BADGES = {
    **{"yes": "yes", "no": "no", "no, worse": "worse", "no difference": "same", "undecided": "open"},
    **{"better": "yes", "worse": "worse", "equivalent": "same", "shortcut": "yes", "no shortcut": "no"},
    **{"above chance": "yes", "at chance": "no", "not run": "none"},
}
"""The CSS classes of the badges of answers and of verdicts."""


def badge(answer: str) -> str:
    """Return the CSS class of an answer's badge, which gives it its colour and its sign; of other words, nothing."""
    return _BADGES.get(answer, "")


def up(path: str) -> str:
    """Return what leads from a page to reports/site: `../` for each folder it lies in."""
    return "../" * path.count("/")


def load(package: str, template: str, root: str, **more: Any) -> jinja2.Template:
    """Return a template of a page.

    Args:
        package: whose folder holds it.
        template: the file's name.
        root: what leads from the page to reports/site (`up`).
        more: other functions that it may call, and the macros that it imports.
    """
    return _environment(package).get_template(template, globals=_places(root) | more)


def macros(root: str) -> Any:
    """Return the macros of macros.html.j2 as functions, for pages that lie at one depth."""
    return load(PACKAGE, "macros.html.j2", root).make_module()


def _places(root: str) -> dict[str, Any]:
    """Return the functions by which a page links what lies elsewhere."""

    def report(file: Path) -> str:
        return f"{root}../{quote(file.relative_to(paths().reports).as_posix())}"

    return {
        "to": lambda target: root + quote(target, safe="/#"),
        "report": report,
        "picture": lambda name: files.picture(paths().figure(name)),
        "picture_file": lambda name: paths().figure(name),
        "photograph_file": lambda name: paths().photograph(name),
        "csv_file": lambda name: paths().table(name),
    }


@cache
def _environment(package: str) -> jinja2.Environment:
    """Return what finds the templates of a package, the layout and the macros."""
    shared = jinja2.PackageLoader(PACKAGE, "templates")
    environment = jinja2.Environment(
        loader=shared if package == PACKAGE else jinja2.ChoiceLoader([jinja2.PackageLoader(package, "."), shared]),
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
        autoescape=True,
    )
    environment.filters |= {
        "percent": "{:.0%}".format,
        "signed": "{:+.3f}".format,
        "three": "{:.3f}".format,
        "badge": badge,
    }
    environment.globals |= {"grid": _grid, "sort": _sort}
    return environment


def _grid(shown: Table | pd.DataFrame) -> cells.Grid:
    """Return the cells of a table as pages show it."""
    return cells.grid(shown.shown() if isinstance(shown, Table) else shown)


def _sort(text: str) -> Markup:
    """Return the attribute by which a cell is sorted as a number, if it is one."""
    key = cells.sort_key(text)
    return Markup("") if key is None else Markup(' data-sort="{}"').format(key)
