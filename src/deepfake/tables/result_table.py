"""What must hold for a result table, and how its columns are written down."""

from dataclasses import dataclass, field
from fnmatch import fnmatchcase


@dataclass(frozen=True)
class ResultTable:
    """The columns of a result table and what must hold for them.

    A kind is `str`, `int`, `float` or `bool`. A float may be empty, the others only where their kind ends with `?`.

    Args:
        columns: column name to kind.
        key: the columns that together name a row; none where a table is there to be looked at only.
        optional: the columns among them that may be missing.
        families: columns that depend on the data, by a pattern of their names, to their kind.
        command: the command of `deepfake` that writes the table; * is what * stands for in the table's name. That of
            the study's name unless given.
    """

    columns: dict[str, str]
    key: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()
    families: dict[str, str] = field(default_factory=dict)
    command: str = ""

    def kind(self, column: str) -> str | None:
        """Return the kind of a column, or None for one that the table may not have."""
        matching = (kind for pattern, kind in self.families.items() if fnmatchcase(column, pattern))
        return self.columns.get(column) or next(matching, None)


def columns(**names: str) -> dict[str, str]:
    """Return columns by kind, names apart by spaces; those that end with ? may be empty."""
    return {
        name.removesuffix("?"): f"{kind}?" if name.endswith("?") else kind
        for kind, listed in names.items()
        for name in listed.split()
    }


def floats(stems: str, *endings: str) -> dict[str, str]:
    """Return columns of numbers: each stem with each ending."""
    return {f"{stem}{ending}": "float" for stem in stems.split() for ending in endings or ("",)}
