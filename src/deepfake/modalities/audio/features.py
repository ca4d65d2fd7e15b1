"""What a recording shows without an ear for its content: how it is stored, how long and loud it is, what it leaves out.

Lengths, pauses, levels and bands say nothing about how speech was made, but differ between collections: in ASVspoof
2019 the silence around the words tells fakes from reals (Müller et al. 2021, "Speech is silver, silence is golden").
"""

from array import array
from typing import Any

import numpy as np

from deepfake.modalities.audio import decoding
from deepfake.modalities.base import Medium

SILENT = -60.0
"""Decibels of a recording's own peak below which a block of 10 ms is silent."""
_BLOCKS = 100
"""Blocks a second whose peaks decide on silence."""
_POINTS = 2048
"""Samples of a spectrum; at the rate of the file."""
_WITHIN = 0.99
_FULL = 1 - 2**-15
"""Full scale of 16 bits; decoders of lossy codecs go beyond."""
_LEAST = 1e-10
"""The power that a level in decibels starts from: -100 dB."""


def of_file(medium: Medium) -> dict[str, Any]:
    """Return the features of a file that ingest has accepted, all at its own rate, channels averaged.

    Args:
        medium: the file; it is read block by block and never held as a whole.

    Returns:
        The columns of `schemas.FEATURES` after the hash.
    """
    with decoding.opened(medium) as track:
        size = max(1, round(track.rate / _BLOCKS))
        level, silence, spectrum = _Level(), _Silence(size), _Spectrum()
        for block in track.native():
            for each in (level, silence, spectrum):
                each.add(block)
        seconds = level.count / track.rate
        return {
            "duration": seconds,
            "bytes": track.size,
            **silence.figures(track.rate),
            **level.figures(),
            "format": track.format,
            "codec": track.codec,
            "bits": track.bits,
            "channels": track.channels,
            "bitrate": track.size * 8 / 1000 / seconds,
            "tags": len(track.tags),
            "encoder": " ".join(track.tags.get("encoder", "").split()) or "none",
            "rate": track.rate,
            **spectrum.figures(track.rate),
            "zero_crossings": level.crossings / seconds,
        }


class _Level:
    """Sums of the samples themselves."""

    def __init__(self):
        self.count = self.crossings = self._clipped = 0
        self._sum = self._squares = self._peak = 0.0
        self._sign = 0.0

    def add(self, block: np.ndarray) -> None:
        """Count a block of samples."""
        self.count += len(block)
        self._sum += float(block.sum(dtype=np.float64))
        self._squares += float(np.square(block, dtype=np.float64).sum())
        magnitude = np.abs(block)
        self._peak = max(self._peak, float(magnitude.max(initial=0)))
        self._clipped += int((magnitude >= _FULL).sum())
        signs = np.sign(block)
        signs = np.concatenate([[self._sign], signs[signs != 0]])
        self.crossings += int((signs[1:] * signs[:-1] < 0).sum())
        self._sign = float(signs[-1])

    def figures(self) -> dict[str, float]:
        """Return the features of the family `level`."""
        return {
            "peak": _decibels(self._peak**2),
            "rms": _decibels(self._squares / self.count),
            "dc_offset": self._sum / self.count,
            "clipped": self._clipped / self.count,
        }


class _Silence:
    """The peak of each block of 10 ms: four bytes a block, so that two hours are 3 MB."""

    def __init__(self, size: int):
        self._size = size
        self._held = np.empty(0, np.float32)
        self._peaks = array("f")

    def add(self, block: np.ndarray) -> None:
        """Take the peaks of whole blocks; the rest waits for more."""
        held = np.concatenate([self._held, np.abs(block, dtype=np.float32)])
        whole = len(held) // self._size * self._size
        self._peaks.frombytes(held[:whole].reshape(-1, self._size).max(axis=1).tobytes())
        self._held = held[whole:]

    def figures(self, rate: int) -> dict[str, float]:
        """Return the features of the family `silence`."""
        last = self._held.max(keepdims=True) if len(self._held) else self._held
        peaks = np.concatenate([np.array(self._peaks), last])
        loud = np.flatnonzero(peaks >= peaks.max() * 10 ** (SILENT / 20))
        step = self._size / rate
        return {
            "leading_silence": float(loud[0]) * step,
            "trailing_silence": float(len(peaks) - 1 - loud[-1]) * step,
            "silent_share": 1 - len(loud) / len(peaks),
        }


class _Spectrum:
    """The mean power spectrum of frames that follow each other; the end that fills no frame counts for none."""

    def __init__(self):
        self._window = np.hanning(_POINTS).astype(np.float32)
        self._held = np.empty(0, np.float32)
        self._power = np.zeros(_POINTS // 2 + 1)

    def add(self, block: np.ndarray) -> None:
        """Add the spectra of whole frames; the rest waits for more."""
        held = np.concatenate([self._held, block])
        whole = len(held) // _POINTS * _POINTS
        self._held = held[whole:]
        if whole:
            self._sum(held[:whole].reshape(-1, _POINTS))

    def _sum(self, frames: np.ndarray) -> None:
        # without the mean of each frame, which would count as a very low tone
        frames = (frames - frames.mean(axis=1, keepdims=True)) * self._window
        self._power += np.square(np.abs(np.fft.rfft(frames, axis=1))).sum(axis=0)

    def figures(self, rate: int) -> dict[str, float]:
        """Return the bandwidth and the flatness; 0 of a spectrum without power."""
        if not self._power.any() and len(self._held):
            self._sum(np.pad(self._held, (0, _POINTS - len(self._held)))[None])
        power = self._power[1:]
        total = float(power.sum())
        if not total:
            return {"bandwidth": 0.0, "flatness": 0.0}
        reached = int(np.searchsorted(np.cumsum(power), _WITHIN * total)) + 1
        mean = power / total * len(power)
        flatness = float(np.log10(np.maximum(mean, _LEAST)).mean()) * 10
        return {"bandwidth": reached * rate / _POINTS, "flatness": flatness}


def _decibels(power: float) -> float:
    """Return a power in decibels of full scale, at least -100."""
    return 10 * float(np.log10(max(power, _LEAST)))
