"""What `deepfake ingest --look` says of small trees of known kinds; the answers are written by hand."""

from pathlib import Path

import pytest
import yaml

import growing
from deepfake import cli
from deepfake.datasets import catalog, identities
from deepfake.datasets.layouts import adapters, look
from deepfake.errors import InputError


def grow(root: Path, *paths: str) -> Path:
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(path.encode())
    return root


def pasted(said: str, tmp_path: Path) -> catalog.DataSet:
    """Return what the catalog makes of the entry that was printed."""
    _, _, behind = said.partition("entry for data/catalog.yaml:\n")
    text, _, _ = behind.partition("\nthen: ")
    path = tmp_path / "catalog.yaml"
    path.write_text(text, encoding="utf-8")
    (entry,) = catalog.load(path).values()
    return entry


def ingested(raw: Path, entry: catalog.DataSet) -> dict[str, tuple[int, str, str]]:
    """Return label, source and group of each file as ingest takes them."""
    files = adapters.find(raw, entry).files
    if entry.identities is not None:
        files = identities.bind(files, entry.identities, "here", entry.group)
    return {file.path: (file.label, file.source, file.group) for file in files if not file.refused}


CLIPS = {
    "fake/Deepfakes/c23/frames/000_003": (1, "Deepfakes", "000"),
    "fake/Deepfakes/c23/frames/001_870": (1, "Deepfakes", "001"),
    "real/youtube/c23/frames/000": (0, "youtube", "000"),
    "real/youtube/c23/frames/003": (0, "youtube", "000"),
    "real/youtube/c23/frames/001": (0, "youtube", "001"),
    "real/youtube/c23/frames/870": (0, "youtube", "001"),
}
"""Folders of frames, and label, source and group of what is in them."""
KINDS = {
    "numbered": (
        [f"{folder}/{number}.png" for folder in ("0_real", "1_fake") for number in "abc"],
        {
            f"{folder}/{number}.png": (label, name, f"{number}")
            for folder, label, name in (("0_real", 0, "real"), ("1_fake", 1, "fake"))
            for number in "abc"
        },
    ),
    "inside": (
        ["real/train/1.jpg", "real/test/2.jpg", "fake/train/7.jpg", "fake/test/8.jpg"],
        {
            "real/train/1.jpg": (0, "real", "real/train/1.jpg"),
            "real/test/2.jpg": (0, "real", "real/test/2.jpg"),
            "fake/train/7.jpg": (1, "fake", "fake/train/7.jpg"),
            "fake/test/8.jpg": (1, "fake", "fake/test/8.jpg"),
        },
    ),
    "people": (
        ["real/anna/1.jpg", "real/bert/1.jpg", "fake/anna/1.jpg", "fake/bert/2.jpg"],
        {
            "real/anna/1.jpg": (0, "real", "anna"),
            "real/bert/1.jpg": (0, "real", "bert"),
            "fake/anna/1.jpg": (1, "fake", "anna"),
            "fake/bert/2.jpg": (1, "fake", "bert"),
        },
    ),
    "swaps": (
        [f"{clip}/{frame:04d}.jpg" for clip in CLIPS for frame in range(3)],
        {f"{clip}/{frame:04d}.jpg": answer for clip, answer in CLIPS.items() for frame in range(3)},
    ),
    "generators": (
        ["Train/Real/1.jpg", "Train/Fake/StyleGAN/2.jpg", "Train/Fake/Flux/3.jpg"],
        {
            "Train/Real/1.jpg": (0, "real", "Train/Real/1.jpg"),
            "Train/Fake/StyleGAN/2.jpg": (1, "StyleGAN", "Train/Fake/StyleGAN/2.jpg"),
            "Train/Fake/Flux/3.jpg": (1, "Flux", "Train/Fake/Flux/3.jpg"),
        },
    ),
}


@pytest.mark.parametrize("kind", KINDS)
def test_the_entry_that_is_printed_takes_the_files_as_it_says(tmp_path, kind):
    paths, wanted = KINDS[kind]
    raw = grow(tmp_path / "raw", *paths)
    said = look.look(raw, "mine")
    assert ingested(raw, pasted(said, tmp_path)) == wanted
    assert "layout: no known layout" in said
    assert f"\nreal: {sum(not label for label, *_ in wanted.values())} file" in said


