import io

import numpy as np
import pytest
import yaml
from PIL import Image, ImageEnhance
from scipy import ndimage, stats

from conftest import ROOT
from deepfake.modalities.image.corruptions import CORRUPTIONS, corrupt

SIZE = 48
ROWS = np.array([3, 17, 4000, 70000])
COMMITTED = yaml.safe_load((ROOT / "params.yaml").read_text("utf-8"))["studies"]["robustness"]["corruptions"]


def pictures() -> np.ndarray:
    """Colourful pictures that are smooth in some places and rough in others."""
    rng = np.random.default_rng(0)
    rough = rng.normal(0, 20, (len(ROWS), SIZE, SIZE, 3)) * (np.arange(SIZE) > SIZE / 2)[:, None]
    smooth = ndimage.gaussian_filter(rng.normal(0, 1500, rough.shape), (0, 9, 9, 0))
    return np.clip(125 + smooth + rough, 0, 255).astype(np.uint8)


IMAGES = pictures()


def by_pil(change) -> np.ndarray:
    return np.stack([np.asarray(change(Image.fromarray(image))) for image in IMAGES])


def compressed(image: Image.Image, quality: int) -> Image.Image:
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=quality)
    return Image.open(stream)


def rescaled(share: float) -> np.ndarray:
    """Area averages by overlap, then linear interpolation between the centres of the larger pixels."""
    small = round(SIZE * share)
    edges = np.arange(small + 1) * SIZE / small
    starts, ends = np.arange(SIZE), np.arange(SIZE) + 1
    overlap = np.minimum(edges[1:, None], ends) - np.maximum(edges[:-1, None], starts)
    shrink = overlap.clip(0) / (SIZE / small)
    shrunk = np.einsum("yi,xj,bijc->byxc", shrink, shrink, IMAGES.astype(float))
    return ndimage.zoom(shrunk, (1, SIZE / small, SIZE / small, 1), order=1, grid_mode=True, mode="nearest")


def in_blocks(block: int) -> np.ndarray:
    result = np.empty(IMAGES.shape)
    for y in range(0, SIZE, block):
        for x in range(0, SIZE, block):
            part = (slice(None), slice(y, y + block), slice(x, x + block))
            result[part] = IMAGES[part].mean(axis=(1, 2), keepdims=True)
    return result


# by name: strength, what another library or numpy makes of it, and the largest mean and single deviation of 255
REFERENCES = {
    "jpeg": (30, lambda s: by_pil(lambda image: compressed(image, s)), 0.01, 3),
    "blur": (1.5, lambda s: ndimage.gaussian_filter(IMAGES.astype(float), (0, s, s, 0), mode="mirror"), 0.6, 2),
    "downscale": (0.65, rescaled, 0.4, 1.5),
    "brightness": (1.5, lambda s: by_pil(lambda image: ImageEnhance.Brightness(image).enhance(s)), 0.6, 1),
    "darkness": (0.35, lambda s: by_pil(lambda image: ImageEnhance.Brightness(image).enhance(s)), 0.6, 1),
    "contrast": (0.35, lambda s: 127.5 + s * (IMAGES.astype(float) - 127.5), 0.3, 0.51),
    "saturation": (0.4, lambda s: by_pil(lambda image: ImageEnhance.Color(image).enhance(s)), 0.8, 2),
    "pixelation": (5, in_blocks, 0.3, 0.51),
}


@pytest.mark.parametrize("name", REFERENCES)
def test_a_corruption_is_what_another_library_makes_of_it(name):
    strength, reference, mean, most = REFERENCES[name]
    found = corrupt(name, IMAGES, strength, ROWS)
    assert found.dtype == np.uint8
    deviation = np.abs(found.astype(float) - reference(strength))
    assert deviation.mean() <= mean
    assert deviation.max() <= most
    # a reference that the corruption does not move far from says nothing
    assert np.abs(found.astype(float) - IMAGES).mean() > 5 * mean


def test_noise_is_gaussian_and_another_for_each_sample():
    gray = np.full((200, SIZE, SIZE, 3), 128, np.uint8)
    found = corrupt("noise", gray, 20, np.arange(200)) - 128.0
    # five standard errors of the bank that all noise is cut from
    assert abs(found.std() - 20) < 0.45
    assert abs(found.mean()) < 0.6
    assert stats.kstest(found[0].ravel()[::7] + 0.0, lambda x: stats.norm.cdf(x, 0, 20)).pvalue > 1e-3
    between = np.corrcoef(found.reshape(200, -1))
    assert np.median(np.abs(between[np.triu_indices(200, 1)])) < 0.05


def test_a_sample_keeps_its_noise_at_every_strength():
    gray = np.full((1, SIZE, SIZE, 3), 128, np.uint8)
    weak, strong = (corrupt("noise", gray, std, np.array([9])) - 128.0 for std in (10, 20))
    assert np.abs(strong - 2 * weak).max() <= 1.5


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_what_happens_to_an_image_does_not_depend_on_those_beside_it(name):
    strength = COMMITTED[name][2]
    before = IMAGES.copy()
    together = corrupt(name, IMAGES, strength, ROWS)
    np.testing.assert_array_equal(IMAGES, before)
    for number in range(len(IMAGES)):
        alone = corrupt(name, IMAGES[number : number + 1], strength, ROWS[number : number + 1])
        np.testing.assert_array_equal(alone[0], together[number])


@pytest.mark.parametrize("name", COMMITTED)
def test_a_greater_strength_harms_more(name):
    harm = [np.abs(corrupt(name, IMAGES, s, ROWS).astype(float) - IMAGES).mean() for s in COMMITTED[name]]
    assert harm == sorted(harm)
    assert harm[0] > 0


@pytest.mark.parametrize(
    ("name", "strength"),
    [("noise", 0), ("downscale", 1), ("brightness", 1), ("contrast", 1), ("saturation", 1), ("pixelation", 1)],
)
def test_the_weakest_strength_that_is_allowed_changes_nothing(name, strength):
    assert CORRUPTIONS[name].check(strength) == ""
    found = corrupt(name, IMAGES, strength, ROWS).astype(int)
    assert np.abs(found - IMAGES).max() <= (1 if name == "saturation" else 0)


def test_an_image_of_any_size_can_be_blurred_and_pixelated():
    tiny = IMAGES[:, :7, :7]
    for name, strength in (("blur", 9.0), ("pixelation", 8)):
        assert corrupt(name, tiny, strength, ROWS).shape == tiny.shape
    whole = tiny.astype(float).mean(axis=(1, 2), keepdims=True)
    assert np.abs(corrupt("pixelation", tiny, 8, ROWS) - whole).max() <= 0.51


def test_the_committed_strengths_are_allowed():
    assert set(COMMITTED) == set(CORRUPTIONS)
    assert not [one for name, strengths in COMMITTED.items() for one in strengths if CORRUPTIONS[name].check(one)]


@pytest.mark.parametrize(
    ("name", "strength", "message"),
    [
        ("jpeg", 0, "0; its quality is a whole number of at least 1 and at most 100"),
        ("jpeg", 50.5, "50.5; its quality is a whole number of at least 1 and at most 100"),
        ("noise", -1, "-1; its std, of 255 is a number of at least 0"),
        ("darkness", 1.2, "1.2; its factor is a number of at least 0 and at most 1"),
    ],
)
def test_a_mistake_is_named(name, strength, message):
    assert CORRUPTIONS[name].check(strength) == message
