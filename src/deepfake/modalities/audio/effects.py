"""What can happen to the sound of a window, float32 [n] at 16 kHz on the scale of int16; each is a plain function."""

from functools import lru_cache

import numpy as np
import scipy.signal

from deepfake.modalities.audio.schemas import RATE

_ORDER = 8
"""Of the low-pass filter: 48 dB an octave."""


def gain(sound: np.ndarray, decibels: float) -> np.ndarray:
    """Change the level."""
    return sound * np.float32(10 ** (decibels / 20))


def noise(sound: np.ndarray, decibels: float, pattern: np.ndarray) -> np.ndarray:
    """Add noise at a signal-to-noise ratio over the whole window; silence stays silent.

    Args:
        sound: the window.
        decibels: of the ratio of the powers.
        pattern: noise of power 1, as long as the window.
    """
    level = np.sqrt(np.mean(sound.astype(np.float64) ** 2))
    return sound + pattern * np.float32(level * 10 ** (-decibels / 20))


def low_pass(sound: np.ndarray, hertz: float) -> np.ndarray:
    """Take away what lies above a frequency (Butterworth of order 8, -3 dB at it); from 8 kHz on nothing."""
    if hertz >= RATE / 2:
        return sound
    return np.asarray(scipy.signal.sosfilt(_sections(hertz), sound), np.float32)


def reverberation(sound: np.ndarray, seconds: float, pattern: np.ndarray) -> np.ndarray:
    """Add the echo of a room, as loud as the sound itself, and keep the level.

    Args:
        sound: the window.
        seconds: until the echo has fallen by 60 dB.
        pattern: noise of power 1, as long as the window: the echo's fine structure.
    """
    length = min(len(sound), max(1, round(seconds * RATE)))
    echo = pattern[:length] * np.exp(-np.log(1000) * np.arange(length) / (seconds * RATE))
    echo /= np.sqrt((echo**2).sum())
    echo[0] += 1
    wet = scipy.signal.fftconvolve(sound, echo)[: len(sound)]
    power = (wet**2).sum()
    return (wet * np.sqrt((sound.astype(np.float64) ** 2).sum() / power) if power else wet).astype(np.float32)


def stored(sound: np.ndarray) -> np.ndarray:
    """Return sound as it is stored: int16, clipped at full scale."""
    return np.rint(sound).clip(-32768, 32767).astype(np.int16)


@lru_cache(maxsize=2)
def noise_bank(window: int) -> np.ndarray:
    """Return the Gaussian noise that all noise is cut from, float32 [2 window]; the same on every machine."""
    bank = np.random.default_rng(0).standard_normal(2 * window, np.float32)
    bank.setflags(write=False)
    return bank


@lru_cache(maxsize=256)
def _sections(hertz: float) -> np.ndarray:
    """Return the sections of a low-pass filter."""
    sections = scipy.signal.butter(_ORDER, hertz, fs=RATE, output="sos")
    assert isinstance(sections, np.ndarray)
    return sections
