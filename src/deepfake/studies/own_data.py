"""What studies of data sets of their own have in common: their runs compared, error rates, sources, and probes."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import pandas as pd

from deepfake import tables
from deepfake.config import entries, table
from deepfake.config.params import Evaluation, Params
from deepfake.config.studies import OwnData
from deepfake.datasets import catalog
from deepfake.errors import InputError, unknown
from deepfake.evaluation import performance, probes, resampling
from deepfake.evaluation.evalset import EvalSet
from deepfake.progress import SILENT, Progress
from deepfake.project import paths
from deepfake.reports import findings
from deepfake.reports.columns import Column, Table, estimate, p_value, text
from deepfake.reports.findings import Finding, Findings
from deepfake.runs import completion
from deepfake.studies import comparison, probing
from deepfake.studies.results import GEOMETRIES, Results
from deepfake.tables import results as result_tables

SIZE = Column("n (groups) × repeats", {"": "samples", "g": "groups", "r": "repeats"}, "{:,} ({}) × {}".format)
AUC = estimate("AUC [interval]", "auc", "auc_low", "auc_high")
VERDICT = [
    estimate("ΔAUC [interval]", "difference", "low", "high", "{:+.3f}"),
    text("Verdict", "verdict"),
    p_value("p (Holm)", "p"),
]
"""The columns of a contrast."""
STORED = ("container", "both")
"""The natures of features that tell how a file is made up; the others are statistics of its content."""


def section(study: str, settings: Params) -> OwnData:
    """Return what params.yaml says of a study.

    Raises:
        InputError: it has no such study.
    """
    found = getattr(settings.studies, study)
    if found is None:
        raise InputError(f"studies.{study}: not in params.yaml; add its datasets and runs")
    return found


def check(study: str, settings: Params) -> None:
    """Check that the data sets of a study are known, prepared for it alone, and of the modality that its views show.

    Raises:
        InputError: what is not, and where it is said.
    """
    own = section(study, settings)
    known = catalog.load()
    for name in own.datasets:
        if name not in known:
            raise InputError(f"params.yaml: studies.{study}: {unknown('data set', name, known)}")
    kinds = {name: known[name].modality for name in own.datasets}
    for name, kind in kinds.items():
        if kind != kinds[own.dataset]:
            raise InputError(
                f"params.yaml: studies.{study}.others: {name} is of modality {kind}, {own.dataset} of "
                f"{kinds[own.dataset]}; name data sets of one modality"
            )
    elsewhere = dict.fromkeys(settings.studies.generalization.datasets, "studies.generalization.datasets")
    elsewhere |= {settings.dataset: "dataset"}
    for name in own.datasets:
        if name in elsewhere:
            raise InputError(
                f"params.yaml: {elsewhere[name]}: {name} is prepared by the stages of studies.{study}, and DVC allows "
                "no second ones; name another data set here or there"
            )
    for name, entry in entries(settings).items():
        view = getattr(entry.run, "view", "")
        seen = settings.views.get(view)
        if entry.study == study and seen and seen.modality != kinds[own.dataset]:
            raise InputError(
                f"params.yaml: studies.{study}.runs.{name}.view: {view} is of modality {seen.modality}, {own.dataset} "
                f"of {kinds[own.dataset]}; choose a view of that"
            )


def run(
    study: str,
    settings: Params,
    write: Callable[[dict[str, pd.DataFrame], Params, Progress], None],
    conclude: Callable[[], list[Finding]],
    *,
    threads: int,
    progress: Progress = SILENT,
) -> Findings:
    """Compare a study's runs, write the tables of its own questions, probe all its files, and write the findings.

    Args:
        study: its name.
        settings: the checked params.yaml.
        write: writes the study's own tables from the predictions of its runs.
        conclude: reads all tables and draws the conclusions.
        threads: decoding threads.
        progress: told of each step.

    Raises:
        InputError: a run has not been trained, or a data set was not prepared.
    """
    write(compare(study, settings), settings, progress)
    probe(study, section(study, settings).datasets, settings, threads=threads, progress=progress)
    return findings.write(study, conclude())


def compare(study: str, settings: Params) -> dict[str, pd.DataFrame]:
    """Compare the runs of a study as its contrasts say, write the tables, and return the predictions of all its runs.

    Raises:
        InputError: a run has not been trained.
    """
    own = section(study, settings)
    comparisons = {name: table(settings, name) for name in own.contrasts}
    joined = comparison.read(completion.names(settings, study), own.datasets[0])
    compared = {name for rows in comparisons.values() for name in rows}
    comparison.write(
        study, comparisons, {name: joined[name] for name in joined if name in compared}, settings.evaluation
    )
    return joined


def held_out(joined: pd.DataFrame) -> pd.DataFrame:
    """Return the rows that their fold's model never saw."""
    return joined[joined["subset"] == "held_out"]


def error_rates(joined: Mapping[str, pd.DataFrame], evaluation: Evaluation) -> pd.DataFrame:
    """Return the equal error rate of each run with the interval of its recipe, a row a run."""
    rows = []
    for name, predictions in joined.items():
        figure = performance.eer(EvalSet.of(held_out(predictions)))
        found = resampling.recipe(figure, confidence=evaluation.confidence)
        size = {"samples": found.n_samples, "groups": found.n_groups, "repeats": found.repeats}
        rows.append({"experiment": name} | performance.flat({"eer": found}) | size)
    return pd.DataFrame(rows)


