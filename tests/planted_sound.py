"""A made data set of sound: noise of as many speakers as wanted, in archives of sources."""

import io
import wave
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

from deepfake.config.images import Ingest
from deepfake.config.params import Params
from deepfake.datasets import catalog, ingest, partition
from deepfake.datasets.catalog import DataSet
from deepfake.project import paths

NAME = "voices"
SOURCES = {"recorded": "real", "copied": "fake"}
RATE = 16000
ENTRY = {
    "title": "made voices",
    "modality": "audio",
    "adapter": "sources",
    "group": "folder",
    "sources": SOURCES,
    "licence": "none",
    "obtain": "ask the test",
}
"""What a catalog says of it."""
Change = Callable[[np.ndarray, str], tuple[np.ndarray, int]]
"""Maps the sound of a recording, float in [-1, 1], and its source to what is written, and the rate that is said."""


def unchanged(sound: np.ndarray, source: str) -> tuple[np.ndarray, int]:
    return sound, RATE


def wav(sound: np.ndarray, rate: int) -> bytes:
    """Return a recording of 16 bits as the bytes of a file."""
    file = io.BytesIO()
    with wave.open(file, "wb") as opened:
        opened.setnchannels(1)
        opened.setsampwidth(2)
        opened.setframerate(rate)
        opened.writeframes((sound * 32767).astype("<i2").tobytes())
    return file.getvalue()


def voice(rng: np.random.Generator, seconds: float) -> np.ndarray:
    """Return noise whose level and colour vary, as those of speech do."""
    sound = rng.normal(size=round(seconds * RATE))
    colour = rng.uniform(0.3, 0.9)
    for _ in range(2):
        sound[1:] += colour * sound[:-1]
    return sound / np.abs(sound).max() * rng.uniform(0.3, 0.9)


def write(
    speakers: int,
    each: int,
    change: Change = unchanged,
    seconds: tuple[float, float] = (0.8, 2.0),
    *,
    name: str = NAME,
    seed: int = 5,
) -> Path:
    """Write `each` recordings of each speaker and source; real and fake ones are drawn alike before the change."""
    raw = paths().raw(name)
    raw.mkdir(parents=True)
    rng = np.random.default_rng(seed)
    for source in SOURCES:
        with zipfile.ZipFile(raw / f"{source}.zip", "w") as archive:
            for speaker in range(speakers):
                for number in range(each):
                    sound = voice(rng, rng.uniform(*seconds))
                    archive.writestr(f"s{speaker:02d}/{number}.wav", wav(*change(sound, source)))
    return raw


def prepare(settings: Params, max_quarantined: float = 0.5, *, name: str = NAME) -> DataSet:
    """Ingest and split what was written."""
    entry = DataSet.model_validate(ENTRY)
    ingest.write(name, entry, Ingest(max_quarantined=max_quarantined, frames=8, window=4.0), threads=2)
    partition.write(name, settings, catalog.load() | {name: entry})
    return entry
