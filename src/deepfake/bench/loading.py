"""What loading costs: our loader against those of torchvision and timm, on the same files, in one run.

Every loader works on one core, with the same images in the same batches, so its images a second are those of one core
and its CPU time is the process's own. The repeats of all loaders take turns, and medians are reported.
"""

import hashlib
import io
import itertools
import statistics
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from PIL import Image

from deepfake import runtime, tables
from deepfake.bench import rivals, training
from deepfake.bench.rivals import Epoch
from deepfake.config import ViewConfig
from deepfake.config.params import Augmentation, Params
from deepfake.errors import InputError
from deepfake.loading import cache, files
from deepfake.loading.batches import AugmentingLoader
from deepfake.loading.pixels import Store, place
from deepfake.modalities.image import backends, encoded, geometry
from deepfake.progress import SILENT, Progress
from deepfake.project import paths

SIZES = (128, 224)
POLICIES = ("light", "full")
FILES = {"as they are": None, "512×512": 512}
"""The files that are read: those of the data set, and the same resized to the size of DeepFakeFace's."""
_CACHED, _DECODED = "cache, then", "no cache,"
_FASTEST = {"cpu": "opencv", "cuda": "dali"}
"""The backend that a preset names for a kind of machine; it is what "ours" means."""
_BATCH = 32


def run(settings: Params, *, count: int, repeats: int, progress: Progress = SILENT) -> pd.DataFrame:
    """Time all loaders.

    Args:
        settings: names the data set, the policies and the oversampling.
        count: images in an epoch, rounded down to whole batches.
        repeats: epochs of each loader.
        progress: told of the epochs done.

    Returns:
        One row a kind of file, size, policy and loader: `images_per_second`, `cpu_ms` an image, `times_cpu` (its CPU
        time over that of our loader), `share` (its time over that of a ResNet18 training step on images that are in
        memory), `overhead` (what an epoch of ResNet18 takes more with our loader than with those images), and
        `memory_mb` (largest growth of the process's own memory in the first epoch, without mapped files).
    """
    runtime.one_thread()
    device = runtime.device()
    samples = _samples(settings.dataset, count)
    rows = []
    done, total = 0, len(FILES) * len(SIZES) * len(POLICIES) * repeats

    def tick() -> None:
        nonlocal done
        done += 1
        progress.advance("timing loaders", done, total)

    for kind, side in FILES.items():
        with tempfile.TemporaryDirectory() as folder:
            loose = _write_files(samples, settings.dataset, Path(folder), side)
            for size, policy in itertools.product(SIZES, POLICIES):
                epochs = _loaders(settings, loose, Path(folder), policy, size, device)
                setting = {"files": kind, "images": len(loose), "size": size, "augmentation": policy}
                rows += [setting | row for row in _measure(epochs, len(loose), size, device, repeats, tick)]
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
    return (
        f"Loaders on {runtime.processor()['device']}: medians of {repeats} interleaved epochs of "
        f"{rows['images'].iloc[0]} images, "
        f"batches of {_BATCH}, one thread each. *Share*: the loader's time over that of a training step of ResNet18 at "
        "the same size, on images that are in memory. *ResNet18 epoch*: what a whole epoch takes more with our loader "
        "than with those images. *Memory*: largest growth of the process's own memory in the loader's first epoch, "
        "without mapped files.\n\n" + shown.to_markdown(index=False, disable_numparse=True) + "\n"
    )


def _measure(
    epochs: dict[str, Epoch], count: int, size: int, device: torch.device, repeats: int, tick: Callable[[], None]
) -> list[dict[str, object]]:
    """Time all loaders in one setting, in turns, and return the medians, with our fastest loader as the unit."""
    step = training.trainer(size, device)
    best = f"{_CACHED} {_FASTEST[device.type]}"
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in epochs}
    in_memory, trained = [], []
    # in the first epoch pipelines are built, and files come into the system's cache
    memory = {name: _growth(epoch) for name, epoch in epochs.items()}
    training.seconds(step, training.in_memory(size, _BATCH, 2 * _BATCH, device))
    for _ in range(repeats):
        in_memory.append(training.seconds(step, training.in_memory(size, _BATCH, count, device)) / count)
        trained.append(training.seconds(step, epochs[best]()) / count)
        for name, epoch in epochs.items():
            times[name].append(_time(epoch, count))
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


