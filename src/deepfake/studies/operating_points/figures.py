"""The pictures of operating points: ROC, confusion matrices and reliability at every threshold rule."""

from collections.abc import Mapping
from pathlib import Path
from textwrap import fill

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from deepfake.reports.figures import COLOURS, STYLE, save

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

_MARKERS = "osD^vPX*"


def title(rule: str) -> str:
    """Return what a threshold is called."""
    return TITLES.get(rule, rule)


def roc(curves: Mapping[str, pd.DataFrame], points: Mapping[str, pd.DataFrame], path: Path) -> None:
    """Draw held-out ROC curves, a line a fold, and the operating point of each threshold, pooled over folds.

    Args:
        curves: of each run, `fold, fpr, tpr`.
        points: of each run one row a threshold, with `false_positive_rate` and `recall_fake`.
        path: the PNG to write.
    """
    with plt.rc_context(STYLE):
        figure, panels = plt.subplots(
            1, len(curves), figsize=(3.9 * len(curves), 4.9), squeeze=False, sharey=True, layout="constrained"
        )
        for axes, (name, folds) in zip(panels.flat, curves.items(), strict=True):
            for _, fold in folds.groupby("fold"):
                axes.plot(fold["fpr"], fold["tpr"], color="0.55", lw=0.9, alpha=0.8)
            axes.plot([0, 1], [0, 1], color="0.6", lw=0.8, ls="--")
            shown = operating(points[name])
            for (_, row), marker, colour in zip(shown.iterrows(), _MARKERS, COLOURS, strict=False):
                place, label = (row["false_positive_rate"], row["recall_fake"]), title(row["rule"])
                axes.plot(
                    *place, marker, color=colour, ms=8, mec="white", mew=0.8, label=label, clip_on=False, zorder=5
                )
            axes.set(title=name, xlabel="FPR (reals predicted fake)", aspect="equal", xlim=(0, 1), ylim=(0, 1))
        panels[0, 0].set_ylabel("TPR (fakes predicted fake)")
        handles, labels = panels[0, 0].get_legend_handles_labels()
        handles.append(Line2D([], [], color="0.55", lw=0.9))
        figure.legend(handles, [*labels, "held-out fold"], loc="outside lower center", ncols=3, fontsize=8)
        save(figure, path)


def operating(points: pd.DataFrame) -> pd.DataFrame:
    """Return the thresholds that are drawn: probability 0.5 and the rules, each place once."""
    return points[points["rule"].isin(TITLES) & (points["rule"] != _TWIN)]


def confusion(points: Mapping[str, pd.DataFrame], path: Path) -> None:
    """Draw confusion matrices: a row a run, a column a threshold; counts over all folds, and shares of each row."""
    columns = operating(next(iter(points.values())))["rule"].tolist()
    with plt.rc_context(STYLE):
        figure, panels = plt.subplots(
            len(points),
            len(columns),
            figsize=(0.6 + 2 * len(columns), 0.5 + 2.1 * len(points)),
            squeeze=False,
            layout="constrained",
        )
        for row, (name, each) in zip(panels, points.items(), strict=True):
            known = each.set_index("rule")
            for axes, rule in zip(row, columns, strict=True):
                of = known.loc[rule]
                _matrix(axes, np.array([[of["true_reals"], of["false_fakes"]], [of["false_reals"], of["true_fakes"]]]))
                axes.set_title(f"{title(rule)}\n(median p = {of['probability']:.2f})", fontsize=8)
            row[0].set_ylabel(f"{fill(name, 20)}\nactual", fontsize=8)
        for axes in panels[-1]:
            axes.set_xlabel("predicted", fontsize=8)
        save(figure, path)


def _matrix(axes: Axes, counts: np.ndarray) -> None:
    """Draw counts of real and fake, actual by predicted, and each row's shares as shades."""
    shares = counts / counts.sum(axis=1, keepdims=True)
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for (row, column), count in np.ndenumerate(counts):
        colour = "white" if shares[row, column] > 0.6 else "black"
        axes.text(
            column, row, f"{count:,.0f}\n{shares[row, column]:.0%}", ha="center", va="center", color=colour, fontsize=8
        )
    axes.set_xticks([0, 1], ["real", "fake"], fontsize=8)
    axes.set_yticks([0, 1], ["real", "fake"], fontsize=8)
    axes.spines[:].set_visible(False)


def reliability(bins: Mapping[str, pd.DataFrame], calibration: pd.DataFrame, path: Path) -> None:
    """Draw how often samples of a probability are fake, before and after temperature scaling.

    Args:
        bins: of each run, the bins of `evaluation.calibration.reliability`, `scaled` or not.
        calibration: one row a run, its name the index, with `ece_before`, `ece_after` and `ece_floor_after`.
        path: the PNG to write.
    """
    with plt.rc_context(STYLE):
        figure, panels = plt.subplots(
            1, len(bins), figsize=(3.6 * len(bins), 4.3), squeeze=False, sharey=True, layout="constrained"
        )
        for axes, (name, rows) in zip(panels.flat, bins.items(), strict=True):
            axes.plot([0, 1], [0, 1], color="0.6", lw=0.8, ls="--")
            for scaled, label, colour in (
                (False, "before temperature", COLOURS[0]),
                (True, "after temperature", COLOURS[1]),
            ):
                part = rows[rows["scaled"] == bool(scaled)]
                # a bin of a few samples is still seen
                sizes = 8 + 220 * part["samples"] / part["samples"].sum()
                axes.plot(part["probability"], part["fakes"], color=colour, lw=1.2, alpha=0.8)
                axes.scatter(part["probability"], part["fakes"], s=sizes, color=colour, alpha=0.75, label=label)
            row = calibration.loc[name]
            axes.set_title(
                f"{name}\nECE {row['ece_before']:.3f} → {row['ece_after']:.3f} (floor {row['ece_floor_after']:.3f})"
            )
            axes.set(xlabel="probability of being fake", aspect="equal", xlim=(-0.03, 1.03), ylim=(-0.03, 1.03))
        panels[0, 0].set_ylabel("share of fakes")
        handles = [Line2D([], [], color=colour, marker="o", label=label) for label, colour in _SCALED.items()]
        figure.legend(handles=handles, loc="outside lower center", ncols=2)
        save(figure, path)


_SCALED = {"before temperature": COLOURS[0], "after temperature": COLOURS[1]}
"""How probabilities before and after temperature scaling are drawn."""
