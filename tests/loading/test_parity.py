"""The backends agree with PIL and torchvision: the same pixels, up to the differences that are stated here."""

import io

import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from PIL import Image

import policies
import vision_oracle
from conftest import ROOT, encoded
from deepfake import tables
from deepfake.config.params import Augmentation
from deepfake.modalities.image import backends, geometry, inspection, pil
from deepfake.modalities.image.augmentation import AugmentationPlan, Draws
from deepfake.modalities.image.encoded import Encoded
from jpegs import ARITHMETIC, LOSSLESS

POLICIES = yaml.safe_load((ROOT / "params.yaml").read_text("utf-8"))["augmentations"]
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def dali():
    pytest.importorskip("nvidia.dali")
    return backends.load("dali")


@pytest.fixture(scope="module", params=backends.BACKENDS)
def backend(request):
    if request.param == "dali":
        pytest.importorskip("nvidia.dali")
    return backends.load(request.param)


def natural(width: int, height: int, seed: int = 0) -> np.ndarray:
    """Return colours with the spectrum of a photograph, 1 / frequency."""
    rng = np.random.default_rng(seed)
    frequency = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.fftfreq(width)[None])[..., None]
    frequency[0, 0] = 1
    waves = np.fft.fft2(rng.normal(size=(height, width, 3)), axes=(0, 1)) / frequency
    values = np.fft.ifft2(waves, axes=(0, 1)).real
    values = values.mean(axis=2, keepdims=True) + 0.3 * values
    return (127 + 50 * values / values.std()).clip(0, 255).astype(np.uint8)


def jpeg(pixels: np.ndarray, mode: str = "RGB", orientation: int = 1, **options) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = orientation
    stream = io.BytesIO()
    Image.fromarray(pixels).convert(mode).save(stream, "JPEG", exif=exif, **options)
    return stream.getvalue()


def both(dali, data: bytes, region: tuple[int, int, int, int], size: int) -> tuple[np.ndarray, np.ndarray]:
    """Return an image as DALI and as PIL decode it, int."""
    files = [[Encoded(data, region, plain=True)]]
    one, other = (next(backend.decode(files, size, threads=1))[0].astype(int) for backend in (dali, pil))
    return one, other


# --- decoding


@pytest.mark.parametrize("mode", ["RGB", "L"])
@pytest.mark.parametrize(
    "options",
    [
        {"quality": 75},
        {"quality": 20},
        {"quality": 100, "subsampling": "4:4:4"},
        {"quality": 90, "subsampling": "4:2:2"},
        {"progressive": True},
        {"optimize": True},
        {"restart_marker_blocks": 3},
    ],
    ids=str,
)
@pytest.mark.parametrize("side", [64, 101])
def test_decoding_is_the_same_to_the_last_bit(dali, mode, options, side):
    data = jpeg(natural(side, side), mode, **options)
    one, other = both(dali, data, (0, 0, side, side), side)
    np.testing.assert_array_equal(one, other)
    assert other.std() > 20


@pytest.mark.parametrize("orientation", range(1, 9))
def test_so_it_is_for_every_orientation(dali, orientation):
    upright = (91, 60) if orientation < 5 else (60, 91)
    data = jpeg(natural(91, 60), orientation=orientation)
    left, top = upright[0] - 55, upright[1] - 55  # its lower right corner, which an orientation moves
    region = (left, top, left + 55, top + 55)
    one, other = both(dali, data, region, 55)
    np.testing.assert_array_equal(one, other)


