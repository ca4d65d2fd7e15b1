"""Edit a face photograph as pasting, face-morphing and retouching software does.

The manipulations of `sample_edited`, different in kind from those of the sample (`manipulations`, `synthesis`): no hole
is filled in from around, no gradients are blended, no face is synthetic. Images are gray uint8; points are float64
[n, 2], x and y in the image's pixels; lengths are in eye distances unless they say otherwise.
"""

from collections.abc import Callable

import cv2
import numpy as np

from deepfake.synthetic import landmarks
from deepfake.synthetic.manipulations import MAX_YAW, Portrait, is_inside, warp

FEATHER = 0.3
"""Width of the border in which a laid-in face fades."""
MISFIT = 0.1
"""Largest root mean square distance between the points of two faces, one on the other, for one to replace the other."""
_TONE = (0.85, 0.6)
"""How much of the difference in brightness and in contrast is taken away: a little, as a hurried forger does."""
_GAIN = (0.6, 1.6)
"""Limits of the contrast change."""
_RING = 1.4
"""Size of the outline beyond which a morph moves nothing, in outlines of the face."""


def paste(portrait: Portrait, donor: Portrait) -> np.ndarray | None:
    """Lay the donor's face over the portrait's: turned, scaled and moved as a whole, toned a little, edges faded.

    Returns:
        The image, or None when one of the faces is turned too far or leaves its picture, or the two do not fit.
    """
    if not (_is_usable(portrait) and _is_usable(donor)):
        return None
    matrix = similarity(donor.points, portrait.points)
    if not _fit(portrait, moved(donor.points, matrix)):
        return None
    height, width = portrait.pixels.shape
    face = cv2.warpAffine(donor.pixels, matrix, (width, height), flags=cv2.INTER_CUBIC)
    both = _filled(landmarks.outline(portrait.points), portrait) & _filled(
        moved(landmarks.outline(donor.points), matrix), portrait
    )
    return laid_over(face, portrait.pixels, both, FEATHER * _eye_distance(portrait))


def morph(portrait: Portrait, partner: Portrait) -> np.ndarray | None:
    """Average two faces at their mean landmarks and set the result into the first one's picture.

    As in face-morphing attacks on passports (Ferrara et al. 2014, "The magic passport"): piecewise-affine warps, equal
    weights. The picture around the first one's face is bent to the mean shape, and nothing beyond that.

    Returns:
        The image, or None when one of the faces is turned too far or leaves its picture, when the two do not fit, or
        when a mesh folds over.
    """
    if not (_is_usable(portrait) and _is_usable(partner)):
        return None
    placed = moved(partner.points, similarity(partner.points, portrait.points))
    if not _fit(portrait, placed):
        return None
    mean = (portrait.points + placed) / 2
    outline = landmarks.outline(portrait.points)
    centre = outline.mean(axis=0)
    height, width = portrait.pixels.shape
    ring = np.clip(centre + _RING * (outline - centre), 0, (width - 1, height - 1))
    bent = warp(
        portrait.pixels,
        np.concatenate([landmarks.mesh(portrait.points), ring]),
        np.concatenate([landmarks.mesh(mean), ring]),
    )
    other = warp(partner.pixels, landmarks.mesh(partner.points), landmarks.mesh(mean))
    if bent is None or other is None:
        return None
    # a warped picture is 0 beyond its mesh, and what lies on the mesh's edge, be it the picture's too, may be beyond
    core = cv2.erode(_filled(ring, portrait), np.ones((3, 3), np.uint8), borderType=cv2.BORDER_CONSTANT, borderValue=0)
    own = np.where(core > 0, bent, portrait.pixels)
    return laid_over(other, own, _filled(landmarks.outline(mean), portrait), FEATHER * _eye_distance(portrait), 0.5)


OF_TWO: dict[str, Callable[[Portrait, Portrait], np.ndarray | None]] = {"paste": paste, "morph": morph}
"""The manipulations that take another person's portrait."""


def liquify(portrait: Portrait, rng: np.random.Generator) -> np.ndarray | None:
    """Change two of the person's own features by smooth local warps, as retouching software does.

    Returns:
        The image, or None when the face is turned too far or leaves the picture.
    """
    if not _is_usable(portrait):
        return None
    height, width = portrait.pixels.shape
    places = np.stack(np.meshgrid(np.arange(width), np.arange(height)), axis=-1).astype(np.float64)
    for name in rng.choice(list(RETOUCHES), size=2, replace=False):
        # one after the other: each reads where the one before has put things
        places = RETOUCHES[name](places, portrait.points, rng)
    across, down = np.moveaxis(places.astype(np.float32), -1, 0)
    return cv2.remap(portrait.pixels, across, down, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)


Retouch = Callable[[np.ndarray, np.ndarray, np.random.Generator], np.ndarray]
"""Takes the places [height, width, 2] that pixels are read from, the face's points and a generator; gives new ones."""


