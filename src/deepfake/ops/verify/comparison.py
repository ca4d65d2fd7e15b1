"""Two versions of one result file, compared row by row and figure by figure."""

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from deepfake.ops.verify import tolerance

Row = dict[str, str]
"""The cells of one row by column, as text; an empty cell holds no figure."""
Status = Literal["equal", "noise", "unjudged", "different", "same", "flipped", "missing", "new"]
"""`same` and `flipped` are said of verdicts; `missing` and `new` of whatever has nothing to be compared with."""
FAILED = ("flipped", "different", "missing")
"""What makes a run differ from what is committed, the worst first."""


@dataclass(frozen=True)
class Compared:
    """One figure or verdict of a file, as it is committed and as it is now."""

    file: str
    row: str
    """What identifies the row."""
    column: str
    old: str
    new: str
    status: Status
    allowed: float | None = None
    """How far the figure may move; None of a verdict and of what is not judged."""


def compare(file: str, old: list[Row], new: list[Row]) -> list[Compared]:
    """Compare the rows of a file with those that it has now.

    A row is found again by all its cells of kind `key` (`tolerance.kind`), wherever it stands; rows that share
    them are taken in their order. A file that is missing or new has no rows on that side.
    """
    kinds = {}
    for column in dict.fromkeys(name for row in (*old, *new) for name in row):
        kinds[column] = tolerance.kind(file, column, [row.get(column, "") for row in (*old, *new)])
    keys = [column for column, kind in kinds.items() if kind == "key"]
    before, after = _by_key(old, keys), _by_key(new, keys)
    found = []
    for place in dict.fromkeys((*before, *after)):
        label = ", ".join(filter(None, place[:-1]))
        was, now = before.get(place, {}), after.get(place, {})
        for column in kinds:
            first, second = was.get(column, ""), now.get(column, "")
            if kinds[column] == "key" or not (first or second):
                continue
            allowed = _allowed(file, column, kinds[column], was or now)
            status = _presence(column, was, now) or _judge(kinds[column], first, second, allowed)
            found.append(Compared(file, label, column, first, second, status, allowed))
    return found


def _by_key(rows: list[Row], keys: list[str]) -> dict[tuple[str, ...], Row]:
    """Return the rows by what identifies them; the last part counts rows that share the rest."""
    seen: Counter[tuple[str, ...]] = Counter()
    found = {}
    for row in rows:
        key = tuple(row.get(column, "") for column in keys)
        found[*key, str(seen[key])] = row
        seen[key] += 1
    return found


def _presence(column: str, was: Row, now: Row) -> Status | None:
    """Return whether one side lacks the row or the column; None where both have it."""
    if column not in now:
        return "missing"
    return None if column in was else "new"


def _allowed(file: str, column: str, kind: tolerance.Kind, row: Row) -> float | None:
    """Return how far a figure may move; None where that is not asked."""
    if kind == "trained":
        return tolerance.allowed(file, column, row.get("metric", ""))
    return 0.0 if kind == "exact" else None


def _judge(kind: tolerance.Kind, old: str, new: str, allowed: float | None) -> Status:
    """Judge a cell that both sides have."""
    if kind == "verdict":
        return "same" if old == new else "flipped"
    if old == new:
        return "equal"
    if allowed is None:
        return "unjudged"
    before, after = tolerance.number(old), tolerance.number(new)
    if before is None or after is None:
        return "different"
    counted = old.isdigit() and new.isdigit()  # a count is written whole
    if not counted and math.isclose(before, after, rel_tol=tolerance.ROUNDING, abs_tol=tolerance.LAST_DECIMAL):
        return "equal"
    return "noise" if abs(after - before) <= allowed else "different"


def count(compared: Iterable[Compared]) -> Counter[Status]:
    """Count figures and verdicts by status."""
    return Counter(one.status for one in compared)


def one_sided(compared: Iterable[Compared], status: Status) -> list[str]:
    """Return a line for each file that has figures which are `missing`, or `new`."""
    files = Counter(one.file for one in compared if one.status == status)
    return [f"{status}: {figures:,} figure{'' if figures == 1 else 's'} of {file}" for file, figures in files.items()]


def summary(counts: Counter[Status]) -> str:
    """Return the one sentence that says how much of what is committed was repeated."""
    figures = [
        f"{counts['equal']:,} figure{'' if counts['equal'] == 1 else 's'} equal",
        f"{counts['noise']:,} within retraining noise",
        f"{counts['different']:,} different",
    ]
    rest: dict[Status, str] = {
        "missing": "missing",
        "new": "new",
        "unjudged": "not judged (see --help)",
    }
    figures += [f"{counts[status]:,} {words}" for status, words in rest.items() if counts[status]]
    verdicts = counts["same"] + counts["flipped"]
    many = f"{verdicts:,} verdict{'' if verdicts == 1 else 's'}"
    return f"verify: {', '.join(figures)}; {many}, {counts['flipped'] or 'none'} flipped"
