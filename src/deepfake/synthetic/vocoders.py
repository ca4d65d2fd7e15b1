"""Vocoders: speech is taken apart into a few parameters a frame and made anew from them, with phases of their own.

Signals are float64 [n] at 16 kHz, full scale 1; frames are hops of `HOP` samples.
"""

import numpy as np
from scipy import fft, signal

RATE = 16_000
WINDOW = 512
"""Samples of a frame: 32 ms."""
HOP = 128
"""Samples from frame to frame: 8 ms, a quarter of a frame, so that squared Hann windows add up to a constant."""
MOMENTUM = 0.99
"""Of the fast Griffin-Lim algorithm."""
PRE_EMPHASIS = 0.97
"""Of the signal whose envelope linear prediction follows: speech falls by some 6 dB an octave."""
_HANN = np.hanning(WINDOW + 1)[:-1]
_FLOOR = 1e-10


def griffin_lim(samples: np.ndarray, mels: int, iterations: int, rng: np.random.Generator) -> np.ndarray:
    """Make speech from its log-mel spectrogram alone, the phases found by iteration.

    The fast Griffin-Lim algorithm (Perraudin et al. 2013), from random phases; the spectrogram between the mel bands
    is the least-squares one, without negative values.

    Args:
        samples: the speech.
        mels: bands, evenly on the mel scale from 0 Hz to 8 kHz.
        iterations: rounds of the algorithm.
        rng: draws the first phases.

    Returns:
        As many samples.
    """
    bank = mel_bank(mels)
    log_mel = np.log(np.abs(stft(samples)) @ bank.T + _FLOOR)
    magnitudes = np.maximum(np.exp(log_mel) @ np.linalg.pinv(bank).T, 0)
    return with_magnitudes(magnitudes.astype(np.float32), len(samples), iterations, rng)


def with_magnitudes(magnitudes: np.ndarray, length: int, iterations: int, rng: np.random.Generator) -> np.ndarray:
    """Return a signal whose spectrogram comes near the given magnitudes (frames, frequencies)."""
    phases = rng.random(magnitudes.shape, magnitudes.dtype)
    spectrum = magnitudes * np.exp(2j * np.pi * phases)
    before = np.zeros_like(spectrum)
    for _ in range(iterations):
        consistent = stft(istft(spectrum, length))
        ahead = consistent + MOMENTUM * (consistent - before)
        before = consistent
        spectrum = magnitudes * ahead / np.maximum(np.abs(ahead), _FLOOR)
    return istft(spectrum, length)


def mel_bank(mels: int) -> np.ndarray:
    """Return triangular filters of unit peak on the mel scale of O'Shaughnessy: float64 [mels, WINDOW // 2 + 1]."""
    top = 2595 * np.log10(1 + RATE / 2 / 700)
    edges = 700 * (10 ** (np.linspace(0, top, mels + 2) / 2595) - 1)
    bins = np.fft.rfftfreq(WINDOW, 1 / RATE)
    low, middle, high = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    return np.maximum(0, np.minimum((bins - low) / (middle - low), (high - bins) / (high - middle)))


