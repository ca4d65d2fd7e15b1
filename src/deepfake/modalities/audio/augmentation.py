"""What happens to training windows under a policy: gain, noise, band limit, codec, and masks on the map.

A draw depends on the seed, the epoch, the window's row and on how often it has come in the epoch; on nothing else.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from deepfake.config.sound import SoundAugmentation
from deepfake.modalities import chance
from deepfake.modalities.audio import codecs, effects

if TYPE_CHECKING:
    import torch

_COLUMNS = (
    *("gain", "decibels", "noise", "ratio", "offset"),
    *("band_limit", "hertz", "codec", "kilobits"),
    *("mask", "rows", "first_row", "columns", "first_column"),
)
"""The uniform numbers of a sample. A new one goes to the end, so that the others keep their values."""
_EFFORT = 0
"""Of the encoder: with more, a codec would take most of the time of a training."""


@dataclass(frozen=True)
class Draws:
    """What happens to the b windows of a batch; NaN where nothing does.

    Args:
        gain: [b], in decibels.
        ratio: [b], of the signal to the noise, in decibels.
        offset: int [b]: where the sample's noise begins in `effects.noise_bank`.
        hertz: [b], where the low-pass filter begins.
        kilobits: [b] a second of the codec.
        masks: [b, 4]: the first row and the number of rows that are masked, and the same of columns, as shares.
    """

    gain: np.ndarray
    ratio: np.ndarray
    offset: np.ndarray
    hertz: np.ndarray
    kilobits: np.ndarray
    masks: np.ndarray


class Augmenter:
    """Applies a policy to batches of windows (`base.Augmenter`)."""

    MASKS: ClassVar[bool] = True

    def __init__(self, policy: SoundAugmentation, *, window: int, seed: int):
        """Keep what is drawn from.

        Args:
            policy: the ranges.
            window: samples of a window.
            seed: of all chance.
        """
        self._policy, self._window, self._seed = policy, window, seed

    def draws(self, rows: np.ndarray, occurrence: np.ndarray, epoch: int) -> Draws:
        """Return what happens to some windows.

        Args:
            rows: int [b], each sample's row in the manifest, below 2^32.
            occurrence: int [b]: how often the row has come in this epoch before, below 2^24.
            epoch: counted from 0.
        """
        policy = self._policy
        u = chance.uniform(chance.of_epoch(self._seed, epoch), rows, occurrence, _COLUMNS)
        masked = u["mask"] < policy.spec_augment.probability
        height, width = u["rows"] * policy.spec_augment.frequency, u["columns"] * policy.spec_augment.time
        masks = np.stack([u["first_row"] * (1 - height), height, u["first_column"] * (1 - width), width], axis=1)
        hertz, kilobits = policy.band_limit.hertz, policy.codec.kilobits
        return Draws(
            gain=_drawn(u["gain"], policy.gain.probability, policy.gain.min, policy.gain.max, u["decibels"]),
            ratio=_drawn(u["noise"], policy.noise.probability, policy.noise.min, policy.noise.max, u["ratio"]),
            offset=(u["offset"] * (self._window + 1)).astype(np.int64),
            hertz=_drawn(u["band_limit"], policy.band_limit.probability, hertz.min, hertz.max, u["hertz"]),
            kilobits=_drawn(u["codec"], policy.codec.probability, kilobits.min, kilobits.max, u["kilobits"]),
            masks=np.where(masked[:, None], masks, np.nan),
        )

    def change(self, batches: "Iterable[tuple[torch.Tensor, Draws]]") -> "Iterator[torch.Tensor]":
        """Yield each batch as was drawn for it, int16 [b, window]; the work is the processor's, wherever it lies."""
        import torch

        for samples, draws in batches:
            changed = self.apply(samples.cpu().numpy(), draws)
            yield torch.from_numpy(changed).to(samples.device)

    def apply(self, samples: np.ndarray, draws: Draws) -> np.ndarray:
        """Return windows, int16 [b, window], changed as was drawn for them."""
        bank = effects.noise_bank(self._window)
        changed = np.empty_like(samples)
        for number, sound in enumerate(samples):
            wave = sound.astype(np.float32)
            if not np.isnan(decibels := draws.gain[number]):
                wave = effects.gain(wave, decibels)
            if not np.isnan(ratio := draws.ratio[number]):
                offset = draws.offset[number]
                wave = effects.noise(wave, ratio, bank[offset : offset + self._window])
            if not np.isnan(hertz := draws.hertz[number]):
                wave = effects.low_pass(wave, hertz)
            changed[number] = effects.stored(wave)
            if not np.isnan(kilobits := draws.kilobits[number]):
                changed[number] = codecs.opus(changed[number], kilobits, effort=_EFFORT)
        return changed

    def mask(self, inputs: "torch.Tensor", draws: Draws) -> "torch.Tensor":
        """Return maps, [b, 1, rows, frames], some rows and some columns of which have the map's own mean."""
        if not (masked := np.flatnonzero(~np.isnan(draws.masks[:, 0]))).size:
            return inputs
        inputs = inputs.clone()
        sides = np.repeat(inputs.shape[2:], 2)
        for number in masked.tolist():
            shown = inputs[number, 0]
            mean = shown.mean()
            row, rows, column, columns = np.rint(draws.masks[number] * sides).astype(int).tolist()
            shown[row : row + rows] = mean
            shown[:, column : column + columns] = mean
        return inputs


def _drawn(chance: np.ndarray, probability: float, least: float, most: float, u: np.ndarray) -> np.ndarray:
    """Return a value between two for those whose chance has come, NaN for the others."""
    return np.where(chance < probability, least + u * (most - least), np.nan)
