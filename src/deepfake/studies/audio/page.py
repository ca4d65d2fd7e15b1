"""The page on speech: equal error rates first, then AUC, unknown vocoders, another data set, and the files alone."""

import pandas as pd

from deepfake.config import config_of
from deepfake.config.params import Params
from deepfake.datasets import catalog
from deepfake.project import paths
from deepfake.reports import figures, findings, forest, heatmap, pages
from deepfake.reports import settings as shown_settings
from deepfake.reports.columns import Column, Table, estimate, number, p_value, text
from deepfake.studies import own_data, results
from deepfake.studies.audio.analysis import NAME
from deepfake.studies.results import SOURCES
from deepfake.tables import results as result_tables

TITLE = "Speech"
_EER = estimate("EER [95% CI]", "eer", "eer_low", "eer_high")
_CHANCE = Column(
    "Above chance",
    {"": "chance"},
    lambda word: "yes" if word == "above_chance" else "no" if word == "at_chance" else "undecided",
)


def write(settings: Params) -> None:
    """Write the page and its figures from the tables and findings of the study.

    Raises:
        InputError: a table or the findings are missing.
    """
    own = own_data.section(NAME, settings)
    found, named = results.read(NAME), findings.read(NAME)
    names = own_data.names(found)
    rates, vocoders, cells, gaps = (
        result_tables.read(f"audio_{part}") for part in ("eer", "vocoders", "cells", "gaps")
    )
    figures.auc(found.rows, found.folds, names, paths().figure("audio_auc"))
    vocoders = vocoders.replace({"source": SOURCES})
    wide = vocoders.pivot(index="experiment", columns="source", values="auc").loc[list(names)]
    heatmap.sources(wide.rename(index=names), paths().figure("audio_vocoders_heatmap"))
    holdout, tests = _holdout(), found.tests
    headings = {str(table): _TABLES.get(str(table), str(table)) for table in tests["table"].unique()}
    shown = tests.assign(name=tests["experiment"].map(names))
    forest.differences(shown, headings, settings.evaluation.rope, paths().figure("audio_differences"))
    configs = [config_of(name) for name in found.rows["experiment"]]
    history = result_tables.read("audio_history")
    trained = {
        names[one.experiment]: history[history["experiment"] == one.experiment] for one in configs if one.train == "all"
    }
    if trained:
        figures.curves(trained, paths().figure("audio_curves"))
    pages.write(
        NAME,
        __package__ or "",
        "page.md.j2",
        found=list(named.values()),
        resolution=results.resolution([tests, gaps]),
        datasets={name: catalog.find(name).title for name in own.datasets},
        models=_models(found, rates, names),
        vocoders=_vocoders(vocoders[vocoders["experiment"].isin(cells["experiment"])], names),
        contrasts=_contrasts(found, names),
        holdout=holdout,
        across=_across(cells, gaps, names),
        probes=own_data.probe_table(result_tables.read("audio_probes")),
        curves=bool(trained),
        settings=shown_settings.shared(configs),
        varied=shown_settings.varied(configs),
    )


_TABLES = {"audio_models": "LCNN against a frozen trunk", "audio_holdout": "Trained without a vocoder"}
"""The headings of the study's contrasts in its figure."""


def _models(found: results.Results, rates: pd.DataFrame, names: dict[str, str]) -> str:
    rows = found.rows.merge(rates[["experiment", "eer_low", "eer_high"]], on="experiment")
    rows = rows.drop(columns="eer").merge(rates[["experiment", "eer"]], on="experiment")
    columns = [
        text("Run", "name"),
        number("Params", "parameters", "{:,}"),
        _EER,
        own_data.AUC,
        _CHANCE,
        number("Balanced accuracy", "balanced_accuracy"),
        number("Train/Val Gap", "train_val_gap", "{:+.3f}"),
        own_data.SIZE,
    ]
    return Table(rows.assign(name=rows["experiment"].map(names)), columns).markdown()


def _vocoders(rows: pd.DataFrame, names: dict[str, str]) -> str:
    columns = [text("Run", "name"), text("Vocoder", "source"), own_data.AUC, own_data.SIZE]
    return Table(rows.assign(name=rows["experiment"].map(names)), columns).markdown()


def _contrasts(found: results.Results, names: dict[str, str]) -> str:
    rows = found.tests[found.tests["table"] == "audio_models"]
    rows = rows.assign(name=rows["experiment"].map(names), against=rows["baseline"].map(names))
    return Table(rows, [text("Run", "name"), text("Against", "against"), *own_data.VERDICT, own_data.SIZE]).markdown()


def _holdout() -> str:
    """Return what detectors make of a vocoder that they were not trained on; nothing where no run does without one."""
    if not paths().table("audio_holdout").exists():
        return ""
    columns = [
        text("Unknown vocoder", "source"),
        number("Held-out AUC", "held_out_auc"),
        number("In-source AUC", "in_source_auc"),
        number("Trained AUC", "trained_auc"),
        *own_data.VERDICT,
        own_data.SIZE,
    ]
    return Table(result_tables.read("audio_holdout").replace({"source": SOURCES}), columns).markdown()


def _across(cells: pd.DataFrame, gaps: pd.DataFrame, names: dict[str, str]) -> str:
    """Return what detectors are worth on each data set, and the generalization gap."""
    gap = gaps.loc[gaps["metric"] == "auc", ["experiment", "dataset", "difference", "low", "high", "verdict", "p"]]
    rows = cells.merge(gap, on=["experiment", "dataset"], how="left")
    columns = [
        text("Run", "name"),
        text("Data set", "dataset"),
        _EER,
        own_data.AUC,
        _CHANCE,
        estimate(
            "Balanced accuracy [interval]", "balanced_accuracy", "balanced_accuracy_low", "balanced_accuracy_high"
        ),
        estimate("Generalization gap [interval]", "difference", "low", "high", "{:+.3f}"),
        text("Verdict", "verdict"),
        p_value("p (Holm)", "p"),
        Column("n (groups)", {"": "samples", "g": "groups"}, "{:,} ({})".format),
    ]
    return Table(rows.assign(name=rows["experiment"].map(names)), columns).markdown()
