"""The recorded and the synthesised speech that the package carries: Opus files in two archives, and a table of them.

`speech/LICENCES.md` says who recorded what and under which licence; the licence of the code does not cover them.
"""

import csv
import io
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import av
import av.error
import numpy as np

from deepfake.errors import InputError

FOLDER = Path(__file__).with_name("speech")
CREDIT = "Recordings from free software; speakers and licences: src/deepfake/synthetic/speech/LICENCES.md"
RATE = 16_000
"""Samples a second of everything that is decoded here and written from it."""


class Recording(NamedTuple):
    """A row of the table: a file that the package carries.

    Args:
        dataset: the data set it is for; the archive's name without `.zip`.
        source: the folder in it: `recorded`, or what synthesised it.
        speaker: who speaks, or of what a program read: who says the same.
        utterance: names what is said among all.
        language: of what is said, as in ISO 639, perhaps with a country.
        length: samples at `RATE`.
        package: the Debian package and version that it comes from.
        licence: under which it may be handed on.
        spoken_by: the speaker's name where the package gives it, or the voice of a program.
        made_from: the files of the package that were joined, or the text that was synthesised.
    """

    dataset: str
    source: str
    speaker: str
    utterance: str
    language: str
    length: int
    package: str
    licence: str
    spoken_by: str
    made_from: str

    @property
    def member(self) -> str:
        """Its name in the archive."""
        return f"{self.source}/{self.speaker}/{self.utterance}.opus"


def table(dataset: str) -> list[Recording]:
    """Return the rows of a data set, sorted by source, speaker and utterance."""
    with (FOLDER / "recordings.csv").open(encoding="utf-8", newline="") as file:
        rows = [Recording(**{**row, "length": int(row["length"])}) for row in csv.DictReader(file)]
    return sorted(row for row in rows if row.dataset == dataset)


@contextmanager
def opened(dataset: str) -> Iterator[zipfile.ZipFile]:
    """Open the archive of a data set.

    Raises:
        InputError: the package was installed without it, or it is damaged.
    """
    path = FOLDER / f"{dataset}.zip"
    try:
        with zipfile.ZipFile(path) as archive:
            yield archive
    except (FileNotFoundError, zipfile.BadZipFile):
        raise InputError(f"{path}: missing or damaged; install the package again") from None


def samples(data: bytes, length: int) -> np.ndarray:
    """Decode a file to mono at `RATE`.

    Args:
        data: a file of any kind that PyAV reads.
        length: samples to return: what a codec adds at the end is cut off.

    Returns:
        float64 [length], full scale 1.

    Raises:
        InputError: it is not audio, or shorter than that.
    """
    resampler = av.AudioResampler("flt", "mono", RATE)
    try:
        with av.open(io.BytesIO(data), "r") as container:
            frames = [part for frame in container.decode(audio=0) for part in resampler.resample(frame)]
    except (av.error.FFmpegError, IndexError) as error:
        raise InputError(f"a recording that the package carries cannot be decoded: {error}") from None
    decoded = np.concatenate([part.to_ndarray()[0] for part in [*frames, *resampler.resample(None)]])
    if len(decoded) < length:
        raise InputError(f"a recording that the package carries has {len(decoded)} samples, not {length}")
    return decoded[:length].astype(np.float64)
