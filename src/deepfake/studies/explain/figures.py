"""The pictures of where detectors look, whether that moves, and how sure they are."""

from collections.abc import Mapping

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from deepfake import tables
from deepfake.evaluation import attention
from deepfake.evaluation.hard_examples import SURE
from deepfake.project import paths
from deepfake.reports import figures
from deepfake.reports.forest import point

_SHADES = dict(zip(attention.REGIONS, (figures.COLOURS[0], figures.COLOURS[4], figures.COLOURS[7]), strict=True))
_ACROSS, _MOST = 4, 12
"""Panels side by side, and sources that are drawn at most."""
ORDERS = {"heat": "hottest first", "random": "random order", "reverse": "coldest first"}
"""What the orders of deletion are called."""


def regions(rows: pd.DataFrame) -> None:
    """Draw the share of each run's heat on face, border and background, and the excess of the face.

    Args:
        rows: the table `explain_regions`.
    """
    with plt.rc_context(figures.STYLE):
        figure, (left, right) = plt.subplots(
            1,
            2,
            figsize=(figures.WIDTH, 1.3 + 0.24 * len(rows)),
            sharey=True,
            width_ratios=(1.5, 1),
            layout="constrained",
        )
        places = np.arange(len(rows))[::-1]
        start, even = np.zeros(len(rows)), np.zeros(len(rows))
        for region, shade in _SHADES.items():
            left.barh(places, rows[region], 0.7, left=start, color=shade)
            start, even = start + rows[region].to_numpy(), even + rows[f"{region}_area"].to_numpy()
            if region != attention.REGIONS[-1]:
                left.vlines(even, places - 0.42, places + 0.42, color="0", lw=1.6)
        for place, (_, row) in zip(places, rows.iterrows(), strict=True):
            beyond = not row["face_low"] <= 0 <= row["face_high"]
            ends = (row["face_low"], row["face_high"])
            point(right, row["face_excess"], place, ends, _SHADES["face"], full=beyond)
        right.axvline(0, color="0.6", lw=0.8, ls="--")
        left.set_yticks(places, rows["experiment"], fontsize=8)
        left.set(xlim=(0, 1), xlabel="share of the heat\n(lines: were it spread evenly)")
        right.set_xlabel("face: share minus area,\n95% CI")
        handles = [Patch(color=shade, label=region) for region, shade in _SHADES.items()]
        figure.legend(handles=handles, loc="outside upper left", ncols=3)
        figures.save(figure, paths().figure("explain_regions"))


def changes(rows: pd.DataFrame, names: Mapping[int, str], headings: Mapping[str, str]) -> None:
    """Draw how the excess of the face changes in each planned contrast.

    Args:
        rows: the table `explain_attention_changes`.
        names: of its rows, by their index.
        headings: of its phases, in their order.
    """
    here = {phase: heading for phase, heading in headings.items() if (rows["phase"] == phase).any()}
    count = len(rows) + len(here)
    with plt.rc_context(figures.STYLE):
        figure, axes = plt.subplots(figsize=(figures.WIDTH, 1.1 + 0.31 * count), layout="constrained")
        place, places, labels, bold = 0.0, [], [], []
        for (phase, heading), colour in zip(here.items(), figures.colours(len(here)), strict=True):
            bold.append(len(places))
            places.append(place)
            labels.append(heading)
            place -= 1
            for index, row in rows[rows["phase"] == phase].iterrows():
                full = row["verdict"] != "undecided"
                point(axes, row["difference"], place, (row["low"], row["high"]), colour, full=full)
                places.append(place)
                labels.append(figures.wrapped(names[int(str(index))], 46))
                place -= 1
        axes.axvline(0, color="0.6", lw=0.8, ls="--")
        axes.axvspan(-attention.ROPE, attention.ROPE, color="0.9", zorder=0)
        axes.set_yticks(places, labels, fontsize=7.5, linespacing=1.1)
        for number in bold:
            axes.get_yticklabels()[number].set_fontweight("bold")
        axes.set_ylim(place + 0.4, 0.6)
        axes.set_xlabel("change of the face's excess of heat\n(right: towards the face)")
        handles: list[Line2D | Patch] = [
            Line2D([], [], color="0.3", marker="o", mfc=face, mew=1.5, lw=1.8, label=label)
            for face, label in (("0.3", "decided (Holm)"), ("white", "undecided"))
        ]
        handles.append(Patch(color="0.9", label="practically equivalent"))
        figure.legend(handles=handles, loc="outside lower center", ncols=3)
        figures.save(figure, paths().figure("explain_attention_changes"))


