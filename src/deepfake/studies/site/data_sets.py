"""The data cards: what each data set holds, how it was split, which shortcuts are in it, and who uses it.

The headings are those of Gebru et al. 2021, "Datasheets for datasets".
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from deepfake import config, modalities, tables
from deepfake.config.params import Params
from deepfake.datasets import catalog
from deepfake.datasets.entries import DataSet
from deepfake.project import UNION, paths
from deepfake.reports.columns import Column, Table, estimate, number, text
from deepfake.reports.site import html, markdown
from deepfake.reports.site.html import Entry
from deepfake.studies.site import appearances, navigation, runs
from deepfake.studies.site.appearances import Tables
from deepfake.studies.site.run_facts import RunFacts

FOLDER = "data"
INDEX = f"{FOLDER}/index.html"
_ADAPTERS = {
    "sources": "an archive or a folder a source",
    "folder": "folders that say real and fake, or a table that lists the files",
    "metadata": "a metadata.json beside the files",
}
_MEASURES = {
    "width": "Width in px",
    "height": "Height in px",
    "duration": "Seconds",
    "frames": "Frames",
    "length": "Samples at 16 kHz",
    "rate": "Rate in Hz",
}
_KINDS = {"format": "Formats", "mode": "Modes", "codec": "Codecs"}
"""What a data card says of media, numbers and words: those columns that the table of its modality has."""
_FACES = [
    text("Source", "source"),
    number("Samples", "samples", "{:,}"),
    number("Face found", "share", "{:.1%}"),
    number("Several faces", "several", "{:,}"),
    number("Median confidence", "median_confidence"),
]
_CHECKS = [
    text("Check", "check"),
    Column(
        "Found",
        {"": "value", "of": "of"},
        lambda value, of: f"{_counted(value)} of {of:,.0f}",
        lambda value: _counted(value),
    ),
    text("Outcome", "outcome"),
    text("If not passed", "meaning"),
]
_PROBES = [
    text("In", "subject"),
    text("Probe", "name"),
    estimate("AUC [interval]", "auc", "auc_low", "auc_high"),
    text("Severity", "severity"),
    text("Verdict", "verdict"),
]


def write(found: Sequence[RunFacts] | None = None) -> list[Path]:
    """Write a page for each data set of the catalog, and their index.

    Args:
        found: all runs, where they were read already.

    Returns:
        The pages written, the index last.

    Raises:
        InputError: params.yaml, the catalog or a table is damaged.
    """
    known, settings, compared = runs.read_all() if found is None else found, config.load(), Tables()
    shared, entries = navigation.read(), catalog.load()
    for name, entry in entries.items():
        html.page(
            address(name),
            __package__ or "",
            "data_set.html.j2",
            title=name,
            navigation=shared,
            crumbs=[Entry("Data sets", INDEX)],
            **_shown(name, entry, known, compared, settings),
        )
    rows = [_row(name, entry, known, compared, settings) for name, entry in entries.items()]
    headings = ["Data set", "What it is", "Sources", "Samples", "Groups", "Runs", "Licence"]
    html.page(
        INDEX,
        __package__ or "",
        "data_sets.html.j2",
        title="Data sets",
        navigation=shared,
        headings=headings,
        rows=rows,
    )
    return [paths().site / page for page in (*(address(name) for name in entries), INDEX)]


def address(name: str) -> str:
    """Return the page of a data set below reports/site."""
    return f"{FOLDER}/{name}.html"


def _shown(name: str, entry: DataSet, known: Sequence[RunFacts], compared: Tables, settings: Params) -> dict[str, Any]:
    """Return what the page of a data set shows."""
    manifest, card = _manifest(name), paths().data_card(name)
    return {
        "name": name,
        "entry": entry,
        "role": role(name, settings),
        "obtained": manifest is not None or card.exists(),
        "facts": _facts(entry, manifest),
        "sizes": sizes(name, manifest),
        "faces": _faces(name, compared),
        "collection": _collection(name, entry),
        "card": below_heading(card.read_text(encoding="utf-8")) if card.exists() else "",
        "checks": _checks(name, compared),
        "probes": _probes(name, compared, settings),
        "uses": uses(name, known, compared, settings),
    }


def role(name: str, settings: Params) -> str:
    """Say what a data set is for in this study."""
    if name == settings.dataset:
        return "It is the study's own data set: all phases train and evaluate on it."
    if name in settings.studies.generalization.datasets:
        return "The study evaluates detectors on it that were trained on another data set."
    for study in ("audio", "video"):
        own = getattr(settings.studies, study)
        if own is not None and name in own.datasets:
            does = "trains and evaluates" if name == own.datasets[0] else "evaluates"
            return f"The study of {study} {does} detectors on it."
    return "The study does not use it as params.yaml stands."


def below_heading(card: str) -> Any:
    """Return the sections of a data card as HTML, one level deeper; what stands above them the page says itself."""
    sections = card.partition("\n## ")[2]
    return markdown.to_html(f"### {sections}".replace("\n## ", "\n### "), 1, base="data_cards") if sections else ""


def _manifest(name: str) -> pd.DataFrame | None:
    """Read the manifest of a data set, or None where it was not split here."""
    path = paths().manifest(name)
    return tables.read(path, tables.MANIFEST) if path.exists() else None


def _facts(entry: DataSet, manifest: pd.DataFrame | None) -> list[tuple[str, str]]:
    """Return how much a data set holds."""
    said = [("Modality", entry.modality)]
    if manifest is None:
        return [*said, ("Sources", _sources(entry) or "unknown before it is read"), ("Samples", "not obtained here")]
    fakes = int((manifest["label"] == tables.FAKE).sum())
    names = manifest[["label", "source"]].drop_duplicates().sort_values(["label", "source"])["source"].tolist()
    shown = ", ".join(names) if len(names) <= 20 else f"{len(names)} in all"
    tested = int((manifest["split"] == "test").sum())
    return [
        *said,
        ("Sources", shown),
        ("Samples", f"{len(manifest):,}: {len(manifest) - fakes:,} real, {fakes:,} fake"),
        ("Groups", f"{manifest['group'].nunique():,}"),
        ("Test set", f"{tested:,} samples, opened once for the final model"),
    ]


def _sources(entry: DataSet) -> str:
    return ", ".join(f"{source} ({label})" for source, label in entry.sources.items())


def sizes(name: str, manifest: pd.DataFrame | None) -> Table | None:
    """Return the sizes and formats of a data set's files by source, reals first."""
    if manifest is None or not paths().media(name).exists():
        return None
    joined = tables.with_media(manifest, paths().media(name), modalities.of(manifest).MEDIA)
    measures, kinds = ({key: said for key, said in known.items() if key in joined} for known in (_MEASURES, _KINDS))
    rows = []
    for (label, source), part in joined.groupby(["label", "source"]):
        files = part.drop_duplicates("clip_id")
        row = {"source": source, "label": "real" if label == tables.REAL else "fake", "samples": len(part)}
        row["files"] = len(files)
        for key in measures:
            row |= {key: files[key].median(), f"{key}_low": files[key].min(), f"{key}_high": files[key].max()}
        for key in kinds:
            row[key] = ", ".join(f"{word} {count:,}" for word, count in sorted(files[key].value_counts().items()))
        rows.append(row)
    several = [number("Files", "files", "{:,}")] if joined["clip_id"].duplicated().any() else []
    numbers = [_range(key, said, whole=pd.api.types.is_integer_dtype(joined[key])) for key, said in measures.items()]
    words = [text(said, key) for key, said in kinds.items()]
    first = [text("Source", "source"), text("Label", "label"), number("Samples", "samples", "{:,}")]
    return Table(pd.DataFrame(rows), [*first, *several, *numbers, *words])


