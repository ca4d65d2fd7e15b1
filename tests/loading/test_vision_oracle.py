"""The oracle of the augmentation, against SciPy and the formulas."""

import cv2
import numpy as np
import pytest
import torch
from scipy import ndimage

import vision_oracle
from deepfake.config.params import Augmentation
from deepfake.modalities.image.augmentation import AugmentationPlan, Draws, blur_window, noise_bank
from policies import EVERYTHING, policy

FULL = policy(**EVERYTHING)
COUNT, SOURCE, SIZE = 12, 50, 40


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    pixels = np.random.default_rng(0).normal(127, 400, (COUNT, SOURCE, SOURCE, 3))
    return ndimage.gaussian_filter(pixels, (0, 2.5, 2.5, 0)).clip(0, 255).astype(np.uint8)


def drawn(rules: Augmentation, source: int, size: int) -> Draws:
    plan = AugmentationPlan(rules, seed=3, epoch=1, source=source, size=size)
    return plan.draws(np.arange(COUNT), np.zeros(COUNT, np.int64))


def augmented(rules: Augmentation, images: np.ndarray, draws: Draws, size: int) -> np.ndarray:
    augment = vision_oracle.augmenter(rules, source=images.shape[1], size=size, batch_size=COUNT)
    (result,) = augment([(torch.from_numpy(images), draws)])
    assert result.shape == (COUNT, size, size, 3)
    assert result.dtype == torch.uint8
    assert result.is_contiguous()
    return result.numpy()


def rounded(values: np.ndarray) -> np.ndarray:
    return np.floor(values + 0.5).clip(0, 255)


def test_geometry_is_scipys(images):
    rules = policy(**{"flip": 0.5, "scale.min": 0.6, "rotation": 20.0})
    draws = drawn(rules, SOURCE, SIZE)
    found = augmented(rules, images, draws, SIZE)
    y, x = np.mgrid[:SIZE, :SIZE] + 0.5
    for image, matrix, result in zip(images, draws.matrix.astype(float), found, strict=True):
        across, down = np.einsum("ij,jyx->iyx", matrix, [x, y, np.ones_like(x)]) - 0.5
        for channel in range(3):
            values = ndimage.map_coordinates(image[..., channel].astype(float), [down, across], order=1, mode="nearest")
            assert np.abs(result[..., channel] - values).max() <= 0.501


def test_blur_is_scipys(images):
    rules = policy(blur={"probability": 0.5, "sigma": {"min": 0.5, "max": 2.0}})
    draws = drawn(rules, SOURCE, SOURCE)
    found = augmented(rules, images, draws, SOURCE)
    assert 0 < (draws.blur > 0).sum() < COUNT
    for image, sigma, result in zip(images, draws.blur, found, strict=True):
        values = image.astype(float)
        if sigma:
            values = ndimage.gaussian_filter(
                values, (sigma, sigma, 0), mode="mirror", radius=blur_window(rules, SOURCE) // 2
            )
        assert np.abs(result - values).max() <= (0.501 if sigma else 0)


def test_noise_is_added_and_saturates(images):
    rules = policy(noise={"probability": 0.5, "std": {"min": 20.0, "max": 60.0}})
    draws = drawn(rules, SOURCE, SOURCE)
    found = augmented(rules, images, draws, SOURCE)
    assert 0 < (draws.noise > 0).sum() < COUNT
    for image, std, (y, x), result in zip(images, draws.noise, draws.noise_offset, found, strict=True):
        piece = noise_bank(SOURCE)[y : y + SOURCE, x : x + SOURCE]
        np.testing.assert_array_equal(result, rounded(image + std * piece))
    assert {0, 255} <= set(found[draws.noise > 0].flat)


def test_colour_is_a_matrix_and_saturates(images):
    rules = policy(brightness=0.5, contrast=0.5, saturation=0.9, hue=90.0)
    draws = drawn(rules, SOURCE, SOURCE)
    found = augmented(rules, images, draws, SOURCE)
    values = np.einsum("bij,byxj->byxi", draws.colour[:, :, :3].astype(float), images.astype(float))
    assert np.abs(found - (values + draws.colour[:, None, None, :, 3]).clip(0, 255)).max() <= 0.501


def test_jpeg_is_opencvs(images):
    rules = policy(jpeg={"probability": 0.5, "quality": {"min": 5, "max": 95}})
    draws = drawn(rules, SOURCE, SOURCE)
    found = augmented(rules, images, draws, SOURCE)
    assert 0 < (draws.quality > 0).sum() < COUNT
    for image, quality, result in zip(images, draws.quality, found, strict=True):
        expected = image
        if quality:
            _, data = cv2.imencode(".jpg", image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, int(quality)])
            expected = cv2.imdecode(data, cv2.IMREAD_COLOR)[..., ::-1]
        np.testing.assert_array_equal(result, expected)


def test_the_steps_come_in_their_order_each_rounded(images):
    draws = drawn(FULL, SOURCE, SIZE)
    values = images
    for keys in (
        ("flip", "scale", "rotation"),
        ("blur",),
        ("noise",),
        ("brightness", "contrast", "saturation", "hue"),
        ("jpeg",),
    ):
        step = policy(**{key: FULL.model_dump()[key] for key in keys})
        values = augmented(step, values, draws, SIZE)
    np.testing.assert_array_equal(augmented(FULL, images, draws, SIZE), values)


def test_a_policy_that_changes_nothing_leaves_the_images_alone(images):
    np.testing.assert_array_equal(augmented(policy(), images, drawn(policy(), SOURCE, SOURCE), SOURCE), images)


def test_the_images_that_come_in_are_not_written_to(images):
    before = images.copy()
    augmented(FULL, images, drawn(FULL, SOURCE, SIZE), SIZE)
    rules = policy(noise={"probability": 1.0, "std": {"min": 20.0, "max": 60.0}})
    augmented(rules, images, drawn(rules, SOURCE, SOURCE), SOURCE)
    np.testing.assert_array_equal(images, before)
