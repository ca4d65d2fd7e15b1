"""What a model sees of a window, against scipy and filter banks written out by hand."""

import math
from typing import Any

import numpy as np
import pytest
import scipy.fft
import scipy.signal
import torch

from deepfake.config.images import Normalization
from deepfake.modalities.audio import front_ends
from recordings import RATE, speechlike

AS_IT_IS = Normalization(mean=(0, 0, 0), std=(1, 1, 1))
CPU = torch.device("cpu")


def shown(name: str, bins: int, sounds: np.ndarray, scale: Normalization = AS_IT_IS) -> np.ndarray:
    """Return the maps of some windows."""
    return front_ends.inputs(name, bins, scale, CPU)(torch.from_numpy(sounds)).numpy()


def triangles(corners: list[float], points: int) -> np.ndarray:
    """Return a filter bank, filter by filter and frequency by frequency."""
    bank = np.zeros((points // 2 + 1, len(corners) - 2))
    for number, (left, middle, right) in enumerate(zip(corners, corners[1:], corners[2:], strict=False)):
        for point in range(points // 2 + 1):
            hertz = point * RATE / points
            if left < hertz <= middle:
                bank[point, number] = (hertz - left) / (middle - left)
            elif middle < hertz < right:
                bank[point, number] = (right - hertz) / (right - middle)
    return bank


def mel(hertz: float) -> float:
    return 1127.0104 * math.log(1 + hertz / 700)


def mel_corners(bins: int) -> list[float]:
    low, high = mel(20), mel(8000)
    steps = [low + (high - low) * number / (bins + 1) for number in range(bins + 2)]
    return [700 * (math.exp(step / 1127.0104) - 1) for step in steps]


def test_log_mel_is_that_of_scipy_and_a_bank_by_hand() -> None:
    sounds = np.stack([speechlike(4), speechlike(4, seed=1) // 50])
    how: dict[str, Any] = {"nperseg": 640, "noverlap": 320, "nfft": 1024, "boundary": None, "padded": False}
    _, _, spectra = scipy.signal.stft(sounds / 32768, RATE, window="hann", **how)
    # a sine of amplitude 1 has 1/2 on either side of the spectrum
    energies = np.einsum("bpf,pm->bmf", np.abs(2 * spectra) ** 2, triangles(mel_corners(64), 1024))
    expected = np.maximum(1 + 10 * np.log10(np.maximum(energies, 1e-30)) / 100, 0)
    found = shown("log_mel", 64, sounds)
    assert found.shape == (2, 1, 64, 199)
    assert found.dtype == np.float32
    assert np.abs(found[:, 0] - expected).max() < 2e-5


@pytest.mark.parametrize("band", [10, 40, 60])
def test_a_sine_of_full_scale_reaches_the_top_of_its_band_and_silence_the_bottom(band: int) -> None:
    hertz = mel_corners(64)[band + 1]
    tone = np.rint(32767 * np.sin(2 * np.pi * hertz * np.arange(64_000) / RATE)).astype(np.int16)
    found = shown("log_mel", 64, np.stack([tone, np.zeros_like(tone)]))[:, 0]
    assert (found[0].argmax(axis=0) == band).all()
    assert 0.99 < found[0, band].min() < found[0, band].max() < 1.05
    assert (found[1] == 0).all()
    # ten times less is 20 dB of the hundred less
    softer = shown("log_mel", 64, np.rint(tone[None] / 10).astype(np.int16))[0, 0]
    assert found[0, band] - softer[band] == pytest.approx(0.2, abs=0.001)


def lfcc_by_hand(sound: np.ndarray, bins: int) -> np.ndarray:
    """Return the coefficients of the baseline of ASVspoof 2019, frame by frame, less their mean."""
    emphasised = np.asarray(scipy.signal.lfilter([1, -0.97], 1, sound / 32768))
    window = scipy.signal.get_window("hamming", 320, fftbins=False)
    bank = triangles([8000 * number / (bins + 1) for number in range(bins + 2)], 512)
    frames = []
    for start in range(0, len(sound) - 320 + 1, 160):
        power = np.abs(np.fft.fft(emphasised[start : start + 320] * window, 512)[:257]) ** 2
        frames.append(scipy.fft.dct(np.log10(power @ bank + 2.0**-52), norm="ortho"))
    static = np.array(frames).T
    first, second = np.zeros_like(static), np.zeros_like(static)
    for result, source in ((first, static), (second, first)):
        for frame in range(source.shape[1]):
            following, last = min(frame + 1, source.shape[1] - 1), max(frame - 1, 0)
            result[:, frame] = source[:, following] - source[:, last]
    return np.concatenate([static - static.mean(axis=1, keepdims=True), first, second])


def test_lfcc_is_that_of_the_asvspoof_baseline() -> None:
    sounds = np.stack([speechlike(4), speechlike(4, seed=1) // 50])
    found = shown("lfcc", 20, sounds)
    assert found.shape == (2, 1, 60, 399)
    expected = np.stack([lfcc_by_hand(sound, 20) for sound in sounds])
    assert np.abs(found[:, 0] - expected).max() < 2e-3
    # a change of level is gone with the mean
    louder = shown("lfcc", 20, 2 * sounds[1:])[0, 0]
    assert np.abs(louder - found[1, 0]).max() < 2e-3


@pytest.mark.parametrize("name", list(front_ends.FRONT_ENDS))
def test_the_shape_is_said_before_and_no_filter_is_empty(name: str) -> None:
    for bins, samples in ((8, 4_000), (20, 64_000), (64, 64_000), (101, 16_001), (256, 24_000)):
        sounds = speechlike(samples / RATE)[None]
        assert shown(name, bins, sounds).shape[1:] == front_ends.shape(name, bins, samples)
    for bins in range(8, 257):
        bank = front_ends.FRONT_ENDS[name].filters(bins)
        assert bank.shape[1] == bins
        assert (bank.sum(axis=0) > 0).all()


@pytest.mark.parametrize("name", list(front_ends.FRONT_ENDS))
def test_a_window_is_shown_alike_in_every_batch(name: str) -> None:
    sounds = np.stack([speechlike(4, seed=seed) for seed in range(5)])
    together = shown(name, 20, sounds)
    for number in range(5):
        assert np.array_equal(shown(name, 20, sounds[[number]])[0], together[number])


def test_maps_are_normalised_by_the_mean_of_three_channels() -> None:
    sounds = speechlike(4)[None]
    imagenet = Normalization(mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))
    plain = shown("log_mel", 64, sounds)
    assert shown("log_mel", 64, sounds, imagenet) == pytest.approx((plain - 0.449) / 0.226, abs=1e-5)


@pytest.mark.parametrize("name", list(front_ends.FRONT_ENDS))
def test_statistics_are_those_of_the_named_windows_in_any_order(name: str) -> None:
    sounds = np.stack([speechlike(2, seed=seed) // (seed + 1) for seed in range(150)])
    rows = np.arange(1, 150, 2)
    found = front_ends.statistics(name, 20, sounds, rows)
    expected = shown(name, 20, sounds[rows]).astype(np.float64)
    assert found.mean == pytest.approx([expected.mean()] * 3, abs=1e-6)
    assert found.std == pytest.approx([expected.std()] * 3, rel=1e-6)
    assert front_ends.statistics(name, 20, sounds, np.random.default_rng(0).permutation(rows)) == found
    again = shown(name, 20, sounds[rows], found)
    assert (again.mean(), again.std()) == pytest.approx((0, 1), abs=1e-4)


def test_silence_has_statistics_that_divide_by_something() -> None:
    silence = np.zeros((2, 64_000), np.int16)
    found = front_ends.statistics("log_mel", 64, silence, np.arange(2))
    assert np.isfinite(shown("log_mel", 64, silence, found)).all()
