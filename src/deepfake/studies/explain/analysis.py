"""Why detectors decide as they do: where they look, what they get wrong, and how sure they are."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from deepfake import runtime, tables
from deepfake.config.params import Evaluation
from deepfake.errors import InputError
from deepfake.evaluation import attention, hard_examples
from deepfake.execution import Tell, run_jobs
from deepfake.loading import views
from deepfake.loading.batches import Loader
from deepfake.loading.pixels import place
from deepfake.progress import SILENT, Progress
from deepfake.project import paths
from deepfake.reports import findings, image_grid
from deepfake.runs import trained
from deepfake.runs.trained import Trained
from deepfake.studies.explain import deep, gradcam, hard
from deepfake.studies.explain import findings as conclusions
from deepfake.tables import results as result_tables

NAME = "explain"
SHOWN = 16
"""Images in the figure of heatmaps, about as many of each source and verdict."""
HEAT = 480
"""Images behind the figures on heat, as many of each source."""
_BATCH = 32


@dataclass(frozen=True)
class Case:
    """A finished experiment and what is needed to explain it.

    Args:
        run: the experiment.
        verdicts: `hard_examples.judged`, with `row`, the sample's place in the manifest.
        images: uint8 [n, s, s, 3] as its view shows them, mapped from `file`.
        file: the `.npy` file.
    """

    run: Trained
    verdicts: pd.DataFrame
    images: np.ndarray
    file: Path


@dataclass(frozen=True)
class HeatJob:
    """Images of one fold to be explained by the model that never saw them; rows are those of the manifest, int [n]."""

    run: Trained
    fold: int
    file: Path
    rows: np.ndarray


@dataclass(frozen=True)
class Heat:
    """What came of a job.

    Args:
        job: the images.
        maps: their heatmaps, float32 [n, s, s].
        cells: side of the map that they are enlarged from.
        refused: why there are none.
    """

    job: HeatJob
    maps: np.ndarray
    cells: int = 0
    refused: str = ""


@dataclass
class Explained:
    """Each experiment's heatmaps by row of the manifest, the cells of their maps, and who has none and why."""

    maps: dict[str, dict[int, np.ndarray]]
    cells: dict[str, int]
    refused: dict[str, str]


def run(experiments: Sequence[str], evaluation: Evaluation, *, progress: Progress = SILENT) -> None:
    """Explain finished experiments: write four tables and the findings, and draw two figures.

    The tables: `explain_gradcam` (`attention.summary`), `explain_hard_examples`, `explain_confidence` and
    `explain_confident_errors`, each with the column `experiment`. The figures, `gradcam` and
    `hard_examples`, show photographs. A backbone that Grad-CAM cannot explain has no heat, and a finding says why.

    Args:
        experiments: names of finished experiments of one data set; the first one's verdicts choose what is shown.
        evaluation: confidence of the intervals.
        progress: told what is about to be decoded, of the images decoded and explained, and who cannot be explained.

    Raises:
        InputError: an experiment has not been trained.
    """
    cases = {name: _case(name, progress) for name in experiments}
    first = cases[experiments[0]]
    held_out = [set(case.verdicts["sample_id"]) for case in cases.values()]
    common = first.verdicts[first.verdicts["sample_id"].isin(set.intersection(*held_out))]
    shown = _shown(common)
    measured = {name: pd.concat([_measured(case.verdicts), shown]) for name, case in cases.items()}
    wanted = {name: set(rows["row"]) for name, rows in measured.items()}
    heat = _heat(cases, wanted, progress)
    confidence = evaluation.confidence
    looks = {name: _looks(case, heat.maps[name]) for name, case in cases.items()}
    summaries = {name: attention.summary(look, confidence) for name, look in looks.items()}
    _write("gradcam", {name: rows.assign(cells=heat.cells.get(name, 0)) for name, rows in summaries.items()})
    _write("confidence", {name: hard_examples.confidence(case.verdicts) for name, case in cases.items()})
    errors = {name: hard_examples.confident_errors(case.verdicts, confidence) for name, case in cases.items()}
    _write("confident_errors", errors)
    excess = {name: attention.on_faces(look, confidence) for name, look in looks.items()}
    found = conclusions.of(excess, evaluation, heat.refused)
    found += deep.run(experiments, evaluation, progress) + hard.run(experiments, evaluation, progress)
    findings.write(NAME, found)
    _draw_heat({name: case for name, case in cases.items() if name not in heat.refused}, first, shown, heat.maps)


def _write(name: str, frames: dict[str, pd.DataFrame]) -> None:
    """Write the experiments' tables as one."""
    joined = pd.concat(frames, names=["experiment"]).reset_index("experiment")
    result_tables.write(joined, f"explain_{name}")


def _case(name: str, progress: Progress) -> Case:
    """Read a finished experiment."""
    known = trained.read(name)
    manifest = tables.read(paths().manifest(known.config.dataset), tables.MANIFEST)
    threads, cuda = known.config.num_workers, runtime.has_gpu()
    file = views.pixels(known.config.view, manifest, threads=threads, cuda=cuda, progress=progress)
    verdicts = hard_examples.judged(trained.predicted(name, manifest))
    return Case(known, verdicts, np.load(file, mmap_mode="r"), file)


