"""Pitch, overlap-add and codec, on sounds whose pitch and spectrum are known."""

import numpy as np
import pytest
from scipy import signal

from deepfake.synthetic import resynthesis
from deepfake.synthetic.recordings import RATE


def a_voice(pitch: np.ndarray) -> np.ndarray:
    """Ten harmonics of a pitch given in Hz at every sample."""
    phase = 2 * np.pi * np.cumsum(pitch) / RATE
    return 0.1 * np.sum([np.sin(k * phase) / k for k in range(1, 11)], axis=0)


GLIDE = np.linspace(120, 220, RATE)


def test_the_pitch_of_a_glide_is_found_and_silence_has_none() -> None:
    silence = np.zeros(RATE // 2)
    found = resynthesis.pitch(np.concatenate([silence, a_voice(GLIDE), silence]))
    assert found.shape == (2 * RATE,)
    voiced = found[RATE // 2 : -RATE // 2]
    inside = slice(1600, -1600)
    np.testing.assert_allclose(voiced[inside], GLIDE[inside], rtol=0.01)
    assert not found[: RATE // 2 - 800].any() and not found[-RATE // 2 + 800 :].any()


def test_noise_has_no_pitch() -> None:
    found = resynthesis.pitch(0.1 * np.random.default_rng(0).standard_normal(RATE))
    assert np.mean(found > 0) < 0.2


@pytest.mark.parametrize("flatness", [0.0, 0.3, 1.0])
def test_overlap_add_takes_away_the_share_of_the_melody_that_is_asked_for(flatness: float) -> None:
    samples = a_voice(GLIDE)
    made = resynthesis.psola(samples, flatness)
    assert made.shape == samples.shape
    inside = slice(2400, -2400)
    before, after = (np.log(resynthesis.pitch(x)[inside]) for x in (samples, made))
    assert np.std(after) == pytest.approx((1 - flatness) * np.std(before), abs=0.012)
    assert np.mean(after) == pytest.approx(np.mean(before), abs=0.03)


def test_overlap_add_leaves_noise_and_silence_as_they_are() -> None:
    noise = 0.1 * np.random.default_rng(0).standard_normal(RATE)
    high = np.asarray(signal.sosfilt(signal.butter(6, 3000, "highpass", fs=RATE, output="sos"), noise))
    made = resynthesis.psola(high, 0.3)
    np.testing.assert_allclose(made - made.mean(), high - high.mean(), atol=1e-9)
    assert not resynthesis.psola(np.zeros(RATE), 0.3).any()


def test_the_codec_keeps_the_length_and_the_place_and_loses_more_at_a_lower_rate() -> None:
    samples = a_voice(GLIDE)[:15_001]
    spectra = {}
    for name, bits in (("low", 8000), ("high", 48_000)):
        made = resynthesis.codec(samples, bits)
        assert made.shape == samples.shape
        lags = signal.correlate(made[2000:10_000], samples[2000:10_000])
        # not shifted: half a sample where Opus itself works at half the rate
        assert abs(np.argmax(lags) - 7999) <= 1
        spectra[name] = np.abs(signal.stft(made, RATE, nperseg=512)[2])
    real = np.abs(signal.stft(samples, RATE, nperseg=512)[2])
    lost = {name: np.linalg.norm(spectrum - real) / np.linalg.norm(real) for name, spectrum in spectra.items()}
    assert 0.001 < lost["high"] < lost["low"] < 0.5
