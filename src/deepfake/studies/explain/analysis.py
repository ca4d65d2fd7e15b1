"""Why detectors decide as they do: where they look, what they get wrong, and how sure they are."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from deepfake.config.params import Evaluation
from deepfake.evaluation import attention, hard_examples
from deepfake.progress import SILENT, Progress
from deepfake.reports import findings
from deepfake.reports.findings import Finding
from deepfake.studies.explain import cases as finished
from deepfake.studies.explain import changes, deep, deletion, hard, heat, pictures, sanity, shown
from deepfake.studies.explain import findings as conclusions
from deepfake.studies.explain.cases import Case
from deepfake.studies.explain.heat import Wanted
from deepfake.studies.explain.sanity import Check
from deepfake.tables import results as result_tables

NAME = "explain"


@dataclass
class Explained:
    """What is known of each run's heat.

    Args:
        maps: its heat, float32 [r, c] cell by cell, by row of the manifest.
        looks: where it lies in the images behind the figures (`cases.looks`); none of a run that was refused.
        cells: the side of its map.
        refused: who has no heat and why.
        checks: what the sanity checks found instead, each map by row of the manifest.
    """

    maps: dict[str, dict[int, np.ndarray]]
    looks: dict[str, pd.DataFrame]
    cells: dict[str, int]
    refused: dict[str, str]
    checks: list[tuple[Check, dict[int, np.ndarray]]]


def run(experiments: Sequence[str], evaluation: Evaluation, *, progress: Progress = SILENT) -> None:
    """Explain some finished runs: write tables and findings, and draw pictures.

    The tables: `explain_gradcam` (`attention.summary`), `explain_regions` (`attention.overall`), `explain_confidence`
    and `explain_confident_errors`, each with the column `experiment`, and those of `deep.run` and `hard.run`. The
    picture `gradcam` shows photographs. A backbone that Grad-CAM cannot explain has no heat, and a finding says why.

    Args:
        experiments: names of finished runs of one data set; the first one's verdicts choose what is shown.
        evaluation: confidence of the intervals.
        progress: told what is about to be decoded, of the images decoded and explained, and who cannot be explained.

    Raises:
        InputError: a run has not been trained.
    """
    cases = finished.read(experiments, progress)
    chosen = {"gradcam": (list(cases), shown.shown(_common(cases, experiments[0])))}
    explained = _explain(cases, chosen, (), progress)
    _write_heat(explained, evaluation.confidence)
    _write_verdicts(cases, evaluation.confidence)
    found = conclusions.faces(explained.looks, finished.labels(cases), explained.refused, evaluation)
    found += deep.run(experiments, evaluation, progress) + hard.run(experiments, evaluation, progress)
    findings.write(NAME, found)
    _draw(cases, chosen, explained)


def study(
    finalists: Sequence[str], final: str, evaluation: Evaluation, *, progress: Progress = SILENT
) -> list[Finding]:
    """Explain the runs of all planned contrasts of the phases: write tables and findings, and draw the photographs.

    Beside the tables of `run`: `explain_attention_changes`, `explain_sanity`, `explain_deletion` and
    `explain_deletion_area`. One picture of heat a phase.

    Args:
        finalists: the runs whose verdicts and faces are reported.
        final: the one that deletion curves are made of.
        evaluation: confidence of the intervals.
        progress: as for `run`.

    Returns:
        The findings.

    Raises:
        InputError: a phase has not been run.
    """
    contrasts = changes.planned()
    names = {phase: changes.runs(rows) for phase, rows in contrasts.groupby("phase", sort=False)}
    every = dict.fromkeys([name for of_phase in names.values() for name in of_phase] + [*finalists, final])
    cases = finished.read(every, progress)
    chosen = {
        f"gradcam_{phase}": (of_phase, shown.shown(_common({name: cases[name] for name in of_phase}, of_phase[0])))
        for phase, of_phase in names.items()
    }
    subjects = sanity.subjects(cases, finalists)
    explained = _explain(cases, chosen, sanity.checks(cases, subjects), progress)
    _write_heat(explained, evaluation.confidence)
    best = {name: cases[name] for name in finalists}
    _write_verdicts(best, evaluation.confidence)
    labels = finished.labels(best)
    found = conclusions.faces({name: explained.looks[name] for name in best if name in explained.looks}, labels,
                              explained.refused, evaluation)  # fmt: skip
    found += changes.write(contrasts, explained.looks, evaluation)
    found += sanity.write(explained.maps, explained.checks, cases, evaluation)
    found += deletion.write(cases[final], explained.maps.get(final, {}), evaluation, progress)
    found += deep.run(finalists, evaluation, progress) + hard.run(finalists, evaluation, progress)
    findings.write(NAME, found)
    _draw(cases, chosen, explained)
    return found


def _common(cases: Mapping[str, Case], chooser: str) -> pd.DataFrame:
    """Return a run's verdicts on what all runs beside it held out."""
    verdicts = cases[chooser].verdicts
    held_out = [set(case.verdicts["sample_id"]) for case in cases.values()]
    return verdicts[verdicts["sample_id"].isin(set.intersection(*held_out))]


