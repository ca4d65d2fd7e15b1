"""What trained detectors make of the shortcuts in their data: their logits are held against the probes."""

import json
from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd

from deepfake import tables
from deepfake.config import facts_of, resolve, title
from deepfake.config.params import Params
from deepfake.errors import InputError
from deepfake.evaluation import probes, shortcut_attribution, summary
from deepfake.evaluation.evalset import EvalSet, Floats
from deepfake.evaluation.influence import Influence
from deepfake.progress import SILENT, Progress
from deepfake.project import paths
from deepfake.reports import findings
from deepfake.studies import probing
from deepfake.studies.probing import FILES, Subject
from deepfake.studies.shortcuts import findings as conclusions
from deepfake.tables import results as result_tables

METRICS = ("files_auc", "view_auc", "container_leaks", "pixel_leaks", "r2")
"""The keys of the study's metrics file: AUC of the joint probes of the files and of the leakiest view, how many single
features of the files leak, and the largest R^2 of a detector's logits by its own view; None where there is nothing."""
COLUMNS = ["experiment", "view", "leak", *shortcut_attribution.COLUMNS]
"""The columns of the table of runs, which also stand there when no experiment is audited."""


def run(
    settings: Params,
    dataset: str,
    *,
    threads: int,
    cuda: bool = False,
    progress: Progress = SILENT,
) -> pd.DataFrame:
    """Hold the runs of `studies.shortcuts` against the probes; write the table of runs, the findings and the metrics.

    Each is held against the files and against the view that it was trained on. Runs are those of the study's
    data set; another one has none.

    Args:
        settings: the checked params.yaml.
        dataset: it must have been probed.
        threads: decoding threads.
        cuda: whether views are decoded on the GPU, where they have to be.
        progress: told of each step and of the images done.

    Returns:
        One row for each experiment and leak: `COLUMNS`.

    Raises:
        InputError: the data set was not probed, or before it was split anew; or an experiment has not been trained or
            was trained on other data.
    """
    manifest = tables.read(paths().manifest(dataset), tables.MANIFEST)
    development = probing.identities(manifest)
    judged = _probes(title(settings, "probes", dataset), dataset)
    # first of all, so that a missing experiment costs nobody a minute
    names = settings.studies.shortcuts.runs if dataset == settings.dataset else ()
    logits = {name: _logits(name, development, manifest) for name in names}
    trained_on = {name: resolve(settings, name).view for name in names}
    subjects: dict[str, Subject] = {}
    if names:
        subjects = probing.subjects(
            dataset, manifest, trained_on.values(), threads=threads, cuda=cuda, progress=progress
        )
    scores = _scores(dataset, {FILES, *subjects}, development)
    samples = probes.identities(development)
    identities, found = [], []
    for experiment, places in logits.items():
        progress.say(f"explaining {experiment}")
        for name in (FILES, trained_on[experiment].view):
            if name not in subjects:  # the view shows no more than the files do
                continue
            identities.append({"experiment": experiment, "view": trained_on[experiment].view, "leak": name})
            found.append(_explain(places, subjects[name], scores[name], samples, settings))
    rows = shortcut_attribution.judge(found, settings.evaluation)
    joined = [identity | row for identity, row in zip(identities, rows, strict=True)]
    runs = pd.DataFrame(joined, columns=COLUMNS)
    result_tables.write(runs, title(settings, "shortcuts_runs", dataset))
    study = title(settings, "shortcuts", dataset)
    tables.write_text(json.dumps(_metrics(judged, runs), indent=2) + "\n", paths().study_metrics(study))
    findings.write(study, conclusions.of(judged, runs, (len(development), development["group"].nunique())))
    return runs


def _probes(name: str, dataset: str) -> pd.DataFrame:
    """Return the table of probes."""
    path = paths().table(name)
    if not path.exists():
        raise InputError(f"{path}: not found; run deepfake probe {dataset}")
    return result_tables.read(name)


def _scores(dataset: str, subjects: Iterable[str], development: pd.DataFrame) -> dict[str, Floats]:
    """Return the scores of the joint probe of each subject, in the order of the development samples."""
    path = paths().probe_scores(dataset)
    found = dict(list(tables.read(path, tables.PROBE_SCORES).groupby("subject")))
    keys = ["sample_id", "fold"]
    for name in subjects:
        if name not in found or not np.array_equal(found[name][keys], development[keys]):
            raise InputError(f"{path}: not of {name} and the manifest's folds; run deepfake probe {dataset} again")
    return {name: found[name]["score"].to_numpy() for name in subjects}


def _logits(experiment: str, development: pd.DataFrame, manifest: pd.DataFrame) -> pd.Series:
    """Return an experiment's logits of held-out samples, by their place among the development samples."""
    path = paths().predictions(experiment)
    if not path.exists():
        raise InputError(
            f"{path}: not found; run deepfake train {experiment}, or take it out of studies.shortcuts.runs"
        )
    found = tables.read(path, tables.PREDICTIONS).query("repeat == 0")
    found = found[(found["subset"] == "held_out") & (found["condition"] == tables.STANDARD_CONDITION)]
    strange = ~found["sample_id"].isin(manifest["sample_id"])
    if not strange.any():
        found = summary.join(found, manifest, facts_of(experiment)["pooling"])
    places = pd.Index(development["sample_id"]).get_indexer(pd.Index(found["sample_id"]))
    known = places >= 0
    folds = development["fold"].to_numpy()[places]
    if not len(found) or not (known & (folds == found["fold"])).all():
        raise InputError(f"{path}: not of the manifest's samples and folds; run deepfake train {experiment} again")
    return pd.Series(found["logit"].to_numpy(), index=places)


def _explain(
    logits: pd.Series, subject: Subject, scores: Floats, samples: EvalSet, settings: Params
) -> tuple[dict[str, Any], Influence | None]:
    """Hold an experiment's logits against the joint probe of a subject and its features."""
    places = logits.index.to_numpy()
    columns = [column for family in subject.joint for column in subject.families[family]]
    return shortcut_attribution.explain(
        logits.to_numpy(),
        subject.features.loc[places, columns],
        scores[places],
        samples.take(places),
        caliper=settings.studies.shortcuts.caliper,
        evaluation=settings.evaluation,
    )


def _metrics(judged: pd.DataFrame, runs: pd.DataFrame) -> dict[str, float | None]:
    """Return the study's metrics, rounded as the tables are."""
    joint = judged[judged["level"] == probes.JOINT].set_index("subject")["auc"]
    alone = (judged["subject"] == FILES) & (judged["level"] == "feature")
    flagged = judged[alone & (judged["severity"] != "none")]["nature"]
    of_views = joint.drop(FILES)
    on_view = runs.loc[runs["leak"] != FILES, "r2"]
    figures = (
        round(float(joint[FILES]), 6),
        round(float(of_views.max()), 6) if len(of_views) else None,
        int((flagged == "container").sum()),
        int((flagged == "pixels").sum()),
        round(float(on_view.max()), 6) if len(on_view) else None,
    )
    return dict(zip(METRICS, figures, strict=True))
