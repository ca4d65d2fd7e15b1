import io
import subprocess
import sys
import threading

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from conftest import encoded
from deepfake.modalities.image import pil
from deepfake.modalities.image.encoded import Encoded


def noise(width: int, height: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def save(image: Image.Image, form: str = "PNG", **options) -> bytes:
    stream = io.BytesIO()
    image.save(stream, form, **options)
    return stream.getvalue()


def decoded(data: bytes, region: tuple[int, int, int, int], size: int) -> np.ndarray:
    return pil.decode_file(Encoded(data, region, plain=False), size)


def weights(available: int, size: int) -> np.ndarray:
    """Return the matrix of an antialiased bilinear resize, [size, available]: a triangle as wide as the step."""
    step = available / size
    centre = (np.arange(size)[:, None] + 0.5) * step
    triangle = np.clip(1 - np.abs(np.arange(available)[None] + 0.5 - centre) / max(step, 1.0), 0, None)
    return triangle / triangle.sum(axis=1, keepdims=True)


# --- decoding


@pytest.mark.parametrize(
    ("region", "size"),
    [
        ((0, 0, 61, 40), 16),
        ((10, 0, 50, 40), 17),
        ((10, 0, 50, 40), 40),
        ((3, 5, 60, 11), 24),
        ((30, 20, 34, 24), 32),
        ((0, -10, 61, 51), 20),
        ((-7, -7, 20, 20), 27),
        ((50, 30, 90, 70), 8),
    ],
)
def test_a_region_is_cut_out_and_then_resized_as_the_formula_says(region, size):
    pixels = noise(61, 40)
    left, top, right, bottom = region
    padded = np.pad(pixels, ((100, 100), (100, 100), (0, 0)))[100 + top : 100 + bottom, 100 + left : 100 + right]
    across, down = weights(right - left, size), weights(bottom - top, size)
    expected = np.einsum("yh,xw,hwc->yxc", down, across, padded.astype(float))
    found = decoded(encoded(pixels), region, size)
    # PIL rounds twice, after each axis
    assert np.abs(found - expected).max() <= 1.01


def test_no_filter_sees_a_pixel_outside_the_region():
    pixels = noise(60, 40)
    outside = pixels.copy()
    outside[:, 45:] = 0
    outside[:5] = 255
    region = (5, 5, 45, 35)
    np.testing.assert_array_equal(decoded(encoded(pixels), region, 16), decoded(encoded(outside), region, 16))


def test_a_square_of_the_right_size_is_left_alone():
    pixels = noise(24, 24)
    np.testing.assert_array_equal(decoded(encoded(pixels), (0, 0, 24, 24), 24), pixels)


@pytest.mark.parametrize("size", [17, 40, 64])
@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA"])
def test_any_mode_becomes_rgb(mode, size):
    found = decoded(save(Image.fromarray(noise(50, 40)).convert(mode)), (5, 0, 45, 40), size)
    assert found.dtype == np.uint8
    assert found.shape == (size, size, 3)


@pytest.mark.parametrize(
    ("mode", "form", "colour", "tolerance"),
    [
        ("RGB", "PNG", (200, 100, 50), 0),
        ("RGBA", "PNG", (200, 100, 50), 0),
        ("P", "PNG", (200, 100, 50), 0),
        ("P", "GIF", (200, 100, 50), 0),
        ("L", "PNG", (124, 124, 124), 0),
        ("CMYK", "TIFF", (200, 100, 50), 1),
        ("CMYK", "JPEG", (200, 100, 50), 6),
        ("YCbCr", "JPEG", (200, 100, 50), 6),
        ("RGB", "WEBP", (200, 100, 50), 6),
    ],
)
def test_colours_stay_what_they_are(mode, form, colour, tolerance):
    image = Image.new("RGB", (30, 20), colour)
    image = image.quantize(4) if mode == "P" else image.convert(mode)
    found = decoded(save(image, form), (0, 0, 20, 20), 8)
    assert np.abs(found.astype(int) - colour).max() <= tolerance


def on_white(pixels: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """Return what pixels look like on white paper, float."""
    share = alpha[..., None] / 255
    return pixels * share + 255 * (1 - share)


def test_a_palette_with_transparency_lies_on_white_in_silence():
    # pngquant writes such files; a warning is an error here
    image = Image.new("RGB", (20, 20), (200, 100, 50)).quantize(4)
    found = decoded(save(image, transparency=bytes([128, 255])), (0, 0, 20, 20), 8)
    expected = on_white(np.full((8, 8, 3), (200, 100, 50)), np.full((8, 8), 128))
    assert np.abs(found - expected).max() <= 1


@pytest.mark.parametrize(
    ("form", "mode", "options"),
    [
        ("PNG", "RGBA", {}),
        ("PNG", "LA", {}),
        ("WEBP", "RGBA", {"lossless": True, "exact": True}),
        ("TIFF", "RGBA", {}),
        ("JPEG2000", "RGBA", {}),
    ],
)
def test_transparency_lies_on_white(form, mode, options):
    alpha = np.tile(np.linspace(0, 255, 20).astype(np.uint8), (20, 1))
    image = Image.fromarray(noise(20, 20)).convert(mode)
    image.putalpha(Image.fromarray(alpha))
    pixels = np.asarray(Image.fromarray(np.asarray(image)[..., :-1].squeeze()).convert("RGB"))
    found = decoded(save(image, form, **options), (0, 0, 20, 20), 20)
    assert np.abs(found - on_white(pixels, alpha)).max() <= 1
    assert (found[:, 0] == 255).all()  # whatever colour is hidden there


def test_a_transparent_colour_of_a_gif_or_png_is_white():
    indices = Image.fromarray(np.tile(np.arange(20, dtype=np.uint8) % 2, (20, 1)), "P")
    indices.putpalette([10, 20, 30, 200, 100, 50])
    for form, image, options in (
        ("GIF", indices, {"transparency": 0}),
        ("PNG", indices, {"transparency": 0}),
        ("PNG", indices.convert("RGB"), {"transparency": (10, 20, 30)}),
    ):
        found = decoded(save(image, form, **options), (0, 0, 20, 20), 20)
        assert (found[:, ::2] == 255).all()
        assert (found[:, 1::2] == (200, 100, 50)).all()


def test_what_is_opaque_is_left_alone():
    pixels = np.dstack([noise(20, 20), np.full((20, 20), 255, np.uint8)])
    np.testing.assert_array_equal(decoded(save(Image.fromarray(pixels)), (0, 0, 20, 20), 20), pixels[..., :3])


def test_of_an_animation_the_first_image_is_taken():
    first, second = (Image.new("RGB", (20, 20), colour).quantize(4) for colour in ((255, 0, 0), (0, 0, 255)))
    data = save(first, "GIF", save_all=True, append_images=[second])
    assert (decoded(data, (0, 0, 20, 20), 8) == (255, 0, 0)).all()


@pytest.mark.parametrize("form", ["JPEG", "PNG"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_turns_an_image_upright_before_the_region_is_cut_out(orientation, form):
    exif = Image.Exif()
    exif[0x0112] = orientation
    upright = Image.fromarray(ndimage.gaussian_filter(noise(40, 30), (2, 2, 0)))
    # what a camera stores that is held that way: the inverse of what a viewer does
    undo = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}
    stored = upright.transpose(Image.Transpose(undo[orientation])) if orientation > 1 else upright
    found = decoded(save(stored, form, exif=exif, **({"quality": 100} if form == "JPEG" else {})), (5, 0, 35, 30), 30)
    difference = np.abs(found.astype(int) - np.asarray(upright)[:, 5:35])
    assert difference.mean() < (2 if form == "JPEG" else 1e-9)


# --- batches


def colours(count: int) -> list[Encoded]:
    """Return images of one colour each."""
    values = np.random.default_rng(0).integers(0, 256, (count, 3))
    return [Encoded(encoded(np.full((12, 9, 3), value, np.uint8)), (0, 0, 9, 12), False) for value in values]


@pytest.mark.parametrize("threads", [1, 3, 8])
def test_the_order_is_that_of_the_files(threads):
    files = colours(70)
    batches = [files[:32], files[32:33], files[33:]]
    found = list(pil.decode(batches, 6, threads=threads))
    assert [len(part) for part in found] == [32, 1, 37]
    expected = [np.asarray(Image.open(io.BytesIO(file.data)))[0, 0] for file in files]
    np.testing.assert_array_equal(np.concatenate(found)[:, 3, 3], expected)


def test_one_batch_is_in_memory_at_a_time():
    taken = []

    def batches():
        for number in range(5):
            taken.append(number)
            yield colours(2)

    found = pil.decode(batches(), 6, threads=2)
    next(found)
    assert taken == [0]
    next(found)
    assert taken == [0, 1]


def test_no_thread_is_left_when_decoding_is_given_up():
    before = threading.active_count()
    found = pil.decode([colours(4), colours(4)], 6, threads=4)
    next(found)
    found.close()
    assert threading.active_count() == before


def test_decoding_needs_no_torch():
    script = (
        "import sys\n"
        "from deepfake.modalities.image import pil\n"
        "assert not list(pil.decode([], 8, threads=1))\n"
        "assert 'torch' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True)
