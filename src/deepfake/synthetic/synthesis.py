"""Synthetic faces from a model of shape and texture, after Cootes et al. 2001, "Active appearance models".

A face is a shape (its five points) and a texture (its pixels, warped to the mean shape). Each gets its own principal
components, so that features stay sharp where components of unaligned photographs would ghost.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

from deepfake.synthetic import landmarks
from deepfake.synthetic.manipulations import Portrait, blend, is_inside, warp

if TYPE_CHECKING:
    from sklearn.decomposition import PCA

SHAPE_COMPONENTS = 4
TEXTURE_COMPONENTS = 6
SMOOTHING = (14.0, 2.0)
"""Reach of the final bilateral filter in gray levels and in pixels: as in the pictures of real generators, skin and
hair are a little too smooth, which a person can see and a small network can learn."""
NEIGHBOURS = 4
"""Photographs of nearest pose among which a face's second parent is drawn."""
NOISE = 1.0
"""Standard deviation of what is added to a mixture of two portraits, in those of the person's portraits."""
ATTEMPTS = 8
"""Draws, each nearer to a portrait than the one before, until a face lies in the picture."""
_CONTRAST, _MIDDLE = 42.0, 128.0
"""Gray levels of a standardised texture; blending brings it to its surroundings' own."""


@dataclass(frozen=True)
class Model:
    """The faces of a person.

    Args:
        portraits: the n portraits behind the model.
        mean_shape: float64 [5, 2], centred, of unit norm.
        shape: principal components of the aligned shapes, flattened to [10].
        shape_codes: float64 [n, components] of the portraits.
        texture: principal components of the standardised textures, the pixels of `frame_mask`.
        texture_codes: float64 [n, components] of the portraits.
        frame_points: float64 [5, 2], the mean shape in the common frame of the textures, in pixels.
        frame_mask: bool [height, width], the face in that frame.
    """

    portraits: list[Portrait]
    mean_shape: np.ndarray
    shape: "PCA"
    shape_codes: np.ndarray
    texture: "PCA"
    texture_codes: np.ndarray
    frame_points: np.ndarray
    frame_mask: np.ndarray


def fit(portraits: list[Portrait]) -> Model:
    """Fit a model to portraits of one size; those whose face leaves the picture are left out."""
    usable = [p for p in portraits if is_inside(landmarks.outline(p.points), p.pixels.shape)]
    mean_shape, shapes = align([portrait.points for portrait in usable])
    size = np.mean([np.linalg.norm(p.points - p.points.mean(axis=0)) for p in usable])
    frame_points = mean_shape * size + np.mean([p.points.mean(axis=0) for p in usable], axis=0)
    mask = np.zeros_like(usable[0].pixels)
    cv2.fillConvexPoly(mask, np.round(landmarks.outline(frame_points)).astype(np.int32), 1)
    frame_mask = mask > 0
    frame_mesh = landmarks.mesh(frame_points)
    textures = {
        index: _standardise(texture[frame_mask])
        for index, p in enumerate(usable)
        if (texture := warp(p.pixels, landmarks.mesh(p.points), frame_mesh)) is not None
    }
    shape, shape_codes = _components(np.array([shapes[index].ravel() for index in textures]), SHAPE_COMPONENTS)
    texture, texture_codes = _components(np.array(list(textures.values())), TEXTURE_COMPONENTS)
    kept = [usable[index] for index in textures]
    return Model(kept, mean_shape, shape, shape_codes, texture, texture_codes, frame_points, frame_mask)


def _standardise(values: np.ndarray) -> np.ndarray:
    """Return values with mean 0 and standard deviation 1: brightness and contrast are no part of a texture."""
    return (values - values.mean()) / max(float(values.std()), 1.0)


def _components(rows: np.ndarray, count: int) -> tuple["PCA", np.ndarray]:
    """Return the principal components of rows, at most `count`, and each row's coefficients."""
    from sklearn.decomposition import PCA  # half a second, which the other data sets need not wait for

    pca = PCA(min(count, len(rows) - 1), svd_solver="full")
    return pca, pca.fit_transform(rows)


