"""The study of the data before any training: its tables and findings, which the page and the notebooks show."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from deepfake.config.params import Params
from deepfake.progress import SILENT, Progress
from deepfake.reports import findings as stored
from deepfake.reports.findings import Findings
from deepfake.studies.eda import (
    differences,
    distributions,
    findings,
    framing,
    normalization,
    quality,
    samples,
    splitting,
)
from deepfake.studies.eda.normalization import Scales
from deepfake.tables import results as result_tables

NAME = "eda"


@dataclass(frozen=True)
class Outcome:
    """What the study found out.

    Args:
        name: what its tables, figures and page begin with.
        tables: each table by its name behind that.
        scales: what normalisation does; None where the view of the run that it is measured by was not made.
        found: the findings.
    """

    name: str
    tables: Mapping[str, pd.DataFrame]
    scales: Scales | None
    found: Findings


def datasets(settings: Params) -> list[str]:
    """Return the data sets in use: the study's own, and those on which detectors are tested."""
    return list(dict.fromkeys([settings.dataset, *settings.studies.generalization.datasets]))


def run(
    settings: Params, names: Sequence[str], *, name: str = NAME, threads: int, progress: Progress = SILENT
) -> Outcome:
    """Examine data sets, and write all tables and the findings.

    Args:
        settings: the checked params.yaml.
        names: the data sets, the one that matters most first; each must have been ingested, split and measured.
        name: what tables and findings begin with.
        threads: decoding threads, if the pixels of a view have to be decoded again.
        progress: told of each step.

    Raises:
        InputError: a data set is not ready; nothing has been written then.
    """
    data = [samples.read(each) for each in names]
    preset = settings.presets[settings.preset]
    progress.say("verifying the splits")
    splits = splitting.verify(data, preset.val_ratio, settings.shared.seed)
    checks = quality.checks(data, splits, max(preset.resolution.low, preset.resolution.high))
    progress.say("comparing real and fake images")
    judged = differences.judge(data, settings)
    scales = normalization.measure(settings, names[0], threads=threads, progress=progress)
    framed = pd.concat([framing.views(each, settings) for each in data], ignore_index=True)
    confidence = settings.evaluation.confidence
    written = {
        "summary": distributions.summary(data),
        "sources": distributions.sources(data),
        "sizes": distributions.distributions(data, distributions.SIZES),
        "colours": distributions.distributions(data, distributions.COLOURS),
        "differences": judged,
        "quality": checks,
        "splits": splits,
        "faces": distributions.faces(data, confidence),
        "views": framed,
    }
    if scales is not None:
        written |= {"normalization": scales.statistics, "zscores": scales.zscores}
    found = findings.of(judged, checks, splits, scales, settings.evaluation)
    for part, rows in written.items():
        result_tables.write(rows, f"{name}_{part}")
    return Outcome(name, written, scales, stored.write(name, found))