def test_what_is_said_of_a_folder_line_by_line(tmp_path):
    raw = grow(
        tmp_path / "My Faces (2024)",
        *("train/real/a.jpg", "train/real/b.jpg", "train/real/c.jpg", "train/real/c.txt", "labels.csv"),
        *("train/fake/GAN/d.png", "test/fake/GAN/e.png", "test/real/.DS_Store", "test/fake/GAN/@eaDir/e.png/x.jpg"),
    )
    (raw / "test/real/f.jpg").touch()
    assert look.look(raw).splitlines() == [
        f"{raw}: 8 files",
        "kinds: 4 .jpg, 2 .png, 1 .csv, 1 .txt",
        "layout: no known layout; by the names of folders",
        "labels: real by **/real/** (4); fake by **/fake/** (2). "
        "Passed over: 2 other files (1 .csv, 1 .txt), 1 thumbnail folder and 1 hidden or system file",
        "real: 4 files; sources: real 4",
        "fake: 2 files; sources: GAN 2",
        "groups: 6 by file, 0 with reals and fakes; the largest has 1 file (test/fake/GAN/e.png)",
        "published split: train 4, test 2",
        "to check:",
        "- 1 empty file, the first test/real/f.jpg",
        "- 100% of the reals are .jpg, the fakes mostly .png: the format predicts the label, and a detector may learn "
        "it instead",
        "- files that may hold labels, groups or a split, not read: labels.csv",
        "entry for data/catalog.yaml:",
        "",
        "my_faces_2024:",
        "  title: my data set my_faces_2024",
        "  modality: image",
        "  adapter: folder",
        "  group: file",
        "  labels:",
        "    '**/fake/**': fake",
        "    '**/real/**': real",
        "  licence: not known yet",
        f"  obtain: it lies in {raw}",
        "  # splits: from_folders    # keeps the published test set; without it one is drawn",
        "",
        f"then: deepfake ingest my_faces_2024 --raw '{raw}'",
    ]


def test_a_known_layout_is_an_entry_of_two_lines(tmp_path):
    raw = grow(tmp_path / "raw", *(f"{part}/{name}/1.jpg" for part in ("train", "test") for name in ("REAL", "FAKE")))
    said = look.look(raw)
    assert "layout: recipe cifake: CIFAKE" in said
    assert "\n\nmy_raw:\n  recipe: cifake\n  # title: ...    # if it is another data set" in said
    assert pasted(said, tmp_path).splits == "from_folders"


@pytest.mark.parametrize("wrapper", ["", "data/"])
def test_generators_above_the_folders_of_fakes_are_sources(tmp_path, wrapper):
    files = {
        "sdxl/val/0_real/a.png": "real",
        "sdxl/val/1_fake/b.png": "sdxl",
        "train/flux.1/1_fake/c.png": "flux.1",
        "coco/0_real/d.png": "real",
    }
    raw = grow(tmp_path / "raw", *(wrapper + path for path in files))
    said = look.look(raw)
    assert "folders above those of the fakes are taken as sources" in said
    found = ingested(raw, pasted(said, tmp_path))
    assert {path: source for path, (_, source, _) in found.items()} == {wrapper + path: files[path] for path in files}


def test_two_folders_above_those_of_fakes_may_be_either(tmp_path):
    folders = ["mygan/cat/0_real", "mygan/cat/1_fake", "other/dog/1_fake"]
    said = look.look(grow(tmp_path / "raw", *(f"{folder}/1.png" for folder in folders)))
    assert "fake: 2 files; sources: fake 2" in said


def test_fakes_that_are_called_like_reals_are_in_their_groups(tmp_path):
    names = [f"anna_{number}" for number in range(20)]
    raw = grow(
        tmp_path / "raw", *(f"{folder}/{name}.jpg" for folder in ("real", "fake/gan", "fake/swap") for name in names)
    )
    said = look.look(raw)
    assert "20 names stand under real and under fake" in said
    assert pasted(said, tmp_path).group == "basename"


def test_numbers_that_every_folder_has_are_no_names(tmp_path):
    folders = [f"{category}/{kind}" for category in ("car", "cat", "cow") for kind in ("0_real", "1_fake")]
    raw = grow(tmp_path / "raw", *(f"{folder}/{number:05d}.png" for folder in folders for number in range(9)))
    said = look.look(raw)
    assert "9 names stand in several folders: taken as numbers (group: file)" in said
    assert pasted(said, tmp_path).group == "file"


