"""Manipulate a clip frame by frame, as face-swap software does: without memory, so that the result flickers.

A forger's tool finds the face anew in each frame, a little beside where it is, and matches and blends it anew. Donors
are other photographs of the same person, as in the sample of images, so a person stays a group of all splits.
"""

from collections.abc import Callable

import numpy as np

from deepfake.config.clips import Filmed
from deepfake.synthetic import edits, landmarks, manipulations, video_scenes
from deepfake.synthetic.manipulations import Portrait
from deepfake.synthetic.video_scenes import Play, Scene

_MOUTH = 1.8
"""Size of the region in which a mouth is replaced, in mouths; it varies by a tenth from frame to frame."""


def swap(frame: Portrait, face: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Lay a whole face over a frame's: brightness and contrast matched, the seam hidden by Poisson blending."""
    outline = landmarks.outline(frame.points)
    return manipulations.blend(face, frame.pixels, outline)


def lipsync(frame: Portrait, face: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Replace a frame's mouth and what surrounds it; the border of the region fades."""
    mask = manipulations.feature_mask(frame, "mouth", grow=_MOUTH * rng.uniform(0.9, 1.1)) // 255
    mask *= face > 0  # where the donor's face ends
    eyes = float(np.hypot(*landmarks.axes(frame.points)[1]))
    return edits.laid_over(face, frame.pixels, mask, edits.FEATHER * eyes)


FAKES: dict[str, Callable[[Portrait, np.ndarray, np.random.Generator], np.ndarray]] = {"swap": swap, "lipsync": lipsync}
"""What is done with a frame, the donor's face warped onto its own, and a generator."""


def manipulated(
    source: str, scene: Scene, frames: list[Portrait], donor: Portrait, settings: Filmed, rng: np.random.Generator
) -> list[np.ndarray]:
    """Manipulate each frame of a scene, before light and noise.

    Args:
        source: one of `FAKES`.
        scene: what is filmed.
        frames: its frames.
        donor: the photograph whose face comes in, see `is_usable`.
        settings: the section `sample_video` of params.yaml.
        rng: what the flicker is drawn with.

    Returns:
        uint8 [height, width] for each frame. A frame whose face cannot be warped stays as it was: there the tool fails.
    """
    acted = scene.plays
    if source == "lipsync":  # the donor's mouth says something else
        times = np.arange(len(scene.plays)) / settings.rate
        acted = [
            Play(own.mouth, film.eyes) for own, film in zip(video_scenes.plays(times, rng), scene.plays, strict=True)
        ]
    made = []
    for frame, play in zip(frames, acted, strict=True):
        eyes = float(np.hypot(*landmarks.axes(frame.points)[1]))
        missed = frame.points + settings.jitter * eyes * rng.standard_normal(frame.points.shape)
        opacity = rng.uniform(settings.opacity.min, settings.opacity.max)
        found = Portrait(frame.person, frame.number, frame.pixels, missed)
        face = warped(donor, found, play)
        pixels = frame.pixels
        if face is not None and manipulations.is_inside(landmarks.outline(missed), pixels.shape):
            mixed = opacity * FAKES[source](found, face, rng) + (1 - opacity) * pixels
            pixels = np.clip(np.round(mixed), 0, 255).astype(np.uint8)
        made.append(pixels)
    return made


def warped(donor: Portrait, frame: Portrait, play: Play) -> np.ndarray | None:
    """Return the donor's face, doing what a play says, warped onto a frame's: uint8, 0 outside the face's mesh.

    Returns None when the mesh would fold over.
    """
    found = manipulations.places(landmarks.mesh(donor.points), landmarks.mesh(frame.points), frame.pixels.shape)
    if found is None:
        return None
    return manipulations.read_at(donor.pixels, video_scenes.played(found, donor.points, play))


def is_usable(portrait: Portrait) -> bool:
    """Tell whether a face can be outlined: it is not turned far, and lies within its photograph."""
    frontal = abs(landmarks.pose(portrait.points)[0]) <= manipulations.MAX_YAW
    return frontal and manipulations.is_inside(landmarks.outline(portrait.points), portrait.pixels.shape)
