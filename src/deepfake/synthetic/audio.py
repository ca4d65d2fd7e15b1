"""The embedded sample of speech: recordings of people, and what vocoders and a codec make of each of them.

Archives share the names of their members: `recorded.zip` (real), `griffin_lim.zip`, `lpc.zip`, `psola.zip` and
`codec.zip`, members `<speaker>/<utterance>.wav`. A copy has the words, the voice, the length to the sample and the
loudness of its recording, and one writer writes both: only the synthesis differs. The package carries the recordings as
Opus files; a recording and its copies start from the same decoded samples. A speaker is a group.
"""

import io
import os
import wave
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
from scipy import signal

from deepfake.config.speech import SpeechCopies
from deepfake.progress import SILENT, Progress
from deepfake.synthetic import archives, recordings, resynthesis, vocoders
from deepfake.synthetic.recordings import RATE, Recording
from deepfake.synthetic.sample import single_threaded_libraries

REAL_SOURCE = "recorded"
COPIES: dict[str, Callable[[np.ndarray, SpeechCopies, np.random.Generator], np.ndarray]] = {
    "griffin_lim": lambda samples, how, rng: vocoders.griffin_lim(samples, how.mels, how.iterations, rng),
    "lpc": lambda samples, how, rng: vocoders.lpc(samples, how.order, resynthesis.pitch(samples), rng),
    "psola": lambda samples, how, _: resynthesis.psola(samples, how.flatness),
    "codec": lambda samples, how, _: resynthesis.codec(samples, how.bit_rate),
}
"""Maps the samples of a recording, the settings and a generator to as many samples."""
TITLES = {
    REAL_SOURCE: "a person",
    "griffin_lim": "phases guessed",
    "lpc": "pulses and noise, filtered",
    "psola": "melody flattened",
    "codec": "a low-rate codec",
}
"""The archives' names without `.zip`, and what a person reads above each column of the contact sheet. An entry's place
is part of its samples' seed, so only append."""
_HIGH_PASS = signal.butter(4, 65, "highpass", fs=RATE, output="sos")


def generate(settings: SpeechCopies, destination: Path, progress: Progress = SILENT) -> None:
    """Write the archives into a folder, whole or not at all.

    The same settings give the same bytes on any number of cores.

    Args:
        settings: the section `sample_audio` of params.yaml.
        destination: the folder; one that exists is replaced.
        progress: told of the recordings done.

    Raises:
        InputError: the package lacks its recordings.
        OSError: the folder cannot be written.
    """
    write("sample_audio", partial(copies, settings=settings), destination, progress)


def copies(recording: Recording, samples: np.ndarray, settings: SpeechCopies) -> dict[str, bytes]:
    """Return the WAV files of a recording and of its copies, by source."""
    files = {}
    for place, source in enumerate(TITLES):
        rng = np.random.default_rng([settings.seed, place, zlib.crc32(recording.utterance.encode())])
        made = samples if source == REAL_SOURCE else COPIES[source](samples, settings, rng)
        files[source] = wav(alike(made, samples), rng)
    return files


def alike(made: np.ndarray, recording: np.ndarray) -> np.ndarray:
    """Return samples without what lies below a voice, and as loud as the recording (root mean square)."""
    made, recording = np.asarray(signal.sosfilt(_HIGH_PASS, [made, recording]))
    return made * np.sqrt(np.mean(recording**2) / max(float(np.mean(made**2)), 1e-12))


def wav(samples: np.ndarray, rng: np.random.Generator) -> bytes:
    """Return a WAV file, mono, 16 bits: with triangular dither, so that no silence is one of zeros only."""
    dithered = samples * 32767 + rng.triangular(-1, 0, 1, len(samples))
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setnchannels(1)
        writer.setsampwidth(2)
        writer.setframerate(RATE)
        writer.writeframes(np.clip(np.round(dithered), -32768, 32767).astype("<i2").tobytes())
    return file.getvalue()


def write(
    dataset: str,
    make: Callable[[Recording, np.ndarray], dict[str, bytes]],
    destination: Path,
    progress: Progress,
) -> None:
    """Make files of all recordings of a data set, side by side, and write an archive a source into a folder.

    Args:
        dataset: whose recordings are read.
        make: maps a recording and its samples to each source's file.
        destination: the folder; one that exists is replaced.
        progress: told of the recordings done.
    """
    rows = recordings.table(dataset)
    with recordings.opened(dataset) as archive:
        packed = [archive.read(row.member) for row in rows]

    def one(row: Recording, data: bytes) -> dict[str, bytes]:
        return make(row, recordings.samples(data, row.length))

    members: dict[str, dict[str, bytes]] = {}
    with single_threaded_libraries(), ThreadPoolExecutor(os.cpu_count()) as pool:
        for done, (row, files) in enumerate(zip(rows, pool.map(one, rows, packed), strict=True), 1):
            for source, data in files.items():
                members.setdefault(source, {})[f"{row.speaker}/{row.utterance}.wav"] = data
            progress.advance(f"generating {destination.name}", done, len(rows))
    with archives.replacing(destination) as folder:
        for source, files in members.items():
            archives.write_zip(files, folder / f"{source}.zip")
