"""What a detector decides at each threshold: the parts that the page of class imbalance and any experiment's own share.

A cut is a probability of params.yaml or a rule of `thresholds.RULES`; figures are means over held-out folds.
"""

import pandas as pd

from deepfake import tables
from deepfake.config.params import Params
from deepfake.evaluation import thresholds
from deepfake.evaluation.metrics import CALIBRATION_BINS
from deepfake.project import paths
from deepfake.reports import wording
from deepfake.reports.columns import Column, Table, interval, mean, number, text
from deepfake.studies.operating_points import figures
from deepfake.studies.operating_points.figures import title

REPORTED = ("0.5", thresholds.TUNED)
"""The cuts of a classification report."""
NOTE = (
    "Rules choose a threshold on each fold's inner validation, and the held-out fold only meets it; figures are means "
    f"over folds, ± their standard deviation, counts are summed. {title(thresholds.TUNED)} is a checkpoint's own "
    "threshold (*tuned*); the best balanced accuracy lies at the same cut, because J is twice that minus 1. FPR: share "
    "of the reals that are called fake; a rule keeps its FPR on the inner validation and promises nothing beyond. The "
    "gap is |precision - recall| of the reals: it is 0 too where nothing is called real."
)


def columns() -> list[Column]:
    """Return the columns of a threshold table."""
    plain = {
        "precision_real": "Precision (real)",
        "f1_real": "F1 (real)",
        "recall_fake": "Recall (fake)",
        "precision_fake": "Precision (fake)",
        "f1_fake": "F1 (fake)",
        "accuracy": "Accuracy",
        "balanced_accuracy": "Balanced accuracy",
        "false_positive_rate": "FPR",
    }
    return [
        text("Cut", "title"),
        mean("Probability", "probability"),
        mean("Recall (real)", "recall_real"),
        mean("F1 (macro)", "f1_macro"),
        mean("Gap", "precision_recall_gap"),
        *(number(heading, key) for key, heading in plain.items()),
    ]


def table(cuts: pd.DataFrame) -> str:
    """Return the threshold table of one experiment."""
    marks = cuts["cut"].map(lambda cut: " (tuned)" if cut == thresholds.TUNED else "")
    return Table(cuts.assign(title=cuts["cut"].map(title) + marks), columns()).markdown()


def report(cuts: pd.DataFrame) -> str:
    """Return the classification report of one experiment: each class at probability 0.5 and tuned."""
    known = cuts.set_index("cut")
    rows = []
    for cut in REPORTED:
        of = known.loc[cut]
        reals, fakes = of["true_reals"] + of["false_fakes"], of["true_fakes"] + of["false_reals"]
        for name, support in (("real", reals), ("fake", fakes)):
            row = {"cut": "0.5" if cut == "0.5" else "tuned", "class": name, "support": support}
            rows.append(row | {figure: of[f"{figure}_{name}"] for figure in ("precision", "recall", "f1")})
        average = {
            figure: (of[f"{figure}_real"] + of[f"{figure}_fake"]) / 2 for figure in ("precision", "recall", "f1")
        }
        rows.append({"cut": rows[-1]["cut"], "class": "mean of both", "support": reals + fakes} | average)
    shown = [text("Cut", "cut"), text("Class", "class")]
    shown += [number(heading, key) for key, heading in (("precision", "Precision"), ("recall", "Recall"), ("f1", "F1"))]
    return Table(pd.DataFrame(rows), [*shown, number("Support (all folds)", "support", "{:,.0f}")]).markdown()


def calibration(rows: pd.DataFrame, confidence: float) -> str:
    """Return the table of calibration, a row an experiment."""
    shown = [text("Experiment", "experiment"), mean("Temperature", "temperature")]
    for name, heading in (("ece", "ECE"), ("log_loss", "Log loss"), ("brier", "Brier")):
        shown += [mean(f"{heading} before", f"{name}_before"), mean(f"{heading} after", f"{name}_after")]
        shown.append(interval(f"{heading}: {confidence:.0%} interval of the change", f"{name}_low", f"{name}_high"))
    return Table(rows, shown).markdown()


