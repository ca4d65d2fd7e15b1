"""Where a run stands in the report: its figures, its planned contrasts, and the studies that use it."""

from collections.abc import Iterator
from dataclasses import dataclass

import pandas as pd

from deepfake.config import read_final, read_finalists
from deepfake.errors import InputError
from deepfake.project import paths
from deepfake.reports.columns import Column, Table, estimate, text
from deepfake.studies.phases.page import SECTIONS
from deepfake.studies.site import navigation
from deepfake.studies.site.run_facts import RunFacts
from deepfake.tables import results as result_tables

RANKED = {
    **{"phase1_experiments": "phase1", "phase2_experiments": "phase2", "phase3_experiments": "phase3"},
    **{"phase4a_experiments": "phase4", "phase4b_experiments": "phase4", "custom_experiments": "custom"},
    **{f"{study}_experiments": study for study in ("imbalance", "audio", "video")},
}
"""The tables that say how good runs are, each with its study."""
_CONTRASTS = {
    **{"phase1_tests": "phase1", "phase2_tests": "phase2", "phase3_tests": "phase3"},
    **{"phase4a_tests": "phase4", "phase4b_tests": "phase4", "custom_tests": "custom"},
    **{"imbalance_tests": "imbalance", "generalization_contrasts": "generalization"},
    **{"audio_tests": "audio", "video_tests": "video"},
}
"""The tables of planned contrasts, each with its study."""
_ASKED = {
    **{name: heading for name, (heading, _) in SECTIONS.items()},
    **{"phase1": "1: architectures", "phase3": "3: architectures", "phase4a": "4A: share of the data"},
    **{"phase4b": "4B: the finalists", "custom": "the custom run"},
    **{"f1_half": "macro F1 at probability 0.5", "f1_tuned": "macro F1, thresholds tuned", "auc": "AUC"},
    **{"threshold": "the tuned threshold", "architecture": "another architecture", "combined": "combined data sets"},
    **{"target": "training on the other data set", "fine_tuning": "fine-tuning", "ensemble": "ensemble"},
    "fine_tuning_or_target": "fine-tuning or training anew",
    **{"audio_models": "another detector of speech", "audio_holdout": "training without a vocoder"},
    "video_models": "a face crop of clips",
}
"""What a table of contrasts, or a question in it, asks."""
_USES = {
    "robustness_summary": ("robustness", "evaluated under corruption"),
    "shortcuts_runs": ("shortcuts", "compared with shortcut probes"),
    "explain_gradcam": ("explain", "explained by Grad-CAM"),
    "generalization_cells": ("generalization", "evaluated on other data sets"),
    "imbalance_thresholds": ("imbalance", "examined at every threshold"),
    "audio_gaps": ("audio", "evaluated on another data set of speech"),
    "video_pooling": ("video", "evaluated on frames and on clips"),
}
"""The tables of studies that use finished runs, each with its study and what that does."""
CARDS = ("phase1", "phase3", "phase4")
"""The studies whose runs have a model card: those that ask which model is best."""
CONTRASTS = [
    text("Asked", "asked"),
    text("Data set", "dataset"),
    text("Against", "other"),
    Column(
        "Change [interval]",
        {"": "difference", "low": "low", "high": "high"},
        "{:+.3f} [{:+.3f}, {:+.3f}]".format,
        "{:+.3f}".format,
    ),
    text("Verdict on this run", "verdict"),
]
FIGURES = [
    text("On", "on"),
    estimate("AUC [interval]", "auc", "auc_low", "auc_high"),
    text("Against chance", "chance"),
    Column("Held-out samples (groups)", {"": "samples", "groups": "groups"}, "{:,.0f} ({:.0f})".format),
]
_MIRRORED = {"better": "worse", "worse": "better"}


@dataclass(frozen=True)
class Place:
    """A study that shows a run.

    Args:
        study: its name.
        use: what it does with the run.
    """

    study: str
    use: str

    @property
    def address(self) -> str:
        """Return its page below reports/site."""
        return navigation.address(self.study)


