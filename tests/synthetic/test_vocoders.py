"""Vocoders against independent references: torch's transforms, scipy's Toeplitz solver, formulas by hand."""

import numpy as np
import pytest
import torch
from scipy import linalg, signal

from deepfake.synthetic import vocoders
from deepfake.synthetic.vocoders import HOP, RATE, WINDOW

LENGTH = 8000


def filtered(poles: object, samples: np.ndarray) -> np.ndarray:
    return np.asarray(signal.lfilter([1], poles, samples))


def a_vowel(pitch: float = 120.0, length: int = LENGTH) -> np.ndarray:
    """Pulses through three resonances, as of an open vowel."""
    pulses = np.zeros(length)
    pulses[:: round(RATE / pitch)] = 1
    for formant, band in ((700, 80), (1200, 90), (2600, 120)):
        radius = np.exp(-np.pi * band / RATE)
        pulses = filtered([1, -2 * radius * np.cos(2 * np.pi * formant / RATE), radius**2], pulses)
    return 0.1 * pulses / np.abs(pulses).max()


def of_torch(samples: np.ndarray) -> torch.Tensor:
    window = torch.hann_window(WINDOW, dtype=torch.float64)
    wave = torch.from_numpy(samples)
    return torch.stft(wave, WINDOW, HOP, window=window, center=True, pad_mode="constant", return_complex=True)


@pytest.mark.parametrize("length", [LENGTH, 8001, 8127, 600])
def test_the_transform_is_torchs_and_its_inverse_gives_the_samples_back(length: int) -> None:
    samples = np.random.default_rng(1).standard_normal(length)
    spectrum = vocoders.stft(samples)
    np.testing.assert_allclose(spectrum, of_torch(samples).numpy().T, atol=1e-9)
    np.testing.assert_allclose(vocoders.istft(spectrum, length), samples, atol=1e-9)


def test_griffin_lim_follows_the_published_iteration() -> None:
    target = np.abs(vocoders.stft(a_vowel()))
    made = vocoders.with_magnitudes(target, LENGTH, 20, np.random.default_rng(3))

    # the same in torch: Perraudin et al. 2013, algorithm 2
    magnitudes = torch.from_numpy(target.T.copy())
    window = torch.hann_window(WINDOW, dtype=torch.float64)
    phases = torch.from_numpy(np.random.default_rng(3).random(target.shape).T.copy())
    spectrum, before = torch.polar(magnitudes, 2 * torch.pi * phases), torch.zeros(())
    for _ in range(20):
        wave = torch.istft(spectrum, WINDOW, HOP, window=window, length=LENGTH)
        consistent = of_torch(wave.numpy())
        spectrum = torch.polar(magnitudes, torch.angle(consistent + 0.99 * (consistent - before)))
        before = consistent
    reference = torch.istft(spectrum, WINDOW, HOP, window=window, length=LENGTH).numpy()
    assert np.corrcoef(made, reference)[0, 1] > 0.999


def test_griffin_lim_comes_nearer_to_the_spectrogram_with_every_few_rounds() -> None:
    target = np.abs(vocoders.stft(a_vowel()))

    def convergence(rounds: int) -> float:
        made = vocoders.with_magnitudes(target, LENGTH, rounds, np.random.default_rng(3))
        return float(np.linalg.norm(np.abs(of_torch(made).numpy().T) - target) / np.linalg.norm(target))

    errors = [convergence(rounds) for rounds in (0, 4, 16, 64)]
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] < errors[0] / 3


