"""Layouts that are known by name, each on a small tree made like the published one, with the answer written by hand."""

import json
import zipfile
from pathlib import Path
from typing import get_args

import pandas as pd
import pytest
import yaml

from deepfake import modalities
from deepfake.datasets import catalog, identities, splits
from deepfake.datasets.catalog import DataSet
from deepfake.datasets.entries import Published
from deepfake.datasets.layouts import adapters, look, recipes
from deepfake.datasets.layouts.adapters import RawFiles
from deepfake.errors import InputError

REAL, FAKE = 0, 1


def grow(root: Path, *paths: str, **contents: str) -> Path:
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(path.encode())
    for path, text in contents.items():
        (root / path).write_text(text, encoding="utf-8")
    return root


def found(raw: Path, name: str, **keys) -> RawFiles:
    """Find the files by a recipe, in the groups that ingest makes."""
    entry = DataSet.model_construct(None, **(recipes.find(name).entry | keys))
    files = adapters.find(raw, entry)
    if entry.identities is not None:
        files = files._replace(files=identities.bind(files.files, entry.identities, "here", entry.group))
    return files


def described(raw: Path, name: str, **keys) -> dict[str, tuple[int, str, str]]:
    files = found(raw, name, **keys).files
    assert {file.refused for file in files} == {""}
    return {file.path: (file.label, file.source, file.group) for file in files}


@pytest.mark.parametrize("name", recipes.load())
def test_a_recipe_is_an_entry_that_the_catalog_takes(name):
    entry = recipes.find(name).entry
    assert DataSet.model_validate({"recipe": name}).title == entry["title"]
    assert entry["modality"] in modalities.MODALITIES


def test_keys_of_the_entry_come_before_those_of_the_recipe():
    entry = DataSet.model_validate({"recipe": "cifake", "title": "mine", "splits": None})
    assert (entry.title, entry.splits, entry.source) == ("mine", None, "label")


def test_an_unknown_recipe_is_told_with_the_nearest(tmp_path):
    path = tmp_path / "catalog.yaml"
    path.write_text(yaml.safe_dump({"mine": {"recipe": "cifak"}}))
    with pytest.raises(InputError, match=r"mine: unknown recipe 'cifak'; did you mean cifake\?"):
        catalog.load(path)


def test_recipes_use_adapters_that_exist():
    known = get_args(catalog.DataSet.model_fields["adapter"].annotation)
    assert {recipe.entry["adapter"] for recipe in recipes.load().values()} <= set(known)


# --- one tree a recipe

FACEFORENSICS = {
    "original_sequences/youtube/c23/frames/000/0000.png": (REAL, "youtube", "000"),
    "original_sequences/youtube/c23/frames/003/000.png": (REAL, "youtube", "000"),
    "original_sequences/youtube/c23/frames/870/0000.png": (REAL, "youtube", "870"),
    "original_sequences/actors/c23/frames/01__hugging_happy/0000.png": (REAL, "actors", "01"),
    "manipulated_sequences/Deepfakes/c23/frames/000_003/0000.png": (FAKE, "Deepfakes", "000"),
    "manipulated_sequences/Face2Face/c23/images/003_000/0001.png": (FAKE, "Face2Face", "000"),
    "manipulated_sequences/DeepFakeDetection/c23/frames/01_02__hugging_happy__YVGY8LOK/0.png": (
        *(FAKE, "DeepFakeDetection", "01"),
    ),
}


@pytest.mark.parametrize("root", ["", "FaceForensics++/"])
def test_faceforensics_frames(tmp_path, root):
    grow(tmp_path, *(root + path for path in FACEFORENSICS))
    # masks are white where a face was changed: never a sample
    grow(tmp_path, f"{root}manipulated_sequences/Deepfakes/masks/frames/000_003/0000.png", f"{root}train.json")
    grow(tmp_path, f"{root}original_sequences/youtube/c23/landmarks/000/0000.npy")
    wanted = {root + path: answer for path, answer in FACEFORENSICS.items()}
    assert recipes.recognised([*wanted])[0] == "faceforensics_frames"
    answers = described(tmp_path, "faceforensics_frames")
    assert answers == wanted


def test_faceforensics_videos(tmp_path):
    # without the official lists, which one has to put there
    wanted = {
        "original_sequences/youtube/c40/videos/000.mp4": (REAL, "youtube", "000"),
        "original_sequences/youtube/c40/videos/003.mp4": (REAL, "youtube", "000"),
        "original_sequences/youtube/c40/videos/071.mp4": (REAL, "youtube", "054"),
        "manipulated_sequences/FaceSwap/c40/videos/003_000.mp4": (FAKE, "FaceSwap", "000"),
        "manipulated_sequences/NeuralTextures/c40/videos/071_054.mp4": (FAKE, "NeuralTextures", "054"),
    }
    grow(tmp_path, *wanted, "manipulated_sequences/FaceSwap/masks/videos/003_000.mp4")
    with pytest.raises(
        InputError, match=r"no list \*\*/train\.json of the published split; put .* or write splits: null"
    ):
        found(tmp_path, "faceforensics_videos")
    answers = described(tmp_path, "faceforensics_videos", splits=None)
    assert answers == wanted
    assert recipes.recognised([*wanted]) == ["faceforensics_videos"]
    said = look.look(tmp_path)
    assert "the published split is not kept: no **/train.json, no **/val.json, no **/test.json" in said


