import hashlib
import io
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from torchvision.transforms.v2 import functional

from deepfake.errors import InputError
from deepfake.loading import images
from deepfake.loading.images import central_square, decode

SIZES = [(40, 40, 16), (61, 40, 16), (40, 61, 16), (30, 50, 30), (184, 224, 48), (20, 12, 32)]


def noise(width: int, height: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def encoded(image: Image.Image | np.ndarray, form: str = "PNG", **options) -> bytes:
    stream = io.BytesIO()
    (Image.fromarray(image) if isinstance(image, np.ndarray) else image).save(stream, form, **options)
    return stream.getvalue()


def weights(start: float, length: float, available: int, size: int) -> np.ndarray:
    """Return the matrix of an antialiased bilinear resize, [size, available]: a triangle as wide as the step."""
    step = length / size
    reach = max(step, 1.0)
    centre = start + (np.arange(size)[:, None] + 0.5) * step
    triangle = np.clip(1 - np.abs(np.arange(available)[None] + 0.5 - centre) / reach, 0, None)
    return triangle / triangle.sum(axis=1, keepdims=True)


@pytest.mark.parametrize(("width", "height", "size"), SIZES)
def test_the_central_square_is_resized_as_the_formula_says(width, height, size):
    pixels = noise(width, height)
    side = min(width, height)
    across = weights((width - side) / 2, side, width, size)
    down = weights((height - side) / 2, side, height, size)
    expected = np.einsum("yh,xw,hwc->yxc", down, across, pixels.astype(float))
    found = central_square(encoded(pixels), size)
    # PIL rounds twice, after each axis. The filter reaches over the edge of the square where the image goes on
    assert np.abs(found - expected).max() <= 1.01


@pytest.mark.parametrize(("width", "height", "size"), [case for case in SIZES if (case[0] - case[1]) % 2 == 0])
def test_it_agrees_with_torchvision(width, height, size):
    # where the crop falls on whole pixels (torchvision cannot crop halves), and inside a border of two pixels:
    # torchvision's filter ends with the square, PIL's reaches over its edge
    pixels = noise(width, height)
    tensor = torch.from_numpy(pixels).permute(2, 0, 1)
    square = functional.center_crop(tensor, [min(width, height)] * 2)
    expected = functional.resize(square, [size, size], antialias=True).permute(1, 2, 0).numpy()
    difference = np.abs(central_square(encoded(pixels), size).astype(int) - expected)[2:-2, 2:-2]
    assert difference.max() <= 1
    assert difference.mean() < 0.2


def test_a_square_of_the_right_size_is_left_alone():
    pixels = noise(24, 24)
    np.testing.assert_array_equal(central_square(encoded(pixels), 24), pixels)


@pytest.mark.parametrize("size", [17, 32, 64])
@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA"])
def test_any_mode_becomes_rgb(mode, size):
    found = central_square(encoded(Image.fromarray(noise(50, 40)).convert(mode)), size)
    assert found.dtype == np.uint8
    assert found.shape == (size, size, 3)


@pytest.mark.parametrize(
    ("mode", "form", "colour", "tolerance"),
    [
        ("RGB", "PNG", (200, 100, 50), 0),
        ("RGBA", "PNG", (200, 100, 50), 0),
        ("P", "PNG", (200, 100, 50), 0),
        ("L", "PNG", (124, 124, 124), 0),
        ("CMYK", "TIFF", (200, 100, 50), 1),
        ("CMYK", "JPEG", (200, 100, 50), 6),
        ("YCbCr", "JPEG", (200, 100, 50), 6),
    ],
)
def test_colours_stay_what_they_are(mode, form, colour, tolerance):
    image = Image.new("RGB", (30, 20), colour)
    image = image.quantize(4) if mode == "P" else image.convert(mode)
    found = central_square(encoded(image, form), 8)
    assert np.abs(found.astype(int) - colour).max() <= tolerance


def test_a_palette_with_transparency_is_decoded_in_silence():
    # pngquant writes such files; a warning is an error here
    image = Image.new("RGB", (20, 20), (200, 100, 50)).quantize(4)
    found = central_square(encoded(image, transparency=bytes([128, 255])), 8)
    assert (found == (200, 100, 50)).all()


# --- decode


def row(archive: str, path: str, data: bytes = b"") -> dict[str, str]:
    return {"archive": archive, "path": path, "sha256": hashlib.sha256(data).hexdigest()}


@pytest.fixture
def collection(tmp_path) -> tuple[Path, pd.DataFrame, np.ndarray]:
    """Images of one colour each, in two archives and loose, in a shuffled order; more than one batch of them."""
    raw = tmp_path / "raw"
    (raw / "loose").mkdir(parents=True)
    rng = np.random.default_rng(0)
    colours = rng.integers(0, 256, (images._BATCH + 80, 3), dtype=np.uint8)
    rows = []
    with zipfile.ZipFile(raw / "a.zip", "w") as a, zipfile.ZipFile(raw / "b.zip", "w") as b:
        for number, colour in enumerate(colours):
            data = encoded(Image.new("RGB", (int(rng.integers(8, 30)), 12), tuple(map(int, colour))))
            archive, path = ("a.zip", "b.zip", "")[number % 3], f"loose/ž {number}.png"
            if archive:
                (a if archive == "a.zip" else b).writestr(path, data)
            else:
                (raw / path).write_bytes(data)
            rows.append(row(archive, path, data))
    order = rng.permutation(len(rows))
    return raw, pd.DataFrame(rows).iloc[order], colours[order]


@pytest.mark.parametrize("threads", [1, 8])
def test_the_order_is_that_of_the_manifest(tmp_path, collection, threads):
    raw, manifest, colours = collection
    done: list[int] = []
    path = tmp_path / "images.npy"
    found = decode(manifest, raw, 6, destination=path, threads=threads, progress=done.append)
    assert found.shape == (len(manifest), 6, 6, 3)
    np.testing.assert_array_equal(found, np.broadcast_to(colours[:, None, None], found.shape))
    np.testing.assert_array_equal(np.load(path, mmap_mode="r"), found)
    assert done == [images._BATCH, len(manifest)]


def test_a_row_may_come_twice(tmp_path, collection):
    raw, manifest, colours = collection
    found = decode(manifest.iloc[[0, 1, 0]], raw, 6, destination=tmp_path / "x.npy", threads=2)
    np.testing.assert_array_equal(found[:, 0, 0], colours[[0, 1, 0]])


@pytest.mark.parametrize("missing", [("a.zip", "none.png"), ("none.zip", "x.png"), ("", "none.png")])
def test_a_missing_file_is_an_input_error(tmp_path, collection, missing):
    raw, manifest, _ = collection
    rows = pd.concat([manifest.iloc[:3], pd.DataFrame([row(*missing)])])
    with pytest.raises(InputError, match=missing[1]):
        decode(rows, raw, 6, destination=tmp_path / "x.npy", threads=2)


def test_what_is_no_archive_is_an_input_error(tmp_path):
    (tmp_path / "a.zip").write_bytes(b"not a zip")
    rows = pd.DataFrame([row("a.zip", "x.png")])
    with pytest.raises(InputError, match=r"a\.zip"):
        decode(rows, tmp_path, 6, destination=tmp_path / "x.npy", threads=2)


@pytest.mark.parametrize("data", [b"", b"text", encoded(noise(40, 40))[:900]], ids=["empty", "text", "truncated"])
def test_a_file_that_was_damaged_since_the_ingest_is_an_input_error(tmp_path, data):
    (tmp_path / "x.png").write_bytes(data)
    with pytest.raises(InputError, match=r"x\.png"):
        decode(
            pd.DataFrame([row("", "x.png", encoded(noise(8, 8)))]),
            tmp_path,
            6,
            destination=tmp_path / "x.npy",
            threads=2,
        )
