"""Finished runs as they are explained: their verdicts on what they held out, and the images as they see them."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from deepfake import runtime, tables
from deepfake.config import RunConfig, ViewConfig, config_of, facts_of
from deepfake.evaluation import attention, hard_examples
from deepfake.loading import views
from deepfake.progress import SILENT, Progress
from deepfake.project import paths
from deepfake.runs import trained
from deepfake.runs.trained import Trained
from deepfake.studies import results


@dataclass(frozen=True)
class Case:
    """A finished run and what is needed to explain it.

    Args:
        name: of the run.
        title: what tables and findings call its model.
        weights: the run whose checkpoints these are: itself, unless it re-evaluates another one.
        view: what it sees of images.
        verdicts: `hard_examples.judged`, with `row`, the sample's place in the manifest.
        images: uint8 [n, s, s, 3] as its view shows them, mapped from `file`.
        file: the `.npy` file.
    """

    name: str
    title: str
    weights: Trained
    view: ViewConfig
    verdicts: pd.DataFrame
    images: np.ndarray
    file: Path

    @property
    def config(self) -> RunConfig:
        """Return the configuration that its weights were trained with."""
        return self.weights.config


def read(experiments: Iterable[str], progress: Progress = SILENT) -> dict[str, Case]:
    """Read finished runs; those that re-evaluate another one have its weights and a view of their own.

    Raises:
        InputError: a run has not been trained.
    """
    return {name: _read(name, progress) for name in experiments}


def _read(name: str, progress: Progress) -> Case:
    config, facts = config_of(name), facts_of(name)
    manifest = tables.read(paths().manifest(config.dataset), tables.MANIFEST)
    threads, cuda = config.num_workers, runtime.has_gpu()
    file = views.pixels(config.view, manifest, threads=threads, cuda=cuda, progress=progress)
    return Case(
        name,
        results.title(facts),
        trained.read(facts.get("reevaluates", name)),
        config.view,
        hard_examples.judged(trained.predicted(name, manifest)),
        np.load(file, mmap_mode="r"),
        file,
    )


def labels(cases: dict[str, Case]) -> dict[str, str]:
    """Return what findings call each run: by its model, where that is the only one of its kind."""
    titles = [case.title for case in cases.values()]
    return {
        name: case.title if titles.count(case.title) == 1 else f"{case.title} ({name})" for name, case in cases.items()
    }


def looks(case: Case, rows: pd.DataFrame, maps: np.ndarray) -> pd.DataFrame:
    """Return where in each image that has a face a run looks.

    Args:
        case: the run.
        rows: some of its verdicts.
        maps: float [n, r, c], the heat of these images, cell by cell.

    Returns:
        The verdicts on images with a face, and `attention.by_region`.
    """
    faces = tables.read(paths().faces(case.view.dataset), tables.FACES)
    regions = tables.read(paths().regions(case.view.dataset, case.view.view), tables.REGIONS)
    # where no view in use cuts out faces, none were looked for
    faces = faces.set_index("sample_id").reindex(rows["sample_id"]).fillna(0)
    regions = regions.set_index("sample_id").loc[rows["sample_id"]]
    size = case.view.size
    heat = attention.enlarged(maps, size)
    boxes = attention.boxes(faces, regions, size), attention.rings(faces, regions, size)
    found = rows.assign(**attention.by_region(heat, *boxes))
    return found[faces["faces"].to_numpy() > 0]
