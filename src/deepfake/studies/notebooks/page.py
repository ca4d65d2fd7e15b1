"""An executed notebook as one HTML file: no script, no request, light and dark."""

import jinja2
import nbformat
from nbconvert import HTMLExporter

_PACKAGE = "deepfake.studies.notebooks"


def render(name: str, notebook: nbformat.NotebookNode) -> str:
    """Return an executed notebook as a page."""
    exporter = HTMLExporter(
        template_name="basic",
        template_file="page.html.j2",
        extra_loaders=[jinja2.PackageLoader(_PACKAGE, ".")],
        exclude_anchor_links=True,
    )
    titles = [title for _, title in _headings(notebook, "#")]
    shown = {"title": next(iter(titles), name), "parts": _headings(notebook, "##")}
    html, _ = exporter.from_notebook_node(notebook, resources={"deepfake": shown, "metadata": {"name": name}})
    return "\n".join(line.rstrip() for line in html.strip().splitlines()) + "\n"


def _headings(notebook: nbformat.NotebookNode, mark: str) -> list[tuple[str, str]]:
    """Return the cells that begin with a heading, by their ids."""
    cells = [cell for cell in notebook.cells if cell.cell_type == "markdown" and cell.source.startswith(f"{mark} ")]
    return [(cell.id, cell.source.splitlines()[0].removeprefix(mark).strip()) for cell in cells]
