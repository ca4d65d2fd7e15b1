"""The page on shortcuts: what gives fakes away without a look at the content, and what detectors make of it."""

from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.patches import Patch

from deepfake import tables
from deepfake.config import title
from deepfake.config.params import Params
from deepfake.errors import InputError
from deepfake.project import paths
from deepfake.reports import wording
from deepfake.studies.shortcuts import findings
from deepfake.studies.shortcuts.findings import SEVERITIES
from deepfake.tables import results as result_tables

_COLOURS = dict(zip(SEVERITIES, ("0.7", "#56b4e9", "#e69f00", "#d55e00"), strict=True))
"""Okabe and Ito's palette, told apart by colour-blind readers too."""
_LEVELS = ("all", "family", "feature", "source")
_SHOWN = {
    "subject": "seen",
    "level": "probe of",
    "name": "name",
    "nature": "nature",
    "auc": "AUC",
    "groups": "interval (groups)",
    "folds": "interval (folds)",
    "p_holm": "p (Holm)",
    "severity": "severity",
}


def write(settings: Params, dataset: str) -> None:
    """Write the page and its figure from the tables that `probing.run` and `analysis.run` wrote.

    Args:
        settings: the checked params.yaml.
        dataset: whose audit it is.

    Raises:
        InputError: the data set has not been audited.
    """
    name, *parts_of = (title(settings, part, dataset) for part in ("shortcuts", "probes", "shortcuts_runs"))
    rows, runs = (_read(part, dataset) for part in parts_of)
    figure(rows, paths().figure(name))
    parts = [
        f"# What gives the fakes of {dataset} away, without a look at the content",
        _method(settings),
        "## What follows",
        "\n".join(f"- {line}" for line in findings.findings(rows, settings.studies.shortcuts.severity.weak)),
        wording.picture(name, "AUC of every probe"),
        "*AUC of every probe with its interval over groups, coloured by severity; those that find nothing at all "
        "are left out.*",
        "## Every probe",
        severity_table(rows),
    ]
    if len(runs):
        parts += [
            "## What detectors make of it",
            runs_table(runs),
            "\n".join(f"- {line}" for line in findings.explained(runs)),
        ]
        parts += [_READING]
    tables.write_text("\n\n".join(parts) + "\n", paths().page(name))


def headline(settings: Params) -> str:
    """Return what the audit of the study's data set found, in one sentence.

    Raises:
        InputError: the data set has not been audited.
    """
    rows, runs = (_read(name, settings.dataset) for name in ("probes", "shortcuts_runs"))
    return findings.brief(rows, runs)


def _read(name: str, dataset: str) -> pd.DataFrame:
    """Read a table of the audit."""
    if not (path := paths().table(name)).exists():
        raise InputError(f"{path}: not found; run deepfake probe {dataset}, then deepfake shortcuts {dataset}")
    return result_tables.read(name)


def _method(settings: Params) -> str:
    """Say how the figures were made and what a severity means."""
    limits = settings.studies.shortcuts.severity
    return (
        "Classical models are given figures of each image and asked for its label, on the same grouped folds as the "
        "detectors; the test set plays no part. The AUC is the mean over held-out folds. A leak is **weak** from "
        f"{limits.weak:g}, **moderate** from {limits.moderate:g} and **severe** from {limits.severe:g} on, but only if "
        "chance is an unlikely explanation: both intervals lie above 0.5, and the p-value over groups is at most "
        f"{settings.evaluation.significance:g} after Holm's correction over all probes of its kind."
    )


_READING = """An R² near 0 does not acquit a detector, nor does a high one convict it: where leak and label go together,
the leak goes with any good detector too. What the label cannot explain is the rank correlation within one class. On
matched samples, each real stands beside a fake that the leak finds as suspicious; what AUC remains there is not owed to
the leak. The residual AUC is what is left when all that the leak predicts is subtracted, deserved or not, so it errs on
the low side."""