def _samples(dataset: str, count: int) -> pd.DataFrame:
    """Return JPEG samples spread evenly over a data set."""
    samples = tables.with_media(tables.read(paths().samples(dataset), tables.SAMPLES), paths().media(dataset))
    samples = samples[samples["format"] == "JPEG"]
    if samples.empty:
        raise InputError(f"data set {dataset}: it has no JPEG files, and those are what is compared")
    # whole batches, because timm drops what is left over
    count = max(min(count, len(samples)) // _BATCH, 1) * _BATCH
    return samples.iloc[np.linspace(0, len(samples) - 1, count).astype(int)].reset_index(drop=True)


def _write_files(samples: pd.DataFrame, dataset: str, folder: Path, side: int | None) -> pd.DataFrame:
    """Write samples as single files, which is how the other loaders want them.

    Args:
        samples: the samples.
        dataset: where they come from.
        folder: where they go.
        side: side of the square that each is resized to, or None to leave the files as they are.

    Returns:
        The samples as they are now: paths, sizes and hashes.
    """
    whole = geometry.regions(samples, "resize", None, 0)
    written = []
    for number, image in enumerate(encoded.of(files.read(samples, whole, paths().raw(dataset)))):
        data, (_, _, width, height) = image.data, image.region
        if side is not None:
            buffer = io.BytesIO()
            with Image.open(io.BytesIO(data)) as image:
                image.convert("RGB").resize((side, side), Image.Resampling.BICUBIC).save(buffer, "JPEG", quality=90)
            data, width, height = buffer.getvalue(), side, side
        (folder / f"{number}.jpg").write_bytes(data)
        written.append((f"{number}.jpg", width, height, hashlib.sha256(data).hexdigest()))
    columns = ["path", "width", "height", "sha256"]
    now = pd.DataFrame(written, columns=columns)
    return samples.assign(archive="", **{column: now[column] for column in columns})


def _time(epoch: Epoch, count: int) -> tuple[float, float]:
    """Return seconds and CPU seconds an image."""
    wall, cpu = time.perf_counter(), time.process_time()
    seen = sum(len(batch) for batch in epoch())
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    assert seen == count
    return (time.perf_counter() - wall) / count, (time.process_time() - cpu) / count


def _growth(epoch: Epoch) -> float:
    """Return the largest growth of the process's own memory in a loader's first epoch, in MB."""
    before = _own_memory()
    return max(_own_memory() - before for _ in epoch())


def _own_memory() -> float:
    """Return this process's memory without mapped files, in MB (Linux)."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) / 1024
    return 0.0


def _loaders(
    settings: Params,
    samples: pd.DataFrame,
    folder: Path,
    policy: str,
    size: int,
    device: torch.device,
) -> dict[str, Epoch]:
    """Return all loaders by name, ours first; each call of one is an epoch."""
    if policy not in settings.augmentations:
        raise InputError(f"augmentations.{policy}: the benchmark needs this policy; add it to params.yaml")
    rules = settings.augmentations[policy]
    assert isinstance(rules, Augmentation)
    paths = [str(folder / path) for path in samples["path"]]
    regions = geometry.regions(samples, "crop", None, 0)
    source = round(size * settings.cache.oversampling)
    ours = {}
    for stored in (_CACHED, _DECODED):
        for backend in backends.BACKENDS:
            if stored == _CACHED:
                plain, larger = (
                    _mapped(
                        cache.ensure(_view(backend, side), samples, regions, raw=folder, folder=folder, threads=1),
                        device,
                    )
                    for side in (size, source)
                )
            else:
                plain = larger = _FromSource(samples, regions, folder, source, backend, device)
            ours[f"{stored} {backend}"] = _ours(plain, larger, samples, rules, _view(backend, size), source, settings)
    common = (paths, rules, size, _BATCH, settings.imagenet)
    return ours | {
        "torchvision DataLoader, PIL": rivals.torchvision_loader(*common, rivals.open_pil),
        "torchvision DataLoader, decode_jpeg": rivals.torchvision_loader(*common, rivals.open_torchvision),
        "timm create_loader": rivals.timm_loader(*common),
    }


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
        self, samples: pd.DataFrame, regions: pd.DataFrame, raw: Path, size: int, backend: str, device: torch.device
    ):
        self.device = device
        self._samples, self._regions, self._raw, self._size = samples, regions, raw, size
        self._backend = backends.load(backend)

    def stream(self, chunks: Iterable[np.ndarray]) -> Iterator[torch.Tensor]:
        """Decode each chunk of rows."""
        read = (files.read(self._samples.iloc[rows], self._regions.iloc[rows], self._raw) for rows in chunks)
        batches = (list(encoded.of(each)) for each in read)
        for images in self._backend.decode(batches, self._size, threads=1, cuda=self.device.type == "cuda"):
            yield torch.from_numpy(images).to(self.device)


def _ours(
    plain: Store,
    larger: Store,
    samples: pd.DataFrame,
    policy: Augmentation,
    view: ViewConfig,
    side: int,
    settings: Params,
) -> Epoch:
    """Return epochs of our loader."""
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
        batch_size=_BATCH,
    )
    epoch = 0

    def batches() -> Iterator[torch.Tensor]:
        nonlocal epoch
        epoch += 1
        order = np.random.default_rng(epoch).permutation(len(labels))
        return (batch.images for batch in loader.training(order, _BATCH, epoch))

    return batches
