"""Forest plots: planned contrasts with their intervals, one below the other."""

from collections.abc import Mapping
from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from deepfake.reports.figures import STYLE, WIDTH, colours, save, wrapped

_LINE = 0.16
"""Inches that a line of a label is high."""


def differences(
    tests: pd.DataFrame, tables: Mapping[str, str], rope: float, path: Path, side_by_side: str | None = None
) -> None:
    """Draw the planned contrasts with their intervals, grouped by table; a full marker is decided.

    Args:
        tests: the contrasts of a study with their verdicts, their `table`, and a `name` for each.
        tables: the headings of tables, in the order in which they are drawn.
        rope: half the width of the region of practical equivalence, drawn as a band.
        path: the PNG to write.
        side_by_side: the column of `tests` of which each value has a panel, where contrasts of one name differ in it.
    """
    columns = tests[side_by_side].unique().tolist() if side_by_side else [""]
    rows, marks, place = [], {}, 0.0
    for (table, heading), colour in zip(tables.items(), colours(len(tables)), strict=True):
        rows.append((place, heading, True))
        for name in tests.loc[tests["table"] == table, "name"].drop_duplicates():
            label = wrapped(str(name), 28)
            place -= 1.3 * _LINE + _LINE * label.count("\n") / 2
            rows.append((place, label, False))
            marks[table, name] = (place, colour)
            place -= _LINE * label.count("\n") / 2
        place -= 2 * _LINE
    place += _LINE
    with plt.rc_context(STYLE):
        figure, panels = plt.subplots(
            1, len(columns), figsize=(WIDTH, 1.2 - place), sharey=True, sharex=True, squeeze=False
        )
        for axes, column in zip(panels.flat, columns, strict=True):
            shown = tests[tests[side_by_side] == column] if side_by_side else tests
            for _, test in shown.iterrows():
                y, colour = marks[test["table"], test["name"]]
                full = test["verdict"] != "undecided"
                point(axes, test["difference"], y, (test["low"], test["high"]), colour, full=full)
            axes.axvline(0, color="0.6", lw=0.8, ls="--")
            axes.axvspan(-rope, rope, color="0.9", zorder=0)
            axes.locator_params(axis="x", nbins=9 // len(columns) + 1)
            axes.set_title(str(column))
        labels(panels[0, 0], rows)
        panels[0, 0].set_ylim(place, _LINE)
        panels[0, len(columns) // 2].set_xlabel("difference in AUC, with the interval of its verdict")
        _legend(figure)
        save(figure, path)


def labels(axes: Axes, rows: list[tuple[float, str, bool]]) -> None:
    """Write what stands at each place, headings in bold."""
    axes.set_yticks([place for place, _, _ in rows], [label for _, label, _ in rows])
    for text, tick, (_, _, heading) in zip(axes.get_yticklabels(), axes.yaxis.get_major_ticks(), rows, strict=True):
        text.set_fontweight("bold" if heading else "normal")
        tick.tick1line.set_visible(not heading)


def point(
    axes: Axes, x: float, y: float, limits: tuple[float, float], colour: str, *, full: bool, marker: str = "o"
) -> None:
    """Draw a value with its interval from left to right."""
    axes.hlines(y, *limits, color=colour, lw=1.8)
    axes.plot(x, y, marker, color=colour, mfc=colour if full else "white", ms=6, mew=1.5)


def _legend(figure: Figure) -> None:
    """Say what full and empty markers and the band mean."""
    handles: list[Line2D | Patch] = [
        Line2D([], [], color="0.3", marker="o", mfc=face, mew=1.5, lw=1.8, label=label)
        for face, label in (("0.3", "better, worse or equivalent (Holm)"), ("white", "undecided"))
    ]
    handles.append(Patch(color="0.9", label="practically equivalent"))
    figure.legend(handles=handles, loc="outside lower center", ncols=3)
