"""The summary: what was studied, at most fourteen findings, one figure; then the study's table, and the data."""

from typing import Any

import pandas as pd

from deepfake import config, tables
from deepfake.config.params import Params
from deepfake.datasets import catalog
from deepfake.project import paths
from deepfake.reports import findings, pages
from deepfake.reports.columns import Table, text
from deepfake.reports.findings import Finding, Findings
from deepfake.studies import results
from deepfake.studies.final import page as final_page
from deepfake.studies.phases import page as phases_page
from deepfake.studies.results import Results
from deepfake.tables import results as result_tables

PAGES = {
    "eda": "The data",
    **{name: title for name, title in phases_page.TITLES.items() if name != "custom"},
    "final": final_page.TITLE,
    "shortcuts": "Shortcuts",
    "robustness": "Robustness",
    "imbalance": "Class imbalance",
    "generalization": "Other data sets",
    "audio": "Speech",
    "video": "Clips",
    "explain": "Explanations",
    "custom": phases_page.TITLES["custom"],
}
"""The pages that the summary links."""
KEY = {
    **{"final": 1, "phase1": 1, "phase2": 4, "phase3": 1, "phase4": 1},
    **{"shortcuts": 1, "robustness": 1, "imbalance": 1, "generalization": 1, "audio": 1, "video": 1},
}
"""How many key findings of each study the first screen shows, fourteen in all: the first ones, whatever they say."""
_TITLES = ("Phase", "Variable Tested", "Models", "Data", "Resolution", "Facecrop", "Augment", "CV", "Conclusion")
"""The headings of the design's summary table, and what came out."""
_ROWS = {
    "1": ("Architecture Baseline", "phase1", None, ("model",)),
    "2A": ("Shortcut Analysis", "phase2", ("phase2a_geometry", "phase2a_colour"), ("geometry", "colour")),
    "2A-Holdout": ("Source Holdout", "phase2", ("phase2a_holdout",), ("sources", "source")),
    "2B": ("Resolution", "phase2", ("phase2b",), ("resolution",)),
    "2C": ("Facecrop", "phase2", ("phase2c",), ("face_crop",)),
    "2D": ("Augmentation (no facecrop)", "phase2", ("phase2d",), ("augmentation",)),
    "2E": ("Augmentation + Facecrop", "phase2", ("phase2e",), ("augmentation_of_faces",)),
    "3": ("Extended Architectures", "phase3", None, ("candidate",)),
    "4A": ("Data Quantity", "phase4a", None, ("scaling",)),
    "4B": ("Final Evaluation", "phase4b", None, ("finalist",)),
}
"""The rows of the design's summary table: what is varied, whose tables and which findings answer."""
COMPARED = ("phase1", "phase2", "phase3", "phase4a", "phase4b")
"""The comparisons whose contrasts say what the study can see."""
_CAUTION = (
    "The data are grey photographs of 40 people and classical manipulations: nothing here holds for deepfakes in the "
    "wild."
)
_CAPTIONS = {
    "views": "What each view shows of one image of each source",
    "augmentation": "One image of each source before augmentation, after each step alone at its strongest, and after "
    "whole policies",
}


def write(settings: Params) -> None:
    """Write reports/summary.md from the findings of all studies, and the design's summary as a table."""
    known = _known()
    compared = {name: results.read(name) for name in COMPARED}
    overview = pd.DataFrame(
        [_overview(phase, *row, compared=compared, known=known) for phase, row in _ROWS.items()], columns=list(_TITLES)
    )
    result_tables.write(overview, "summary_study")
    keys = [(one, paths().page(study).name) for study, one in key_findings()]
    pages.write(
        "summary",
        __package__ or "",
        "page.md.j2",
        opening=opening(settings),
        settings=settings,
        keys=keys,
        resolution=results.resolution([one.tests for one in compared.values()]),
        left_out=left_out(settings),
        overview=Table(overview, [text(heading, heading) for heading in _TITLES]).markdown(),
        pages={paths().page(name).name: title for name, title in PAGES.items() if paths().page(name).exists()},
        custom=findings.read("custom").values(),
        data=_data(settings),
    )


def key_findings() -> list[tuple[str, Finding]]:
    """Return the findings of the first screen, each with its study, as far as studies were run."""
    return [(study, one) for study, found in _known().items() for one in found.key[: KEY[study]]]


def _known() -> dict[str, Findings]:
    return {name: findings.read(name) for name in KEY if paths().findings(name).exists()}


def opening(settings: Params) -> list[str]:
    """Return what was studied, and what it cannot say, a paragraph each (Markdown)."""
    title = catalog.find(settings.dataset).title
    studied = "; ".join([f"{title} (`{settings.dataset}`), preset `{settings.preset}`", *stand_ins(settings)])
    return [f"Studied: {studied}.", *([_CAUTION] if settings.dataset == "sample" else [])]


