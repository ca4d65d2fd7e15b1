"""Forest plots: planned contrasts with their intervals, one below the other."""

from collections.abc import Mapping
from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from deepfake.reports.figures import STYLE, colours, save


def differences(tests: pd.DataFrame, tables: Mapping[str, str], rope: float, path: Path) -> None:
    """Draw the planned contrasts with their intervals, grouped by table; a full marker is decided.

    Args:
        tests: the contrasts of a study with their verdicts, their `table`, and a `name` for each.
        tables: the headings of tables, in the order in which they are drawn.
        rope: half the width of the region of practical equivalence, drawn as a band.
        path: the PNG to write.
    """
    with plt.rc_context(STYLE):
        count = len(tests) + len(tables)
        figure, axes = plt.subplots(figsize=(7.5, 0.9 + 0.26 * count))
        place, places, labels = 0.0, [], []
        for (table, heading), colour in zip(tables.items(), colours(len(tables)), strict=True):
            box = {"facecolor": "white", "edgecolor": "none", "pad": 1}
            axes.text(0.012, place, heading, transform=axes.get_yaxis_transform(), weight="bold", va="center", bbox=box)
            place -= 1
            for _, test in tests[tests["table"] == table].iterrows():
                full = test["verdict"] != "undecided"
                point(axes, test["difference"], place, (test["low"], test["high"]), colour, full=full)
                places.append(place)
                labels.append(str(test["name"]))
                place -= 1
        axes.axvline(0, color="0.6", lw=0.8, ls="--")
        axes.axvspan(-rope, rope, color="0.9", zorder=0)
        axes.set_yticks(places, labels)
        axes.set_ylim(place + 0.4, 0.8)
        axes.set_xlabel("difference in AUC, with the interval of its verdict; band: practically equivalent")
        _legend(axes, figure.get_figheight())
        save(figure, path)


def point(
    axes: Axes, x: float, y: float, limits: tuple[float, float], colour: str, *, full: bool, marker: str = "o"
) -> None:
    """Draw a value with its interval from left to right."""
    axes.hlines(y, *limits, color=colour, lw=1.8)
    axes.plot(x, y, marker, color=colour, mfc=colour if full else "white", ms=6, mew=1.5)


def _legend(axes: Axes, height: float) -> None:
    """Say what full and empty markers mean, below the axes."""
    handles = [
        Line2D([], [], color="0.3", marker="o", mfc=face, mew=1.5, lw=1.8, label=label)
        for face, label in (("0.3", "better, worse or equivalent (Holm)"), ("white", "undecided"))
    ]
    axes.legend(handles=handles, loc="upper center", bbox_to_anchor=(0.45, -0.45 / height), ncols=2)
