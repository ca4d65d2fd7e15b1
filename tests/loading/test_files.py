import hashlib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from conftest import encoded, write_pictures
from deepfake.errors import InputError
from deepfake.loading import files
from deepfake.modalities.image import encoded as images
from deepfake.modalities.image import geometry


def noise(seed: int, width: int = 9, height: int = 7) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


@pytest.fixture
def collection(tmp_path) -> tuple[Path, pd.DataFrame, list[bytes]]:
    """Files in two archives and loose, in a mixed order."""
    contents = [encoded(noise(number)) for number in range(9)]
    places = [("a.zip", ""), ("b.zip", "x/"), ("", "loose/ž ")]
    pictures = [
        (places[number % 3][0], f"{places[number % 3][1]}{number}.png", data) for number, data in enumerate(contents)
    ]
    samples = write_pictures(tmp_path, pictures)
    order = np.random.default_rng(0).permutation(len(samples))
    return tmp_path, samples.iloc[order], [contents[number] for number in order]


def read(samples: pd.DataFrame, raw: Path) -> list[images.Encoded]:
    return list(images.of(files.read(samples, geometry.regions(samples, "crop", None, 0.0), raw)))


def test_the_files_come_whole_and_in_the_order_of_the_samples(collection):
    raw, samples, contents = collection
    assert [file.data for file in read(samples, raw)] == contents


def test_each_file_comes_with_its_own_region(collection):
    raw, samples, _ = collection
    regions = geometry.regions(samples, "crop", None, 0.0)
    regions["left"] = np.arange(len(samples))
    found = list(images.of(files.read(samples, regions, raw)))
    assert [file.region for file in found] == [(n, 0, 8, 7) for n in range(len(samples))]
    assert all(type(value) is int for file in found for value in file.region)


def test_a_row_may_come_twice(collection):
    raw, samples, contents = collection
    assert [file.data for file in read(samples.iloc[[0, 1, 0]], raw)] == [contents[0], contents[1], contents[0]]


def test_an_archive_is_opened_once_and_closed(collection, monkeypatch):
    raw, samples, _ = collection
    opened = []

    class Counted(files.zipfile.ZipFile):
        def __init__(self, *arguments, **options):
            super().__init__(*arguments, **options)
            opened.append(self)

    monkeypatch.setattr(files.zipfile, "ZipFile", Counted)
    read(samples, raw)
    assert sorted(Path(archive.filename).name for archive in opened) == ["a.zip", "b.zip"]
    assert all(archive.fp is None for archive in opened)


def test_nothing_is_read_before_it_is_asked_for(collection):
    raw, samples, contents = collection
    stream = images.of(files.read(samples, geometry.regions(samples, "crop", None, 0.0), raw))
    assert next(stream).data == contents[0]
    for archive in raw.glob("*.zip"):
        archive.unlink()  # an open archive stays readable
    for loose in raw.glob("loose/*"):
        loose.unlink()
    with pytest.raises(InputError):
        list(stream)


@pytest.mark.parametrize(
    ("mode", "form", "plain"),
    [
        ("RGB", "JPEG", True),
        ("L", "JPEG", True),
        ("CMYK", "JPEG", False),
        ("RGB", "PNG", False),
        ("P", "PNG", False),
        ("L", "PNG", False),
        ("RGB", "WEBP", False),
    ],
)
def test_plain_is_what_every_decoder_turns_into_the_same_pixels(tmp_path, mode, form, plain):
    path = tmp_path / "picture"
    Image.fromarray(noise(0)).convert(mode).save(path, form)
    samples = write_pictures(tmp_path, [("", "copy", path.read_bytes())])
    (file,) = read(samples, tmp_path)
    assert file.plain is plain


def test_what_is_noted_of_a_file_makes_it_one_that_pil_decodes(tmp_path):
    samples = write_pictures(tmp_path, [("", name, encoded(noise(0), "JPEG")) for name in ("a.jpg", "b.jpg")])
    samples["notes"] = ["", "broken EXIF"]
    assert [file.plain for file in read(samples, tmp_path)] == [True, False]


@pytest.mark.parametrize("missing", [("a.zip", "none.png"), ("none.zip", "x.png"), ("", "none.png"), ("", "a.zip/x")])
def test_a_missing_file_says_what_to_do(collection, missing):
    raw, samples, _ = collection
    lost = samples.iloc[[0]].assign(archive=missing[0], path=missing[1])
    with pytest.raises(InputError, match=rf"{missing[1]}: .*not readable; ingest the data set again$"):
        read(pd.concat([samples.iloc[:3], lost]), raw)


def test_what_is_no_archive_is_an_input_error(collection):
    raw, samples, _ = collection
    (raw / "a.zip").write_bytes(b"not a zip")
    with pytest.raises(InputError, match=r"a\.zip"):
        read(samples, raw)


def test_an_archive_that_lost_a_part_is_an_input_error(collection):
    raw, samples, _ = collection
    data = bytearray((raw / "a.zip").read_bytes())
    data[100:140] = bytes(40)
    (raw / "a.zip").write_bytes(data)
    with pytest.raises(InputError, match=r"a\.zip"):
        read(samples, raw)


@pytest.mark.parametrize("data", [b"", b"text", encoded(noise(0))[:90], encoded(noise(1))])
def test_a_file_that_was_changed_since_the_ingest_is_refused(tmp_path, data):
    samples = write_pictures(tmp_path, [("", "x.png", encoded(noise(0)))])
    (tmp_path / "x.png").write_bytes(data)
    with pytest.raises(InputError, match=r"x\.png: differs from the file that was ingested"):
        read(samples, tmp_path)


def test_the_hash_is_that_of_the_file_and_not_of_its_pixels(tmp_path):
    samples = write_pictures(tmp_path, [("", "x.png", encoded(noise(0)))])
    assert samples["sha256"][0] == hashlib.sha256((tmp_path / "x.png").read_bytes()).hexdigest()
    (tmp_path / "x.png").write_bytes(encoded(noise(0), compress_level=0))  # the same pixels
    with pytest.raises(InputError, match="differs"):
        read(samples, tmp_path)
