"""What a detector decides at each threshold: tables and pictures that the page of class imbalance shares."""

from collections.abc import Mapping

import pandas as pd

from deepfake.config import config_of
from deepfake.config.params import Params
from deepfake.evaluation import thresholds
from deepfake.project import paths
from deepfake.reports import columns, pages
from deepfake.reports import settings as shown_settings
from deepfake.reports.columns import Column, Table, interval, number, text
from deepfake.studies.operating_points import figures
from deepfake.studies.operating_points.analysis import DECISIONS, Examined
from deepfake.studies.operating_points.figures import title
from deepfake.tables import results as result_tables

_SHOWN = {
    "recall_real": "Recall (real)",
    "precision_real": "Precision (real)",
    "precision_recall_gap": "Gap",
    "f1_macro": "F1 (macro)",
    "f1_real": "F1 (real)",
    "recall_fake": "Recall (fake)",
    "precision_fake": "Precision (fake)",
    "f1_fake": "F1 (fake)",
    "accuracy": "Accuracy",
    "balanced_accuracy": "Balanced accuracy",
    "false_positive_rate": "FPR",
}


def table(points: pd.DataFrame) -> str:
    """Return the threshold table of one run."""
    marks = points["rule"].map(lambda rule: " (shipped)" if rule == thresholds.TUNED else "")
    shown = [text("Threshold", "title"), number("p", "probability", "{:.2f}")]
    shown += [number(heading, key) for key, heading in _SHOWN.items()]
    return Table(points.assign(title=points["rule"].map(title) + marks), shown).markdown()


def report(points: pd.DataFrame) -> str:
    """Return the classification report of one run: each class, and the mean of both, at each of `DECISIONS`."""
    known, rows = points.set_index("rule"), []
    for rule in DECISIONS:
        of = known.loc[rule]
        support = of["true_reals"] + of["false_fakes"], of["true_fakes"] + of["false_reals"]
        by_class = [
            {figure: of[f"{figure}_{name}"] for figure in ("precision", "recall", "f1")} for name in ("real", "fake")
        ]
        both = pd.DataFrame(by_class).mean().to_dict()
        for name, count, values in zip(
            ("real", "fake", "mean of both"), (*support, sum(support)), (*by_class, both), strict=True
        ):
            rows.append({"rule": title(rule), "class": name, "support": count} | values)
    shown = [text("Threshold", "rule"), text("Class", "class")]
    shown += [number(heading, key) for key, heading in (("precision", "Precision"), ("recall", "Recall"), ("f1", "F1"))]
    return Table(pd.DataFrame(rows), [*shown, number("Support", "support", "{:,.0f}")]).markdown()


def calibration(rows: pd.DataFrame, titles: Mapping[str, str]) -> str:
    """Return the table of calibration, a row a run."""
    shown: list[Column] = [
        text("Run", "title"),
        columns.estimate(
            "Temperature: median [least, greatest]", "temperature", "temperature_low", "temperature_high", "{:.2f}"
        ),
        *(number(f"ECE {when}", f"ece_{when}") for when in ("before", "after")),
        number("ECE floor", "ece_floor_after"),
        *(number(f"Log loss {when}", f"log_loss_{when}") for when in ("before", "after")),
        interval("Change [95% CI]", "log_loss_low", "log_loss_high", "{:+.3f}"),
        *(number(f"Brier {when}", f"brier_{when}") for when in ("before", "after")),
        Column("Folds at the bound", {"": "folds_at_bound", "of": "folds"}, "{:.0f} of {:.0f}".format),
    ]
    return Table(rows.assign(title=rows["experiment"].map(titles)), shown).markdown()


def name_of(experiment: str) -> str:
    """Return what the page of a run's thresholds is called, and what its pictures' names begin with."""
    return f"thresholds_{experiment}"


def write(experiment: str, found: Examined, settings: Params) -> str:
    """Write reports/thresholds_RUN.md with its pictures, and return its threshold table."""
    name, titles = name_of(experiment), {experiment: experiment}
    calibrations = pd.DataFrame([{"experiment": experiment, **found.calibration}])
    tables = {"points": found.points, "reliability": found.reliability, "roc": found.roc, "roc_band": found.band}
    for kind, rows in tables.items():
        result_tables.write(rows.assign(experiment=experiment), f"{name}_{kind}")
    draw(
        name,
        {experiment: found.points},
        {experiment: found.reliability},
        {experiment: found.roc},
        {experiment: found.band},
        calibrations,
    )
    shown = table(found.points)
    pages.write(
        name,
        __package__ or "",
        "page.md.j2",
        experiment=experiment,
        name=name,
        table=shown,
        report=report(found.points),
        calibration=calibration(calibrations, titles),
        settings=shown_settings.shared([config_of(experiment)]),
    )
    return shown


def draw(
    name: str,
    points: Mapping[str, pd.DataFrame],
    bins: Mapping[str, pd.DataFrame],
    curves: Mapping[str, pd.DataFrame],
    bands: Mapping[str, pd.DataFrame],
    calibrations: pd.DataFrame,
) -> None:
    """Draw ROC curves with thresholds, confusion matrices and reliability diagrams, all by what runs are called."""
    figures.roc(curves, bands, points, paths().figure(f"{name}_roc"))
    figures.confusion(points, paths().figure(f"{name}_confusion"))
    told = {row["experiment"]: figures.eces(row) for row in calibrations.to_dict("records")}
    figures.reliability(bins, told, paths().figure(f"{name}_reliability"))