PAIRS = {"train": [["071", "054"], ["087", "081"]], "val": [["720", "672"]], "test": [["000", "003"]]}
"""Official lists of FaceForensics++, cut short."""


def official(root: Path, folder: str = "splits/", **pairs: list[list[str]]) -> Path:
    texts = {f"{folder}{part}.json": json.dumps(pairs.get(part, PAIRS[part])) for part in PAIRS}
    (root / folder).mkdir(parents=True, exist_ok=True)
    return grow(root, **texts)


def swapped(root: Path, compression: str = "c23") -> dict[str, str]:
    """Make all reals and swaps of `PAIRS`, and say in which part each is."""
    parts = {}
    for part, pairs in PAIRS.items():
        for one, other in pairs:
            names = {f"original_sequences/youtube/{compression}/videos/{person}.mp4": part for person in (one, other)}
            for method in ("Deepfakes", "Face2Face"):
                for pair in (f"{one}_{other}", f"{other}_{one}"):
                    names[f"manipulated_sequences/{method}/{compression}/videos/{pair}.mp4"] = part
            parts |= names
    grow(root, *parts)
    return parts


@pytest.mark.parametrize("compression", ["c23", "c40"])
@pytest.mark.parametrize("folder", ["", "dataset/splits/"])
def test_faceforensics_keeps_its_official_lists(tmp_path, folder, compression):
    wanted = swapped(official(tmp_path, folder), compression)
    # actors are in no list: they are cross-validated
    actors = f"original_sequences/actors/{compression}/videos/01__hugging_happy.mp4"
    grow(tmp_path, actors)
    files = found(tmp_path, "faceforensics_videos")
    assert {file.path: file.published for file in files.files} == wanted | {actors: ""}
    assert "have no file" not in files.told()
    said = look.look(tmp_path)
    assert "layout: recipe faceforensics_videos" in said
    assert "published split: train 12, val 6, test 6, none 1" in said
    assert "not read: " not in said


def test_frames_of_faceforensics_keep_the_lists_where_they_are_asked_to(tmp_path):
    official(tmp_path)
    clips = {"original_sequences/youtube/c23/frames/000": "test", "original_sequences/youtube/c23/frames/054": "train"}
    clips["manipulated_sequences/Deepfakes/c23/frames/672_720"] = "val"
    grow(tmp_path, *(f"{clip}/{frame:04d}.png" for clip in clips for frame in range(2)))
    splits = recipes.find("faceforensics_videos").entry["splits"]
    files = found(tmp_path, "faceforensics_frames", splits=splits).files
    assert {file.path.rpartition("/")[0]: file.published for file in files} == clips


def test_a_manifest_has_the_official_test_set(tmp_path):
    """What the catalog says reaches the splits: pairs of people are never parted."""
    wanted = swapped(official(tmp_path))
    entry = DataSet.model_validate({"recipe": "faceforensics_videos", "modality": "image"})
    files = found(tmp_path, "faceforensics_videos").files
    assert entry.splits == Published(test="**/test.json", train="**/train.json", val="**/val.json")
    rows = [(file.sample_id, file.label, file.source, file.group, file.sample_id, file.published) for file in files]
    samples = pd.DataFrame(rows, columns=["sample_id", "label", "source", "group", "sha256", "published"])
    samples = samples.assign(clip_id=samples["sample_id"])
    manifest = splits.split(samples, folds=2, test_ratio=0.5, seed=1, published=samples["published"])
    is_test = manifest.set_index("sample_id")["split"] == "test"
    assert is_test.to_dict() == {path: part == "test" for path, part in wanted.items()}


@pytest.mark.parametrize(
    ("pairs", "message"),
    [
        ({"test": [["000", "003"], ["071", "054"]]}, r"071.* is in two parts of the published split, train and test"),
        ({"test": [["000", "03x"]]}, r"test\.json: '03x' names no file, and nobody as the key identities reads"),
        ({"test": [["998", "999"]]}, r"splits\.test in the catalog: '\*\*/test\.json' names no file"),
        ({"test": []}, r"test\.json: not a list of names; expected JSON as \[\["),
        ({"test": [[0, 3]]}, r"test\.json: not a list of names"),
        ({"test": {"000": "003"}}, r"test\.json: not a list of names"),
    ],
)
def test_a_list_with_a_mistake_is_told(tmp_path, pairs, message):
    swapped(official(tmp_path, **pairs))
    with pytest.raises(InputError, match=message) as caught:
        found(tmp_path, "faceforensics_videos")
    assert "\n" not in str(caught.value)


def test_a_list_that_is_no_json_is_told(tmp_path):
    swapped(official(tmp_path))
    (tmp_path / "splits/val.json").write_text("720_672")
    with pytest.raises(InputError, match=r"val\.json: not a list of names \(.*obtain it again"):
        found(tmp_path, "faceforensics_videos")


def test_people_of_a_list_without_a_video_are_counted(tmp_path):
    swapped(official(tmp_path, test=[["000", "003"], ["953", "974"]]))
    told = found(tmp_path, "faceforensics_videos").told()
    assert "2 of 4 names in splits/test.json have no file, first 953" in told


