import shutil
import stat
import zipfile
from pathlib import Path

import pytest

from deepfake import tables
from deepfake.datasets import adapters
from deepfake.datasets.catalog import DataSet
from deepfake.errors import InputError


def dataset(**keys) -> DataSet:
    entry = {"title": "a test", "modality": "image", "licence": "none", "obtain": "ask the test"}
    return DataSet.model_validate(entry | keys)


def in_sources(group: str = "folder") -> DataSet:
    return dataset(adapter="sources", group=group, sources={"wiki": "real", "insight": "fake"})


def in_folder(group: str = "file", **keys) -> DataSet:
    return dataset(adapter="folder", group=group, **keys)


def grow(root: Path, *paths: str) -> Path:
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(path.encode())
    return root


def zipped(path: Path, *names: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as archive:
        for name in names:
            archive.writestr(name, name)


def groups(raw: Path, entry: DataSet) -> dict[str, str]:
    return {file.sample_id: file.group for file in adapters.find(raw, entry).files if not file.refused}


def refused(raw: Path, entry: DataSet) -> dict[str, str]:
    return {file.path: file.refused for file in adapters.find(raw, entry).files if file.refused}


# --- sources

NAMES = ("00/a b.jpg", "00/ž.jpg", "01/a.v2.jpg")


@pytest.fixture
def forms(tmp_path) -> dict[str, Path]:
    """The same data set as it is published and unpacked: with and without the folder that is called like the source."""
    for source in ("wiki", "insight"):
        inner = [f"{source}/{name}" for name in NAMES]
        zipped(tmp_path / f"plain zip/{source}.zip", *NAMES)
        zipped(tmp_path / f"nested zip/{source}.zip", *reversed(inner))
        grow(tmp_path / "plain tree" / source, *NAMES)
        grow(tmp_path / "nested tree" / source, *inner)
    zipped(tmp_path / "mixed/wiki.zip", *NAMES)
    grow(tmp_path / "mixed/insight", *NAMES)
    return {path.name: path for path in tmp_path.iterdir()}


@pytest.mark.parametrize("form", ["nested zip", "plain tree", "nested tree", "mixed"])
@pytest.mark.parametrize("group", ["folder", "basename", "file"])
def test_archives_and_their_unpacked_folders_give_the_same_samples_in_the_same_order(forms, form, group):
    def described(name: str) -> list[tuple]:
        files = adapters.find(forms[name], in_sources(group)).files
        return [(file.sample_id, file.source, file.label, file.group, file.refused) for file in files]

    plain = described("plain zip")
    assert [row[0] for row in plain] == [f"{source}/{name}" for source in ("wiki", "insight") for name in sorted(NAMES)]
    assert described(form) == plain


@pytest.mark.parametrize(
    ("group", "expected"),
    [
        ("folder", ["00", "00", "01"]),
        ("basename", ["a b", "ž", "a.v2"]),
        ("file", [f"wiki/{name}" for name in NAMES]),
    ],
)
def test_what_binds_samples(forms, group, expected):
    found = groups(forms["plain zip"], in_sources(group))
    assert [found[f"wiki/{name}"] for name in NAMES] == expected


def test_a_group_is_the_whole_folder_below_the_source(tmp_path):
    grow(tmp_path, "wiki/anna/1/a.jpg", "wiki/bert/1/a.jpg", "insight/anna/1/b.jpg")
    assert list(groups(tmp_path, in_sources()).values()) == ["anna/1", "bert/1", "anna/1"]


def test_only_a_folder_that_all_members_share_is_left_out(tmp_path):
    zipped(tmp_path / "wiki.zip", "wiki/00/a.jpg", "00/b.jpg")
    zipped(tmp_path / "insight.zip", "insight/00/a.jpg", "insight/../00/b.jpg")
    assert set(groups(tmp_path, in_sources())) == {"wiki/wiki/00/a.jpg", "wiki/00/b.jpg", "insight/00/a.jpg"}


def test_the_archive_is_taken_when_both_are_there(forms):
    grow(forms["plain zip"], "wiki/00/another.jpg")
    files = adapters.find(forms["plain zip"], in_sources()).files
    assert {file.archive for file in files} == {"wiki.zip", "insight.zip"}
    assert len(files) == 6


@pytest.mark.parametrize("missing", ["wiki", "insight"])
def test_a_missing_source_says_how_to_obtain_it(forms, missing):
    (forms["plain zip"] / f"{missing}.zip").unlink()
    with pytest.raises(InputError, match=rf"{missing}\.zip: not found, nor a folder {missing}; .*: ask the test"):
        adapters.find(forms["plain zip"], in_sources())


def test_a_file_in_no_folder_has_no_group(tmp_path):
    zipped(tmp_path / "wiki.zip", "00/a.jpg", "stray.jpg")
    zipped(tmp_path / "insight.zip", "00/a.jpg")
    assert refused(tmp_path, in_sources()) == {
        "stray.jpg": "in no folder below its source, and the catalog groups by folder"
    }
    assert refused(tmp_path, in_sources("basename")) == {}


def test_two_members_of_one_name_are_an_error(tmp_path):
    with pytest.warns(UserWarning, match="Duplicate name"):
        zipped(tmp_path / "wiki.zip", "00/a.jpg", "00/a.jpg")
    zipped(tmp_path / "insight.zip", "00/a.jpg")
    with pytest.raises(InputError, match=r"wiki\.zip: 00/a\.jpg and 00/a\.jpg are the same sample; remove one"):
        adapters.find(tmp_path, in_sources())


def test_a_file_too_large_to_be_an_image_is_refused_unread(tmp_path, monkeypatch):
    grow(tmp_path, "real/a.jpg", "fake/b.jpg")
    with (tmp_path / "real/huge.jpg").open("wb") as file:
        file.truncate(2**40)  # sparse: it takes no room on the disk
    assert refused(tmp_path, in_folder()) == {"real/huge.jpg": "larger than 512 MB"}


# --- folder


@pytest.fixture
def own(tmp_path) -> Path:
    return grow(
        tmp_path / "own",
        *("real/anna/1.jpg", "real/2.jpg", "fake/3.jpg", "fake/swap/4.jpg", "fake/swap/bert/deep/5.jpg", "notes.txt"),
    )


def test_folders_give_labels_and_sources(own):
    files = adapters.find(own, in_folder()).files
    assert {file.path: (file.source, file.label) for file in files} == {
        "real/anna/1.jpg": ("anna", tables.REAL),
        "real/2.jpg": ("real", tables.REAL),
        "fake/3.jpg": ("fake", tables.FAKE),
        "fake/swap/4.jpg": ("swap", tables.FAKE),
        "fake/swap/bert/deep/5.jpg": ("swap", tables.FAKE),
    }
    assert all((file.archive, file.sample_id) == ("", file.path) for file in files)
    assert [file.path for file in files] == sorted(file.path for file in files)


def test_groups_of_folders_start_below_the_source(own):
    assert groups(own, in_folder("basename"))["fake/swap/bert/deep/5.jpg"] == "5"
    assert groups(own, in_folder("file"))["real/2.jpg"] == "real/2.jpg"
    assert groups(own, in_folder("folder")) == {"fake/swap/bert/deep/5.jpg": "bert/deep"}
    assert len(refused(own, in_folder("folder"))) == 4


def test_a_source_with_both_labels_is_an_error(tmp_path):
    grow(tmp_path, "real/anna/1.jpg", "fake/anna/1.jpg")
    with pytest.raises(InputError, match=r"source anna is both real and fake \(fake/anna/1\.jpg, real/anna/1\.jpg\)"):
        adapters.find(tmp_path, in_folder())


@pytest.mark.parametrize("missing", ["real", "fake"])
def test_a_missing_folder_is_named(own, missing):
    (own / missing).rename(own / "elsewhere")
    shutil.rmtree(own / "elsewhere/swap", ignore_errors=True)  # a word for fakes
    with pytest.raises(InputError, match=rf"own: no {missing} file .*in elsewhere.*key labels.*--look.* ask the test"):
        adapters.find(own, in_folder())


def test_litter_is_counted_over_all_sources(forms, own):
    grow(own, "real/.DS_Store", "fake/Thumbs.db")
    assert adapters.find(own, in_folder()).passed.hidden == 2
    grow(forms["mixed"], "insight/.DS_Store")
    with zipfile.ZipFile(forms["mixed"] / "wiki.zip", "a") as archive:
        archive.writestr("__MACOSX/00/._a.jpg", b"")
    assert adapters.find(forms["mixed"], in_sources()).passed.hidden == 2


# --- table


def tabled(own: Path, text: str, name: str = "labels.csv") -> Path:
    (own / name).write_text(text, encoding="utf-8")
    return own


def test_a_table_names_the_files(own):
    tabled(own, "path,label\nreal/2.jpg,real\nfake/swap/4.jpg,Fake\n")
    files = adapters.find(own, in_folder("folder", table="labels.csv")).files
    assert [(file.path, file.source, file.label, file.group) for file in files] == [
        ("real/2.jpg", "real", tables.REAL, "real"),
        ("fake/swap/4.jpg", "fake", tables.FAKE, "fake/swap"),
    ]


def test_a_table_may_give_source_and_group(own):
    tabled(own, "path,label,source,group\nreal/2.jpg,real,phone,anna\nfake/3.jpg,fake,swap,anna\n")
    files = adapters.find(own, in_folder("basename", table="labels.csv")).files
    assert [(file.source, file.group) for file in files] == [("phone", "anna"), ("swap", "anna")]


def test_paths_start_from_the_folder_of_the_table(own):
    grow(own, "meta/images/a.jpg", "meta/b.jpg")
    tabled(own, "path,label\nimages/a.jpg,real\nb.jpg,fake\n", "meta/labels.csv")
    files = adapters.find(own, in_folder("basename", table="meta/labels.csv")).files
    assert [(file.path, file.sample_id, file.group) for file in files] == [
        ("meta/images/a.jpg", "meta/images/a.jpg", "a"),
        ("meta/b.jpg", "meta/b.jpg", "b"),
    ]


def test_a_path_that_does_not_exist_is_refused(own):
    tabled(own, "path,label\nreal/2.jpg,real\nreal/gone.jpg,real\nfake/3.jpg,fake\nfake,fake\n")
    entry = in_folder(table="labels.csv")
    assert refused(own, entry) == {"real/gone.jpg": "file not found", "fake": "not a regular file"}


def test_mistakes_of_the_table_are_told(own):
    tabled(own, "path,label,source\nreal/2.jpg,real,x\nfake/3.jpg,fake,x\n")
    with pytest.raises(InputError, match=r"source x is both real and fake"):
        adapters.find(own, in_folder(table="labels.csv"))
    with pytest.raises(InputError, match=r"other\.csv: not found; .*ask the test"):
        adapters.find(own, in_folder(table="other.csv"))


# --- reading


def test_bytes_are_those_of_the_file(forms, own):
    for raw, entry in ((forms["mixed"], in_sources()), (forms["nested zip"], in_sources()), (own, in_folder())):
        for file, data in adapters.read(raw, adapters.find(raw, entry).files):
            assert isinstance(data, bytes)
            assert file.path.endswith(data.decode())
            assert file.size == len(data)


def test_what_cannot_be_read_comes_with_its_reason(own):
    files = adapters.find(own, in_folder()).files
    (own / files[0].path).unlink()
    answers = [data for _, data in adapters.read(own, files)]
    assert answers[0] == "cannot be read: No such file or directory"
    assert all(isinstance(data, bytes) for data in answers[1:])


def test_what_is_refused_is_not_read(tmp_path):
    link = zipfile.ZipInfo("00/link.jpg")
    link.create_system, link.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
    for source in ("wiki", "insight"):
        with zipfile.ZipFile(tmp_path / f"{source}.zip", "w") as archive:
            archive.writestr("00/a.jpg", b"a")
            archive.writestr(link, "/etc/passwd")
    found = adapters.find(tmp_path, in_sources()).files
    assert [data for _, data in adapters.read(tmp_path, found)] == [b"a", "a link in the archive"] * 2
