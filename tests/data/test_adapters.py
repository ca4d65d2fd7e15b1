import shutil
import stat
import unicodedata
import zipfile
from pathlib import Path

import pytest

from deepfake import tables
from deepfake.datasets.catalog import DataSet
from deepfake.datasets.layouts import adapters, contents, labelling
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


def test_parts_of_a_split_are_no_groups(tmp_path):
    grow(tmp_path, "wiki/train/anna/a.jpg", "wiki/test/anna/b.jpg", "insight/anna/c.jpg", "insight/test/d.jpg")
    assert list(groups(tmp_path, in_sources()).values()) == ["anna", "anna", "anna", "test"]
    rows = "train/anna/a.jpg,real\ntest/anna/b.jpg,fake\n"
    grow(tmp_path / "mine", "train/anna/a.jpg", "test/anna/b.jpg")
    (tmp_path / "mine/labels.csv").write_text(f"path,label\n{rows}")
    assert set(groups(tmp_path / "mine", in_folder("folder", table="labels.csv")).values()) == {"anna"}


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


# --- folders of the classes at any depth


def labelled(raw: Path, entry: DataSet) -> dict[str, tuple[int, str]]:
    return {file.path: (file.label, file.source) for file in adapters.find(raw, entry).files if not file.refused}


R, F = tables.REAL, tables.FAKE


@pytest.mark.parametrize(
    ("real", "fake"),
    [
        ("train/REAL/1.jpg", "test/FAKE/1.jpg"),
        ("0_real/1.jpg", "1_fake/1.jpg"),
        ("Real/1.jpg", "Fake/1.jpg"),
        ("a/b/c/real/1.jpg", "a/b/c/fake/1.jpg"),
        ("training_real/1.jpg", "training_fake/1.jpg"),
        ("Validation/RealFaces/1.jpg", "Validation/FakeFaces/1.jpg"),
        ("real_images/1.jpg", "AI-generated images/1.jpg"),
        ("bona_fide/1.jpg", "deep fakes/1.jpg"),
        ("original_sequences/1.jpg", "manipulated_sequences/1.jpg"),
        ("genuine/1.jpg", "synthetic/1.jpg"),
        ("real_and_fake_face/train/real/1.jpg", "real_and_fake_face/train/fake/1.jpg"),
        ("Deepfake-dataset/Real/1.jpg", "Deepfake-dataset/Fake/1.jpg"),
        ("real-vs-fake/real/train/images/1.jpg", "real-vs-fake/fake/valid/frames/c23/1.jpg"),
    ],
)
def test_folders_say_the_class_at_any_depth_and_parts_of_a_split_are_no_sources(tmp_path, real, fake):
    assert labelled(grow(tmp_path, real, fake), in_folder()) == {real: (R, "real"), fake: (F, "fake")}


@pytest.mark.parametrize(
    "name",
    ["0", "1", "01", "train", "images", "real_and_fake", "realism", "unreal", "not_real", "anna", "c23"],
)
def test_names_that_say_no_class(name):
    assert labelling.class_of_folder(name) is None


def test_the_first_folder_below_the_class_that_says_something_is_the_source(tmp_path):
    grow(
        tmp_path,
        *("train/real/phone/anna/1.jpg", "train/fake/frames/StyleGAN/c23/7/2.jpg", "test/fake/raw/Flux/3.jpg"),
    )
    assert {path: source for path, (_, source) in labelled(tmp_path, in_folder()).items()} == {
        "train/real/phone/anna/1.jpg": "phone",
        "train/fake/frames/StyleGAN/c23/7/2.jpg": "StyleGAN",
        "test/fake/raw/Flux/3.jpg": "Flux",
    }
    assert groups(tmp_path, in_folder("folder")) == {
        "train/real/phone/anna/1.jpg": "anna",
        "train/fake/frames/StyleGAN/c23/7/2.jpg": "7",
    }


