"""What it takes to decode a view once: by DALI on the CPU with all threads, and with the GPU's help."""

import statistics
import tempfile
import time
from pathlib import Path

import pandas as pd

from deepfake import runtime
from deepfake.bench import photographs
from deepfake.config import ViewConfig
from deepfake.config.params import Params
from deepfake.loading import files
from deepfake.modalities import image
from deepfake.modalities.image import geometry
from deepfake.progress import SILENT, Progress

SIZES = (128, 224)
SIDE = 512
"""Of the square files: the size of DeepFakeFace's."""
_WAYS = {False: "DALI, CPU", True: "DALI, mixed"}
"""What a way of decoding is called, by whether it uses the GPU."""


def run(settings: Params, *, count: int, repeats: int, cuda: bool, progress: Progress = SILENT) -> pd.DataFrame:
    """Decode a view of the same files in each way, in turns.

    Args:
        settings: names the data set.
        count: JPEG files, rounded down to whole batches.
        repeats: how often; the time is the median.
        cuda: whether there is a GPU to help.
        progress: told the figures as they come.

    Returns:
        One row a size and way: `size`, `way`, `files`, `seconds` for all of them.
    """
    rows = []
    samples = photographs.samples(settings.dataset, count)
    with tempfile.TemporaryDirectory() as folder:
        loose = photographs.write_files(samples, settings.dataset, Path(folder), SIDE)
        for size in SIZES:
            ways = {gpu: name for gpu, name in _WAYS.items() if cuda or not gpu}
            times: dict[str, list[float]] = {name: [] for name in ways.values()}
            for gpu in ways:  # the first time, libraries are loaded
                _seconds(loose, Path(folder), size, cuda=gpu)
            for _ in range(repeats):
                for gpu, name in ways.items():
                    times[name].append(_seconds(loose, Path(folder), size, cuda=gpu))
            for name, seconds in times.items():
                rows.append({"size": size, "way": name, "files": len(loose), "seconds": statistics.median(seconds)})
                progress.say(f"decoding {len(loose)} files to {size} px: {name}: {rows[-1]['seconds']:.2f} s")
    return pd.DataFrame(rows)


def report(rows: pd.DataFrame, repeats: int) -> str:
    """Return the table as Markdown."""
    shown = pd.DataFrame(
        {
            "px": rows["size"],
            "decoded by": rows["way"],
            "seconds": rows["seconds"].map("{:.2f}".format),
            "files/s": (rows["files"] / rows["seconds"]).map("{:,.0f}".format),
        }
    )
    return (
        f"A view of {rows['files'].iloc[0]} JPEG files of {SIDE}×{SIDE} px, decoded once with {runtime.cores()} "
        f"threads: medians of {repeats}, pipelines included. *Mixed*: the GPU finishes what the CPU begins.\n\n"
        + shown.to_markdown(index=False, disable_numparse=True)
        + "\n"
    )


def _seconds(samples: pd.DataFrame, folder: Path, size: int, *, cuda: bool) -> float:
    """Return how long it takes to decode files from their folder."""
    facts = {"dataset": "bench", "view": "bench", "modality": "image", "geometry": "crop", "face_margin": None}
    view = ViewConfig.model_validate(facts | {"size": size, "seconds": None, "loader": "dali"})
    start = time.perf_counter()
    read = files.read(samples, geometry.regions(samples, "crop", None, 0), folder)
    done = sum(len(batch) for batch in image.decode(view, read, threads=runtime.cores(), cuda=cuda))
    assert done == len(samples)
    return time.perf_counter() - start
