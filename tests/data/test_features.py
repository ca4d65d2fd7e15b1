import io

import numpy as np
import pandas as pd
import pytest
import scipy.ndimage
from PIL import Image

from conftest import encoded, write_pictures
from deepfake import tables
from deepfake.datasets import measuring
from deepfake.errors import InputError
from deepfake.modalities.image import features
from heard import Heard

NOISE = np.random.default_rng(0).integers(0, 256, (64, 96, 3), dtype=np.uint8)
SMOOTH = scipy.ndimage.gaussian_filter(NOISE.astype(float), (2, 2, 0))
SMOOTH = ((SMOOTH - SMOOTH.min()) / np.ptp(SMOOTH) * 255).astype(np.uint8)


@pytest.mark.parametrize("quality", [10, 50, 75, 90, 95, 100])
def test_the_quality_of_a_jpeg_is_the_one_it_was_written_with(quality):
    data = encoded(NOISE, "JPEG", quality=quality)
    found = features.of_file(data)
    tables_of = Image.open(io.BytesIO(data)).quantization
    assert found["quality"] == quality
    assert found["luma_mean"] == np.mean(tables_of[0])
    assert found["chroma_mean"] == np.mean(tables_of[1])
    assert (found["luma_dc"], found["luma_last"], found["chroma_dc"]) == (
        tables_of[0][0],
        tables_of[0][-1],
        tables_of[1][0],
    )
    assert found["bytes_per_pixel"] == len(data) / (96 * 64)


@pytest.mark.parametrize(("code", "name"), [(0, "4:4:4"), (1, "4:2:2"), (2, "4:2:0")])
def test_chroma_subsampling_is_that_of_the_encoder(code, name):
    assert features.of_file(encoded(NOISE, "JPEG", subsampling=code))["subsampling"] == name


def test_a_gray_jpeg_has_no_chroma():
    stream = io.BytesIO()
    Image.fromarray(NOISE[..., 0]).save(stream, "JPEG")
    found = features.of_file(stream.getvalue())
    assert (found["mode"], found["subsampling"], found["chroma_mean"], found["saturation"]) == ("L", "gray", 0, 0)


def test_another_format_has_nothing_of_a_jpeg():
    found = features.of_file(encoded(NOISE, "PNG"))
    assert (found["format"], found["subsampling"]) == ("PNG", "none")
    nothing = ("quality", "luma_mean", "chroma_mean", "luma_dc", "chroma_dc", "progressive", "exif", "icc", "segments")
    assert [found[name] for name in nothing] == [0] * len(nothing)


@pytest.mark.parametrize("form", ["GIF", "AVIF", "JPEG2000", "WEBP", "TIFF", "BMP"])
def test_every_format_that_is_decoded_is_measured(form):
    image = Image.fromarray(SMOOTH).convert("P" if form == "GIF" else "RGB")
    stream = io.BytesIO()
    image.save(stream, form)
    found = pd.DataFrame([features.of_file(stream.getvalue())]).assign(sample_id="a", sha256="b")
    tables.check(found, tables.FEATURES, "here")
    assert found["format"][0] == form
    decoded = np.asarray(Image.open(stream).convert("RGB"), float)
    assert found["mean_g"][0] == pytest.approx(decoded[..., 1].mean())


def test_transparent_pixels_are_measured_on_white():
    clear = Image.fromarray(SMOOTH)
    clear.putalpha(Image.fromarray(NOISE[..., 0]))
    stream = io.BytesIO()
    clear.save(stream, "PNG")
    share = NOISE[..., :1] / 255
    found = features.of_file(stream.getvalue())
    assert found["mean_r"] == pytest.approx((SMOOTH * share + 255 * (1 - share))[..., 0].mean(), abs=0.6)


def test_broken_exif_is_none():
    data = encoded(NOISE, "JPEG")
    broken = data[:20] + b"\xff\xe1\0\x10Exif\0\0" + bytes([0, 8, 0, 2, 1, 18, 0, 3]) + data[20:]
    found, known = features.of_file(broken), features.of_file(data)
    assert found | {"segments": 1, "bytes": 0, "bytes_per_pixel": 0} == known | {"bytes": 0, "bytes_per_pixel": 0}


@pytest.mark.parametrize(
    ("options", "feature", "value"),
    [
        ({"progressive": True}, "progressive", 1),
        ({"icc_profile": b"profile"}, "icc", 1),
        ({"dpi": (300, 300)}, "dpi", 300),
        ({"comment": b"made by"}, "segments", 2),  # beside JFIF
    ],
)
def test_metadata_is_found_where_it_was_written(options, feature, value):
    plain, written = (features.of_file(encoded(NOISE, "JPEG", **more)) for more in ({}, options))
    assert written[feature] == value != plain[feature]


def test_exif_is_counted_and_turns_the_image_upright():
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "a camera"
    found = features.of_file(encoded(NOISE, "JPEG", exif=exif.tobytes()))
    assert (found["exif"], found["width"], found["height"]) == (2, 64, 96)
    assert found["aspect"] == pytest.approx(64 / 96)


