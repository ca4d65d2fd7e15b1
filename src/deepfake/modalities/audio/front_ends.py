"""From a stored window of sound to the map of frequencies over time that a model sees.

`log_mel`: decibels of a mel filter bank, those from a floor to full scale mapped to about [0, 1], so that a detector
made for images takes it for a gray one. `lfcc`: linear-frequency cepstral coefficients, their differences and second
differences, as the baseline of ASVspoof 2019 has them (Sahidullah, Kinnunen and Hanilçi 2015, "A comparison of features
for synthetic speech detection").
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from math import fsum, sqrt
from typing import TYPE_CHECKING

import numpy as np

from deepfake.config.images import Normalization
from deepfake.modalities.audio.schemas import RATE

if TYPE_CHECKING:
    import torch

    Map = Callable[[torch.Tensor], torch.Tensor]

FLOOR = 100.0
"""Decibels below a sine of full scale that `log_mel` shows as 0."""
_LOWEST = 20.0
"""Hz where the mel filter bank begins; below it there is mains and offset, no speech."""
_EMPHASIS = 0.97
_BATCH = 64
_LEAST = 1e-6
"""Of a deviation: a map that never changes has none."""


@dataclass(frozen=True)
class FrontEnd:
    """How sound becomes a map.

    Args:
        length: samples of a frame.
        hop: samples from one frame to the next.
        points: of the Fourier transform at least; more where a filter of the bank would lie between two of them.
        rows: of the map, for each bin.
        bank: gives the filters for a number of bins and of points, float64 [points / 2 + 1, bins].
        build: gives what maps sound, float32 [b, samples], to float32 [b, rows, frames], for some bins, on a device.
    """

    length: int
    hop: int
    points: int
    rows: int
    bank: Callable[[int, int], np.ndarray]
    build: "Callable[[FrontEnd, int, torch.device], Map]"

    def filters(self, bins: int) -> np.ndarray:
        """Return the filter bank, with as many points as it takes that no filter is empty."""
        points = self.points
        while not (found := self.bank(bins, points)).sum(axis=0).all():
            points *= 2
        return found

    def frames(self, samples: int) -> int:
        """Return the frames of a window: all that lie inside it."""
        return (samples - self.length) // self.hop + 1


def shape(name: str, bins: int, samples: int) -> tuple[int, int, int]:
    """Return channels, rows and frames of the map of a window."""
    front_end = FRONT_ENDS[name]
    return 1, bins * front_end.rows, front_end.frames(samples)


def inputs(name: str, bins: int, scale: Normalization, device: "torch.device") -> "Map":
    """Return what maps stored windows, int16 [b, samples], to float32 [b, 1, rows, frames], normalised.

    Args:
        name: a key of `FRONT_ENDS`.
        bins: filters of its bank.
        scale: the statistics; a map has one channel, whose mean and deviation are the means of the three.
        device: where the windows are.
    """
    mean, deviation = (fsum(values) / 3 for values in (scale.mean, scale.std))
    shown = _maps(name, bins, device)
    return lambda samples: shown(samples).sub_(mean).div_(deviation)


def statistics(name: str, bins: int, samples: np.ndarray, rows: np.ndarray) -> Normalization:
    """Return mean and standard deviation of the maps of some windows, whatever their order.

    Args:
        name: a key of `FRONT_ENDS`.
        bins: filters of its bank.
        samples: stored windows, int16 [n, samples].
        rows: those that count. It is for the caller to name real training windows only.
    """
    import torch

    shown = _maps(name, bins, torch.device("cpu"))
    sums: list[float] = []
    squares: list[float] = []
    values = 0
    ordered = np.sort(rows)
    for start in range(0, len(ordered), _BATCH):
        # one sum a window, added without rounding
        chunk = shown(torch.from_numpy(samples[ordered[start : start + _BATCH]])).double().flatten(1)
        sums += chunk.sum(dim=1).tolist()
        squares += chunk.square().sum(dim=1).tolist()
        values += chunk.numel()
    mean = fsum(sums) / values
    deviation = max(sqrt(max(fsum(squares) / values - mean**2, 0.0)), _LEAST)
    return Normalization(mean=(mean, mean, mean), std=(deviation, deviation, deviation))


def _maps(name: str, bins: int, device: "torch.device") -> "Map":
    """Return what maps stored windows to float32 [b, 1, rows, frames], as the front end gives them."""
    front_end = FRONT_ENDS[name]
    build = front_end.build(front_end, bins, device)
    # full scale is 1; the model's images have a channel
    return lambda samples: build(samples.float().div_(32768)).unsqueeze(1)


def log_mel(front_end: FrontEnd, bins: int, device: "torch.device") -> "Map":
    """Build the decibels of mel energies: 0 from `FLOOR` on, about 1 (to 1.04) where a sine of full scale is."""
    import torch

    bank = front_end.filters(bins)
    # periodic, as is usual for spectra; a sine of full scale has the power 1 at its own frequency
    hann = np.hanning(front_end.length + 1)[:-1]
    window, filters = _tensors(device, hann / (hann.sum() / 2), bank)
    floor = 10 ** (-FLOOR / 10)

    def decibels(sound: torch.Tensor) -> torch.Tensor:
        mel = _power(sound, front_end, window, bank) @ filters
        level = mel.clamp_(min=floor).log10_().mul_(10 / FLOOR).add_(1)
        return level.transpose(1, 2).contiguous()

    return decibels


def lfcc(front_end: FrontEnd, bins: int, device: "torch.device") -> "Map":
    """Build cepstral coefficients, from that of the level on, their differences and the differences of those.

    As in the baseline of ASVspoof 2019: pre-emphasis, Hamming window, as many triangles of equal width as coefficients,
    log10, an orthonormal cosine transform, and the difference between the next frame and the last; each coefficient
    then loses its mean over the window (not in the baseline), and with it much of level and channel.
    """
    import torch

    bank = front_end.filters(bins)
    order, number = np.mgrid[:bins, :bins]
    cosines = np.sqrt(2 / bins) * np.cos(np.pi * order * (number + 0.5) / bins)
    cosines[0] /= np.sqrt(2)
    window, filters, transform = _tensors(device, np.hamming(front_end.length), bank, cosines.T)
    smallest = float(np.finfo(np.float64).eps)  # as the baseline adds it, so that silence has a logarithm

    def coefficients(sound: torch.Tensor) -> torch.Tensor:
        emphasised = torch.cat([sound[:, :1], sound[:, 1:] - _EMPHASIS * sound[:, :-1]], dim=1)
        energy = _power(emphasised, front_end, window, bank) @ filters
        static = (energy.add_(smallest).log10_() @ transform).transpose(1, 2)
        first = _differences(static)
        return torch.cat([static - static.mean(dim=2, keepdim=True), first, _differences(first)], dim=1)

    return coefficients


def _differences(rows: "torch.Tensor") -> "torch.Tensor":
    """Return the next value less the last one, [b, rows, frames]; the first and the last frame are repeated."""
    import torch

    padded = torch.cat([rows[..., :1], rows, rows[..., -1:]], dim=2)
    return padded[..., 2:] - padded[..., :-2]


def _power(sound: "torch.Tensor", front_end: FrontEnd, window: "torch.Tensor", bank: np.ndarray) -> "torch.Tensor":
    """Return the power spectrum of each frame: float32 [b, frames, points / 2 + 1]."""
    import torch

    frames = sound.unfold(1, front_end.length, front_end.hop) * window
    spectrum = torch.fft.rfft(frames, n=2 * (len(bank) - 1))
    return torch.view_as_real(spectrum).square_().sum(dim=3)


def _tensors(device: "torch.device", *arrays: np.ndarray) -> "list[torch.Tensor]":
    """Return arrays as float32 on a device."""
    import torch

    return [torch.from_numpy(array.astype(np.float32)).to(device) for array in arrays]


@lru_cache
def mel_bank(bins: int, points: int) -> np.ndarray:
    """Return triangles of height 1 between frequencies that lie evenly on HTK's mel scale, from 20 Hz to 8 kHz."""
    lowest, highest = (2595 * np.log10(1 + hertz / 700) for hertz in (_LOWEST, RATE / 2))
    return _triangles(700 * (10 ** (np.linspace(lowest, highest, bins + 2) / 2595) - 1), points)


@lru_cache
def linear_bank(bins: int, points: int) -> np.ndarray:
    """Return triangles of height 1 between frequencies that lie evenly from 0 to 8 kHz."""
    return _triangles(np.linspace(0, RATE / 2, bins + 2), points)


def _triangles(corners: np.ndarray, points: int) -> np.ndarray:
    """Return filters that rise from one corner to the next and fall to the one after it: [points / 2 + 1, corners - 2].

    Args:
        corners: in Hz, ascending.
        points: of the Fourier transform.
    """
    hertz = np.linspace(0, RATE / 2, points // 2 + 1)[:, None]
    left, middle, right = corners[:-2], corners[1:-1], corners[2:]
    return np.minimum((hertz - left) / (middle - left), (right - hertz) / (right - middle)).clip(min=0)


FRONT_ENDS = {
    "log_mel": FrontEnd(length=640, hop=320, points=1024, rows=1, bank=mel_bank, build=log_mel),
    "lfcc": FrontEnd(length=320, hop=160, points=512, rows=3, bank=linear_bank, build=lfcc),
}
"""40 ms every 20 ms, so that four seconds of 64 bands are no larger than a small image; 20 ms every 10 ms, as the
baseline has it."""