def _range(key: str, said: str, *, whole: bool) -> Column:
    """Return the column of a measure: its median over files, and its ends."""
    form = "{:.0f} ({:.0f} to {:.0f})" if whole else "{:.2f} ({:.2f} to {:.2f})"
    keys = {"": key, "low": f"{key}_low", "high": f"{key}_high"}
    return Column(f"{said}: median (least to greatest)", keys, form.format)


def _faces(name: str, compared: Tables) -> Table | None:
    """Return how often a face was found, or None where none were looked for."""
    rows = compared.of(f"faces_{name}")
    return Table(rows, _FACES) if len(rows) else None


def _collection(name: str, entry: DataSet) -> list[tuple[str, str]]:
    """Return where a data set is from."""
    rows = [("To obtain it", entry.obtain), ("Layout", _ADAPTERS[entry.adapter])]
    rows += [("Recipe", entry.recipe)] if entry.recipe else []
    rows += [("Labels", _sources(entry) or "by folder or table")]
    if entry.hub is not None:
        rows += [("Published at", f"{entry.hub.repo}, revision {entry.hub.revision}")]
    made = name in catalog.GENERATED
    return [*rows, ("Made", "by this program, from a fixed seed" if made else "by others")]


def _checks(name: str, compared: Tables) -> Table | None:
    """Return the quality checks of a data set, or None where the data have not been described."""
    rows = compared.of("eda_quality")
    own = rows[rows["dataset"] == name] if len(rows) else rows
    return Table(own.assign(outcome=own["outcome"].str.replace("_", " ")), _CHECKS) if len(own) else None


def _counted(value: float) -> str:
    """Return a count, or a share as a percentage."""
    return f"{value:,.0f}" if value == round(value) else f"{value:.1%}"


def _probes(name: str, compared: Tables, settings: Params) -> Table | None:
    """Return what families of features without a face say of the label, in the files and in each view."""
    rows = compared.of("probes" if name == settings.dataset else f"own_{name}_probes")
    if not len(rows):
        return None
    joint = rows[rows["level"].isin(["family", "all"])].copy()
    joint["name"] = joint["name"].replace("all", "all together")
    return Table(joint.assign(verdict=joint["verdict"].str.replace("_", " ")), _PROBES)


def uses(name: str, known: Sequence[RunFacts], compared: Tables, settings: Params) -> list[list[str | tuple[str, str]]]:
    """Return the runs that a data set trains or evaluates, as cells that lead to them."""
    crossed = compared.of("generalization_cells")
    evaluated = set(crossed.loc[crossed["dataset"] == name, "experiment"]) if len(crossed) else set()
    combined = name in (settings.dataset, *settings.studies.generalization.union)
    found = []
    for run in known:
        own = run.config is not None and (run.config.dataset == name or (run.config.dataset == UNION and combined))
        if own or run.name in evaluated:
            page = navigation.address(run.study) if navigation.ran(run.study) else ""
            use = "trained and evaluated" if own else "evaluated"
            found.append([(run.name, appearances.address(run.name)), (run.study, page), use])
    return found


def _row(
    name: str, entry: DataSet, known: Sequence[RunFacts], compared: Tables, settings: Params
) -> list[str | tuple[str, str]]:
    """Return a data set as a row of the index."""
    manifest = _manifest(name)
    held = manifest is not None
    return [
        (name, address(name)),
        entry.title,
        f"{manifest['source'].nunique()}" if held else f"{len(entry.sources) or '-'}",
        f"{len(manifest):,}" if held else "not obtained",
        f"{manifest['group'].nunique():,}" if held else "-",
        f"{len(uses(name, known, compared, settings))}",
        entry.licence,
    ]