def test_todays_folders_mean_what_they_did(tmp_path):
    # words of the other class below real/ and fake/ name sources there
    grow(tmp_path, "real/human/1.jpg", "fake/original/2.jpg", "Fake/3.jpg")
    assert labelled(tmp_path, in_folder()) == {"real/human/1.jpg": (R, "human"), "fake/original/2.jpg": (F, "original")}


def test_what_decided_is_counted_and_told(tmp_path):
    grow(tmp_path, "train/REAL/1.jpg", "test/REAL/2.jpg", "train/1_fake/3.jpg", "misc/4.jpg", "5.jpg")
    found = adapters.find(tmp_path, in_folder())
    assert found.labelled == {(R, "REAL"): 2, (F, "1_fake"): 1}
    assert found.told() == (
        "labels: real by REAL (2); fake by 1_fake (1). Passed over: 2 files without a label (1 in misc, 1 in no folder)"
    )


def test_a_path_with_both_words_asks_which_one_counts(tmp_path):
    grow(tmp_path, "progan/0_real/1.png", "deepfake/0_real/1.png", "progan/1_fake/1.png")
    with pytest.raises(
        InputError,
        match=r"deepfake/0_real/1\.png: folder deepfake says fake and folder 0_real says real; .*key labels",
    ):
        adapters.find(tmp_path, in_folder())
    entry = in_folder(labels={"**/0_real/**": "real", "**/1_fake/**": "fake"})
    assert set(labelled(tmp_path, entry).values()) == {(R, "real"), (F, "fake")}


def test_the_folder_that_holds_all_is_called_after_the_data_set(tmp_path):
    paths = ["deepfake_dataset/train/real/1.jpg", "deepfake_dataset/test/forged/2.jpg"]
    grow(tmp_path, *paths, "README.md")
    assert labelled(tmp_path, in_folder()) == {paths[0]: (R, "real"), paths[1]: (F, "fake")}
    grow(tmp_path, "more/real/3.jpg")
    with pytest.raises(InputError, match="folder deepfake_dataset says fake and folder real says real"):
        adapters.find(tmp_path, in_folder())


@pytest.mark.parametrize("above", ["", "train/"])
def test_a_number_alone_is_never_guessed(tmp_path, above):
    grow(tmp_path, f"{above}0/1.png", f"{above}1/2.png")
    with pytest.raises(InputError, match=r"a folder called 0 or 1 does not say .*or the other way round"):
        adapters.find(tmp_path, in_folder())
    entry = in_folder(labels={"**/0/**": "fake", "**/1/**": "real"})
    assert labelled(tmp_path, entry) == {f"{above}0/1.png": (F, "fake"), f"{above}1/2.png": (R, "real")}


def test_of_several_patterns_the_outermost_folder_counts(tmp_path):
    grow(tmp_path, "real/1.jpg", "fake/swap/p/2.jpg", "swap/3.jpg")
    entry = in_folder(labels={"**/swap/**": "fake", "**/real/**": "real", "**/fake/**": "fake"})
    assert labelled(tmp_path, entry)["fake/swap/p/2.jpg"] == (F, "swap")


# --- patterns


@pytest.mark.parametrize(
    ("pattern", "matches", "others"),
    [
        ("**/REAL/**", ["REAL/1.jpg", "a/REAL/1.jpg", "a/b/REAL/c/1.jpg"], ["real/1.jpg", "REAL", "aREAL/1.jpg"]),
        ("real*/**", ["real/1.jpg", "real2/a/1.jpg"], ["a/real/1.jpg"]),
        ("**/*_fake.png", ["1_fake.png", "a/b/1_fake.png"], ["a_fake.png/1.jpg", "1_fake.jpg"]),
        ("a/?/*.jpg", ["a/b/1.jpg"], ["a/bc/1.jpg", "a/b/c/1.jpg"]),
        ("**", ["1.jpg", "a/1.jpg"], []),
        ("[x](1)/**", ["[x](1)/1.jpg"], ["x/1.jpg"]),
    ],
)
def test_patterns_of_paths(pattern, matches, others):
    expression = labelling.expression(pattern)
    assert [path for path in matches + others if expression.fullmatch(path)] == matches


