"""What loading costs: our loader against those of torchvision and timm, on the same files, in one run.

On a CPU every loader works on one core, with the same images in the same batches, so its images a second are those of
one core. On a GPU machine ours feeds the GPU from one process, the others from a worker a core, as their users run
them; each is watched for a moment of an epoch. The repeats of all loaders take turns, and medians are reported.
"""

import itertools
import math
import statistics
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch

from deepfake import runtime
from deepfake.bench import photographs, rivals, training
from deepfake.bench.photographs import BATCH
from deepfake.bench.rivals import Epoch
from deepfake.bench.timing import Timed, an_image, growth
from deepfake.config import ViewConfig
from deepfake.config.params import Augmentation, Params
from deepfake.errors import InputError
from deepfake.loading import cache, files
from deepfake.loading.batches import AugmentingLoader
from deepfake.loading.pixels import Store, place
from deepfake.modalities.image import backends, encoded, geometry
from deepfake.progress import SILENT, Progress

SIZES = (128, 224)
POLICIES = ("light", "full")
FILES = {"as they are": None, "512×512": 512}
"""The files that are read: those of the data set, and the same resized to the size of DeepFakeFace's."""
_CACHED, _DECODED = "cache, then", "no cache,"
_FASTEST = {"cpu": "opencv", "cuda": "dali"}
"""The backend that a preset names for a kind of machine; it is what "ours" means."""
_WATCHED = 0.4
"""Seconds of an epoch that are watched on a GPU machine, or all settings would take minutes."""
_FED = 1024
"""Images in an epoch of ours on a GPU machine, at least."""
_ROUNDS = 32
"""Batches of each worker in an epoch of the others, at least: what ends an epoch is not what it costs."""


class _Scope(NamedTuple):
    """What is compared on a kind of machine, and for how long.

    Args:
        files: the sides of the files that are read, by what they are called.
        policies: of the augmentation.
        backends: of ours.
        images: in an epoch of ours, at least.
        seconds: of an epoch that are watched.
        workers: of each of the other loaders; none: it works in this process.
    """

    files: Mapping[str, int | None]
    policies: tuple[str, ...]
    backends: tuple[str, ...]
    images: int
    seconds: float
    workers: int


def run(settings: Params, *, count: int, repeats: int, progress: Progress = SILENT) -> pd.DataFrame:
    """Time all loaders.

    Args:
        settings: names the data set, the policies and the oversampling.
        count: images to load, rounded down to whole batches.
        repeats: epochs of each loader.
        progress: told of the epochs done, and of the figures as they come.

    Returns:
        One row a kind of file, size, policy and loader: `images_per_second`, `cpu_ms` an image, `times_cpu` (its CPU
        time over that of our loader), `share` (its time over that of a ResNet18 training step on images that are in
        memory), `overhead` (what an epoch of ResNet18 takes more with our loader than with those images), and
        `memory_mb` (largest growth of the process's own memory in the first epoch, without mapped files and workers).
    """
    runtime.one_thread()
    device = runtime.device()
    scope = _scope(device)
    samples = photographs.samples(settings.dataset, count)
    rows = []
    done, total = 0, len(scope.files) * len(SIZES) * len(scope.policies) * repeats

    def tick() -> None:
        nonlocal done
        done += 1
        progress.advance("timing loaders", done, total)

    for kind, side in scope.files.items():
        with tempfile.TemporaryDirectory() as folder:
            loose = photographs.write_files(samples, settings.dataset, Path(folder), side)
            for size, policy in itertools.product(SIZES, scope.policies):
                loaders = _loaders(settings, loose, Path(folder), policy, size, device, scope)
                setting = {"files": kind, "images": len(loose), "size": size, "augmentation": policy}
                for row in _measure(loaders, size, device, repeats, scope.seconds, tick):
                    rows.append(setting | row)
                    progress.say(
                        f"{kind}, {size} px, {policy}: {row['loader']}: {row['images_per_second']:,.0f} images/s, "
                        f"{row['cpu_ms']:.2f} ms of CPU time an image"
                    )
    return pd.DataFrame(rows)


