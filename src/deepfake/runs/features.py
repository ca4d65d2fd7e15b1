"""Features of frozen trunks, computed once: a cache named after all that decides them, below `.store`.

A set of features is a folder of blocks, float32 [256, d] each, of consecutive samples; rows that nobody has asked for
are NaN. So a killed process loses one block, and a run on more of the data computes only what is new.
"""

import functools
import json
from collections import defaultdict
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from deepfake import modalities, models, runtime
from deepfake.config import ViewConfig
from deepfake.config.params import AnyAugmentation, Normalization
from deepfake.execution import Tell, run_jobs
from deepfake.loading import cache
from deepfake.loading.batches import AugmentingLoader, Loader
from deepfake.loading.pixels import place
from deepfake.models import LinearProbe
from deepfake.progress import SILENT, Progress
from deepfake.project import paths
from deepfake.runs import store
from deepfake.tables import atomic

FOLDER = "features"
"""The cache's folder in the store, and the lock that whoever computes in it holds."""
_BLOCK = 256
_BATCH = {"cpu": 16, "cuda": 64}
"""Images in a forward pass, always, also of the last: how sums are cut depends on the number of images, and on nothing
else of a batch, so a feature has the same bits in whatever company it was computed. On a CPU what is computed of few
images stays in its caches: EfficientNet-Lite0 at 96 px takes half the time of batches of 64."""
_PACKAGES = ("torch", "timm", "opencv-python-headless", "nvidia-dali-cuda130", "torchvision")
_CODE = ("models/backbones.py", "models/frozen.py", "models/grids.py", "loading/batches.py")


class Draw(NamedTuple):
    """One augmentation of each image: policy, seed, and the number that takes the place of an epoch."""

    policy: AnyAugmentation
    seed: int
    number: int


class Wanted(NamedTuple):
    """A set of features, and some of its rows.

    Args:
        model: a backbone of timm.
        view: what it sees of the samples.
        stage: of the backbone (`models.LinearProbe`).
        weights: its own.
        images: `.npy` file of the samples; augmentation may start from larger ones.
        scale: what the images are normalised by.
        rows: int [m], of the images, ascending.
        draw: how they are augmented, None for the evaluation transform.
    """

    model: str
    view: ViewConfig
    stage: str
    weights: Path
    images: Path
    scale: Normalization
    rows: np.ndarray
    draw: Draw | None = None


class _Block(NamedTuple):
    """Rows of one block that are to be computed."""

    wanted: Wanted
    file: Path
    start: int


def ensure(wanted: list[Wanted], progress: Progress = SILENT) -> None:
    """Compute what is missing of sets of features; the caller holds the lock `FOLDER`.

    Args:
        wanted: what is needed; the same set may stand there several times, with other rows.
        progress: told of the images done.

    Raises:
        InputError: a trunk lacks the stage, or the weights are not its own.
    """
    rows: dict[Path, list[np.ndarray]] = defaultdict(list)
    first: dict[Path, Wanted] = {}
    for each in wanted:
        folder = _folder(each)
        rows[folder].append(each.rows)
        first.setdefault(folder, each)
    blocks = [
        block
        for folder, each in first.items()
        for block in _missing(folder, each._replace(rows=np.unique(np.concatenate(rows[folder]))))
    ]
    total, done = sum(len(block.wanted.rows) for block in blocks), 0

    def count(images: int) -> None:
        nonlocal done
        done += images
        progress.advance("features of frozen trunks", done, total)

    run_jobs(_compute, blocks, on_news=count, remedy="let the program use fewer cores")