def test_a_pattern_leads_to_the_folder_that_sources_start_from(tmp_path):
    grow(tmp_path, "x/REAL/cam/1.jpg", "x/FAKE/test/gan/p1/2.jpg", "y/n_fake.png")
    entry = in_folder("file", labels={"**/REAL/**": "real", "**/FAKE/**": "fake", "**/*_fake.png": "fake"})
    assert labelled(tmp_path, entry) == {
        "x/REAL/cam/1.jpg": (R, "cam"),
        "x/FAKE/test/gan/p1/2.jpg": (F, "gan"),
        "y/n_fake.png": (F, "fake"),
    }


def test_a_file_that_patterns_of_both_classes_match_is_an_error_that_names_both(tmp_path):
    grow(tmp_path, "real/1.jpg", "fake/2.jpg", "real/fake/3.jpg")
    entry = in_folder(labels={"**/real/**": "real", "**/fake/**": "fake"})
    with pytest.raises(InputError, match=r"real/fake/3\.jpg: labels: '\*\*/real/\*\*' says real and '\*\*/fake"):
        adapters.find(tmp_path, entry)


def test_a_file_that_no_pattern_matches_is_passed_over_and_counted(tmp_path):
    grow(tmp_path, "real/1.jpg", "fake/2.jpg", "masks/3.jpg", "masks/4.jpg")
    found = adapters.find(tmp_path, in_folder(labels={"real/*": "real", "fake/*": "fake"}))
    assert len(found.files) == 2
    assert found.passed.unlabelled == {"in masks": 2}


def test_patterns_that_match_nothing_of_a_class_are_an_error(tmp_path):
    grow(tmp_path, "real/1.jpg", "swap/2.jpg")
    with pytest.raises(
        InputError, match=r"no fake file .*1 in swap.*; no path matches the patterns of .* ask the test"
    ):
        adapters.find(tmp_path, in_folder(labels={"real/*": "real", "fake/*": "fake"}))
    with pytest.raises(InputError, match=r'no real and no fake .*all files in a folder real are "\*\*/real/\*\*"'):
        adapters.find(tmp_path, in_folder(labels={"real": "real", "swap": "fake"}))


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        (None, ["anna", "gan"]),
        ("label", ["real", "fake"]),
        (r"^(v\d)/", ["v1", "v2"]),
        (r"/(gan)/|nothing (here)", ["real", "gan"]),
    ],
)
def test_where_sources_come_from(tmp_path, source, expected):
    grow(tmp_path, "v1/REAL/anna/1.jpg", "v2/FAKE/gan/p1/2.jpg")
    found = labelled(tmp_path, in_folder(**({"source": source} if source else {})))
    assert [found[path][1] for path in ("v1/REAL/anna/1.jpg", "v2/FAKE/gan/p1/2.jpg")] == expected


def test_folders_below_a_class_are_groups_where_the_source_is_its_name(tmp_path):
    grow(tmp_path, "real/anna/1.jpg", "fake/anna/2.jpg")
    assert set(groups(tmp_path, in_folder("folder", source="label")).values()) == {"anna"}


# --- published splits


def test_the_published_part_is_known_where_it_is_kept(tmp_path):
    paths = [
        "train/real/1.jpg",
        "Test/fake/2.jpg",
        "real/valid/3.jpg",
        "fake/eval_set/4.jpg",
        "fake/5.jpg",
        "training_fake/fake/6.jpg",
    ]
    wanted = ["train", "test", "val", "test", "", "train"]
    grow(tmp_path, *paths)
    entry = in_folder(labels={"**/real/**": "real", "**/fake/**": "fake"}, splits="from_folders")
    parts = {file.path: file.published for file in adapters.find(tmp_path, entry).files}
    assert parts == dict(zip(paths, wanted, strict=True))
    without = in_folder(labels={"**/real/**": "real", "**/fake/**": "fake"})
    assert {file.published for file in adapters.find(tmp_path, without).files} == {""}


