"""The report's Markdown as HTML of the site: its figures, links, tables and terms."""

import posixpath
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

from markdown_it import MarkdownIt
from markdown_it.token import Token
from markupsafe import Markup, escape

from deepfake.project import paths
from deepfake.reports.site import files, glossary, markdown_tables, templates

SUMMARY = "summary.md"
"""The page whose place the site's start page takes."""
_CARDS = "data_cards"
_TABLE = "CSV"
"""How the report's Markdown links a table, which the site calls by its name."""
_RUN = re.compile(r"(?:^|(?<=\()|(?<=[(,;] ))[\w.\-]+(?=$|[,;)])|(?<![^\s(])\w+_\w+(?![^\s),;])")
"""What may be the name of a run in a table's cell: the cell, one of a list, in brackets, or a word with a `_`."""


@dataclass(frozen=True)
class Heading:
    """A heading of a page."""

    level: int
    id: str
    text: str


@dataclass(frozen=True)
class Rendered:
    """A page of the report as HTML.

    Args:
        html: its body.
        headings: in order.
    """

    html: Markup
    headings: tuple[Heading, ...]

    @property
    def title(self) -> str:
        """Return the text of the first heading."""
        return self.headings[0].text if self.headings else ""

    @property
    def below_title(self) -> Markup:
        """Return what stands below the page's first heading."""
        return Markup(self.html.partition("</h1>")[2])

    @property
    def sections(self) -> list[Heading]:
        """Return the headings of its sections."""
        return [heading for heading in self.headings if heading.level == 2]


class Prose:
    """Renders lines of one page, so that each term of the glossary is linked once.

    Args:
        root: what leads from the page to reports/site.
        runs: the pages of runs by their names.
        seen: the ids of the terms that are linked already.
    """

    def __init__(self, root: str, runs: Mapping[str, str], seen: Collection[str] = ()) -> None:
        self._page = _Page(root, "", runs, set(seen))

    def __call__(self, text: str) -> Markup:
        """Return a line of Markdown as HTML."""
        return self._page.line(text)


def to_html(text: str, depth: int, *, base: str = "", runs: Mapping[str, str] | None = None) -> Markup:
    """Return a page of the report as HTML.

    Args:
        text: the page's Markdown; HTML in it is text.
        depth: in how many folders below reports/site the page will lie.
        base: the folder below reports/ that the Markdown's links begin at.
        runs: the pages below reports/site by the names of runs, which the cells of tables link.
    """
    return render(text, depth, base=base, runs=runs).html


def render(text: str, depth: int, *, base: str = "", runs: Mapping[str, str] | None = None) -> Rendered:
    """Return a page of the report as HTML, with its headings; arguments as `to_html`."""
    return _Page("../" * depth, base, runs or {}, set()).whole(text)


def site_page(markdown: str) -> str | None:
    """Return the page of the site that shows a Markdown file below reports/, or None."""
    folder, name = posixpath.split(markdown)
    stem = name.removesuffix(".md")
    if not name.endswith(".md") or folder not in ("", _CARDS):
        return None
    if folder == _CARDS:
        return f"data/{stem}.html"
    return "index.html" if name == SUMMARY else f"{stem}.html"