def report(rows: pd.DataFrame, repeats: int) -> str:
    """Return the table as Markdown, with the machine it was made on."""
    shown = pd.DataFrame(
        {
            "files": rows["files"],
            "px": rows["size"],
            "augmentation": rows["augmentation"],
            "loader": rows["loader"],
            "images/s": rows["images_per_second"].map("{:,.0f}".format),
            "CPU ms/image": rows["cpu_ms"].map("{:.2f}".format),
            "CPU time, ours = 1": rows["times_cpu"].map("{:.1f}".format),
            "share of a ResNet18 step": rows["share"].map("{:.1%}".format),
            "ResNet18 epoch": ["" if pd.isna(value) else f"{value:+.1%}" for value in rows["overhead"]],
            "memory, MB": rows["memory_mb"].map("{:.0f}".format),
        }
    )
    scope = _scope(runtime.device())
    how, watched = "one thread each", ""
    if scope.workers:
        how = f"ours in one process, the others with {scope.workers} workers, whose CPU time counts"
        watched = (
            f" Of an epoch at most {scope.seconds} seconds are watched, those of the others when all workers work."
        )
    return (
        f"Loaders on {runtime.processor()['device']}: medians of {repeats} interleaved epochs of "
        f"{rows['images'].iloc[0]} images, "
        f"batches of {BATCH}, {how}.{watched} *Share*: the loader's time over that of a training step of ResNet18 at "
        "the same size, on images that are in memory. *ResNet18 epoch*: what a whole epoch takes more with our loader "
        "than with those images. *Memory*: largest growth of the process's own memory in the loader's first epoch, "
        "without mapped files.\n\n" + shown.to_markdown(index=False, disable_numparse=True) + "\n"
    )


def _scope(device: torch.device) -> _Scope:
    """Return what is compared on a kind of machine."""
    if device.type == "cpu":
        return _Scope(FILES, POLICIES, tuple(backends.BACKENDS), 0, math.inf, 0)
    largest = {kind: side for kind, side in FILES.items() if side is not None}
    return _Scope(largest, POLICIES[-1:], (_FASTEST[device.type],), _FED, _WATCHED, runtime.cores())


def _measure(
    loaders: dict[str, Timed], size: int, device: torch.device, repeats: int, seconds: float, tick: Callable[[], None]
) -> list[dict[str, Any]]:
    """Time all loaders in one setting, in turns, and return the medians, with our fastest loader as the unit."""
    step = training.trainer(size, device)
    best = f"{_CACHED} {_FASTEST[device.type]}"
    count = loaders[best].images
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in loaders}
    in_memory, trained = [], []
    # in the first epoch pipelines are built, workers start, and files come into the system's cache
    memory = {name: growth(loader, seconds) for name, loader in loaders.items()}
    training.seconds(step, training.in_memory(size, BATCH, 2 * BATCH, device))
    for _ in range(repeats):
        in_memory.append(training.seconds(step, training.in_memory(size, BATCH, count, device)) / count)
        trained.append(training.seconds(step, loaders[best].epoch()) / count)
        for name, loader in loaders.items():
            times[name].append(an_image(loader, seconds))
        tick()
    medians = {name: [statistics.median(values) for values in zip(*runs, strict=True)] for name, runs in times.items()}
    # the median of ratios of neighbours in time: a machine that slows down for a while changes both alike
    overhead = statistics.median(np.divide(trained, in_memory)) - 1
    return [
        {
            "loader": name,
            "images_per_second": 1 / wall,
            "cpu_ms": cpu * 1e3,
            "times_cpu": cpu / medians[best][1],
            "share": wall / statistics.median(in_memory),
            "overhead": overhead if name == best else None,
            "memory_mb": memory[name],
        }
        for name, (wall, cpu) in medians.items()
    ]


