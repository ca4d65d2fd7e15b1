import hashlib
import io
import threading
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from deepfake import modalities, tables
from deepfake.config import params
from deepfake.config.images import Parts
from deepfake.datasets import duplicates, ingest
from deepfake.datasets.catalog import DataSet
from deepfake.datasets.layouts import adapters, contents
from deepfake.errors import InputError
from deepfake.modalities.image import inspection
from deepfake.project import paths
from heard import Heard


def dataset(group: str = "folder", **sources: str) -> DataSet:
    return DataSet.model_validate(
        {
            "title": "a test",
            "modality": "image",
            "adapter": "sources",
            "group": group,
            "sources": sources or {"wiki": "real", "insight": "fake"},
            "licence": "none",
            "obtain": "ask the test",
        }
    )


def encoded(form: str = "JPEG", size: tuple[int, int] = (12, 9), mode: str = "RGB", seed: int = 0, **options) -> bytes:
    noise = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    stream = io.BytesIO()
    Image.fromarray(noise).convert(mode).save(stream, form, **options)
    return stream.getvalue()


def pack(folder: Path, **archives: Mapping[str, bytes]) -> Path:
    for source, files in archives.items():
        with zipfile.ZipFile(folder / f"{source}.zip", "w", zipfile.ZIP_DEFLATED) as archive:
            for name, data in files.items():
                archive.writestr(name, data)
    return folder


def run(raw: Path, entry: DataSet | None = None, *, max_quarantined: float = 0.0, threads: int = 2):
    samples, media, quarantine = ingest.ingest(
        "mine", entry or dataset(), raw, settings=params.Ingest(max_quarantined=max_quarantined), threads=threads
    )
    tables.check(media, tables.MEDIA, "here")
    assert media["sample_id"].tolist() == samples["sample_id"].tolist()
    return samples.merge(media, on="sample_id"), quarantine


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
            assert (row.width, row.height, row.format, row.mode) == (*image.size, image.format, image.mode)
        assert row.bytes == len(data)
        assert row.sha256 == hashlib.sha256(data).hexdigest()


def test_an_image_is_a_clip_of_its_own(good):
    samples, _ = run(good)
    assert samples["clip_id"].tolist() == samples["sample_id"].tolist()


def test_labels_follow_the_catalog(good):
    samples, _ = run(good)
    assert samples.groupby("source")["label"].unique().map(list).to_dict() == {"wiki": [0], "insight": [1]}


def test_sources_that_share_names_have_samples_of_their_own(good):
    samples, _ = run(good)
    assert samples["sample_id"].is_unique
    assert samples["path"].duplicated().sum() == 4


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


@pytest.mark.parametrize("limit", [("_FILES_AHEAD", 3), ("_BYTES_AHEAD", 1)], ids=["files", "bytes"])
def test_more_files_than_may_be_read_ahead_stay_in_order(tmp_path, monkeypatch, limit):
    monkeypatch.setattr(ingest, *limit)
    monkeypatch.setattr(ingest, "_STEP", 5)
    waiting, most = [], []
    real_read = contents.read

    def counted(raw, files, **options):
        for file, data in real_read(raw, files, **options):
            waiting.append(file)
            most.append(len(waiting))
            yield file, data

    heard = Heard()
    monkeypatch.setattr(contents, "read", counted)
    pack(
        tmp_path, wiki={f"p/{i:02}.png": encoded("PNG", (5 + i, 4)) for i in range(11)}, insight={"p/x.png": encoded()}
    )
    files = adapters.find(tmp_path, dataset()).files
    for file, _ in ingest._examined(tmp_path, files, modalities.load("image"), Parts(), 3):
        waiting.remove(file)
    # of what is read, all but so many files were handed on: the whole data set is never in memory
    assert max(most) == (4 if limit[0] == "_FILES_AHEAD" else 1)
    _, media, _ = ingest.ingest(
        "mine", dataset(), tmp_path, settings=params.Ingest(max_quarantined=0), threads=3, progress=heard
    )
    assert list(media["width"][:11]) == [5 + i for i in range(11)]
    assert heard.steps == [("ingesting mine", done, 12) for done in (5, 10, 12)]


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