class _Page:
    """One page while it is rendered."""

    def __init__(self, root: str, base: str, runs: Mapping[str, str], seen: set[str]) -> None:
        self.root, self.base, self.runs, self.seen = root, base, runs, seen
        self.headings: list[Heading] = []
        self.parser = MarkdownIt("commonmark", {"html": False}).enable("table")
        self.show = templates.macros(root)

    def whole(self, text: str) -> Rendered:
        tokens = self.parser.parse(text)
        self._name_headings(tokens)
        shown = list(self._blocks(tokens))
        html = self.parser.renderer.render(shown, self.parser.options, {})
        return Rendered(Markup(html), tuple(self.headings))

    def line(self, text: str) -> Markup:
        tokens = self.parser.parseInline(text)
        for token in tokens:
            token.children = list(self._inline(token.children or [], terms=True))
        return Markup(self.parser.renderer.render(tokens, self.parser.options, {}).strip())

    def _name_headings(self, tokens: list[Token]) -> None:
        """Give each heading an id of its own."""
        for opening, inline in pairwise(tokens):
            if opening.type != "heading_open":
                continue
            text = "".join(child.content for child in inline.children or [])
            slug = re.sub(r"[\W_]+", "-", text.lower()).strip("-") or "section"
            taken = {heading.id for heading in self.headings}
            number = next(n for n in range(1, len(taken) + 2) if (slug if n == 1 else f"{slug}-{n}") not in taken)
            name = slug if number == 1 else f"{slug}-{number}"
            opening.attrs |= {"id": name, "dir": "auto"}
            self.headings.append(Heading(int(opening.tag[1]), name, text))

    def _blocks(self, tokens: list[Token]) -> Iterator[Token]:
        """Return the tokens of a page, with its figures, tables and links as the site shows them."""
        heading = self.headings[0].text if self.headings else ""
        place = 0
        while place < len(tokens):
            token = tokens[place]
            if token.type == "table_open":
                end = next(n for n in range(place, len(tokens)) if tokens[n].type == "table_close")
                yield from markdown_tables.shown(tokens[place : end + 1], heading, self._cell)
                place = end + 1
                continue
            if token.type == "heading_open":
                heading = next(one.text for one in self.headings if one.id == token.attrs["id"])
            if token.type == "paragraph_open" and (pictures := _pictures(tokens[place + 1])):
                yield from (_html(self._figure(image)) for image in pictures)
                place += 3
                continue
            if token.type == "paragraph_open" and _only_links(tokens[place + 1]):
                token.attrs["class"] = "files"
            if token.type == "inline":
                within = tokens[place - 1].type
                token.children = list(self._inline(token.children or [], terms=within == "paragraph_open"))
            yield token
            place += 1

    def _inline(self, children: list[Token], *, terms: bool) -> Iterator[Token]:
        linked, href = 0, ""
        for child in children:
            if child.type == "link_open":
                linked += 1
                href = str(child.attrs["href"])
                child.attrs["href"] = self._address(href)
            linked -= child.type == "link_close"
            if linked and child.content == _TABLE and child.type == "text":
                child.content = posixpath.basename(href)
            if child.type == "image":
                yield _html(self._picture_link(child), inline=True)
            elif child.type == "text" and terms and not linked:
                yield from self._with_terms(child)
            elif child.type == "code_inline" and not linked and child.content in self.runs:
                yield _html(self._run_link(child.content, code=True), inline=True)
            else:
                yield child

    def _with_terms(self, token: Token) -> Iterator[Token]:
        """Return a text with the first occurrence of each term linked to the glossary."""
        for piece in glossary.pieces(token.content, self.seen):
            if piece.term is None:
                yield Token("text", "", 0, content=piece.text)
                continue
            link = Markup('<a class="term" href="{}glossary.html#{}" title="{}">{}</a>')
            yield _html(link.format(self.root, piece.term.id, piece.term.meaning, piece.text), inline=True)

    def _cell(self, cell: markdown_tables.Shown) -> Iterator[Token]:
        """Return what stands in a cell: an answer or a verdict as a badge, the names of runs as links."""
        if templates.badge(cell.verdict):
            yield _html(str(self.show.answer(cell.verdict)).strip(), inline=True)
            return
        for child in self._inline(cell.children, terms=False):
            if (
                child.type == "text"
                and not cell.head
                and any(word in self.runs for word in _RUN.findall(child.content))
            ):
                yield _html(self._with_runs(child.content), inline=True)
            else:
                yield child

    def _with_runs(self, text: str) -> Markup:
        def link(match: re.Match[str]) -> str:
            return str(self._run_link(match[0])) if match[0] in self.runs else match[0]

        return Markup(_RUN.sub(link, str(escape(text))))

    def _run_link(self, name: str, *, code: bool = False) -> Markup:
        shown = Markup("<code>{}</code>").format(name) if code else escape(name)
        return Markup('<a href="{}">{}</a>').format(self.root + quote(self.runs[name]), shown)

    def _address(self, href: str) -> str:
        """Return a link of the Markdown as the page has it."""
        parts = urlsplit(href)
        if parts.scheme or parts.netloc or not parts.path:
            return href
        target = posixpath.normpath(posixpath.join(self.base, parts.path))
        page = site_page(unquote(target))
        found = f"{self.root}{quote(page)}" if page else f"{self.root}../{target}"
        return posixpath.normpath(found) + (f"#{parts.fragment}" if parts.fragment else "")

    def _figure(self, image: Token) -> Markup:
        """Return a picture of the report with its caption, or what stands in its place."""
        file, caption = self._file(image), image.content[:1].upper() + image.content[1:]
        if file is None:
            return Markup("<p>{}</p>").format(caption)
        if file.parent == paths().photograph("any").parent:
            return Markup(self.show.held(file, caption))
        return Markup(self.show.framed(files.picture(file), caption, file))

    def _picture_link(self, image: Token) -> Markup:
        """Return a picture within a line as a link to it: a figure stands by itself."""
        address = self._address(str(image.attrs["src"]))
        link = Markup('<a href="{}">{}</a>').format(address, image.content)
        return escape(image.content) if self._file(image) is None else link

    def _file(self, image: Token) -> Path | None:
        """Return the file of a picture; None for one that lies elsewhere, since nothing is loaded from there."""
        parts = urlsplit(str(image.attrs["src"]))
        place = posixpath.normpath(posixpath.join(self.base, unquote(parts.path)))
        elsewhere = parts.scheme or parts.netloc or place.startswith(("/", ".."))
        return None if elsewhere else paths().reports / place


def _pictures(inline: Token) -> list[Token]:
    """Return the images of a paragraph that holds nothing else."""
    children = [child for child in inline.children or [] if child.type != "softbreak"]
    return children if children and all(child.type == "image" for child in children) else []


def _only_links(inline: Token) -> bool:
    """Return whether a paragraph is a line of links to files."""
    children = inline.children or []
    outside = "".join(child.content for child in children if child.type == "text" and child.level == 0)
    return any(child.type == "link_open" for child in children) and not outside.strip(" ·")


def _html(text: str, *, inline: bool = False) -> Token:
    return Token("html_inline" if inline else "html_block", "", 0, content=str(text))