def _loaders(
    settings: Params,
    samples: pd.DataFrame,
    folder: Path,
    policy: str,
    size: int,
    device: torch.device,
    scope: _Scope,
) -> dict[str, Timed]:
    """Return all loaders by name, ours first; each call of one is an epoch."""
    if policy not in settings.augmentations:
        raise InputError(f"augmentations.{policy}: the benchmark needs this policy; add it to params.yaml")
    rules = settings.augmentations[policy]
    assert isinstance(rules, Augmentation)
    threads = 1 if device.type == "cpu" else runtime.cores()
    regions = geometry.regions(samples, "crop", None, 0)
    source = round(size * settings.cache.oversampling)
    count = len(samples)
    kept = partial(cache.ensure, samples=samples, regions=regions, raw=folder, folder=folder, threads=threads)
    fed = np.tile(np.arange(count), max(1, scope.images // count))
    loaders = {}
    for stored in (_CACHED, _DECODED):
        for backend in scope.backends:
            if stored == _CACHED:
                plain, larger = (_mapped(kept(_view(backend, side)), device) for side in (size, source))
            else:
                plain = larger = _FromSource(samples, regions, folder, source, backend, device, threads)
            epoch = _ours(plain, larger, samples, rules, _view(backend, size), source, settings, fed)
            loaders[f"{stored} {backend}"] = Timed(epoch, len(fed))
    files = [str(folder / path) for path in samples["path"]]
    files *= max(1, -(-BATCH * scope.workers * _ROUNDS // count))
    common = (files, rules, size, BATCH, settings.imagenet)
    others = {
        "torchvision DataLoader, PIL": rivals.torchvision_loader(*common, rivals.open_pil, device, scope.workers),
        "torchvision DataLoader, decode_jpeg": rivals.torchvision_loader(
            *common, rivals.open_torchvision, device, scope.workers
        ),
        "timm create_loader": rivals.timm_loader(*common, device, scope.workers),
    }
    return loaders | {name: Timed(epoch, len(files), scope.workers) for name, epoch in others.items()}


def _view(backend: str, side: int) -> ViewConfig:
    """Return whole images, squeezed into squares of a size."""
    facts = {"dataset": "bench", "view": "bench", "modality": "image", "geometry": "crop", "face_margin": None}
    return ViewConfig.model_validate(facts | {"size": side, "seconds": None, "loader": backend})


def _mapped(path: Path, device: torch.device) -> Store:
    """Return the store of a decoded array."""
    images = np.load(path, mmap_mode="r")
    return place(images, np.arange(len(images)), device)


class _FromSource:
    """A store that keeps nothing: each batch is decoded from its files, as without a cache."""

    def __init__(
        self,
        samples: pd.DataFrame,
        regions: pd.DataFrame,
        raw: Path,
        size: int,
        backend: str,
        device: torch.device,
        threads: int,
    ):
        self.device = device
        self._samples, self._regions, self._raw, self._size = samples, regions, raw, size
        self._backend, self._threads = backends.load(backend), threads

    def stream(self, chunks: Iterable[np.ndarray]) -> Iterator[torch.Tensor]:
        """Decode each chunk of rows."""
        read = (files.read(self._samples.iloc[rows], self._regions.iloc[rows], self._raw) for rows in chunks)
        batches = (list(encoded.of(each)) for each in read)
        for images in self._backend.decode(batches, self._size, threads=self._threads, cuda=self.device.type == "cuda"):
            yield torch.from_numpy(images).to(self.device)


def _ours(
    plain: Store,
    larger: Store,
    samples: pd.DataFrame,
    policy: Augmentation,
    view: ViewConfig,
    side: int,
    settings: Params,
    rows: np.ndarray,
) -> Epoch:
    """Return epochs of our loader, each of some rows in another order."""
    labels = samples["label"].to_numpy()
    loader = AugmentingLoader(
        plain,
        larger,
        labels,
        view,
        settings.imagenet,
        policy,
        side=side,
        seed=0,
        batch_size=BATCH,
    )
    epoch = 0

    def batches() -> Iterator[torch.Tensor]:
        nonlocal epoch
        epoch += 1
        order = np.random.default_rng(epoch).permutation(rows)
        return (batch.images for batch in loader.training(order, BATCH, epoch))

    return batches
