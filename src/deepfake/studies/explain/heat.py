"""Heat maps, computed once: a cache named after all that decides them, below `.store`.

Runs that are heads on one frozen trunk share its pass over an image: a map costs one gradient at the head's input.
"""

import copy
import functools
import hashlib
import json
import zipfile
import zlib
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import torch
from torch import nn

from deepfake import models, runtime
from deepfake.errors import InputError
from deepfake.execution import Tell, run_jobs
from deepfake.models import LinearHead, LinearProbe
from deepfake.progress import SILENT, Progress
from deepfake.project import paths
from deepfake.runs import store, trained
from deepfake.runs.trained import Trained
from deepfake.studies.explain import gradcam
from deepfake.tables import atomic
from deepfake.training import checkpoint

Random = Literal["", "head", "all"]
_BATCH = 16
"""Images in a pass, always: sums come out the same whoever computes."""
_PACKAGES = ("torch", "timm")
_CODE = (
    *("studies/explain/gradcam.py", "studies/explain/heat.py", "loading/batches.py"),
    *(f"models/{name}.py" for name in ("backbones", "frozen", "grids", "light_cnn", "simple_cnn", "sizes")),
)


@dataclass(frozen=True)
class Wanted:
    """Heat maps of some images by the model of one fold.

    Args:
        run: whose weights.
        fold: whose model.
        file: `.npy` file of uint8 [n, s, s, 3], the images as they are seen.
        rows: int [m], of the images, ascending.
        random: what of the model is not what was learned: nothing, its head, or all of it, as it is initialised.
        draw: which of the random models.
    """

    run: Trained
    fold: int
    file: Path
    rows: np.ndarray
    random: Random = ""
    draw: int = 0

    @property
    def seed(self) -> tuple[Random, int, int]:
        """Return what random weights depend on: with the fold, except for trunks, which folds share to save time."""
        shared = self.random == "all" and self.run.config.train == "head"
        return (self.random, self.draw, -1 if shared or not self.random else self.fold)


@dataclass
class Maps:
    """What came of all that was wanted.

    Args:
        found: float32 [m, r, c] each, by its place among them; those that were refused are missing.
        refused: why a run has none.
    """

    found: dict[int, np.ndarray] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)


class _Job(NamedTuple):
    """Maps that share a pass over their images, each with the file that it goes to."""

    wanted: list[Wanted]
    files: list[Path]


class _News(NamedTuple):
    """What came of a job: images that were explained, or the runs that cannot be and why."""

    images: int
    refused: dict[str, str]


def maps(wanted: Sequence[Wanted], progress: Progress = SILENT) -> Maps:
    """Return heat maps; those that are not in the cache are computed side by side.

    Args:
        wanted: what is needed.
        progress: told of the images explained.

    Raises:
        InputError: weights are missing, or of another model.
    """
    files = [path_of(each) for each in wanted]
    missing = [number for number, file in enumerate(files) if read(file, len(wanted[number].rows)) is None]
    jobs = _jobs([wanted[number] for number in missing], [files[number] for number in missing])
    if any(wanted[number].run.config.model != models.SIMPLE_CNN for number in missing):
        import timm  # noqa: F401  # which takes seconds: once here, instead of in every process
    result = Maps()
    total, done = sum(len(wanted[number].rows) for number in missing), 0

    def on_news(news: _News) -> None:
        nonlocal done
        done += news.images
        result.refused.update(news.refused)
        progress.advance("explaining", done, total)

    run_jobs(_compute, jobs, on_news=on_news, remedy="let the program use fewer cores")
    for number, each in enumerate(wanted):
        if (found := read(files[number], len(each.rows))) is not None:
            result.found[number] = found
    return result


def path_of(wanted: Wanted) -> Path:
    """Return the file of maps, whose name is a hash of all that decides them.

    Raises:
        InputError: the checkpoint is missing.
    """
    config = wanted.run.config
    weights = paths().checkpoint(config.experiment, wanted.fold)
    if not weights.exists():
        raise InputError(f"{weights}: not found; run deepfake train {config.experiment} again, or dvc repro")
    stat = weights.stat()
    facts = {
        "weights": _file_hash(weights.resolve(), stat.st_mtime_ns, stat.st_size),
        "model": [config.model, config.resolution, config.probe and config.probe.stage],
        "scale": wanted.run.scales[wanted.fold].model_dump(),
        "pixels": pixels_hash(wanted),
        "random": wanted.seed,
        "code": _code(),
        "packages": _versions(),
        "gpu": runtime.has_gpu(),
    }
    return paths().heat / f"{store.key(json.dumps(facts, sort_keys=True))}.npz"


@functools.lru_cache(maxsize=64)
def _file_hash(path: Path, changed: int, size: int) -> str:
    """Return the hash of a file, computed once while it stays as it is: many maps are of one checkpoint."""
    return runtime.file_hash(path)


_code = functools.cache(functools.partial(runtime.code_hash, _CODE))
_versions = functools.cache(functools.partial(runtime.versions, _PACKAGES))


def pixels_hash(wanted: Wanted) -> str:
    """Return the SHA-256 of which images are wanted and of all that they show."""
    digest = hashlib.sha256(wanted.rows.tobytes())
    digest.update(np.load(wanted.file, mmap_mode="r")[wanted.rows].tobytes())
    return digest.hexdigest()


def read(path: Path, count: int) -> np.ndarray | None:
    """Return an array of the cache, or None where it is missing, damaged or not of so many images."""
    damaged = (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error)
    # an archive has a checksum of what it holds
    with suppress(*damaged), path.open("rb") as file, np.load(file) as archive:
        if len(values := archive["values"]) == count:
            return values
    return None


