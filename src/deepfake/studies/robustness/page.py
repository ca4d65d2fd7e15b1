"""The page on robustness: what AUC is retained under corruption."""

from collections.abc import Mapping
from itertools import cycle

import matplotlib.pyplot as plt
import pandas as pd

from deepfake import modalities
from deepfake.config import config_of
from deepfake.project import paths
from deepfake.reports import figures, findings, pages
from deepfake.reports import settings as shown_settings
from deepfake.reports.columns import Table, estimate, p_value, text
from deepfake.studies import results
from deepfake.studies.robustness.analysis import CLEAN, NAME
from deepfake.studies.robustness.findings import ALL
from deepfake.tables import results as result_tables

_CHANGE = "{:+.3f}"
CORRUPTION_COLUMNS = [
    text("Corruption", "corruption"),
    estimate("Retained AUC [95% CI]", "auc", "auc_low", "auc_high"),
    estimate("ΔAUC to clean [interval]", "difference", "low", "high", _CHANGE),
    text("Verdict", "verdict"),
    p_value("p (Holm)", "p"),
]
CONTRAST_COLUMNS = [
    text("Corruption", "corruption"),
    estimate("ΔAUC [interval]", "difference", "low", "high", _CHANGE),
    text("Verdict", "verdict"),
    p_value("p (Holm)", "p"),
    estimate("Change of the loss [95% CI]", "loss_change", "loss_change_low", "loss_change_high", _CHANGE),
]


def write() -> None:
    """Write the page and its figure from the tables and findings of the study."""
    conditions, corruptions, contrasts = (
        result_tables.read(f"{NAME}{part}") for part in ("", "_corruptions", "_contrasts")
    )
    names = results.described(conditions["experiment"].unique())
    configs = [config_of(name) for name in conditions["experiment"].unique()]
    modality = modalities.load(configs[0].view.modality)
    known = modality.known_corruptions()
    units = {name: known[name].unit for name in conditions["corruption"].unique() if name != CLEAN}
    curves(conditions, names, units)
    found = findings.read(NAME)
    pages.write(
        NAME,
        __package__ or "",
        "page.md.j2",
        found=found,
        whole=[one for id_, one in found.items() if id_.endswith(f".{ALL}")],
        resolution=results.resolution([corruptions, contrasts]),
        names=names,
        files=f"{modality.FILE}s",
        runs={name: _section(name, conditions, corruptions, units) for name in names},
        contrasts=[
            {"experiment": name, "baseline": baseline, "table": Table(rows, CONTRAST_COLUMNS).markdown()}
            for (baseline, name), rows in contrasts.groupby(["baseline", "experiment"], sort=False)
        ],
        costly=_costly(corruptions),
        settings=shown_settings.shared(configs),
        varied=shown_settings.varied(configs),
    )


def _costly(corruptions: pd.DataFrame) -> list[str]:
    """Return the corruptions that cost every run something, the costliest for the first run first."""
    worse = corruptions[corruptions["verdict"] == "worse"]
    count = worse.groupby("corruption", sort=False)["experiment"].nunique()
    every = count[count == corruptions["experiment"].nunique()].index
    return [name for name in dict.fromkeys(worse["corruption"]) if name in every and name != ALL]


def _section(
    name: str, conditions: pd.DataFrame, corruptions: pd.DataFrame, units: Mapping[str, str]
) -> dict[str, str]:
    """Return a run's tables: what each corruption costs on average, and the AUC at each strength."""
    rows = conditions[conditions["experiment"] == name]
    clean, shown = rows[rows["corruption"] == CLEAN], rows[rows["corruption"] != CLEAN]
    cells = pd.DataFrame(
        {
            "Corruption": [f"{one} ({units[one]})" for one in shown["corruption"]],
            "level": shown["level"],
            "cell": [f"{row['strength']:g}: {row['auc']:.3f}" for _, row in shown.iterrows()],
        }
    )
    wide = cells.pivot(index="Corruption", columns="level", values="cell").loc[cells["Corruption"].unique()]
    wide.columns = [f"Strength {level}" for level in wide.columns]
    return {
        "clean": f"{clean['auc'].item():.3f} [{clean['auc_low'].item():.3f}, {clean['auc_high'].item():.3f}]",
        "corruptions": Table(corruptions[corruptions["experiment"] == name], CORRUPTION_COLUMNS).markdown(),
        "strengths": wide.reset_index().to_markdown(index=False, disable_numparse=True),
    }


def curves(conditions: pd.DataFrame, titles: Mapping[str, str], units: Mapping[str, str]) -> None:
    """Draw AUC over strength: a panel a corruption, a line a run with its 95% CI as a band.

    Args:
        conditions: the table of the AUC of each run under each condition.
        titles: what each run is called.
        units: what the strength of each corruption is.
    """
    corruptions = [name for name in conditions["corruption"].unique() if name != CLEAN]
    with plt.rc_context(figures.STYLE):
        figure, panels = figures.panels_of(len(corruptions), 1.75, across=3, sharey=True)
        names = conditions["experiment"].unique().tolist()
        for panel, corruption in zip(panels, corruptions, strict=True):
            shown = conditions[conditions["corruption"].isin([CLEAN, corruption])]
            for name, colour, marker in zip(names, figures.colours(len(names)), cycle(figures.MARKERS), strict=False):
                part = shown[shown["experiment"] == name]
                panel.fill_between(part["level"], part["auc_low"], part["auc_high"], color=colour, alpha=0.18, lw=0)
                panel.plot(part["level"], part["auc"], f"{marker}-", color=colour, ms=3.5, lw=1.5, label=titles[name])
            strengths = shown.drop_duplicates("level")["strength"]
            panel.set_xticks(range(len(strengths)), ["clean", *(f"{value:g}" for value in strengths[1:])], fontsize=7.5)
            panel.axhline(0.5, color="0.6", lw=0.8, ls="--")
            panel.set(title=corruption, xlabel=units[corruption])
        for panel in panels[::3]:
            panel.set_ylabel("AUC")
        figure.legend(*panels[0].get_legend_handles_labels(), loc="outside upper center", ncols=2)
        figures.save(figure, paths().figure(NAME))
