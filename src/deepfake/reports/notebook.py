"""What the cells of a notebook call: each shows a thing that a study left behind, and saves it beside the notebook.

What has not been made is said in its place, with the command that makes it, so that a notebook always runs.
"""

import json
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from deepfake.errors import InputError, unknown
from deepfake.project import nearest, paths
from deepfake.reports import notebook_output as output
from deepfake.reports import notebook_tables
from deepfake.tables import results

if TYPE_CHECKING:
    from deepfake.reports.findings import Finding

RESULTS_VARIABLE = "DEEPFAKE_NOTEBOOK_RESULTS"
"""Names the folder that takes what a notebook shows, while `deepfake notebooks` executes it."""


def start(name: str) -> None:
    """Work in the project that the notebook lies in, and save there all that is shown.

    Args:
        name: the notebook's own, without a suffix.

    Raises:
        InputError: it lies in no project.
    """
    here = nearest(Path())
    if here is None:
        raise InputError(f"{Path().resolve()}: no project upwards (params.yaml); start Jupyter below one")
    here.enter()
    folder = Path(os.environ.get(RESULTS_VARIABLE) or paths().executed_notebook(name))
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    output.open_in(folder)
    from deepfake import config

    settings = config.load()
    what = f"Preset {settings.preset}, data set {settings.dataset}"
    output.note(what, "", "every table and picture below is saved beside this notebook, with an index")
    interval = "that of the test behind the verdict, 90% for one planned comparison and wider for several (Holm)"
    output.note("Interval", "", interval)


def table(
    name: str,
    caption: str,
    columns: list[str] | None = None,
    rows: dict[str, Any] | None = None,
    *,
    interval: str | None = None,
    largest: tuple[str, int] | None = None,
    absent: dict[str, dict[str, str]] | None = None,
) -> None:
    """Show a result table, rounded, each figure in one cell with its interval or its standard deviation.

    Args:
        name: of the table, for example `phase1_tests`.
        caption: what it shows.
        columns: those to show, in this order; None for all; `auc_*`: those of each source.
        rows: of each of these columns the value, or the values, that a row must have.
        interval: the figure that columns `low` and `high` belong to, where the table has another than a difference.
        largest: a column, and how many rows with its largest values to show.
        absent: of a column, the values that a reader looks for and what would bring them, where the table lacks them.

    Raises:
        InputError: it lacks a column.
    """
    found = _read(name)
    if found is None:
        return output.not_run(name, caption)
    columns = notebook_tables.named(found, columns or list(map(str, found)))
    chosen = notebook_tables.chosen(found, name, columns, rows)
    if chosen.empty:
        return output.note("No such row in", f"{name}.csv", caption)
    if largest is not None:
        chosen = chosen.nlargest(largest[1], largest[0])
    shown = notebook_tables.described(chosen, columns, interval)
    output.table(shown, name, caption, notebook_tables.absent(shown, found, absent or {}))


def spread(name: str, caption: str, metrics: list[str], rows: dict[str, Any] | None = None) -> None:
    """Show the mean and the standard deviation over folds of metrics, a row a run.

    Args:
        name: of the comparison, for example `phase1`.
        caption: what it shows.
        metrics: columns of its table of folds; `auc_*` stands for those of all sources.
        rows: of each of these columns the value, or the values, that a row must have.

    Raises:
        InputError: it lacks a column.
    """
    folds = f"{name}_folds"
    found = _read(folds)
    if found is None:
        return output.not_run(folds, caption)
    metrics = notebook_tables.named(found, metrics)
    chosen = notebook_tables.chosen(found, folds, ["experiment", *metrics], rows)
    if chosen.empty:
        return output.note("No such row in", f"{folds}.csv", caption)
    shown = notebook_tables.spread(chosen, metrics)
    output.table(notebook_tables.described(shown, ["experiment", "folds", *metrics], None), folds, caption)


def runs(name: str, contrasts: str) -> list[str]:
    """Return the runs that a group of planned contrasts compares, each after its baseline, for `rows`.

    Args:
        name: of the comparison, for example `phase2`.
        contrasts: which of its contrasts, by their column `table`, for example `phase2b`.
    """
    found = _read(f"{name}_tests")
    if found is None:
        return []
    pairs = found.loc[found["table"] == contrasts, ["baseline", "experiment"]]
    return list(dict.fromkeys(pairs.to_numpy().ravel()))


def figure(name: str, caption: str, data: str | None = None) -> None:
    """Show a figure of the report, and save it with the numbers that it was drawn from.

    Args:
        name: of the figure, for example `phase1_auc`.
        caption: what it shows, also to those who cannot see it.
        data: the result table that it was drawn from; that of its own name, if there is one, unless given.
    """
    drawn = paths().figure(name)
    there = [path for path in (drawn.with_suffix(".svg"), drawn) if path.exists()]
    numbers = paths().table(data or name)
    output.picture(there, "figure", name, caption, [numbers] if numbers.exists() else [])