def test_a_path_with_two_parts_is_an_error_where_they_count(tmp_path):
    grow(tmp_path, "train/real/test/1.jpg", "train/fake/2.jpg")
    with pytest.raises(InputError, match=r"train/real/test: train and test are both parts of a published split; "):
        adapters.find(tmp_path, in_folder(splits="from_folders"))
    assert len(adapters.find(tmp_path, in_folder()).files) == 2


# --- what lies beside the samples


def test_what_lies_beside_real_and_fake_is_counted(tmp_path):
    grow(tmp_path, "originals/1.jpg", "gan/2.jpg", "edited/3.jpg", "4.jpg", "notes.txt")
    (tmp_path / "real").symlink_to("originals")
    (tmp_path / "fake").symlink_to("gan")
    found = adapters.find(tmp_path, in_folder())
    assert [(file.path, file.label) for file in found.files] == [("fake/2.jpg", 1), ("real/1.jpg", 0)]
    assert found.passed.unlabelled == {"in edited": 1, "in gan": 1, "in no folder": 1, "in originals": 1}


def test_images_that_a_table_does_not_name_are_counted(tmp_path):
    grow(tmp_path, "a.jpg", "b.jpg", "img/c.jpg", "img/d.png", "notes.txt")
    (tmp_path / "labels.csv").write_text("path,label\na.jpg,real\nb.jpg,fake\n")
    found = adapters.find(tmp_path, in_folder(table="labels.csv"))
    assert [file.path for file in found.files] == ["a.jpg", "b.jpg"]
    assert "Passed over: 2 files without a label (2 that labels.csv does not name)" in found.told()


def test_what_is_no_image_by_its_suffix_is_passed_over_and_counted(tmp_path):
    beside = ["real/1.txt", "real/1.JSON", "fake/2.npy", "fake/notes.md", "real/a.csv", "real/b.pdf"]
    # a suffix that is not known, or none: the content decides
    images = ["real/1.jpg", "fake/2.PNG", "real/photo", "fake/scan.v2", "fake/x.img"]
    grow(tmp_path, *beside, *images, "fake/@eaDir/2.PNG/SYNOPHOTO_THUMB_M.jpg", "real/ehthumbs.db")
    found = adapters.find(tmp_path, in_folder())
    assert {file.path for file in found.files} == set(images)
    assert str(found.passed) == (
        "6 other files (1 .csv, 1 .json, 1 .md, 1 .npy, 1 .pdf, ...), 1 thumbnail folder and 1 hidden or system file"
    )


MIXED = ["real/1.jpg", "real/clip.mp4", "fake/2.png", "fake/gan/voice.wav", "fake/live.MOV"]


@pytest.mark.parametrize("above", ["", "all/"])
def test_a_labelled_file_of_another_modality_is_refused_and_one_without_a_label_is_counted(tmp_path, above):
    grow(tmp_path, *(above + path for path in MIXED), f"{above}extra/clip.mp4")
    found = adapters.find(tmp_path, in_folder())
    assert {file.path: file.refused for file in found.files if file.refused} == {
        f"{above}{path}": f"by its suffix of modality {kind}, in a data set of modality image"
        for path, kind in (("real/clip.mp4", "video"), ("fake/gan/voice.wav", "audio"), ("fake/live.MOV", "video"))
    }
    assert str(found.passed) in ("1 other file (1 .mp4)", "1 file without a label (1 in extra)")


def test_a_class_that_has_files_of_another_modality_only_has_no_file(tmp_path):
    grow(tmp_path, "x/real/1.jpg", "x/fake/2.mp4")
    with pytest.raises(InputError, match="no fake file"):
        adapters.find(tmp_path, in_folder())


def test_sources_of_two_modalities_are_refused_as_well(tmp_path):
    zipped(tmp_path / "wiki.zip", "00/a.jpg", "00/a.mp4")
    zipped(tmp_path / "insight.zip", "00/a.jpg")
    files = adapters.find(tmp_path, in_sources()).files
    assert [file.path for file in files if file.refused] == ["00/a.mp4"]