def test_celebdf(tmp_path):
    videos = {
        "Celeb-real/id0_0000.mp4": (REAL, "Celeb-real", "id0"),
        "Celeb-real/id1_0002.mp4": (REAL, "Celeb-real", "id1"),
        "Celeb-real/id2_0000.mp4": (REAL, "Celeb-real", "id2"),
        "YouTube-real/00170.mp4": (REAL, "YouTube-real", "00170"),
        "Celeb-synthesis/id0_id1_0000.mp4": (FAKE, "Celeb-synthesis", "id0"),
    }
    frames = {path.replace("/", "/frames/").replace(".mp4", "/00012.png"): answer for path, answer in videos.items()}
    for name, wanted in (("celebdf_videos", videos), ("celebdf_frames", frames)):
        root = grow(tmp_path / name, *wanted, "List_of_testing_videos.txt")
        assert described(root, name) == wanted
        assert recipes.recognised([*wanted]) == [name]


TESTING = "1 YouTube-real/00170.mp4\n1 Celeb-real/id1_0002.mp4\n0 Celeb-synthesis/id0_id1_0000.mp4\n"


def test_celebdf_keeps_its_list_as_an_explicit_choice(tmp_path):
    paths = ["Celeb-real/id0_0000.mp4", "Celeb-real/id1_0000.mp4", "Celeb-real/id1_0002.mp4"]
    paths += ["YouTube-real/00170.mp4", "YouTube-real/00171.mp4", "Celeb-synthesis/id0_id1_0000.mp4"]
    # the same name below another folder is another video
    paths += ["YouTube-real/id1_0002.mp4", "Celeb-synthesis/id1_id0_0000.mp4"]
    grow(tmp_path, *paths, **{"List_of_testing_videos.txt": TESTING})
    test = {"YouTube-real/00170.mp4", "Celeb-real/id1_0002.mp4", "Celeb-synthesis/id0_id1_0000.mp4"}
    chosen = {"splits": {"test": "**/List_of_testing_videos.txt"}, "identities": None, "group": "file"}
    files = found(tmp_path, "celebdf_videos", **chosen).files
    assert {file.path for file in files if file.published == "test"} == test
    assert {file.published for file in files} == {"test", ""}
    # by default it is not read: id1 is in it and outside it
    assert {file.published for file in found(tmp_path, "celebdf_videos").files} == {""}
    kept = found(tmp_path, "celebdf_videos", splits=chosen["splits"]).files
    assert {file.published for file in kept if file.group == "id1"} == {"test", ""}
    assert "parts no people and is not read; to keep it all the same" in recipes.find("celebdf_videos").note


def test_a_list_of_videos_that_are_not_there_is_counted_and_an_empty_one_told(tmp_path):
    grow(tmp_path, "Celeb-real/id0_0000.mp4", "YouTube-real/00170.mp4", "Celeb-synthesis/id0_id1_0000.mp4")
    grow(tmp_path, **{"List_of_testing_videos.txt": TESTING})
    splits = {"test": "**/List_of_testing_videos.txt"}
    told = found(tmp_path, "celebdf_videos", splits=splits).told()
    assert "1 of 3 names in List_of_testing_videos.txt have no file, first Celeb-real/id1_0002.mp4" in told
    (tmp_path / "List_of_testing_videos.txt").write_text("\n\n")
    with pytest.raises(InputError, match=r"List_of_testing_videos\.txt: not a list of names"):
        found(tmp_path, "celebdf_videos", splits=splits)


DFDC = json.dumps(
    {
        "aaqaifqrwn.mp4": {"label": "REAL", "split": "train"},
        "bbbbbbbbbb.mp4": {"label": "FAKE", "split": "train", "original": "aaqaifqrwn.mp4"},
        "cccccccccc.mp4": {"label": "FAKE", "split": "train", "original": "zzzzzzzzzz.mp4"},
    }
)


def test_dfdc(tmp_path):
    videos = {
        "part_0/aaqaifqrwn.mp4": (REAL, "real", "aaqaifqrwn"),
        "part_0/bbbbbbbbbb.mp4": (FAKE, "fake", "aaqaifqrwn"),
        "part_0/cccccccccc.mp4": (FAKE, "fake", "zzzzzzzzzz"),
    }
    root = grow(tmp_path / "videos", *videos, "part_0/unknown.mp4")
    grow(root, **{"part_0/metadata.json": DFDC})
    assert described(root, "dfdc_videos") == videos
    assert found(root, "dfdc_videos").passed.unlabelled.total() == 1
    assert "are not there" not in found(root, "dfdc_videos").told()
    (root / "part_0/cccccccccc.mp4").unlink()
    told = found(root, "dfdc_videos").told()
    assert "1 of 3 videos that metadata.json names are not there, first cccccccccc" in told
    frames = {path.replace(".mp4", "/frame_001.jpg"): answer for path, answer in videos.items()}
    root = grow(tmp_path / "frames", *frames)
    grow(root, **{"metadata.json": DFDC})
    assert described(root, "dfdc_frames") == frames