def read(wanted: Wanted) -> np.ndarray:
    """Return features that `ensure` has seen to, float32 [m, d], in the order of the rows."""
    folder = _folder(wanted)
    blocks = {start: np.load(_file(folder, start)) for start in np.unique(wanted.rows // _BLOCK)}
    return np.stack([blocks[row // _BLOCK][row % _BLOCK] for row in wanted.rows])


def _folder(wanted: Wanted) -> Path:
    """Return the folder of a set of features, whose name is a hash of all that decides them."""
    facts: dict[str, Any] = {
        "model": [wanted.model, wanted.stage, _digest(wanted.weights, runtime.file_hash)],
        "view": wanted.view.model_dump(exclude={"dataset", "view"}),
        "pixels": _digest(wanted.images, cache.pixels_hash),
        "scale": wanted.scale.model_dump(),
        "draw": wanted.draw and [wanted.draw.policy.model_dump(), *wanted.draw[1:]],
        "code": _code(wanted.view.modality),
        "packages": runtime.versions(_PACKAGES),
        "gpu": runtime.has_gpu(),
    }
    return paths().store / FOLDER / store.key(json.dumps(facts, sort_keys=True))


@functools.cache
def _code(modality: str) -> str:
    """Return a hash of the code that decides features."""
    return runtime.code_hash([*_CODE, *map(runtime.module_file, modalities.load(modality).CODE)])


_known: dict[tuple[object, ...], str] = {}


def _digest(path: Path, digest: Any) -> str:
    """Return a hash of a file, computed once while the file stays as it is."""
    stat = path.stat()
    key = (path.resolve(), stat.st_mtime_ns, stat.st_size, stat.st_ino)
    if key not in _known:
        _known[key] = digest(path)
    return _known[key]


def _file(folder: Path, number: int) -> Path:
    """Return the file of a block."""
    return folder / f"{number:06d}.npy"


def _missing(folder: Path, wanted: Wanted) -> list[_Block]:
    """Return the blocks of a set in which rows are missing, with these rows."""
    blocks = []
    for number in np.unique(wanted.rows // _BLOCK):
        file, start = _file(folder, number), int(number) * _BLOCK
        rows = wanted.rows[wanted.rows // _BLOCK == number]
        if file.exists():
            rows = rows[np.isnan(np.load(file)[rows - start, 0])]
        if len(rows):
            blocks.append(_Block(wanted._replace(rows=rows), file, start))
    return blocks


def _compute(block: _Block, tell: Tell[int]) -> None:
    """Compute the missing rows of a block, beside those that are there."""
    wanted = block.wanted
    runtime.one_thread()
    runtime.keep_memory()
    device = runtime.device()
    digest = _digest(wanted.weights, runtime.file_hash)
    shape = modalities.shape(wanted.view)
    trunk = _trunk(wanted.model, shape, wanted.stage, wanted.weights, digest, device)
    size = _BATCH[device.type]
    filled = np.pad(wanted.rows, (0, -len(wanted.rows) % size), mode="edge")
    batches = _loader(wanted, device).training(filled, size, wanted.draw.number if wanted.draw else 0)
    with torch.inference_mode():
        found = [trunk.pooled(trunk.forward_features(batch.images)).float().cpu().numpy() for batch in batches]
    values = np.concatenate(found)[: len(wanted.rows)]
    whole = np.full((_BLOCK, values.shape[1]), np.nan, np.float32)
    if block.file.exists():
        whole = np.load(block.file)
    whole[wanted.rows - block.start] = values
    block.file.parent.mkdir(parents=True, exist_ok=True)
    with atomic(block.file) as temporary, temporary.open("wb") as file:
        np.save(file, whole)
    tell(len(wanted.rows))


@functools.lru_cache(maxsize=1)
def _trunk(
    model: str, shape: tuple[int, int, int], stage: str, weights: Path, digest: str, device: torch.device
) -> LinearProbe:
    """Return a trunk, built once in a process while its blocks are computed and the hash of its weights is this."""
    trunk = models.create(model, shape, weights, stage)
    assert isinstance(trunk, LinearProbe)
    return trunk.eval().to(device, memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]


def _loader(wanted: Wanted, device: torch.device) -> Loader:
    """Return what serves the images, augmented where they are to be."""
    images = np.load(wanted.images, mmap_mode="r")
    pixels, labels = place(images, wanted.rows, device), np.zeros(len(images))
    if wanted.draw is None:
        return Loader(pixels, labels, wanted.view, wanted.scale)
    return AugmentingLoader(
        pixels,
        pixels,
        labels,
        wanted.view,
        wanted.scale,
        wanted.draw.policy,
        side=images.shape[1],
        seed=wanted.draw.seed,
        batch_size=_BATCH[device.type],
    )
