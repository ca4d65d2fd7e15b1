"""Markdown tables, taken apart by hand."""


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