def photograph(name: str, caption: str) -> None:
    """Show a picture made of photographs, where this machine has it.

    Args:
        name: of the picture, for example `gradcam_phase1`.
        caption: what it shows, also to those who cannot see it.
    """
    path = paths().photograph(name)
    output.picture([path] if path.exists() else [], "photograph", name, caption, [])


def findings(study: str, *prefixes: str) -> None:
    """Show the questions of a study and their answers.

    Args:
        study: for example `phase1`.
        prefixes: of their ids (`Findings.below`); none for all of them.
    """
    caption = _of("questions and answers", study, prefixes)
    if found := _findings(study, prefixes, caption):
        output.table(notebook_tables.questions(found), f"{study}_findings", caption)


def conclusions(study: str, *prefixes: str, key: bool = False) -> None:
    """Say, in sentences, what a study concludes: each question with its answer, and how many are decided.

    Args:
        study: for example `phase1`.
        prefixes: of the findings' ids; none for all of them.
        key: of these, the key findings only, which were fixed beforehand.
    """
    caption = _of("conclusions", study, prefixes)
    if found := _findings(study, prefixes, caption, key):
        said = [(f"{one.question} {one.answer.capitalize()}. {one.note}".strip(), one.figures) for one in found]
        undecided = sum(one.verdict in ("undecided", "not_run") for one in found)
        counted = f"{len(found) - undecided} of {len(found)} questions are decided, {undecided} not."
        output.sentences([(counted, ""), *said] if len(found) > 1 else said, f"{study}_conclusions", caption)


def conclude(study: str, finding: str, *, key: bool = False, **sentences: str) -> None:
    """Say what follows from findings: the sentence that their verdict calls for.

    Args:
        study: for example `phase2`.
        finding: its id, or what the ids of several begin with.
        key: of these, the key findings only, which were fixed beforehand.
        sentences: what follows from each verdict, by its name in `reports.findings.Verdict`; `otherwise` from those
            that are not named.

    Raises:
        InputError: a verdict is unknown, or none is given for the one that was found.
    """
    from deepfake.reports.findings import ANSWERS

    known = [*ANSWERS, "otherwise"]
    for verdict in sentences:
        if verdict not in known:
            raise InputError(f"conclude({study!r}, {finding!r}): {unknown('verdict', verdict, known)}")
    caption = _of("what follows", study, (finding,))
    if found := _findings(study, (finding,), caption, key):
        chosen = [(_called_for(sentences, one), one) for one in found]
        said = [(f"{say} — {one.question} {one.answer.capitalize()}.", one.figures) for say, one in chosen]
        output.sentences(said, f"{study}_{finding}", caption)


def decision(study: str, caption: str) -> None:
    """Show what a study decided for those after it.

    Args:
        study: `phase2`, `phase3` or `final`, as its file below reports/decisions is called.
        caption: what was decided.
    """
    path = {"phase2": paths().decision, "phase3": paths().finalists, "final": paths().final}[study]
    if not path.exists():
        return output.not_run("phase4" if study == "final" else study, caption)
    rows = pd.DataFrame(json.loads(path.read_text("utf-8")).items(), columns=["decided", "value"])
    shown = notebook_tables.described(rows.map(notebook_tables.words), ["decided", "value"], None)
    output.table(shown, f"{study}_decision", caption)


def _called_for(sentences: dict[str, str], finding: "Finding") -> str:
    said = sentences.get(finding.verdict, sentences.get("otherwise"))
    if said is None:
        what = f"no sentence for the verdict {finding.verdict!r}"
        raise InputError(f"conclude({finding.id!r}): {what}; give one, or `otherwise`")
    return said


def _of(what: str, study: str, prefixes: tuple[str, ...]) -> str:
    return f"{what} of {study}" + (f": {', '.join(prefixes)}" if prefixes else "")


def _read(name: str) -> pd.DataFrame | None:
    """Return a result table, or None where it was not made: by a study not run, or not known to this version."""
    if not paths().table(name).exists():
        return None
    return results.read(name)


def _findings(study: str, prefixes: tuple[str, ...], caption: str, key: bool = False) -> "list[Finding]":
    """Return findings in the order of the prefixes; where there are none, say why."""
    from deepfake.reports import findings as all_findings

    if not paths().findings(study).exists():
        output.not_run(study, caption)
        return []
    found = all_findings.read(study)
    named = [one for prefix in prefixes for one in found.below(prefix)] if prefixes else list(found.values())
    wanted = [one for one in named if one.key or not key]
    if not wanted:
        output.note("Not asked", "", f"{caption} (these data or this preset raise no such question)")
    return wanted