def kinds() -> dict[str, bytes]:
    """Return pictures in the formats that people have, 24 x 16 px as they are stored."""
    pixels = natural(24, 16)
    clear = np.dstack([pixels, np.tile(np.linspace(0, 255, 24).astype(np.uint8), (16, 1))])
    red = Image.new("RGB", (24, 16), "red")
    found = {"arithmetic": ARITHMETIC, "lossless": LOSSLESS, "transparent": encoded(clear)}
    found |= {form: encoded(pixels, form) for form in ("PNG", "WEBP", "BMP", "TIFF", "GIF", "AVIF", "JPEG2000")}
    for name, form, options in (
        ("progressive", "JPEG", {"progressive": True}),
        ("coded in RGB", "JPEG", {"keep_rgb": True}),
        ("several frames", "GIF", {"save_all": True, "append_images": [red]}),
        ("two pictures", "MPO", {"save_all": True, "append_images": [red]}),
    ):
        found[name] = encoded(pixels, form, **options)
    found |= {mode: jpeg(pixels, mode) for mode in ("L", "CMYK")}
    found["turned"] = jpeg(pixels, orientation=6)
    plain = encoded(pixels, "JPEG")
    found["broken EXIF"] = plain[:20] + b"\xff\xe1\0\x0eExif\0\0" + bytes([0, 8, 0, 2, 1, 18]) + plain[20:]
    return found


@pytest.mark.parametrize("name", kinds())
def test_every_loader_makes_the_same_of_every_kind_of_file(backend, name):
    data = kinds()[name]
    picture = inspection.inspect(data)
    assert isinstance(picture, inspection.Picture)
    samples = pd.DataFrame([("a", *picture)], columns=list(tables.MEDIA.columns))
    [row] = geometry.regions(samples, "letterbox", None, 0).to_dict("records")
    region = (row["left"], row["top"], row["right"], row["bottom"])
    [[found]] = backend.decode([[Encoded(data, region, row["plain"] == 1)]], 24, threads=1)
    with Image.open(io.BytesIO(data)) as image:
        white = Image.new("RGBA", image.size, "white")
        expected = np.asarray(Image.alpha_composite(white, image.convert("RGBA")).convert("RGB"))
    if name == "turned":
        expected = np.rot90(expected, -1)
    assert picture[:2] == expected.shape[1::-1]
    shown = found[:, 4:20] if name == "turned" else found[4:20]
    np.testing.assert_array_equal(shown, expected)
    assert found.astype(int).sum() == expected.astype(int).sum()  # the rest is black


