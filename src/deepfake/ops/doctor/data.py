"""The data: raw files, ImageNet weights, and room for decoded images."""

import shutil
from collections.abc import Iterator
from math import prod
from pathlib import Path

from deepfake import config, modalities
from deepfake.config import Decision, RunConfig, ViewConfig
from deepfake.config.params import Params
from deepfake.config.studies import Trained
from deepfake.datasets import catalog
from deepfake.errors import InputError
from deepfake.loading import views
from deepfake.ops.doctor.finding import Finding, gigabytes
from deepfake.project import paths
from deepfake.runs.weights import PACKAGED

_UNDECIDED = Decision(resolution="low", face_crop=False, augmentation="none")
"""What candidates are taken to have while phase 2 has not been decided."""


def raw(settings: Params) -> Finding:
    """Say whether the data set's files are there, or how to obtain them; and whether near-duplicates may be parted."""
    name = settings.dataset
    folder = paths().raw(name)
    try:
        entry = catalog.find(name)
    except InputError as error:
        return Finding("missing", "data set", str(error), f"add it to {paths().catalog}")
    if folder.exists():
        listed = paths().near_duplicates(name)
        pairs = len(listed.read_text(encoding="utf-8").splitlines()) - 1 if listed.exists() else 0
        if pairs > 0 and entry.near_duplicates == "report":
            text = f"{name} in {folder}; near-duplicates in {pairs} pairs of groups that splits may part, see {listed}"
            return Finding("note", "data set", text, f"near_duplicates: join for {name} in {paths().catalog}")
        return Finding("ok", "data set", f"{name} in {folder}")
    if folder.is_symlink():
        text = f"{folder} is a link to {folder.readlink()}, which is not here"
        return Finding("missing", "data set", text, "mount that folder too, or remove the link and ingest it again")
    if name in catalog.GENERATED:
        return Finding("ok", "data set", f"{name}; the pipeline makes it")
    pointer = paths().pointer(name)
    remedy = f"dvc pull {pointer}" if pointer.exists() else entry.obtain
    return Finding("missing", "data set", f"{folder} is not there", remedy)


def weights(settings: Params) -> Finding:
    """Say which models start from ImageNet weights that are not there."""
    runs = [run for run in _runs(settings) if run.pretrained]
    models = {run.model for run in runs}
    if not models:
        return Finding("ok", "weights", "every model starts from scratch")
    absent = sorted(model for model in models if not paths().weights(model).exists() and model not in PACKAGED)
    if absent:
        text = f"ImageNet weights of {', '.join(absent)} are not in {paths().weights('').parent}"
        remedy = f"deepfake weights downloads them; offline: put each as {paths().weights('NAME')}"
        return Finding("note", "weights", text, remedy)
    return Finding("ok", "weights", f"{', '.join(sorted(models))}: there, or in an installed package")


def space(settings: Params) -> Finding:
    """Say whether the decoded images of a whole study fit on the disk."""
    name, folder = settings.dataset, paths().cache(settings.dataset)
    free = shutil.disk_usage(existing(folder)).free
    if not paths().samples(name).exists():
        text = f"{gigabytes(free)} free for decoded images; how many there are is known after the ingest"
        return Finding("ok", "disk", text)
    import pyarrow.parquet  # takes a quarter of a second

    images = pyarrow.parquet.read_metadata(paths().samples(name)).num_rows
    absent = [view for view in arrays(settings) if not any(folder.glob(f"{view.view}-{view.size}px-*.npy"))]
    needed = sum(images * _bytes(view) for view in absent)
    wanted = f"{gigabytes(needed)} to be decoded for all views of" if absent else "decoded are all views of"
    text = f"{wanted} {images:,} images, {gigabytes(free)} free"
    if needed > free:
        remedy = f"make room, put a link to a larger disk at {folder}, or lower the preset's resolution"
        return Finding("missing", "disk", text, remedy)
    return Finding("ok", "disk", text)


def arrays(settings: Params) -> list[ViewConfig]:
    """Return every array of decoded samples that a whole study makes of its own data set, as a view of that size."""
    found = [config.resolve_view(settings, name) for name in views.wanted(settings, settings.dataset)]
    # augmented images come from larger ones (`views.pixels`)
    found += [
        run.view.model_copy(update={"size": round(run.view.size * run.oversampling)})
        for run in _runs(settings)
        if run.oversampling and run.dataset == settings.dataset
    ]
    return list({(view.view, view.size): view for view in found}.values())


def _bytes(view: ViewConfig) -> int:
    """Return how much one stored sample takes."""
    shape, dtype = modalities.load(view.modality).stored(view)
    return prod(shape) * int(dtype[-1])


def existing(path: Path) -> Path:
    """Return the nearest folder upwards that is there."""
    return next(folder for folder in (path, *path.absolute().parents) if folder.exists())


def _runs(settings: Params) -> Iterator[RunConfig]:
    """Yield every run that is trained."""
    try:
        decision = config.read_decision()
    except InputError:
        decision = _UNDECIDED
    for name, entry in config.entries(settings).items():
        if isinstance(entry.run, Trained):
            yield config.resolve(settings, name, decision)
