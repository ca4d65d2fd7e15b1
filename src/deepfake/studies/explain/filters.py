"""What a network's first layer looks for, whether training changed it, and what its layers make of an image."""

from collections.abc import Iterable
from typing import NamedTuple

import cv2
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch
from torch import nn

from deepfake import models, runtime, tables
from deepfake.config import RunConfig
from deepfake.models import LinearProbe, SimpleCNN, grids
from deepfake.project import paths
from deepfake.reports import image_grid
from deepfake.runs import trained
from deepfake.studies.explain import deep_figures
from deepfake.studies.explain.cases import Case
from deepfake.tables import results as result_tables

HIGH = 0.25
"""Spatial frequency from which on energy counts as high, in cycles a pixel: half of what the pixels can show."""
NOISE = 1 - np.pi * HIGH**2
"""Share of the energy of white noise above it: of the square of all frequencies, what lies outside a circle."""
_GRID = 64
"""Side of the grid on which spectra are taken: kernels are padded to it."""
_DEPTHS = 3
"""Layers of each network of which maps are shown: an early one, a middle one, the last."""


class Filters(NamedTuple):
    """A network's first-layer filters, float [n, 3, h, w], as training found and left them in each fold."""

    name: str
    title: str
    before: list[np.ndarray]
    after: list[np.ndarray]

    @property
    def change(self) -> float:
        """Return how far training moved them, over their norm before: mean over folds."""
        pairs = zip(self.before, self.after, strict=True)
        return float(np.mean([np.linalg.norm(after - before) / np.linalg.norm(before) for before, after in pairs]))


def run(opened: Iterable[Case]) -> None:
    """Write the table `explain_filters` and its figure: a network a row, of runs of the same kind the first.

    A run whose network does not begin with a convolution of three channels has no row.
    """
    kinds: dict[tuple[object, ...], Case] = {}
    for model in opened:
        config = model.config
        kinds.setdefault((config.model, config.train, config.pretrained, config.start_from), model)
    found = [each for model in kinds.values() if (each := _filters(model)) is not None]
    rows = [
        {
            "experiment": each.name,
            "network": each.title,
            "filters": len(each.after[0]),
            "size": each.after[0].shape[-1],
            "folds": len(each.after),
            "change": each.change,
            "high_before": np.mean([high_frequency(one) for one in each.before]),
            "high_after": np.mean([high_frequency(one) for one in each.after]),
        }
        for each in found
    ]
    columns = ["experiment", "network", "filters", "size", "folds", "change", "high_before", "high_after"]
    result_tables.write(pd.DataFrame(rows, columns=columns), "explain_filters")
    if found:
        deep_figures.filters([(each.title, each.before[0], each.after[0]) for each in found])


def high_frequency(kernels: np.ndarray) -> float:
    """Return the mean share of the filters' energy above `HIGH`, float [n, c, h, w]; of white noise it is `NOISE`.

    A frequency's distance from 0 counts, so diagonal ones lie beyond those of rows and columns.
    """
    spectra = np.abs(np.fft.fft2(kernels, s=(_GRID, _GRID))) ** 2
    across, down = np.meshgrid(np.fft.fftfreq(_GRID), np.fft.fftfreq(_GRID))
    energy = spectra.sum(axis=1)
    total = energy.sum(axis=(1, 2))
    alive = total > 0
    high = energy[:, np.hypot(across, down) > HIGH].sum(axis=1)
    return float((high[alive] / total[alive]).mean()) if alive.any() else float("nan")


def first_layer(model: nn.Module) -> nn.Conv2d | None:
    """Return the first convolution of a network, if it sees an image's three channels."""
    layer = next((module for module in model.modules() if isinstance(module, nn.Conv2d)), None)
    return layer if layer is not None and layer.in_channels == 3 else None


def _filters(model: Case) -> Filters | None:
    config, device = model.config, torch.device("cpu")
    # a frozen trunk is the same in all folds
    folds = range(1 if config.train == "head" else config.folds)
    after = [_weights(trained.model_of(model.weights, fold, device)) for fold in folds]
    before = [_weights(_untrained(config, fold)) for fold in folds]
    if after[0] is None:
        return None
    known = [[each for each in one if each is not None] for one in (before, after)]
    return Filters(model.name, model.title, *known)


def _untrained(config: RunConfig, fold: int) -> nn.Module:
    """Return a fold's network as its training found it: by the same seed, or with the weights that it started from."""
    if config.start_from is not None:
        return trained.model_of(trained.read(config.start_from), fold, torch.device("cpu"))
    runtime.seed_torch(config.seed, fold)
    weights = paths().weights(config.model) if config.pretrained else None
    return models.create(config.model, config.resolution, weights, config.probe and config.probe.stage)


def _weights(model: nn.Module) -> np.ndarray | None:
    layer = first_layer(model)
    return None if layer is None else layer.weight.detach().numpy().astype(np.float64)


# --- maps