def test_dfdc_keeps_a_split_by_folders_where_it_is_asked_to(tmp_path):
    root = grow(tmp_path, "train/aaqaifqrwn.mp4", "train/bbbbbbbbbb.mp4", "test/cccccccccc.mp4")
    grow(root, **{"metadata.json": DFDC})
    assert {file.published for file in found(root, "dfdc_videos").files} == {""}
    parts = [file.published for file in found(root, "dfdc_videos", splits="from_folders").files]
    assert parts == ["test", "train", "train"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", r"metadata\.json: not valid JSON"),
        ("[1, 2]", r"metadata\.json: it has no label real or fake"),
        ("", r"metadata\.json: not valid JSON"),
        ("{}", r"metadata\.json: it names no video"),
        ('{"a.mp4": {"split": "train"}}', r"metadata\.json: a\.mp4 has no label real or fake"),
    ],
)
def test_a_metadata_json_of_something_else_is_told(tmp_path, text, message):
    grow(grow(tmp_path, "a.mp4"), **{"metadata.json": text})
    with pytest.raises(InputError, match=message):
        found(tmp_path, "dfdc_videos")


def test_two_metadata_json_that_contradict_each_other_are_told(tmp_path):
    grow(grow(tmp_path, "x/aaqaifqrwn.mp4"), **{"metadata.json": DFDC, "x/metadata.json": DFDC.replace("REAL", "FAKE")})
    with pytest.raises(InputError, match=r"says something else of aaqaifqrwn than another metadata\.json"):
        found(tmp_path, "dfdc_videos")


def test_140k(tmp_path):
    root = "real_vs_fake/real-vs-fake"
    wanted = {
        f"{root}/{part}/{name}/{number}.jpg": label
        for part in ("train", "valid", "test")
        for name, label, number in (("real", REAL, "31355"), ("fake", FAKE, "00F8LKY6JC"))
    }
    grow(tmp_path, *wanted, "train.csv", "valid.csv", "test.csv")
    answers = described(tmp_path, "real_fake_140k")
    assert {path: answer[0] for path, answer in answers.items()} == wanted
    assert {answer[1:] for answer in answers.values()} == {
        (name, path) for path in wanted for name in [path.split("/")[3]]
    }
    parts = [file.published for file in found(tmp_path, "real_fake_140k").files]
    assert sorted(parts) == ["test", "test", "train", "train", "val", "val"]
    assert recipes.recognised([*wanted]) == ["real_fake_140k"]


def test_cifake(tmp_path):
    wanted = {
        f"{part}/{name}/0001 ({number}).jpg": (label, name.lower())
        for part in ("train", "test")
        for name, label in (("REAL", REAL), ("FAKE", FAKE))
        for number in (2, 10)
    }
    grow(tmp_path, *wanted)
    assert {path: answer[:2] for path, answer in described(tmp_path, "cifake").items()} == wanted
    assert {file.published for file in found(tmp_path, "cifake").files} == {"train", "test"}
    assert recipes.recognised([*wanted]) == ["cifake"]


def test_forensynths(tmp_path):
    wanted = {
        "progan/airplane/0_real/00001.png": (REAL, "real"),
        "progan/airplane/1_fake/00001.png": (FAKE, "progan"),
        "progan_train/cat/1_fake/00001.png": (FAKE, "progan"),
        "CNN_synth_testset/biggan/0_real/x.png": (REAL, "real"),
        "CNN_synth_testset/biggan/1_fake/x.png": (FAKE, "biggan"),
        # a word for fakes, which is a generator here, above reals
        "CNN_synth_testset/deepfake/0_real/9.png": (REAL, "real"),
        "CNN_synth_testset/deepfake/1_fake/9.png": (FAKE, "deepfake"),
        "CNN_synth_testset/stylegan2/car/1_fake/9.png": (FAKE, "stylegan2"),
        "ldm_200/1_fake/9.png": (FAKE, "ldm_200"),
    }
    grow(tmp_path, *wanted)
    answers = described(tmp_path, "forensynths")
    assert {path: answer[:2] for path, answer in answers.items()} == wanted
    assert {answer[2] for answer in answers.values()} == set(wanted)
    assert recipes.recognised([*wanted]) == ["forensynths"]


def test_genimage(tmp_path):
    wanted = {
        "BigGAN/imagenet_ai_0419_biggan/train/ai/000_biggan_00001.png": (FAKE, "imagenet_ai_0419_biggan"),
        "BigGAN/imagenet_ai_0419_biggan/train/nature/n01440764_10026.JPEG": (REAL, "real"),
        "Midjourney/val/ai/0_midjourney_4.png": (FAKE, "Midjourney"),
        "Midjourney/val/nature/n01440764_10026.JPEG": (REAL, "real"),
    }
    grow(tmp_path, *wanted)
    answers = described(tmp_path, "genimage")
    assert {path: answer[:2] for path, answer in answers.items()} == wanted
    # the same photograph of ImageNet beside two generators
    assert len({answer[2] for answer in answers.values()}) == 3
    assert recipes.recognised([*wanted]) == ["genimage"]


def test_df40(tmp_path):
    wanted = {
        "simswap/ff/000_003/000.png": (FAKE, "simswap", "000"),
        "simswap/ff/000_003/012.png": (FAKE, "simswap", "000"),
        "simswap/cdf/id0_id1_0000/000.png": (FAKE, "simswap", "id0"),
        "blendface/ff/frames/003_870/000.png": (FAKE, "blendface", "000"),
        "DF40_train/fomm/frames/500_600/000.png": (FAKE, "fomm", "500"),
        "heygen/fake/person_a/000.png": (FAKE, "heygen", "person_a"),
        "stargan/real/000012.png": (REAL, "real", "000012"),
        "FaceForensics++/original_sequences/youtube/c23/frames/870/000.png": (REAL, "youtube", "000"),
        "Celeb-DF-v2/Celeb-real/frames/id1_0003/000.png": (REAL, "Celeb-real", "id0"),
    }
    grow(tmp_path, *wanted)
    assert described(tmp_path, "df40") == wanted
    assert "df40" in recipes.recognised([*wanted])


