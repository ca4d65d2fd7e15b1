"""Spectra and peaks of recordings are made alike, checked on signals whose spectra and peaks are known."""

from itertools import pairwise

import numpy as np
from scipy import signal

from deepfake.synthetic import colouring


def octaves(samples: np.ndarray) -> np.ndarray:
    """Return the power in each octave from 125 Hz to 8 kHz as a share of all there, in decibels, by one FFT."""
    power = np.abs(np.fft.rfft(samples)) ** 2
    frequencies = np.fft.rfftfreq(len(samples), 1 / 16_000)
    edges = 125 * 2.0 ** np.arange(7)
    sums = np.array([power[(frequencies >= a) & (frequencies < b)].sum() for a, b in pairwise(edges)])
    return 10 * np.log10(sums / sums.sum())


def test_a_recording_gets_the_spectrum_of_another_and_keeps_its_loudness_and_its_place() -> None:
    rng = np.random.default_rng(0)
    white = rng.standard_normal(32_000)
    bright = np.asarray(
        signal.sosfilt(signal.butter(1, 2000, "highpass", fs=16_000, output="sos"), rng.standard_normal(32_000))
    )
    dull = np.asarray(
        signal.sosfilt(signal.butter(2, 1000, "lowpass", fs=16_000, output="sos"), rng.standard_normal(32_000))
    )
    assert np.max(np.abs(octaves(bright) - octaves(dull))) > 15
    for made, target in ((bright, white), (white, bright), (white, dull), (dull, dull)):
        out = colouring.coloured(made, colouring.spectrum(target))
        np.testing.assert_allclose(octaves(out), octaves(target), atol=1.5)
        assert len(out) == len(made)
        np.testing.assert_allclose(np.std(out), np.std(made), rtol=0.01)
        # a filter without phase: what is where stays where it is
        assert np.argmax(signal.correlate(out, made, "same")) == len(made) // 2


def test_what_a_recording_lacks_is_lifted_by_no_more_than_twenty_decibels() -> None:
    rng = np.random.default_rng(0)
    telephone = np.asarray(
        signal.sosfiltfilt(signal.butter(12, 3500, fs=16_000, output="sos"), rng.standard_normal(32_000))
    )
    out = colouring.coloured(telephone, colouring.spectrum(rng.standard_normal(32_000)))
    assert octaves(out)[-1] < -20
    narrow = colouring.coloured(rng.standard_normal(32_000), colouring.spectrum(telephone))
    assert octaves(narrow)[-1] < -30


def test_white_noise_has_the_same_power_in_all_bands() -> None:
    np.testing.assert_allclose(colouring.spectrum(np.random.default_rng(0).standard_normal(320_000)), 0, atol=0.6)


def test_peaks_are_turned_down_to_a_multiple_of_the_level_and_the_rest_keeps_its_shape() -> None:
    samples = np.sin(2 * np.pi * 0.05 * np.arange(16_000))
    samples[8000] = 30
    out = colouring.limited(samples, 0.05, 4)
    np.testing.assert_allclose(np.sqrt(np.mean(out**2)), 0.05)
    assert np.argmax(np.abs(out)) == 8000
    assert 3.9 < np.abs(out).max() / 0.05 < 4.05
    np.testing.assert_allclose(out[:7000] / out[5], samples[:7000] / samples[5], rtol=1e-9, atol=1e-9)
    # one whose peaks are low only gets the level
    np.testing.assert_allclose(colouring.limited(samples[:8000], 0.05, 4), samples[:8000] * 0.05 / np.sqrt(0.5))
