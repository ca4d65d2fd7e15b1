"""The pages of the report, rendered from Jinja templates; each study's lies in its own folder."""

from functools import cache
from typing import Any

import jinja2

from deepfake import tables
from deepfake.project import paths

_SHARED = "deepfake.reports"


@cache
def _environment(package: str) -> jinja2.Environment:
    """Return what finds the templates of a package, and the shared macros."""
    loaders = [jinja2.PackageLoader(package, "."), jinja2.PackageLoader(_SHARED, "templates")]
    environment = jinja2.Environment(
        loader=jinja2.ChoiceLoader(loaders),
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        undefined=jinja2.StrictUndefined,
        autoescape=False,
    )
    environment.filters |= {"percent": "{:.0%}".format, "signed": "{:+.3f}".format, "three": "{:.3f}".format}
    environment.globals |= {"figure": _figure, "photograph": _photograph, "csv": _csv}
    return environment


def render(package: str, template: str, **values: Any) -> str:
    """Return a page.

    Args:
        package: the study's, whose folder holds the template.
        template: the file's name.
        values: what it shows.
    """
    text = _environment(package).get_template(template).render(**values)
    # a section that has nothing to show leaves no gap
    while "\n\n\n" in text:
        text = text.replace("\n\n\n", "\n\n")
    return text.strip() + "\n"


def write(page: str, package: str, template: str, **values: Any) -> None:
    """Render a page and write it, whole or not at all."""
    tables.write_text(render(package, template, **values), paths().page(page))


def _link(path: Any) -> str:
    """Return a path as the pages of the report link it."""
    return path.relative_to(paths().reports).as_posix()


def _figure(name: str, caption: str) -> str:
    return f"![{caption}]({_link(paths().figure(name))})"


def _photograph(name: str, caption: str) -> str:
    return f"![{caption}]({_link(paths().photograph(name))})"


def _csv(name: str) -> str:
    return f"[CSV]({_link(paths().table(name))})"
