"""Manipulate a face photograph as a forger would: erase a feature, or put another face in.

All functions take and return gray uint8 images; points are float64 [n, 2], x and y in the image's pixels.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from scipy.interpolate import LinearNDInterpolator
from scipy.spatial import Delaunay

from deepfake.synthetic import landmarks

FEATURES = ("eyes", "nose", "mouth")
MAX_YAW = 0.34
"""A face turned further than this (see `landmarks.pose`) hides a cheek, and five points cannot outline it."""
MAX_POSE_DIFFERENCE = 0.22
"""Largest difference of pose between the two faces of a swap."""
CLIPPING_MARGIN = 2
"""Pixels that a face's outline must keep from the picture's edge to be blended in."""
_GAIN = (0.7, 1.4)
"""Limits of the contrast change in a colour match."""
_NOWHERE = -1e4
"""Coordinate of a place outside every image."""


@dataclass(frozen=True)
class Portrait:
    """A photograph at working size with its landmarks.

    Args:
        person: number of the person.
        number: number of the photograph.
        pixels: uint8 [height, width].
        points: float64 [5, 2], see `landmarks.POINTS`.
    """

    person: int
    number: int
    pixels: np.ndarray
    points: np.ndarray


def inpaint(portrait: Portrait, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Erase the eyes, the nose or the mouth and fill the hole from its surroundings.

    The fill is that of Telea (2004) or, as often, the Navier-Stokes one of Bertalmio et al. (2001), by OpenCV.

    Returns:
        The image, and the mask uint8 that is 255 where the image may have changed.
    """
    feature = FEATURES[rng.integers(len(FEATURES))]
    mask = feature_mask(portrait, feature, grow=rng.uniform(0.95, 1.2))
    method = (cv2.INPAINT_TELEA, cv2.INPAINT_NS)[rng.integers(2)]
    return cv2.inpaint(portrait.pixels, mask, 4, method), mask


def feature_mask(portrait: Portrait, feature: str, grow: float) -> np.ndarray:
    """Return a mask over one of `FEATURES`: uint8, 255 inside; `grow` scales its size."""
    middle, across, down = landmarks.axes(portrait.points)
    left_eye, right_eye, nose, mouth_left, mouth_right = portrait.points
    eye_distance = float(np.hypot(*across))
    mouth_distance = float(np.hypot(*down))
    tilt = float(np.degrees(np.arctan2(across[1], across[0])))
    ellipses = {
        "eyes": [(eye, 0.34 * eye_distance, 0.22 * mouth_distance) for eye in (left_eye, right_eye)],
        "nose": [(0.7 * nose + 0.3 * middle, 0.26 * eye_distance, 0.38 * mouth_distance)],
        "mouth": [
            (
                (mouth_left + mouth_right) / 2,
                0.66 * float(np.hypot(*(mouth_right - mouth_left))),
                0.26 * mouth_distance,
            )
        ],
    }[feature]
    mask = np.zeros_like(portrait.pixels)
    for centre, half_width, half_height in ellipses:
        size = (2 * grow * half_width, 2 * grow * half_height)
        cv2.ellipse(mask, (centre.tolist(), size, tilt), 255, cv2.FILLED)
    return mask


def donors(portrait: Portrait, others: list[Portrait]) -> list[Portrait]:
    """Return the person's other photographs, most different pose first; those that differ too much are left out.

    Of a donor in the same pose hardly anything would be left to find: the face is the same.
    """
    own = landmarks.pose(portrait.points)
    distances = [
        (float(np.hypot(*(landmarks.pose(other.points) - own))), other.number, other)
        for other in others
        if other.person == portrait.person and other.number != portrait.number
    ]
    near = [row for row in distances if row[0] <= MAX_POSE_DIFFERENCE]
    return [other for *_, other in sorted(near, key=lambda row: row[:2], reverse=True)]


def swap(portrait: Portrait, donor: Portrait) -> np.ndarray | None:
    """Put the donor's face into a portrait: piecewise-affine warp, colour match, Poisson blending.

    Returns:
        The image, or None when one of the faces is turned too far, leaves the picture, or folds in the warp.
    """
    if max(abs(landmarks.pose(face.points)[0]) for face in (portrait, donor)) > MAX_YAW:
        return None
    if not all(is_inside(landmarks.outline(face.points), face.pixels.shape) for face in (portrait, donor)):
        return None
    vertices = landmarks.mesh(portrait.points)
    warped = warp(donor.pixels, landmarks.mesh(donor.points), vertices)
    if warped is None:
        return None
    return blend(warped, portrait.pixels, landmarks.outline(portrait.points))


