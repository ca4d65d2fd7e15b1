"""Files that show several people: groups read from paths, and names that look as if there were such files."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deepfake.datasets import components, identities
from deepfake.datasets.catalog import DataSet
from deepfake.datasets.layouts.adapters import RawFile
from deepfake.errors import InputError

FFPP = r"(\d{3})(?:_(\d{3}))?"
CELEB = r"(id\d+)(?:_(id\d+))?_\d{4}"


def flood(people_of: list[set[str]]) -> list[str]:
    """Return the first person of all that hang together with each file, by looking at all files again and again."""
    found = []
    for people in people_of:
        reached = set(people)
        while any(reached & others and not others <= reached for others in people_of):
            for others in people_of:
                if reached & others:
                    reached |= others
        found.append(min(reached))
    return found


# --- groups


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(st.integers(0, 14), min_size=1, max_size=2), max_size=25))
def test_files_that_hang_together_over_any_number_of_steps_are_one_group(pairs):
    paths = [f"fake/x/{'_'.join(f'{one:03d}' for one in pair)}/{row:04d}.jpg" for row, pair in enumerate(pairs)]
    people = [{f"{one:03d}" for one in pair} for pair in pairs]
    assert identities.groups(paths, FFPP, "here") == flood(people)


@pytest.mark.parametrize(
    ("rule", "paths", "expected"),
    [
        (FFPP, ["real/y/c23/000/0004.jpg", "fake/D/c23/000_003/0000.jpg", "real/y/c23/003/0001.jpg"], ["000"] * 3),
        (FFPP, ["real/y/videos/001.mp4", "fake/D/videos/870_001.mp4", "real/y/videos/004.mp4"], ["001", "001", "004"]),
        (CELEB, ["real/id0_0000.mp4", "fake/id0_id16_0000.mp4", "real/id16_0003.mp4", "real/id1_0003.mp4"],
         ["id0", "id0", "id0", "id1"]),
        # frames with three digits, too: the rule says which folder is meant
        (rf"{FFPP}/\d+", ["real/y/000/012.png", "fake/D/000_003/007.png", "real/y/012/000.png"], ["000", "000", "012"]),
        (r"(\d{3})(?:_(\d{3}))?/[^/]+", ["real/y/000/012.png", "fake/D/000_003/007.png"], ["000", "000"]),
        # wherever it matches, it is the same person
        (FFPP, ["real/000/000.png", "fake/000_003/x.000_003.png"], ["000", "000"]),
    ],
)  # fmt: skip
def test_identities_are_read_from_whole_names_of_folders_and_files(rule, paths, expected):
    assert identities.groups(paths, rule, "here") == expected


def test_the_order_of_the_files_changes_no_group():
    paths = [f"fake/{a:03d}_{b:03d}.png" for a, b in np.random.default_rng(3).integers(0, 90, (60, 2))]
    forward, backward = (identities.groups(order, FFPP, "here") for order in (paths, paths[::-1]))
    assert forward == backward[::-1]


def test_files_that_the_rule_does_not_fit_are_counted_and_the_first_is_named():
    paths = ["real/000/1.png", "real/anna/1.png", "fake/000_003/1.png", "fake/0001/1.png"]
    with pytest.raises(
        InputError, match=r"here: .* matches no folder's or file's .* of 2 of 4 files, first real/anna/1\.png"
    ):
        identities.groups(paths, FFPP, "here")


def test_two_readings_of_a_path_are_asked_about():
    paths = ["real/000/a.png", "fake/D/000_003/012.png"]
    with pytest.raises(InputError, match=r"matches '000_003' and '012' in fake/D/000_003/012\.png; say group: folder"):
        identities.groups(paths, FFPP, "here")
    # the key says which
    assert identities.groups(paths, FFPP, "here", "folder") == ["000", "000"]
    with pytest.raises(InputError, match=r"no file's name without suffix of 1 of 2 files, first real/000/a\.png"):
        identities.groups(paths, FFPP, "here", "basename")
    assert identities.groups(["0/001.png", "002/001_3.png"], r"(\d+)(?:_(\d+))?", "here", "basename") == ["001", "001"]


def test_no_files_have_no_groups():
    assert identities.groups([], FFPP, "here") == []


def test_files_that_are_not_read_need_no_identity():
    files = [
        RawFile("real/000.png", "", "real/000.png", 1, "real", 0, "g", ""),
        RawFile("real/notes", "", "real/notes", 1, "real", 0, "g", "its name is not UTF-8"),
        RawFile("fake/003_000.png", "", "fake/003_000.png", 1, "fake", 1, "g", ""),
    ]
    assert [file.group for file in identities.bind(files, FFPP, "here")] == ["000", "g", "000"]


KEYS = {"title": "t", "modality": "image", "adapter": "folder", "licence": "n", "obtain": "o"}


def test_identities_stand_instead_of_a_group():
    assert DataSet.model_validate(KEYS | {"identities": FFPP}).identities == FFPP
    assert DataSet.model_validate(KEYS | {"identities": FFPP}).group == "file"
    assert DataSet.model_validate(KEYS | {"identities": FFPP, "group": "folder"}).group == "folder"
    with pytest.raises(ValueError, match="group"):
        DataSet.model_validate(KEYS)


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"identities": r"(\d{3}"}, "not a regular expression"),
        ({"identities": r"\d{3}"}, "reads nobody; put"),
        ({"identities": FFPP, "groups_of": "sample"}, "exclude each other"),
    ],
)
def test_a_rule_that_cannot_work_is_refused(keys, message):
    with pytest.raises(ValueError, match=message):
        DataSet.model_validate(KEYS | keys)


def test_many_files_of_one_person_take_memory_for_each_file_and_not_for_each_pair():
    count = 50_000
    first = components.leaders(np.arange(1, count), np.zeros(count - 1, int), count)
    assert not first.any()


# --- names of reals in names of fakes


def said(real: list[str], fake: list[str], rule: str = "file", groups: list[str] | None = None) -> str:
    paths = [f"real/{name}.jpg" for name in real] + [f"fake/{name}.jpg" for name in fake]
    of_path = {"file": lambda p: p, "basename": lambda p: p.split("/")[-1][:-4], "folder": lambda p: p.split("/")[-2]}
    labels = [0] * len(real) + [1] * len(fake)
    return identities.shared_names(
        zip(paths, groups or [of_path[rule](path) for path in paths], labels, strict=True), rule
    )


@pytest.mark.parametrize(
    ("real", "fake", "rule", "words"),
    [
        (["000", "003", "870"], ["000_003"], "file", ("1 of 1 ", "'000'", "'000_003'")),
        (["000"], ["000_003", "100_101"], "basename", ("1 of 2 ", "'000'", "'000_003'")),
        (["000/0001", "003/0001"], ["000_003/0001"], "folder", ("1 of 1 ", "'000'", "'000_003'")),
        (["000/0001", "003/0001"], ["000_003/0001"], "file", ("1 of 1 ", "'000'", "'000_003'")),
        (["c23/000/0001", "c23/003/0001"], ["c23/000_003/0001"], "basename", ("'000'", "'000_003'")),
        (["id0_0000", "id3_0001"], ["id0_id16_0000"], "file", ("'id0_0000'", "'id0_id16_0000'")),
        (["01__exit_room", "02__exit_room"], ["01_02__exit_room__HIW5HPEE"], "file", ("01__exit_room'", "HIW5")),
        (["ann_01", "bob_01"], ["ann_01_swapped"], "basename", ("'ann_01'", "'ann_01_swapped'")),
        (["7", "12"], ["12_7"], "file", ("'12'", "'12_7'")),
    ],
)
def test_names_of_reals_in_names_of_fakes_are_told_with_the_key_to_set(real, fake, rule, words):
    line = said(real, fake, rule)
    assert all(word in line for word in (*words, "identities: '"))
    assert "\n" not in line


@pytest.mark.parametrize(
    ("real", "fake", "rule"),
    [
        ([f"{i}" for i in range(20)], [f"{i}" for i in range(20)], "file"),  # plain counters
        ([f"{i}" for i in range(20)], [f"{i}" for i in range(20)], "basename"),
        ([f"{i:05d}" for i in range(20)], [f"fake_{i:05d}" for i in range(20)], "file"),
        ([f"{i}" for i in range(20)], [f"{i}_fake" for i in range(20)], "file"),
        ([f"real_{i}" for i in range(20)], [f"fake_{i}" for i in range(20)], "file"),
        ([f"{i:04d} (2)" for i in range(20)], [f"{i:04d} (3)" for i in range(20)], "file"),
        ([f"{i:05d}" for i in range(20)], [f"{i:03d}_sdv4_{i:05d}" for i in range(20)], "file"),
        (["n01440764_10026", "n01440764_10027"], ["004_biggan_00015", "0_adm_12"], "file"),
        ([f"s{i}/1" for i in range(20)], [f"s{i}/1" for i in range(20)], "folder"),  # as the sample
        ([f"0{i}/{i}_1900-01-0{i}_1990" for i in range(1, 9)], ["01/1_1900-01-01_1990"], "basename"),  # DeepFakeFace
        (["youtube/a", "youtube/b"], ["youtube_swapped/c"], "file"),  # folders of sources
        ([], ["000_003"], "file"),
        (["000"], [], "file"),
    ],
)  # fmt: skip
def test_other_names_are_no_alarm(real, fake, rule):
    assert said(real, fake, rule) == ""


def test_groups_that_hold_reals_and_fakes_are_no_alarm():
    assert said(["a/1", "b/1"], ["a/1_2", "b/1_2"], "folder") == ""


def test_groups_of_a_table_are_looked_at_by_the_names_that_it_gives():
    assert "'anna'" in said(["1", "2"], ["3"], groups=["anna", "bob", "anna-bob"])
    assert said(["1", "2"], ["3"], groups=[".", "/", "anna-bob"]) == ""


def test_a_hundred_thousand_names_of_many_words_are_searched():
    people = [f"{i:05d}" for i in range(50_000)]
    swaps = [f"p_{one}_q_r_s_t_{other}_z" for one, other in zip(people, people[1:] + people[:1], strict=True)]
    line = said([f"p_{name}_x_y" for name in people], swaps)
    assert line == ""
