import numpy as np
import pytest
from PIL import Image

from deepfake.modalities import image, video
from deepfake.modalities.video import corruptions
from numbered_clips import picture


@pytest.fixture(scope="module")
def frames() -> np.ndarray:
    """Return pictures with edges, and with soft texture."""
    generator = np.random.default_rng(5)
    soft = [
        np.asarray(Image.fromarray(generator.integers(0, 256, (12, 12, 3), np.uint8)).resize((64, 64)))
        for _ in range(4)
    ]
    return np.stack([picture(77, 64, 64), *soft])


def error(shown: np.ndarray, frames: np.ndarray) -> float:
    return float(np.abs(shown.astype(int) - frames).mean())


def test_h264_harms_more_at_a_coarser_quantizer(frames):
    frames = frames[..., :1].repeat(3, axis=3)  # gray: half the resolution of the colours harms them at any quantizer
    rows = np.arange(len(frames))
    errors = [error(video.corrupt("h264", frames, quantizer, rows), frames) for quantizer in (10, 20, 30, 40, 51)]
    assert errors == sorted(errors)
    assert errors[0] < 1
    assert errors[-1] > 2 * errors[0]


def test_a_frame_does_not_depend_on_those_beside_it(frames):
    rows = np.arange(len(frames))
    together = video.corrupt("h264", frames, 35, rows)
    for place in rows:
        alone = video.corrupt("h264", frames[place : place + 1], 35, rows[:1])
        np.testing.assert_array_equal(alone[0], together[place])
    np.testing.assert_array_equal(video.corrupt("h264", frames[::-1], 35, rows), together[::-1])


def test_gray_stays_gray():
    gray = np.full((2, 32, 32, 3), 128, np.uint8)
    assert error(video.corrupt("h264", gray, 30, np.arange(2)), gray) <= 1


def test_odd_sides(frames):
    odd = np.ascontiguousarray(frames[:, :63, :63])
    shown = video.corrupt("h264", odd, 12, np.arange(len(odd)))
    assert shown.shape == odd.shape
    assert error(shown, odd) < 5
    assert shown.dtype == np.uint8


def test_the_others_are_those_of_images(frames):
    rows = np.arange(len(frames))
    for name in image.known_corruptions():
        strength = {"jpeg": 40, "pixelation": 4, "blur": 1.0, "noise": 8}.get(name, 0.5)
        np.testing.assert_array_equal(
            video.corrupt(name, frames, strength, rows), image.corrupt(name, frames, strength, rows)
        )
    assert [name for name in corruptions.CORRUPTIONS if name not in image.known_corruptions()] == ["h264"]