def align(shapes: list[np.ndarray]) -> tuple[np.ndarray, list[np.ndarray]]:
    """Remove place, size and tilt from shapes (generalised Procrustes analysis, Gower 1975).

    Returns:
        The mean shape and the aligned shapes, each float64 [5, 2] and centred; the mean has unit norm.
    """
    centred = [shape - shape.mean(axis=0) for shape in shapes]
    aligned = [shape / np.linalg.norm(shape) for shape in centred]
    mean = aligned[0]
    for _ in range(5):
        aligned = [shape @ _rotation(shape, mean) for shape in aligned]
        mean = np.mean(aligned, axis=0)
        mean /= np.linalg.norm(mean)
    return mean, aligned


def _rotation(shape: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Return the rotation [2, 2] that brings a centred shape, rows times it, nearest to a centred target."""
    left, _, right = np.linalg.svd(shape.T @ target)
    return left @ np.diag([1.0, np.sign(np.linalg.det(left @ right))]) @ right


def synthesize(model: Model, rng: np.random.Generator) -> np.ndarray | None:
    """Make a face that no photograph shows.

    It lies between two of the person's portraits in a similar pose and varies from there as the portraits do. Hair
    and clothes are the first portrait's, bent to the new shape.

    Returns:
        uint8, the size of the model's portraits; None when no draw lies in the picture.
    """
    count = len(model.portraits)
    for attempt in range(ATTEMPTS):
        change = 1 - attempt / ATTEMPTS
        base = int(rng.integers(count))
        parent = int(rng.choice(_nearest_poses(model, base)[1 : NEIGHBOURS + 1] or [base]))
        weight = rng.uniform(0.3, 0.7) * change
        mixture = NOISE * change * rng.standard_normal(count) / np.sqrt(count)
        mixture -= mixture.mean()
        mixture[base] += 1 - weight
        mixture[parent] += weight
        image = _render(model, mixture, model.portraits[base])
        if image is not None:
            return image
    return None


def _nearest_poses(model: Model, base: int) -> list[int]:
    """Return the indices of all portraits from the most to the least similar to the base in pose, itself first."""
    pose = landmarks.pose(model.portraits[base].points)
    return sorted(
        range(len(model.portraits)), key=lambda i: float(np.hypot(*(landmarks.pose(model.portraits[i].points) - pose)))
    )


def _render(model: Model, mixture: np.ndarray, base: Portrait) -> np.ndarray | None:
    """Return a mixture of the model's portraits, blended into the base portrait bent to the new shape.

    Args:
        model: the model.
        mixture: float64 [n], each portrait's weight; they add up to 1.
        base: the portrait that gives place, size, tilt and surroundings.

    Returns:
        uint8 [height, width], or None when the face leaves the picture or a mesh folds over.
    """
    points = _place(model, mixture @ model.shape_codes, base)
    hull = landmarks.outline(points)
    if not is_inside(hull, base.pixels.shape):
        return None
    texture = np.zeros(model.frame_mask.shape)
    values = model.texture.inverse_transform((mixture @ model.texture_codes)[None])[0]
    texture[model.frame_mask] = _CONTRAST * values + _MIDDLE
    gray = np.clip(np.round(texture), 0, 255).astype(np.uint8)
    face = warp(gray, landmarks.mesh(model.frame_points), landmarks.mesh(points))
    # the picture's edge stays where it is
    right, bottom = base.pixels.shape[1] - 1, base.pixels.shape[0] - 1
    x, y = np.meshgrid([0, right / 2, right], [0, bottom / 2, bottom])
    edge = np.column_stack([x.ravel(), y.ravel()])[[0, 1, 2, 3, 5, 6, 7, 8]]
    vertices, targets = (np.concatenate([landmarks.mesh(shape), edge]) for shape in (base.points, points))
    surroundings = warp(base.pixels, vertices, targets)
    if face is None or surroundings is None:
        return None
    return cv2.bilateralFilter(blend(face, surroundings, hull), 0, *SMOOTHING)


def _place(model: Model, code: np.ndarray, base: Portrait) -> np.ndarray:
    """Return the shape with a code in the place, size and tilt of the base portrait: float64 [5, 2]."""
    shape = model.shape.inverse_transform(code[None])[0].reshape(-1, 2)
    centre = base.points.mean(axis=0)
    centred = base.points - centre
    return centre + np.linalg.norm(centred) * shape @ _rotation(shape, centred)
