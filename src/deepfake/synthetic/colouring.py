"""Makes recordings alike in what says nothing about how speech was made: the long-term spectrum, and the peaks."""

import numpy as np
from scipy import ndimage, signal

from deepfake.synthetic.recordings import RATE

BANDS = 100 * 2 ** np.arange(0, 6.34, 1 / 3)
"""Centres of the bands of a third of an octave, from 100 Hz to 8 kHz."""
_FLOOR = -60.0
"""Decibels below the mean power of a recording that a band has at least: what is empty is not lifted."""
_LIFT = 20.0
"""Decibels by which a band is lifted at most, so that no codec's remains get loud."""
_TAPS = 1023
_HOLD = 81
"""Samples over which a gain is averaged, twice: it falls and rises again in 10 ms."""
_ROUNDS = 20
"""How often peaks are turned down at most: the level falls with them, so that others are too high again."""
_ENOUGH = 0.999


def spectrum(samples: np.ndarray) -> np.ndarray:
    """Return the mean power of each of `BANDS`, in decibels relative to the mean of all frequencies."""
    frequencies, power = signal.welch(samples, RATE, nperseg=1024)
    edges = BANDS[:, None] * 2.0 ** np.array([-1 / 6, 1 / 6])
    inside = (frequencies >= edges[:, :1]) & (frequencies < edges[:, 1:])
    means = inside @ power / inside.sum(axis=1) / power.mean()
    return np.maximum(10 * np.log10(np.maximum(means, 1e-12)), _FLOOR)


def coloured(samples: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Return samples with the long-term spectrum of another recording, by a filter without phase.

    Args:
        samples: mono, at `RATE`.
        target: decibels of each of `BANDS`, as of `spectrum`.

    Returns:
        as many samples, as loud as these.
    """
    gains = np.minimum(target - spectrum(samples), _LIFT)
    points = np.linspace(0, RATE / 2, 513)
    response = 10 ** (np.interp(np.log(np.maximum(points, 1)), np.log(BANDS), gains) / 20)
    filtered = signal.oaconvolve(samples, signal.firwin2(_TAPS, points, response, fs=RATE), "same")
    return filtered * np.sqrt(np.mean(samples**2) / np.mean(filtered**2))


def limited(samples: np.ndarray, level: float, crest: float) -> np.ndarray:
    """Return samples of a level whose peaks are turned down, softly, to a multiple of it.

    Args:
        samples: mono, at `RATE`.
        level: their root mean square afterwards.
        crest: how many times as high a peak is at most; little more where much was above.
    """
    for _ in range(_ROUNDS):
        samples = samples * level / np.sqrt(np.mean(samples**2))
        gain = np.minimum(1, level * crest / np.maximum(np.abs(samples), 1e-12))
        if gain.min() > _ENOUGH:
            break
        held = ndimage.minimum_filter1d(gain, 2 * _HOLD - 1)
        samples = samples * ndimage.uniform_filter1d(ndimage.uniform_filter1d(held, _HOLD), _HOLD)
    return samples * level / np.sqrt(np.mean(samples**2))
