"""Deletion curves of one model: is what the maps call hot what the model decides by?

Petsiuk et al. 2018, "RISE". The cells of a map are painted over with the image's mean colour, the hottest first, and
the probability of a fake is measured after each step. If the map is right it falls sooner than in random order.
"""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch

from deepfake import runtime, tables
from deepfake.config.params import Evaluation
from deepfake.evaluation import verdicts
from deepfake.evaluation.group_means import mean_over_groups
from deepfake.execution import Tell, run_jobs
from deepfake.progress import SILENT, Progress
from deepfake.project import paths
from deepfake.reports.findings import Finding, Verdict, tested
from deepfake.runs import store, trained
from deepfake.studies import comparison
from deepfake.studies.explain import heat, shown
from deepfake.studies.explain.cases import Case
from deepfake.studies.explain.heat import Wanted
from deepfake.tables import results as result_tables

IMAGES = 64
"""Fakes that are painted over, as many of each source."""
STEPS = 8
"""Steps from the whole image to one without any of its cells."""
RANDOM = 3
"""Random orders of each image's cells; an image's curves are averaged."""
ROPE = 0.02
"""A difference of areas up to this much is of no account."""
ORDERS = ("heat", "random", "reverse")
"""In which cells are painted over: the hottest first, in random order, the coldest first."""


_PLAIN = "Painting over raises the probability: to this model a plain patch looks fake, so the curves say little."


class _Job(NamedTuple):
    """Images of a fold that are painted over, with the heat of each."""

    wanted: Wanted
    maps: np.ndarray
    file: Path


def write(
    case: Case, maps: Mapping[int, np.ndarray], evaluation: Evaluation, progress: Progress = SILENT
) -> list[Finding]:
    """Make a run's deletion curves, write `explain_deletion` and `explain_deletion_area`, and return the finding.

    Args:
        case: the run.
        maps: its heat cell by cell, by row of the manifest; of these, fakes that it calls fake are painted over.
        evaluation: confidence of the intervals.
        progress: told of the images painted over.
    """
    images = chosen(case.verdicts, maps)
    curves = _curves(case, images, maps, progress)
    groups = images["group"].to_numpy()
    by_order = {"heat": curves[:, 0], "random": curves[:, 2:].mean(axis=1), "reverse": curves[:, 1]}
    _write_curves(case.name, by_order, groups, evaluation)
    areas = {order: np.trapezoid(curve, dx=1 / STEPS, axis=1) for order, curve in by_order.items()}
    question = f"Does deleting the hottest cells first lower the probability of a fake sooner ({case.title})?"
    rows = _write_areas(case.name, areas, groups, evaluation)
    if not len(images):
        note = "No fake that it predicts fake has heat."
        return [Finding(id="deletion", question=question, verdict="not_run", note=note)]
    note = _PLAIN if curves[:, 0, -1].mean() >= curves[:, 0, 0].mean() else ""
    words: dict[str, Verdict] = {"worse": "at_chance"}
    return [tested("deletion", question, rows["heat"], words, measure="Δ area under the curve", note=note)]


def chosen(verdicts: pd.DataFrame, maps: Mapping[int, np.ndarray]) -> pd.DataFrame:
    """Return the fakes that are called fake and have heat, up to `IMAGES`, as many of each source, by fold and row."""
    hot = [row in maps and maps[row].max() > 0 for row in verdicts["row"]]
    fakes = verdicts[(verdicts["label"] == tables.FAKE) & ~verdicts["wrong"] & np.array(hot, bool)]
    return shown.measured(fakes, IMAGES).sort_values(["fold", "row"]) if len(fakes) else fakes


def ranks(cells: np.ndarray, seed: int) -> np.ndarray:
    """Return when each cell is painted over, in each order: int [2 + RANDOM, r * c], from 0.

    Args:
        cells: float [r, c], the heat; among equals chance decides.
        seed: of that, and of the random orders.

    Returns:
        The hottest first, the coldest first, and the random orders.
    """
    flat, chance = cells.ravel(), np.random.default_rng(seed)
    ties = chance.permutation(len(flat))
    hottest = np.lexsort((ties, -flat))
    orders = [hottest, hottest[::-1], *(chance.permutation(len(flat)) for _ in range(RANDOM))]
    return np.stack([np.argsort(order) for order in orders])


