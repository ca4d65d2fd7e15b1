"""The search for shortcuts: what tells fakes from reals without a look at the content, and what detectors use of it."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from deepfake import layout, tables
from deepfake.config import ViewConfig, resolve, resolve_view
from deepfake.data import features, framing
from deepfake.errors import InputError
from deepfake.evaluation import leakage, probes
from deepfake.evaluation.bootstrap import Floats
from deepfake.evaluation.probes import Samples
from deepfake.loading import views
from deepfake.params import Params

FILES = "files"
"""The subject of the probes that see the files; the others see what a view shows, and are called after it."""
METRICS = ("files_auc", "view_auc", "container_leaks", "pixel_leaks", "r2")
"""The keys of the study's metrics file: AUC of the joint probes of the files and of the leakiest view, how many single
features of the files leak, and the largest R^2 of a detector's logits by its own view; None where there is nothing."""
Progress = Callable[[int, int], None]
Say = Callable[[str], None]


def measure(dataset: str, *, threads: int, progress: Progress = lambda done, total: None) -> pd.DataFrame:
    """Measure every file of a data set and write the table of features.

    Args:
        dataset: it must have been split.
        threads: decoding threads; they do not change the result.
        progress: called with the files done and their total.

    Raises:
        InputError: no manifest, or a file is missing or differs from the one that was ingested.
    """
    manifest = tables.read(layout.manifest(dataset), tables.MANIFEST)
    found = features.measure(manifest, layout.raw(dataset), threads=threads, progress=progress)
    tables.write(found, layout.features(dataset), tables.FEATURES)
    return found


def run(
    settings: Params,
    dataset: str,
    *,
    threads: int,
    cuda: bool = False,
    announce: Say = lambda line: None,
    progress: Progress = lambda done, total: None,
) -> pd.DataFrame:
    """Probe a data set, and hold the audited experiments against what is found; write both tables and the metrics.

    Views and experiments are those of the study's data set. Of another one only the files are probed, and its results
    are called `audit_<dataset>`.

    Args:
        settings: the checked params.yaml.
        dataset: it must have been split; its features are measured unless that was done before.
        threads: decoding threads.
        cuda: whether views are decoded on the GPU, where they have to be.
        announce: called with a line about each step.
        progress: called with the images done and their total.

    Returns:
        The rows of the probes (`probes.judge`).

    Raises:
        InputError: the data cannot be cross-validated, the features are of other files, or an experiment has not been
            trained or was trained on other data.
    """
    manifest = tables.read(layout.manifest(dataset), tables.MANIFEST)
    development = manifest[manifest["split"] == "dev"]
    samples = probes.Samples.of(development)
    studied = dataset == settings.dataset
    # first of all, so that a missing experiment costs nobody a minute
    logits = {name: _logits(name, development) for name in settings.audit.experiments} if studied else {}
    trained_on = {name: resolve(settings, name).view for name in logits}
    shown = [resolve_view(settings, name, "audit.views") for name in settings.audit.views] if studied else []

    subjects = {FILES: _files(dataset, manifest, threads, progress)}
    for view in (*shown, *trained_on.values()):
        if view.view not in subjects:
            subjects[view.view] = _view(view, manifest, threads, cuda, announce, progress)
    rows, scores = [], {}
    for name, subject in subjects.items():
        announce(f"probing {name}")
        found, scores[name] = probes.probe(
            name,
            subject.features,
            subject.families,
            samples,
            settings.evaluation,
            settings.shared.seed,
            joint=subject.joint,
        )
        rows.append(found)
    judged = probes.judge(pd.concat(rows, ignore_index=True), settings.audit.severity, settings.evaluation.significance)
    runs = []
    for experiment, places in logits.items():
        announce(f"explaining {experiment}")
        for name in (FILES, trained_on[experiment].view):
            identity = {"experiment": experiment, "view": trained_on[experiment].view, "leak": name}
            runs.append(identity | _explain(places, subjects[name], scores[name], samples, settings))
    _write("audit" if studied else f"audit_{dataset}", judged, pd.DataFrame(runs, columns=RUN_COLUMNS))
    return judged


RUN_COLUMNS = ["experiment", "view", "leak", *leakage.COLUMNS]
"""The columns of the table of runs, which also stand there when no experiment is audited."""