def test_many_folders_below_a_class_are_people_or_clips(tmp_path):
    paths = [
        f"{kind}/clip{clip:03d}{kind}/{frame}.jpg"
        for kind in ("real", "fake")
        for clip in range(20)
        for frame in range(6)
    ]
    raw = grow(tmp_path / "raw", *paths)
    said = look.look(raw)
    assert "40 folders right below those of the classes: taken as groups, not as sources" in said
    assert "40 folders of numbered files: taken as clips" in said
    entry = pasted(said, tmp_path)
    assert (entry.source, entry.group) == ("label", "folder")
    assert len({group for _, _, group in ingested(raw, entry).values()}) == 40


@pytest.mark.parametrize(("folders", "asked"), [(3, True), (1, False)])
def test_a_few_numbered_folders_may_be_generators_or_clips(tmp_path, folders, asked):
    clips = [f"{kind}/{kind}_{number}" for kind in ("real", "fake") for number in range(folders)]
    raw = grow(tmp_path / "raw", *(f"{clip}/{frame:03d}.jpg" for clip in clips for frame in range(6)))
    question = "are taken as sources: if they are clips, write source: label and group: folder"
    assert (question in look.look(raw)) == asked


@pytest.mark.parametrize(
    ("paths", "words"),
    [
        (
            ["0/a.png", "1/b.png"],
            ['#     "**/0/**": real-or-fake', "no folder's name says real or fake", "folders: 0/ 1, 1/ 1"],
        ),
        (["train/0/a.png", "train/1/b.png"], ['#     "**/0/**": real-or-fake', "folders: 0/ 1, 1/ 1"]),
        (["x/real_1.jpg", "x/fake_1.jpg"], ['#     "**/fake*": fake', '#     "**/real*": real']),
        (["real/1.jpg", "other/2.jpg"], ["no folder's name says fake", '#     "**/other/**": real-or-fake']),
        (["deepfake/0_real/1.png", "gan/1_fake/2.png"], ["folder deepfake says fake and folder 0_real says real"]),
        (["img/1.jpg", "labels.csv"], ["labels.csv", "no table of labels: "]),
        (["a.zip", "b.zip"], ["archives: a, b; unpack them"]),
        (
            ["AiArtData/1.jpg", "RealArt/2.jpg"],
            ['"**/AiArtData/**": real-or-fake    # by its name fake?', '"**/RealArt/**": real-or-fake'],
        ),
    ],
)
def test_what_is_not_known_is_asked_for_and_not_guessed(tmp_path, paths, words):
    said = look.look(grow(tmp_path / "raw", *paths))
    assert "layout: no known layout" in said
    assert "entry for data/catalog.yaml:" not in said
    for part in words:
        assert part in said
    commented = [line[2:] for line in said.splitlines() if line.startswith("# ")]
    entry = yaml.safe_load("\n".join(commented))["my_raw"]
    # pasted as it is, the catalog asks again
    values = {*entry.get("labels", {}).values(), *entry.get("sources", {}).values()}
    assert values <= {"real-or-fake"} or values == {"real", "fake"}


def test_what_lies_beside_real_and_fake_is_said_not_to_be_taken(tmp_path):
    raw = grow(tmp_path / "raw", "real/1.jpg", "fake/2.jpg", "midjourney/3.jpg", "midjourney/4.jpg", "notes.txt")
    assert "2 files lie beside real/ and fake/ and are not taken, the first midjourney/3.jpg" in look.look(raw)


def test_groups_on_both_sides_of_the_published_split_are_said(tmp_path):
    people = ["train/real/anna/1.jpg", "train/fake/anna/2.jpg", "train/real/bert/3.jpg", "test/fake/anna/4.jpg"]
    said = look.look(grow(tmp_path / "raw", *people))
    assert "- 1 of 2 groups are in the published test set and outside it, as anna: splits: from_folders" in said


def test_masks_are_said_not_to_be_samples(tmp_path):
    raw = grow(tmp_path / "raw", "real/1.png", "fake/2.png", "fake/masks/2.png")
    assert "1 files in folders such as fake/masks: if they are no samples" in look.look(raw)


def test_a_layout_that_is_only_like_a_known_one_is_not_taken_for_it(tmp_path):
    raw = grow(tmp_path / "raw", "original_sequences/youtube/000.png", "manipulated_sequences/Deepfakes/000_003.png")
    said = look.look(raw)
    assert "layout: no known layout; by the names of folders" in said
    assert "- not as recipe faceforensics_frames: no real and no fake file" in said


