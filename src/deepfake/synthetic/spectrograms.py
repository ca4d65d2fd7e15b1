"""A picture of a generated data set of speech: log-mel spectrograms of some recordings and of the fakes beside them."""

import io
import wave
from contextlib import ExitStack
from pathlib import Path
from zipfile import ZipFile

import numpy as np
from matplotlib.figure import Figure

from deepfake import tables
from deepfake.synthetic import recordings, vocoders

ROWS = 5
"""Utterances on a sheet, at most."""
SECONDS = 1.5
"""Of each utterance that are shown."""
MELS, RANGE = 64, 70
"""Bands of a spectrogram; decibels below its loudest point that are shown."""


def draw(raw: Path, titles: dict[str, str], path: Path) -> None:
    """Draw the spectrograms of a few utterances, a column a source.

    A row is an utterance, each of another speaker. The picture shows recordings: it is made anew from the archives and
    never committed.

    Args:
        raw: a folder of archives of WAV files that share names.
        titles: the archives' names without `.zip`, in the order of the columns, and what a person reads above each.
        path: the PNG to write.
    """
    with ExitStack() as stack:
        opened = {source: stack.enter_context(ZipFile(raw / f"{source}.zip")) for source in titles}
        members = spread(set.intersection(*(set(archive.namelist()) for archive in opened.values())))
        rows = len(members)
        figure = Figure(figsize=(2.4 * len(titles), 1.6 * rows + 1), dpi=94, layout="constrained")
        axes = figure.subplots(rows, len(titles), squeeze=False)
        for column, (source, archive) in enumerate(opened.items()):
            axes[0, column].set_title(f"{source}\n({titles[source]})", fontsize=10)
            for row, member in enumerate(members):
                panel = axes[row, column]
                shown = spectrogram(archive.read(member))
                panel.imshow(
                    shown, "magma", aspect="auto", interpolation="nearest", origin="lower", vmin=-RANGE, vmax=0
                )
                name = Path(member).stem
                panel.text(0.03, 0.95, name, color="white", fontsize=7, va="top", transform=panel.transAxes)
                panel.set(xticks=[], yticks=[])
    figure.supxlabel(f"the first {SECONDS} s; mel bands from 0 to 8 kHz\n{recordings.CREDIT}", fontsize=9)
    with tables.atomic(path) as temporary:
        figure.savefig(temporary, format="png")


def spread(members: set[str]) -> list[str]:
    """Return at most `ROWS` members, of speakers who lie evenly among all."""
    first = {member.split("/")[0]: member for member in sorted(members, reverse=True)}
    speakers = sorted(first)
    chosen = np.linspace(0, len(speakers) - 1, min(ROWS, len(speakers))).round().astype(int)
    return [first[speakers[place]] for place in chosen]


def spectrogram(data: bytes) -> np.ndarray:
    """Return the log-mel spectrogram of a WAV file in decibels below its loudest point: float64 [MELS, frames]."""
    with wave.open(io.BytesIO(data)) as file:
        samples = np.frombuffer(file.readframes(round(SECONDS * recordings.RATE)), "<i2") / 32768
    samples = np.pad(samples, (0, max(0, round(SECONDS * recordings.RATE) - len(samples))))
    power = np.abs(vocoders.stft(samples)) ** 2 @ vocoders.mel_bank(MELS).T
    return 10 * np.log10(np.maximum(power / power.max(), 1e-12)).T