@dataclass(frozen=True)
class Subject:
    """What is probed: files, or what a view shows.

    Args:
        features: of the development samples, in the manifest's order.
        families: their columns by family.
        joint: the families that are probed together and held against detectors.
    """

    features: pd.DataFrame
    families: dict[str, tuple[str, ...]]
    joint: tuple[str, ...]


def _files(dataset: str, manifest: pd.DataFrame, threads: int, progress: Progress) -> Subject:
    """Return the features of the files, measured now unless that was done before."""
    path = layout.features(dataset)
    found = (
        tables.read(path, tables.FEATURES) if path.exists() else measure(dataset, threads=threads, progress=progress)
    )
    keys = ["sample_id", "sha256"]
    if not np.array_equal(found[keys], manifest[keys]):
        raise InputError(f"{path}: not of the files in the manifest; run deepfake features {dataset}")
    families = features.CONTAINER | features.PIXELS
    return Subject(_development(found, manifest), families, tuple(families))


def _view(
    view: ViewConfig, manifest: pd.DataFrame, threads: int, cuda: bool, announce: Say, progress: Progress
) -> Subject:
    """Return the features of what a view shows.

    How far it shrinks an image is probed by itself: the view knows it, but does not show it. The same holds for where a
    face crop lay in its image: what it shows of that is where the face lies in the square.
    """
    path = views.pixels(view, manifest, threads=threads, cuda=cuda, announce=announce, progress=progress)
    found = features.of_pixels(np.load(path, mmap_mode="r"), threads=threads, progress=progress)
    regions = tables.read(layout.regions(view.dataset, view.view), tables.REGIONS)
    sides = (regions["right"] - regions["left"]).combine(regions["bottom"] - regions["top"], max)
    found.insert(0, "scale", sides.to_numpy() / view.size)
    crops_faces = view.face_margin is not None
    faces = tables.read(layout.faces(view.dataset), tables.FACES) if crops_faces else None
    found = found.join(framing.measure(manifest, regions, faces, view.face_margin or 0.0))
    hidden, shown = (framing.PLACE, framing.FACE) if crops_faces else ((), framing.PLACE)
    families = {"geometry": ("scale", *hidden), "framing": shown, **features.PIXELS}
    return Subject(_development(found, manifest), families, ("framing", *features.PIXELS))


def _development(found: pd.DataFrame, manifest: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of the development samples."""
    return found[(manifest["split"] == "dev").to_numpy()].reset_index(drop=True)


def _logits(experiment: str, development: pd.DataFrame) -> pd.Series:
    """Return an experiment's logits of held-out samples, by their place among the development samples."""
    path = layout.predictions(experiment)
    if not path.exists():
        raise InputError(f"{path}: not found; run deepfake train {experiment}, or take it out of audit.experiments")
    found = tables.read(path, tables.PREDICTIONS)
    found = found[(found["subset"] == "held_out") & (found["condition"] == tables.STANDARD_CONDITION)]
    places = pd.Index(development["sample_id"]).get_indexer(pd.Index(found["sample_id"]))
    known = places >= 0
    folds = development["fold"].to_numpy()[places]
    if not len(found) or not (known & (folds == found["fold"])).all():
        raise InputError(f"{path}: not of the manifest's samples and folds; run deepfake train {experiment} again")
    return pd.Series(found["logit"].to_numpy(), index=places)


def _explain(logits: pd.Series, subject: Subject, scores: Floats, samples: Samples, settings: Params) -> dict[str, Any]:
    """Hold an experiment's logits against the joint probe of a subject and its features."""
    places = logits.index.to_numpy()
    columns = [column for family in subject.joint for column in subject.families[family]]
    return leakage.explain(
        logits.to_numpy(),
        subject.features.loc[places, columns],
        scores[places],
        samples.where(places),
        caliper=settings.audit.caliper,
        evaluation=settings.evaluation,
        seed=settings.shared.seed,
    )


def _write(name: str, judged: pd.DataFrame, runs: pd.DataFrame) -> None:
    """Write the table of probes, that of runs, and the metrics."""
    tables.write_csv(judged, layout.table(name))
    tables.write_csv(runs, layout.table(f"{name}_runs"))
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
    metrics = dict(zip(METRICS, figures, strict=True))
    tables.write_text(json.dumps(metrics, indent=2) + "\n", layout.study_metrics(name))
