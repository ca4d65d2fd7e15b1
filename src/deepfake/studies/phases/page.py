"""The page of each phase: its findings, its tables and its pictures, rendered from a template beside this file."""

from collections.abc import Callable
from typing import Any

import pandas as pd

from deepfake import tables
from deepfake.config import candidates, config_of, read_decision, read_final, scaled, shares
from deepfake.config.params import Params
from deepfake.project import paths
from deepfake.reports import figures, findings, forest, heatmap, pages
from deepfake.reports import settings as shown_settings
from deepfake.reports.columns import Table, source_columns
from deepfake.studies import results
from deepfake.studies.operating_points import curves
from deepfake.studies.operating_points import figures as points_figures
from deepfake.studies.operating_points import page as operating_points
from deepfake.studies.phases import design_tables
from deepfake.studies.phases import figures as study_figures
from deepfake.studies.results import Results
from deepfake.tables import results as result_tables

TITLES = {
    "phase1": "Phase 1: architecture baseline",
    "phase2": "Phase 2: preprocessing and shortcuts",
    "phase3": "Phase 3: more architectures",
    "phase4": "Phase 4: the best models on all data",
    "custom": "The custom run",
}
SECTIONS = {
    "phase2a_geometry": ("2A-1: is geometry a shortcut?", "geometry"),
    "phase2a_colour": ("2A-2: are colour statistics a shortcut?", "colour"),
    "phase2a_holdout": ("2A-3: source holdout", "source"),
    "phase2b": ("2B: resolution", "resolution"),
    "phase2c": ("2C: face crop", "face_crop"),
    "phase2d": ("2D: augmentation without face crop", "augmentation"),
    "phase2e": ("2E: augmentation with face crop", "augmentation_of_faces"),
}
"""The tables of phase 2, each with its heading and the findings that answer its question."""
_UNEQUAL = (
    "A difference is over the repeats that both runs have; where one has fewer, it is not that of the AUCs in a table."
)
"""What a reader who subtracts must know."""


def write(phase: str, settings: Params) -> None:
    """Write the page of a phase and its figures, from its tables and findings."""
    values = _PAGES[phase](settings)
    found = findings.read(phase)
    template = f"{'models' if phase in ('phase1', 'custom') else phase}.md.j2"
    pages.write(phase, __package__ or "", template, title=TITLES[phase], found=found, phase=phase, **values)


def _models(phase: str) -> dict[str, Any]:
    """Return what the page of a phase that compares models under the same conditions shows."""
    found = results.read(phase)
    names = found.names() if phase == "phase1" else {name: name for name in found.titles}
    figures.auc(found.rows, found.folds, names, paths().figure(f"{phase}_auc"))
    _curves(phase, names)
    _held_out(phase, found.rows, names)
    _confusion(phase, names)
    return _common([found]) | {"table": design_tables.models(found).markdown()}


def _held_out(phase: str, rows: pd.DataFrame, names: dict[str, str]) -> None:
    """Draw the AUC by source, ROC and precision-recall curves of those runs that have a name."""
    _by_source(phase, rows, names)
    areas = rows.set_index("experiment")["average_precision"]
    folds = result_tables.read(f"{phase}_roc")
    curves.draw(phase, names, {name: areas[name] for name in names}, folds)


def _by_source(phase: str, rows: pd.DataFrame, names: dict[str, str]) -> None:
    """Draw the AUC of each run by source of the fakes."""
    values = rows.set_index("experiment")[source_columns(rows)].rename(index=names, columns=_source)
    heatmap.sources(values, paths().figure(f"{phase}_sources_heatmap"))


def _source(column: str) -> str:
    return column.removeprefix("auc_")


def _confusion(phase: str, names: dict[str, str]) -> None:
    """Draw what is decided at each fold's own threshold."""
    counts = result_tables.read(f"{phase}_confusion")
    each = {told: counts[counts["experiment"] == name] for name, told in names.items()}
    figures.confusion(each, paths().figure(f"{phase}_confusion"))


def _common(found: list[Results]) -> dict[str, Any]:
    """Return what all pages of phases show: what can be seen, and under what conditions runs were trained."""
    configs = [config_of(name) for one in found for name in one.rows["experiment"]]
    distinct = list({config.experiment: config for config in configs}.values())
    unequal = any(one.rows["repeats"].nunique() > 1 for one in found)
    return {
        "resolution": results.resolution([one.tests for one in found]) + (f" {_UNEQUAL}" if unequal else ""),
        "settings": shown_settings.shared(distinct),
        "varied": shown_settings.varied(distinct),
    }


def _curves(phase: str, names: dict[str, str]) -> None:
    """Draw the learning curves of those runs that were trained by epochs."""
    history = result_tables.read(f"{phase}_history")
    trained = {told: history[history["experiment"] == name] for name, told in names.items() if _by_epochs(name)}
    figures.curves(trained, paths().figure(f"{phase}_curves"))


def _by_epochs(name: str) -> bool:
    return config_of(name).train == "all"