def lpc(samples: np.ndarray, order: int, pitch: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Make speech from linear prediction: an all-pole filter a frame, excited by pulses or by noise.

    The classical vocoder (Atal and Hanauer 1971): pulses at the pitch where speech is voiced, noise where it is not,
    each frame with the energy of its own prediction error.

    Args:
        samples: the speech.
        order: poles of the filter.
        pitch: Hz for every sample, 0 where it is not voiced: float64 [n].
        rng: draws the noise.

    Returns:
        As many samples.
    """
    flat = np.asarray(signal.lfilter([1, -PRE_EMPHASIS], [1], samples))
    coefficients, error = predictors(frames(flat), order)
    excitation = frames(excite(pitch, rng))
    # of the windowed frame, whose samples add up to the window's energy at unit variance
    gain = np.sqrt(error / np.sum(_HANN**2))
    # the filters ring on beyond their frame: twice its length holds that
    size = 2 * WINDOW
    response = 1 / np.asarray(fft.rfft(coefficients, size))
    spectrum = np.asarray(fft.rfft(excitation, size)) * response
    filtered = np.asarray(fft.irfft(spectrum, size)) * gain[:, None]
    made = overlap_added(filtered)[WINDOW // 2 : WINDOW // 2 + len(samples)]
    spoken = np.asarray(signal.lfilter([1], [1, -PRE_EMPHASIS], made))
    # pulses point one way, and so do a voice's: which way depends on the microphone
    return spoken * np.sign(np.mean(samples**3) * np.mean(spoken**3))


def excite(pitch: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return pulses where there is a pitch (Hz a sample), noise elsewhere, of unit power both."""
    cycles = np.cumsum(pitch / RATE)
    pulses = np.diff(np.floor(cycles), prepend=0.0) * np.sqrt(RATE / np.maximum(pitch, 1))
    return np.where(pitch > 0, pulses, rng.standard_normal(len(pitch)))


def predictors(windowed: np.ndarray, order: int) -> tuple[np.ndarray, np.ndarray]:
    """Predict each sample of windowed frames from those before it (Levinson-Durbin recursion, all frames at once).

    Args:
        windowed: float64 [frames, samples].
        order: samples that a prediction looks at.

    Returns:
        The prediction-error filters, float64 [frames, order + 1], the first coefficient 1; and the energies of the
        prediction errors, float64 [frames].
    """
    power = np.abs(np.asarray(fft.rfft(windowed, 2 * windowed.shape[1]))) ** 2
    lags = np.asarray(fft.irfft(power))[:, : order + 1]
    lags[:, 0] = lags[:, 0] * (1 + 1e-6) + 1e-9  # frames of silence, too, have a filter
    filters = np.zeros_like(lags)
    filters[:, 0] = 1
    error = lags[:, 0].copy()
    for step in range(1, order + 1):
        reflection = -np.sum(filters[:, :step] * lags[:, step:0:-1], axis=1) / error
        filters[:, 1 : step + 1] += reflection[:, None] * filters[:, step - 1 :: -1][:, :step]
        error *= 1 - reflection**2
    return filters, error


def frames(samples: np.ndarray) -> np.ndarray:
    """Cut a signal into windowed frames centred on every hop: float64 [frames, WINDOW]."""
    padded = np.pad(samples, WINDOW // 2)
    return np.lib.stride_tricks.sliding_window_view(padded, WINDOW)[::HOP] * _HANN.astype(samples.dtype)


def stft(samples: np.ndarray) -> np.ndarray:
    """Return the short-time Fourier transform: complex [frames, WINDOW // 2 + 1]."""
    return np.asarray(fft.rfft(frames(samples)))  # numpy's takes three times as long in single precision


def istft(spectrum: np.ndarray, length: int) -> np.ndarray:
    """Return the signal whose transform is nearest (Griffin and Lim 1984): float64 [length]."""
    windowed = np.asarray(fft.irfft(spectrum, WINDOW))
    windowed *= _HANN.astype(windowed.dtype)
    weight = overlap_added(np.broadcast_to(_HANN.astype(windowed.dtype) ** 2, windowed.shape))
    whole = overlap_added(windowed) / np.maximum(weight, _FLOOR)
    return whole[WINDOW // 2 : WINDOW // 2 + length]


def overlap_added(pieces: np.ndarray) -> np.ndarray:
    """Return the sum of pieces [n, a multiple of `HOP`], each a hop after the one before."""
    steps = pieces.shape[1] // HOP
    made = np.zeros((len(pieces) + steps - 1, HOP), pieces.dtype)
    for step in range(steps):
        made[step : step + len(pieces)] += pieces[:, step * HOP : (step + 1) * HOP]
    return made.ravel()
