import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deepfake.modalities.image.normalization import statistics


def images(count: int = 700, side: int = 5, seed: int = 0) -> np.ndarray:
    """Return more images than one reading takes, whose channels differ."""
    rng = np.random.default_rng(seed)
    pixels = rng.normal((60, 120, 200), (10, 40, 25), (count, side, side, 3))
    return pixels.clip(0, 255).astype(np.uint8)


@pytest.mark.parametrize("rows", [np.arange(700), np.array([3]), np.array([699, 0, 350]), np.arange(0, 700, 2)])
def test_they_are_numpys_mean_and_deviation_of_the_pixels(rows):
    pixels = images()
    found = statistics(pixels, rows)
    chosen = pixels[rows].astype(np.float64) / 255
    np.testing.assert_allclose(found.mean, chosen.mean(axis=(0, 1, 2)), rtol=0, atol=1e-9)
    np.testing.assert_allclose(found.std, chosen.std(axis=(0, 1, 2)), rtol=0, atol=1e-9)


@given(st.permutations(range(12)))
def test_the_order_does_not_change_the_last_bit(order):
    pixels = images(12)
    assert statistics(pixels, np.array(order)) == statistics(pixels, np.arange(12))


def test_neither_does_it_where_readings_end_elsewhere():
    pixels = images()
    order = np.random.default_rng(1).permutation(700)
    assert statistics(pixels, order) == statistics(pixels, np.arange(700))


def test_a_row_that_is_not_named_does_not_count():
    pixels = images(20)
    changed = pixels.copy()
    changed[10:] = 255 - changed[10:]
    assert statistics(pixels, np.arange(10)) == statistics(changed, np.arange(10))
    assert statistics(pixels, np.arange(11)) != statistics(changed, np.arange(11))


@pytest.mark.parametrize("value", [0, 7, 255])
def test_a_channel_that_never_changes_has_the_smallest_step(value):
    pixels = images(4)
    pixels[..., 1] = value
    found = statistics(pixels, np.arange(4))
    assert found.mean[1] == pytest.approx(value / 255, abs=1e-12)
    assert found.std[1] == 1 / 255
    assert found.std[0] > 2 / 255


def test_a_mapped_file_serves_as_an_array(tmp_path):
    np.save(tmp_path / "images.npy", images(30))
    mapped = np.load(tmp_path / "images.npy", mmap_mode="r")
    assert statistics(mapped, np.arange(30)) == statistics(images(30), np.arange(30))
