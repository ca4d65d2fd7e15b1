"""What a branch changed, as the text of a pull request's comment (GitHub's Markdown)."""

import csv
import io
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tabulate import tabulate

from deepfake.project import paths

MARKER = "<!-- deepfake ci-report -->"
"""The first line, invisible on the page: by it the workflow knows its own comment again."""
LIMIT = 65_536
"""GitHub refuses longer comments (characters)."""
ARTIFACT = "the artifact `report`"
"""Where the workflow keeps the whole text and the plots."""
FOLD = 12
"""Longer tables and lists are folded."""
_KEYS = {"Model": 1, "Experiment": 1, "Phase": 2, "factor": 1}
"""The first headings of the tables that are shown, and how many columns name a row; the others are for machines."""
_SHOWN = re.compile(r"(.* )?AUC( \(mean ± std\))?|Conclusion|gain|chosen")
"""The headings whose values are shown."""
_DETAIL = re.compile(r" (std|low|high|groups|(p )?(bootstrap|t-test))$")
"""What stands behind a heading where several columns of the CSV belong to it (`columns.Table.csv`)."""
Row = dict[str, str]


@dataclass(frozen=True)
class Section:
    """A part of the comment that is shown or left out as a whole."""

    title: str
    body: str

    def text(self) -> str:
        """Return it as Markdown."""
        return f"\n### {self.title}\n\n{self.body.strip()}\n"


def comment(opening: str, sections: Iterable[Section], *, limit: int | None, elsewhere: str) -> str:
    """Return the whole text; sections that do not fit are replaced by a line that says where they are.

    Args:
        opening: what stands above all sections.
        sections: in their order.
        limit: how many characters GitHub takes, or None for all.
        elsewhere: where a section can be read that is left out.
    """
    texts = {section.title: section.text() for section in sections}
    notes = {
        title: f"\n*{title}: left out ({len(text):,} characters), see {elsewhere}.*\n" for title, text in texts.items()
    }
    parts = [f"{MARKER}\n{opening.strip()}\n"]
    # room for saying that all that follows is left out
    room = None if limit is None else limit - len(parts[0]) - sum(map(len, notes.values()))
    for title, text in texts.items():
        if room is None:
            parts.append(text)
        elif len(text) <= room + len(notes[title]):
            parts.append(text)
            room -= len(text) - len(notes[title])
        else:
            parts.append(notes[title])
    return "".join(parts)


def run_url(environment: Mapping[str, str]) -> str | None:
    """Return the page of the workflow's run, where GitHub's variables say which one it is."""
    names = ("GITHUB_SERVER_URL", "GITHUB_REPOSITORY", "GITHUB_RUN_ID")
    if not all(environment.get(name) for name in names):
        return None
    server, repository, run = (environment[name] for name in names)
    return f"{server}/{repository}/actions/runs/{run}"


def headline(metrics: Mapping[str, Any], params: Mapping[str, Any], tables: Mapping[str, Any], state: str) -> str:
    """Return the sentence that says what matters: what changed, by how much, and whether results belong to the code.

    Args:
        metrics: changed metrics by file and key, each with `old`, `new` and, between numbers, `diff`.
        params: changed parameters, likewise.
        tables: changed tables by name.
        state: what `freshness` says.
    """
    runs = _runs(metrics)
    if runs:
        return f"**{_count(len(runs), 'experiment')} changed{_kinds(runs)}{_largest(runs)}; {state}.**"
    counts = {"metric": _values(metrics), "parameter": _values(params), "table": len(tables)}
    changed = " and ".join(_count(count, what) for what, count in counts.items() if count)
    if changed:
        return f"**No experiment changed, but {changed} did; {state}.**"
    return f"**No parameter and no result changed; {state}.**"


