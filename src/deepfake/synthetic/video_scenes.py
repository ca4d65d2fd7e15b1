"""What a made camera films of a photograph: pan, zoom, rotation, a little play of the face, light and sensor noise.

A real clip and its fakes are filmed by one scene. A manipulation works on the frames before light and noise, which are
then the same for all; whatever comes from a photograph, the filmed one or a forger's donor, has been read from it once,
by the same interpolation, so that no resampling tells fakes from reals.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from deepfake.config.clips import Filmed
from deepfake.synthetic import edits, landmarks
from deepfake.synthetic.manipulations import Portrait, is_inside, read_at

_FACE, _ZOOM = 0.74, 0.1
"""Height of the face's outline as a share of the frame's, and how much it grows and shrinks, as a share of itself."""
_PAN, _TURN = 0.06, 6.0
"""Largest pan as a share of the frame, and rotation in degrees, from a clip's middle."""
_SHAKE = 0.006
"""Largest standard deviation of a hand-held camera's shake, as a share of the frame; each scene draws its own."""
_GAIN, _SLOPE = 0.15, 0.15
"""Largest change of the light as a whole, and from one edge to the other, as a share of it."""
_MOUTH, _BLINK = 0.22, 0.35
"""Largest stretch of the mouth, and shrinkage of the eyes when they blink, across the line of the eyes."""
_MOUTH_REACH, _EYE_REACH = 0.75, 0.4
"""How far the two reach, in eye distances."""


@dataclass(frozen=True)
class Play:
    """What a face does in a frame.

    Args:
        mouth: how much the mouth is stretched from its middle, up and down.
        eyes: how much the eyes are, likewise; negative when they blink.
    """

    mouth: float
    eyes: float


@dataclass(frozen=True)
class Scene:
    """All that a real clip and its fakes have in common, drawn once.

    Args:
        portrait: what is filmed.
        cameras: float64 [frames, 2, 3], from places in the portrait to places in the frame.
        plays: what the face does in each frame.
        light: float64 [frames, 3]: gain, and its slopes along the frame's width and height.
        noise: float32 [frames, height, width], in gray levels.
    """

    portrait: Portrait
    cameras: np.ndarray
    plays: list[Play]
    light: np.ndarray
    noise: np.ndarray

    def frames(self) -> list[Portrait]:
        """Return the frames before light and noise, with the face's points in them."""
        height, width = self.noise.shape[1:]
        rows, columns = np.mgrid[:height, :width].astype(np.float64)
        everywhere = np.stack([columns, rows], axis=-1)
        made = []
        for camera, play in zip(self.cameras, self.plays, strict=True):
            found = edits.moved(everywhere, cv2.invertAffineTransform(camera))
            found = played(found, self.portrait.points, play)
            pixels = read_at(self.portrait.pixels, found, cv2.BORDER_REFLECT_101)
            points = edits.moved(self.portrait.points, camera)
            made.append(Portrait(self.portrait.person, self.portrait.number, pixels, points))
        return made

    def exposed(self, frames: list[np.ndarray]) -> list[np.ndarray]:
        """Return frames as the sensor gives them: lit, and with noise; uint8."""
        rows, columns = (np.linspace(-0.5, 0.5, side) for side in self.noise.shape[1:])
        made = []
        for pixels, (gain, across, down), noise in zip(frames, self.light, self.noise, strict=True):
            lit = pixels * (gain + across * columns + down * rows[:, None]) + noise
            made.append(np.clip(np.round(lit), 0, 255).astype(np.uint8))
        return made

    @property
    def shows_the_face(self) -> bool:
        """Tell whether the face's outline lies inside each frame."""
        outline = landmarks.outline(self.portrait.points)
        return all(is_inside(edits.moved(outline, camera), self.noise.shape[1:]) for camera in self.cameras)


def draw(portrait: Portrait, settings: Filmed, rng: np.random.Generator) -> Scene:
    """Draw the scene of a portrait."""
    frames = round(settings.seconds * settings.rate)
    times = np.arange(frames) / settings.rate
    waves = {name: _wave(times, rng) for name in ("x", "y", "turn", "zoom", "gain", "across", "down")}
    outline = landmarks.outline(portrait.points)
    low, high = outline.min(axis=0), outline.max(axis=0)
    size = np.array([settings.width, settings.height])
    scale = settings.height * _FACE / float((high - low)[1])
    shakes = rng.uniform(0, _SHAKE) * rng.standard_normal((frames, 2))
    cameras = []
    for shake, x, y, turn, zoom in zip(shakes, *(waves[name] for name in ("x", "y", "turn", "zoom")), strict=True):
        camera = cv2.getRotationMatrix2D(((low + high) / 2).tolist(), _TURN * turn, scale * (1 + _ZOOM * zoom))
        camera[:, 2] += (size - 1) / 2 - (low + high) / 2 + size * (_PAN * np.array([x, y]) + shake)
        cameras.append(camera)
    return Scene(
        portrait,
        np.array(cameras),
        plays(times, rng),
        np.column_stack([1 + _GAIN * waves["gain"], _SLOPE * waves["across"], _SLOPE * waves["down"]]),
        rng.uniform(settings.noise.min, settings.noise.max)
        * rng.standard_normal((frames, settings.height, settings.width), np.float32),
    )


def plays(times: np.ndarray, rng: np.random.Generator) -> list[Play]:
    """Draw what a face does at each time: the mouth moves as in speech, and the eyes blink once or not at all."""
    mouth = _MOUTH * _wave(times, rng, (0.8, 3.0))
    blink = -_BLINK * np.exp(-(((times - rng.uniform(-0.5, times[-1] + 0.5)) / 0.12) ** 2))
    return [Play(*both) for both in zip(mouth.tolist(), blink.tolist(), strict=True)]


def played(found: np.ndarray, points: np.ndarray, play: Play) -> np.ndarray:
    """Return the places [height, width, 2] that pixels are read from when the face there does something.

    The middle of the eyes and the corners of the mouth stay where they are, so a face's points do, too.
    """
    found = found.copy()
    eyes = float(np.hypot(*landmarks.axes(points)[1]))
    moves = [(points[3:].mean(axis=0), _MOUTH_REACH, play.mouth), *((eye, _EYE_REACH, play.eyes) for eye in points[:2])]
    for centre, reach, amount in moves:
        near = (np.abs(found[..., 0] - centre[0]) < reach * eyes) & (np.abs(found[..., 1] - centre[1]) < reach * eyes)
        if near.any():  # the rest stays as it is
            found[near] = edits.scaled(found[near], points, centre, reach, (0.0, amount))
    return found


def _wave(times: np.ndarray, rng: np.random.Generator, frequencies: tuple[float, float] = (0.1, 0.7)) -> np.ndarray:
    """Return a slow random movement between -1 and 1 at each time: three sines of frequencies from a range, in Hz."""
    rates, phases = rng.uniform(*frequencies, 3), rng.uniform(0, 2 * np.pi, 3)
    return np.sin(2 * np.pi * times[:, None] * rates + phases).mean(axis=1)
