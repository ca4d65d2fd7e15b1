"""The report's Markdown as HTML of the site: its figures, links, tables and terms."""

import posixpath
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from urllib.parse import quote, unquote, urlsplit

from markdown_it import MarkdownIt
from markdown_it.token import Token
from markupsafe import Markup, escape

from deepfake.project import paths
from deepfake.reports.site import cells, files, glossary, templates

SUMMARY = "summary.md"
"""The page whose place the site's start page takes."""
_CARDS = "data_cards"
_VERDICT = "Verdict"
"""The heading of columns that hold verdicts."""
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
                yield from self._table(tokens[place : end + 1], heading)
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
                yield _html(self._figure(child), inline=True)
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

    def _table(self, tokens: list[Token], heading: str) -> Iterator[Token]:
        """Return a table that scrolls by itself, sorts, and has numbers to the right."""
        texts = _column_texts(tokens)
        right = [cells.numeric(column) for column in texts]
        scroll = Markup('<div class="scroll" tabindex="0" role="group" aria-label="{}">\n')
        yield _html(scroll.format(f"Table: {heading}" if heading else "Table"))
        headings = [_text(inline) for inline in _headings(tokens)]
        tokens[0].attrs["class"] = _table_class(headings)
        column = 0
        for token, inline in zip(tokens, [*tokens[1:], None], strict=True):
            column = 0 if token.type == "tr_open" else column
            if token.type in ("th_open", "td_open") and inline is not None:
                text = _text(inline)
                token.attrs = {"scope": "col"} if token.type == "th_open" else {}
                token.attrs["dir"] = "auto"
                if right[column]:
                    token.attrs["class"] = "number"
                elif cells.long(texts[column]):
                    token.attrs["class"] = "long"
                if token.type == "th_open":
                    term = glossary.find(text)
                    token.attrs |= {"title": term.meaning} if term else {}
                elif (key := cells.sort_key(text)) is not None:
                    token.attrs["data-sort"] = key
                verdict = headings[column] == _VERDICT and token.type == "td_open"
                inline.children = list(self._cell(inline.children or [], verdict, head=token.type == "th_open"))
                column += 1
            yield token
        yield _html(Markup("</div>\n"))

    def _cell(self, children: list[Token], verdict: bool, *, head: bool) -> Iterator[Token]:
        """Return what stands in a cell: an answer or a verdict as a badge, the names of runs as links."""
        shown = [child for child in children if child.type != "text" or child.content]
        strong = [child.type for child in shown] == ["strong_open", "text", "strong_close"]
        word = shown[1].content if strong and not head else _text_of(shown).replace("_", " ") if verdict else ""
        if templates.badge(word):
            yield _html(str(self.show.answer(word)).strip(), inline=True)
            return
        for child in self._inline(children, terms=False):
            if child.type == "text" and not head and any(word in self.runs for word in _RUN.findall(child.content)):
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
        source = unquote(str(image.attrs["src"]))
        if urlsplit(source).scheme:
            return Markup("<p>{}</p>").format(image.content)  # nothing is loaded from elsewhere
        file = paths().reports / posixpath.normpath(posixpath.join(self.base, source))
        caption = image.content[:1].upper() + image.content[1:]
        if file.parent == paths().photograph("any").parent:
            return Markup(self.show.held(file, caption))
        return Markup(self.show.framed(files.picture(file), caption, file))


def _pictures(inline: Token) -> list[Token]:
    """Return the images of a paragraph that holds nothing else."""
    children = [child for child in inline.children or [] if child.type != "softbreak"]
    return children if children and all(child.type == "image" for child in children) else []


def _only_links(inline: Token) -> bool:
    """Return whether a paragraph is a line of links to files."""
    children = inline.children or []
    outside = "".join(child.content for child in children if child.type == "text" and child.level == 0)
    return any(child.type == "link_open" for child in children) and not outside.strip(" ·")


def _headings(tokens: list[Token]) -> list[Token]:
    """Return the texts of a table's first row."""
    return [inline for token, inline in pairwise(tokens) if token.type == "th_open"]


def _table_class(headings: list[str]) -> str:
    """Return the CSS classes of a table: one of findings, or one that paper holds in small print only."""
    kinds = {"findings": headings[:2] == ["Question", "Answer"], "wide": len(headings) > cells.WIDE}
    return " ".join(["sortable", *(name for name, holds in kinds.items() if holds)])


def _column_texts(tokens: list[Token]) -> list[list[str]]:
    """Return the texts of a table's cells, column by column, without its headings."""
    columns: list[list[str]] = [[] for _ in _headings(tokens)]
    column = 0
    for token, inline in pairwise(tokens):
        column = 0 if token.type == "tr_open" else column
        if token.type == "td_open":
            columns[column].append(_text(inline))
            column += 1
    return columns


def _text(inline: Token) -> str:
    return _text_of(inline.children or [])


def _text_of(children: list[Token]) -> str:
    return "".join(" " if child.type == "softbreak" else child.content for child in children)


def _html(text: str, *, inline: bool = False) -> Token:
    return Token("html_inline" if inline else "html_block", "", 0, content=str(text))