def _runs(metrics: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the changed metrics of runs by run and metric: their studies' files have them as `runs.<run>.<metric>`.

    A run that another study has now changed only where its numbers did.
    """
    found: dict[str, dict[str, Any]] = {}
    for keys in metrics.values():
        for key, change in keys.items():
            first, _, rest = key.partition(".")
            if first == "runs":
                run, _, metric = rest.rpartition(".")
                known = found.setdefault(run, {})
                known[metric] = _joined(known[metric], change) if metric in known else change
    moved = {run: {key: one for key, one in keys.items() if one["old"] != one["new"]} for run, keys in found.items()}
    return {run: keys for run, keys in moved.items() if keys}


def _joined(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    """Return the change of a value that went from one file into another."""
    old, new = (one[part] if other[part] is None else other[part] for part in ("old", "new"))
    numbers = isinstance(old, int | float) and isinstance(new, int | float)
    return {"old": old, "new": new} | ({"diff": new - old} if numbers else {})


def _count(count: int, what: str) -> str:
    """Return a number of things."""
    return f"{count} {what}{'' if count == 1 else 's'}"


def _values(changes: Mapping[str, Any]) -> int:
    """Return how many values changed."""
    return sum(map(len, changes.values()))


def _kinds(runs: Mapping[str, Any]) -> str:
    """Say how many experiments are new and how many gone."""
    new = sum(all(change["old"] is None for change in keys.values()) for keys in runs.values())
    gone = sum(all(change["new"] is None for change in keys.values()) for keys in runs.values())
    words = [f"{count} {word}" for count, word in ((new, "new"), (gone, "gone")) if count]
    return f" ({', '.join(words)})" if words else ""


def _largest(runs: Mapping[str, Any]) -> str:
    """Say where the AUC changed the most."""
    changes = {name: keys["auc"] for name, keys in runs.items() if "diff" in keys.get("auc", {})}
    if not changes:
        return ""
    name = max(sorted(changes), key=lambda name: abs(changes[name]["diff"]))
    old, new = changes[name]["old"], changes[name]["new"]
    return f", the largest change of AUC is {_signed(new - old)} (`{name}`: {old:.3f} → {new:.3f})"


def _signed(difference: float) -> str:
    """Return a difference that is never shown as nothing."""
    return f"{difference:+.3f}" if abs(difference) >= 0.0005 else f"{difference:+.6f}".rstrip("0")


def freshness(runs: Sequence[str]) -> str:
    """Say for the headline whether the committed results are those of the committed code and parameters.

    Args:
        runs: the stages that `dvc repro` would run.
    """
    if not runs:
        return "the committed results are up to date with code and parameters"
    return f"the committed results are stale: {_count(len(runs), 'stage')} would run"


_REMEDY = "Run `dvc repro` and commit dvc.lock and reports/; what a change does not reach comes from the run store."


def stale(runs: Sequence[str], follow: Sequence[str]) -> Section | None:
    """Return what would run and what to do about it, or None where nothing would.

    Args:
        runs: the stages that `dvc repro` would run.
        follow: those that read what these write.
    """
    if not runs:
        return None
    text = f"`dvc repro` would run {_count(len(runs), 'stage')}{_listed(runs)}"
    if follow:
        text += (
            f"\n\nRead what these write, and run too if that changes: {_count(len(follow), 'stage')}{_listed(follow)}"
        )
    return Section(
        "Stale results",
        f"{text}\n\n{_REMEDY}",
    )


def _names(names: Iterable[str]) -> str:
    """Return names as code."""
    return ", ".join(f"`{name}`" for name in names)


def _listed(names: Sequence[str]) -> str:
    """Return a list that follows its number, folded where it is long."""
    return f": {_names(names)}." if len(names) <= FOLD else f".\n\n{fold(_names(names), 'Which?')}"


def fold(text: str, summary: str) -> str:
    """Return a text that is shown after a click on its summary."""
    return f"<details><summary>{summary}</summary>\n\n{text.strip()}\n\n</details>"


def values(title: str, changes: Mapping[str, Any], markdown: str, what: str) -> Section | None:
    """Return changed metrics or parameters as DVC prints them, or None where nothing changed."""
    count = _values(changes)
    if not count:
        return None
    return Section(title, markdown if count <= FOLD else fold(markdown, f"{_count(count, what)} changed"))


def plots(run: str | None) -> Section | None:
    """Return where the pictures are, or None outside a workflow."""
    if run is None:
        return None
    where = f"{ARTIFACT} of [this run]({run}#artifacts)"
    return Section("Site and plots", f"In {where}: `reports/site/index.html`, and `plots/index.html` before and after.")


def elsewhere(run: str | None) -> str:
    """Say where all of the text is."""
    return f"{ARTIFACT} of [this run]({run}#artifacts)" if run else "what `deepfake ci-report --full` prints"


# --- tables


def tables(changed: Mapping[str, tuple[str | None, str | None]]) -> list[Section]:
    """Return each table that people read and that changed, and one section that names the others.

    Args:
        changed: CSV before and after by the table's name; None where there is none.
    """
    sections, others = [], []
    for name, (before, after) in changed.items():
        text = table(before, after)
        if text:
            sections.append(Section(f"Table {name}", text))
        else:
            others.append(name)
    if others:
        sections.append(Section("Other tables that changed", f"{_names(others)} in {paths().reports.as_posix()}"))
    return sections


def table(before: str | None, after: str | None) -> str | None:
    """Return a table with each changed AUC (and conclusion) as `before → after (difference)`.

    Args:
        before: its CSV, or None where it is new.
        after: its CSV, or None where it is gone.

    Returns:
        Markdown, or None where it is no table for people or nothing that would be shown changed.
    """
    if after is None:
        return "Gone." if _keys(_read(before)[0]) else None
    headings, new = _read(after)
    old = _read(before)[1] if before is not None else {}
    keys = _keys(headings)
    shown = [heading for heading in headings if _SHOWN.fullmatch(heading)]
    if not keys:
        return None
    gone = {key: row for key, row in old.items() if key not in new}
    rows = []
    for key, row in {**new, **gone}.items():
        mark = "" if key in old and key in new else " (gone)" if key in gone else " (new)"
        cells = [_cell(heading, old.get(key, row), row) for heading in shown]
        rows.append([f"{key[0]}{mark}", *(row.get(heading, "") for heading in keys[1:]), *cells])
    rest = _changed(old, new, {*keys, *shown}) if before is not None else []
    if before is not None and old.keys() == new.keys() and not _changed(old, new, set(headings) - set(shown)):
        return f"AUCs and conclusions stayed. Changed: {', '.join(rest) or 'details'}."
    escaped = [[cell.replace("|", "\\|") for cell in row] for row in rows]
    text = tabulate(escaped, [*keys, *shown], tablefmt="github", disable_numparse=True)
    text = text if len(rows) <= FOLD else fold(text, _count(len(rows), "row"))
    return f"{text}\n\nAlso changed: {', '.join(rest)}." if rest else text


def _read(text: str | None) -> tuple[list[str], dict[tuple[str, ...], Row]]:
    """Return a CSV's headings and its rows, by what names them."""
    reader = csv.DictReader(io.StringIO(text or ""), restkey="", restval="")
    headings = list(reader.fieldnames or [])
    rows: dict[tuple[str, ...], Row] = {}
    for row in reader:
        # more values than headings: a conflict that was committed, which is for others to find
        row.pop("", None)
        key = tuple(row[heading] for heading in _keys(headings))
        while key in rows:
            # two rows of one name: told apart by their order
            key = (*key, "again")
        rows[key] = row
    return headings, rows


def _keys(headings: list[str]) -> list[str]:
    """Return the headings of the columns that name a row; none where the table is for machines."""
    return headings[: _KEYS.get(headings[0], 0)] if headings else []


def _cell(heading: str, old: Row, new: Row) -> str:
    """Return a value, with what it was before where it changed, and the difference between numbers."""
    before, after = _value(heading, old), _value(heading, new)
    if old.get(heading) == new.get(heading):
        return after
    try:
        difference = f" ({_signed(float(new[heading]) - float(old[heading]))})"
    except (KeyError, ValueError):
        # words, or a number where there was none
        difference = ""
    return f"{before or '-'} → {after or '-'}{difference}"


def _value(heading: str, row: Row) -> str:
    """Return a number as the report shows it, with its standard deviation if there is one; anything else as it is."""
    text = row.get(heading, "")
    try:
        number = f"{float(text):.3f}"
    except ValueError:
        return text
    std = row.get(f"{heading} std")
    return f"{number} ± {float(std):.3f}" if std else number


def _changed(old: Mapping[Any, Row], new: Mapping[Any, Row], known: set[str]) -> list[str]:
    """Return the headings, but for those known, whose values changed in rows that stand in both tables."""
    pairs = [(old[key], row) for key, row in new.items() if key in old]
    headings = list(dict.fromkeys(heading for rows in pairs for row in rows for heading in row))
    found = [h for h in headings if h not in known and any(a.get(h) != b.get(h) for a, b in pairs)]
    # one name for all that belongs to a heading; what is shown has been named
    named = dict.fromkeys(_DETAIL.sub("", heading) for heading in found)
    return [heading for heading in named if heading not in known]