def test_mel_bands_are_triangles_between_their_neighbours_centres() -> None:
    bank = vocoders.mel_bank(40)
    mels = np.linspace(0, 1127 * np.log(1 + RATE / 2 / 700), 42)
    edges = 700 * (np.exp(mels / 1127) - 1)
    frequencies = np.linspace(0, RATE / 2, WINDOW // 2 + 1)
    for band in (0, 17, 39):
        triangle = np.interp(frequencies, edges[band : band + 3], [0, 1, 0])
        np.testing.assert_allclose(bank[band], triangle, atol=2e-4)  # 2595 log10 and 1127 ln differ in the fifth digit


def test_griffin_lim_keeps_the_mel_spectrogram_and_not_the_wave() -> None:
    samples = a_vowel()
    made = vocoders.griffin_lim(samples, 80, 32, np.random.default_rng(0))
    assert made.shape == samples.shape
    bank = vocoders.mel_bank(40)
    before, after = (np.log(np.abs(vocoders.stft(x)) @ bank.T + 1e-4) for x in (samples, made))
    assert np.corrcoef(before.ravel(), after.ravel())[0, 1] > 0.95
    assert abs(np.corrcoef(samples, made)[0, 1]) < 0.9


@pytest.mark.parametrize("order", [8, 18])
def test_predictors_solve_the_normal_equations(order: int) -> None:
    windowed = vocoders.frames(a_vowel() + 0.001 * np.random.default_rng(0).standard_normal(LENGTH))[5:9]
    filters, error = vocoders.predictors(windowed, order)
    for frame, coefficients, left in zip(windowed, filters, error, strict=True):
        lags = np.correlate(frame, frame, "full")[len(frame) - 1 :][: order + 1]
        lags[0] = lags[0] * (1 + 1e-6) + 1e-9
        solved = np.asarray(linalg.solve_toeplitz(lags[:-1], -lags[1:]))
        np.testing.assert_allclose(coefficients, np.append(1, solved), rtol=1e-5, atol=1e-5)
        assert left == pytest.approx(lags[0] + solved @ lags[1:], rel=1e-5)


def test_predictors_find_the_resonances_of_a_known_filter() -> None:
    known = np.array([1, -1.6, 0.81])
    noise = np.random.default_rng(4).standard_normal(200_000)
    filters, _ = vocoders.predictors(vocoders.frames(filtered(known, noise)), 2)
    np.testing.assert_allclose(filters[2:-2].mean(axis=0), known, atol=0.02)


def test_pulses_come_at_the_pitch_and_have_the_power_of_noise() -> None:
    pitch = np.concatenate([np.full(RATE, 125.0), np.zeros(RATE)])
    made = vocoders.excite(pitch, np.random.default_rng(0))
    assert np.count_nonzero(made[:RATE]) == 125
    assert np.unique(np.diff(np.flatnonzero(made[:RATE]))).tolist() == [128]
    assert np.mean(made[:RATE] ** 2) == pytest.approx(1)
    assert np.mean(made[RATE:] ** 2) == pytest.approx(1, abs=0.05)


@pytest.mark.parametrize("sign", [1, -1])
def test_linear_prediction_gives_a_vowel_its_pitch_its_formants_and_its_polarity(sign: int) -> None:
    samples = sign * a_vowel(125)
    made = vocoders.lpc(samples, 18, np.full(LENGTH, 125.0), np.random.default_rng(0))
    assert made.shape == samples.shape
    assert np.sign(np.mean(made**3)) == np.sign(np.mean(samples**3))
    spectra = [np.abs(np.fft.rfft(x * np.hanning(LENGTH))) for x in (samples, made)]
    harmonics = np.arange(125, 3500, 125) * LENGTH // RATE
    for spectrum in spectra:  # all power is at multiples of the pitch
        assert np.sum(spectrum[harmonics]) > 5 * np.sum(spectrum[harmonics + 30])
    levels = [20 * np.log10(spectrum[harmonics] / np.linalg.norm(spectrum[harmonics])) for spectrum in spectra]
    assert np.sqrt(np.mean((levels[0] - levels[1]) ** 2)) < 3


def test_silence_stays_silent() -> None:
    made = vocoders.lpc(np.zeros(LENGTH), 18, np.zeros(LENGTH), np.random.default_rng(0))
    assert np.abs(made).max() < 1e-4
    assert np.abs(vocoders.griffin_lim(np.zeros(LENGTH), 80, 4, np.random.default_rng(0))).max() < 1e-4
