"""The tables of the report's Markdown as the site shows them: they sort, scroll by themselves, and align numbers."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise

from markdown_it.token import Token
from markupsafe import Markup

from deepfake.reports.site import cells, glossary

_VERDICT = "Verdict"
"""The heading of columns that hold verdicts."""


@dataclass(frozen=True)
class Shown:
    """A cell while it is rendered.

    Args:
        children: what stands in it.
        head: it is a heading.
        verdict: the answer or verdict that it holds and nothing else, or "".
    """

    children: list[Token]
    head: bool
    verdict: str


def shown(tokens: list[Token], heading: str, cell: Callable[[Shown], Iterator[Token]]) -> Iterator[Token]:
    """Return the tokens of a table in a box that scrolls, with what a cell is sorted, aligned and explained by.

    Args:
        tokens: from `table_open` to `table_close`.
        heading: above the table, by which a screen reader names it.
        cell: renders what stands in a cell.
    """
    box = Markup('<div class="scroll" tabindex="0" role="group" aria-label="{}">\n')
    yield Token("html_block", "", 0, content=str(box.format(f"Table: {heading}" if heading else "Table")))
    headings = [_text(inline) for token, inline in pairwise(tokens) if token.type == "th_open"]
    tokens[0].attrs["class"] = _table_class(headings)
    classes = [_column_class(texts) for texts in _columns(tokens, len(headings))]
    column = 0
    for token, inline in zip(tokens, [*tokens[1:], tokens[-1]], strict=True):
        column = 0 if token.type == "tr_open" else column
        if token.type in ("th_open", "td_open"):
            head = token.type == "th_open"
            token.attrs = _attributes(_text(inline), head) | ({"class": name} if (name := classes[column]) else {})
            verdict = "" if head else _verdict(inline, headings[column] == _VERDICT)
            inline.children = list(cell(Shown(inline.children or [], head, verdict)))
            column += 1
        yield token
    yield Token("html_block", "", 0, content="</div>\n")


def _attributes(text: str, head: bool) -> dict[str, str | int | float]:
    """Return what a cell says of itself: its direction, a heading's meaning, the number that it is sorted by."""
    found: dict[str, str | int | float] = {"scope": "col", "dir": "auto"} if head else {"dir": "auto"}
    if head and (term := glossary.find(text)):
        found["title"] = term.meaning
    if not head and (key := cells.sort_key(text)) is not None:
        found["data-sort"] = key
    return found


def _table_class(headings: list[str]) -> str:
    """Return the CSS classes of a table: one of findings, or one that paper holds in small print only."""
    kinds = {"findings": headings[:2] == ["Question", "Answer"], "wide": len(headings) > cells.WIDE}
    return " ".join(["sortable", *(name for name, holds in kinds.items() if holds)])


def _column_class(texts: list[str]) -> str:
    return "number" if cells.numeric(texts) else "long" if cells.long(texts) else ""


def _columns(tokens: list[Token], count: int) -> list[list[str]]:
    """Return the texts of a table's cells, column by column, without its headings."""
    texts = [_text(inline) for token, inline in pairwise(tokens) if token.type == "td_open"]
    return [texts[place::count] for place in range(count)]


def _verdict(inline: Token, column: bool) -> str:
    """Return the answer that a cell holds in bold type, or what one of a column of verdicts holds."""
    found = [child for child in inline.children or [] if child.type != "text" or child.content]
    if [child.type for child in found] == ["strong_open", "text", "strong_close"]:
        return found[1].content
    return _text(inline).replace("_", " ") if column else ""


def _text(inline: Token) -> str:
    return "".join(" " if child.type == "softbreak" else child.content for child in inline.children or [])
