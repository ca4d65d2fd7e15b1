"""What a check found: a mark, what was looked at, what is there, and what to do."""

from typing import Literal, NamedTuple

Mark = Literal["ok", "note", "missing"]


class Finding(NamedTuple):
    """One line of `deepfake doctor`.

    Args:
        mark: `ok`; `note`, which no run needs; or `missing`, which a run here needs.
        what: what was looked at, in a word.
        found: what is there, or what is wrong.
        remedy: what to do, or "".
    """

    mark: Mark
    what: str
    found: str
    remedy: str = ""


def gigabytes(count: float) -> str:
    """Return a number of bytes as people read it."""
    return f"{count / 1e9:.1f} GB"
