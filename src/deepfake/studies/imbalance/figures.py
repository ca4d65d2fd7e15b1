"""The pictures of the study of class imbalance: how training went, and what decisions are worth."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from deepfake.reports.figures import COLOURS, STYLE, WIDTH, colours, save, wrapped

_CURVES = {
    "accuracy": {"train_accuracy": "train", "validation_accuracy": "validation"},
    "F1 (macro)": {"train_f1_macro": "train", "validation_f1_macro": "validation"},
    "reals, inner validation": {"validation_precision_real": "precision", "validation_recall_real": "recall"},
}
"""The panels of training progress: columns of the history, and what their lines are called."""
_BEST = {
    "accuracy": "validation_accuracy",
    "F1": "validation_f1_macro",
    "precision": "validation_precision_real",
    "recall": "validation_recall_real",
}
"""The bars of the best epochs."""


def training(history: Mapping[str, pd.DataFrame], best: Mapping[str, Sequence[int]], path: Path) -> None:
    """Draw training progress, a row a run: three panels over epochs, and bars of the best epochs.

    Args:
        history: each run's epochs (`Project.history`); decisions are those at probability 0.5.
        best: the best epoch of each fold.
        path: the PNG to write.
    """
    with plt.rc_context(STYLE):
        figure, panels = plt.subplots(
            len(history), 4, figsize=(WIDTH, 1.1 + 1.5 * len(history)), sharey=True, squeeze=False
        )
        longest = max(epochs["epoch"].max() for epochs in history.values())
        for row, (name, epochs) in zip(panels, history.items(), strict=True):
            for axes, lines in zip(row, _CURVES.values(), strict=False):
                for (column, label), colour in zip(lines.items(), colours(2), strict=True):
                    _spread(axes, epochs, column, label, colour)
                axes.set_xlim(0.5, longest + 0.5)
                axes.xaxis.set_major_locator(MaxNLocator(integer=True))
            _bars(row[3], epochs, best[name])
            row[0].set_ylabel(wrapped(name), fontsize=8)
        for axes, heading in zip(panels[0], (*_CURVES, "best epochs,\ninner validation"), strict=True):
            axes.set_title(heading.replace(", ", ",\n"), fontsize=8)
        for axes in panels[0, :3]:
            axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.24), fontsize=7)
        for axes in panels[-1, :3]:
            axes.set_xlabel("epoch")
        panels[0, 0].set_ylim(-0.02, 1.02)
        save(figure, path)


def _spread(axes: Axes, epochs: pd.DataFrame, column: str, label: str, colour: str) -> None:
    """Draw the mean over running folds, with their standard deviation as a band."""
    by_epoch = epochs.groupby("epoch")[column]
    mean, std = by_epoch.mean(), by_epoch.std(ddof=1).fillna(0.0)
    axes.fill_between(mean.index, mean - std, mean + std, color=colour, alpha=0.18, lw=0)
    # a fold that stops early leaves the mean of the others behind
    axes.plot(mean.index, mean, "-", marker="o", ms=2, color=colour, lw=1.5, label=label)


def _bars(axes: Axes, epochs: pd.DataFrame, best: Sequence[int]) -> None:
    """Draw the mean over folds of each fold's best epoch."""
    chosen = epochs[epochs["epoch"] == epochs["fold"].map(dict(enumerate(best)))]
    values = chosen[list(_BEST.values())]
    places = np.arange(len(_BEST))
    axes.bar(places, values.mean(), yerr=values.std(ddof=1), color=COLOURS[2], alpha=0.75, capsize=3, width=0.65)
    labels = [f"{label} {value:.2f}" for label, value in zip(_BEST, values.mean(), strict=True)]
    axes.set_xticks(places, labels, fontsize=7, rotation=90)


