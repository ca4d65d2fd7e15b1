"""Pages of models, data sets and runs taken apart by html.parser: tables, settings, links."""

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote, urlsplit

from site_parsed import Node, parse


class Page:
    """A page: its `tables` by their labels (rows of texts, headings first), `links`, `tags` and `text`."""

    def __init__(self, html: str) -> None:
        self.root = parse(html)
        self.tags = [(node.tag, node.attributes) for node in _below(self.root)]
        self.text = self.root.text
        self.links = [node.attributes["href"] for node in self.root.all("a")]
        self.tables = {
            box.attributes["aria-label"]: _rows(box) for box in self.root.all("div", role="group") if box.all("table")
        }

    def column(self, label: str, heading: str) -> list[str]:
        """Return the cells of a column of a table."""
        headings, *rows = self.tables[label]
        return [row[headings.index(heading)] for row in rows]

    def settings(self, label: str) -> dict[str, str]:
        """Return a table of names and values."""
        return dict((name, value) for name, value in self.tables[label])


def read(path: Path) -> Page:
    return Page(path.read_text(encoding="utf-8"))


def dead_links(path: Path) -> list[str]:
    """Return the links of a page that lead to no file; those within the page are not followed."""
    found = []
    for link in read(path).links:
        parts = urlsplit(link)
        assert not parts.scheme, link
        if parts.path and not (path.parent / unquote(parts.path)).exists():
            found.append(link)
    return found


def _below(node: Node) -> Iterator[Node]:
    for child in node.children:
        yield child
        yield from _below(child)


def _rows(box: Node) -> list[list[str]]:
    return [[cell.text for cell in row.children if cell.tag in ("td", "th")] for row in box.one("table").all("tr")]
