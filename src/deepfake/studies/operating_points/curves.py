"""The curves of held-out predictions as tables and pictures: of phases, of the final model, of any run."""

from collections.abc import Mapping
from functools import partial
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.special import expit

from deepfake.config.params import Evaluation
from deepfake.evaluation import curves, resampling, selective
from deepfake.evaluation.curves import Sure
from deepfake.evaluation.evalset import EvalSet
from deepfake.project import paths
from deepfake.reports import curve_figures
from deepfake.reports.columns import Table, estimate, number, text
from deepfake.tables import results as result_tables


class Decided(NamedTuple):
    """The held-out samples of a run, and where its folds decide.

    Args:
        held_out: with `label, logit, group, fold` and, where there are any, `repeat`.
        by_fold: each fold's logit threshold.
    """

    held_out: pd.DataFrame
    by_fold: Mapping[int, float]


def recipe(evaluation: Evaluation) -> Sure:
    """Return how sure figures of cross-validated runs are: another training, other people."""
    return partial(resampling.recipe, confidence=evaluation.confidence)


def stacked(frames: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Return the frames of runs one below the other."""
    return pd.concat(frames, names=["experiment"]).reset_index("experiment").reset_index(drop=True)


def write(name: str, held_out: Mapping[str, pd.DataFrame], sure: Sure) -> None:
    """Write the mean ROC and precision-recall curves of runs, `NAME_roc_band.csv` and `NAME_pr.csv`.

    Args:
        name: what the tables begin with.
        held_out: each run's held-out samples with label and group.
        sure: gives the pointwise intervals.
    """
    sets = {run: EvalSet.of(rows) for run, rows in held_out.items()}
    result_tables.write(stacked({run: curves.roc(one, sure) for run, one in sets.items()}), f"{name}_roc_band")
    result_tables.write(stacked({run: curves.precision_recall(one, sure) for run, one in sets.items()}), f"{name}_pr")


def write_decided(name: str, runs: Mapping[str, Decided], sure: Sure) -> None:
    """Write what runs decide at each threshold and when they may abstain.

    Writes:
        NAME_thresholds.csv: `evaluation.curves.against_threshold`.
        NAME_chosen.csv: the probability at which each fold decides.
        NAME_risk_coverage.csv: the curve of `evaluation.selective.examine`.
        NAME_aurc.csv: one row a run: the area under it with its interval, its `excess` over the least possible with as
            many errors, and the risk where all and where 80% are decided.
    """
    against = {run: curves.against_threshold(one.held_out, sure) for run, one in runs.items()}
    chosen = {
        run: pd.DataFrame({"fold": list(one.by_fold), "probability": expit(np.array(list(one.by_fold.values())))})
        for run, one in runs.items()
    }
    found = {run: selective.examine(EvalSet.of(_margins(one)), sure) for run, one in runs.items()}
    result_tables.write(stacked(against), f"{name}_thresholds")
    result_tables.write(stacked(chosen), f"{name}_chosen")
    result_tables.write(stacked({run: one.curve for run, one in found.items()}), f"{name}_risk_coverage")
    result_tables.write(pd.DataFrame([{"experiment": run} | _areas(one) for run, one in found.items()]), f"{name}_aurc")


def _margins(run: Decided) -> pd.DataFrame:
    """Return the held-out samples with how far each logit lies above its fold's threshold."""
    return run.held_out.assign(logit=run.held_out["logit"] - run.held_out["fold"].map(dict(run.by_fold)))


def _areas(found: selective.Selective) -> dict[str, float]:
    row = {}
    for key, one in (("aurc", found.aurc), ("excess", found.excess)):
        row |= {key: one.value, f"{key}_low": one.low, f"{key}_high": one.high}
    for coverage in (80, 100):
        at = found.curve.iloc[int(np.abs(found.curve["coverage"] - coverage / 100).argmin())]
        row |= {f"risk_{coverage}{end}": at[key] for end, key in (("", "risk"), ("_low", "low"), ("_high", "high"))}
    return row


def draw(
    name: str,
    titles: Mapping[str, str],
    areas: Mapping[str, float],
    folds: pd.DataFrame | None = None,
    line: str = curve_figures.MEAN,
) -> None:
    """Draw ROC and precision-recall curves from the tables of `write`.

    Args:
        name: what the tables begin with.
        titles: what each run is called, in the order of the panels.
        areas: the average precision of each run.
        folds: the ROC curve of each run and fold, where there are folds.
        line: what the line of a run is called.
    """
    bands, precision = _of(f"{name}_roc_band", titles), _of(f"{name}_pr", titles)
    each = {} if folds is None else {told: folds[folds["experiment"] == run] for run, told in titles.items()}
    curve_figures.roc(bands, each, paths().figure(f"{name}_roc"), line=line)
    told = {titles[run]: area for run, area in areas.items()}
    curve_figures.precision_recall(precision, told, paths().figure(f"{name}_pr"), line)


def draw_decided(name: str, titles: Mapping[str, str], line: str = curve_figures.MEAN) -> str:
    """Draw what the tables of `write_decided` hold, and return the table of areas under risk-coverage curves.

    Args:
        name: what the tables begin with.
        titles: what each run is called, in the order of the panels.
        line: what the line of a run is called.
    """
    chosen = {told: rows["probability"].tolist() for told, rows in _of(f"{name}_chosen", titles).items()}
    curve_figures.thresholds(_of(f"{name}_thresholds", titles), chosen, paths().figure(f"{name}_thresholds"))
    areas = result_tables.read(f"{name}_aurc")
    known = dict(zip(areas["experiment"].map(dict(titles)), areas["aurc"], strict=True))
    path = paths().figure(f"{name}_risk_coverage")
    curve_figures.risk_coverage(_of(f"{name}_risk_coverage", titles), known, path, line)
    shown = [
        text("Model", "title"),
        estimate("Errors, all decided [95% CI]", "risk_100", "risk_100_low", "risk_100_high"),
        estimate("Errors, 80% decided [95% CI]", "risk_80", "risk_80_low", "risk_80_high"),
        estimate("AURC [95% CI]", "aurc", "aurc_low", "aurc_high"),
        number("Above the least", "excess"),
    ]
    return Table(areas.assign(title=areas["experiment"].map(dict(titles))), shown).markdown()


def _of(table: str, titles: Mapping[str, str]) -> dict[str, pd.DataFrame]:
    """Return each run's rows of a table, by what it is called."""
    rows = result_tables.read(table)
    return {told: rows[rows["experiment"] == run] for run, told in titles.items()}
