import io
import os
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.stats import ks_2samp

from deepfake.config import params
from deepfake.config.images import Quality, Range
from deepfake.errors import InputError
from deepfake.synthetic import resent, sample
from heard import Heard

SETTINGS = params.Resent(seed=44, scale=Range(min=0.5, max=0.8), jpeg_quality=Quality(min=30, max=70))
PHOTOGRAPHS = [
    f"{group:02d}/s{person:02d}_{number:02d}.jpg" for group, person in enumerate((3, 8)) for number in range(40)
]


def picture(width: int, height: int, seed: int) -> bytes:
    smooth = np.random.default_rng(seed).integers(0, 256, (7, 6), dtype=np.uint8)
    buffer = io.BytesIO()
    image = Image.fromarray(smooth).resize((width, height), Image.Resampling.BICUBIC)
    image.convert("RGB").save(buffer, "JPEG", quality=95)
    return buffer.getvalue()


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sample of two people: rectangular reals, square fakes, one fake missing."""
    folder = tmp_path_factory.mktemp("raw") / "sample"
    folder.mkdir()
    for source in sample.SOURCES:
        size = (92, 112) if source == "wiki" else (128, 128)
        with zipfile.ZipFile(folder / f"{source}.zip", "w") as archive:
            for seed, name in enumerate(PHOTOGRAPHS[1:] if source == "insight" else PHOTOGRAPHS):
                archive.writestr(name, picture(*size, seed))
    return folder


@pytest.fixture(scope="module")
def made(raw: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    destination = tmp_path_factory.mktemp("made") / "sample_resent"
    resent.generate(raw, SETTINGS, destination)
    return destination


def images(folder: Path, source: str) -> dict[str, Image.Image]:
    with zipfile.ZipFile(folder / f"{source}.zip") as archive:
        return {name: Image.open(io.BytesIO(archive.read(name))) for name in archive.namelist()}


def test_archives_and_members_are_those_of_the_sample(raw: Path, made: Path) -> None:
    assert sorted(path.name for path in made.iterdir()) == sorted(path.name for path in raw.iterdir())
    for source in sample.SOURCES:
        assert list(images(made, source)) == sorted(images(raw, source))


def test_a_photograph_and_its_fakes_are_made_smaller_by_one_factor(raw: Path, made: Path) -> None:
    factors = {source: {} for source in sample.SOURCES}
    for source in sample.SOURCES:
        before = images(raw, source)
        for name, image in images(made, source).items():
            assert (image.format, image.mode) == ("JPEG", "RGB")
            factors[source][name] = np.array(image.size) / before[name].size
    for name, factor in factors["wiki"].items():
        assert 0.49 < factor.min() <= factor.max() < 0.81
        for source in sample.SOURCES[1:]:
            if name in factors[source]:
                # rounded to whole pixels
                assert factors[source][name] == pytest.approx(factor, abs=0.011)
    widths = [factor[0] for factor in factors["wiki"].values()]
    assert ks_2samp(widths, np.random.default_rng(0).uniform(0.5, 0.8, 1000)).pvalue > 0.01


def test_quality_is_drawn_alike_for_all_and_anew_for_each_file(made: Path) -> None:
    tables = {}
    for quality in range(1, 101):
        buffer = io.BytesIO()
        Image.new("RGB", (8, 8)).save(buffer, "JPEG", quality=quality)
        tables[tuple(Image.open(buffer).quantization[0])] = quality  # pyright: ignore[reportAttributeAccessIssue]
    drawn = {
        source: [tables[tuple(image.quantization[0])] for image in images(made, source).values()]  # pyright: ignore[reportAttributeAccessIssue]
        for source in sample.SOURCES
    }
    for source, qualities in drawn.items():
        assert set(qualities) <= set(range(30, 71)) and len(set(qualities)) > 20
        assert ks_2samp(drawn["wiki"], qualities).pvalue > 0.01, source
    assert drawn["wiki"] != drawn["inpainting"]


def test_a_resent_file_shows_what_it_showed(raw: Path, made: Path) -> None:
    for source in sample.SOURCES:
        before = images(raw, source)
        for name, image in images(made, source).items():
            expected = before[name].convert("L").resize(image.size, Image.Resampling.BOX)
            assert np.abs(np.asarray(image.convert("L"), float) - np.asarray(expected, float)).mean() < 4


def test_the_same_files_give_the_same_bytes_on_any_number_of_cores(
    raw: Path, made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 1)
    heard = Heard()
    resent.generate(raw, SETTINGS, tmp_path / "again", heard)
    for source in sample.SOURCES:
        assert (tmp_path / "again" / f"{source}.zip").read_bytes() == (made / f"{source}.zip").read_bytes()
    assert heard.steps == [("generating again", done, 319) for done in range(1, 320)]


def test_the_group_of_a_photograph_decides_nothing(raw: Path) -> None:
    data = picture(92, 112, 0)
    one, other = (resent.resend(name, data, 0, SETTINGS) for name in ("00/s03_01.jpg", "17/s03_01.jpg"))
    assert one == other
    assert one != resent.resend("00/s03_02.jpg", data, 0, SETTINGS)


def spoiled(raw: Path, folder: Path, data: bytes | None) -> Path:
    """Copy the sample with an archive that is missing, or holds one file that is no image, or is none."""
    folder.mkdir()
    for path in raw.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    path = folder / "insight.zip"
    path.unlink()
    if data == b"no zip":
        path.write_bytes(data)
    elif data is not None:
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("00/a.jpg", data)
    return folder


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (None, r"insight\.zip: not found; run deepfake sample first$"),
        (b"no zip", r"insight\.zip: not a whole zip archive; run deepfake sample again$"),
        (b"no image", r"insight\.zip: 00/a\.jpg is not an image; run deepfake sample again$"),
        (b"", r"insight\.zip: 00/a\.jpg is not an image; run deepfake sample again$"),
    ],
)
def test_a_sample_that_is_missing_or_damaged_is_told_and_nothing_is_left(
    raw: Path, tmp_path: Path, data: bytes | None, message: str
) -> None:
    destination = tmp_path / "sample_resent"
    destination.mkdir()
    (destination / "mark").touch()
    with pytest.raises(InputError, match=message):
        resent.generate(spoiled(raw, tmp_path / "spoiled", data), SETTINGS, destination)
    assert [path.name for path in destination.iterdir()] == ["mark"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["sample_resent", "spoiled"]
