"""What prediction costs: verdicts a second against what the loader alone decodes, and the time to the first verdict.

Models have random weights: how fast they are does not depend on what they have learned.
"""

import hashlib
import itertools
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from PIL import Image

from deepfake import config, modalities, models, project, runtime, tables
from deepfake.config import RunConfig
from deepfake.config.params import Faces, Params
from deepfake.inference import inputs, verdicts
from deepfake.loading import files
from deepfake.modalities.image import geometry
from deepfake.progress import SILENT, Progress
from deepfake.project import Project, paths
from deepfake.runs import checkpoint_metadata, detectors
from deepfake.synthetic import photographs
from deepfake.training.checkpoint import copy_weights, save_weights

SIDE = 512
"""Side of DeepFakeFace's fakes in pixels."""
_QUALITY = 90
_WITH_FACES = 8
"""Faces take ten times as long as all the rest, so they are looked for in one of so many files."""
_RUN = "bench"
_FOLDER = "photographs"


class Found(NamedTuple):
    """What was measured.

    Args:
        rows: one row a side of the models' input and number of models: `size`, `folds`, images a second of `loader`,
            `prediction` and `with_faces`, and `share`, prediction over loader.
        first: seconds from the start of a fresh process to its first verdict, without faces and with.
        images: files in a pass.
        repeats: passes of each.
    """

    rows: pd.DataFrame
    first: tuple[float, float]
    images: int
    repeats: int


def run(settings: Params, *, count: int, repeats: int, progress: Progress = SILENT) -> Found:
    """Time prediction over a folder of JPEG files against decoding them, in turns and with the same threads.

    Args:
        settings: its preset gives folds, sides and the backend.
        count: files in the folder.
        repeats: passes of each; medians are reported.
        progress: told of the passes done.
    """
    custom = config.resolve(settings, project.CUSTOM_EXPERIMENT)
    preset = settings.presets[settings.preset]
    sizes = sorted({preset.resolution.low, preset.resolution.high})
    here = paths().params.resolve()
    rows, first = [], []
    steps = itertools.count(1)
    total = (2 * len(sizes) + 1) * repeats

    def tick() -> None:
        progress.advance("timing prediction", next(steps), total)

    with tempfile.TemporaryDirectory() as folder, Project(Path(folder)).entered():
        shutil.copy(here, paths().params)
        samples = _write_files(count)
        for size, folds in itertools.product(sizes, (1, custom.folds)):
            view = custom.view.model_copy(update={"geometry": "crop", "face_margin": None, "size": size})
            changes = {"experiment": _RUN, "model": models.SIMPLE_CNN, "view": view, "folds": folds, "repeats": 1}
            _write_run(custom.model_copy(update=changes), settings)
            rows.append({"size": size, "folds": folds} | _measure(settings, samples, repeats, tick))
        for _ in range(repeats):
            first.append((_first_verdict("--no-faces"), _first_verdict("--faces")))
            tick()
    medians = [statistics.median(values) for values in zip(*first, strict=True)]
    return Found(pd.DataFrame(rows), (medians[0], medians[1]), count, repeats)


def report(found: Found) -> str:
    """Return the table as Markdown, with the machine it was made on."""
    rows = found.rows
    shown = pd.DataFrame(
        {
            "px": rows["size"],
            "models": rows["folds"],
            "loader alone, images/s": rows["loader"].map("{:,.0f}".format),
            "prediction, images/s": rows["prediction"].map("{:,.0f}".format),
            "prediction / loader": rows["share"].map("{:.0%}".format),
            "looking for faces too, images/s": rows["with_faces"].map("{:,.0f}".format),
        }
    )
    return (
        f"Prediction on {runtime.processor()['device']}, {runtime.cores()} cores: medians of {found.repeats} passes, "
        f"in turns, over {found.images} JPEG files of {SIDE}×{SIDE}. *Models*: SimpleCNNs that "
        "judge each file, one a fold. *Loader alone*: the files read and decoded with as many threads. *Prediction*: "
        "all from the paths to the verdicts, without faces; its share of the loader is the median of the passes' "
        "ratios.\n\n"
        + shown.to_markdown(index=False, disable_numparse=True)
        + f"\n\nFrom the start of a process to its first verdict: {found.first[0]:.1f} s without faces, "
        f"{found.first[1]:.1f} s with them.\n"
    )


