"""The page of each phase: its tables, its pictures, and answers to its questions."""

from collections.abc import Callable, Iterable

import pandas as pd

from deepfake import tables
from deepfake.config import config_of, scaled, shares
from deepfake.config.params import Params
from deepfake.project import paths
from deepfake.reports import figures, wording
from deepfake.reports.columns import Table, source_columns
from deepfake.studies import results
from deepfake.studies.phases import design_tables, questions
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
_SECTIONS = {
    "phase2a_geometry": ("2A-1: is geometry a shortcut?", "geometry"),
    "phase2a_colour": ("2A-2: are colour statistics a shortcut?", "colour"),
    "phase2a_holdout": ("2A-3: source holdout", "sources"),
    "phase2b": ("2B: resolution", "resolution"),
    "phase2c": ("2C: face crop", "face_crop"),
    "phase2d": ("2D: augmentation without face crop", "augmentation"),
    "phase2e": ("2E: augmentation with face crop", "augmentation_face"),
}
"""The tables of phase 2, each with its heading and the question that it answers."""


def write(phase: str, settings: Params) -> None:
    """Write the page of a phase with its tables and figures, from what its comparison left behind."""
    parts = _PAGES[phase](settings)
    text = "\n\n".join(part for part in [f"# {TITLES[phase]}", "[Summary](summary.md)", *parts] if part)
    tables.write_text(f"{text}\n", paths().page(phase))


def _phase1(settings: Params) -> list[str]:
    found = results.read("phase1", settings)
    return _models("phase1", found, found.names(), settings)


def _custom(settings: Params) -> list[str]:
    found = results.read("custom", settings)
    names = {name: name for name in found.titles}
    return ["`dvc exp run -S model=NAME` trains another model here.", *_models("custom", found, names, settings)]


def _models(phase: str, found: Results, names: dict[str, str], settings: Params) -> list[str]:
    """Return the sections of a phase that compares models under the same conditions."""
    figures.auc(found.rows, found.folds, names, paths().figure(f"{phase}_auc"))
    histories = {told: pd.read_csv(paths().history(name)) for name, told in names.items()}
    figures.curves(histories, paths().figure(f"{phase}_curves"))
    figures.roc(
        {told: pd.read_csv(paths().roc(name)) for name, told in names.items()},
        {told: pd.read_csv(paths().confusion(name)) for name, told in names.items()},
        paths().figure(f"{phase}_roc"),
    )
    by_experiment = names != found.titles
    return [
        wording.conditions([config_of(name) for name in names]),
        _kept(phase, design_tables.models(found, settings.evaluation.confidence, experiments=by_experiment)),
        wording.picture(f"{phase}_auc", "AUC"),
        "## What follows",
        bullets(_findings(found, names, settings)),
        "## How training went",
        wording.picture(f"{phase}_curves", "learning curves"),
        "## Decisions",
        "Each fold at its own threshold (Youden's J on its inner validation), all held-out samples.",
        wording.picture(f"{phase}_roc", "ROC and confusion"),
    ]


def _findings(found: Results, names: dict[str, str], settings: Params) -> list[str]:
    """Return what a comparison of models shows, a sentence each."""
    evaluation = settings.evaluation
    columns = source_columns(found.rows)
    named = found.rows.assign(experiment=found.rows["experiment"].map(names))
    tests = found.tests.assign(**{end: found.tests[end].map(names) for end in ("baseline", "experiment")})
    rows = [row for _, row in named.iterrows()]
    return [
        *(wording.learned(row, evaluation.confidence) for row in rows),
        *(
            wording.difference(test, named, evaluation.confidence, evaluation.significance)
            for _, test in tests.iterrows()
        ),
        *(wording.gap(row, settings.interpretation.gap) for row in rows),
        *(wording.sources(row, columns) for row in rows if row["learned"]),
    ]


def _phase2(settings: Params) -> list[str]:
    found = results.read("phase2", settings)
    confidence = settings.evaluation.confidence
    told = questions.phase2(found, settings)
    changes = design_tables.shortcut_removal(found, confidence)
    result_tables.write(changes, "phase2_shortcuts")
    _phase2_figures(found, changes)
    extra = {
        "phase2d": [told["removal"].text(), _removal(changes, "phase2d", confidence)],
        "phase2e": [told["removal_face"].text(), told["interaction"].text(), _removal(changes, "phase2e", confidence)],
    }
    first = config_of(found.experiments("phase2a_geometry")[0])
    told_first = f"{wording.view(first)}; {wording.augmentation(first)}; {wording.training(first)}"
    parts = [f"Conditions, where a table does not vary them: {told_first}."]
    parts += [told["decision"].text(), wording.picture("phase2_differences", "differences in AUC")]
    for table, (heading, question) in _SECTIONS.items():
        parts += [f"## {heading}", _varied(found, table), _kept(table, _plan_table(found, table, settings))]
        parts += [told[question].text(), *extra.get(table, [])]
    return [
        *parts,
        wording.picture("phase2_shortcuts", "what augmentation changes"),
        "Full markers: the interval over folds excludes 0.",
        "## All experiments of the phase",
        design_tables.models(_without_tests(found), confidence, experiments=True).markdown(),
    ]


