"""The pages of the site, rendered from Jinja templates with autoescape; each package's lie in its own folder."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any
from urllib.parse import quote

import jinja2
import pandas as pd
from markupsafe import Markup

from deepfake import tables
from deepfake.project import paths
from deepfake.reports.columns import Table
from deepfake.reports.site import cells, files

_SHARED = "deepfake.reports.site"
ASSETS = ("style.css", "sort.js")
_MARKS = {"yes": "yes", "no": "no", "no, worse": "worse", "no difference": "same", "undecided": "open"}
"""The CSS class of an answer's badge; others are `none`."""


@dataclass(frozen=True)
class Entry:
    """An entry of the navigation.

    Args:
        title: what stands there.
        path: the page below reports/site, or "" for what was not run.
    """

    title: str
    path: str


@dataclass(frozen=True)
class Navigation:
    """The navigation that all pages share: groups of entries by their headings."""

    groups: dict[str, Sequence[Entry]]


NOWHERE = Navigation({})


def page(
    path: str,
    package: str,
    template: str,
    *,
    title: str,
    navigation: Navigation = NOWHERE,
    crumbs: Sequence[Entry] = (),
    **values: Any,
) -> None:
    """Render a page inside the layout, and write it, whole or not at all.

    The template begins with `{% extends "layout.html.j2" %}{% import "macros.html.j2" as show %}` and fills the block
    `main`, which begins with the page's only `<h1>`. Its links are `{{ to("models/x.html") }}`, from reports/site.

    Args:
        path: of the page below reports/site, for example `runs/custom.html`.
        package: whose folder holds the template.
        template: the file's name.
        title: of the page, without markup.
        navigation: that all pages share.
        crumbs: the pages above this one, below the start page.
        values: what the template shows.
    """
    tables.write_text(
        render(path, package, template, title=title, navigation=navigation, crumbs=crumbs, **values),
        paths().site / path,
    )


def render(path: str, package: str, template: str, **values: Any) -> str:
    """Return a page as `page` writes it."""
    shown = {"navigation": NOWHERE, "crumbs": (), "path": path} | values
    found = _environment(package).get_template(template, globals=_places(path))
    # without the spaces in which templates are indented: a third of a large table
    lines = (line.strip() for line in found.render(**shown).splitlines())
    return "\n".join(line for line in lines if line) + "\n"


def macros(path: str) -> Any:
    """Return the macros of macros.html.j2 for one page, for what is not rendered from a template (`markdown`)."""
    return _environment(_SHARED).get_template("macros.html.j2", globals=_places(path)).make_module()


def write_assets() -> None:
    """Write style sheet and script beside the pages."""
    for name in ASSETS:
        text = resources.files(_SHARED).joinpath("assets", name).read_text(encoding="utf-8")
        tables.write_text(text, paths().site / "assets" / name)


def badge(answer: str) -> str:
    """Return the CSS class of an answer's badge."""
    return _MARKS.get(answer, "none")


def up(path: str) -> str:
    """Return what leads from a page to reports/site: `../` for each folder it lies in."""
    return "../" * path.count("/")


def _places(path: str) -> dict[str, Any]:
    """Return the functions by which a page's template links what lies elsewhere."""
    root = up(path)

    def below_reports(file: Path) -> str:
        return f"{root}../{quote(file.relative_to(paths().reports).as_posix())}"

    def picture(name: str) -> files.Picture | None:
        return files.picture(paths().figure(name))

    return {
        "to": lambda target: root + quote(target, safe="/#"),
        "report": below_reports,
        "picture": picture,
        "picture_file": lambda name: paths().figure(name),
        "photograph_file": lambda name: paths().photograph(name),
        "csv_file": lambda name: paths().table(name),
    }


@cache
def _environment(package: str) -> jinja2.Environment:
    """Return what finds the templates of a package, the layout and the macros."""
    loaders = [jinja2.PackageLoader(package, "."), jinja2.PackageLoader(_SHARED, "templates")]
    environment = jinja2.Environment(
        loader=jinja2.ChoiceLoader(loaders[-1:] if package == _SHARED else loaders),
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