def stand_ins(settings: Params) -> list[str]:
    """Return what stands for what in the chosen preset: the roles that `full` fills with another model."""
    full = settings.presets.get("full")
    own = settings.presets[settings.preset]
    if full is None or settings.preset == "full":
        return []
    how = {"head": "frozen", "all": "all weights trained"}
    return [
        f"{results.TITLES.get(role.model, role.model)} ({how[role.train]}) stands for the design's "
        f"{results.TITLES.get(full.roles[name].model, full.roles[name].model)} ({how[full.roles[name].train]})"
        + _where(settings, name)
        for name, role in own.roles.items()
        if name in full.roles and role != full.roles[name]
    ]


def _where(settings: Params, role: str) -> str:
    """Return in which study a role is played, where that is one only."""
    studies = {entry.study for entry in config.entries(settings).values() if getattr(entry.run, "model", "") == role}
    return f" in {studies.pop()}" if len(studies) == 1 else ""


def left_out(settings: Params) -> list[str]:
    """Return the runs that `full` has and the chosen preset has not."""
    runs = [run for study in config.TRAINING for run in getattr(getattr(settings.studies, study), "runs", {}).items()]
    return [name for name, run in runs if run.in_preset("full") and not run.in_preset(settings.preset)]


def _overview(
    phase: str,
    variable: str,
    name: str,
    compared_tables: tuple[str, ...] | None,
    prefixes: tuple[str, ...],
    *,
    compared: dict[str, Results],
    known: dict[str, Findings],
) -> dict[str, str]:
    """Return a row of the design's summary table."""
    found = compared[name]
    study = name.rstrip("ab") if name.startswith("phase4") else name
    answers = [one for prefix in prefixes for one in known[study].below(prefix)] if study in known else []
    return (
        {"Phase": phase, "Variable Tested": variable}
        | _varied(found, compared_tables)
        | {"Conclusion": "; ".join(f"{one.question} {one.answer}" for one in answers) or "not run"}
    )


def _varied(found: Results, compared: tuple[str, ...] | None) -> dict[str, str]:
    """Return models and conditions of the runs of some tables, or of a whole phase, as the design writes them."""
    names = (
        found.rows["experiment"].tolist()
        if compared is None
        else [name for table in compared for name in found.experiments(table)]
    )
    rows = found.rows[found.rows["experiment"].isin(names)]
    shares = [f"{100 * share:.0f}" for share in sorted(rows["fraction"].unique())]
    repeats = int(rows["repeats"].max())
    folds = found.folds["fold"].nunique() // max(1, found.folds["repeat"].nunique())
    return {
        "Models": ", ".join(dict.fromkeys(found.titles[name] for name in names)),
        "Data": f"{'/'.join(shares)}%",
        "Resolution": "/".join(str(size) for size in sorted(rows["resolution"].unique())),
        "Facecrop": _either(rows["face_crop"]),
        "Augment": _either(rows["augmented"]),
        "CV": f"{folds}-fold stratified" + (f" × {repeats}" if repeats > 1 else ""),
    }


def _either(values: pd.Series) -> str:
    """Return `Yes`, `No`, or `±` where a condition is varied."""
    return "±" if values.nunique() > 1 else "Yes" if values.iloc[0] else "No"


def _data(settings: Params) -> dict[str, Any]:
    """Return what is said of the data set and its splits."""
    dataset = settings.dataset
    manifest = tables.read(paths().manifest(dataset), tables.MANIFEST)
    refused, repeated = (len(pd.read_csv(path)) for path in (paths().quarantine(dataset), paths().duplicates(dataset)))
    counted = tables.with_media(manifest, paths().media(dataset)).assign(
        kind=manifest["label"].map({tables.REAL: "real", tables.FAKE: "fake"})
    )
    sizes = counted["width"].astype(str) + "×" + counted["height"].astype(str)
    rows = (
        counted.assign(size=sizes)
        .groupby(["kind", "source"])
        .agg(
            samples=("sample_id", "size"),
            groups=("group", "nunique"),
            development=("split", lambda split: int((split == "dev").sum())),
            test=("split", lambda split: int((split == "test").sum())),
            pixels=("size", lambda size: ", ".join(size.value_counts().index[:2])),
        )
    )
    faces = result_tables.read(f"faces_{dataset}").set_index("source")["share"]
    rows = rows.sort_index(ascending=False).reset_index()
    rows["faces found"] = [f"{faces[source]:.1%}" if source in faces else "-" for source in rows["source"]]
    folds = manifest.loc[manifest["split"] == "dev"].groupby("fold")["group"].nunique()
    made = [name for name in (dataset, *settings.studies.generalization.datasets) if name in catalog.GENERATED]
    return {
        "sources": rows.to_markdown(index=False),
        "card": paths().data_card(dataset).relative_to(paths().reports).as_posix(),
        "facts": [
            ("Samples", f"{len(manifest):,}"),
            ("Groups", f"{manifest['group'].nunique()}"),
            ("Development groups in each fold", ", ".join(map(str, folds))),
            ("Test groups", f"{manifest.loc[manifest['split'] == 'test', 'group'].nunique()}"),
            ("Files in quarantine", f"{refused}"),
            ("Files in several groups or under both labels", f"{repeated}"),
        ],
        "pictures": {name: f"A few images of each source of {name}" for name in made} | _CAPTIONS,
    }