def _phase2(settings: Params) -> dict[str, Any]:
    found = results.read("phase2")
    changes = design_tables.shortcut_removal(found, settings.evaluation.confidence)
    result_tables.write(changes, "phase2_shortcuts")
    _phase2_figures(found, changes, settings)
    decided = result_tables.read("phase2_decision")
    words = _words(settings)
    options = {key: decided[key].astype(str).replace(words) for key in ("simple", "other", "chosen")}
    factors = decided["factor"].str.replace("_", " ")
    sections = []
    for table, (heading, _) in SECTIONS.items():
        if found.pairs(table).empty:
            continue
        removed = changes[changes["table"] == table].groupby("model", sort=False)
        sections.append(
            {
                "heading": heading,
                "table": _design_table(found, table, settings).markdown(),
                "csv": "phase2_holdout" if table == "phase2a_holdout" else "phase2_tests",
                "removed": {model: design_tables.removal(rows).markdown() for model, rows in removed},
            }
        )
    return _common([found]) | {
        "sections": sections,
        "decision": read_decision(),
        "sides": words,
        "evidence": decided.assign(factor=factors, **options).to_dict("records"),
        "rope": settings.evaluation.rope,
        "table": design_tables.models(Results(found.rows, found.folds, found.tests.iloc[:0], found.titles)).markdown(),
    }


def _words(settings: Params) -> dict[str, str]:
    """Return what the options of the decision are called on pages."""
    sides = settings.presets[settings.preset].resolution.model_dump()
    return {name: f"{side} px" for name, side in sides.items()} | {"False": "no", "True": "yes"}


def _design_table(found: Results, table: str, settings: Params) -> Table:
    """Return one of the design's tables of phase 2."""
    if table in design_tables.PAIRED:
        return design_tables.paired(found, table)
    if table != "phase2a_holdout":
        return design_tables.conditions(found, table)
    samples = tables.read(paths().manifest(settings.dataset), tables.MANIFEST)
    real = sorted(samples.loc[samples["label"] == tables.REAL, "source"].unique())
    rows = result_tables.read("phase2_holdout")
    return design_tables.holdout(found, rows, real, settings.interpretation.source_specific)


def _phase2_figures(found: Results, changes: pd.DataFrame, settings: Params) -> None:
    """Draw the differences of all tables, and what augmentation changes."""
    held_out = found.rows.set_index("experiment")["holdout"].dropna()
    geometry = found.rows.set_index("experiment")["geometry"]
    names = [
        found.titles[name]
        + (f", without {held_out[name]}" if name in held_out.index else "")
        + (f", {results.GEOMETRIES[geometry[name]]}" if geometry[name] != "crop" else "")
        for name in found.tests["experiment"]
    ]
    headings = {table: heading for table, (heading, _) in SECTIONS.items() if not found.pairs(table).empty}
    path = paths().figure("phase2_differences")
    forest.differences(found.tests.assign(name=names), headings, settings.evaluation.rope, path)
    both = {table: heading for table, heading in headings.items() if table in ("phase2d", "phase2e")}
    study_figures.shortcuts(changes, both, paths().figure("phase2_shortcuts"))
    _by_source("phase2", found.rows, results.described(found.titles))


def _phase3(settings: Params) -> dict[str, Any]:
    found = results.read("phase3")
    study_figures.size(found.rows, found.titles, paths().figure("phase3_size"))
    _curves("phase3", found.names())
    _held_out("phase3", found.rows, found.names())
    rationales = {name: run.rationale for name, run in candidates(settings).items() if run.rationale}
    return _common([found]) | {
        "table": design_tables.models(found, rationales).markdown(),
        "ranking": result_tables.read("phase3_ranking").to_dict("records"),
        "titles": found.titles,
        "rope": settings.evaluation.rope,
    }


def _phase4(settings: Params) -> dict[str, Any]:
    by_share, final = results.read("phase4a"), results.read("phase4b")
    shown = design_tables.scaling(by_share, settings)
    keys = shares(settings)
    numbers = shown.numbers
    named = numbers[["title"]].assign(**{str(key): [scaled(name, key) for name in numbers["baseline"]] for key in keys})
    study_figures.scaling(named, by_share.rows, list(map(str, keys)), paths().figure("phase4_scaling"))
    figures.auc(final.rows, final.folds, final.titles, paths().figure("phase4_sources"))
    _by_source("phase4", by_share.rows, results.described(by_share.titles))
    told = {name: final.titles[name] for name in final.rows["experiment"]}
    curves.draw(
        "phase4",
        told,
        dict(zip(final.rows["experiment"], final.rows["average_precision"], strict=True)),
        result_tables.read("phase4_roc"),
    )
    _confusion("phase4", told)
    selective = curves.draw_decided("phase4", told)
    calibrations = result_tables.read("phase4_calibration")
    _reliability(calibrations, told)
    chosen = read_final()
    return _common([by_share]) | {
        "scaling": shown.markdown(),
        "table": design_tables.models(final).markdown(),
        "selective": selective,
        "calibration": operating_points.calibration(calibrations, told),
        "chosen": chosen,
        "chosen_title": final.titles[chosen],
        "rope": settings.evaluation.rope,
    }


def _reliability(calibrations: pd.DataFrame, names: dict[str, str]) -> None:
    """Draw how often the probabilities of the finalists come true."""
    bins = result_tables.read("phase4_reliability")
    each = {told: bins[bins["experiment"] == name] for name, told in names.items()}
    eces = {names[row["experiment"]]: points_figures.eces(row) for row in calibrations.to_dict("records")}
    points_figures.reliability(each, eces, paths().figure("phase4_reliability"))


_PAGES: dict[str, Callable[[Params], dict[str, Any]]] = {
    "phase1": lambda settings: _models("phase1"),
    "phase2": _phase2,
    "phase3": _phase3,
    "phase4": _phase4,
    "custom": lambda settings: _models("custom"),
}
