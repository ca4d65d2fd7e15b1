from importlib import resources

import numpy as np
import pytest
from detect_landmarks import detect
from hypothesis import given
from hypothesis import strategies as st

from deepfake.synthetic import landmarks, photographs

FRONTAL = np.array([[60.0, 100], [126, 100], [93, 138], [66, 170], [120, 170]])
MIRROR = [1, 0, 2, 4, 3]


def similar(points: np.ndarray, angle: float, scale: float, shift: float) -> np.ndarray:
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    return scale * points @ turn + shift


def signed_distances(points: np.ndarray, polygon: np.ndarray) -> np.ndarray:
    """Distance of each point from each edge of a polygon that runs clockwise on the screen; positive inside."""
    edges = np.roll(polygon, -1, axis=0) - polygon
    normals = np.column_stack([-edges[:, 1], edges[:, 0]]) / np.linalg.norm(edges, axis=1, keepdims=True)
    return np.einsum("pek,ek->pe", points[:, None] - polygon[None], normals)


def test_every_photograph_has_points_that_form_a_face() -> None:
    table = landmarks.load()
    assert set(table) == {(person, number) for person in range(1, 41) for number in range(1, 11)}
    points = np.stack(list(table.values()))
    assert points.shape == (400, 5, 2)
    assert (points >= 0).all()
    assert (points < [photographs.WIDTH, photographs.HEIGHT]).all()
    left_eye, right_eye, _, mouth_left, mouth_right = points.transpose(1, 0, 2)
    assert (right_eye[:, 0] - left_eye[:, 0] > 15).all()
    assert (mouth_right[:, 0] - mouth_left[:, 0] > 10).all()
    assert (mouth_left[:, 1] - left_eye[:, 1] > 20).all()
    assert (mouth_right[:, 1] - right_eye[:, 1] > 20).all()


def test_the_table_is_small_enough_to_commit() -> None:
    assert len(resources.files("deepfake.synthetic").joinpath("orl_landmarks.csv").read_bytes()) < 60_000


@pytest.mark.slow
def test_mtcnn_finds_the_committed_points_again() -> None:
    table = landmarks.load()
    photos = [photographs.read(person, number) for person, number in [(1, 1), (16, 6), (20, 6), (37, 3)]]
    found = detect(photos)
    assert list(found.columns) == list(landmarks.COLUMNS)
    points = found[list(landmarks.COLUMNS[2:-1])].to_numpy(float).reshape(-1, 5, 2)
    committed = np.stack([table[photo.person, photo.number] for photo in photos])
    assert np.abs(points - committed).max() < 1.5


@given(st.floats(-0.5, 0.5), st.floats(0.3, 3), st.floats(-50, 50), st.floats(-12, 12))
def test_pose_and_outline_follow_a_moved_face(angle: float, scale: float, shift: float, nose: float) -> None:
    points = FRONTAL.copy()
    points[2, 0] += nose
    moved = similar(points, angle, scale, shift)
    np.testing.assert_allclose(landmarks.pose(moved), landmarks.pose(points), atol=1e-9)
    expected = similar(landmarks.outline(points), angle, scale, shift)
    np.testing.assert_allclose(landmarks.outline(moved), expected, atol=1e-6)


def test_yaw_is_zero_for_a_frontal_face_and_changes_sign_in_the_mirror() -> None:
    assert landmarks.pose(FRONTAL)[0] == pytest.approx(0, abs=0.02)
    turned = FRONTAL + np.array([[0, 0], [0, 0], [10, 0], [0, 0], [0, 0]])
    mirrored = ([200, 0] + turned * [-1, 1])[MIRROR]
    yaw = landmarks.pose(turned)[0]
    assert yaw > 0.1
    assert landmarks.pose(mirrored)[0] == pytest.approx(-yaw)


def test_outline_is_convex_and_encloses_all_points_of_a_face_that_may_be_swapped() -> None:
    for points in landmarks.load().values():
        if abs(landmarks.pose(points)[0]) > 0.34:
            continue
        polygon = landmarks.outline(points)
        assert (signed_distances(polygon, polygon) > -1e-6).all()
        assert (signed_distances(points, polygon) > 1).all()


def test_the_far_cheek_of_a_turned_face_is_narrower() -> None:
    turned = FRONTAL + np.array([[0, 0], [0, 0], [15, 0], [0, 0], [0, 0]])
    outline = landmarks.outline(turned)
    middle = 93
    assert outline[:, 0].max() - middle < middle - outline[:, 0].min()
