"""Layouts that are known by name, each on a small tree made like the published one, with the answer written by hand."""

import json
from pathlib import Path
from typing import get_args

import pytest
import yaml

from deepfake import modalities
from deepfake.datasets import catalog, identities
from deepfake.datasets.catalog import DataSet
from deepfake.datasets.layouts import adapters, kinds, look, recipes
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
    """Find the files by a recipe, whose modality need not exist, in the groups that ingest makes."""
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
    if entry["modality"] in modalities.MODALITIES:
        assert DataSet.model_validate({"recipe": name}).title == entry["title"]
        return
    assert entry["modality"] in kinds.MEDIA
    with pytest.raises(ValueError, match=rf"modality '{entry['modality']}'.*cannot be read yet"):
        DataSet.model_validate({"recipe": name})
    # nothing else is wrong with it
    assert DataSet.model_validate(entry | {"modality": "image"}).title == entry["title"]


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
    wanted = {
        "original_sequences/youtube/c40/videos/000.mp4": (REAL, "youtube", "000"),
        "original_sequences/youtube/c40/videos/003.mp4": (REAL, "youtube", "000"),
        "original_sequences/youtube/c40/videos/071.mp4": (REAL, "youtube", "054"),
        "manipulated_sequences/FaceSwap/c40/videos/003_000.mp4": (FAKE, "FaceSwap", "000"),
        "manipulated_sequences/NeuralTextures/c40/videos/071_054.mp4": (FAKE, "NeuralTextures", "054"),
    }
    grow(tmp_path, *wanted, "manipulated_sequences/FaceSwap/masks/videos/003_000.mp4")
    answers = described(tmp_path, "faceforensics_videos")
    assert answers == wanted
    assert recipes.recognised([*wanted]) == ["faceforensics_videos"]


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
    assert "no entry: audio files cannot be read yet" in said


def test_fake_or_real(tmp_path):
    wanted = {
        f"for-norm/{part}/{name}/file{number}.wav_16k.wav": label
        for part in ("training", "testing", "validation")
        for number, (name, label) in enumerate((("real", REAL), ("fake", FAKE)))
    }
    grow(tmp_path, *wanted)
    answers = described(tmp_path, "fake_or_real")
    assert {path: answer[0] for path, answer in answers.items()} == wanted
    assert {file.published for file in found(tmp_path, "fake_or_real").files} == {"train", "test", "val"}
    assert recipes.recognised([*wanted]) == ["fake_or_real"]


def test_what_cannot_be_read_yet_is_said_and_looked_at_all_the_same(tmp_path):
    grow(tmp_path, *(path.replace("frames/", "videos/").rpartition("/")[0] + ".mp4" for path in FACEFORENSICS))
    said = look.look(tmp_path)
    assert "layout: recipe faceforensics_videos" in said
    assert "no entry: video files cannot be read yet; frames of them can" in said
