"""How long the full study would take on DeepFakeFace: its work counted from params.yaml, over rates measured here."""

import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch

from deepfake import config, models
from deepfake.bench.training import loops, step
from deepfake.bench.training.material import Setting
from deepfake.bench.training.rates import Budget, Files
from deepfake.config import Decision, RunConfig
from deepfake.config.params import Params
from deepfake.config.runs import PHASES
from deepfake.config.studies import Reevaluated, Trained
from deepfake.errors import InputError
from deepfake.loading.batches import AugmentingLoader, Loader
from deepfake.loading.pixels import place
from deepfake.training.predict import predict

REALS, FAKES, SOURCES = 30_000, 90_000, 3
"""Images of DeepFakeFace, and the sources of its fakes."""
_DATASET = "dff"
_STUDIES = ("custom", *PHASES, "imbalance", "generalization")
"""The studies on images; sound and clips have other data."""
_DEAREST = Decision(resolution="high", face_crop=True, augmentation="full")
"""What phase 2 may decide that makes phases 3 and 4 take longest."""
_BACKEND = {"cpu": "opencv", "cuda": "dali"}


class Rates(NamedTuple):
    """Images a second.

    Args:
        train: by model and side, without augmentation.
        predict: by model and side.
        augment: by policy and side, of the loader alone.
    """

    train: dict[tuple[str, int], float]
    predict: dict[tuple[str, int], float]
    augment: dict[tuple[str, int], float]


class _Work(NamedTuple):
    """The columns of `work` that take time."""

    model: str
    size: int
    augmentation: str
    trained: float
    predicted: float


def work(settings: Params) -> pd.DataFrame:
    """Count what the runs of preset `full` do on DeepFakeFace.

    Of the candidates of phase 4 all stand here; `hours` counts the dearest. Runs of equal configuration count once, as
    the run store trains them once; runs on the sample's other data sets do not count.

    Returns:
        One row a run: `study`, `run`, `model`, `size`, `augmentation` (the policy's name, or ""), `fraction`,
        `batch`, and images `trained` and `predicted`, over all folds and epochs.
    """
    full = settings.model_copy(update={"preset": "full", "dataset": _DATASET})
    preset = full.presets["full"]
    policies = {full.augmentations[name]: name for name in full.augmentations}
    rows, seen = [], set()
    for name, (study, run) in config.entries(full).items():
        if study not in _STUDIES:
            continue
        trained = run.of if isinstance(run, Reevaluated) else name
        if not isinstance(config.entries(full)[trained].run, Trained):
            continue  # an ensemble joins what others predict
        resolved = config.resolve(full, trained, _DEAREST)
        if resolved.dataset not in (_DATASET, "union"):
            continue
        parts = _parts(resolved, preset.test_ratio)
        size, epochs = resolved.resolution, resolved.epochs
        predicted = parts["train"] + parts["validation"] + parts["held_out"]
        if isinstance(run, Reevaluated):
            size, epochs = config.resolve_view(full, run.view, run.view, _DATASET).size, 0
        else:
            key = resolved.model_dump_json(exclude={"experiment", "study"})
            if key in seen:
                continue
            seen.add(key)
        rows.append(
            {
                "study": study,
                "run": name,
                "model": resolved.model,
                "size": size,
                "augmentation": policies[resolved.augmentation] if resolved.augmentation and epochs else "",
                "fraction": resolved.fraction,
                "batch": resolved.batch_size,
                "trained": resolved.trainings * epochs * parts["train"],
                "predicted": resolved.trainings * (epochs * parts["validation"] + predicted),
            }
        )
    return pd.DataFrame(rows)


def _parts(run: RunConfig, test_ratio: float) -> dict[str, float]:
    """Return the images of each part of a fold (`splits.subsets`)."""
    reals = REALS if run.class_ratio is None else FAKES / run.class_ratio
    development = 1 - test_ratio
    held_out = development / run.folds
    training = (development - held_out) * run.fraction
    fakes = FAKES * (1 - 1 / SOURCES) if run.holdout else FAKES
    return {
        "train": (reals + fakes) * training * (1 - run.val_ratio),
        "validation": (reals + fakes) * training * run.val_ratio,
        "held_out": (reals + FAKES) * held_out,
    }


