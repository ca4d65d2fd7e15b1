"""Nearly the same picture in several groups: the hash, the search, what ingest lists and splits join."""

import io
import random
import tracemalloc
import zipfile

import cv2
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageEnhance
from scipy.spatial.distance import cdist

from deepfake import modalities, tables
from deepfake.config import params
from deepfake.config.images import Quality
from deepfake.datasets import catalog, ingest, near_duplicates, partition, splits
from deepfake.datasets.catalog import DataSet
from deepfake.errors import InputError
from deepfake.modalities.image import inspection
from deepfake.project import paths
from deepfake.synthetic import photographs, sample

MIRROR = modalities.load("image").MIRROR


def photograph(person: int, number: int = 1) -> Image.Image:
    return Image.fromarray(photographs.read(person, number).pixels).resize((184, 224), Image.Resampling.BICUBIC)


def saved(image: Image.Image, format: str = "JPEG", **options) -> bytes:
    stream = io.BytesIO()
    image.save(stream, format, **options)
    return stream.getvalue()


def hash_of(data: bytes) -> str:
    found = inspection.inspect(data)
    assert not isinstance(found, str), found
    return found.fingerprint


def distance(one: str, other: str) -> int:
    return (int(one, 16) ^ int(other, 16)).bit_count()


def mirrored(image: Image.Image) -> Image.Image:
    return image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)


def resized(image: Image.Image, factor: float) -> Image.Image:
    return image.resize((round(image.width * factor), round(image.height * factor)), Image.Resampling.LANCZOS)


COPIES = {
    "compressed": lambda image: saved(image, quality=20),
    "halved": lambda image: saved(resized(image, 0.5), quality=75),
    "a third": lambda image: saved(resized(image, 1 / 3), quality=40),
    "enlarged": lambda image: saved(resized(image, 2.0), "PNG"),
    "stretched": lambda image: saved(image.resize((256, 256))),
    "brighter": lambda image: saved(ImageEnhance.Brightness(image).enhance(1.15)),
    "colour": lambda image: saved(image.convert("RGBA"), "PNG"),
    "palette": lambda image: saved(image.convert("P"), "PNG"),
    "cmyk": lambda image: saved(image.convert("CMYK")),
}


# --- the hash


@pytest.mark.parametrize("change", COPIES)
def test_a_copy_has_nearly_the_hash_of_its_original(change):
    for person in range(1, 41, 3):
        image = photograph(person)
        copy = hash_of(COPIES[change](image))
        assert distance(hash_of(saved(image, "PNG")), copy) <= near_duplicates.MAX_DISTANCE


def test_the_bits_are_signs_of_the_lowest_frequencies():
    """Against OpenCV's cosine transform of a picture that it halved."""
    image = photograph(9).resize((128, 128))
    small = cv2.resize(np.asarray(image, np.float32), (64, 64), interpolation=cv2.INTER_AREA)
    signs = cv2.dct(small)[1:17, 1:17].ravel() > 0
    found = np.unpackbits(np.frombuffer(bytes.fromhex(hash_of(saved(image, "PNG"))), np.uint8))
    assert (found != signs).sum() <= 2  # a gray level is rounded there


def test_a_mirror_image_has_the_hash_with_the_mirrors_bits_flipped():
    for person in range(1, 41, 3):
        image = photograph(person)
        plain, turned = (hash_of(saved(each, "PNG")) for each in (image, mirrored(image)))
        assert distance(plain, turned) > 90
        assert distance(f"{int(plain, 16) ^ int(MIRROR, 16):x}", turned) <= 12  # the resize rounds


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("format", ["JPEG", "PNG", "TIFF"])
def test_a_hash_is_that_of_the_upright_picture(orientation, format):
    image = photograph(3)
    back = {2: "FLIP_LEFT_RIGHT", 3: "ROTATE_180", 4: "FLIP_TOP_BOTTOM", 5: "TRANSPOSE", 6: "ROTATE_90"}
    back |= {7: "TRANSVERSE", 8: "ROTATE_270"}
    stored = image.transpose(Image.Transpose[back[orientation]]) if orientation > 1 else image
    exif = Image.Exif()
    exif[0x0112] = orientation
    found = hash_of(saved(stored, format, exif=exif))
    assert distance(hash_of(saved(image, "PNG")), found) <= 4


def test_a_flat_picture_has_no_hash():
    ramp = np.tile(np.arange(200, dtype=np.uint8), (100, 1))
    for pixels in (np.full((50, 60), 90, np.uint8), ramp, ramp.T.copy()):
        assert hash_of(saved(Image.fromarray(pixels), "PNG")) == ""


