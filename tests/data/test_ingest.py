import hashlib
import io
import random
import struct
import threading
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from deepfake import tables
from deepfake.data import ingest
from deepfake.data.catalog import DataSet
from deepfake.errors import InputError


def dataset(group: str = "folder", **sources: str) -> DataSet:
    return DataSet.model_validate(
        {
            "title": "a test",
            "modality": "image",
            "adapter": "source_archives",
            "group": group,
            "sources": sources or {"wiki": "real", "insight": "fake"},
            "licence": "none",
            "obtain": "ask the test",
        }
    )


def encoded(form: str = "JPEG", size: tuple[int, int] = (12, 9), mode: str = "RGB", seed: int = 0) -> bytes:
    noise = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    stream = io.BytesIO()
    Image.fromarray(noise).convert(mode).save(stream, form)
    return stream.getvalue()


def cv2_png(pixels: np.ndarray) -> bytes:
    return cv2.imencode(".png", pixels)[1].tobytes()


def pack(folder: Path, **archives: Mapping[str, bytes]) -> Path:
    for source, files in archives.items():
        with zipfile.ZipFile(folder / f"{source}.zip", "w", zipfile.ZIP_DEFLATED) as archive:
            for name, data in files.items():
                archive.writestr(name, data)
    return folder


def run(raw: Path, entry: DataSet | None = None, *, max_quarantined: float = 0.0, threads: int = 2):
    return ingest.ingest("mine", entry or dataset(), raw, max_quarantined=max_quarantined, threads=threads)


@pytest.fixture
def good(tmp_path) -> Path:
    """Two sources of four images in two folders, with the same names in both."""
    names = ["p1/a.jpg", "p1/b.jpg", "p2/c.png", "p2/d.png"]
    for number, source in enumerate(("wiki", "insight")):
        files = {
            name: encoded("JPEG" if name.endswith("jpg") else "PNG", (10 + i, 8 + number), seed=10 * number + i)
            for i, name in enumerate(names)
        }
        pack(tmp_path, **{source: files})
    return tmp_path


# --- good data


def test_every_file_becomes_a_row_that_fits_the_schema(good):
    samples, quarantine = run(good)
    assert len(samples) == 8
    assert len(quarantine) == 0
    tables.check(samples, tables.SAMPLES, "here")
    assert set(samples["dataset"]) == {"mine"}


def test_size_and_hash_are_those_of_the_file(good):
    samples, _ = run(good)
    for row in samples.itertuples():
        with zipfile.ZipFile(good / row.archive) as archive:
            data = archive.read(row.path)
        with Image.open(io.BytesIO(data)) as image:
            assert (row.width, row.height) == image.size
        assert row.bytes == len(data)
        assert row.sha256 == hashlib.sha256(data).hexdigest()


def test_labels_follow_the_catalog(good):
    samples, _ = run(good)
    assert samples.groupby("source")["label"].unique().map(list).to_dict() == {"wiki": [0], "insight": [1]}


def test_sources_that_share_names_have_samples_of_their_own(good):
    samples, _ = run(good)
    assert samples["sample_id"].is_unique
    assert samples["path"].duplicated().sum() == 4


@pytest.mark.parametrize(
    ("group", "expected"), [("folder", {"p1": 4, "p2": 4}), ("basename", {"a": 2, "b": 2, "c": 2, "d": 2})]
)
def test_groups_bind_by_folder_or_by_name(good, group, expected):
    samples, _ = run(good, dataset(group))
    assert samples["group"].value_counts().to_dict() == expected


def test_threads_and_the_order_in_the_archive_do_not_change_the_result(good, tmp_path):
    one, _ = run(good, threads=1)
    eight, _ = run(good, threads=8)
    pd.testing.assert_frame_equal(one, eight)
    other = tmp_path / "other"
    other.mkdir()
    for source in ("wiki", "insight"):
        with zipfile.ZipFile(good / f"{source}.zip") as archive:
            pack(other, **{source: {name: archive.read(name) for name in reversed(archive.namelist())}})
    pd.testing.assert_frame_equal(one, run(other)[0])


def test_more_files_than_one_batch_stay_in_order(tmp_path, monkeypatch):
    monkeypatch.setattr(ingest, "_BATCH", 4)
    files = {f"p/{i:02}.png": encoded("PNG", (5 + i, 4)) for i in range(11)}
    pack(tmp_path, wiki=files, insight={"p/x.png": encoded("PNG")})
    done: list[int] = []
    samples, _ = ingest.ingest("mine", dataset(), tmp_path, max_quarantined=0, threads=3, progress=done.append)
    assert list(samples["width"][:11]) == [5 + i for i in range(11)]
    assert done == [4, 8, 12]


