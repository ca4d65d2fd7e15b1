"""The second embedded sample of speech: other recordings of people, and texts that two programs read.

`recorded.zip` (real), `espeak.zip` and `flite.zip`, members `<speaker>/<utterance>.wav`. 36 people, speakers of
`sample_audio` and called as there, say three things each that are not in it. A group is a person and what the two
programs read for them, at most two files each: the same words where the package gives them, else words like these. A
program's voice is in several groups: this set asks about programs, not about voices that were never heard.

What is not the same in both classes:

- espeak-ng reads in the person's language (in a kindred one for Low German and Walloon), Flite in English alone, while
  few people here speak English, so that a language gives something away;
- a program's voice has no room, no breath and no microphone.

Files of both classes are cut at the first and the last sound, get the long-term spectrum of the group's person and have
their peaks turned down, get margins, noise and a polarity that are drawn alike, and have been through the same codec at
the same rate. The peak level alone tells the files of espeak-ng and of Flite with an AUC of .59 and .57, the
zero-crossings with .61 and .56; without a common spectrum and common peaks it was .66 and .71, and .74 and .53.
"""

import zlib
from functools import partial
from pathlib import Path

import numpy as np

from deepfake.config.speech import SpokenTexts
from deepfake.progress import SILENT, Progress
from deepfake.synthetic import audio, colouring, recordings
from deepfake.synthetic.recordings import RATE, Recording

TITLES = {audio.REAL_SOURCE: "a person", "espeak": "formants by rule", "flite": "joined pieces, or a model"}
"""The archives' names without `.zip`, and what a person reads above each column of the contact sheet."""
LEVEL = 10 ** (-27 / 20)
"""Root mean square of every file, full scale 1."""
_FRAME = 160
"""Samples of a frame of which the loudness is measured: 10 ms."""
_BELOW = 10**2.5
"""How far below the loudest frame a frame is silent, as a ratio of powers: 25 dB."""


def generate(settings: SpokenTexts, destination: Path, progress: Progress = SILENT) -> None:
    """Write the archives into a folder by the section `sample_speech` of params.yaml; all else as `audio.generate`."""
    audio.write("sample_speech", partial(treat, settings=settings, colours=colours()), destination, progress)


def colours() -> dict[str, np.ndarray]:
    """Return the mean long-term spectrum of each person's recordings, by speaker."""
    heard: dict[str, list[np.ndarray]] = {}
    rows = recordings.table("sample_speech")
    with recordings.opened("sample_speech") as archive:
        for row in rows:
            if row.source == audio.REAL_SOURCE:
                samples = recordings.samples(archive.read(row.member), row.length)
                heard.setdefault(row.speaker, []).append(colouring.spectrum(prepared(samples)))
    return {speaker: np.mean(spectra, axis=0) for speaker, spectra in heard.items()}


def prepared(samples: np.ndarray) -> np.ndarray:
    """Return speech without what lies below a voice, cut at its first and last sound."""
    return cut(audio.alike(samples, samples))


def treat(
    recording: Recording, samples: np.ndarray, settings: SpokenTexts, colours: dict[str, np.ndarray]
) -> dict[str, bytes]:
    """Return the WAV file of a recording, or of what a program said, by its source: both treated alike.

    Args:
        recording: its row.
        samples: the samples of it.
        settings: the section `sample_speech` of params.yaml.
        colours: the long-term spectrum that all files of a group get, by speaker.
    """
    rng = np.random.default_rng([settings.seed, zlib.crc32(recording.member.encode())])
    before, after = (round(rng.uniform(settings.margin.min, settings.margin.max) * RATE) for _ in range(2))
    spoken = colouring.coloured(prepared(samples), colours[recording.speaker])
    turned = rng.choice([-1, 1])  # a voice's waveform leans to one side, a program's always to the same
    laid = colouring.limited(turned * np.pad(spoken, (before, after)), LEVEL, settings.crest)
    level = np.sqrt(np.sum(laid**2) / len(spoken)) * 10 ** (-rng.uniform(settings.noise.min, settings.noise.max) / 20)
    laid += level * rng.standard_normal(len(laid))
    return {recording.source: audio.wav(laid * LEVEL / np.sqrt(np.mean(laid**2)), rng)}


def cut(samples: np.ndarray) -> np.ndarray:
    """Return speech from its first frame to its last that is not silent, its ends faded within a frame."""
    whole = samples[: len(samples) // _FRAME * _FRAME].reshape(-1, _FRAME)
    power = np.mean(whole**2, axis=1)
    sounds = np.flatnonzero(power * _BELOW > power.max())
    spoken = whole[sounds[0] : sounds[-1] + 1].ravel().copy()
    ramp = np.linspace(0, 1, _FRAME)
    spoken[:_FRAME] *= ramp
    spoken[-_FRAME:] *= ramp[::-1]
    return spoken