@pytest.mark.parametrize("mode", inspection._EIGHT_BIT_MODES)
def test_an_image_of_any_mode_has_a_hash(mode):
    image = photograph(5).convert("RGB")
    for format in ("PNG", "TIFF", "JPEG", "WEBP"):
        try:
            data = saved(image.convert(mode), format)
        except (OSError, ValueError):
            continue  # Pillow cannot make or save it
        assert len(hash_of(data)) == 64


# --- the search


def planted(count: int, seed: int) -> np.ndarray:
    """Return random hashes, half of them copies of others with up to 60 bits flipped: uint8 [count, 256]."""
    rng = np.random.default_rng(seed)
    bits = rng.integers(0, 2, (count, 256), dtype=np.uint8)
    for row in range(count // 2, count):
        bits[row] = bits[rng.integers(row)]
        bits[row, rng.permutation(256)[: rng.integers(61)]] ^= 1
    return bits


def rows(groups: list[str], labels: list[int] | None = None) -> pd.DataFrame:
    names = [f"s{number}" for number in range(len(groups))]
    return pd.DataFrame({"sample_id": names, "group": groups, "sha256": names, "label": labels or 0})


def hexadecimal(bits: np.ndarray) -> pd.Series:
    return pd.Series([np.packbits(row).tobytes().hex() for row in bits])


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from([7, 1000]))
def test_the_search_finds_exactly_the_pairs_that_comparing_all_finds(seed, pairs_at_a_time):
    bits = planted(120, seed)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(near_duplicates, "_PAIRS", pairs_at_a_time)
        found = near_duplicates.find(rows([f"{number:03d}" for number in range(120)]), hexadecimal(bits), "00" * 32)
    apart = np.rint(cdist(bits, bits, "hamming") * 256).astype(int)
    one, other = np.nonzero(np.triu(apart <= near_duplicates.MAX_DISTANCE, 1))
    together = {(f"s{a}", f"s{b}"): apart[a, b] for a, b in zip(one, other, strict=True)}
    assert len(together) >= 18  # the fewest of all seeds
    listed = found.set_index(["sample", "other"])["distance"].to_dict()
    distinct = len(np.unique(bits, axis=0)) == len(bits)
    assert listed == together if distinct else listed.items() <= together.items()
    # which groups hang together is the same, with or without equal hashes
    groups = rows([f"{number:03d}" for number in range(120)])
    naive = pd.DataFrame({"group": [f"{a:03d}" for a in one], "other_group": [f"{b:03d}" for b in other]})
    assert splits.joined_groups(groups, found).tolist() == splits.joined_groups(groups, naive).tolist()


def test_only_pairs_of_two_groups_that_are_not_one_file_are_listed_each_two_groups_once():
    bits = planted(4, 1)[:1].repeat(7, axis=0)
    bits[5, :5] ^= 1
    bits[6, :3] ^= 1
    samples = rows(["b", "b", "a", "c", "a", "d", "d"])
    samples.loc[[0, 3], "sha256"] = "one file"
    found = near_duplicates.find(samples, hexadecimal(bits), MIRROR)
    assert found.columns.tolist() == list(near_duplicates.COLUMNS)
    assert found.to_numpy().tolist() == [["s2", "s0", "a", "b", 0, 0], ["s0", "s6", "b", "d", 3, 0]]
    # c is bound to b by their file
    assert set(splits.joined_groups(samples, found)) == {"a"}


def test_samples_without_a_hash_are_near_to_nothing():
    found = near_duplicates.find(rows(["a", "b"]), pd.Series(["", ""]), MIRROR)
    assert found.empty


@pytest.mark.parametrize("one_file", [True, False])
@pytest.mark.parametrize("fingerprint", ["", "a5" * 32])
def test_very_many_copies_cost_a_row_each_and_not_one_for_each_pair(fingerprint, one_file):
    count = 50_000
    samples = rows([f"{number:05d}" for number in range(count)])
    if one_file:
        samples["sha256"] = "one file"
    tracemalloc.start()
    found = near_duplicates.find(samples, pd.Series([fingerprint] * count), MIRROR)
    joined = splits.joined_groups(samples, found)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 200 * 2**20
    assert len(found) == (0 if one_file or not fingerprint else count - 1)
    assert joined.nunique() == (1 if one_file or fingerprint else count)


