"""The glossary: what the field's terms mean here, and where they stand in a text."""

import re
from dataclasses import dataclass, field
from functools import cache
from importlib import resources

import yaml

_PACKAGE = "deepfake.reports.site"


@dataclass(frozen=True)
class Term:
    """A term of the glossary.

    Args:
        name: as pages write it.
        meaning: one sentence.
        also: other ways to write it.
    """

    name: str
    meaning: str
    also: tuple[str, ...] = field(default=())

    @property
    def id(self) -> str:
        """Return the term's place on the page of the glossary."""
        return re.sub(r"[^a-z0-9]+", "-", self.name.lower()).strip("-")

    @property
    def synonyms(self) -> list[str]:
        """Return the other ways to write it that are not forms of the same words."""
        return [other for other in self.also if not other.startswith(self.name[:-1])]


@dataclass(frozen=True)
class Piece:
    """A piece of a text: a term of the glossary, or what stands between two."""

    text: str
    term: Term | None


@cache
def terms() -> tuple[Term, ...]:
    """Return the terms in alphabetical order."""
    text = resources.files(_PACKAGE).joinpath("glossary.yaml").read_text(encoding="utf-8")
    found = [Term(name, value["meaning"], tuple(value.get("also", ()))) for name, value in yaml.safe_load(text).items()]
    return tuple(sorted(found, key=lambda term: term.name.lower()))


def find(text: str) -> Term | None:
    """Return the term that a whole text is, for example a table's heading."""
    return _by_word().get(_folded(text.strip()))


def pieces(text: str, seen: set[str]) -> list[Piece]:
    """Return a text cut at the first occurrence of each term.

    Args:
        text: without markup.
        seen: the ids of the terms that the page has linked; those found here are added.
    """
    found: list[Piece] = []
    start = 0
    for match in _pattern().finditer(text):
        term = _by_word()[_folded(match[0])]
        if term.id in seen:
            continue
        seen.add(term.id)
        found += [Piece(text[start : match.start()], None), Piece(match[0], term)]
        start = match.end()
    return [piece for piece in (*found, Piece(text[start:], None)) if piece.text]


def _folded(word: str) -> str:
    """Return a word as it stands within a sentence: an abbreviation as it is, another without its capital letter."""
    return word if sum(letter.isupper() for letter in word) > 1 else word[:1].lower() + word[1:]


@cache
def _by_word() -> dict[str, Term]:
    return {_folded(word): term for term in terms() for word in (term.name, *term.also)}


@cache
def _pattern() -> re.Pattern[str]:
    # the longest first, so that "inner validation" is not "validation"; a word's first letter may be a capital
    words = sorted(_by_word(), key=lambda word: (-len(word), word))
    ways = "|".join(
        f"[{word[0]}{word[0].upper()}]{re.escape(word[1:])}" if word[0].isalpha() else re.escape(word) for word in words
    )
    return re.compile(rf"(?<![\w\-])(?:{ways})(?![\w\-])")