def test_spaces_unicode_and_dots_in_names(tmp_path):
    names = ["a b/Žofie Müller.jpg", "人/写真 1.jpg", "p.1/1900-01-01.v2.jpg"]
    pack(tmp_path, wiki={n: encoded(seed=i) for i, n in enumerate(names)}, insight={n: encoded() for n in names})
    samples, _ = run(tmp_path)
    wiki = samples[samples["source"] == "wiki"].set_index("path")
    assert wiki.loc[names, "sample_id"].tolist() == [f"wiki/{n}" for n in names]
    assert wiki.loc[names, "group"].tolist() == ["a b", "人", "p.1"]


def test_files_that_differ_in_the_suffix_only_are_two_samples(tmp_path):
    pack(tmp_path, wiki={"p/a.jpg": encoded("JPEG"), "p/a.png": encoded("PNG")}, insight={"p/a.jpg": encoded()})
    samples, _ = run(tmp_path)
    assert len(samples) == 3
    assert samples["sample_id"].is_unique


def test_folders_in_the_archive_are_no_files(tmp_path):
    pack(tmp_path, wiki={"p/": b"", "p/a.jpg": encoded()}, insight={"p/a.jpg": encoded()})
    assert len(run(tmp_path)[0]) == 2


@pytest.mark.parametrize(
    ("form", "mode"),
    [
        ("JPEG", "L"),
        ("JPEG", "CMYK"),
        ("PNG", "1"),
        ("PNG", "P"),
        ("PNG", "LA"),
        ("PNG", "RGBA"),
        ("WEBP", "RGB"),
        ("BMP", "RGB"),
        ("TIFF", "RGB"),
    ],
)
def test_what_has_eight_bits_is_taken(form, mode):
    assert ingest.inspect(encoded(form, (12, 9), mode)) == (12, 9)


# --- bad files

TRUNCATED = encoded("JPEG", (64, 64))[:-400]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty file"),
        (b"this is text", "not an image of a known format"),
        (TRUNCATED, "cannot be decoded: .*truncated"),
        (encoded("PNG", (64, 64))[:-5000], "cannot be decoded"),
        (encoded("GIF"), "not an image of a known format"),
        (cv2_png(np.full((9, 12), 40_000, np.uint16)), "not 8 bits a channel"),
        (cv2_png(np.full((9, 12, 3), 40_000, np.uint16)), "not 8 bits a channel"),
        (cv2_png(np.full((9, 12, 4), 40_000, np.uint16)), "not 8 bits a channel"),
    ],
    ids=["empty", "text", "truncated JPEG", "truncated PNG", "GIF", "16-bit gray", "16-bit RGB", "16-bit RGBA"],
)
def test_a_bad_file_is_set_aside_with_its_reason(good, data, reason):
    pack(good, text2img={"p1/a.jpg": encoded(), "p1/bad.jpg": data})
    entry = dataset(wiki="real", insight="fake", text2img="fake")
    samples, quarantine = run(good, entry, max_quarantined=0.1)
    assert len(samples) == 9
    assert quarantine[["archive", "path", "source"]].values.tolist() == [["text2img.zip", "p1/bad.jpg", "text2img"]]
    assert quarantine["reason"].str.fullmatch(f"{reason}.*").all()


@pytest.mark.parametrize("factor", [1.5, 3.0], ids=["PIL warns", "PIL refuses"])
def test_a_decompression_bomb_is_set_aside(monkeypatch, factor):
    data = encoded("PNG", (100, 60))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", int(6000 / factor))
    assert ingest.inspect(data) == "too many pixels (decompression bomb)"
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 6000)
    assert ingest.inspect(data) == (100, 60)


def test_a_bomb_is_found_while_another_thread_decodes(tmp_path, monkeypatch):
    # the filters of `warnings` belong to the process: a thread that leaves them must not disarm its neighbour
    small, bomb = encoded("PNG", (20, 20)), encoded("PNG", (40, 40))
    pack(tmp_path, wiki={"p/a.png": small, "p/b.png": bomb}, insight={"p/a.png": encoded("PNG", (10, 10))})
    small_opened, bomb_opened, small_done = threading.Event(), threading.Event(), threading.Event()
    real_open, real_inspect = Image.open, ingest.inspect

    def open_in_turn(stream, **options):
        if stream.getvalue() == small:
            small_opened.set()
            bomb_opened.wait(2)
        elif stream.getvalue() == bomb:
            bomb_opened.set()
            small_done.wait(2)
        return real_open(stream, **options)

    def inspect_in_turn(data):
        if data == bomb:
            small_opened.wait(2)
        found = real_inspect(data)
        if data == small:
            small_done.set()
        return found

    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    monkeypatch.setattr(Image, "open", open_in_turn)
    monkeypatch.setattr(ingest, "inspect", inspect_in_turn)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        before = list(warnings.filters)
        _, quarantine = run(tmp_path, max_quarantined=0.5, threads=2)
        after = list(warnings.filters)
    assert quarantine["path"].tolist() == ["p/b.png"]
    assert after == before


