"""Augmentation of windows: what is drawn, and that each step does what it says."""

import numpy as np
import pytest
import scipy.signal
import torch
from pydantic import ValidationError

from deepfake.config.sound import SoundAugmentation
from deepfake.modalities.audio.augmentation import Augmenter, Draws
from recordings import RATE, speechlike

WINDOW = 32_000
SOUNDS = np.stack([speechlike(2, seed=seed) // 2 for seed in range(8)])
ALL = {
    "gain": {"probability": 0.5, "min": -12, "max": 6},
    "noise": {"probability": 0.5, "min": 5, "max": 30},
    "band_limit": {"probability": 0.5},
    "codec": {"probability": 0.5},
    "spec_augment": {"probability": 0.5},
}


def augmenter(seed: int = 1, **steps: object) -> Augmenter:
    """Build what applies a policy of some steps."""
    return Augmenter(SoundAugmentation.model_validate({"modality": "audio"} | steps), window=WINDOW, seed=seed)


def draws(of: Augmenter, rows: list[int], epoch: int = 0, occurrence: int = 0) -> Draws:
    """Draw for some rows."""
    return of.draws(np.array(rows), np.full(len(rows), occurrence), epoch)


def changed(of: Augmenter, sounds: np.ndarray, rows: list[int]) -> np.ndarray:
    """Return windows as they are in the first epoch."""
    (found,) = of.change([(torch.from_numpy(sounds), draws(of, rows))])
    assert found.dtype == torch.int16
    return found.numpy()


def test_what_happens_to_a_window_does_not_depend_on_its_batch() -> None:
    of = augmenter(**ALL)
    together = changed(of, SOUNDS, list(range(8)))
    assert not np.array_equal(together, SOUNDS)
    for row in range(8):
        assert np.array_equal(changed(of, SOUNDS[[row]], [row])[0], together[row])
    backwards = changed(augmenter(**ALL), SOUNDS[::-1].copy(), list(range(8))[::-1])
    assert np.array_equal(backwards[::-1], together)
    maps = torch.randn(8, 1, 20, 50, generator=torch.Generator().manual_seed(0))
    masked = of.mask(maps, draws(of, list(range(8))))
    for row in range(8):
        assert torch.equal(of.mask(maps[[row]], draws(of, [row]))[0], masked[row])


def test_another_seed_epoch_or_occurrence_draws_anew() -> None:
    of, rows = augmenter(**ALL), list(range(50))
    first = draws(of, rows).offset
    for other in (draws(augmenter(2, **ALL), rows), draws(of, rows, epoch=1), draws(of, rows, occurrence=1)):
        assert (first != other.offset).mean() > 0.9
    assert np.array_equal(draws(of, rows).offset, first)


def test_draws_have_the_probability_and_the_range_of_the_policy() -> None:
    found = draws(augmenter(**ALL), list(range(20_000)))
    for values, least, most in (
        (found.gain, -12, 6),
        (found.ratio, 5, 30),
        (found.hertz, 3_000, 7_000),
        (found.kilobits, 8, 32),
    ):
        some = values[~np.isnan(values)]
        assert len(some) / len(values) == pytest.approx(0.5, abs=0.02)
        assert least <= some.min() < least + 0.01 * (most - least)
        assert most - 0.01 * (most - least) < some.max() <= most
        assert some.mean() == pytest.approx((least + most) / 2, rel=0.02, abs=0.1)
    row, rows, column, columns = found.masks[~np.isnan(found.masks[:, 0])].T
    assert max(rows.max(), columns.max()) <= 0.15
    assert (row + rows).max() <= 1
    assert (column + columns).max() <= 1


def test_a_policy_without_chance_changes_nothing() -> None:
    policy = SoundAugmentation.model_validate({"modality": "audio"})
    assert policy.changes_nothing
    assert not policy.resamples
    of = augmenter()
    assert np.array_equal(changed(of, SOUNDS, list(range(8))), SOUNDS)
    maps = torch.randn(8, 1, 20, 50)
    assert of.mask(maps, draws(of, list(range(8)))) is maps


def test_gain_changes_the_level_by_the_decibels_drawn() -> None:
    of = augmenter(gain={"probability": 1, "min": -20, "max": 3})
    decibels = draws(of, list(range(8))).gain
    expected = np.rint(SOUNDS * 10 ** (decibels[:, None] / 20)).clip(-32768, 32767)
    assert np.abs(changed(of, SOUNDS, list(range(8))) - expected).max() <= 1


def test_noise_has_the_ratio_drawn_and_silence_stays_silent() -> None:
    of = augmenter(noise={"probability": 1, "min": 0, "max": 20})
    ratio = draws(of, list(range(8))).ratio
    added = changed(of, SOUNDS, list(range(8))).astype(float) - SOUNDS
    found = 10 * np.log10((SOUNDS.astype(float) ** 2).mean(axis=1) / (added**2).mean(axis=1))
    assert found == pytest.approx(ratio, abs=0.1)
    # white: as much power below 4 kHz as above
    _, power = scipy.signal.welch(added, RATE, nperseg=512)
    assert power[:, :128].mean() == pytest.approx(power[:, 129:].mean(), rel=0.05)
    assert abs(np.corrcoef(added[0], added[1])[0, 1]) < 0.05
    assert not changed(of, np.zeros_like(SOUNDS), list(range(8))).any()


def test_a_band_limit_takes_away_what_lies_above_it() -> None:
    of = augmenter(band_limit={"probability": 1, "hertz": {"min": 3_000, "max": 3_000}})
    hertz, before = scipy.signal.welch(SOUNDS, RATE, nperseg=1024)
    _, after = scipy.signal.welch(changed(of, SOUNDS, list(range(8))), RATE, nperseg=1024)
    # from -3 dB at the frequency on, 48 dB an octave
    change = 10 * np.log10(after / before).mean(axis=0)
    assert np.abs(change[(hertz > 50) & (hertz < 2_500)]).max() < 0.5
    assert change[np.abs(hertz - 3_000).argmin()] == pytest.approx(-3, abs=0.7)
    assert change[hertz > 4_500].max() < -20


def test_a_codec_changes_sound_but_not_its_place() -> None:
    of = augmenter(codec={"probability": 1, "kilobits": {"min": 24, "max": 24}})
    found = changed(of, SOUNDS, list(range(8))).astype(float)
    for before, after in zip(SOUNDS.astype(float), found, strict=True):
        across = scipy.signal.correlate(after, before, method="fft")
        assert abs(int(across.argmax()) - (WINDOW - 1)) <= 3
        assert 0.5 < across.max() / np.sqrt((before**2).sum() * (after**2).sum()) < 0.999


def test_masks_show_the_mean_of_the_map() -> None:
    of = augmenter(spec_augment={"probability": 1, "frequency": 0.3, "time": 0.3})
    maps = torch.randn(40, 1, 30, 100, generator=torch.Generator().manual_seed(0))
    before = maps.clone()
    drawn = draws(of, list(range(40)))
    found = of.mask(maps, drawn)
    assert torch.equal(maps, before)
    for number in range(40):
        row, rows, column, columns = np.rint(drawn.masks[number] * [30, 30, 100, 100]).astype(int)
        mask = np.zeros((30, 100), bool)
        mask[row : row + rows] = mask[:, column : column + columns] = True
        shown = found[number, 0].numpy()
        assert np.array_equal(shown[~mask], maps[number, 0].numpy()[~mask])
        if mask.any():
            assert shown[mask] == pytest.approx(float(maps[number].mean()), abs=1e-6)


@pytest.mark.parametrize(
    "wrong",
    [
        {"gain": {"min": 3, "max": -3}},
        {"codec": {"kilobits": {"min": 2, "max": 32}}},
        {"codec": {"kilobits": {"min": 8, "max": 600}}},
        {"band_limit": {"hertz": {"min": 0, "max": 4_000}}},
        {"noise": {"probability": 2}},
        {"flip": 0.5},
    ],
)
def test_a_policy_that_has_no_meaning_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        SoundAugmentation.model_validate({"modality": "audio"} | wrong)