def _drawn(verdicts: pd.DataFrame) -> pd.DataFrame:
    """Return samples in an order that depends on nothing but their names, so that nobody has picked them."""
    order = [runtime.derived_seed(sample) for sample in verdicts["sample_id"]]
    return verdicts.assign(order=order).sort_values(["order", "sample_id"])


def _shown(verdicts: pd.DataFrame) -> pd.DataFrame:
    """Return the images of the figure: of each source some that were judged right and some wrong."""
    cells = _drawn(verdicts).groupby(["label", "source", "wrong"], sort=True)
    each = max(1, SHOWN // (2 * verdicts["source"].nunique()))
    return cells.head(each).sort_values(["label", "source", "wrong", "order"])


def _measured(verdicts: pd.DataFrame) -> pd.DataFrame:
    """Return the images behind the figures on heat."""
    return _drawn(verdicts).groupby("source").head(max(1, HEAT // verdicts["source"].nunique()))


def _heat(cases: dict[str, Case], wanted: dict[str, set[int]], progress: Progress) -> Explained:
    """Return the heatmaps of the rows of the manifest that are wanted of each experiment."""
    jobs = [
        HeatJob(case.run, int(str(fold)), case.file, np.sort(part.loc[part["row"].isin(wanted[name]), "row"]))
        for name, case in cases.items()
        for fold, part in case.verdicts.groupby("fold")
    ]
    jobs = [job for job in jobs if len(job.rows)]
    found = Explained({name: {} for name in cases}, {}, {})
    done, total = 0, sum(len(job.rows) for job in jobs)

    def on_news(news: Heat) -> None:
        nonlocal done
        name = news.job.run.config.experiment
        if news.refused:
            found.refused[name] = news.refused
        else:
            found.maps[name].update(zip(news.job.rows.tolist(), news.maps, strict=True))
            found.cells[name] = news.cells
        done += len(news.job.rows)
        progress.advance("explaining", done, total)

    run_jobs(look, jobs, on_news=on_news, remedy="let the program use fewer cores")
    for name in cases:
        if name in found.refused:
            progress.say(f"{name}: no heatmaps: {found.refused[name]}")
    return found


def look(job: HeatJob, tell: Tell[Heat]) -> None:
    """Explain images of a fold."""
    runtime.one_thread()
    runtime.keep_memory()
    device = runtime.device()
    config = job.run.config
    model = trained.model_of(job.run, job.fold, device)
    try:
        layer, cells = gradcam.feature_layer(model, config.resolution)
    except InputError as error:
        tell(Heat(job, np.zeros((0, 0, 0)), refused=str(error)))
        return
    images = np.load(job.file, mmap_mode="r")
    loader = Loader(place(images, job.rows, device), np.zeros(len(images)), job.run.scales[job.fold])
    maps = [gradcam.heatmaps(model, layer, batch.images).cpu() for batch in loader.batches(job.rows, _BATCH)]
    tell(Heat(job, torch.cat(maps).numpy(), cells))


def _looks(case: Case, maps: dict[int, np.ndarray]) -> pd.DataFrame:
    """Return how much of an experiment's heat lies on the face of each image (`attention.shares`) that has one."""
    config = case.run.config
    faces = tables.read(paths().faces(config.dataset), tables.FACES)
    regions = tables.read(paths().regions(config.dataset, config.view.view), tables.REGIONS)
    chosen = _measured(case.verdicts)
    chosen = chosen[chosen["row"].isin(maps)]
    # where no view in use cuts out faces, none were looked for
    faces = faces.set_index("sample_id").reindex(chosen["sample_id"]).fillna(0)
    regions = regions.set_index("sample_id").loc[chosen["sample_id"]]
    boxes = attention.boxes(faces, regions, config.resolution)
    both = [attention.shares(maps[row], box) for row, box in zip(chosen["row"], boxes, strict=True)]
    found = chosen.assign(heat=[heat for heat, _ in both], area=[area for _, area in both])
    return found[faces["faces"].to_numpy() > 0]


def _draw_heat(
    cases: dict[str, Case], first: Case, shown: pd.DataFrame, maps: dict[str, dict[int, np.ndarray]]
) -> None:
    """Draw the chosen images as the first sees them, a row each, and under each experiment's heat in a column each."""
    images, captions, titles = [], [], []
    by_sample = {name: case.verdicts.set_index("sample_id") for name, case in cases.items()}
    for _, sample in shown.iterrows():
        row = int(sample["row"])
        pictures, texts = [first.images[row]], [_shortened(sample["sample_id"])]
        for name, case in cases.items():
            verdict = by_sample[name].loc[sample["sample_id"]]
            pictures.append(image_grid.overlay(case.images[row], maps[name][row]))
            texts.append(f"{'wrong' if verdict['wrong'] else 'right'}, p(fake) {verdict['probability']:.2f}")
        images.append(pictures)
        captions.append(texts)
        titles.append(f"{sample['source']}\n({'fake' if sample['label'] == tables.FAKE else 'real'})")
    columns = ["image", *cases]
    image_grid.draw(images, captions, paths().photograph("gradcam"), columns=columns, rows=titles)


def _shortened(name: str) -> str:
    """Return a name that fits under an image."""
    return name if len(name) <= 22 else f"{name[:21]}…"