def draw_maps(pair: Iterable[Case]) -> None:
    """Draw what layers of networks make of an image of each source, the photograph `feature_maps`.

    All images are of one fold, so that none was trained on. Of each layer the channel is shown that varies most over
    these images, from its lowest value (dark) to its highest.
    """
    shown = list(pair)
    chosen = _images(shown)
    rows = chosen["row"].to_numpy(copy=True)
    pictures = [[shown[0].images[row]] for row in rows]
    captions = [[name if len(name) <= 22 else f"…{name[-21:]}"] for name in map(str, chosen["sample_id"])]
    columns = ["image"]
    for model in shown:
        for layer, (channel, maps) in maps_of(model, int(chosen["fold"].iloc[0]), rows).items():
            columns.append(f"{model.title}: {layer}")
            for place_, picture in enumerate(_coloured(maps)):
                pictures[place_].append(picture)
                captions[place_].append(f"{maps.shape[1]}×{maps.shape[2]}, channel {channel}")
    kinds = np.where(chosen["label"] == tables.FAKE, "fake", "real")
    titles = [f"{source}\n({kind})" for source, kind in zip(chosen["source"], kinds, strict=True)]
    image_grid.draw(pictures, captions, paths().photograph("feature_maps"), columns=columns, rows=titles)


def _images(pair: list[Case]) -> pd.DataFrame:
    """Return an image of each source, of the fold that holds most sources out, the first by a hash of its name."""
    common = set.intersection(*(set(zip(one.verdicts["row"], one.verdicts["fold"], strict=True)) for one in pair))
    found = pair[0].verdicts
    found = found[[each in common for each in zip(found["row"], found["fold"], strict=True)]]
    sources = found.groupby("fold")["source"].nunique()
    order = found["sample_id"].map(runtime.derived_seed)
    drawn = found.assign(order=order).loc[found["fold"] == sources.idxmax()].sort_values(["order", "sample_id"])
    most = 8  # sources: a picture of more is not looked at
    return drawn.groupby("source").head(1).sort_values(["label", "source"]).head(most)


def maps_of(model: Case, fold: int, rows: np.ndarray) -> dict[str, tuple[int, np.ndarray]]:
    """Return maps of some layers of a fold's network: the number of the channel that varies most, and float [n, h, w].

    Args:
        model: whose network it is.
        fold: that it was trained on.
        rows: of the images in the manifest, [n].
    """
    device = runtime.device()
    network = trained.model_of(model.weights, fold, device)
    loader = trained.loader_of(model.weights, fold, model.images, rows, device)
    images = next(loader.batches(rows, len(rows))).images
    outputs = layer_outputs(network, images)
    names = list(outputs)
    found = {}
    for number in sorted({round(each) for each in np.linspace(0, len(names) - 1, _DEPTHS)} if names else ()):
        maps = outputs[names[number]].cpu().numpy()
        channel = int(maps.std(axis=(0, 2, 3)).argmax())
        found[names[number]] = (channel, maps[:, channel])
    return found


def layer_outputs(network: nn.Module, images: torch.Tensor) -> dict[str, torch.Tensor]:
    """Return what the stages of a network give for images, by name, as maps [b, c, h, w], in the order of the network.

    Of SimpleCNN these are its activations, of a backbone the stages that timm lists, down to a probe's own.
    """
    trunk = network.trunk if isinstance(network, LinearProbe) else network
    known = dict(trunk.named_modules())
    if isinstance(trunk, SimpleCNN):
        layers = [module for module in trunk.features if isinstance(module, nn.ReLU)]
        stages = {f"layer {number}": module for number, module in enumerate(layers, 1)}
    else:
        stages = {info["module"]: known[info["module"]] for info in getattr(trunk, "feature_info", [])}
    kept: dict[str, torch.Tensor] = {}

    def keep(name: str, output: object) -> None:
        maps = grids.as_maps(output, trunk, (images.shape[2], images.shape[3])) if torch.is_tensor(output) else None
        if maps is not None and maps.ndim == 4:
            kept[name] = maps.detach().clone()

    hooks = [
        # a probe's stage ends the network's run before a hook on its place would be called
        getattr(module, "stage", module).register_forward_hook(lambda _, __, out, name=name: keep(name, out))
        for name, module in stages.items()
    ]
    try:
        with torch.inference_mode():
            network(images)
    finally:
        for hook in hooks:
            hook.remove()
    return kept


def _coloured(maps: np.ndarray) -> list[np.ndarray]:
    """Return maps, float [n, h, w], as pictures, uint8, whose cells can be told apart."""
    low, high = maps.min(), maps.max()
    shades = (maps - low) / (high - low if high > low else 1)
    colours = np.rint(plt.get_cmap("viridis")(shades)[..., :3] * 255).astype(np.uint8)
    side = (image_grid.CELL, image_grid.CELL)
    return [cv2.resize(each, side, interpolation=cv2.INTER_NEAREST) for each in colours]