def test_statistics_of_the_pixels_are_those_of_numpy_and_scipy():
    found = features.pixel_statistics(SMOOTH)
    for channel, name in enumerate("rgb"):
        assert found[f"mean_{name}"] == pytest.approx(SMOOTH[..., channel].mean())
        assert found[f"std_{name}"] == pytest.approx(SMOOTH[..., channel].std())
    assert found["saturation"] == pytest.approx(np.ptp(SMOOTH, axis=2).mean())
    luma = np.asarray(Image.fromarray(SMOOTH).convert("L"), float)
    laplacian = scipy.ndimage.laplace(luma)[1:-1, 1:-1]
    assert found["laplacian"] == pytest.approx(np.log1p(laplacian.var()), rel=0.02)  # the luma rounds differently


@pytest.mark.parametrize("sigma", [2.0, 10.0])
def test_noise_is_the_noise_that_was_added(sigma):
    ramp = np.linspace(50, 200, 256)[None] + np.linspace(0, 20, 256)[:, None]
    noisy = ramp + np.random.default_rng(0).normal(0, sigma, ramp.shape)
    assert features.noise(noisy.astype(np.float32)) == pytest.approx(sigma, rel=0.03)


@pytest.mark.parametrize(("frequency", "share"), [(0.1, 0.0), (0.4, 1.0)])
def test_high_frequencies_are_those_above_half_of_nyquist(frequency, share):
    wave = 100 + 50 * np.cos(2 * np.pi * frequency * np.arange(128))
    image = np.round((wave[None] + wave[:, None]) / 2).astype(np.uint8)[..., None].repeat(3, 2)
    assert features.pixel_statistics(image)["high_frequency"] == pytest.approx(share, abs=0.02)


@pytest.mark.parametrize("factor", [1.3, 1.6])
def test_enlarging_an_image_leaves_a_period_that_a_plain_one_lacks(factor):
    def traces(image: Image.Image) -> list[float]:
        found = features.pixel_statistics(np.asarray(image))
        return [found["resampling_x"], found["resampling_y"]]

    noise = np.random.default_rng(3).integers(0, 256, (160, 160, 3), dtype=np.uint8)
    plain = Image.fromarray(noise)
    size = round(160 * factor)
    enlarged = plain.resize((size, size), Image.Resampling.BILINEAR)
    assert min(traces(enlarged)) > max(traces(plain)) + 0.5


def test_the_blocks_of_a_strong_compression_are_seen():
    image = Image.open(io.BytesIO(encoded(SMOOTH, "JPEG", quality=10)))
    assert features.pixel_statistics(np.asarray(image))["blockiness"] > 0.3
    assert abs(features.pixel_statistics(SMOOTH)["blockiness"]) < 0.1


@pytest.mark.parametrize("shape", [(1, 1, 3), (3, 200, 3), (16, 16, 3)])
def test_small_and_flat_images_have_finite_figures(shape):
    for pixels in (np.full(shape, 7, np.uint8), NOISE[: shape[0], : min(shape[1], 96)]):
        assert np.isfinite(list(features.pixel_statistics(pixels).values())).all()


@pytest.fixture
def raw(tmp_path):
    return tmp_path / "raw"


@pytest.fixture
def samples(raw) -> pd.DataFrame:
    kinds = [("a.zip", "JPEG"), ("", "PNG"), ("a.zip", "WEBP"), ("b.zip", "JPEG"), ("", "BMP")]
    pictures = [
        (archive, f"x/{number}.{form.lower()}", encoded(NOISE[: 40 + number], form))
        for number, (archive, form) in enumerate(kinds)
    ]
    return write_pictures(raw, pictures)


def test_every_file_is_measured_in_order_whatever_the_threads(raw, samples, tmp_path):
    one = measuring.measure(samples, raw, threads=1, progress=(heard := Heard()))
    tables.write(one, tmp_path / "features.parquet", tables.FEATURES)
    pd.testing.assert_frame_equal(one, measuring.measure(samples, raw, threads=3))
    for column in ("sample_id", "sha256", "width", "height", "format", "mode", "bytes"):
        assert one[column].tolist() == samples[column].tolist()
    assert heard.steps[-1] == ("measuring files", 5, 5)


def test_a_file_that_has_changed_is_refused(raw, samples):
    (raw / "x/1.png").write_bytes(encoded(NOISE, "PNG"))
    with pytest.raises(InputError, match=r"1\.png: differs from the file that was ingested"):
        measuring.measure(samples, raw, threads=1)


@pytest.mark.parametrize("missing", ["b.zip", "x/4.bmp"])
def test_a_file_that_is_gone_is_refused(raw, samples, missing):
    (raw / missing).unlink()
    with pytest.raises(InputError, match="ingest the data set again"):
        measuring.measure(samples, raw, threads=1)


def test_decoded_images_are_measured_as_files_are():
    images = np.stack([NOISE, SMOOTH])
    found = features.of_pixels(images, threads=2)
    for row, image in enumerate(images):
        from_file = features.of_file(encoded(image, "PNG"))
        assert found.iloc[row].to_dict() == {name: from_file[name] for name in found}