def test_deepfakeface(tmp_path):
    wanted = [f"{source}/00/1234_1970-01-01_2000.jpg" for source in ("wiki", "inpainting", "insight", "text2img")]
    grow(tmp_path, *wanted)
    answers = described(tmp_path, "deepfakeface")
    assert {answer[:2] for answer in answers.values()} == {
        *{(REAL, "wiki"), (FAKE, "inpainting"), (FAKE, "insight"), (FAKE, "text2img")}
    }
    assert {answer[2] for answer in answers.values()} == {"1234_1970-01-01_2000"}
    assert recipes.recognised(wanted) == ["deepfakeface"]


def test_in_the_wild(tmp_path):
    grow(tmp_path, "release_in_the_wild/0.wav", "release_in_the_wild/1.wav", "release_in_the_wild/2.wav")
    text = (
        "file,speaker,label\n0.wav,Alec Guinness,spoof\n1.wav,Alec Guinness,bona-fide\n2.wav,Barack Obama,bona-fide\n"
    )
    grow(tmp_path, **{"release_in_the_wild/meta.csv": text})
    assert described(tmp_path, "in_the_wild", table="release_in_the_wild/meta.csv") == {
        "release_in_the_wild/0.wav": (FAKE, "fake", "Alec Guinness"),
        "release_in_the_wild/1.wav": (REAL, "real", "Alec Guinness"),
        "release_in_the_wild/2.wav": (REAL, "real", "Barack Obama"),
    }
    said = look.look(tmp_path)
    assert "layout: recipe in_the_wild" in said
    assert pasted(said, tmp_path) == DataSet.model_validate({"recipe": "in_the_wild"})


def spoken(root: Path, text: str, *paths: str) -> Path:
    grow(root, *paths)
    return grow(root, **{"meta.csv": text})


SPEAKERS = "file,speaker,label\n0.wav,Alec Guinness,spoof\n1.wav,Alec Guinness,bona-fide\n"


def test_a_recording_that_no_row_names_is_counted_and_a_row_without_its_recording_is_refused(tmp_path):
    spoken(tmp_path, SPEAKERS + "9.wav,Barack Obama,spoof\n", "0.wav", "1.wav", "2.wav")
    files = found(tmp_path, "in_the_wild")
    assert {file.path: file.refused for file in files.files} == {"0.wav": "", "1.wav": "", "9.wav": "file not found"}
    assert "1 file without a label (1 that meta.csv does not name)" in files.told()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (SPEAKERS + "0.wav,Alec Guinness,spoof\n", r"line 4: 0\.wav is listed in line 2 already"),
        (SPEAKERS + "0.wav,Alec Guinness,bona-fide\n", r"line 4: 0\.wav is listed in line 2 already"),
        (SPEAKERS + "2.wav,Barack Obama,maybe\n", r"line 4: unknown label 'maybe'"),
        (SPEAKERS + "2.wav,Barack Obama\n", r"line 4: 2 values for 3 columns"),
        ("", r"meta\.csv: the file is empty"),
        ("file,speaker,label\n", r"meta\.csv: it has no row"),
        ("file,speaker\n0.wav,Alec Guinness\n", r"line 1: no column label"),
    ],
)
def test_a_mistake_in_meta_csv_is_one_line(tmp_path, text, message):
    spoken(tmp_path, text, "0.wav", "1.wav")
    with pytest.raises(InputError, match=message) as caught:
        found(tmp_path, "in_the_wild")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("variant", "name"),
    [
        ("for-original", "file{}.mp3"),
        ("for-norm", "file{}.wav_16k.wav_norm.wav_mono.wav_silence.wav"),
        ("for-2seconds", "file{}.wav_16k.wav_norm.wav_mono.wav_silence.wav_2sec.wav"),
        ("for-rerecorded", "recorded_rerec_utterance_{}.wav"),
    ],
)
@pytest.mark.parametrize("above", ["", "{0}/", "the-fake-or-real-dataset/{0}/{0}/"])
def test_fake_or_real(tmp_path, variant, name, above):
    wanted = {
        f"{above.format(variant)}{part}/{kind}/{name.format(number)}": label
        for part in ("training", "testing", "validation")
        for number, (kind, label) in enumerate((("real", REAL), ("fake", FAKE)))
    }
    grow(tmp_path, *wanted)
    answers = described(tmp_path, "fake_or_real")
    assert {path: answer[0] for path, answer in answers.items()} == wanted
    assert {answer[1] for answer in answers.values()} == {"real", "fake"}
    assert {file.published for file in found(tmp_path, "fake_or_real").files} == {"train", "test", "val"}
    assert recipes.recognised([*wanted]) == ["fake_or_real"]


