"""Markdown pages, taken apart by hand."""

import re

from deepfake.project import paths


def tables(text: str) -> list[list[list[str]]]:
    """Return each table of a page as rows of cells, the heading first and the ruler left out."""
    found: list[list[list[str]]] = []
    inside = False
    for line in text.splitlines():
        if line.startswith("|"):
            if not inside:
                found.append([])
            found[-1].append([cell.strip() for cell in line.strip("|").split("|")])
        inside = line.startswith("|")
    for rows in found:
        ruler = rows.pop(1)
        assert all(set(cell) <= {"-", ":"} for cell in ruler)
    return found


def table(text: str, *headings: str) -> list[list[str]]:
    """Return the first table of a page that begins with these headings."""
    return next(rows for rows in tables(text) if rows[0][: len(headings)] == list(headings))


def links(text: str) -> set[str]:
    """Return what a page links or shows."""
    return set(re.findall(r"\]\(([^)]+)\)", text))


def shown(name: str) -> list[str]:
    """Return the pictures that a page shows, by their paths below the reports; all that it links has to be there."""
    text = paths().page(name).read_text("utf-8")
    here = {link for link in links(text) if not link.startswith("../docs/")}
    assert [link for link in here if not (paths().reports / link).is_file()] == []
    return re.findall(r"!\[[^]]*\]\(([^)]+)\)", text)
