"""The pages of the site, rendered from Jinja templates with autoescape; each package's lie in its own folder."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import resources
from typing import Any

from deepfake import tables
from deepfake.project import paths
from deepfake.reports.site import markdown, templates

_ASSETS = ("style.css", "sort.js")


@dataclass(frozen=True)
class Entry:
    """An entry of the navigation.

    Args:
        title: what stands there.
        path: the page below reports/site.
        absent: it stands for what was not run.
    """

    title: str
    path: str
    absent: bool = False


@dataclass(frozen=True)
class Navigation:
    """What leads to every page.

    Args:
        groups: entries by the heading above them.
        runs: the pages below reports/site that stand for the names of runs, which tables then link.
    """

    groups: Mapping[str, Sequence[Entry]] = field(default_factory=dict)
    runs: Mapping[str, str] = field(default_factory=dict)


def page(
    path: str,
    package: str,
    template: str,
    *,
    title: str,
    navigation: Navigation | None = None,
    crumbs: Sequence[Entry] = (),
    **values: Any,
) -> None:
    """Render a page inside the layout, and write it, whole or not at all.

    The template begins with `{% extends "layout.html.j2" %}{% import "macros.html.j2" as show %}` and fills the block
    `main`, which begins with the page's only `<h1>`. Beside the macros it has `to("models/x.html")`, the link of a page
    of the site; `report(path)`, that of a file below reports/; and `prose("AUC of `custom`")`, a line of Markdown in
    which the glossary's terms are linked, each once a page.

    Args:
        path: of the page below reports/site, for example `runs/custom.html`.
        package: whose folder holds the template.
        template: the file's name.
        title: of the page, without markup.
        navigation: that all pages share.
        crumbs: the pages above this one, below the start page.
        values: what the template shows.
    """
    text = render(path, package, template, title=title, navigation=navigation, crumbs=crumbs, **values)
    tables.write_text(text, paths().site / path)


def render(
    path: str,
    package: str,
    template: str,
    *,
    title: str,
    navigation: Navigation | None = None,
    crumbs: Sequence[Entry] = (),
    **values: Any,
) -> str:
    """Return a page as `page` writes it."""
    shared = navigation or Navigation()
    prose = markdown.Prose(templates.up(path), shared.runs)
    found = templates.load(package, template, templates.up(path), prose=prose)
    text = found.render(path=path, title=title, navigation=shared, crumbs=crumbs, **values)
    # without the spaces in which templates are indented: a third of a large table
    lines = (line.strip() for line in text.splitlines())
    return "\n".join(line for line in lines if line) + "\n"


def write_assets() -> None:
    """Write style sheet and script beside the pages."""
    for name in _ASSETS:
        text = resources.files(templates.PACKAGE).joinpath("assets", name).read_text(encoding="utf-8")
        tables.write_text(text, paths().site / "assets" / name)