LA_2019 = {
    "train.trn": "LA_0079 LA_T_1138215 - - bonafide\nLA_0079 LA_T_1271820 - A01 spoof\n",
    "dev.trl": "LA_0069 LA_D_1047731 - - bonafide\nLA_0070 LA_D_1000265 - A06 spoof\n",
    "eval.trl": "LA_0039 LA_E_2834763 - A11 spoof\nLA_0014 LA_E_8877452 - A14 spoof\nLA_0004 LA_E_1 - - bonafide\n",
}
PLACES_2019 = {
    "ASVspoof2019_LA_train/flac/LA_T_1138215.flac": (REAL, "real", "LA_0079"),
    "ASVspoof2019_LA_train/flac/LA_T_1271820.flac": (FAKE, "A01", "LA_0079"),
    "ASVspoof2019_LA_dev/flac/LA_D_1047731.flac": (REAL, "real", "LA_0069"),
    "ASVspoof2019_LA_dev/flac/LA_D_1000265.flac": (FAKE, "A06", "LA_0070"),
    "ASVspoof2019_LA_eval/flac/LA_E_2834763.flac": (FAKE, "A11", "LA_0039"),
    "ASVspoof2019_LA_eval/flac/LA_E_8877452.flac": (FAKE, "A14", "LA_0014"),
    "ASVspoof2019_LA_eval/flac/LA_E_1.flac": (REAL, "real", "LA_0004"),
}


def protocols(root: Path, above: str = "LA/", **texts: str) -> Path:
    folder = f"{above}ASVspoof2019_LA_cm_protocols/"
    (root / folder).mkdir(parents=True)
    lists = {part.replace("_", "."): text for part, text in texts.items()}
    return grow(root, **{f"{folder}ASVspoof2019.LA.cm.{part}.txt": text for part, text in (LA_2019 | lists).items()})


@pytest.mark.parametrize("above", ["", "LA/", "LA/LA/"])
def test_asvspoof_2019(tmp_path, above):
    wanted = {above + path: answer for path, answer in PLACES_2019.items()}
    # recordings for enrolment are in the folders too, and protocols of speaker verification beside
    others = [f"{above}ASVspoof2019_LA_eval/flac/LA_E_9.flac", f"{above}ASVspoof2019_LA_asv_protocols/x.trl.txt"]
    grow(protocols(tmp_path, above), *wanted, *others)
    assert described(tmp_path, "asvspoof_2019_la") == wanted
    files = found(tmp_path, "asvspoof_2019_la")
    parts = {"train": "train", "dev": "val", "eval": "test"}
    assert {file.path: file.published for file in files.files} == {
        path: parts[path.removeprefix(above).split("/")[0].rpartition("_")[2]] for path in wanted
    }
    assert files.passed.unlabelled.total() == 1
    said = look.look(tmp_path)
    assert "layout: recipe asvspoof_2019_la" in said
    assert "\ngroups: 6 by the table, " in said
    assert "real by ASVspoof2019.LA.cm.dev.trl.txt (1), ASVspoof2019.LA.cm.eval.trl.txt (1), " in said


@pytest.mark.parametrize(
    ("part", "line", "message"),
    [
        (
            "dev_trl",
            "LA_0070 LA_D_1000265 - A20 spoof",
            r"dev\.trl\.txt: unknown source 'A20' of LA_D_1000265 \(1 of 1 ",
        ),
        ("dev_trl", "LA_0070 LA_D_1000265 - a06 spoof", r"unknown source 'a06' of LA_D_1000265"),
        ("dev_trl", LA_2019["dev.trl"] + "LA_0070 LA_D_1000265 A06 spoof", r"line 3: 4 values for 5 columns"),
        ("dev_trl", LA_2019["dev.trl"] + "LA_0070 LA_D_1 - A06 spooof", r"line 3: unknown label 'spooof'"),
        ("dev_trl", LA_2019["dev.trl"] + "LA_0070 LA_D_1000265 - - bonafide", r"line 3: LA_D_1000265 is listed in"),
        ("dev_trl", LA_2019["dev.trl"] + LA_2019["train.trn"], r"LA_T_1138215\.flac are the same sample"),
        ("dev_trl", "LA_0070 LA_D_1000265 - A01 bonafide", r"source A01 is both real and fake"),
        ("dev_trl", "", r"dev\.trl\.txt: the file is empty"),
        ("eval_trl", "LA_0039 LA_E_0 - A11 spoof", r"splits\.test in the catalog: .* names no file"),
    ],
)
def test_a_mistake_in_a_protocol_is_one_line(tmp_path, part, line, message):
    grow(protocols(tmp_path, **{part: line}), *(f"LA/{path}" for path in PLACES_2019))
    with pytest.raises(InputError, match=message) as caught:
        found(tmp_path, "asvspoof_2019_la")
    assert "\n" not in str(caught.value)


def test_a_trial_without_a_recording_is_refused_and_one_with_two_told(tmp_path):
    grow(protocols(tmp_path), *(f"LA/{path}" for path in list(PLACES_2019)[:-1]))
    refused = {file.path: file.refused for file in found(tmp_path, "asvspoof_2019_la").files if file.refused}
    assert refused == {"LA_E_1": "file not found"}
    grow(tmp_path, "copy/LA_E_8877452.flac")
    with pytest.raises(InputError, match=r"copy/.* and LA/.* are both called LA_E_8877452, a name in .*remove one"):
        found(tmp_path, "asvspoof_2019_la")