def painted(image: torch.Tensor, rank: np.ndarray, cells: tuple[int, int]) -> torch.Tensor:
    """Return an image with more and more of its cells painted over in its mean colour.

    Args:
        image: float [3, h, w].
        rank: int [r * c], when each cell's turn is (`ranks`).
        cells: rows and columns of the map.

    Returns:
        Float [STEPS + 1, 3, h, w]: the image as it is first, all of it painted over last.
    """
    rows, columns = ((np.arange(side) * count) // side for side, count in zip(image.shape[1:], cells, strict=True))
    turn = rank.reshape(cells)[rows[:, None], columns[None]]
    gone = np.stack([turn < round(rank.size * step / STEPS) for step in range(STEPS + 1)])
    mean = image.mean(dim=(1, 2), keepdim=True)
    return torch.where(torch.from_numpy(gone)[:, None].to(image.device), mean, image)


def _curves(case: Case, images: pd.DataFrame, maps: Mapping[int, np.ndarray], progress: Progress) -> np.ndarray:
    """Return the probability of a fake after each step, float [n, 2 + RANDOM, STEPS + 1]; what is cached is read."""
    jobs = []
    for fold, part in images.groupby("fold"):
        rows = part["row"].to_numpy(np.int64).copy()  # what pandas hands out cannot be written
        wanted = Wanted(case.weights, int(str(fold)), case.file, rows)
        heats = np.stack([maps[row] for row in rows])
        digest = hashlib.sha256(heats.tobytes()).hexdigest()
        code = runtime.code_hash(["studies/explain/deletion.py"])
        key = store.key(heat.path_of(wanted).name, digest, code)
        jobs.append(_Job(wanted, heats, paths().heat / f"{key}.npz"))
    missing = [job for job in jobs if heat.read(job.file, len(job.maps)) is None]
    total, done = sum(len(job.maps) for job in missing), 0

    def on_news(count: int) -> None:
        nonlocal done
        done += count
        progress.advance("painting over", done, total)

    run_jobs(_compute, missing, on_news=on_news, remedy="let the program use fewer cores")
    found = [heat.read(job.file, len(job.maps)) for job in jobs]
    known = [curves for curves in found if curves is not None]
    return np.concatenate(known) if known else np.zeros((0, 2 + RANDOM, STEPS + 1))


def _compute(job: _Job, tell: Tell[int]) -> None:
    """Paint over the images of a fold, and put the probabilities into the cache."""
    runtime.one_thread()
    runtime.keep_memory()
    device, wanted = runtime.device(), job.wanted
    model = trained.model_of(wanted.run, wanted.fold, device)
    images = np.load(wanted.file, mmap_mode="r")
    loader = trained.loader_of(wanted.run, wanted.fold, images, wanted.rows, device)
    found = []
    with torch.inference_mode():
        for batch, cells in zip(loader.batches(wanted.rows, 1), job.maps, strict=True):
            row = int(batch.index[0])
            found.append([])
            for rank in ranks(cells, runtime.derived_seed("deletion", row)):
                steps = painted(batch.images[0], rank, (cells.shape[0], cells.shape[1]))
                steps = steps.contiguous(memory_format=torch.channels_last)
                found[-1].append(model(steps)[:, 0].sigmoid().double().cpu().numpy())
    heat.write(job.file, np.array(found))
    tell(len(job.maps))


def _write_curves(name: str, by_order: Mapping[str, np.ndarray], groups: np.ndarray, evaluation: Evaluation) -> None:
    """Write the mean probability after each step."""
    rows = []
    for order, curve in by_order.items():
        for step, values in enumerate(curve.T) if len(curve) else ():
            mean = mean_over_groups(values, groups, confidence=evaluation.confidence)
            size = {"images": mean.n_samples, "groups": mean.n_groups}
            figures = {"probability": mean.value, "low": mean.low, "high": mean.high}
            rows.append({"experiment": name, "order": order, "deleted": step / STEPS} | size | figures)
    columns = list(result_tables.RESULTS["explain_deletion"].columns)
    result_tables.write(pd.DataFrame(rows, columns=columns), "explain_deletion")


def _write_areas(
    name: str, areas: Mapping[str, np.ndarray], groups: np.ndarray, evaluation: Evaluation
) -> dict[str, dict[str, Any]]:
    """Write the areas under the curves, and by how much those of random orders are larger; return the rows by order."""
    rows: dict[str, dict[str, Any]] = {}
    if len(groups):
        orders = [order for order in ORDERS if order != "random"]
        gained = [
            mean_over_groups(areas["random"] - areas[order], groups, confidence=evaluation.confidence)
            for order in orders
        ]
        judged = dict(zip(orders, verdicts.compare(gained, ROPE, evaluation.confidence), strict=True))
        for order in ORDERS:
            area = mean_over_groups(areas[order], groups, confidence=evaluation.confidence)
            rows[order] = {"experiment": name, "order": order, "area": area.value}
            rows[order] |= {"area_low": area.low, "area_high": area.high}
            if order in judged:
                rows[order] |= comparison.told(judged[order], len(judged), ROPE)
    columns = list(result_tables.RESULTS["explain_deletion_area"].columns)
    frame = pd.DataFrame(list(rows.values()), columns=columns)
    if len(frame):
        size = {"samples": len(groups), "groups": len(np.unique(groups)), "repeats": 1}
        frame = frame.fillna(size)
    result_tables.write(frame, "explain_deletion_area")
    return rows