# --- bad files


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty file"),
        (b"this is text", "not an image of a known format"),
        (encoded("JPEG", (64, 64))[:-400], "cannot be decoded"),
    ],
    ids=["empty", "text", "truncated"],
)
def test_a_bad_file_is_set_aside_with_its_reason(good, data, reason):
    pack(good, text2img={"p1/a.jpg": encoded(), "p1/bad.jpg": data})
    entry = dataset(wiki="real", insight="fake", text2img="fake")
    samples, quarantine = run(good, entry, max_quarantined=0.1)
    assert len(samples) == 9
    assert quarantine[["archive", "path", "source"]].values.tolist() == [["text2img.zip", "p1/bad.jpg", "text2img"]]
    assert quarantine["reason"].str.startswith(reason).all()


def test_content_decides_not_the_name(good):
    pack(good, text2img={"p1/a.png": encoded("JPEG")})
    samples, _ = run(good, dataset(wiki="real", insight="fake", text2img="fake"))
    assert samples.set_index("source").loc["text2img", "format"] == "JPEG"


def test_a_bomb_is_found_while_another_thread_decodes(tmp_path, monkeypatch):
    # the filters of `warnings` belong to the process: a thread that leaves them must not disarm its neighbour
    small, bomb = encoded("PNG", (20, 20)), encoded("PNG", (40, 40))
    pack(tmp_path, wiki={"p/a.png": small, "p/b.png": bomb}, insight={"p/a.png": encoded("PNG", (10, 10))})
    small_opened, bomb_opened, small_done = threading.Event(), threading.Event(), threading.Event()
    real_open, real_inspect = Image.open, inspection.inspect

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
    monkeypatch.setattr(inspection, "inspect", inspect_in_turn)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        before = list(warnings.filters)
        _, quarantine = run(tmp_path, max_quarantined=0.5, threads=2)
        after = list(warnings.filters)
    assert quarantine["path"].tolist() == ["p/b.png"]
    assert after == before


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
    with pytest.raises(InputError, match=r"insight\.zip: not found, .*ask the test"):
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


def test_hidden_files_are_told_where_nothing_else_is(tmp_path):
    pack(tmp_path, wiki={"p/.a.jpg": encoded()}, insight={"__MACOSX/a.jpg": encoded()})
    with pytest.raises(InputError, match="there is no file in it but 2 hidden or system files"):
        run(tmp_path)


def test_nothing_is_unpacked(good):
    before = sorted(good.rglob("*"))
    pack(good, insight={"../../escaped.jpg": encoded(), "/absolute/b.jpg": encoded(), "p/a.jpg": encoded()})
    samples, quarantine = run(good, max_quarantined=0.5)
    assert samples["sample_id"].is_unique
    assert quarantine["path"].tolist() == ["../../escaped.jpg", "/absolute/b.jpg"]
    assert sorted(good.rglob("*")) == before
    assert not (good.parent.parent / "escaped.jpg").exists()


# --- a folder of one's own


def test_a_folder_of_ones_own(tmp_path):
    exif = Image.Exif()
    exif[274] = 6
    files = {
        "real/Žofie Müller.jpg": encoded("JPEG", (12, 9), seed=1, exif=exif),
        "real/cmyk.jpg": encoded("JPEG", (12, 9), "CMYK", seed=2),
        "fake/swap/人 1.png": encoded("PNG", (12, 9), "P", seed=3),
        "fake/swap/notes.jpg": b"not an image",
        "fake/.DS_Store": b"litter",
    }
    for path, data in files.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_bytes(data)
    (tmp_path / "real/loop").symlink_to("..", target_is_directory=True)
    (tmp_path / "fake/gone.jpg").symlink_to("nowhere.jpg")
    entry = DataSet(title="t", modality="image", adapter="folder", group="file", licence="none", obtain="ask")
    samples, quarantine = run(tmp_path, entry, max_quarantined=0.5)
    tables.check(samples, tables.SAMPLES, "here")
    rows = samples.set_index("sample_id")
    assert rows.loc["real/Žofie Müller.jpg", ["width", "height", "format", "mode"]].tolist() == [9, 12, "JPEG", "RGB"]
    assert rows.loc["real/cmyk.jpg", ["width", "height", "format", "mode"]].tolist() == [12, 9, "JPEG", "CMYK"]
    assert rows.loc["fake/swap/人 1.png", ["label", "source", "mode"]].tolist() == [1, "swap", "P"]
    assert quarantine.set_index("path")["reason"].str.split(" ").str[:3].str.join(" ").to_dict() == {
        "fake/gone.jpg": "a link that",
        "fake/swap/notes.jpg": "not an image",
        "real/loop": "a link to",
    }