def domains(history: Mapping[str, pd.DataFrame], chance: Mapping[str, float], path: Path) -> None:
    """Draw domain-adversarial training over epochs: losses, the domain head's accuracy, the reversed gradient's weight.

    Dotted lines are of the inner validation.

    Args:
        history: the epochs of each run with a domain head.
        chance: how often naming the most frequent domain is right.
        path: the PNG to write.
    """
    with plt.rc_context(STYLE):
        figure, grid = plt.subplots(2, 2, figsize=(WIDTH, 4.6), sharex=True)
        panels = grid.flat
        for (name, epochs), colour in zip(history.items(), colours(len(history)), strict=True):
            columns = ("train_class_loss", "train_domain_loss", "train_domain_accuracy", "train_domain_weight")
            for axes, column in zip(panels, columns, strict=True):
                _spread(axes, epochs, column, name, colour)
            for axes, column in zip(panels, ("loss", "domain_loss", "domain_accuracy"), strict=False):
                if f"validation_{column}" in epochs:
                    validated = epochs.groupby("epoch")[f"validation_{column}"].mean()
                    axes.plot(validated.index, validated, ":", color=colour, lw=1.2)
            panels[2].axhline(chance[name], color=colour, lw=1, ls="--")
        headings = ("class loss", "domain loss", "domain accuracy\n(dashed: most frequent domain)", "weight λ")
        for axes, heading in zip(panels, headings, strict=True):
            axes.set_title(heading)
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
            axes.set_axis_on() if history else axes.set_axis_off()
        panels[2].set_ylim(0, 1)
        for axes in grid[1]:
            axes.set_xlabel("epoch")
        if history:
            figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
        save(figure, path)


def decisions(
    rows: pd.DataFrame, titles: Mapping[str, str], expected: Mapping[str, tuple[str, float, float]], path: Path
) -> None:
    """Draw what decisions are worth at each threshold, with 95% CIs; a panel a metric.

    Args:
        rows: one row a run and decision, with each metric and its `_low` and `_high`.
        titles: what each run is called.
        expected: each metric with its heading and the two ends of what the study design expects.
        path: the PNG to write.
    """
    with plt.rc_context(STYLE):
        down = -(-len(expected) // 2)
        size = (WIDTH, 0.9 + down * (0.5 + 0.33 * len(titles)))
        figure, grid = plt.subplots(down, 2, figsize=size, sharey=True, squeeze=False)
        panels = list(grid.flat[: len(expected)])
        places = np.arange(len(titles))[::-1]
        for axes, (metric, (heading, low, high)) in zip(panels, expected.items(), strict=True):
            axes.axvspan(low, high, color="0.9", lw=0)
            threshold_free = metric == "auc"
            for (decision, _), shift, colour in zip(_DECISIONS.items(), (0.24, 0, -0.24), COLOURS, strict=False):
                if threshold_free and decision != "0.5":
                    continue
                part = rows[rows["decision"] == decision].set_index("experiment").loc[list(titles)]
                at = places + (0 if threshold_free else shift)
                at = np.where(part[f"{metric}_low"].isna(), np.nan, at)  # where the figure says nothing
                colour = "0.2" if threshold_free else colour
                axes.hlines(at, part[f"{metric}_low"], part[f"{metric}_high"], color=colour, lw=2)
                axes.plot(part[metric], at, "o", color=colour, ms=5)
            axes.set(title=heading, ylim=(-0.6, len(titles) - 0.4), xlim=(0.35 if threshold_free else -0.02, 1.02))
        panels[0].set_yticks(places, [wrapped(name, 24) for name in titles.values()])
        handles: list[Line2D | Patch] = [
            Line2D([], [], color=colour, marker="o", lw=2, label=label)
            for label, colour in zip(_DECISIONS.values(), COLOURS, strict=False)
        ]
        handles.append(Patch(color="0.9", label="what the study design expects"))
        figure.legend(handles=handles, loc="outside lower center", ncols=4)
        save(figure, path)


_DECISIONS = {"0.5": "probability 0.5", "youden": "Youden's J", "best_f1": "best F1"}
"""The decisions that are drawn, and what they are called."""
