"""The page on shortcuts: what predicts the label without a look at the content, and what detectors make of it."""

from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.patches import Patch

from deepfake.config import config_of, title
from deepfake.config.params import Params
from deepfake.errors import InputError
from deepfake.evaluation.probes import LEVELS
from deepfake.project import paths
from deepfake.reports import findings, pages
from deepfake.reports import settings as shown_settings
from deepfake.reports.columns import Column, Table, estimate, number, text
from deepfake.reports.figures import STYLE, WIDTH, save, wrapped
from deepfake.tables import results as result_tables

SEVERITIES = ("none", "weak", "moderate", "severe")
_COLOURS = dict(zip(SEVERITIES, ("0.7", "#56b4e9", "#e69f00", "#d55e00"), strict=True))
"""Okabe and Ito's palette, told apart by colour-blind readers too."""
_DRAWN = ("all", "family", "source", "feature")
"""The levels in the order in which they are drawn."""
_FEATURES_SHOWN = 12
"""Single features of each subject in the figure and on the page, the strongest; all are in the CSV."""
PROBES = [
    text("Of", "subject"),
    text("Probe", "level"),
    text("Name", "name"),
    estimate("AUC [interval]", "auc", "auc_low", "auc_high"),
    Column("p (Holm)", {"": "p_holm"}, lambda p: "< 0.001" if p < 0.001 else f"{p:.3f}"),
    text("Severity", "severity"),
    text("Verdict", "verdict"),
]
RUNS = [
    text("Experiment", "experiment"),
    text("Shortcuts of", "leak"),
    estimate("AUC", "auc", "auc_low", "auc_high"),
    number("Shortcuts' AUC", "leak_auc"),
    estimate("R² of the logit", "r2", "r2_low", "r2_high"),
    number("Rank correlation in reals", "spearman_real", "{:.2f}"),
    number("in fakes", "spearman_fake", "{:.2f}"),
    number("Matched pairs", "pairs", "{:,}"),
    estimate("AUC on them", "matched_auc", "matched_auc_low", "matched_auc_high"),
    estimate("AUC less what is predicted", "residual_auc", "residual_auc_low", "residual_auc_high"),
]


def write(settings: Params, dataset: str) -> None:
    """Write the page and its figure from the tables and findings that `probing.run` and `analysis.run` wrote.

    Args:
        settings: the checked params.yaml.
        dataset: whose probes they are.

    Raises:
        InputError: the data set has not been probed.
    """
    name, *parts = (title(settings, part, dataset) for part in ("shortcuts", "probes", "shortcuts_runs"))
    rows, runs = (_read(part, dataset) for part in parts)
    figure(rows, paths().figure(name))
    configs = [config_of(run) for run in runs["experiment"].unique()]
    found = findings.read(name)
    pages.write(
        name,
        __package__ or "",
        "page.md.j2",
        dataset=dataset,
        found=found,
        shortcut=lambda id_: id_ in found and found[id_].verdict == "shortcut",
        figure_name=name,
        probes_csv=parts[0],
        runs_csv=parts[1],
        probes=Table(_strongest(rows), PROBES).markdown(),
        runs=Table(runs, RUNS).markdown() if len(runs) else "",
        alike=_alike(rows),
        limits=settings.studies.shortcuts.severity,
        framings=_framings(rows),
        tests=int(_varies(rows).sum()),
        settings=shown_settings.shared(configs),
        varied=shown_settings.varied(configs),
    )


def _read(name: str, dataset: str) -> pd.DataFrame:
    """Read a table of the study."""
    if not (path := paths().table(name)).exists():
        raise InputError(f"{path}: not found; run deepfake probe {dataset}, then deepfake shortcuts {dataset}")
    return result_tables.read(name)


def _varies(rows: pd.DataFrame) -> pd.Series:
    """Tell which probes say something else of different samples; the others have no interval."""
    return (rows["auc_low"] != rows["auc_high"]) | (rows["auc"] != 0.5)


def _strongest(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the probes that are shown: of single features only those that predict the label best."""
    seen = rows[_varies(rows)].assign(order=lambda found: found["level"].map(_DRAWN.index))
    seen = seen.sort_values(["order", "auc"], ascending=[True, False], kind="stable")
    parts = []
    for _, part in seen.groupby("subject", sort=False):
        alone = part["level"] == "feature"
        parts += [part[~alone], part[alone].head(_FEATURES_SHOWN)]
    order = {subject: place for place, subject in enumerate(rows["subject"].unique())}
    return pd.concat(parts).sort_values("subject", key=lambda names: names.map(order), kind="stable")


def _alike(rows: pd.DataFrame) -> dict[str, str]:
    """Return the features that are the same everywhere, by subject."""
    same = rows[~_varies(rows) & (rows["level"] == "feature")]
    return {str(subject): ", ".join(sorted(seen["name"])) for subject, seen in same.groupby("subject", sort=False)}


def _framings(rows: pd.DataFrame) -> list[str]:
    """Return the views whose framing is a severe shortcut, so that phase 2 may not choose them for their AUC."""
    framing = rows[(rows["level"] == "family") & (rows["name"] == "framing")]
    return framing.loc[framing["severity"] == "severe", "subject"].tolist()


def figure(rows: pd.DataFrame, path: Path) -> None:
    """Draw the AUC of probes with their intervals, coloured by severity, a panel for each subject.

    Args:
        rows: the table of probes.
        path: the PNG to write.
    """
    shown = _strongest(rows)
    panels = {subject: _labelled(seen) for subject, seen in shown.groupby("subject", sort=False)}
    tallest = max(map(len, panels.values()), default=1)
    across = min(len(panels), 2) or 1
    down = -(-len(panels) // across)
    with plt.rc_context(STYLE):
        size = (WIDTH, 0.6 + down * (0.7 + 0.17 * tallest))
        drawn, axes = plt.subplots(down, across, figsize=size, squeeze=False, sharex=True)
        for panel in axes.flat[len(panels) :]:
            panel.set_visible(False)
        for panel, (subject, seen) in zip(axes.flat, panels.items(), strict=False):
            places = np.arange(len(seen))
            colours = [_COLOURS[severity] for severity in seen["severity"]]
            panel.barh(places, seen["auc"] - 0.5, left=0.5, color=colours, height=0.7)
            panel.hlines(places, seen["auc_low"], seen["auc_high"], color="0.25", lw=1)
            panel.set_yticks(places, seen["label"].tolist())
            panel.set_ylim(tallest - 0.5, -0.5)
            panel.axvline(0.5, color="0.4", lw=0.8)
            panel.set(title=wrapped(str(subject), 38), xlim=(0.35, 1.02))
            panel.tick_params(labelbottom=True)
        drawn.supxlabel("AUC of the probe (0.5: chance)", fontsize=9)
        handles = [Patch(color=_COLOURS[severity]) for severity in SEVERITIES]
        drawn.legend(handles, SEVERITIES, loc="outside upper center", ncols=len(SEVERITIES))
        save(drawn, path)


def _labelled(seen: pd.DataFrame) -> pd.DataFrame:
    """Return a subject's probes with what to call each."""
    assert set(seen["level"]) <= set(LEVELS)
    forms = {"all": "all together", "family": "{} (family)", "source": "all, of {}", "feature": "{}"}
    labels = [forms[level].format(name) for level, name in zip(seen["level"], seen["name"], strict=True)]
    return seen.assign(label=labels)