def _eyes(places: np.ndarray, points: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Enlarge the eyes."""
    amount = rng.uniform(0.3, 0.42)
    for eye in points[:2]:
        places = scaled(places, points, eye, 0.5, (amount, amount))
    return places


def _nose(places: np.ndarray, points: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Narrow the nose, or widen it."""
    amount = rng.uniform(0.25, 0.38) * rng.choice([-1, 1])
    middle = landmarks.axes(points)[0]
    return scaled(places, points, 0.8 * points[2] + 0.2 * middle, 0.55, (amount, amount / 4))


def _mouth(places: np.ndarray, points: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Enlarge the mouth, or make it smaller, and shift it up or down."""
    amount = rng.uniform(0.2, 0.28) * rng.choice([-1, 1])
    middle = points[3:].mean(axis=0)
    places = scaled(places, points, middle, 0.75, (amount, amount))
    shift = rng.uniform(0.05, 0.09) * rng.choice([-1, 1]) * landmarks.axes(points)[2]
    return _shifted(places, points, middle, 0.75, shift)


def _jaw(places: np.ndarray, points: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Narrow the jaw, or widen it, by moving both cheeks."""
    amount = rng.uniform(0.08, 0.13) * rng.choice([-1, 1])
    middle, across, down = landmarks.axes(points)
    for side in (-1, 1):
        cheek = middle + side * 0.68 * across + 0.9 * down
        places = _shifted(places, points, cheek, 0.7, -side * amount * across)
    return places


RETOUCHES: dict[str, Retouch] = {"eyes": _eyes, "nose": _nose, "mouth": _mouth, "jaw": _jaw}
"""What may be retouched; the order is part of the draw, so only append."""


def similarity(points: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Return the turn, scale and shift that bring points nearest to their targets, in least squares: float64 [2, 3]."""
    # a similarity of the plane is z -> a z + b in complex numbers
    flat, onto = points @ [1, 1j], targets @ [1, 1j]
    (a, b), *_ = np.linalg.lstsq(np.column_stack([flat, np.ones_like(flat)]), onto, rcond=None)
    return np.array([[a.real, -a.imag, b.real], [a.imag, a.real, b.imag]])


def moved(points: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """Return points under an affine map [2, 3]."""
    return points @ matrix[:, :2].T + matrix[:, 2]


def _eye_distance(portrait: Portrait) -> float:
    """Return the distance between the eyes in pixels."""
    return float(np.hypot(*landmarks.axes(portrait.points)[1]))


def _is_usable(portrait: Portrait) -> bool:
    """Tell whether five points outline a face: it is not turned far, and lies within the picture."""
    frontal = abs(landmarks.pose(portrait.points)[0]) <= MAX_YAW
    return frontal and is_inside(landmarks.outline(portrait.points), portrait.pixels.shape)


def _fit(portrait: Portrait, placed: np.ndarray) -> bool:
    """Tell whether another face's points, placed on a portrait's, lie near them."""
    distances = np.linalg.norm(placed - portrait.points, axis=1)
    return bool(np.sqrt((distances**2).mean()) <= MISFIT * _eye_distance(portrait))


def _filled(polygon: np.ndarray, portrait: Portrait) -> np.ndarray:
    """Return a mask of a portrait's picture: uint8, 1 inside a convex polygon."""
    mask = np.zeros_like(portrait.pixels)
    return cv2.fillConvexPoly(mask, np.round(polygon).astype(np.int32), 1)


def laid_over(face: np.ndarray, onto: np.ndarray, mask: np.ndarray, feather: float, opacity: float = 1.0) -> np.ndarray:
    """Lay a face over a picture inside a mask, toned a little like what it covers; it fades over `feather` pixels."""
    inside = mask > 0
    gain = float(np.clip(onto[inside].std() / max(float(face[inside].std()), 1.0), *_GAIN)) ** _TONE[1]
    level = (1 - _TONE[0]) * face[inside].mean() + _TONE[0] * onto[inside].mean()
    toned = (face - face[inside].mean()) * gain + level
    depth = np.clip(cv2.distanceTransform(mask, cv2.DIST_L2, 5) / feather, 0, 1)
    alpha = opacity * depth**2 * (3 - 2 * depth)
    return np.clip(np.round(alpha * toned + (1 - alpha) * onto), 0, 255).astype(np.uint8)


def _weight(places: np.ndarray, points: np.ndarray, centre: np.ndarray, radius: float) -> np.ndarray:
    """Return how much a warp counts at each place: 1 in its centre, falling smoothly to 0 at its radius.

    It moves what lies where the pixel reads from, so the fall starts from there.
    """
    reach = radius * float(np.hypot(*landmarks.axes(points)[1]))
    square = ((places - centre) ** 2).sum(axis=-1) / reach**2
    return np.clip(1 - square, 0, None)[..., None] ** 2


def scaled(
    places: np.ndarray, points: np.ndarray, centre: np.ndarray, radius: float, amount: tuple[float, float]
) -> np.ndarray:
    """Enlarge what lies around a centre, along the line of the eyes and across it; negative amounts make it smaller."""
    across = landmarks.axes(points)[1]
    turn = np.array([across, [-across[1], across[0]]]) / np.hypot(*across)
    away = (places - centre) @ turn.T
    return places - _weight(places, points, centre, radius) * (away * amount) @ turn


def _shifted(
    places: np.ndarray, points: np.ndarray, centre: np.ndarray, radius: float, shift: np.ndarray
) -> np.ndarray:
    """Move what lies around a centre by a vector in pixels."""
    return places - _weight(places, points, centre, radius) * shift
