"""What a policy draws for each training image: plain numbers, so that all backends do the same to the same image.

A draw depends on the seed, the epoch, the image's row and on how often it has come in the epoch; on nothing else. The
steps are geometry, blur, noise, colour, JPEG, in this order; after each one, pixels are rounded to uint8 again.
"""

from dataclasses import dataclass
from functools import lru_cache
from math import ceil

import numpy as np

from deepfake.config.images import Range
from deepfake.config.params import Augmentation
from deepfake.modalities import chance

YIQ = np.array([[0.299, 0.587, 0.114], [0.596, -0.274, -0.322], [0.211, -0.523, 0.312]])
"""From RGB to luma and the two axes of chroma that hue rotates (NTSC)."""

_COLUMNS = (
    *("flip", "scale", "x", "y", "rotation"),
    *("blur", "sigma", "noise", "std", "noise_x", "noise_y"),
    *("brightness", "contrast", "saturation", "hue", "jpeg", "quality"),
)
"""The uniform numbers of a sample. A new one goes to the end, so that the others keep their values."""


@dataclass(frozen=True)
class Draws:
    """What happens to the b images of a batch.

    Args:
        matrix: float32 [b, 2, 3]: takes (x, y, 1) in the result to (x, y) in the image it is sampled from. Coordinates
            are continuous: the centre of pixel i is i + 0.5.
        colour: float32 [b, 3, 4]: takes (r, g, b, 1) on 0..255 to (r, g, b).
        blur: float32 [b], the Gaussian's sigma in pixels of the result; 0: none.
        noise: float32 [b], the standard deviation, of 255; 0: none.
        noise_offset: int32 [b, 2]: y, x of the sample's noise in `noise_bank`.
        quality: int32 [b], of the JPEG; 0: none.
    """

    matrix: np.ndarray
    colour: np.ndarray
    blur: np.ndarray
    noise: np.ndarray
    noise_offset: np.ndarray
    quality: np.ndarray


class AugmentationPlan:
    """The draws of one epoch."""

    def __init__(self, policy: Augmentation, *, seed: int, epoch: int, source: int, size: int):
        """Keep what is drawn from.

        Args:
            policy: the ranges.
            seed: of the run.
            epoch: counted from 0.
            source: side of the images before the geometry, in pixels.
            size: side of the result.
        """
        self._policy = policy
        self._source = source
        self._size = size
        self._state = chance.of_epoch(seed, epoch)

    def draws(self, rows: np.ndarray, occurrence: np.ndarray) -> Draws:
        """Return what happens to some images.

        Args:
            rows: int [b], each sample's row in the manifest, below 2^32.
            occurrence: int [b]: how often the row has come in this epoch before, below 2^24.
        """
        policy = self._policy
        u = chance.uniform(self._state, rows, occurrence, _COLUMNS)
        offset = np.stack([u["noise_y"], u["noise_x"]], axis=1) * (self._size + 1)
        quality = policy.jpeg.quality.min + u["quality"] * (policy.jpeg.quality.max - policy.jpeg.quality.min + 1)
        return Draws(
            matrix=self._matrix(u),
            colour=self._colour(u),
            blur=np.where(u["blur"] < policy.blur.probability, _within(policy.blur.sigma, u["sigma"]), 0).astype("f4"),
            noise=np.where(u["noise"] < policy.noise.probability, _within(policy.noise.std, u["std"]), 0).astype("f4"),
            noise_offset=offset.astype(np.int32),
            quality=np.where(u["jpeg"] < policy.jpeg.probability, quality, 0).astype(np.int32),
        )

    def _matrix(self, u: dict[str, np.ndarray]) -> np.ndarray:
        """Return crop, rotation about the crop's centre and mirror image as one map, float32 [b, 2, 3]."""
        side = self._source * _within(self._policy.scale, u["scale"])
        centre = (self._source - side) * np.stack([u["x"], u["y"]]) + side / 2
        step = side / self._size
        angle = np.deg2rad(_around(0, self._policy.rotation, u["rotation"]))
        cos, sin = step * np.cos(angle), step * np.sin(angle)
        mirror = np.where(u["flip"] < self._policy.flip, -1, 1)
        linear = np.stack([np.stack([mirror * cos, -sin], axis=1), np.stack([mirror * sin, cos], axis=1)], axis=1)
        shift = centre.T - linear.sum(axis=2) * (self._size / 2)
        return np.concatenate([linear, shift[:, :, None]], axis=2).astype(np.float32)

    def _colour(self, u: dict[str, np.ndarray]) -> np.ndarray:
        """Return hue · saturation · contrast · brightness as one map, float32 [b, 3, 4].

        Brightness is a factor on all channels, contrast one on their distance from 127.5, saturation one on their
        distance from the luma, and hue turns I and Q, from red towards green. Nothing is clipped in between.
        """
        policy = self._policy
        brightness = _around(1, policy.brightness, u["brightness"])
        contrast = _around(1, policy.contrast, u["contrast"])
        saturation = _around(1, policy.saturation, u["saturation"])
        hue = np.deg2rad(_around(0, policy.hue, u["hue"]))
        turn = np.zeros((len(hue), 3, 3))
        turn[:, 0, 0] = 1
        turn[:, 1, 1] = turn[:, 2, 2] = saturation * np.cos(hue)
        turn[:, 1, 2] = saturation * np.sin(hue)
        turn[:, 2, 1] = -turn[:, 1, 2]
        matrix = np.linalg.inv(YIQ) @ turn @ YIQ * (contrast * brightness)[:, None, None]
        # gray stays gray under saturation and hue, so that they leave the contrast's offset as it is
        offset = np.broadcast_to((127.5 * (1 - contrast))[:, None, None], (len(hue), 3, 1))
        return np.concatenate([matrix, offset], axis=2).astype(np.float32)


def possible(policy: Augmentation, *, source: int, size: int) -> frozenset[str]:
    """Return the steps that can change an image under a policy: of geometry, blur, noise, colour, jpeg."""
    steps = {
        "geometry": source != size or policy.flip > 0 or policy.scale.min < 1 or policy.rotation > 0,
        "blur": policy.blur.probability > 0 and policy.blur.sigma.max > 0,
        "noise": policy.noise.probability > 0 and policy.noise.std.max > 0,
        "colour": max(policy.brightness, policy.contrast, policy.saturation, policy.hue) > 0,
        "jpeg": policy.jpeg.probability > 0,
    }
    return frozenset(step for step, can in steps.items() if can)


def blur_window(policy: Augmentation, size: int) -> int:
    """Return the width in pixels of the window for all blurs of a policy: three of the largest sigma to either side."""
    # a mirrored border has no more than size - 1 pixels to give
    return 2 * min(ceil(3 * policy.blur.sigma.max), size - 1) + 1


@lru_cache(maxsize=2)
def noise_bank(size: int) -> np.ndarray:
    """Return the Gaussian noise that all noise is cut from, float32 [2 size, 2 size, 3]; the same on every machine."""
    bank = np.random.default_rng(0).standard_normal((2 * size, 2 * size, 3), np.float32)
    bank.setflags(write=False)
    return bank


def _within(limits: Range, u: np.ndarray) -> np.ndarray:
    """Map [0, 1) to a range."""
    return limits.min + u * (limits.max - limits.min)


def _around(centre: float, reach: float, u: np.ndarray) -> np.ndarray:
    """Map [0, 1) to an interval around a centre."""
    return centre + (2 * u - 1) * reach
