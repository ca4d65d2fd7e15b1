"""Where real and fake images lie on the scale that models see, under each statistics that may normalise them."""

import json
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from deepfake import modalities, tables
from deepfake.config import RunConfig, ViewConfig, entries, resolve, resolve_view
from deepfake.config.params import Normalization, Params
from deepfake.config.studies import BEST, FineTuned, Trained
from deepfake.datasets import splits
from deepfake.evaluation.estimate import Estimate
from deepfake.evaluation.group_means import mean_over_groups
from deepfake.loading import views
from deepfake.progress import SILENT, Progress
from deepfake.project import paths

REAL_TRAINING = "real training images"
IMAGENET = "ImageNet"
_CHUNK = 64
_CHANNELS = [f"{figure}_{channel}" for figure in ("mean", "std") for channel in "rgb"]


@dataclass(frozen=True)
class Scales:
    """The statistics of one view, and where images lie under them.

    Args:
        view: the view that images are seen through.
        fraction: share of the training groups that the real training images are of.
        statistics: one row a statistics and fold: `statistics, fold, images` (measured; none of fixed ones), mean and
            standard deviation of each channel in [0, 1].
        zscores: one row a statistics and source: `label`, `samples`, `groups`, `z` (mean over images, pixels and
            channels) with its interval over groups, and `sd`, the standard deviation of all pixels.
        reals: the mean z-score of all real images under each statistics.
    """

    view: ViewConfig
    fraction: float
    statistics: pd.DataFrame
    zscores: pd.DataFrame
    reals: dict[str, Estimate]


def measure(settings: Params, dataset: str, *, threads: int, progress: Progress = SILENT) -> Scales | None:
    """Measure the held-out images of each fold under ImageNet's statistics, the weights' own, and the real images'.

    The folds, fraction and inner validation are those of the first run of phase 2 that is normalised by its real
    training images, else of its first run; the real training images are those that it is trained on.

    Args:
        settings: the checked params.yaml.
        dataset: it must have been split.
        threads: decoding threads, if pixels have to be decoded again.
        progress: told of the images decoded.

    Returns:
        None where the view of that run was not made of the data set, or there is no such run.

    Raises:
        InputError: the view is of other samples.
    """
    if (run := _run(settings)) is None:
        return None
    view = resolve_view(settings, run.view.view, dataset=dataset)
    if not paths().regions(dataset, view.view).exists():
        return None
    manifest = tables.read(paths().manifest(dataset), tables.MANIFEST)
    pixels = np.load(views.pixels(view, manifest, threads=threads, progress=progress), mmap_mode="r")
    means, variances = _moments(pixels)
    fixed = {IMAGENET: settings.imagenet, **_of_weights(settings)}
    statistics, parts = [], []
    for fold in range(splits.shape(manifest)[0]):
        subsets = splits.subsets(manifest, fold, fraction=run.fraction, val_ratio=run.val_ratio, seed=run.seed)
        reals = manifest.index.isin(subsets.index[subsets == "train"]) & (manifest["label"] == tables.REAL).to_numpy()
        own = modalities.load(view.modality).statistics(view, pixels, np.flatnonzero(reals))
        held_out = manifest.index.get_indexer(subsets.index[subsets == "held_out"])
        for name, scale in (fixed | {REAL_TRAINING: own}).items():
            images = int(reals.sum()) if name == REAL_TRAINING else None
            figures = dict(zip(_CHANNELS, (*scale.mean, *scale.std), strict=True))
            statistics.append({"statistics": name, "fold": fold, "images": images} | figures)
            z, squares = _zscores(means[held_out], variances[held_out], scale)
            rows = manifest.iloc[held_out][["label", "source", "group"]]
            parts.append(rows.assign(statistics=name, z=z, squares=squares))
    every = pd.concat(parts, ignore_index=True)
    order = [*fixed, REAL_TRAINING]
    scores = _summary(every, order, settings.evaluation.confidence)
    reals_only = every[every["label"] == tables.REAL]
    return Scales(
        view,
        run.fraction,
        pd.DataFrame(statistics).sort_values("statistics", key=lambda names: names.map(order.index), kind="stable"),
        scores,
        {name: mean_over_groups(rows["z"], rows["group"]) for name, rows in _each(reals_only, order)},
    )


def _run(settings: Params) -> RunConfig | None:
    """Return the run whose training images are measured, or None where phase 2 trains none on the study's data set."""
    runs = [
        resolve(settings, name)
        for name, entry in entries(settings).items()
        if entry.study == "phase2" and isinstance(entry.run, Trained) and not isinstance(entry.run, FineTuned)
        if BEST not in (entry.run.view, entry.run.augmentation)
    ]
    whole = [run for run in runs if run.dataset == settings.dataset and run.holdout is None]
    # the first of those that are normalised by their real training images, else the first
    return min(whole, key=lambda run: run.normalization is not None, default=None)


def _of_weights(settings: Params) -> dict[str, Normalization]:
    """Return the statistics of the weights that the preset's models start from; models of the same stand together."""
    models: dict[Normalization, list[str]] = {}
    for model in dict.fromkeys(role.model for role in settings.presets[settings.preset].roles.values()):
        if (path := paths().weights_facts(model)).exists():
            facts = json.loads(path.read_text(encoding="utf-8"))
            models.setdefault(Normalization(mean=facts["mean"], std=facts["std"]), []).append(model)
    models.pop(settings.imagenet, None)
    return {f"{', '.join(names)} (weights)": scale for scale, names in models.items()}


def _moments(pixels: NDArray[np.uint8]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return mean and variance of each image's channels in [0, 1], [n, 3] each."""
    shape = (len(pixels), 3)
    means, variances = np.empty(shape), np.empty(shape)
    for start in range(0, len(pixels), _CHUNK):
        chunk = pixels[start : start + _CHUNK].reshape(-1, pixels.shape[1] * pixels.shape[2], 3) / np.float64(255)
        means[start : start + _CHUNK], variances[start : start + _CHUNK] = chunk.mean(axis=1), chunk.var(axis=1)
    return means, variances


def _zscores(
    means: NDArray[np.float64], variances: NDArray[np.float64], scale: Normalization
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return each image's mean z-score and mean squared z-score, over pixels and channels."""
    apart = means - np.array(scale.mean)
    std = np.array(scale.std)
    return (apart / std).mean(axis=1), ((variances + apart**2) / std**2).mean(axis=1)


def _each(rows: pd.DataFrame, order: list[str]) -> list[tuple[str, pd.DataFrame]]:
    """Return the rows of each statistics, in order."""
    return [(name, rows[rows["statistics"] == name]) for name in order]


def _summary(every: pd.DataFrame, order: list[str], confidence: float) -> pd.DataFrame:
    """Return one row a statistics and source."""
    found: list[Mapping[str, object]] = []
    for name, rows in _each(every, order):
        for (label, source), part in rows.groupby(["label", "source"]):
            mean = mean_over_groups(part["z"], part["group"], confidence=confidence)
            sd = float(np.sqrt(part["squares"].mean() - mean.value**2))
            identity = {"statistics": name, "source": source, "label": label}
            sizes = {"samples": len(part), "groups": mean.n_groups}
            found.append(identity | sizes | {"z": mean.value, "low": mean.low, "high": mean.high, "sd": sd})
    return pd.DataFrame(found)