def _explain(
    cases: Mapping[str, Case],
    chosen: Mapping[str, tuple[list[str], pd.DataFrame]],
    checks: Sequence[Check],
    progress: Progress,
) -> Explained:
    """Return the heat of all runs on the images behind the figures and on those of all pictures."""
    pictured = {sample for _, rows in chosen.values() for sample in rows["sample_id"]}
    wanted: list[Wanted] = []
    owners: list[str] = []
    measured = {name: shown.measured(case.verdicts) for name, case in cases.items()}
    for name, case in cases.items():
        needed = set(measured[name]["sample_id"]) | pictured
        rows = case.verdicts[case.verdicts["sample_id"].isin(needed)]
        for fold, part in rows.groupby("fold"):
            places = np.sort(part["row"].to_numpy(np.int64))
            wanted.append(Wanted(case.weights, int(str(fold)), case.file, places))
            owners.append(name)
    result = heat.maps([*wanted, *(check.wanted for check in checks)], progress)
    explained = Explained({name: {} for name in cases}, {}, {}, {}, [])
    for number, found in result.found.items():
        if number < len(wanted):
            explained.maps[owners[number]].update(zip(wanted[number].rows.tolist(), found, strict=True))
        else:
            check = checks[number - len(wanted)]
            explained.checks.append((check, dict(zip(check.wanted.rows.tolist(), found, strict=True))))
    for name, case in cases.items():
        maps = explained.maps[name]
        if not maps:
            explained.refused[name] = result.refused.get(case.config.experiment, "its maps are gone; explain it again")
            progress.say(f"{name}: no heatmaps: {explained.refused[name]}")
            continue
        explained.cells[name] = len(next(iter(maps.values())))
        rows = measured[name]
        explained.looks[name] = finished.looks(case, rows, np.stack([maps[row] for row in rows["row"]]))
    return explained


def _write_heat(explained: Explained, confidence: float) -> None:
    """Write where runs look: by source and verdict, and all in all."""
    parts = {
        name: attention.summary(look, confidence).assign(cells=explained.cells[name])
        for name, look in explained.looks.items()
    }
    parts = parts or {"": attention.summary(_NOTHING, confidence).assign(cells=0)}
    _write("gradcam", parts)
    rows = [
        {"experiment": name, "cells": explained.cells[name]} | attention.overall(look, confidence)
        for name, look in explained.looks.items()
    ]
    result_tables.write(pd.DataFrame(rows, columns=list(result_tables.RESULTS["explain_regions"].columns)),
                        "explain_regions")  # fmt: skip


_NOTHING = pd.DataFrame(columns=["label", "source", "group", "wrong"])


def _write_verdicts(cases: Mapping[str, Case], confidence: float) -> None:
    """Write what runs get wrong and how sure they are."""
    verdicts = {name: case.verdicts for name, case in cases.items()}
    _write("confidence", {name: hard_examples.confidence(each) for name, each in verdicts.items()})
    errors = {name: hard_examples.confident_errors(each, confidence) for name, each in verdicts.items()}
    _write("confident_errors", errors)


def _write(name: str, frames: Mapping[str, pd.DataFrame]) -> None:
    """Write the runs' tables as one."""
    joined = pd.concat(frames, names=["experiment"]).reset_index("experiment")
    result_tables.write(joined, f"explain_{name}")


def _draw(
    cases: Mapping[str, Case], chosen: Mapping[str, tuple[list[str], pd.DataFrame]], explained: Explained
) -> None:
    """Draw the pictures of heat."""
    for name, (runs, rows) in chosen.items():
        known = {run: cases[run] for run in runs if run in explained.looks}
        pictures.heat(name, cases[runs[0]], known, rows, explained.maps)