def test_no_protocol_is_told(tmp_path):
    grow(tmp_path, *PLACES_2019)
    with pytest.raises(InputError, match=r"no table \*\*/ASVspoof2019\.LA\.cm\..*; to obtain the data: https"):
        found(tmp_path, "asvspoof_2019_la")


def test_attacks_of_the_published_test_set_alone_are_no_mistake(tmp_path):
    lines = {
        part: "".join(
            f"LA_{speaker:04d} LA_{name}_{speaker}{kind} - {attack} {label}\n"
            for speaker in speakers
            for kind, (attack, label) in enumerate((("-", "bonafide"), (known, "spoof")))
        )
        for part, name, speakers, known in (("train.trn", "T", range(3), "A01"), ("eval.trl", "E", range(3, 6), "A07"))
    }
    folders = {"train.trn": "train", "eval.trl": "eval"}
    trials = [
        f"ASVspoof2019_LA_{folders[part]}/flac/{line.split()[1]}.flac"
        for part, text in lines.items()
        for line in text.splitlines()
    ]
    kept = {
        part: pattern for part, pattern in recipes.find("asvspoof_2019_la").entry["splits"].items() if part != "val"
    }
    for part, text in lines.items():
        grow(tmp_path, **{f"ASVspoof2019.LA.cm.{part}.txt": text})
    grow(tmp_path, *trials)
    files = found(tmp_path, "asvspoof_2019_la", splits=kept).files
    rows = [(file.sample_id, file.label, file.source, file.group, file.path, file.published) for file in files]
    samples = pd.DataFrame(rows, columns=["sample_id", "label", "source", "group", "sha256", "published"])
    samples = samples.assign(clip_id=samples["sample_id"])
    manifest = splits.split(samples, folds=2, test_ratio=0.5, seed=1, published=samples["published"])
    assert set(manifest["source"][manifest["split"] == "test"]) == {"real", "A07"}
    assert set(manifest["source"][manifest["split"] == "dev"]) == {"real", "A01"}


DF_2021 = {
    "LA_0023 DF_E_2000011 nocodec asvspoof A14 spoof notrim progress traditional_vocoder - - - -": (
        *(FAKE, "traditional_vocoder", "LA_0023"),
    ),
    "TEF2 DF_E_2000013 low_m4a vcc2020 Task1-team2 spoof notrim eval neural_vocoder_autoregressive Task1 team2 FF E": (
        *(FAKE, "neural_vocoder_autoregressive", "TEF2"),
    ),
    "TGF1 DF_E_2000024 mp3m4a vcc2020 Task2-team12 spoof trim hidden unknown Task2 team12 FF G": (
        *(FAKE, "unknown", "TGF1"),
    ),
    "VCC2TM2 DF_E_2000031 oggm4a vcc2018 - bonafide notrim eval bonafide - - - -": (REAL, "bonafide", "VCC2TM2"),
}


@pytest.mark.parametrize("keys", ["trial_metadata.txt", "keys/DF/CM/trial_metadata.txt", "DF/CM/trial_metadata.txt"])
@pytest.mark.parametrize("parted", [False, True])
def test_asvspoof_2021(tmp_path, keys, parted):
    wanted = {}
    for number, (line, answer) in enumerate(DF_2021.items()):
        above = f"ASVspoof2021_DF_eval_part{number:02d}/" * parted
        wanted[f"{above}ASVspoof2021_DF_eval/flac/{line.split()[1]}.flac"] = answer
    grow(tmp_path, *wanted, "ASVspoof2021_DF_eval/ASVspoof2021.DF.cm.eval.trl.txt")
    (tmp_path / keys).parent.mkdir(parents=True, exist_ok=True)
    grow(tmp_path, **{keys: "\n".join(DF_2021)})
    assert described(tmp_path, "asvspoof_2021_df") == wanted
    assert recipes.recognised([*wanted, keys]) == ["asvspoof_2021_df"]
    # the attack instead of the kind of vocoder
    columns = recipes.find("asvspoof_2021_df").entry["columns"] | {"source": 5}
    answers = described(tmp_path, "asvspoof_2021_df", columns=columns, source="(.+)")
    assert {answer[1] for answer in answers.values()} == {"A14", "Task1-team2", "Task2-team12", "real"}
    with pytest.raises(InputError, match=r"unknown source 'A14' of DF_E_2000011 \(3 of 4 rows have such\)"):
        found(tmp_path, "asvspoof_2021_df", columns=columns)