class Tables:
    """The result tables that say something of runs, each read once; those of studies not run are empty."""

    def __init__(self) -> None:
        self._read: dict[str, pd.DataFrame] = {}

    def of(self, name: str) -> pd.DataFrame:
        """Return a table, or no rows where its study was not run.

        Raises:
            InputError: it is damaged.
        """
        if name not in self._read:
            there = paths().table(name).exists()
            self._read[name] = result_tables.read(name) if there else pd.DataFrame({"experiment": []})
        return self._read[name]

    def about(self, name: str, experiment: str) -> pd.DataFrame:
        """Return the rows of a table that are about a run."""
        rows = self.of(name)
        return rows[rows["experiment"] == experiment]


def ranked(run: RunFacts, tables: Tables) -> pd.Series | None:
    """Return the row of the comparison that ranks a run, that of its own study first; None where there is none."""
    own = sorted(RANKED, key=lambda table: RANKED[table] != run.study)
    found = (tables.about(table, run.name) for table in own)
    return next((rows.iloc[0] for rows in found if len(rows)), None)


def figures(run: RunFacts, tables: Tables) -> Table | None:
    """Return a run's AUC with the interval of its study's table; of several data sets, where there are several."""
    row, kept = ranked(run, tables), ["auc", "auc_low", "auc_high", "chance", "samples", "groups"]
    rows = tables.about("generalization_cells", run.name)
    if row is not None:
        rows = pd.DataFrame([row])[kept].assign(on="held-out folds")
    elif len(rows):
        rows = rows[kept].assign(on=rows["dataset"])
    else:
        return None
    return Table(rows.assign(chance=rows["chance"].map(_spoken)), FIGURES)


def contrasts(run: RunFacts, tables: Tables) -> pd.DataFrame:
    """Return the planned contrasts of a run, seen from it: positive means that it is better.

    Returns:
        Columns `asked, study, dataset, other, difference, low, high, verdict`.
    """
    rows = [row for table, study in _CONTRASTS.items() for row in _contrasts_of(run.name, tables.of(table), study)]
    columns = ["asked", "study", "dataset", "other", "difference", "low", "high", "verdict"]
    return pd.DataFrame(rows, columns=columns)


def _contrasts_of(name: str, rows: pd.DataFrame, study: str) -> Iterator[dict[str, object]]:
    """Yield the contrasts of a table that a run takes part in; where it is the baseline, the signs are turned."""
    if "baseline" not in rows:
        return
    for row in rows[(rows["experiment"] == name) | (rows["baseline"] == name)].to_dict("records"):
        own, same = row["experiment"] == name, row["experiment"] == row["baseline"]
        ends = (row["low"], row["high"]) if own else (-row["high"], -row["low"])
        yield {
            "asked": _ASKED.get(kind := row.get("table", row.get("question")), kind),
            "study": study,
            "dataset": row.get("dataset", "-"),
            "other": "itself" if same else row["baseline"] if own else row["experiment"],
            "difference": row["difference"] if own else -row["difference"],
            "low": ends[0],
            "high": ends[1],
            "verdict": row["verdict"] if own else _MIRRORED.get(row["verdict"], row["verdict"]),
        }


def uses(run: RunFacts, tables: Tables) -> list[Place]:
    """Return the studies that show a run, each with what it does, once."""
    found = [Place(study, "compared") for table, study in RANKED.items() if len(tables.about(table, run.name))]
    found += [Place(*use) for table, use in _USES.items() if len(tables.about(table, run.name))]
    found += [Place("phase4", "trained on more data")] if run.name in _finalists() else []
    found += [Place("final", "the final model, on the test set")] if run.name == final() else []
    return list(dict.fromkeys(found))


def address(name: str) -> str:
    """Return the page of a run below reports/site."""
    return f"runs/{name}.html"


def card(run: RunFacts) -> str:
    """Return the model card of a run below reports/site, or nothing where it has none."""
    carded = run.config is not None and (run.study in CARDS or run.name == final())
    return f"models/{run.name}.html" if carded else ""


def final() -> str:
    """Return the study's final model, or nothing while there is none."""
    try:
        return read_final()
    except InputError:
        return ""


def _finalists() -> tuple[str, ...]:
    try:
        return tuple(read_finalists())
    except InputError:
        return ()


def _spoken(word: object) -> str:
    return str(word).replace("_", " ")
