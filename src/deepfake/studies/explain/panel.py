"""The runs whose models are set side by side: those of phases 1, 3 and 4, beside the ones that are explained."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from deepfake import runtime, tables
from deepfake.config import config_of, facts_of, read_final
from deepfake.evaluation import hard_examples
from deepfake.loading import views
from deepfake.progress import SILENT, Progress
from deepfake.project import paths
from deepfake.runs import trained
from deepfake.runs.trained import Trained
from deepfake.studies import results
from deepfake.tables import results as result_tables

_PHASES = ("phase1", "phase3", "phase4a")
"""The comparisons of models; phase 2 varies what a model is shown."""


@dataclass(frozen=True)
class Model:
    """A finished run, its verdicts on what it held out, and the images as it sees them.

    Args:
        run: the experiment.
        title: what pages call its model.
        verdicts: `hard_examples.judged`, with `row`, the sample's place in the manifest.
        file: `.npy` of uint8 [n, s, s, 3], in the manifest's order.
    """

    run: Trained
    title: str
    verdicts: pd.DataFrame
    file: Path

    @property
    def name(self) -> str:
        """Return the run's name."""
        return self.run.config.experiment

    @property
    def images(self) -> np.ndarray:
        """Return the images, mapped from the file."""
        return np.load(self.file, mmap_mode="r")


def names(experiments: Sequence[str]) -> list[str]:
    """Return the runs of the phases that compare models, then those explained that are none of them.

    Runs of another data set, or that are not there, are left out; so are tables that have not been written.
    """
    known = [name for phase in _PHASES if (rows := _rows(phase)) is not None for name in rows["experiment"]]
    dataset = config_of(experiments[0]).dataset
    there = [name for name in known if paths().predictions(name).exists() and config_of(name).dataset == dataset]
    return list(dict.fromkeys([*there, *experiments]))


def pair(experiments: Sequence[str]) -> list[str]:
    """Return the two runs whose features are looked at: the final model, and the baseline of phase 1.

    Where the final model is not among those explained, the first of these stands for it.
    """
    final = paths().final.exists() and read_final()
    first = str(final) if final in experiments else experiments[0]
    tests = result_tables.read("phase1_tests") if paths().table("phase1_tests").exists() else None
    known = [] if tests is None else [name for name in tests["baseline"] if name in names(experiments)]
    return list(dict.fromkeys([first, *known[:1]]))


def read(experiments: Iterable[str], progress: Progress = SILENT) -> dict[str, Model]:
    """Open finished runs.

    Raises:
        InputError: a run has not been trained.
    """
    return {name: _read(name, progress) for name in experiments}


def _read(name: str, progress: Progress) -> Model:
    run = trained.read(name)
    manifest = tables.read(paths().manifest(run.config.dataset), tables.MANIFEST)
    threads, cuda = run.config.num_workers, runtime.has_gpu()
    file = views.pixels(run.config.view, manifest, threads=threads, cuda=cuda, progress=progress)
    return Model(run, results.title(facts_of(name)), verdicts(name, manifest), file)


def verdicts(name: str, manifest: pd.DataFrame) -> pd.DataFrame:
    """Return `hard_examples.judged` of a run, with `row`, the sample's place in the manifest."""
    return hard_examples.judged(trained.predicted(name, manifest))


def labels(experiments: Iterable[str]) -> dict[str, str]:
    """Return what findings call each run: by its model, where that is the only one of its kind."""
    titles = {name: results.title(facts_of(name)) for name in experiments}
    return {name: title if list(titles.values()).count(title) == 1 else name for name, title in titles.items()}


def _rows(phase: str) -> pd.DataFrame | None:
    table = f"{phase}_experiments"
    return result_tables.read(table) if paths().table(table).exists() else None