def deletion(rows: pd.DataFrame) -> None:
    """Draw the mean probability of a fake while more and more of an image is painted over.

    Args:
        rows: the table `explain_deletion`.
    """
    with plt.rc_context(figures.STYLE):
        figure, axes = plt.subplots(figsize=(figures.WIDTH, 3.2), layout="constrained")
        for (order, label), colour, marker in zip(ORDERS.items(), figures.COLOURS[1::-1] + figures.COLOURS[2:3], "osD",
                                                  strict=True):  # fmt: skip
            part = rows[rows["order"] == order]
            axes.fill_between(part["deleted"], part["low"], part["high"], color=colour, alpha=0.15, lw=0)
            axes.plot(part["deleted"], part["probability"], f"{marker}-", color=colour, ms=5, lw=1.6, label=label)
        axes.xaxis.set_major_formatter("{x:.0%}")
        axes.set(xlabel="share of the cells painted over", ylabel="mean probability of a fake, 95% CI")
        axes.legend(loc="best")
        figures.save(figure, paths().figure("explain_deletion"))


def histogram(rows: pd.DataFrame) -> None:
    """Draw how the probability of being fake is distributed: a panel a source, the next experiment below.

    Of very many sources those are drawn of which most samples are high-confidence errors.

    Args:
        rows: the table `confidence`.
    """
    rows = rows.assign(sure=_sure(rows))
    errors = rows["share"].where(rows["sure"], 0.0).groupby(rows["source"]).sum()
    most = errors.sort_values(ascending=False, kind="stable").index[:_MOST]
    shown = rows[rows["source"].isin(most)]
    names, sources = rows["experiment"].unique(), shown.drop_duplicates("source").sort_values(["label", "source"])
    across = min(len(sources), _ACROSS)
    down = -(-len(sources) // across)
    with plt.rc_context(figures.STYLE):
        size = (figures.WIDTH, 1.0 + 1.35 * down * len(names))
        figure, panels = plt.subplots(
            down * len(names), across, figsize=size, sharex=True, sharey=True, squeeze=False, layout="constrained"
        )
        for number, name in enumerate(names):
            lines = panels[number * down : (number + 1) * down]
            lines[0, 0].set_ylabel(figures.wrapped(name, 16), fontsize=8)
            for panel in lines.flat[len(sources) :]:
                panel.set_visible(False)
            for panel, (_, source) in zip(lines.flat, sources.iterrows(), strict=False):
                part = rows[(rows["experiment"] == name) & (rows["source"] == source["source"])]
                real = source["label"] == tables.REAL
                colours = np.where(part["sure"], figures.COLOURS[1], figures.COLOURS[0])
                panel.bar(part["low"], part["share"], 1 / len(part), align="edge", color=colours)
                title = f"{source['source']} ({'real' if real else 'fake'})"
                panel.set_title(figures.wrapped(title, 18) if number == 0 or down > 1 else "", fontsize=8.5)
        figure.supxlabel("probability of being fake; orange: high-confidence errors", fontsize=9)
        figure.supylabel("share of the source's samples", fontsize=9)
        figures.save(figure, paths().figure("explain_confidence"))


def _sure(rows: pd.DataFrame) -> pd.Series:
    """Tell which bins of the table `confidence` hold high-confidence errors."""
    return ((rows["label"] == tables.REAL) & (rows["low"] >= SURE - 1e-9)) | (
        (rows["label"] == tables.FAKE) & (rows["high"] <= 1 - SURE + 1e-9)
    )