def by_source(joined: Mapping[str, pd.DataFrame], evaluation: Evaluation) -> pd.DataFrame:
    """Return the AUC of each source's fakes against all reals with the recipe's interval, a row a run and source."""
    rows = []
    for name, predictions in joined.items():
        for source, figure in resampling.source_aucs(EvalSet.of(held_out(predictions))).items():
            found = resampling.recipe(figure, confidence=evaluation.confidence)
            size = {"samples": found.n_samples, "groups": found.n_groups, "repeats": found.repeats}
            rows.append({"experiment": name, "source": source} | performance.flat({"auc": found}) | size)
    return pd.DataFrame(rows)


def probe(
    study: str, datasets: Sequence[str], settings: Params, *, threads: int, progress: Progress = SILENT
) -> pd.DataFrame:
    """Probe the files of data sets, write the table, and return it: `dataset`, and the rows of `probing.judge`."""
    frames = []
    for name in datasets:
        manifest = tables.read(paths().manifest(name), tables.MANIFEST)
        known = probing.identities(manifest)
        subject = probing.of_files(name, manifest, threads=threads, progress=progress)
        judged, _ = probing.judge({name: subject}, known, settings, progress)
        sources = judged["name"].where(judged["level"] == "source")
        sizes = pd.DataFrame([_size(known, source) for source in sources])
        frames.append(pd.concat([judged.rename(columns={"subject": "dataset"}), sizes], axis=1))
    found = pd.concat(frames, ignore_index=True)
    result_tables.write(found, f"{study}_probes")
    return found


def _size(known: pd.DataFrame, source: Any) -> dict[str, int]:
    """Return how many clips and groups a probe is judged by: all, or a source's fakes and the reals of its folds."""
    fakes = known[(known["label"] == tables.FAKE) & (known["source"] == source)]
    reals = known[(known["label"] == tables.REAL) & known["fold"].isin(fakes["fold"])]
    judged = pd.concat([fakes, reals]) if isinstance(source, str) else known
    return {"samples": len(judged), "groups": judged["group"].nunique()}


def probed(rows: pd.DataFrame) -> Iterator[Finding]:
    """Yield what the probes conclude of each data set: how its files are made up, what they hold, and all together.

    Args:
        rows: the table that `probe` wrote.
    """
    questions = {
        "stored": "Does the way the files of {} are stored predict the label?",
        "content": "Do plain statistics of the content of {} predict the label?",
    }
    for dataset, seen in rows.groupby("dataset", sort=False):
        alone = seen[seen["level"] == "feature"]
        stored = alone["nature"].isin(STORED)
        for id_, part in {"stored": alone[stored], "content": alone[~stored]}.items():
            if len(part):
                yield _worst(f"{id_}.{dataset}", questions[id_].format(dataset), part)
        together = seen[seen["level"] == probes.JOINT]
        yield _worst(
            f"joint.{dataset}", f"Do all features of the files of {dataset} together predict the label?", together
        )


def _worst(id_: str, question: str, rows: pd.DataFrame) -> Finding:
    """Return what several probes say together."""
    row = findings.worst(rows)
    is_one_of_many = row["verdict"] == "shortcut" and len(rows) > 1
    note = f"The strongest is {row['name']} ({row['family']}), a {row['severity']} one." if is_one_of_many else ""
    return findings.probed(id_, question, row, note=note)


def joint(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the probes of whole families, and of all features together, of a table that `probe` wrote."""
    return rows[rows["level"].isin(["family", probes.JOINT])]


def names(found: Results) -> dict[str, str]:
    """Return what to call each run of a study: by its model, what it is shown, and what it did without."""
    rows = found.rows.set_index("experiment")
    varied = rows["geometry"].nunique() > 1
    called = {}
    for name, row in rows.iterrows():
        parts = [found.titles[str(name)]]
        if varied:
            parts.append(GEOMETRIES.get(row["geometry"], str(row["geometry"])))
        if rows["face_crop"].nunique() > 1:
            parts.append("face crop" if row["face_crop"] else "whole frame")
        if isinstance(row["holdout"], str) and row["holdout"]:
            parts.append(f"without {row['holdout']}")
        called[str(name)] = ", ".join(parts)
    twice = [one for one in called.values() if list(called.values()).count(one) > 1]
    return {name: f"{one} ({name})" if one in twice else one for name, one in called.items()}


_PROBES = [
    text("Data set", "dataset"),
    text("Probe", "what"),
    text("Nature", "nature"),
    AUC,
    p_value("p (Holm)", "p_holm"),
    text("Severity", "severity"),
    text("Verdict", "said"),
    Column("n (groups)", {"": "samples", "g": "groups"}, "{:,} ({})".format),
]


def probe_table(rows: pd.DataFrame) -> str:
    """Return the probes of whole families and of all features together (Markdown)."""
    shown = joint(rows)
    what = shown["name"].where(shown["level"] == "family", "all together")
    nature = shown["nature"].replace({"pixels": "content"})
    said = shown["verdict"].str.replace("_", " ")
    return Table(shown.assign(what=what, nature=nature, said=said), _PROBES).markdown()