def _write_files(count: int) -> pd.DataFrame:
    """Write photographs as JPEG files, and return what the loader needs to know of them."""
    folder = paths().root / _FOLDER
    folder.mkdir()
    rows = []
    for number in range(count):
        person, shot = number // photographs.PHOTOS % photographs.PEOPLE + 1, number % photographs.PHOTOS + 1
        path = folder / f"{number:05d}.jpg"
        gray = Image.fromarray(photographs.read(person, shot).pixels).convert("RGB")
        gray.resize((SIDE, SIDE), Image.Resampling.BICUBIC).save(path, "JPEG", quality=_QUALITY)
        data = path.read_bytes()
        rows.append((str(number), "", path.name, SIDE, SIDE, "JPEG", "RGB", hashlib.sha256(data).hexdigest()))
    columns = ["sample_id", "archive", "path", "width", "height", "format", "mode", "sha256"]
    table = pd.DataFrame(rows, columns=columns)
    return table.assign(clip_id=table["sample_id"], notes="")


def _write_run(run_config: RunConfig, settings: Params) -> None:
    """Write a run of random weights, as training leaves it."""
    model = models.create(run_config.model, modalities.shape(run_config.view))
    # what lies in a study's folder is found by its name
    (paths().study(run_config.study) / _RUN).mkdir(parents=True, exist_ok=True)
    for fold in range(run_config.folds):
        save_weights(copy_weights(model), paths().checkpoint(_RUN, fold))
        record = checkpoint_metadata.of(
            run_config,
            fold,
            epoch=1,
            metrics={},
            normalization=settings.imagenet,
            sample_ids=np.array(["real", "fake", "odd"]),
            labels=np.array([0, 1, 0]),
            logits=np.array([-1.0, 0.5, 1.0]),
        )
        tables.write_text(record.model_dump_json(), paths().checkpoint_record(_RUN, fold))
    facts = run_config.model_dump() | {"kind": "trained", "parameters": models.count_parameters(model)}
    tables.write_text(json.dumps(facts), paths().config(_RUN))


def _measure(settings: Params, samples: pd.DataFrame, repeats: int, tick: Callable[[], None]) -> dict[str, float]:
    """Time the loader and prediction in turns, and return images a second and prediction's share of the loader."""
    detector = detectors.read(_RUN)
    view = next(iter(detector.views.values()))
    regions = geometry.regions(samples, "crop", None, 0)
    modality, threads, cuda = modalities.load(view.modality), runtime.cores(), runtime.has_gpu()

    def decode() -> int:
        read = files.read(samples, regions, paths().root / _FOLDER)
        return sum(len(images) for images in modality.decode(view, read, threads=threads, cuda=cuda))

    def predict(faces: Faces | None) -> int:
        found = inputs.find([_FOLDER], paths().root)
        asked = found if faces is None else found[: max(len(found) // _WITH_FACES, 1)]
        return sum(len(part.found) for part in verdicts.predict(detector, asked, faces))

    passes = {
        "loader": decode,
        "prediction": lambda: predict(None),
        "with_faces": lambda: predict(settings.faces),
    }
    times: dict[str, list[float]] = {name: [] for name in passes}
    for work in passes.values():
        work()  # files come into the system's cache, and libraries find their best
    for _ in range(repeats):
        for name, work in passes.items():
            start = time.perf_counter()
            count = work()
            times[name].append((time.perf_counter() - start) / count)
        tick()
    ratios = np.divide(times["loader"], times["prediction"])
    rates = {name: 1 / statistics.median(seconds) for name, seconds in times.items()}
    return rates | {"share": statistics.median(ratios)}


def _first_verdict(faces: str) -> float:
    """Return the seconds that a fresh process takes to its first verdict."""
    file = next(iter(sorted((paths().root / _FOLDER).iterdir())))
    command = [sys.executable, "-m", "deepfake", "predict", str(file.resolve()), "--run", _RUN, "--json", faces]
    start = time.perf_counter()
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, cwd=paths().root
    ) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        seconds = time.perf_counter() - start
    assert json.loads(line)["run"] == _RUN
    return seconds