@pytest.mark.parametrize(
    ("width", "height", "region"),
    [(91, 60, (0, -15, 91, 76)), (60, 91, (-15, 0, 76, 91)), (40, 40, (-3, -5, 42, 40)), (40, 40, (20, 20, 65, 65))],
)
def test_padding_is_black_and_exact(dali, width, height, region):
    left, top, right, bottom = region
    one, other = both(dali, jpeg(natural(width, height) // 2 + 100), region, right - left)
    np.testing.assert_array_equal(one, other)
    y, x = np.mgrid[top:bottom, left:right]
    beyond = (x < 0) | (y < 0) | (x >= width) | (y >= height)
    assert beyond.any()
    np.testing.assert_array_equal((one == 0).all(axis=2), beyond)


@pytest.mark.parametrize(
    ("width", "height", "size"),
    [(512, 512, 160), (200, 200, 64), (200, 260, 96), (224, 184, 128), (301, 299, 256), (100, 100, 160), (33, 40, 64)],
)
def test_resizing_differs_by_a_rounding(dali, width, height, size):
    one, other = both(dali, jpeg(natural(width, height), quality=95), (0, 0, width, height), size)
    difference = np.abs(one - other)
    assert difference.mean() < 0.25
    assert difference[2:-2, 2:-2].max() <= 1
    # where the filter reaches over the edge, DALI repeats the edge and PIL leaves it out
    assert difference.max() <= 8


def test_resizing_with_padding_differs_by_a_rounding(dali):
    one, other = both(dali, jpeg(natural(200, 120)), (0, -40, 200, 160), 64)
    assert np.abs(one - other)[:, 2:-2].max() <= 1


# --- augmentation

COUNT, SOURCE, SIZE = 16, 80, 64
ONE_STEP = {
    "mirror": {"flip": 0.5},
    "crop": {"flip": 0.5, "scale.min": 0.5},
    "rotation": {"flip": 0.5, "scale.min": 0.5, "rotation": 30.0},
    "blur": {"blur": {"probability": 0.7, "sigma": {"min": 0.3, "max": 3.0}}},
    "noise": {"noise": {"probability": 0.7, "std": {"min": 2.0, "max": 40.0}}},
    "colour": {"brightness": 0.4, "contrast": 0.4, "saturation": 0.8, "hue": 60.0},
    "jpeg": {"jpeg": {"probability": 0.7, "quality": {"min": 5, "max": 100}}},
}


def policy(changes: dict) -> Augmentation:
    return policies.policy(**changes)


@pytest.fixture(scope="module")
def images() -> torch.Tensor:
    return torch.from_numpy(np.stack([natural(SOURCE, SOURCE, seed) for seed in range(COUNT)]))


def drawn(rules: Augmentation, size: int) -> Draws:
    plan = AugmentationPlan(rules, seed=9, epoch=4, source=SOURCE, size=size)
    return plan.draws(np.arange(COUNT), np.zeros(COUNT, np.int64))


def augmented(backend, rules: Augmentation, images: torch.Tensor, size: int, device: torch.device = CPU) -> np.ndarray:
    augment = backend.augmenter(rules, source=SOURCE, size=size, batch_size=COUNT, device=device)
    (result,) = augment([(images.to(device), drawn(rules, size))])
    assert result.device.type == device.type
    assert result.dtype == torch.uint8
    return result.cpu().numpy().astype(int)


@pytest.mark.parametrize("size", [SIZE, SOURCE])
@pytest.mark.parametrize("name", ["mirror", "crop", "rotation"])
def test_the_geometry_is_torchvisions(backend, images, name, size):
    rules = policy(ONE_STEP[name])
    difference = np.abs(augmented(backend, rules, images, size) - augmented(vision_oracle, rules, images, size))
    assert difference.max() <= 1
    assert difference.mean() < 0.01


@pytest.mark.parametrize(("name", "largest"), [("blur", 1), ("noise", 0), ("colour", 1), ("jpeg", 0)])
def test_each_other_step_is_torchvisions(backend, images, name, largest):
    rules = policy(ONE_STEP[name])
    difference = np.abs(augmented(backend, rules, images, SOURCE) - augmented(vision_oracle, rules, images, SOURCE))
    assert difference.max() <= largest
    assert difference.mean() < 0.1


@pytest.mark.parametrize(("name", "mean"), [("light", 0.01), ("full", 1.0)])
def test_a_whole_policy_is_torchvisions(backend, images, name, mean):
    rules = Augmentation.model_validate(POLICIES[name])
    difference = np.abs(augmented(backend, rules, images, SIZE) - augmented(vision_oracle, rules, images, SIZE))
    # the last step, JPEG, turns a difference of one level into one of a quantisation step
    assert difference.mean() < mean


def test_a_policy_that_changes_nothing_gives_the_images_as_they_are(backend, images):
    np.testing.assert_array_equal(augmented(backend, policy({}), images, SOURCE), images)


@pytest.mark.parametrize(("name", "field"), [("blur", "blur"), ("noise", "noise"), ("jpeg", "quality")])
def test_who_draws_nothing_is_left_alone(backend, images, name, field):
    rules = policy(ONE_STEP[name])
    found = augmented(backend, rules, images, SOURCE)
    drew = getattr(drawn(rules, SOURCE), field) > 0
    assert 0 < drew.sum() < COUNT
    np.testing.assert_array_equal(found[~drew], images[~drew])
    assert (found[drew] != images.numpy()[drew]).reshape(drew.sum(), -1).mean(axis=1).min() > 0.05


def test_a_lower_quality_does_more_harm(backend, images):
    errors = []
    for quality in (95, 70, 40, 10):
        rules = policy({"jpeg": {"probability": 1.0, "quality": {"min": quality, "max": quality}}})
        errors.append(np.abs(augmented(backend, rules, images, SOURCE) - images.numpy()).mean())
    assert errors == sorted(errors)
    assert errors[-1] > 3 * errors[0]


# --- on a GPU


@pytest.mark.gpu
@pytest.mark.parametrize("subsampling", ["4:4:4", "4:2:0"])
@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_decoding_on_a_gpu_differs_by_roundings(dali, mode, subsampling):
    options = {"subsampling": subsampling} if mode == "RGB" else {}
    for orientation in range(1, 9):
        width, height = (91, 60) if orientation < 5 else (60, 91)
        data = jpeg(natural(91, 60), mode, orientation, **options)
        files = [
            [Encoded(data, (0, 0, width, height), plain=True), Encoded(encoded(natural(9, 9)), (0, 0, 9, 9), False)]
        ]
        (one,) = dali.decode(files, 48, threads=2, cuda=True)
        (other,) = pil.decode(files, 48, threads=2)
        assert np.abs(one.astype(int) - other).mean() < 1
        np.testing.assert_array_equal(one[1], other[1])


@pytest.mark.gpu
@pytest.mark.parametrize("name", [*ONE_STEP, "light", "full"])
def test_augmentation_on_a_gpu_is_that_on_the_cpu(dali, images, name):
    rules = policy(ONE_STEP[name]) if name in ONE_STEP else Augmentation.model_validate(POLICIES[name])
    size = SOURCE if name in ("blur", "noise", "colour", "jpeg") else SIZE
    one, other = (augmented(dali, rules, images, size, device) for device in (torch.device("cuda"), CPU))
    # the GPU repeats each colour value of a JPEG over its four pixels, where libjpeg smooths them (1.31 on an H100)
    assert np.abs(one - other).mean() < (2 if name in ("jpeg", "full") else 0.05)


@pytest.mark.gpu
@pytest.mark.parametrize("quality", [10, 30, 50, 70, 90])
def test_a_gpu_compresses_at_the_quality_of_the_cpu(dali, images, quality):
    """How colours are spread does not change the brightness, and that tells one quality from the next."""

    def brightness(quality: int, device: torch.device) -> np.ndarray:
        rules = policy({"jpeg": {"probability": 1.0, "quality": {"min": quality, "max": quality}}})
        return augmented(dali, rules, images, SOURCE, device) @ np.array([0.299, 0.587, 0.114])

    found = brightness(quality, torch.device("cuda"))
    error = found - brightness(quality, CPU)
    assert abs(error.mean()) < 0.1
    assert np.abs(error).mean() < 1
    for other in (quality - 5, quality + 5):
        assert np.abs(found - brightness(other, CPU)).mean() > 4 * np.abs(error).mean()


@pytest.mark.gpu
def test_opencv_gives_a_gpu_the_images_of_the_cpu(images):
    rules = Augmentation.model_validate(POLICIES["full"])
    opencv = backends.load("opencv")
    one, other = (augmented(opencv, rules, images, SIZE, device) for device in (torch.device("cuda"), CPU))
    np.testing.assert_array_equal(one, other)


@pytest.mark.gpu
def test_on_a_gpu_batches_stay_what_they_are_and_come_in_their_order(dali, images):
    rules = Augmentation.model_validate(POLICIES["full"])
    plan = AugmentationPlan(rules, seed=1, epoch=0, source=SOURCE, size=SIZE)
    device = torch.device("cuda")
    augment = dali.augmenter(rules, source=SOURCE, size=SIZE, batch_size=4, device=device)
    parts = [np.arange(start, min(start + 4, 15)) for start in range(0, 15, 4)]

    def batches():
        return ((images[rows].to(device), plan.draws(rows, np.zeros(len(rows), np.int64))) for rows in parts)

    first = torch.cat(list(augment(batches())))
    next(augment(batches()))
    second = torch.cat(list(augment(batches())))
    assert torch.equal(first, second)
    assert [len(part) for part in augment(batches())] == [4, 4, 4, 3]