def measure(
    settings: Params,
    counted: pd.DataFrame,
    known: dict[tuple[str, int], float],
    files: Files,
    device: torch.device,
    budget: Budget,
) -> Iterator[tuple[str, Any, float]]:
    """Measure the rates that the work needs, each told as it comes.

    Args:
        settings: gives the policies of augmentation.
        counted: `work`.
        known: rates of training that have been measured, by model and side.
        files: what is trained on.
        device: where.
        budget: of turns; here one turn each.

    Yields:
        The field of `Rates`, its key and the rate.
    """
    yield from (("train", key, rate) for key, rate in known.items())
    for (size, model), part in counted.groupby(["size", "model"]):
        setting = Setting(str(model), int(str(size)), int(part["batch"].max()))
        batches = max(2, min(budget.files, budget.most) // setting.batch // 4)
        sample = files.material(setting.size, batches * setting.batch)
        key = (setting.model, setting.size)
        if key not in known and part["trained"].any():
            turn = loops.ours(settings, setting, sample, device, "auto")
            yield "train", key, batches * setting.batch / turn(batches)
        store, view = place(sample.images, sample.rows, device), _view(settings, setting, device)
        loader = Loader(store, sample.labels, view, settings.imagenet)
        detector = models.create(*key).to(device, memory_format=torch.channels_last)  # pyright: ignore
        yield "predict", key, _rate(partial(predict, detector, loader), sample.rows)
    augmented = counted[counted["augmentation"] != ""]
    for (policy, size), part in augmented.groupby(["augmentation", "size"]):
        setting = Setting("", int(str(size)), int(part["batch"].max()))
        try:
            loader = _augmenting(settings, setting, str(policy), files, device)
        except InputError:  # its backend is not installed
            continue
        spend = partial(_drain, loader, setting.batch)
        yield "augment", (str(policy), setting.size), _rate(spend, np.arange(len(files.paths)))


def _drain(loader: Loader, batch: int, rows: np.ndarray) -> None:
    for _ in loader.training(rows, batch, 0):
        pass


def _view(settings: Params, setting: Setting, device: torch.device) -> config.ViewConfig:
    view = loops.run_config(settings, setting, 1).view
    return view.model_copy(update={"loader": _BACKEND[device.type]})


def _augmenting(
    settings: Params, setting: Setting, policy: str, files: Files, device: torch.device
) -> AugmentingLoader:
    """Return a loader of augmented images."""
    side = round(setting.size * settings.cache.oversampling)
    rows = np.arange(len(files.paths))
    store = place(files.images(side), rows, device)
    return AugmentingLoader(
        *(store, store, rows % 2, _view(settings, setting, device), settings.imagenet, settings.augmentations[policy]),
        side=side,
        seed=0,
        batch_size=setting.batch,
    )


def _rate(spend: Callable[[np.ndarray], object], rows: np.ndarray) -> float:
    """Return images a second of something that takes rows, after a first try."""
    spend(rows[: max(len(rows) // 2, 2)])
    step.synchronize()
    start = time.perf_counter()
    spend(rows)
    step.synchronize()
    return len(rows) / (time.perf_counter() - start)


def hours(counted: pd.DataFrame, rates: Rates, top: int) -> pd.DataFrame:
    """Return the projected hours of each study, one fold after the other, and their sum.

    A training image takes the time of its step and, where it is augmented, that of its augmentation as well: nothing is
    taken to overlap. Early stopping is not counted.

    Args:
        counted: `work`.
        rates: all that it needs; a policy that is missing costs nothing.
        top: how many candidates phase 4 goes on with; the dearest of each share are counted.
    """
    seconds: list[float] = [
        row.trained * (1 / rates.train[row.model, row.size] if row.trained else 0)
        + row.trained / rates.augment.get((row.augmentation, row.size), np.inf)
        + row.predicted / rates.predict[row.model, row.size]
        for row in map(_Work._make, counted[list(_Work._fields)].to_numpy().tolist())
    ]
    frame = counted.assign(hours=np.array(seconds) / 3600)
    last = frame["study"] == "phase4"
    kept = frame[last].sort_values("hours", ascending=False).groupby("fraction").head(top)
    frame = pd.concat([frame[~last], kept])
    columns = ["trained", "predicted", "hours"]
    table = frame.groupby("study", sort=False)[columns].sum()
    table.insert(0, "runs", frame.groupby("study", sort=False).size())
    table.loc["all"] = table.sum()
    return table.reset_index()