def test_a_file_that_a_table_names_is_read_whatever_it_is_called(own):
    grow(own, "real/odd.dat", "fake/odd.txt")
    tabled(own, "path,label\nreal/odd.dat,real\nfake/odd.txt,fake\n")
    assert len(adapters.find(own, in_folder(table="labels.csv")).files) == 2


def test_sidecars_in_archives_are_counted_as_well(tmp_path):
    zipped(tmp_path / "wiki.zip", "00/a.jpg", "00/a.txt")
    zipped(tmp_path / "insight.zip", "00/a.jpg", ".thumbnails/a.jpg", ".thumbnails/b.jpg")
    found = adapters.find(tmp_path, in_sources())
    assert len(found.files) == 2
    assert str(found.passed) == "1 other file (1 .txt) and 1 thumbnail folder"


# --- one name in two forms of Unicode

COMPOSED, APART = (unicodedata.normalize(form, "Žofie Müller") for form in ("NFC", "NFD"))


@pytest.mark.parametrize(("written", "there"), [(COMPOSED, APART), (APART, COMPOSED), (APART, APART)])
def test_a_table_finds_a_file_whose_name_is_stored_in_another_form(tmp_path, written, there):
    assert COMPOSED != APART
    grow(tmp_path, f"{there}/{there}.jpg", "fake.jpg")
    tabled(tmp_path, f"path,label\n{written}/{written}.jpg,real\nfake.jpg,fake\n")
    file, _ = adapters.find(tmp_path, in_folder("basename", table="labels.csv")).files
    assert (file.refused, file.path) == ("", f"{there}/{there}.jpg")
    assert (file.sample_id, file.group) == (f"{COMPOSED}/{COMPOSED}.jpg", COMPOSED)


@pytest.mark.parametrize("form", [COMPOSED, APART])
def test_samples_sources_and_groups_have_composed_names(tmp_path, form):
    grow(tmp_path / "own", f"real/{form}/{form}/1.jpg", "fake/2.jpg")
    file = adapters.find(tmp_path / "own", in_folder("folder", labels={"real/**": "real", "fake/**": "fake"})).files[-1]
    assert file.sample_id == f"real/{COMPOSED}/{COMPOSED}/1.jpg"
    assert (file.source, file.group) == (COMPOSED, COMPOSED)
    ((_, data),) = contents.read(tmp_path / "own", [file])
    assert data == f"real/{form}/{form}/1.jpg".encode()


@pytest.mark.parametrize(("catalogued", "there"), [(COMPOSED, APART), (APART, COMPOSED)])
def test_a_source_is_found_under_both_forms_of_its_name(tmp_path, catalogued, there):
    entry = dataset(adapter="sources", group="folder", sources={catalogued: "real", "insight": "fake"})
    zipped(tmp_path / "zip" / f"{there}.zip", f"{there}/00/a.jpg")
    zipped(tmp_path / "zip" / "insight.zip", "00/a.jpg")
    grow(tmp_path / "tree", f"{there}/00/a.jpg", "insight/00/a.jpg")
    for form in ("zip", "tree"):
        assert [(file.group, file.refused) for file in adapters.find(tmp_path / form, entry).files] == [("00", "")] * 2


# --- reading


def test_bytes_are_those_of_the_file(forms, own):
    for raw, entry in ((forms["mixed"], in_sources()), (forms["nested zip"], in_sources()), (own, in_folder())):
        for file, data in contents.read(raw, adapters.find(raw, entry).files):
            assert isinstance(data, bytes)
            assert file.path.endswith(data.decode())
            assert file.size == len(data)


def test_what_cannot_be_read_comes_with_its_reason(own):
    files = adapters.find(own, in_folder()).files
    (own / files[0].path).unlink()
    answers = [data for _, data in contents.read(own, files)]
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
    assert [data for _, data in contents.read(tmp_path, found)] == [b"a", "a link in the archive"] * 2
