"""What may happen to a recording after it was made: codecs, noise, bands, rooms.

They act on the stored windows, so a strength means the same for all recordings. What happens to a window never depends
on those beside it.
"""

import numpy as np

from deepfake.modalities import chance
from deepfake.modalities.audio import codecs, effects
from deepfake.modalities.corruption import Corruption


def opus(sound: np.ndarray, strength: float, pattern: np.ndarray) -> np.ndarray:
    """Compress and decompress by Opus at kilobits a second."""
    return codecs.opus(sound, strength)


def mp3(sound: np.ndarray, strength: float, pattern: np.ndarray) -> np.ndarray:
    """Compress and decompress by MP3 at kilobits a second."""
    return codecs.mp3(sound, strength)


def noise(sound: np.ndarray, strength: float, pattern: np.ndarray) -> np.ndarray:
    """Add white Gaussian noise at a signal-to-noise ratio; a window has the same noise at every strength."""
    return effects.stored(effects.noise(_floats(sound), strength, pattern))


def band_limit(sound: np.ndarray, strength: float, pattern: np.ndarray) -> np.ndarray:
    """Take away what lies above a frequency."""
    return effects.stored(effects.low_pass(_floats(sound), strength))


def resampling(sound: np.ndarray, strength: float, pattern: np.ndarray) -> np.ndarray:
    """Resample to a lower rate and back."""
    return codecs.resampled(sound, int(strength))


def gain(sound: np.ndarray, strength: float, pattern: np.ndarray) -> np.ndarray:
    """Change the level by decibels; what lies beyond full scale is clipped."""
    return effects.stored(effects.gain(_floats(sound), strength))


def clipping(sound: np.ndarray, strength: float, pattern: np.ndarray) -> np.ndarray:
    """Clip at a share of the window's own peak."""
    limit = np.rint(np.abs(_floats(sound)).max() * strength)
    return effects.stored(_floats(sound).clip(-limit, limit))


def reverberation(sound: np.ndarray, strength: float, pattern: np.ndarray) -> np.ndarray:
    """Add the echo of a room whose sound falls by 60 dB in some seconds."""
    return effects.stored(effects.reverberation(_floats(sound), strength, pattern))


CORRUPTIONS: dict[str, Corruption] = {
    "opus": Corruption(opus, "kbit/s", 6, 256),
    "mp3": Corruption(mp3, "kbit/s", 8, 160),
    "noise": Corruption(noise, "SNR, dB", -20, 100),
    "band_limit": Corruption(band_limit, "Hz", 100, 8000),
    "resampling": Corruption(resampling, "Hz", 1000, 16000, whole=True),
    "gain": Corruption(gain, "dB", -60, 60),
    "clipping": Corruption(clipping, "share of the peak", 0.001, 1),
    "reverberation": Corruption(reverberation, "s until -60 dB", 0.01, 10),
}
"""Each maps a window, int16 [n], a strength and noise of power 1, float32 [n], to a window of the same kind."""


def corrupt(name: str, samples: np.ndarray, strength: float, rows: np.ndarray) -> np.ndarray:
    """Apply a corruption by its name, on one thread.

    Args:
        name: a key of `CORRUPTIONS`.
        samples: int16 [b, n].
        strength: as the corruption counts it.
        rows: int [b], each sample's row in the manifest, by which its noise is drawn.
    """
    window = samples.shape[1]
    bank = effects.noise_bank(window)
    offsets = chance.of_rows(rows) % np.uint64(window + 1)
    apply = CORRUPTIONS[name].apply
    changed = np.empty_like(samples)
    for number, offset in enumerate(offsets.tolist()):
        changed[number] = apply(samples[number], strength, bank[offset : offset + window])
    return changed


def _floats(sound: np.ndarray) -> np.ndarray:
    """Return a stored window as `effects` take it."""
    return sound.astype(np.float32)
