"""Curves of held-out predictions with pointwise intervals, a panel a run."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from deepfake.reports.figures import COLOURS, MARKERS, STYLE, colours, heading, label_outer, panels_of, save, square

Points = Mapping[str, Sequence[tuple[Any, Any]]]
"""Operating points by their name, FPR and TPR of each run in the order of the panels."""
DECIDED = {
    "recall_fake": "recall (fake)",
    "recall_real": "recall (real)",
    "balanced_accuracy": "balanced accuracy",
    "f1_macro": "F1 (macro)",
}
"""What is drawn against the threshold, and what it is called."""
MEAN = "mean over folds"
"""What the line of a run is called, unless it is of one test set."""


def roc(
    bands: Mapping[str, pd.DataFrame],
    folds: Mapping[str, pd.DataFrame],
    path: Path,
    points: Points | None = None,
    line: str = MEAN,
) -> None:
    """Draw ROC curves: the mean over folds with its pointwise 95% CI, and a thin line a fold.

    Args:
        bands: of each run, `evaluation.curves.roc`.
        folds: of each run, `fold, fpr, tpr`; none where there are no folds.
        path: the PNG to write.
        points: operating points to mark.
        line: what the line is called.
    """
    names, points = list(bands), points or {}
    with plt.rc_context(STYLE):
        figure, panels = panels_of(len(names), square(len(names)), sharey=True, sharex=True)
        for number, (axes, name, colour) in enumerate(zip(panels, names, colours(len(names)), strict=True)):
            for _, fold in folds[name].groupby("fold") if name in folds else ():
                axes.plot(fold["fpr"], fold["tpr"], color="0.6", lw=0.5, alpha=0.6)
            _band(axes, bands[name], "fpr", "tpr", colour)
            axes.plot([0, 1], [0, 1], color="0.6", lw=0.8, ls="--")
            for (label, places), marker, ink in zip(points.items(), MARKERS, COLOURS, strict=False):
                axes.plot(*places[number], marker, color=ink, ms=8, mec="white", mew=0.8, label=label, zorder=5)
            axes.set(
                title=heading(name, len(panels)),
                xlabel="FPR (reals predicted fake)",
                ylabel="TPR (fakes predicted fake)",
            )
            axes.set(aspect="equal", xlim=(-0.02, 1.02), ylim=(-0.02, 1.02))
        label_outer(panels)
        handles = [*panels[0].get_legend_handles_labels()[0]]
        handles += [Line2D([], [], color="0.3", lw=1.8, label=line), _interval()]
        handles += [Line2D([], [], color="0.6", lw=0.8, label="held-out fold")] if folds else []
        figure.legend(handles=handles, loc="outside lower center", ncols=3)
        save(figure, path)


def precision_recall(
    curves: Mapping[str, pd.DataFrame], areas: Mapping[str, float], path: Path, line: str = MEAN
) -> None:
    """Draw precision-recall curves: the mean over folds with its pointwise 95% CI, and the prevalence of fakes.

    Args:
        curves: of each run, `evaluation.curves.precision_recall`.
        areas: the average precision of each.
        path: the PNG to write.
        line: what the line is called.
    """
    with plt.rc_context(STYLE):
        figure, panels = panels_of(len(curves), 2.3, sharey=True, sharex=True)
        for axes, (name, rows), colour in zip(panels, curves.items(), colours(len(curves)), strict=True):
            _band(axes, rows, "recall", "precision", colour)
            axes.axhline(rows["prevalence"].iloc[0], color="0.6", lw=0.8, ls="--")
            axes.set(title=f"{heading(name, len(panels))}\nAP {areas[name]:.3f}", xlabel="recall (fake)")
            axes.set(ylabel="precision (fake)", xlim=(-0.02, 1.02))
        label_outer(panels)
        # at the least recalls a single group moves the precision of a few images far: those ends are in the table
        lows = [min(rows["prevalence"].iloc[0], rows["low"].fillna(0).quantile(0.1)) for rows in curves.values()]
        panels[0].set_ylim(max(0.0, min(lows) - 0.05), 1.02)
        guess = Line2D([], [], color="0.6", lw=0.8, ls="--", label="prevalence of fakes")
        mean = Line2D([], [], color="0.3", lw=1.8, label=line)
        figure.legend(handles=[mean, _interval(), guess], loc="outside lower center", ncols=3)
        save(figure, path)


def thresholds(curves: Mapping[str, pd.DataFrame], chosen: Mapping[str, Sequence[float]], path: Path) -> None:
    """Draw what is decided at each probability, with pointwise 95% CIs, and where folds decide.

    Args:
        curves: of each run, `evaluation.curves.against_threshold`.
        chosen: the probability at which each fold decides.
        path: the PNG to write.
    """
    with plt.rc_context(STYLE):
        figure, panels = panels_of(len(curves), 2.6, sharey=True, sharex=True)
        for axes, (name, rows) in zip(panels, curves.items(), strict=True):
            for (metric, label), colour, style in zip(DECIDED.items(), COLOURS, ("-", "--", "-.", ":"), strict=False):
                columns = {f"{metric}_low": "low", f"{metric}_high": "high"}
                _band(axes, rows.rename(columns=columns), "probability", metric, colour, style, label)
            axes.axvline(float(pd.Series(chosen[name]).median()), color="0.3", lw=1)
            axes.plot(chosen[name], [0.0] * len(chosen[name]), "|", color="0.3", ms=8, clip_on=False)
            axes.set(title=heading(name, len(panels)), xlabel="threshold (probability)", ylim=(0, 1.02), xlim=(0, 1))
        label_outer(panels)
        handles = panels[0].get_legend_handles_labels()[0]
        label = "chosen" if all(len(each) == 1 for each in chosen.values()) else "chosen: each fold, median"
        handles.append(Line2D([], [], color="0.3", marker="|", ms=8, lw=1, label=label))
        figure.legend(handles=[*handles, _interval()], loc="outside lower center", ncols=3)
        save(figure, path)


def risk_coverage(curves: Mapping[str, pd.DataFrame], areas: Mapping[str, float], path: Path, line: str = MEAN) -> None:
    """Draw the selective risk against the coverage with its pointwise 95% CI, a panel a run.

    Args:
        curves: of each run, the curve of `evaluation.selective.examine`.
        areas: the area under each.
        path: the PNG to write.
        line: what the line is called.
    """
    with plt.rc_context(STYLE):
        figure, panels = panels_of(len(curves), 2.4, sharey=True, sharex=True)
        for axes, (name, rows), colour in zip(panels, curves.items(), colours(len(curves)), strict=True):
            _band(axes, rows, "coverage", "risk", colour)
            axes.axhline(rows["risk"].iloc[-1], color="0.6", lw=0.8, ls="--")
            axes.set(
                title=f"{heading(name, len(panels))}\nAURC {areas[name]:.3f}", xlabel="share of the images decided"
            )
            axes.set(ylabel="errors among them", xlim=(0, 1.01), ylim=(0, None))
        label_outer(panels)
        mean = Line2D([], [], color="0.3", lw=1.8, label=line)
        flat = Line2D([], [], color="0.6", lw=0.8, ls="--", label="all decided")
        figure.legend(handles=[mean, _interval(), flat], loc="outside lower center", ncols=3)
        save(figure, path)


def _band(
    axes: Axes, rows: pd.DataFrame, x: str, y: str, colour: str, style: str = "-", label: str | None = None
) -> None:
    """Draw a curve with its pointwise interval."""
    axes.fill_between(rows[x], rows["low"], rows["high"], color=colour, alpha=0.18, lw=0)
    axes.plot(rows[x], rows[y], style, color=colour, lw=1.8, label=label)


def _interval() -> Patch:
    return Patch(color="0.6", alpha=0.4, lw=0, label="pointwise 95% CI")
