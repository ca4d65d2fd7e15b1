"""Shortcut features of recordings, against figures computed by hand from sound that is known."""

from pathlib import Path

import numpy as np
import pytest
import scipy.signal

from deepfake.modalities import audio
from recordings import RATE, encoded, speechlike, wav


def tone(hertz: float, seconds: float, amplitude: float = 0.5, rate: int = RATE) -> np.ndarray:
    """Return a sine, int16."""
    wave = np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate + 0.1)
    return np.rint(amplitude * 32768 * wave).clip(-32768, 32767).astype(np.int16)


def silence(seconds: float, rate: int = RATE) -> np.ndarray:
    return np.zeros(round(seconds * rate), np.int16)


def test_the_table_has_every_feature_of_the_families_and_nothing_else() -> None:
    found = audio.measure(wav(speechlike(1)))
    assert list(found) == list(audio.FEATURES.columns)[2:]
    assert sorted(found) == sorted(name for names in audio.FAMILIES.values() for name in names)
    kinds = {"str": str, "int": int, "float": float}
    for name, value in found.items():
        assert type(value) is kinds[audio.FEATURES.columns[name]], name


@pytest.mark.parametrize("rate", [8_000, 16_000, 44_100])
def test_silence_before_and_after_is_measured(rate: int) -> None:
    sound = np.concatenate([silence(0.5, rate), tone(440, 1, rate=rate), silence(0.25, rate), tone(440, 1, rate=rate)])
    found = audio.measure(wav(np.concatenate([sound, silence(0.75, rate)]), rate))
    assert found["duration"] == pytest.approx(3.5, abs=1e-4)
    assert found["leading_silence"] == pytest.approx(0.5, abs=0.011)
    assert found["trailing_silence"] == pytest.approx(0.75, abs=0.011)
    assert found["silent_share"] == pytest.approx(1.5 / 3.5, abs=0.01)


@pytest.mark.parametrize(("decibels", "silent"), [(-57, 0.0), (-63, 1.0)])
def test_what_lies_60_db_below_the_peak_is_silent(decibels: float, silent: float) -> None:
    # by its blocks of 10 ms, each of which has the peak of a tone of 1 kHz
    soft = tone(1_000, 1, 0.9 * 10 ** (decibels / 20))
    found = audio.measure(wav(np.concatenate([soft, tone(1_000, 1, 0.9)])))
    assert found["leading_silence"] == pytest.approx(silent, abs=0.011)


def test_levels_are_those_of_numpy() -> None:
    sound = np.concatenate([speechlike(2), np.full(100, 32767, np.int16)]) // 2 * 2
    sound[-100:] = 32767
    scaled = sound / 32768
    found = audio.measure(wav(sound))
    assert found["peak"] == pytest.approx(20 * np.log10(np.abs(scaled).max()), abs=1e-6)
    assert found["rms"] == pytest.approx(10 * np.log10((scaled**2).mean()), abs=1e-6)
    assert found["dc_offset"] == pytest.approx(scaled.mean(), abs=1e-9)
    assert found["clipped"] == pytest.approx(100 / len(sound))


def test_an_offset_is_measured() -> None:
    found = audio.measure(wav(tone(440, 1) + np.int16(655)))
    assert found["dc_offset"] == pytest.approx(655 / 32768, abs=1e-4)


def test_zero_crossings_of_a_tone_are_twice_its_frequency() -> None:
    assert audio.measure(wav(tone(440, 10)))["zero_crossings"] == pytest.approx(880, abs=1)
    # a zero between two signs is one change, not two or none
    sound = np.tile(np.array([1_000, 0, -1_000, -1_000, 0, 0, 1_000, 1_000], np.int16), 2_000)
    signs = np.sign(sound[sound != 0])
    assert audio.measure(wav(sound))["zero_crossings"] == pytest.approx((np.diff(signs) != 0).sum())


@pytest.mark.parametrize(("limit", "rate"), [(3_400, 16_000), (4_000, 44_100), (15_000, 44_100)])
def test_the_bandwidth_of_filtered_noise_is_that_of_the_filter(limit: float, rate: int) -> None:
    noise = np.random.default_rng(0).standard_normal(5 * rate) * 3_000
    low = scipy.signal.firwin(1_001, limit, fs=rate)
    found = audio.measure(wav(np.rint(scipy.signal.lfilter(low, 1, noise)).astype(np.int16), rate))
    assert found["bandwidth"] == pytest.approx(0.99 * limit, rel=0.02)
    assert found["rate"] == rate


def test_noise_is_flat_and_a_tone_is_not() -> None:
    noise = np.rint(np.random.default_rng(0).standard_normal(10 * RATE) * 3_000).astype(np.int16)
    assert audio.measure(wav(noise))["flatness"] == pytest.approx(0, abs=0.1)
    assert audio.measure(wav(tone(440, 10)))["flatness"] < -40
    # by the definition, of the mean spectrum that scipy gives
    sound = speechlike(10)
    _, power = scipy.signal.welch(sound, RATE, window="hann", nperseg=2048, noverlap=0, detrend="constant")
    expected = 10 * (np.log10(power[1:]).mean() - np.log10(power[1:].mean()))
    assert audio.measure(wav(sound))["flatness"] == pytest.approx(expected, abs=0.3)


def test_the_container_is_said(tmp_path: Path) -> None:
    sound = speechlike(2)
    plain = audio.measure(wav(sound))
    assert {name: plain[name] for name in ("format", "codec", "bits", "channels", "tags", "encoder")} == {
        "format": "wav",
        "codec": "pcm_s16le",
        "bits": 16,
        "channels": 1,
        "tags": 0,
        "encoder": "none",
    }
    assert plain["bytes"] == len(wav(sound))
    assert plain["bitrate"] == pytest.approx(256, rel=0.01)
    mp3 = audio.measure(encoded(sound, "mp3", "libmp3lame", kilobits=32))
    assert (mp3["codec"], mp3["bits"]) == ("mp3", 0)
    assert mp3["bitrate"] == pytest.approx(32, rel=0.1)
    assert mp3["encoder"].startswith("Lavf")
    for how, bits in (({}, 16), ({"kept_as": "s32"}, 24)):
        assert audio.measure(encoded(sound, "flac", "flac", **how))["bits"] == bits  # pyright: ignore
    path = tmp_path / "stereo.wav"
    path.write_bytes(wav(np.stack([sound, sound], axis=1)))
    assert audio.measure(path)["channels"] == 2


def test_a_recording_is_measured_alike_however_it_comes(tmp_path: Path) -> None:
    data = encoded(speechlike(5), "flac", "flac")
    path = tmp_path / "a.flac"
    path.write_bytes(data)
    assert audio.measure(path) == audio.measure(data)
    # blocks of other sizes: FLAC has 4096 samples in one, WAV 1024
    plain = audio.measure(wav(speechlike(5)))
    for name in ("leading_silence", "peak", "rms", "dc_offset", "bandwidth", "flatness", "zero_crossings"):
        assert plain[name] == pytest.approx(audio.measure(data)[name], rel=1e-6)


def test_a_recording_shorter_than_a_spectrum_is_measured() -> None:
    found = audio.measure(wav(tone(2_000, 0.1)))
    assert found["bandwidth"] == pytest.approx(2_000, rel=0.05)