# --- duplicates


def test_the_same_file_in_two_groups_or_under_both_labels_is_found(tmp_path):
    one, two, three, four = (encoded("PNG", seed=seed) for seed in range(4))
    pack(tmp_path, wiki={"p1/a.png": one, "p2/b.png": one, "p1/c.png": two, "p3/d.png": three, "p3/e.png": three})
    pack(tmp_path, insight={"p1/c.png": two, "p1/f.png": four})
    samples, _ = run(tmp_path)
    found = duplicates.find(samples).set_index("sha256").to_dict("index")
    assert found == {
        hashlib.sha256(one).hexdigest(): {
            "samples": "wiki/p1/a.png | wiki/p2/b.png",
            "groups": "p1 | p2",
            "both_labels": 0,
        },
        # one group, but one of the labels is wrong; that `three` is twice in one group harms nothing
        hashlib.sha256(two).hexdigest(): {
            "samples": "wiki/p1/c.png | insight/p1/c.png",
            "groups": "p1",
            "both_labels": 1,
        },
    }


def written(folder: Path, copies: int, *, both: bool, others: int = 60) -> DataSet:
    """Write a data set of one file in so many groups, among others."""
    one = encoded("PNG", seed=999)
    for number in range(copies + others):
        path = folder / ("real" if number % 2 or (number < copies and not both) else "fake") / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(one if number < copies else encoded("PNG", seed=number))
    return DataSet(title="t", modality="image", adapter="folder", group="file", licence="none", obtain="ask")


@pytest.mark.parametrize(
    ("copies", "both", "reason"),
    [
        (11, True, "a placeholder: one file in 11 groups, real and fake"),
        (10, True, ""),
        (11, False, "a placeholder: one file in 11 groups, of one label"),
        (10, False, ""),
    ],
)
def test_one_file_in_very_many_groups_is_set_aside_and_said(tmp_path, copies, both, reason):
    samples, quarantine = run(tmp_path, written(tmp_path, copies, both=both), max_quarantined=0.5)
    assert quarantine["reason"].tolist() == ([reason] * copies if reason else [])
    assert len(samples) + len(quarantine) == copies + 60
    assert samples["sha256"].is_unique == bool(reason)


def test_copies_that_balance_classes_are_no_placeholders(tmp_path):
    # 11 groups of 230: one label, and few beside all
    assert run(tmp_path, written(tmp_path, 11, both=False, others=219))[1].empty


def test_too_many_copies_end_the_run_in_a_line_that_says_what_they_are_and_what_to_do(tmp_path):
    with pytest.raises(InputError) as caught:
        run(tmp_path, written(tmp_path, 40, both=True), max_quarantined=0.02)
    message = str(caught.value)
    assert "mine: 40 of 100 files cannot be used, more than ingest.max_quarantined = 0.02" in message
    assert "a placeholder: one file in 40 groups, real and fake; first: fake/0.png; remove these files" in message


def test_what_puts_the_groups_in_doubt_is_said_on_lines_of_its_own(project):
    entry = written(paths().raw("mine"), 1200, both=True)
    for name in ("real/000.png", "real/003.png", "fake/000_003.png"):
        (paths().raw("mine") / name).write_bytes(encoded("PNG", seed=5000 + len(name) + int(name[-5])))
    _, _, placeholder, names = ingest.write("mine", entry, params.Ingest(max_quarantined=0.97), threads=2).splitlines()
    assert placeholder.startswith("set aside as a placeholder: one file in 1,200 groups, real and fake: ")
    assert placeholder.endswith(" and 1,199 more")
    assert "'000' is of '000_003'" in names
    table = pd.read_csv(paths().quarantine("mine"))
    assert len(table) == 1200 and set(table.columns) == {"archive", "path", "source", "reason"}
    # with a rule nothing is left to be said of names
    entry = entry.model_copy(update={"identities": r"(\d+)(?:_(\d+))?"})
    _, _, placeholder = ingest.write("mine", entry, params.Ingest(max_quarantined=0.97), threads=2).splitlines()
    assert placeholder.startswith("set aside as a placeholder")