def test_wavefake(tmp_path):
    fakes = "generated_audio"
    tts = "common_voices_prompts_from_conformer_fastspeech2_pwg_ljspeech"
    wanted = {
        "LJSpeech-1.1/wavs/LJ001-0001.wav": (REAL, "LJSpeech-1.1", "LJ001-0001"),
        f"{fakes}/ljspeech_melgan/LJ001-0001_gen.wav": (FAKE, "ljspeech_melgan", "LJ001-0001"),
        f"{fakes}/ljspeech_hifiGAN/LJ001-0001_gen.wav": (FAKE, "ljspeech_hifiGAN", "LJ001-0001"),
        f"{fakes}/ljspeech_waveglow/LJ050-0278_gen.wav": (FAKE, "ljspeech_waveglow", "LJ050-0278"),
        f"{fakes}/jsut_multi_band_melgan/BASIC5000_0001_gen.wav": (FAKE, "jsut_multi_band_melgan", "BASIC5000_0001"),
        f"{fakes}/jsut_parallel_wavegan/BASIC5000_0002_gen.wav": (FAKE, "jsut_parallel_wavegan", "BASIC5000_0002"),
        "jsut_ver1.1/basic5000/wav/BASIC5000_0001.wav": (REAL, "jsut_ver1.1", "BASIC5000_0001"),
        f"{fakes}/{tts}/gen_0.wav": (FAKE, tts, "gen_0"),
    }
    grow(tmp_path, *wanted, "LJSpeech-1.1/metadata.csv", f"{fakes}/{tts}/generated/gen_0.wav")
    assert described(tmp_path, "wavefake") == wanted
    assert found(tmp_path, "wavefake").passed.unlabelled == {"in generated_audio": 1}
    assert recipes.recognised([*wanted]) == ["wavefake"]


def pasted(said: str, folder: Path) -> DataSet:
    """Return what the catalog makes of the entry that was printed."""
    text = said.partition("entry for data/catalog.yaml:\n")[2].partition("\nthen: ")[0]
    path = folder / "catalog.yaml"
    path.write_text(text, encoding="utf-8")
    (entry,) = catalog.load(path).values()
    return entry


def test_videos_are_looked_at_and_the_entry_is_printed(tmp_path):
    grow(tmp_path, *(path.replace("frames/", "videos/").rpartition("/")[0] + ".mp4" for path in FACEFORENSICS))
    (tmp_path / "original_sequences/youtube/c23/videos").mkdir(exist_ok=True)
    grow(tmp_path, *(f"original_sequences/youtube/c23/videos/{person:03d}.mp4" for person in (0, 3, 870)))
    said = look.look(tmp_path)
    assert "layout: recipe faceforensics_videos" in said
    entry = pasted(said, tmp_path)
    assert (entry.modality, entry.recipe, entry.splits) == ("video", "faceforensics_videos", None)
    official(tmp_path)
    said = look.look(tmp_path)
    assert pasted(said, tmp_path).splits == DataSet.model_validate({"recipe": "faceforensics_videos"}).splits
    # part of the clips is there: what is not is counted
    assert "4 of 4 names in splits/train.json have no file, first 054" in said


@pytest.mark.parametrize(("modality", "suffix"), [("video", "mp4"), ("audio", "wav"), ("image", "jpg")])
def test_folders_of_any_modality_become_a_full_entry(tmp_path, modality, suffix):
    raw = grow(tmp_path / "raw", *(f"{kind}/{number}.{suffix}" for kind in ("real", "fake") for number in range(3)))
    said = look.look(raw)
    assert "layout: no known layout; by the names of folders" in said
    entry = pasted(said, tmp_path)
    assert (entry.modality, entry.adapter) == (modality, "folder")
    assert len([file for file in adapters.find(raw, entry).files if not file.refused]) == 6


def test_a_table_of_recordings_and_archives_of_videos_have_their_modality(tmp_path):
    raw = grow(tmp_path / "table", "a.flac", "b.flac")
    grow(raw, **{"labels.csv": "path,label\na.flac,real\nb.flac,fake\n"})
    assert pasted(look.look(raw), tmp_path).modality == "audio"
    (tmp_path / "archives").mkdir()
    for name in ("real", "fake"):
        with zipfile.ZipFile(tmp_path / f"archives/{name}.zip", "w") as archive:
            archive.writestr("anna/1.mp4", name)
    assert pasted(look.look(tmp_path / "archives"), tmp_path).modality == "video"
    said = look.look(grow(tmp_path / "unknown", "x/0/1.ogg", "x/1/2.ogg"))
    assert "#   modality: audio" in said


def test_a_folder_of_several_modalities_is_that_of_which_there_is_most(tmp_path):
    raw = grow(tmp_path / "raw", "real/1.mp4", "real/2.mp4", "fake/3.mp4", "fake/4.jpg", "extra/5.wav")
    said = look.look(raw)
    assert pasted(said, tmp_path).modality == "video"
    assert "1 files cannot be taken: 1 by its suffix of modality image, in a data set of modality video" in said


def test_streamed_files_may_be_of_any_size(tmp_path, monkeypatch):
    monkeypatch.setattr(adapters, "_LARGEST", 3)
    raw = grow(tmp_path / "raw", "real/1.mp4", "fake/2.mp4")
    keys = {"title": "t", "modality": "video", "adapter": "folder", "group": "file", "licence": "n", "obtain": "o"}
    assert {file.refused for file in adapters.find(raw, DataSet.model_validate(keys)).files} == {""}
    images = adapters.find(raw.rename(tmp_path / "x"), DataSet.model_validate(keys | {"modality": "image"}), None)
    assert all("modality video" in file.refused for file in images.files)
    for name in ("real", "fake"):
        with zipfile.ZipFile(tmp_path / f"{name}.zip", "w") as archive:
            archive.writestr("anna/1.mp4", "more than three bytes")
    packed = keys | {"adapter": "sources", "sources": {"real": "real", "fake": "fake"}}
    found = adapters.find(tmp_path, DataSet.model_validate(packed)).files
    # a member of an archive is read whole
    assert {file.refused for file in found} == {"larger than 0 MB"}