def test_no_two_people_of_the_sample_are_bound(tmp_path):
    people = params.Sample(
        seed=42, real_width=184, real_height=224, fake_size=256, jpeg_quality=Quality(min=75, max=95)
    )
    sample.generate(people, tmp_path)
    hashes, groups = [], []
    for source in sample.SOURCES:
        with zipfile.ZipFile(tmp_path / f"{source}.zip") as archive:
            for name in archive.namelist():
                hashes.append(hash_of(archive.read(name)))
                groups.append(name.split("/")[0])
    assert len(set(groups)) == 40 and "" not in hashes
    assert near_duplicates.find(rows(groups), pd.Series(hashes), MIRROR).empty
    # far from the threshold, and not because nothing ever is near: photographs of one person are
    numbers = [int(each, 16) for each in hashes]
    pairs = random.Random(0).sample(range(len(numbers)), 400)
    across = [distance(hashes[a], hashes[b]) for a in pairs for b in pairs if groups[a] < groups[b]]
    assert min(across) > 60
    assert len(near_duplicates.find(rows([str(n) for n in range(len(hashes))]), pd.Series(hashes), MIRROR)) > 200


# --- ingest and splits


def data_set(**more) -> DataSet:
    keys = {"title": "t", "modality": "image", "adapter": "sources", "group": "folder", "licence": "n", "obtain": "a"}
    return DataSet.model_validate(keys | {"sources": {"camera": "real", "made": "fake"}} | more)


@pytest.fixture
def raw(project):
    """12 people; 02 is 07 again, smaller and compressed; 04 is 07 as a mirror image; one file of 01 is one of 11."""
    folder = paths().raw("mine")
    folder.mkdir()
    for source in ("camera", "made"):
        with zipfile.ZipFile(folder / f"{source}.zip", "w") as archive:
            for person in range(12):
                image = photograph(person + 1, 1 if source == "camera" else 2)
                data = saved(image)
                if source == "camera" and person in (2, 4):
                    seven = photograph(8)
                    data = saved(resized(seven, 0.5) if person == 2 else mirrored(seven), quality=60)
                if source == "camera" and person == 11:
                    data = saved(photograph(2))
                archive.writestr(f"{person:02d}/a.jpg", data)
    return folder


def test_ingest_lists_them_beside_the_quarantine_and_says_how_many(raw):
    said = ingest.write("mine", data_set(), params.Ingest(max_quarantined=0.0), threads=2)
    assert "3 pairs of groups share a near-duplicate, which splits join with near_duplicates: join" in said
    listed = near_duplicates.read(paths().near_duplicates("mine"))
    near = listed.set_index(["group", "other_group"])
    assert near[["sample", "other", "mirrored"]].to_dict("index") == {
        ("02", "04"): {"sample": "camera/02/a.jpg", "other": "camera/04/a.jpg", "mirrored": "1"},
        ("02", "07"): {"sample": "camera/02/a.jpg", "other": "camera/07/a.jpg", "mirrored": "0"},
        ("04", "07"): {"sample": "camera/04/a.jpg", "other": "camera/07/a.jpg", "mirrored": "1"},
    }
    assert near["distance"].astype(int).between(1, near_duplicates.MAX_DISTANCE).all()
    assert [path.name for path in paths().near_duplicates("mine").parent.iterdir() if path.name.startswith(".")] == []


@pytest.mark.parametrize("what", ["report", "join"])
def test_splits_join_them_only_when_the_catalog_says_so(raw, what):
    entry = data_set(near_duplicates=what)
    said = ingest.write("mine", entry, params.Ingest(max_quarantined=0.0), threads=2)
    assert ("which splits join:" in said) == (what == "join")
    manifest = partition.write("mine", params.load(), catalog.load() | {"mine": entry})
    names = manifest.set_index("sample_id")["group"]
    joined = {"02", "04", "07"} if what == "join" else {"02"}
    assert {name for name in ("02", "04", "07") if names[f"made/{name}/a.jpg"] == "02"} == joined
    assert names["made/11/a.jpg"] == "01"  # bit for bit, in either case
    places = manifest.groupby("group")[["split", "fold"]].nunique()
    assert (places == 1).all(axis=None)
    tables.check(manifest, tables.MANIFEST, "here")


@pytest.mark.parametrize("content", ["", "sample,other\na,b\n"])
def test_a_list_that_was_changed_into_something_else_is_named(tmp_path, content):
    path = tmp_path / "near_duplicates.csv"
    path.write_text(content)
    with pytest.raises(InputError, match="its columns are not sample, other, group"):
        near_duplicates.read(path)
    with pytest.raises(InputError, match=r"gone.csv: not found; run deepfake ingest"):
        near_duplicates.read(tmp_path / "gone.csv")


def test_a_list_of_groups_that_no_sample_has_is_refused():
    pairs = pd.DataFrame({"group": ["a"], "other_group": ["z"]})
    with pytest.raises(InputError, match="run deepfake ingest again"):
        splits.joined_groups(rows(["a", "b"]), pairs)
    assert splits.joined_groups(rows(["a", "b"]), pairs.iloc[:0]).tolist() == ["a", "b"]