def severity_table(rows: pd.DataFrame) -> str:
    """Return all probes but those that find nothing at all, the worst first (Markdown)."""
    order = rows["severity"].map(SEVERITIES.index)
    ordered = rows.assign(order=-order, inverse=-rows["auc"]).sort_values(["order", "inverse"], kind="stable")
    varying = ordered[(ordered["auc_low"] != 0.5) | (ordered["auc_high"] != 0.5)]
    table = varying.assign(
        auc=varying["auc"].map("{:.3f}".format),
        groups=[wording.interval(row, "auc_") for _, row in varying.iterrows()],
        folds=[wording.interval(row, "fold_") for _, row in varying.iterrows()],
        p_holm=varying["p_holm"].map(lambda p: "< 0.001" if p < 0.001 else f"{p:.3f}"),
        severity=varying["severity"].map(lambda name: name if name == "none" else f"**{name}**"),
    )
    text = table[list(_SHOWN)].rename(columns=_SHOWN).to_markdown(index=False, disable_numparse=True)
    same = ordered.loc[ordered.index.difference(varying.index)]
    alike = [
        f"{subject}: {', '.join(sorted(seen['name']))}"
        for subject, seen in same[same["level"] == "feature"].groupby("subject", sort=False)
    ]
    return text + (
        f"\n\nOf no use to a probe, most often because all images have it in common: {'; '.join(alike)}."
        if alike
        else ""
    )


def runs_table(runs: pd.DataFrame) -> str:
    """Return what each leak explains of each detector (Markdown)."""

    def cell(row: Any, name: str) -> str:
        return f"{row[name]:.3f} {wording.interval(row, f'{name}_')}"

    table = [
        {
            "experiment": row["experiment"],
            "leak": row["leak"],
            "AUC": cell(row, "auc"),
            "AUC of the leak": f"{row['leak_auc']:.3f}",
            "R² of the logit": cell(row, "r2"),
            "rank correlation within reals / fakes": f"{row['spearman_real']:.2f} / {row['spearman_fake']:.2f}",
            "matched pairs": row["pairs"],
            "AUC on them": cell(row, "matched_auc") if row["overlap"] else "no overlap",
            "residual AUC": cell(row, "residual_auc"),
        }
        for _, row in runs.iterrows()
    ]
    return pd.DataFrame(table).to_markdown(index=False, disable_numparse=True)


def figure(rows: pd.DataFrame, path: Path) -> None:
    """Draw the AUC of every probe with its interval, coloured by severity, a panel for each subject.

    Args:
        rows: the table of probes.
        path: the PNG to write.
    """
    rows = rows[(rows["auc_low"] != 0.5) | (rows["auc_high"] != 0.5)]
    panels = {subject: _ordered(seen) for subject, seen in rows.groupby("subject", sort=False)}
    style: Any = {"font.size": 8, "axes.spines.top": False, "axes.spines.right": False, "figure.dpi": 130}
    tallest = max(map(len, panels.values()), default=1)
    with plt.rc_context(style):
        drawn, axes = plt.subplots(
            1, len(panels), figsize=(3.6 * len(panels), 1.2 + 0.19 * tallest), squeeze=False, sharex=True
        )
        for panel, (subject, seen) in zip(axes[0], panels.items(), strict=True):
            places = np.arange(len(seen))
            colours = [_COLOURS[severity] for severity in seen["severity"]]
            panel.barh(places, seen["auc"] - 0.5, left=0.5, color=colours, height=0.7)
            panel.hlines(places, seen["auc_low"], seen["auc_high"], color="0.25", lw=1)
            panel.set_yticks(places, seen["label"].tolist())
            panel.set_ylim(tallest - 0.5, -0.5)
            panel.axvline(0.5, color="0.4", lw=0.8)
            panel.set(title=subject, xlabel="AUC (0.5: chance)", xlim=(0.35, 1.02))
        handles = [Patch(color=_COLOURS[severity]) for severity in SEVERITIES]
        drawn.legend(handles, SEVERITIES, loc="upper center", ncols=len(SEVERITIES), frameon=False)
        drawn.tight_layout(rect=(0, 0, 1, 1 - 0.3 / (1.2 + 0.19 * tallest)))
        with tables.atomic(path) as temporary:
            drawn.savefig(temporary, format="png")
        plt.close(drawn)


def _ordered(seen: pd.DataFrame) -> pd.DataFrame:
    """Return a subject's probes as they are drawn: all together, families, features, sources; the highest AUC first."""
    order = seen["level"].map(_LEVELS.index)
    names = (
        seen["name"]
        .where(seen["level"] != "all", "all together")
        .where(seen["level"] != "source", "all: " + seen["name"])
    )
    labels = names.where(seen["level"] != "family", seen["name"] + " (family)")
    return seen.assign(order=order, inverse=-seen["auc"], label=labels).sort_values(["order", "inverse"], kind="stable")