def _plan_table(found: Results, table: str, settings: Params) -> Table:
    """Return one of the plan's tables of phase 2."""
    confidence = settings.evaluation.confidence
    if table in design_tables.PAIRED:
        return design_tables.paired(found, table, confidence)
    if table != "phase2a_holdout":
        return design_tables.conditions(found, table, confidence)
    samples = tables.read(paths().manifest(settings.dataset), tables.MANIFEST)
    real = sorted(samples.loc[samples["label"] == tables.REAL, "source"].unique())
    return design_tables.holdout(found, result_tables.read("phase2_holdout"), real, confidence)


def _phase2_figures(found: Results, changes: pd.DataFrame) -> None:
    """Draw the differences of all tables, and what augmentation changes."""
    held_out = found.rows.set_index("experiment")["holdout"].dropna()
    names = [
        found.titles[name] + (f", without {held_out[name]}" if name in held_out.index else "")
        for name in found.tests["experiment"]
    ]
    headings = {
        "phase2a_geometry": "2A-1: reals letterboxed, not cropped",
        "phase2a_colour": "2A-2: real-image statistics, not ImageNet's",
        "phase2a_holdout": "2A-3: a source held out (AUC over all sources)",
        "phase2b": "2B: higher resolution",
        "phase2c": "2C: face crop",
        "phase2d": "2D: augmentation without face crop",
        "phase2e": "2E: augmentation with face crop",
    }
    study_figures.differences(found.tests.assign(name=names), headings, paths().figure("phase2_differences"))
    both = {table: heading for table, heading in headings.items() if table in ("phase2d", "phase2e")}
    study_figures.shortcuts(changes, both, paths().figure("phase2_shortcuts"))


def _removal(changes: pd.DataFrame, table: str, confidence: float) -> str:
    """Return the plan's shortcut-removal table of each model."""
    models = changes[changes["table"] == table].groupby("model", sort=False)
    return "\n\n".join(f"{model}:\n\n{design_tables.removal(rows, confidence).markdown()}" for model, rows in models)


def _varied(found: Results, table: str) -> str:
    """Say what a table varies, from the configurations themselves."""
    pairs = found.pairs(table)
    return wording.varied(
        [
            (config_of(first), config_of(other))
            for first, other in zip(pairs["baseline"], pairs["experiment"], strict=True)
        ]
    )


def _without_tests(found: Results) -> Results:
    """Return results whose table shows no differences, for they stand elsewhere."""
    return Results(found.rows, found.folds, found.tests.iloc[:0], found.titles, found.unplanned)


def _phase3(settings: Params) -> list[str]:
    found = results.read("phase3", settings)
    names = found.rows["experiment"].tolist()
    study_figures.size(found.rows, found.titles, found.unplanned, paths().figure("phase3_size"))
    histories = {told: pd.read_csv(paths().history(name)) for name, told in found.names().items()}
    figures.curves(histories, paths().figure("phase3_curves"))
    planned = [config_of(name) for name in names if name not in found.unplanned]
    extra = [(planned[0], config_of(name)) for name in found.unplanned]
    return [
        wording.conditions(planned),
        _kept("phase3", design_tables.models(found, settings.evaluation.confidence)),
        f"† Not of the plan: it stands beside the others and cannot be chosen. {wording.varied(extra)}"
        if extra
        else "",
        "## What follows",
        bullets(answer.text() for answer in questions.phase3(found, settings).values()),
        "## Parameters against performance",
        wording.picture("phase3_size", "AUC against parameters"),
        "## How training went",
        wording.picture("phase3_curves", "learning curves"),
    ]


def _phase4(settings: Params) -> list[str]:
    by_share, final = results.read("phase4a", settings), results.read("phase4b", settings)
    shown = design_tables.scaling(by_share, settings)
    _scaling_figure(by_share, shown.numbers, settings)
    figures.auc(final.rows, final.folds, final.titles, paths().figure("phase4_sources"))
    told = questions.phase4(by_share, final, settings)
    return [
        wording.conditions([config_of(name) for name in final.rows["experiment"]]),
        "## 4A: data quantity",
        "All are measured on the held-out samples of the smallest share, which the larger ones contain.",
        _kept("phase4a", shown),
        told.pop("scaling").text(),
        wording.picture("phase4_scaling", "AUC against the share of the data"),
        "## 4B: evaluation on all data",
        _kept("phase4b", design_tables.models(final, settings.evaluation.confidence)),
        wording.picture("phase4_sources", "AUC and sources of the final models"),
        "## What follows",
        bullets(answer.text() for answer in told.values()),
        f"Where they look and what they get wrong: [Explanations of the final models]({paths().page('explain').name}).",
    ]


def _scaling_figure(results: Results, numbers: pd.DataFrame, settings: Params) -> None:
    """Draw 4A."""
    keys = shares(settings)
    named = numbers[["title"]].assign(**{str(key): [scaled(name, key) for name in numbers["baseline"]] for key in keys})
    study_figures.scaling(named, results.rows, list(map(str, keys)), paths().figure("phase4_scaling"))


def _kept(name: str, table: Table) -> str:
    """Write a table as CSV, and return it as Markdown with a link to the file."""
    result_tables.write(table.csv(), name)
    return f"{table.markdown()}\n\n{wording.csv(name)}"


def bullets(sentences: Iterable[str]) -> str:
    """Return sentences as a Markdown list."""
    return "\n".join(f"- {sentence}" for sentence in sentences)


_PAGES: dict[str, Callable[[Params], list[str]]] = {
    "phase1": _phase1,
    "phase2": _phase2,
    "phase3": _phase3,
    "phase4": _phase4,
    "custom": _custom,
}