def test_a_folder_of_one_class_gets_no_entry(tmp_path):
    (tmp_path / "raw/fake").mkdir(parents=True)
    said = look.look(grow(tmp_path / "raw", "real/1.jpg"))
    assert "no fake file" in said
    assert "no entry: a data set needs real and fake files" in said


def test_archives_that_are_called_like_a_class_are_sources(tmp_path):
    import zipfile

    (tmp_path / "raw").mkdir()
    for name in ("real", "fake"):
        with zipfile.ZipFile(tmp_path / f"raw/{name}.zip", "w") as archive:
            archive.writestr("p/1.jpg", name)
    said = look.look(tmp_path / "raw")
    assert pasted(said, tmp_path).sources == {"fake": "fake", "real": "real"}


def test_a_table_of_labels_is_taken_where_folders_say_nothing(tmp_path):
    raw = grow(tmp_path / "raw", "img/1.jpg", "img/2.jpg")
    (raw / "labels.csv").write_text("path,label\nimg/1.jpg,real\nimg/2.jpg,fake\n")
    said = look.look(raw)
    assert "layout: no known layout; by the table labels.csv" in said
    assert pasted(said, tmp_path).table == "labels.csv"


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: None, "not found; name the folder"),
        (lambda path: path.write_bytes(b"PK"), "is a file; unpack it, or name the folder"),
        (lambda path: path.mkdir(), "no file in it; name the folder"),
        (lambda path: grow(path, ".hidden/1.jpg"), r"no file in it \(passed over: 1 hidden or system file\)"),
    ],
    ids=["missing", "file", "empty", "hidden"],
)
def test_what_is_no_folder_with_files_is_an_error(tmp_path, make, message):
    make(tmp_path / "raw")
    with pytest.raises(InputError, match=message):
        look.look(tmp_path / "raw")


def test_the_command_needs_neither_a_project_nor_an_entry(tmp_path, monkeypatch, runner):
    monkeypatch.chdir(tmp_path)
    grow(tmp_path / "raw", "real/1.jpg", "fake/2.jpg")
    result = runner.invoke(cli.main, ["ingest", "--look", "raw", "faces"])
    assert result.exit_code == 0
    assert "then: deepfake ingest faces --raw raw" in result.stdout
    for command, message in (
        (["ingest"], "name a data set of the catalog, or a folder to look at"),
        (["ingest", "--look", "raw", "--raw", "raw"], "--look names the folder itself"),
        (["ingest", "--look", "raw", "No Name"], "'No Name' cannot name a data set"),
        (["ingest", "--look", "gone"], "gone: not found"),
    ):
        result = runner.invoke(cli.main, command)
        assert result.exit_code == 2
        assert message in result.stderr
        assert len(result.stderr.splitlines()) == 1


def test_twice_as_many_files_take_twice_as_long(tmp_path):
    def cost(count: int) -> int:
        root = tmp_path / str(count)
        for kind in ("real", "fake"):
            for part in ("train", "test"):
                (root / part / kind).mkdir(parents=True)
                for number in range(count // 4):
                    (root / part / kind / f"{kind}{part}{number}.jpg").touch()
        said = []
        calls = growing.calls(lambda: said.append(look.look(root)))
        assert f"{count:,} files" in said[0]
        return calls

    assert cost(4_000) < 2.2 * cost(2_000)


def test_frames_of_the_same_number_are_no_fakes_of_each_other(tmp_path):
    people = ("anna", "bert", "carl", "dora")
    raw = grow(
        tmp_path / "raw",
        *(f"real/{person}/{frame}.jpg" for person in people for frame in range(2)),
        *(f"fake/{pair}/{frame}.jpg" for pair in ("anna_bert", "carl_dora") for frame in range(2)),
    )
    said = look.look(raw)
    assert pasted(said, tmp_path).group != "basename"
    assert "names of real groups are part of the names" in said


def test_columns_of_a_table_that_are_not_used_are_named(tmp_path):
    raw = grow(tmp_path / "raw", "a.jpg", "b.jpg")
    (raw / "labels.csv").write_text("path,label,age,split\na.jpg,real,30,train\nb.jpg,fake,20,test\n")
    said = look.look(raw)
    assert "columns of labels.csv that are not used: age, split; a published split is kept from folders alone" in said


def test_a_negation_is_no_hint_at_a_class(tmp_path):
    said = look.look(grow(tmp_path / "raw", "not_real/a.jpg", "camera_real/b.jpg"))
    assert '"**/not_real/**": real-or-fake\n' in said
    assert '"**/camera_real/**": real-or-fake    # by its name real?' in said
