"""Corruptions of windows: each does what its strength says, to each window alone."""

import numpy as np
import pytest
import scipy.signal

from deepfake.modalities import audio
from deepfake.modalities.audio.corruptions import CORRUPTIONS
from recordings import RATE, speechlike

SOUNDS = np.stack([speechlike(2, seed=seed) // 2 for seed in range(4)])
ROWS = np.array([5, 0, 9, 70_000])
STRENGTHS = {
    "opus": 16,
    "mp3": 24,
    "noise": 10,
    "band_limit": 2_000,
    "resampling": 8_000,
    "gain": 12,
    "clipping": 0.3,
    "reverberation": 0.4,
}


def power(sounds: np.ndarray) -> np.ndarray:
    return (sounds.astype(float) ** 2).mean(axis=1)


def test_each_has_a_strength_here() -> None:
    assert list(STRENGTHS) == list(CORRUPTIONS)


@pytest.mark.parametrize("name", STRENGTHS)
def test_what_happens_to_a_window_depends_on_its_row_alone(name: str) -> None:
    before = SOUNDS.copy()
    found = audio.corrupt(name, SOUNDS, STRENGTHS[name], ROWS)
    assert np.array_equal(SOUNDS, before)
    assert found.shape == SOUNDS.shape
    assert found.dtype == np.int16
    assert not np.array_equal(found, SOUNDS)
    assert np.array_equal(audio.corrupt(name, SOUNDS[[2]], STRENGTHS[name], ROWS[[2]])[0], found[2])
    assert np.array_equal(audio.corrupt(name, SOUNDS, STRENGTHS[name], ROWS), found)


@pytest.mark.parametrize("name", STRENGTHS)
def test_silence_survives(name: str) -> None:
    silence = np.zeros((1, 32_000), np.int16)
    assert np.abs(audio.corrupt(name, silence, STRENGTHS[name], ROWS[:1])).max() <= 2


@pytest.mark.parametrize("name", ["opus", "mp3"])
def test_fewer_bits_are_worse_and_nothing_is_shifted(name: str) -> None:
    # a band that codecs keep at every rate
    low = scipy.signal.butter(6, 2_000, fs=RATE, output="sos")
    speech = np.rint(scipy.signal.sosfilt(low, SOUNDS)).astype(np.int16)
    kept = []
    for kilobits in (8, 16, 48):
        found = audio.corrupt(name, speech, kilobits, ROWS).astype(float)
        likeness = []
        for before, after in zip(speech.astype(float), found, strict=True):
            across = scipy.signal.correlate(after, before, method="fft")
            assert abs(int(across.argmax()) - (len(before) - 1)) <= 4
            likeness.append(across.max() / np.sqrt((before**2).sum() * (after**2).sum()))
        kept.append(np.mean(likeness))
    assert kept == sorted(kept)
    assert kept[-1] > 0.95


def test_noise_has_its_ratio_and_is_the_same_at_every_strength() -> None:
    loud, soft = (audio.corrupt("noise", SOUNDS, ratio, ROWS).astype(float) - SOUNDS for ratio in (0, 20))
    for added, ratio in ((loud, 0), (soft, 20)):
        assert 10 * np.log10(power(SOUNDS) / power(added)) == pytest.approx([ratio] * 4, abs=0.2)
    assert np.abs(loud / 10 - soft).max() <= 0.6


def test_a_band_limit_and_a_lower_rate_take_away_what_lies_above() -> None:
    hertz, before = scipy.signal.welch(SOUNDS, RATE, nperseg=1024)
    for name, strength, kept, gone in (("band_limit", 2_000, 1_700, 3_000), ("resampling", 8_000, 3_300, 4_600)):
        _, after = scipy.signal.welch(audio.corrupt(name, SOUNDS, strength, ROWS), RATE, nperseg=1024)
        change = 10 * np.log10(after / before).mean(axis=0)
        assert np.abs(change[(hertz > 50) & (hertz < kept)]).max() < 0.6
        assert change[hertz > gone].max() < -20


def test_gain_and_clipping_are_arithmetic() -> None:
    louder = audio.corrupt("gain", SOUNDS, 12, ROWS)
    expected = np.rint(SOUNDS * 10 ** (12 / 20)).clip(-32768, 32767)
    assert np.abs(louder - expected).max() <= 1
    assert (louder == 32767).any()
    clipped = audio.corrupt("clipping", SOUNDS, 0.3, ROWS)
    limits = np.rint(np.abs(SOUNDS.astype(float)).max(axis=1) * 0.3)[:, None]
    assert np.abs(clipped - SOUNDS.clip(-limits, limits)).max() <= 1


def test_a_room_keeps_the_level_and_dies_away() -> None:
    click = np.zeros((1, 32_000), np.int16)
    click[0, 100] = 30_000
    found = audio.corrupt("reverberation", click, 0.5, ROWS[:1])[0].astype(float)
    assert not found[:100].any()
    assert np.sqrt((found**2).sum()) == pytest.approx(30_000, rel=0.02)
    # after a quarter of the time the echo has fallen by 15 dB
    early, late = ((found[start : start + 800] ** 2).mean() for start in (101, 101 + 2_000))
    assert 10 * np.log10(early / late) == pytest.approx(15, abs=1.5)
    whole = audio.corrupt("reverberation", SOUNDS, 0.5, ROWS)
    assert power(whole) == pytest.approx(power(SOUNDS), rel=0.01)


@pytest.mark.parametrize(
    ("name", "strength"),
    [("opus", 2), ("mp3", 500), ("band_limit", 9_000), ("resampling", 8_000.5), ("clipping", 0), ("reverberation", 0)],
)
def test_a_strength_without_meaning_is_named(name: str, strength: float) -> None:
    words = CORRUPTIONS[name].check(strength)
    assert words.startswith(f"{strength:g}; its {CORRUPTIONS[name].unit} is a ")
    assert CORRUPTIONS[name].check(STRENGTHS[name]) == ""
