"""Five facial points of each ORL photograph, and the face geometry that follows from them.

The points were found once with MTCNN (Zhang et al. 2016, as in facenet-pytorch) and are kept in
orl_landmarks.csv. The tool that wrote the table is tests/data/detect_landmarks.py: this layer imports no torch.
"""

from importlib import resources

import numpy as np
import pandas as pd

POINTS = ("left_eye", "right_eye", "nose", "mouth_left", "mouth_right")
"""The points in MTCNN's order; left and right as the viewer sees them."""
COLUMNS = ("person", "photo", *(f"{point}_{axis}" for point in POINTS for axis in "xy"), "confidence")

_OUTLINE = (
    (0.0, -0.50),
    (0.55, -0.42),
    (0.84, -0.05),
    (0.83, 0.50),
    (0.68, 1.02),
    (0.36, 1.40),
    (0.0, 1.50),
)
"""Right half of a face's outline, from the forehead to the chin: how far a point lies from the middle of the eyes,
along the line of the eyes (in eye distances) and towards the mouth (in distances from eyes to mouth)."""


def load() -> dict[tuple[int, int], np.ndarray]:
    """Return the points of each photograph.

    Returns:
        (person, number) to float64 [5, 2]: x and y in pixels of the 92x112 photograph, in the order of `POINTS`.
    """
    with resources.files("deepfake.synthetic").joinpath("orl_landmarks.csv").open(encoding="utf-8") as file:
        frame = pd.read_csv(file)
    points = frame[list(COLUMNS[2:-1])].to_numpy(np.float64).reshape(-1, len(POINTS), 2)
    return dict(zip(zip(frame["person"], frame["photo"], strict=True), points, strict=True))


def axes(points: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the middle of the eyes, the vector from eye to eye, and the vector from there to the mouth."""
    left_eye, right_eye, _, mouth_left, mouth_right = points
    middle = (left_eye + right_eye) / 2
    return middle, right_eye - left_eye, (mouth_left + mouth_right) / 2 - middle


def pose(points: np.ndarray) -> np.ndarray:
    """Return where the nose lies in the frame of eyes and mouth: a stand-in for yaw and pitch.

    Returns:
        float64 [2]: yaw, 0 for a frontal face and positive when it looks to the viewer's right; pitch, about
        0.55 for a level face and smaller when it looks up.
    """
    middle, across, down = axes(points)
    return np.linalg.solve(np.column_stack([across, down]), points[2] - middle)


def outline(points: np.ndarray) -> np.ndarray:
    """Return a face's outline, as far as five points tell it.

    When a face turns aside, its far cheek narrows and its near one widens; the nose says by how much.

    Returns:
        float64 [12, 2], clockwise on the screen from the forehead.
    """
    middle, across, down = axes(points)
    yaw = pose(points)[0]
    right = np.array(_OUTLINE)
    left = right[-2:0:-1] * [-1, 1]
    both = np.concatenate([right, left])
    both[:, 0] *= np.where(both[:, 0] > 0, 1 - 0.6 * yaw, 1 + 0.6 * yaw)
    return middle + both[:, :1] * across + both[:, 1:] * down


def mesh(points: np.ndarray) -> np.ndarray:
    """Return the vertices of a face's mesh: the five points, then its outline; float64 [17, 2]."""
    return np.concatenate([points, outline(points)])
