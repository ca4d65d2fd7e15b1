"""The face of a clip: boxes that were found in single frames, joined into one track, so that a crop does not jump."""

import numpy as np

_NEAR = 1.0
"""How far a face moves from one of its frames to the next, as a share of the larger box; beyond it is another face."""
_ALIKE = 2.0
"""How much larger or smaller it becomes."""
_WINDOW = 0.5
"""Seconds over which boxes are averaged. Frames that lie further apart are not: a face may have moved in between."""


def follow(corners: np.ndarray, found: np.ndarray, times: np.ndarray) -> np.ndarray:
    """Return one box a frame of a clip.

    Boxes that follow each other and are near each other and alike are one piece of a track. Of pieces that overlap in
    time, as those of two people or of a false detection do, the longest counts, of equal ones the larger face. Between
    the boxes of a piece, what is missing is interpolated; else the box that is nearest in time is held. Within a piece,
    a box is no larger and no smaller than both of its neighbours, and boxes are averaged over half a second.

    Args:
        corners: float [n, 4], left, top, right, bottom, in the order of the frames.
        found: bool [n]: whether a face was found; where not, the corners are not looked at.
        times: float [n], seconds, ascending.

    Returns:
        float [n, 4]; all 0 when no frame has a face.
    """
    corners, times = np.asarray(corners, np.float64), np.asarray(times, np.float64)
    kept = _kept(_pieces(corners, found), corners)
    if not kept:
        return np.zeros_like(corners)
    result = np.empty_like(corners)
    distance = np.full(len(corners), np.inf)
    for piece in kept:
        boxes = _smoothed(corners[piece], times[piece])
        filled = np.column_stack([np.interp(times, times[piece], boxes[:, side]) for side in range(4)])
        away = np.maximum(0, np.maximum(times[piece[0]] - times, times - times[piece[-1]]))
        nearer = away < distance
        result[nearer], distance[nearer] = filled[nearer], away[nearer]
    return result


def _pieces(corners: np.ndarray, found: np.ndarray) -> list[list[int]]:
    """Return the frames of each piece of a track, ascending."""
    sides = np.maximum(corners[:, 2] - corners[:, 0], corners[:, 3] - corners[:, 1])
    centres = (corners[:, :2] + corners[:, 2:]) / 2
    pieces: list[list[int]] = []
    for frame in np.flatnonzero(found):
        nearest, least = None, _NEAR
        for piece in pieces:
            last = piece[-1]
            larger, smaller = max(sides[frame], sides[last]), min(sides[frame], sides[last])
            moved = float(np.hypot(*(centres[frame] - centres[last]))) / larger if larger > 0 else np.inf
            if moved <= least and larger <= _ALIKE * smaller:
                nearest, least = piece, moved
        if nearest is None:
            pieces.append([int(frame)])
        else:
            nearest.append(int(frame))
    return pieces


def _kept(pieces: list[list[int]], corners: np.ndarray) -> list[list[int]]:
    """Return those pieces that do not overlap in time, the longest first."""
    areas = (corners[:, 2] - corners[:, 0]) * (corners[:, 3] - corners[:, 1])
    kept: list[list[int]] = []
    for piece in sorted(pieces, key=lambda one: (-len(one), -float(areas[one].mean()), one[0])):
        if all(piece[-1] < other[0] or piece[0] > other[-1] for other in kept):
            kept.append(piece)
    return kept


def _smoothed(boxes: np.ndarray, times: np.ndarray) -> np.ndarray:
    """Return the boxes of a piece without jumps: sizes by the median of three, then all by the mean around each."""
    centres, sizes = (boxes[:, :2] + boxes[:, 2:]) / 2, boxes[:, 2:] - boxes[:, :2]
    if len(boxes) > 2:
        sizes[1:-1] = np.median(np.stack([sizes[:-2], sizes[1:-1], sizes[2:]]), axis=0)
    steady = np.hstack([centres - sizes / 2, centres + sizes / 2])
    smooth = np.empty_like(steady)
    for number, time in enumerate(times):
        reach = 0  # as many boxes before as behind: a steady move is not held back
        while (
            number - reach - 1 >= 0
            and number + reach + 1 < len(times)
            and times[number + reach + 1] - time <= _WINDOW / 2
            and time - times[number - reach - 1] <= _WINDOW / 2
        ):
            reach += 1
        smooth[number] = steady[number - reach : number + reach + 1].mean(axis=0)
    return smooth
