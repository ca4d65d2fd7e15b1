"""Which findings a branch changed: the verdict of each question, before and after."""

import json
from typing import Any

from deepfake.ops.ci_report.changes import read_base
from deepfake.ops.ci_report.comment import Section, fold
from deepfake.project import paths
from deepfake.reports.findings import ANSWERS

_SHOWN = 10
"""Findings that are shown unfolded."""


def changed(base: str) -> list[tuple[str, str, str, str]]:
    """Return study, question, and the answers before and after, of each finding whose verdict changed.

    A finding that is new, or gone, has a dash on the other side.

    Args:
        base: the commit that the branch left.
    """
    folder = paths().findings("any").parent
    old = {path.stem: _verdicts(text) for path, text in read_base(base, folder) if path.suffix == ".json"}
    new = {path.stem: _verdicts(path.read_text(encoding="utf-8")) for path in sorted(folder.glob("*.json"))}
    rows = []
    for study in sorted(old.keys() | new.keys()):
        before, after = old.get(study, {}), new.get(study, {})
        for name in dict.fromkeys([*after, *before]):
            sides = [side.get(name) for side in (before, after)]
            answers = [ANSWERS.get(side["verdict"], side["verdict"]) if side else "-" for side in sides]
            if answers[0] != answers[1]:
                question = next(side["question"] for side in reversed(sides) if side)
                rows.append((study, question, *answers))
    return rows


def _verdicts(text: str) -> dict[str, dict[str, Any]]:
    """Return the findings of a file by id."""
    return {one["id"]: one for one in json.loads(text)}


def section(rows: list[tuple[str, str, str, str]]) -> Section | None:
    """Return the section on changed findings, or None where no verdict changed."""
    if not rows:
        return None
    lines = ["| Study | Question | Before | After |", "|:--|:--|:--|:--|"]
    lines += [f"| {study} | {question} | {before} | **{after}** |" for study, question, before, after in rows]
    table = "\n".join(lines)
    return Section("Findings", table if len(rows) <= _SHOWN else fold(table, f"{len(rows)} verdicts changed"))
