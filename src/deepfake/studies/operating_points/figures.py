"""The pictures of operating points: ROC, confusion matrices and reliability at every threshold rule."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.lines import Line2D

from deepfake.reports import curve_figures
from deepfake.reports.figures import (
    COLOURS,
    STYLE,
    WIDTH,
    heading,
    label_outer,
    matrix,
    panels_of,
    save,
    square,
    wrapped,
)

TITLES = {
    "0.5": "probability 0.5",
    "youden": "Youden's J",
    "best_f1": "best F1",
    "best_balanced_accuracy": "best balanced accuracy",
    "fpr_1": "FPR at most 1%",
    "fpr_5": "FPR at most 5%",
}
"""What people call the rules of `thresholds.RULES`; another probability goes by its number."""
_TWIN = "best_balanced_accuracy"
"""The rule whose threshold is that of Youden's J: one of the two is drawn."""


def title(rule: str) -> str:
    """Return what a threshold is called."""
    return TITLES.get(rule, rule)


def roc(
    curves: Mapping[str, pd.DataFrame],
    bands: Mapping[str, pd.DataFrame],
    points: Mapping[str, pd.DataFrame],
    path: Path,
) -> None:
    """Draw held-out ROC curves, a line a fold and their mean, and the operating point of each threshold.

    Args:
        curves: of each run, `fold, fpr, tpr`.
        bands: of each run, `evaluation.curves.roc`.
        points: of each run one row a threshold, with `false_positive_rate` and `recall_fake`, pooled over folds.
        path: the PNG to write.
    """
    shown = [operating(points[name]).set_index("rule") for name in curves]
    marked = {
        title(str(rule)): [(of.loc[rule, "false_positive_rate"], of.loc[rule, "recall_fake"]) for of in shown]
        for rule in shown[0].index
    }
    curve_figures.roc(bands, curves, path, marked)


def operating(points: pd.DataFrame) -> pd.DataFrame:
    """Return the thresholds that are drawn: probability 0.5 and the rules, each place once."""
    return points[points["rule"].isin(TITLES) & (points["rule"] != _TWIN)]


def confusion(points: Mapping[str, pd.DataFrame], path: Path) -> None:
    """Draw confusion matrices: a row a run, a column a threshold; counts over all folds, and shares of each row."""
    columns = operating(next(iter(points.values())))["rule"].tolist()
    with plt.rc_context(STYLE):
        size = (WIDTH, 0.7 + 1.5 * len(points))
        figure, panels = plt.subplots(len(points), len(columns), figsize=size, sharey=True, squeeze=False)
        for row, (name, each) in zip(panels, points.items(), strict=True):
            known = each.set_index("rule")
            for axes, rule in zip(row, columns, strict=True):
                of = known.loc[rule]
                counts = [[of["true_reals"], of["false_fakes"]], [of["false_reals"], of["true_fakes"]]]
                matrix(axes, pd.DataFrame(counts))
                axes.set_title(f"{wrapped(title(rule), 15)}\nmedian p {of['probability']:.2f}", fontsize=8)
            row[0].set_ylabel(f"{wrapped(name)}\nactual", fontsize=8)
            # all of a row share their axis, so one of them turns it
            row[0].set_ylim(2, 0)
        figure.supxlabel("predicted", fontsize=8)
        save(figure, path)


def eces(row: Any) -> str:
    """Return the ECE of a run before and after temperature scaling, from its row of calibration."""
    return f"ECE {row['ece_before']:.3f} → {row['ece_after']:.3f}, floor {row['ece_floor_after']:.3f}"


def reliability(bins: Mapping[str, pd.DataFrame], told: Mapping[str, str], path: Path) -> None:
    """Draw how often samples of a probability are fake, before and after temperature scaling, and what chance allows.

    Args:
        bins: of each run, the bins of `evaluation.reliability.with_noise`, `scaled` or not; of some there may be none.
        told: what each run's ECE is, below its name.
        path: the PNG to write.
    """
    with plt.rc_context(STYLE):
        figure, panels = panels_of(len(bins), square(len(bins)) + 0.2, sharey=True, sharex=True)
        for axes, (name, rows) in zip(panels, bins.items(), strict=True):
            axes.plot([0, 1], [0, 1], color="0.6", lw=0.8, ls="--")
            for scaled, colour in zip((False, True), _SCALED.values(), strict=True):
                part = rows[rows["scaled"] == scaled]
                # a bin of a few samples is still seen
                sizes = 8 + 220 * part["samples"] / part["samples"].sum()
                axes.plot(part["probability"], part["fakes"], color=colour, lw=1.2, alpha=0.8)
                axes.scatter(part["probability"], part["fakes"], s=sizes, color=colour, alpha=0.75)
            after = rows[rows["scaled"]]
            axes.vlines(after["probability"], after["noise_low"], after["noise_high"], color="0.8", lw=5, zorder=0)
            axes.set(
                title=f"{heading(name, len(panels))}\n{told[name]}",
                xlabel="probability of being fake",
                ylabel="share of fakes",
            )
            axes.set(aspect="equal", xlim=(-0.03, 1.03), ylim=(-0.03, 1.03))
        label_outer(panels)
        shown = sorted({bool(scaled) for rows in bins.values() for scaled in rows["scaled"]})
        kinds = [list(_SCALED.items())[scaled] for scaled in shown]
        handles = [Line2D([], [], color=colour, marker="o", label=label) for label, colour in kinds]
        handles.append(Line2D([], [], color="0.8", lw=5, label="95% of the noise, if calibrated"))
        figure.legend(handles=handles, loc="outside lower center", ncols=2)
        save(figure, path)


_SCALED = {"before temperature": COLOURS[0], "after temperature": COLOURS[1]}
"""How probabilities before and after temperature scaling are drawn."""
