"""Pages of the site as a browser would take them apart, by html.parser alone: tables, links, tags, text."""

from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

VOID = {"area", "base", "br", "col", "hr", "img", "input", "link", "meta", "source"}


class Page(HTMLParser):
    """A page: its `tables` by their labels (rows of texts, headings first), `links`, `tags` and `text`."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tables: dict[str, list[list[str]]] = {}
        self.links: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self._label = ""
        self._cell: list[str] | None = None
        self._open: list[str] = []
        self.feed(html)
        assert not self._open, f"never closed: {self._open}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = dict(attrs)
        self.tags.append((tag, named))
        if tag not in VOID and tag not in ("path", "polyline"):
            self._open.append(tag)
        if tag == "a" and (link := named.get("href")):
            self.links.append(link)
        if named.get("role") == "group":
            self._label = named.get("aria-label") or ""
        if tag == "table":
            self.tables[self._label] = []
        if tag == "tr":
            self.tables[self._label].append([])
        if tag in ("td", "th"):
            self._cell = []

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        if tag in VOID or tag in ("path", "polyline"):
            return
        assert self._open and self._open[-1] == tag, f"</{tag}> closes {self._open[-3:]}"
        self._open.pop()
        if tag in ("td", "th") and self._cell is not None:
            self.tables[self._label][-1].append("".join(self._cell).strip())
            self._cell = None

    def handle_data(self, data: str) -> None:
        self.text += data
        if self._cell is not None:
            self._cell.append(data)

    def column(self, label: str, heading: str) -> list[str]:
        """Return the cells of a column of a table."""
        headings, *rows = self.tables[label]
        return [row[headings.index(heading)] for row in rows]

    def settings(self, label: str) -> dict[str, str]:
        """Return a table of names and values."""
        return {name: value for name, value in self.tables[label]}


def read(path: Path) -> Page:
    return Page(path.read_text(encoding="utf-8"))


def dead_links(path: Path) -> list[str]:
    """Return the links of a page that lead to no file; those within the page and to other hosts are not followed."""
    found = []
    for link in read(path).links:
        parts = urlsplit(link)
        assert not parts.scheme, link
        if parts.path and not (path.parent / unquote(parts.path)).exists():
            found.append(link)
    return found