def test_a_swap_is_in_one_group_with_both_people(tmp_path):
    for number, name in enumerate(("000", "003", "000_003", "001", "870", "001_870")):
        kind = "fake/Deepfakes" if "_" in name else "real/youtube"
        for frame in range(3):
            path = tmp_path / kind / "c23/frames" / name / f"{frame:04d}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(encoded("PNG", seed=10 * number + frame))
    keys = {"title": "t", "modality": "image", "adapter": "folder", "licence": "none", "obtain": "ask"}
    samples, _ = run(tmp_path, DataSet.model_validate(keys | {"identities": r"(\d{3})(?:_(\d{3}))?"}))
    folders = samples["path"].str.split("/").str[-2].groupby(samples["group"]).agg(lambda names: sorted(set(names)))
    assert folders.to_dict() == {"000": ["000", "000_003", "003"], "001": ["001", "001_870", "870"]}


def naive_duplicates(samples: pd.DataFrame) -> dict:
    found = {}
    for sha256 in dict.fromkeys(samples["sha256"]):
        rows = samples[samples["sha256"] == sha256]
        if rows["group"].nunique() > 1 or rows["label"].nunique() > 1:
            groups = list(dict.fromkeys(rows["group"]))
            both = int(rows["label"].nunique() > 1)
            found[sha256] = (" | ".join(rows["sample_id"]), " | ".join(groups), both)
    return found


def test_duplicates_are_those_that_looking_at_each_file_finds():
    rng = np.random.default_rng(5)
    for _ in range(30):
        columns = {"sha256": "abcdefgh", "group": "xyz"}
        samples = pd.DataFrame({name: rng.choice(list(values), 25) for name, values in columns.items()})
        samples = samples.assign(label=rng.integers(0, 2, 25), sample_id=[f"s{row}" for row in range(25)])
        table = duplicates.find(samples)
        assert dict(zip(table["sha256"], table.iloc[:, 1:].itertuples(index=False, name=None), strict=True)) == (
            naive_duplicates(samples)
        )


def test_without_duplicates_the_table_is_empty_and_can_be_written(good, tmp_path):
    found = duplicates.find(run(good)[0])
    tables.write_csv(found, tmp_path / "duplicates.csv")
    assert (tmp_path / "duplicates.csv").read_text() == "sha256,samples,groups,both_labels\n"


def test_files_with_notes_are_counted_by_what_is_noted(project):
    clear, films = Image.new("RGBA", (9, 9)), []
    for count in (2, 3):
        stream = io.BytesIO()
        frames = [Image.new("RGB", (9, 9), (number * 50, 9, 9)) for number in range(count)]
        frames[0].save(stream, "GIF", save_all=True, append_images=frames[1:])
        films.append(stream.getvalue())
    stream = io.BytesIO()
    clear.save(stream, "PNG")
    made = {"1.png": stream.getvalue(), "2.gif": films[0], "3.gif": films[1], "4.png": encoded(seed=4)}
    raw = paths().raw("mine")
    raw.mkdir(parents=True)
    pack(raw, camera={"5.png": encoded(seed=5)}, made=made)
    entry = dataset(group="file", camera="real", made="fake")
    said = ingest.write("mine", entry, params.Ingest(max_quarantined=0.0), threads=2)
    assert "\n3 files with notes (2 first of several frames, 1 transparency on white)" in said
    media = tables.read(paths().media("mine"), tables.MEDIA).set_index("sample_id")
    assert media["notes"].tolist() == ["", "transparency on white", "first of 2 frames", "first of 3 frames", ""]