def calibrated(rows: pd.DataFrame) -> list[str]:
    """Say what temperature scaling changes, an experiment each, and where it can do nothing."""
    kinds = {
        "lowers": rows["log_loss_high"] < 0,
        "raises": rows["log_loss_low"] > 0,
        "cannot be shown to change": (rows["log_loss_low"] <= 0) & (rows["log_loss_high"] >= 0),
    }
    found = []
    for told, inside in kinds.items():
        if inside.any():
            named = [
                f"{row['experiment']} ({row['log_loss_change']:+.3f} {wording.interval(row, 'log_loss_')}; ECE "
                f"{row['ece_before']:.3f} → {row['ece_after']:.3f})"
                for _, row in rows[inside].iterrows()
            ]
            found.append(f"Temperature scaling {told} the held-out log loss of {wording.listed(named)}.")
    if (stuck := rows["folds_at_bound"] > 0).any():
        named = [f"{row['experiment']} ({row['folds_at_bound']:.0f})" for _, row in rows[stuck].iterrows()]
        found.append(
            f"In some folds (their number in brackets) the temperature of {wording.listed(named)} is the greatest "
            "that is looked for: on the inner validation the logits rank worse than chance, or are shifted, and the "
            "best that a scale can do is to make all probabilities 0.5."
        )
    return found


CALIBRATION_NOTE = (
    "Each fold's temperature is fitted on its inner validation. It scales logits, so it changes neither the AUC nor "
    "any decision at 0.5, and it cannot undo a shift towards one class. Intervals are over folds, of the change, and "
    "not corrected for their number. The diagrams pool the probabilities of all held-out folds in "
    f"{CALIBRATION_BINS} bins (areas: share of the samples); the ECE in their titles is the mean over folds, and with "
    "few samples a fold some of it is noise."
)


def name_of(experiment: str) -> str:
    """Return what the page of an experiment's thresholds is called, and what its pictures' names begin with."""
    return f"thresholds_{experiment}"


def write(
    experiment: str,
    cuts: pd.DataFrame,
    calibrations: pd.DataFrame,
    bins: pd.DataFrame,
    curves: pd.DataFrame,
    settings: Params,
) -> str:
    """Write reports/thresholds_RUN.md with its pictures, and return its threshold table.

    Args:
        experiment: its name.
        cuts: one row a cut (`studies.balance.Examined.cuts`), and so on for
        calibrations: one row, with `experiment`;
        bins: of the reliability diagram;
        curves: ROC by fold.
        settings: checked params.
    """
    name = name_of(experiment)
    draw(name, {experiment: cuts}, {experiment: bins}, {experiment: curves}, calibrations)
    whole = cuts.iloc[0][["true_fakes", "false_fakes", "true_reals", "false_reals"]]
    parts = [
        f"# Thresholds of {experiment}",
        wording.scope(settings.preset, settings.dataset),
        f"Held out: {whole.sum():,.0f} samples, {whole['true_reals'] + whole['false_fakes']:,.0f} of them real. {NOTE}",
        table(cuts),
        *pictures(name),
        "## Classification report",
        report(cuts),
        "## Calibration",
        calibration(calibrations, settings.evaluation.confidence),
        "\n".join(f"- {sentence}" for sentence in calibrated(calibrations)),
        CALIBRATION_NOTE,
        wording.picture(f"{name}_reliability", "reliability"),
    ]
    tables.write_text("\n\n".join(part for part in parts if part) + "\n", paths().page(name))
    return table(cuts)


def draw(
    name: str,
    cuts: dict[str, pd.DataFrame],
    bins: dict[str, pd.DataFrame],
    curves: dict[str, pd.DataFrame],
    calibrations: pd.DataFrame,
) -> None:
    """Draw ROC curves with cuts, confusion matrices and reliability diagrams, all by experiment."""
    figures.roc(curves, cuts, paths().figure(f"{name}_roc"))
    figures.confusion(cuts, paths().figure(f"{name}_confusion"))
    figures.reliability(bins, calibrations.set_index("experiment"), paths().figure(f"{name}_reliability"))


def pictures(name: str) -> list[str]:
    """Return the pictures of decisions that `draw` made, with what they show."""
    return [
        wording.picture(f"{name}_roc", "ROC curves with thresholds"),
        "*Held-out ROC curve of each fold, and each cut where it lies on average over folds: a mean need not lie on a "
        "curve.*",
        wording.picture(f"{name}_confusion", "confusion matrices"),
        "*Held-out samples of all folds, each fold cut at its own threshold; shares are of a row.*",
    ]