def is_inside(points: np.ndarray, shape: tuple[int, ...]) -> bool:
    """Tell whether all points keep `CLIPPING_MARGIN` from the edges of an image of shape [height, width]."""
    height, width = shape[:2]
    low = CLIPPING_MARGIN
    high = np.array([width, height]) - 1 - CLIPPING_MARGIN
    return bool((points >= low).all() and (points <= high).all())


def warp(image: np.ndarray, vertices: np.ndarray, targets: np.ndarray) -> np.ndarray | None:
    """Move an image's vertices to their targets, affine in each triangle of the targets' Delaunay mesh.

    Returns:
        The image, same shape, 0 outside the mesh; None when a triangle would fold over.
    """
    found = places(vertices, targets, image.shape)
    return None if found is None else read_at(image, found)


def places(vertices: np.ndarray, targets: np.ndarray, shape: tuple[int, ...]) -> np.ndarray | None:
    """Return where each pixel of a warped image is read from, see `warp`.

    Args:
        vertices: float64 [n, 2] in the image that is read.
        targets: float64 [n, 2], where they come to lie.
        shape: height and width of the warped image.

    Returns:
        float64 [height, width, 2], far outside the image where there is no mesh; None when a triangle would fold over.
    """
    triangles = Delaunay(targets)
    before, after = _areas(vertices[triangles.simplices]), _areas(targets[triangles.simplices])
    if (before * np.sign(after) <= 0).any():
        return None
    found = np.full((*shape[:2], 2), _NOWHERE)
    # the rest of the image lies outside the mesh
    left, top = np.clip(np.floor(targets.min(axis=0)), 0, None).astype(int)
    right, bottom = np.ceil(targets.max(axis=0)).astype(int) + 1
    columns, rows = np.meshgrid(np.arange(left, min(right, shape[1])), np.arange(top, min(bottom, shape[0])))
    inside = LinearNDInterpolator(triangles, vertices, fill_value=_NOWHERE)(columns, rows)
    found[top:bottom, left:right] = inside
    return found


def read_at(image: np.ndarray, found: np.ndarray, border: int = cv2.BORDER_CONSTANT) -> np.ndarray:
    """Return an image read at the places [height, width, 2] of its pixels, with cubic interpolation."""
    across, down = np.moveaxis(found.astype(np.float32), -1, 0)
    return cv2.remap(image, across, down, cv2.INTER_CUBIC, borderMode=border)


def _areas(triangles: np.ndarray) -> np.ndarray:
    """Return twice the signed area of each triangle, from float64 [n, 3, 2]."""
    first, second = triangles[:, 1] - triangles[:, 0], triangles[:, 2] - triangles[:, 0]
    return first[:, 0] * second[:, 1] - first[:, 1] * second[:, 0]


def blend(face: np.ndarray, onto: np.ndarray, hull: np.ndarray) -> np.ndarray:
    """Lay a face over a picture inside a convex hull: match brightness and contrast, then hide the seam.

    The seam is hidden by Poisson blending (Perez et al. 2003, `cv2.seamlessClone`), which may shade the picture
    a little within the hull's bounding box, nothing beyond. The hull must keep `CLIPPING_MARGIN` from
    the edges, see `is_inside`.
    """
    mask = np.zeros_like(onto)
    cv2.fillConvexPoly(mask, np.round(hull).astype(np.int32), 255)
    # a warped face is 0 beyond its mesh, and the polygon's own pixels may lie half outside
    mask = cv2.erode(mask, np.ones((3, 3), np.uint8))
    inside = mask > 0
    gain = float(np.clip(onto[inside].std() / max(float(face[inside].std()), 1.0), *_GAIN))
    matched = (face - face[inside].mean()) * gain + onto[inside].mean()
    matched = np.clip(np.round(np.where(inside, matched, onto)), 0, 255).astype(np.uint8)
    x, y, width, height = cv2.boundingRect(mask)
    centre = (x + width // 2, y + height // 2)
    gray = cv2.COLOR_GRAY2BGR
    cloned = cv2.seamlessClone(cv2.cvtColor(matched, gray), cv2.cvtColor(onto, gray), mask, centre, cv2.NORMAL_CLONE)
    return cloned[..., 0]
