"""Does attention move? The planned contrasts of the phases, asked of the heat instead of the AUC."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from deepfake.config import facts_of
from deepfake.config.params import Evaluation
from deepfake.evaluation import attention, verdicts
from deepfake.evaluation.estimate import Estimate
from deepfake.reports.findings import Finding, Verdict, tested
from deepfake.studies import comparison, results
from deepfake.tables import results as result_tables

PHASES = {
    "phase1": ("phase1",),
    "phase2": ("phase2",),
    "phase3": ("phase3",),
    "phase4": ("phase4a", "phase4b"),
}
"""The tables of tests (`<name>_tests`) that hold each phase's planned contrasts."""
SETTINGS = {
    "resize": "a plain resize",
    "matched": "a resize to equal shapes",
    "letterbox_real": "letterboxing the reals",
    "letterbox": "letterboxing both classes",
    "crop": "a square crop",
}
"""What the geometry of a view is called as a cause."""
_WORDS: dict[str, Verdict] = {"worse": "at_chance", "equivalent": "equivalent"}
"""Attention that moves away from the face does not move towards it; that is nothing bad by itself."""
_AWAY = "It moves away from the face."


def planned() -> pd.DataFrame:
    """Return the planned contrasts of all phases: `phase, table, baseline, experiment`.

    Raises:
        InputError: a phase has not been run.
    """
    parts = [
        result_tables.read(f"{name}_tests")[["table", "baseline", "experiment"]].assign(phase=phase)
        for phase, names in PHASES.items()
        for name in names
    ]
    return pd.concat(parts, ignore_index=True)


def runs(contrasts: pd.DataFrame) -> list[str]:
    """Return the runs of contrasts, that which is the baseline of most of them first: it chooses what is shown."""
    first = str(contrasts["baseline"].mode(dropna=True)[0])
    pairs = zip(contrasts["baseline"], contrasts["experiment"], strict=True)
    return list(dict.fromkeys([first, *(name for pair in pairs for name in pair)]))


def write(contrasts: pd.DataFrame, looks: Mapping[str, pd.DataFrame], evaluation: Evaluation) -> list[Finding]:
    """Write how attention moves in each contrast, `explain_attention_changes`, and return the findings.

    Args:
        contrasts: `planned`.
        looks: where runs look (`cases.looks`); contrasts of a run that has no heat are left out.
        evaluation: confidence of the intervals.
    """
    rows: list[dict[str, Any]] = []
    for table, part in contrasts.groupby("table", sort=False):
        moved: dict[tuple[str, str], dict[str, Estimate]] = {}
        for baseline, experiment in zip(part["baseline"], part["experiment"], strict=True):
            if baseline in looks and experiment in looks:
                found = attention.moved(looks[baseline], looks[experiment], evaluation.confidence)
                if found is not None:
                    moved[baseline, experiment] = found
        faces = [found["face"] for found in moved.values()]
        judged = verdicts.compare(faces, attention.ROPE, evaluation.confidence) if faces else []
        for ((baseline, experiment), found), verdict in zip(moved.items(), judged, strict=True):
            row = {"phase": part["phase"].iloc[0], "table": table, "baseline": baseline, "experiment": experiment}
            row |= comparison.told(verdict, len(faces), attention.ROPE)
            for region in attention.REGIONS[1:]:
                figure = found[region]
                row |= {f"{region}_change": figure.value, f"{region}_low": figure.low, f"{region}_high": figure.high}
            rows.append(row)
    columns = list(result_tables.RESULTS["explain_attention_changes"].columns)
    frame = pd.DataFrame(rows, columns=columns)
    result_tables.write(frame, "explain_attention_changes")
    return [_finding(row) for _, row in frame.iterrows()]


def _finding(row: Any) -> Finding:
    away = {"note": _AWAY} if row["verdict"] == "worse" else {}
    id_ = f"attention.{row['table']}.{row['experiment']}.{row['baseline']}"
    question = asked(str(row["table"]), facts_of(row["experiment"]), facts_of(row["baseline"]))
    return tested(id_, question, row, _WORDS, measure="Δ share of heat", **away)


def asked(table: str, facts: Mapping[str, Any], baseline: Mapping[str, Any]) -> str:
    """Return the question that a contrast answers.

    Args:
        table: that it stands in.
        facts: of its run.
        baseline: of the run that it is compared with.
    """
    title, other = results.title(facts), results.title(baseline)
    if (what := cause(table, facts)) is None:
        return f"Does {title} look at the face more than {other}{' on all data' if table == 'phase4b' else ''}?"
    return f"Does {what} move the attention of {title} towards the face?"


def cause(table: str, facts: Mapping[str, Any]) -> str | None:
    """Return what a contrast varies, or None where it compares models."""
    causes = {
        "phase2a_geometry": SETTINGS.get(facts["view"]["geometry"], facts["view"]["geometry"]),
        "phase2a_colour": "normalising by real images",
        "phase2a_holdout": f"training without {facts['holdout']}",
        "phase2b": f"raising the resolution to {facts['resolution']} px",
        "phase2c": "a face crop",
        "phase2d": "augmentation of whole images",
        "phase2e": "augmentation of face crops",
        "phase4a": f"training on {facts['fraction']:.0%} of the data",
    }
    return causes.get(table)