def write(path: Path, values: np.ndarray) -> None:
    """Put an array into the cache, whole or not at all."""
    with atomic(path) as temporary, temporary.open("wb") as file:
        np.savez(file, values=values)


def _jobs(wanted: Sequence[Wanted], files: Sequence[Path]) -> list[_Job]:
    """Return the jobs, the longest first: heads on one trunk that look at the same images are one job."""
    together: dict[object, _Job] = defaultdict(lambda: _Job([], []))
    for each, file in zip(wanted, files, strict=True):
        config = each.run.config
        trunk = each.draw if each.random == "all" else None
        key: object = (config.experiment, each.fold, each.file, trunk)
        if config.train == "head":
            scale = each.run.scales[each.fold].model_dump_json()
            key = (config.model, config.resolution, config.probe and config.probe.stage, each.file, scale, trunk)
        job = together[key]
        job.wanted.append(each)
        job.files.append(file)
    return sorted(together.values(), key=lambda job: -sum(len(each.rows) for each in job.wanted))


def _compute(job: _Job, tell: Tell[_News]) -> None:
    """Explain the images of a job and put the maps into the cache."""
    runtime.one_thread()
    runtime.keep_memory()
    device, first = runtime.device(), job.wanted[0]
    model = model_of(replace(first, random="all" if first.random == "all" else ""), device)
    images = sum(len(each.rows) for each in job.wanted)
    try:
        layer, _ = gradcam.feature_layer(model, first.run.config.resolution)
    except InputError as error:
        tell(_News(images, {each.run.config.experiment: str(error) for each in job.wanted}))
        return
    put_head = _heads(job, model, device)
    found: list[list[np.ndarray]] = [[] for _ in job.wanted]
    rows = np.unique(np.concatenate([each.rows for each in job.wanted]))
    for batch, batch_images in _batches(first, rows, device):
        known = gradcam.features(model, batch_images) if layer is None else None
        for place_of, each in enumerate(job.wanted):
            chosen = np.flatnonzero(np.isin(batch, each.rows))
            if not len(chosen):
                continue
            put_head(place_of)
            part = None if known is None else known[chosen]
            found[place_of].append(gradcam.heat(model, layer, batch_images[chosen], part).cpu().numpy())
    for parts, file in zip(found, job.files, strict=True):
        write(file, np.concatenate(parts))
    tell(_News(images, {}))


def _batches(wanted: Wanted, rows: np.ndarray, device: torch.device) -> Iterator[tuple[np.ndarray, torch.Tensor]]:
    """Yield images as the model takes them, each batch with its rows."""
    images = np.load(wanted.file, mmap_mode="r")
    loader = trained.loader_of(wanted.run, wanted.fold, images, rows, device)
    for batch in loader.batches(rows, _BATCH):
        yield batch.index.cpu().numpy(), batch.images


def model_of(wanted: Wanted, device: torch.device) -> nn.Module:
    """Return the model of a fold, or what it is with its head or all of it as it is initialised, always alike.

    Raises:
        InputError: its weights are missing or belong to another model or trunk.
    """
    config = wanted.run.config
    if wanted.random == "all":
        with _seeded(wanted):
            model = models.create(config.model, config.resolution, None, config.probe and config.probe.stage)
        return model.to(device).to(memory_format=torch.channels_last).eval()  # pyright: ignore[reportCallIssue]
    model = trained.model_of(wanted.run, wanted.fold, device)
    if wanted.random == "head":
        with _seeded(wanted):
            _forget(_classifiers(model))
    return model


def _heads(job: _Job, model: nn.Module, device: torch.device) -> Callable[[int], None]:
    """Return what gives a job's model the head of the wanted maps at a place."""
    if isinstance(model, LinearProbe):
        heads = [_head_of(each, model, device) for each in job.wanted]

        def put(number: int) -> None:
            model.head = heads[number]

        return put
    classifiers: tuple[nn.Module, ...] = _classifiers(model)
    learned = copy.deepcopy([each.state_dict() for each in classifiers])

    def put_again(number: int) -> None:
        for each, values in zip(classifiers, learned, strict=True):
            each.load_state_dict(values)
        if job.wanted[number].random == "head":
            with _seeded(job.wanted[number]):
                _forget(classifiers)

    return put_again


def _head_of(wanted: Wanted, model: LinearProbe, device: torch.device) -> LinearHead:
    """Return the head of a fold on a trunk that is there already."""
    if wanted.random == "all":
        return model.head
    file = paths().checkpoint(wanted.run.config.experiment, wanted.fold)
    features = model.head.linear.in_features
    head = checkpoint.head(wanted.run.config, file, features).to(device)
    if wanted.random == "head":
        with _seeded(wanted):
            _forget((head.linear,))
    return head


def _classifiers(model: nn.Module) -> tuple[nn.Module, ...]:
    """Return the layers that give the logit; a distilled transformer has two."""
    found = model.get_classifier()  # pyright: ignore[reportCallIssue]
    return found if isinstance(found, tuple) else (found,)


@contextmanager
def _seeded(wanted: Wanted) -> Iterator[None]:
    """Let torch initialise what is random of a model, and leave its generator as it was."""
    with torch.random.fork_rng(devices=[]):
        runtime.seed_torch("random", *wanted.seed)
        yield


def _forget(classifiers: tuple[nn.Module, ...]) -> None:
    """Give a model's last layers the weights of their initialisation."""
    for each in classifiers:
        for module in each.modules():
            if hasattr(module, "reset_parameters"):
                module.reset_parameters()  # pyright: ignore[reportCallIssue]