@pytest.mark.filterwarnings("ignore")  # PIL warns of what is odd in a file before it gives up
@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "BMP", "TIFF"])
def test_no_damage_raises(form):
    rng = random.Random(form)
    original = encoded(form)
    for _ in range(300):
        data = bytearray(original)
        for _ in range(rng.randint(1, 5)):
            data[rng.randrange(min(len(data), rng.choice([40, 200, len(data)])))] = rng.randrange(256)
        found = ingest.inspect(bytes(data[: rng.choice([len(data), rng.randint(1, len(data))])]))
        assert isinstance(found, (str, tuple))


@pytest.mark.filterwarnings("ignore")
def test_an_offset_beyond_all_memory_raises_nothing():
    # found by chance among 300,000 damaged files: PIL lets the OverflowError of seek() through
    tiff = encoded("TIFF")
    entry = tiff.index(struct.pack("<HHI", 273, 4, 1))
    damaged = tiff[:entry] + struct.pack("<HHII", 273, 16, 1, len(tiff)) + tiff[entry + 12 :] + b"\xff" * 8
    assert str(ingest.inspect(damaged)).startswith("cannot be decoded")


# --- bad data sets


def test_too_many_bad_files_are_an_error_that_names_the_first(good):
    pack(good, insight={"p1/a.jpg": encoded(), "p1/b.jpg": b"", "p2/c.jpg": b"", "p2/d.jpg": b"text"})
    with pytest.raises(InputError) as caught:
        run(good, max_quarantined=0.3)
    message = str(caught.value)
    assert "mine: 3 of 8 files" in message
    assert "0.3" in message
    assert "most often: empty file" in message
    assert "first: insight.zip:p1/b.jpg" in message


def test_just_as_many_bad_files_as_allowed_pass(good):
    pack(good, insight={"p1/a.jpg": encoded(), "p1/b.jpg": b"", "p2/c.jpg": b"", "p2/d.jpg": encoded()})
    samples, quarantine = run(good, max_quarantined=0.25)
    assert (len(samples), len(quarantine)) == (6, 2)


def test_a_missing_archive_says_how_to_obtain_it(good):
    (good / "insight.zip").unlink()
    with pytest.raises(InputError, match=r"insight\.zip: not found; .*ask the test"):
        run(good)


@pytest.mark.parametrize("damage", [lambda data: b"not a zip", lambda data: b"", lambda data: data[:-40]])
def test_what_is_no_zip_is_refused(good, damage):
    path = good / "insight.zip"
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(InputError, match=r"insight\.zip: not a readable zip"):
        run(good)


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2])
def test_a_damaged_member_is_told_and_not_thrown(good, method):
    path = good / "insight.zip"
    with zipfile.ZipFile(path, "w", method) as archive:
        archive.writestr("p1/a.bmp", encoded("BMP", (64, 64)))
        archive.writestr("p1/b.jpg", encoded())
    data = bytearray(path.read_bytes())
    # from the first byte after the name on, where the compressed stream says what it is
    data[38:1200] = bytes(value ^ 0xFF for value in data[38:1200])
    path.write_bytes(data)
    try:
        _, quarantine = run(good, max_quarantined=0.5)
    except InputError as error:
        assert "insight.zip" in str(error)  # either answer is fine, a traceback is not
    else:
        assert quarantine["path"].tolist() == ["p1/a.bmp"]


def test_an_encrypted_archive_is_refused(good):
    path = good / "insight.zip"
    data = bytearray(path.read_bytes())
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        start = data.find(signature)
        while start >= 0:
            data[start + offset] |= 1
            start = data.find(signature, start + 4)
    path.write_bytes(data)
    with pytest.raises(InputError, match=r"insight\.zip"):
        run(good)


def test_empty_archives_are_an_error(tmp_path):
    with pytest.raises(InputError, match="mine: there is no file in it"):
        run(pack(tmp_path, wiki={}, insight={}))


@pytest.mark.parametrize("empty", ["wiki", "insight"])
def test_one_class_only_is_an_error(good, empty):
    pack(good, **{empty: {}})
    with pytest.raises(InputError, match="both real and fake"):
        run(good)


def test_nothing_is_unpacked(good):
    before = sorted(good.rglob("*"))
    pack(good, insight={"../../escaped.jpg": encoded(), "/absolute/b.jpg": encoded()})
    samples, _ = run(good)
    assert samples["sample_id"].is_unique
    assert sorted(good.rglob("*")) == before
    assert not (good.parent.parent / "escaped.jpg").exists()
