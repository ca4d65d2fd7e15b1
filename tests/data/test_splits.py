import hashlib
import itertools
import math
from collections import defaultdict
from fractions import Fraction

import numpy as np
import pandas as pd
import pytest
from hypothesis import Phase, assume, given, settings
from hypothesis import strategies as st

from deepfake import tables
from deepfake.datasets import class_ratio, composition, splits
from deepfake.errors import InputError

PHASES = (Phase.explicit, Phase.reuse, Phase.generate)
"""No shrinking: an example takes milliseconds, so a failure would take minutes to become smaller."""
PLACES = ["group", "split", "fold", "folds", "fraction_rank"]


def table(groups: dict[str, dict[str, int]]) -> pd.DataFrame:
    """Make a table of samples from the number of samples of each source in each group."""
    rows = []
    for group, sources in groups.items():
        for source, count in sources.items():
            for number in range(count):
                name = f"{source}/{group}/{number}"
                rows.append(
                    {
                        "sample_id": name,
                        "clip_id": name,
                        "archive": f"{source}.zip",
                        "path": f"{group}/{number}.jpg",
                        "dataset": "test",
                        "modality": "image",
                        "label": int(source != "wiki"),
                        "source": source,
                        "group": group,
                        "bytes": 100,
                        "sha256": hashlib.sha256(name.encode()).hexdigest(),
                    }
                )
    return pd.DataFrame(rows)


def even(groups: int, **sources: int) -> pd.DataFrame:
    return table({f"g{i:02}": sources or {"wiki": 2, "insight": 2} for i in range(groups)})


def by_sample(manifest: pd.DataFrame) -> pd.DataFrame:
    return manifest.set_index("sample_id")[PLACES].sort_index()


def joined(samples: pd.DataFrame) -> dict[str, frozenset[str]]:
    """Return for each group all groups that it shares files with, over any number of steps (flood fill)."""
    holders = samples.groupby("sha256")["group"].agg(set)
    neighbours = defaultdict(set)
    for groups in holders:
        for a in groups:
            neighbours[a] |= groups
    found: dict[str, frozenset[str]] = {}
    for start in neighbours:
        reached, border = {start}, [start]
        while border:
            new = neighbours[border.pop()] - reached
            reached |= new
            border += new
        found[start] = frozenset(reached)
    return found


@st.composite
def structures(draw, complete: bool):
    """Draw samples in groups of unequal size; some files stand in more than one group.

    Complete: every group has samples of every source, as in DeepFakeFace.
    """
    least = 1 if complete else 0
    sources = draw(st.sampled_from([("wiki", "insight"), ("wiki", "insight", "text2img")]))
    counts = st.integers(least, 3) | st.integers(least, 12)
    contents = draw(st.lists(st.fixed_dictionaries(dict.fromkeys(sources, counts)), min_size=5, max_size=16))
    samples = table({f"g{i}": content for i, content in enumerate(contents)})
    assume(len(samples))
    rows = st.integers(0, len(samples) - 1)
    for a, b in draw(st.lists(st.tuples(rows, rows), max_size=4)):
        samples.loc[b, "sha256"] = samples.loc[a, "sha256"]
    order = draw(st.randoms(use_true_random=False)).sample(range(len(samples)), len(samples))
    return samples.iloc[order].reset_index(drop=True)


def check_split(samples: pd.DataFrame, manifest: pd.DataFrame, folds: int, test_ratio: float) -> None:
    tables.check(manifest, tables.MANIFEST, "here")
    # every sample once, with all that it was
    assert manifest["sample_id"].tolist() == samples["sample_id"].tolist()
    kept = [column for column in samples.columns if column != "group"]
    pd.testing.assert_frame_equal(manifest[kept], samples[kept])
    # one place for all that hangs together
    assert set(manifest["fold"]) == {tables.TEST_FOLD, *range(folds)}
    assert ((manifest["split"] == "test") == (manifest["fold"] == tables.TEST_FOLD)).all()
    whole = samples["group"].map(joined(samples))
    assert (manifest.groupby(whole)[["split", "fold", "folds", "group", "fraction_rank"]].nunique() == 1).all(axis=None)
    assert (manifest.groupby("group")["sha256"].nunique().sum()) == manifest["sha256"].nunique()
    # both classes everywhere
    assert (manifest.groupby("fold")["label"].nunique() == 2).all()
    # as many test groups as asked for
    count = whole.nunique()
    test_count = whole[manifest["split"] == "test"].nunique()
    assert test_count == 1 or abs(test_count - test_ratio * count) <= 0.5
    assert manifest["fraction_rank"].between(0, 1, inclusive="left").all()


@settings(max_examples=60, deadline=None, phases=PHASES)
@given(structures(complete=True), st.integers(2, 5), st.sampled_from([0.1, 0.2, 0.3]), st.integers(0, 2**32 - 1))
def test_complete_groups_are_split_whenever_there_are_enough(samples, folds, test_ratio, seed):
    count = len(set(joined(samples).values()))
    enough = count - max(1, round(test_ratio * count)) > folds
    if not enough:
        with pytest.raises(InputError, match="fewer folds or more groups"):
            splits.split(samples, folds=folds, test_ratio=test_ratio, seed=seed)
        return
    check_split(samples, splits.split(samples, folds=folds, test_ratio=test_ratio, seed=seed), folds, test_ratio)


@settings(max_examples=60, deadline=None, phases=PHASES)
@given(structures(complete=False), st.integers(2, 4), st.integers(0, 1000))
def test_any_groups_are_split_well_or_not_at_all(samples, folds, seed):
    try:
        manifest = splits.split(samples, folds=folds, test_ratio=0.1, seed=seed)
    except InputError:
        return
    check_split(samples, manifest, folds, 0.1)


@settings(max_examples=30, deadline=None, phases=PHASES)
@given(structures(complete=True), st.randoms(use_true_random=False))
def test_neither_the_order_nor_the_index_of_the_rows_changes_a_split(samples, random):
    shuffled = samples.iloc[random.sample(range(len(samples)), len(samples))]  # keeps its shuffled index
    try:
        manifest = splits.split(samples, folds=2, test_ratio=0.1, seed=42)
        part = splits.subsets(manifest, 0, fraction=1.0, val_ratio=0.2, seed=42)
    except InputError:
        assume(False)
    other = splits.split(shuffled, folds=2, test_ratio=0.1, seed=42)
    other_part = splits.subsets(other, 0, fraction=1.0, val_ratio=0.2, seed=42)
    pd.testing.assert_frame_equal(by_sample(manifest), by_sample(other))
    pd.testing.assert_series_equal(part.sort_index(), other_part.sort_index())


def test_groups_that_share_files_are_joined_over_several_steps():
    samples = even(12).set_index("sample_id")
    for a, b in [("g01", "g07"), ("g07", "g04"), ("g11", "g02")]:
        # another file of g07 each time: no hash stands in all three groups
        samples.loc[f"wiki/{b}/0", "sha256"] = samples.loc[f"insight/{a}/1", "sha256"]
    manifest = splits.split(samples.reset_index(), folds=3, test_ratio=0.1, seed=1).set_index("sample_id")
    group = manifest["group"]
    assert group["wiki/g01/0"] == group["wiki/g07/1"] == group["insight/g04/0"] == "g01"
    assert group["wiki/g11/0"] == group["wiki/g02/0"] == "g02"
    assert group.nunique() == 9


def test_a_seed_gives_one_split_and_another_seed_another():
    samples = even(30)
    first, again, other = (by_sample(splits.split(samples, folds=4, test_ratio=0.2, seed=s)) for s in (42, 42, 43))
    pd.testing.assert_frame_equal(first, again)
    for column in ("split", "fold", "fraction_rank"):
        assert (first[column] != other[column]).any()


def test_the_test_set_does_not_depend_on_the_number_of_folds():
    samples = even(30)
    three, five = (by_sample(splits.split(samples, folds=k, test_ratio=0.1, seed=42)) for k in (3, 5))
    assert (three["split"] == five["split"]).all()


@pytest.mark.parametrize("seed", range(10))
def test_groups_of_each_composition_come_to_the_test_set_in_their_share(seed):
    samples = pd.concat(
        [
            table({f"a{i}": {"wiki": 1, "insight": 1} for i in range(30)}),
            table({f"b{i}": {"wiki": 1, "text2img": 1} for i in range(10)}),
        ],
        ignore_index=True,
    )
    manifest = splits.split(samples, folds=4, test_ratio=0.2, seed=seed)
    in_test = manifest[manifest["split"] == "test"].groupby("source")["group"].nunique()
    assert in_test["wiki"] == 8
    assert 5 <= in_test["insight"] <= 7
    assert 1 <= in_test["text2img"] <= 3


@pytest.mark.parametrize("seed", range(5))
def test_each_fold_gets_its_share_of_each_source(seed):
    samples = even(44, wiki=3, insight=2, text2img=1)
    manifest = splits.split(samples, folds=4, test_ratio=0.1, seed=seed)
    shares = manifest[manifest["split"] == "dev"].groupby(["source", "fold"]).size().unstack()
    assert (shares.eq(shares.mean(axis=1), axis=0)).all(axis=None)


# --- too little


@pytest.mark.parametrize(("groups", "folds"), [(1, 2), (2, 2), (3, 3), (5, 5)])
def test_too_few_groups_are_an_error(groups, folds):
    with pytest.raises(InputError, match="fewer folds or more groups"):
        splits.split(even(groups), folds=folds, test_ratio=0.1, seed=42)


@pytest.mark.parametrize("seed", range(12))
def test_a_source_that_cannot_be_in_every_fold_is_an_error_for_every_seed(seed):
    # also when the only group of the source becomes a test group: its model would never have seen it
    samples = pd.concat([even(10), table({"g00": {"text2img": 2}})], ignore_index=True)
    with pytest.raises(InputError, match="source text2img"):
        splits.split(samples, folds=3, test_ratio=0.3, seed=seed)


def test_a_test_set_of_one_class_is_an_error():
    samples = table({f"{s}{i}": {s: 3} for s in ("wiki", "insight") for i in range(5)})
    with pytest.raises(InputError, match=r"the test set has no (real|fake) sample"):
        splits.split(samples, folds=3, test_ratio=0.1, seed=42)


# --- verify


@pytest.fixture
def manifest() -> pd.DataFrame:
    return splits.split(even(20, wiki=2, insight=1, text2img=1), folds=4, test_ratio=0.1, seed=42)


def test_a_good_manifest_passes(manifest):
    splits.verify(manifest)


@pytest.mark.parametrize("other", ["another fold", "the test set"])
def test_a_group_on_two_sides_is_named(manifest, other):
    row = manifest.index[manifest["fold"] == 0][0]
    if other == "the test set":
        manifest.loc[row, ["split", "fold"]] = ["test", tables.TEST_FOLD]
    else:
        manifest.loc[row, "fold"] = 1
    with pytest.raises(InputError, match=f"group {manifest.loc[row, 'group']} stands in more than one"):
        splits.verify(manifest)


@pytest.mark.parametrize(("fold", "where"), [(2, "fold 2"), (tables.TEST_FOLD, "the test set")])
@pytest.mark.parametrize(("label", "name"), [(tables.REAL, "real"), (tables.FAKE, "fake")])
def test_a_part_without_a_class_is_named(manifest, fold, where, label, name):
    without = manifest[(manifest["fold"] != fold) | (manifest["label"] != label)]
    with pytest.raises(InputError, match=f"{where} has no {name} sample"):
        splits.verify(without)


def clips(manifest: pd.DataFrame, rows: list[int]) -> pd.DataFrame:
    """Make one clip of some samples."""
    return manifest.assign(clip_id=manifest["clip_id"].where(~manifest.index.isin(rows), "the clip"))


def test_samples_of_one_clip_share_label_and_group(manifest):
    """A group here has two real samples and two fake ones."""
    real, twin, fake, _ = manifest.index[manifest["group"] == manifest["group"].iloc[0]]
    splits.verify(clips(manifest, [real, twin]))
    with pytest.raises(InputError, match="clip the clip has both real and fake samples"):
        splits.verify(clips(manifest, [real, fake]))
    same_label = manifest["label"] == manifest.loc[real, "label"]
    stranger = manifest.index[(manifest["group"] != manifest.loc[real, "group"]) & same_label][0]
    with pytest.raises(InputError, match="clip the clip has samples of several groups"):
        splits.verify(clips(manifest, [real, stranger]))


def test_a_clip_of_two_labels_is_not_split():
    samples = even(20)
    rows = samples.index[samples["group"] == "g00"].tolist()
    with pytest.raises(InputError, match="clip the clip has both real and fake samples"):
        splits.split(clips(samples, rows), folds=4, test_ratio=0.1, seed=42)


# --- subsets


@settings(max_examples=50, deadline=None, phases=PHASES)
@given(
    structures(complete=True),
    st.integers(2, 4),
    st.sampled_from([0.2, 0.5, 0.75, 1.0]),
    st.sampled_from([0.1, 0.25]),
    st.integers(0, 1000),
)
def test_the_parts_of_a_fold_share_no_group(samples, folds, fraction, val_ratio, seed):
    try:
        manifest = splits.split(samples, folds=folds, test_ratio=0.1, seed=seed)
        parts = [
            splits.subsets(manifest, fold, fraction=fraction, val_ratio=val_ratio, seed=seed) for fold in range(folds)
        ]
    except InputError:
        return
    for fold, part in enumerate(parts):
        rows = manifest.loc[part.index].assign(part=part)
        assert set(part) == set(tables.SUBSETS)
        groups = rows.groupby("part")["group"].agg(set)
        hashes = rows.groupby("part")["sha256"].agg(set)
        for a, b in itertools.combinations(tables.SUBSETS, 2):
            assert not groups[a] & groups[b]
            assert not hashes[a] & hashes[b]
        held_out = manifest["fold"] == fold  # whole, whatever the fraction; and nobody sees the test set
        used = manifest[(manifest["split"] == "dev") & (held_out | (manifest["fraction_rank"] < fraction))]
        assert set(part.index) == set(used.index)
        assert set(part.index[part == "held_out"]) == set(manifest.index[held_out])
        training = len(groups["train"]) + len(groups["validation"])
        assert len(groups["validation"]) == max(1, round(val_ratio * training))
        assert (rows.groupby("part")["label"].nunique().loc[["train", "validation"]] == 2).all()


def used_groups(manifest: pd.DataFrame, fraction: float) -> dict[int, set[str]]:
    """Return the groups that are trained or validated on whichever other fold is held out, by the fold they lie in."""
    found: dict[int, set[str]] = {}
    for fold in range(4):
        part = splits.subsets(manifest, fold, fraction=fraction, val_ratio=0.1, seed=42)
        used = manifest.loc[part.index[part != "held_out"]]
        for place, groups in used.groupby("fold")["group"].agg(set).items():
            assert found.setdefault(place, groups) == groups  # the same groups, whichever fold is held out
    return found


@pytest.mark.parametrize("groups", [40, 47, 61])
def test_a_smaller_fraction_lies_inside_a_larger_one(groups):
    manifest = splits.split(even(groups, wiki=2, insight=1, text2img=1), folds=4, test_ratio=0.1, seed=42)
    all_groups = manifest[manifest["split"] == "dev"].groupby("fold")["group"].agg(set)
    smaller: dict[int, set[str]] = {}
    for fraction in ("0.2", "0.5", "1.0"):
        used = used_groups(manifest, float(fraction))
        for fold, members in used.items():
            assert smaller.get(fold, set()) < members
            assert len(members) == math.ceil(Fraction(fraction) * len(all_groups[fold]))
        smaller = used
    assert smaller == all_groups.to_dict()


def test_a_fraction_is_stratified():
    samples = pd.concat(
        [
            table({f"a{i}": {"wiki": 1, "insight": 1} for i in range(60)}),
            table({f"b{i}": {"wiki": 1, "text2img": 1} for i in range(30)}),
        ],
        ignore_index=True,
    )
    manifest = splits.split(samples, folds=3, test_ratio=0.1, seed=42)
    share = manifest[manifest["split"] == "dev"].groupby(["fold", "source"])["fraction_rank"]
    for fraction in (0.2, 0.5, 0.8):
        used = share.agg(lambda rank, fraction=fraction: (rank < fraction).mean())
        sizes = share.size()
        assert ((used - fraction).abs() * sizes <= 2).all()


def test_the_inner_validation_follows_the_seed(manifest):
    def validation(seed, fold=0):
        part = splits.subsets(manifest, fold, fraction=1.0, val_ratio=0.2, seed=seed)
        return set(part.index[part == "validation"])

    assert validation(42) == validation(42)
    assert len({frozenset(validation(seed)) for seed in range(10)}) > 5
    held_out = set(manifest.index[manifest["fold"] == 0])
    assert all(not validation(seed) & held_out for seed in range(10))


def test_every_fold_has_an_inner_validation_of_its_own(manifest):
    found = []
    for fold in range(4):
        part = splits.subsets(manifest, fold, fraction=1.0, val_ratio=0.3, seed=42)
        found.append(frozenset(manifest.loc[part.index[part == "validation"], "group"]))
    assert len(set(found)) == 4


def test_the_parts_are_indexed_like_the_manifest(manifest):
    moved = manifest.set_index(pd.Index(np.arange(len(manifest)) * 3 + 7))
    part = splits.subsets(moved, 1, fraction=0.5, val_ratio=0.2, seed=42)
    plain = splits.subsets(manifest, 1, fraction=0.5, val_ratio=0.2, seed=42)
    assert set(part.index) <= set(moved.index)
    assert part.tolist() == plain.tolist()


def test_the_composition_of_folds_is_that_of_a_pivot_table():
    samples = pd.concat([even(12), table({f"h{i}": {"wiki": 1, "text2img": 3} for i in range(9)})], ignore_index=True)
    manifest = splits.split(samples, folds=3, test_ratio=0.2, seed=1, repeats=2)
    found = composition.count(manifest)
    assert found.columns.tolist() == ["fold 0", "fold 1", "fold 2", "test set", "all"]
    assert found.index.tolist() == ["groups", "reals", "fakes", "wiki", "insight", "text2img"]
    part = manifest["fold"].map({0: "fold 0", 1: "fold 1", 2: "fold 2", -1: "test set"})
    pivot = manifest.assign(part=part).pivot_table(
        index="source",
        columns="part",
        values="sample_id",
        aggfunc="count",
        fill_value=0,
        margins=True,
        margins_name="all",
    )
    sources = ["wiki", "insight", "text2img"]
    assert found.loc[sources].to_numpy().tolist() == pivot.loc[sources, found.columns].to_numpy().tolist()
    assert found.loc["reals"].tolist() == pivot.loc["wiki", found.columns].tolist()
    assert found.loc["fakes"].tolist() == pivot.loc[["insight", "text2img"], found.columns].sum().tolist()
    assert found.loc["groups"].tolist() == [*manifest.groupby(part)["group"].nunique()[found.columns[:-1]], 21]


def test_a_fold_without_a_source_shows_a_zero():
    manifest = splits.split(even(12), folds=3, test_ratio=0.2, seed=1)
    manifest.loc[manifest["fold"] == 1, "source"] = "other"
    assert composition.count(manifest).loc[["insight", "wiki"], "fold 1"].tolist() == [0, 0]


def test_too_few_training_groups_for_an_inner_validation_are_an_error():
    manifest = splits.split(even(5), folds=2, test_ratio=0.1, seed=42)
    with pytest.raises(InputError, match=r"fold 0: its (train|validation) part of 1 training groups"):
        splits.subsets(manifest, 0, fraction=0.2, val_ratio=0.1, seed=42)


# --- repeats


@pytest.fixture
def repeated() -> pd.DataFrame:
    """A manifest of three repeats of four folds; groups of two compositions."""
    return splits.split(two_compositions(), folds=4, repeats=3, test_ratio=0.1, seed=42)


def two_compositions() -> pd.DataFrame:
    return table(
        {f"a{i:02}": {"wiki": 2, "insight": 1} for i in range(28)}
        | {f"b{i:02}": {"wiki": 2, "text2img": 1} for i in range(16)}
    )


def held_out(manifest: pd.DataFrame, fold: int, **options) -> pd.Index:
    part = splits.subsets(manifest, fold, **{"fraction": 1.0, "val_ratio": 0.2, "seed": 42} | options)
    return part.index[part == "held_out"]


def test_every_repeat_holds_out_every_development_group_once(repeated):
    development = repeated[repeated["split"] == "dev"]
    assert splits.shape(repeated) == (4, 3)
    for repeat in range(3):
        parts = [held_out(repeated, repeat * 4 + fold) for fold in range(4)]
        assert sorted(itertools.chain(*parts)) == sorted(development.index)
        groups = [set(repeated.loc[part, "group"]) for part in parts]
        assert sum(map(len, groups)) == development["group"].nunique()  # whole groups


def test_every_repeat_is_stratified(repeated):
    numbered = splits.numbered_folds(repeated)
    for column in numbered.T:
        sizes = repeated.groupby([column, "source"])["group"].nunique().unstack().drop(index=tables.TEST_FOLD)
        for source in ("insight", "text2img"):
            assert sizes[source].max() - sizes[source].min() <= 1, sizes


def test_the_first_repeat_is_the_study_without_repeats(repeated):
    once = splits.split(two_compositions(), folds=4, test_ratio=0.1, seed=42)
    pd.testing.assert_frame_equal(repeated.drop(columns="folds"), once.drop(columns="folds"))
    assert (once["folds"] == once["fold"].astype(str)).all()
    for fold in range(4):
        options = {"fraction": 0.5, "val_ratio": 0.2, "seed": 42}
        pd.testing.assert_series_equal(splits.subsets(once, fold, **options), splits.subsets(repeated, fold, **options))


def test_folds_are_numbered_on_through_all_repeats(repeated):
    numbered = splits.numbered_folds(repeated)
    development = (repeated["split"] == "dev").to_numpy()
    assert (numbered[~development] == tables.TEST_FOLD).all()
    assert (numbered[development] // 4 == [0, 1, 2]).all()
    assert (numbered[development, 0] == repeated.loc[development, "fold"]).all()
    written = repeated["folds"].str.split().map(lambda words: [int(word) for word in words])
    assert [row.tolist() for row in numbered[development]] == written[development].tolist()


def test_no_two_repeats_part_the_groups_alike(repeated):
    partitions = [
        {frozenset(repeated.loc[held_out(repeated, repeat * 4 + fold), "group"]) for fold in range(4)}
        for repeat in range(3)
    ]
    for first, second in itertools.combinations(partitions, 2):
        assert not first & second


@pytest.mark.parametrize("fold", range(12))
def test_a_fold_of_any_repeat_is_judged_on_the_same_samples_whatever_the_share(repeated, fold):
    sizes = []
    for fraction in (0.3, 0.6, 1.0):
        part = splits.subsets(repeated, fold, fraction=fraction, val_ratio=0.2, seed=42)
        assert part.index[part == "held_out"].equals(held_out(repeated, fold))
        groups = {name: set(repeated.loc[rows.index, "group"]) for name, rows in part.groupby(part)}
        assert not groups["held_out"] & (groups["train"] | groups["validation"])
        assert not groups["train"] & groups["validation"]
        sizes.append(groups["train"] | groups["validation"])
    assert sizes[0] < sizes[1] < sizes[2]  # nested
    everything = set(repeated.loc[repeated["split"] == "dev", "group"])
    assert sizes[2] | set(repeated.loc[held_out(repeated, fold), "group"]) == everything
    for fraction, used in zip((0.3, 0.6), sizes, strict=False):
        # ranks were given fold by fold of the first repeat: a group or so more or less from each
        assert abs(len(used) - fraction * len(sizes[2])) <= 4


def test_shares_are_judged_on_the_same_samples_at_any_ratio_of_the_classes():
    manifest = splits.split(even(40, wiki=6, insight=6), folds=4, repeats=2, test_ratio=0.1, seed=42)
    for fold in range(8):
        parts = [held_out(manifest, fold, fraction=fraction, class_ratio=4.0) for fraction in (0.3, 0.7, 1.0)]
        assert parts[0].equals(parts[1]) and parts[1].equals(parts[2])


def test_a_repeat_of_which_a_fold_lacks_a_class_is_named(repeated):
    numbered = splits.numbered_folds(repeated)
    without = repeated[(numbered[:, 2] != 9) | (repeated["label"] != tables.FAKE).to_numpy()]
    with pytest.raises(InputError, match="fold 9 has no fake sample"):
        splits.verify(without)


def test_a_group_that_a_repeat_parts_is_named(repeated):
    row = repeated.index[repeated["split"] == "dev"][0]
    first, second, third = repeated.loc[row, "folds"].split()
    repeated.loc[row, "folds"] = f"{first} {second} {8 + (int(third) - 7) % 4}"
    with pytest.raises(InputError, match=f"group {repeated.loc[row, 'group']} stands in more than one split or fold"):
        splits.verify(repeated)


# --- holdout


@pytest.mark.parametrize("holdout", ["insight", "text2img"])
@pytest.mark.parametrize("fold", range(4))
@pytest.mark.parametrize("fraction", [0.6, 1.0])
def test_a_holdout_is_neither_trained_nor_validated_on_and_changes_nothing_else(manifest, holdout, fold, fraction):
    options = {"fraction": fraction, "val_ratio": 0.2, "seed": 42}
    whole = splits.subsets(manifest, fold, **options)
    parts = splits.subsets(manifest, fold, **options, holdout=holdout)
    gone = [
        row for row in whole.index if manifest.loc[row, "source"] == holdout and whole[row] in ("train", "validation")
    ]
    assert {whole[row] for row in gone} == {"train", "validation"}
    pd.testing.assert_series_equal(parts, whole.drop(gone))
    groups = [manifest.loc[each.index[each == "validation"], "group"].unique().tolist() for each in (whole, parts)]
    assert groups[0] == groups[1]
    assert holdout in set(manifest.loc[parts.index[parts == "held_out"], "source"])


def test_a_holdout_that_leaves_a_part_without_fakes_is_an_error():
    # text2img, all that is left to train on, is in three of 23 groups: no group of the inner validation has it
    samples = table(
        {f"a{i:02}": {"wiki": 1, "insight": 1} for i in range(20)}
        | {f"b{i}": {"wiki": 1, "text2img": 1} for i in range(3)}
    )
    manifest = splits.split(samples, folds=2, test_ratio=0.05, seed=1)
    options = {"fraction": 1.0, "val_ratio": 0.05, "seed": 1}
    for fold in range(2):
        splits.subsets(manifest, fold, **options)
        message = rf"fold {fold}: its validation part of \d+ training groups without insight lacks a class; use"
        with pytest.raises(InputError, match=message):
            splits.subsets(manifest, fold, **options, holdout="insight")


@pytest.mark.parametrize(
    ("holdout", "message"),
    [
        ("insigth", "holdout: unknown source 'insigth'; did you mean insight"),
        ("wiki", "holdout: wiki is a source of real samples; name a fake one: insight, text2img"),
    ],
)
def test_a_holdout_that_is_no_fake_source_is_refused(manifest, holdout, message):
    with pytest.raises(InputError, match=message):
        splits.check_holdout(manifest, holdout)


def test_the_only_fake_source_is_refused_as_a_holdout():
    with pytest.raises(InputError, match="insight is the only fake source; a holdout needs another one to train on"):
        splits.check_holdout(even(6), "insight")


def test_a_fake_source_beside_another_can_be_held_out(manifest):
    splits.check_holdout(manifest, "insight")


# --- the ratio of the classes


def kept(manifest: pd.DataFrame, ratio: float, seed: int = 42) -> pd.DataFrame:
    return manifest[class_ratio.subsampled(manifest, manifest.index, ratio, seed)]


def fakes_per_real(rows: pd.DataFrame) -> float:
    return (rows["label"] == 1).sum() / (rows["label"] == 0).sum()


@pytest.fixture
def large() -> pd.DataFrame:
    return splits.split(even(40, wiki=6, insight=6, text2img=6), folds=4, test_ratio=0.1, seed=42)


@pytest.mark.parametrize("ratio", [0.5, 1.0, 2.0, 3.0, 6.0, 9.0])
def test_a_ratio_is_met_in_every_fold(large, ratio):
    for _, rows in kept(large, ratio).groupby("fold"):
        reals, fakes = (rows["label"] == 0).sum(), (rows["label"] == 1).sum()
        assert abs(fakes - ratio * reals) <= max(1, ratio) + 1  # one sample more or less
        sources = rows["source"].value_counts()
        assert abs(sources["insight"] - sources["text2img"]) <= 1


def in_frames(manifest: pd.DataFrame, seed: int = 3) -> pd.DataFrame:
    """Make a clip of one to five frames of each sample."""
    frames = manifest.loc[manifest.index.repeat(np.random.default_rng(seed).integers(1, 6, len(manifest)))]
    frames = frames.reset_index(drop=True)
    place = frames.groupby("clip_id").cumcount().astype(str)
    return frames.assign(sample_id=frames["clip_id"] + "#" + place)


@pytest.mark.parametrize("ratio", [0.5, 2.0, 9.0])
def test_whole_clips_are_thinned_until_they_are_in_the_ratio(large, ratio):
    frames = in_frames(large)
    rows = frames[class_ratio.subsampled(frames, frames.index, ratio, 42)]
    # the clips that stay are those that stay of one sample each, and all of their frames do
    assert rows["clip_id"].drop_duplicates().tolist() == kept(large, ratio)["clip_id"].tolist()
    assert rows["clip_id"].value_counts().to_dict() == {
        clip: count for clip, count in frames["clip_id"].value_counts().items() if clip in set(rows["clip_id"])
    }
    assert fakes_per_real(rows.drop_duplicates("clip_id")) == pytest.approx(ratio, rel=0.1)


def test_the_parts_of_a_fold_have_the_ratio_in_clips(large):
    frames = in_frames(large)
    options = {"fraction": 0.7, "val_ratio": 0.2, "seed": 42, "class_ratio": 2.0}
    parts = splits.subsets(frames, 1, **options)
    of_clips = splits.subsets(large, 1, **options)
    clip_of = (
        frames.loc[parts.index].assign(part=parts).groupby("clip_id", sort=False)["part"].agg(["first", "nunique"])
    )
    assert (clip_of["nunique"] == 1).all()
    assert clip_of["first"].to_dict() == dict(zip(large.loc[of_clips.index, "clip_id"], of_clips, strict=True))


@pytest.mark.parametrize("groups", ["many samples", "one sample"])
def test_what_stays_at_one_ratio_stays_at_any_that_takes_less_away(groups, large):
    manifest = large
    if groups == "one sample":
        manifest = splits.split(even(60, wiki=1, insight=1, text2img=1), folds=4, test_ratio=0.1, seed=42)
    nested = [set(kept(manifest, ratio)["sample_id"]) for ratio in (12.0, 9.0, 5.0, 3.0, 2.0)]
    for smaller, larger in itertools.pairwise(nested):
        assert smaller < larger
    assert nested[-1] == set(manifest["sample_id"])
    below = [set(kept(manifest, ratio)["sample_id"]) for ratio in (0.2, 0.5, 1.0, 2.0)]
    for smaller, larger in itertools.pairwise(below):
        assert smaller < larger


def test_samples_go_evenly_from_all_groups(large):
    """Two in six reals stay, two in every group; of groups of one sample each, whole groups stay."""
    reals = kept(large, 6.0).query("label == 0")
    counts = reals.groupby("group").size()
    assert len(counts) == large["group"].nunique()
    assert counts.between(1, 3).all()
    single = splits.split(even(60, wiki=1, insight=1, text2img=1), folds=4, test_ratio=0.1, seed=42)
    assert kept(single, 6.0).query("label == 0")["group"].is_unique


def test_large_groups_and_small_ones_keep_the_same_share():
    sizes = {f"l{i:02}": {"wiki": 20, "insight": 20, "text2img": 20} for i in range(30)}
    sizes |= {f"s{i:03}": {"wiki": 1, "insight": 1, "text2img": 1} for i in range(300)}
    manifest = splits.split(table(sizes), folds=4, test_ratio=0.1, seed=42)
    shares = []
    for seed in range(20):
        stays = kept(manifest, 40.0, seed).query("label == 0")["group"].str[0].value_counts()
        shares.append([stays.get("l", 0) / 600, stays.get("s", 0) / 300])
    # one in twenty; the standard error of the second is about .003
    assert np.mean(shares, axis=0) == pytest.approx([0.05, 0.05], abs=0.012)


@pytest.mark.parametrize(("ratio", "fakes"), [(2.1, 210), (1.9, 190), (1.0, 100)])
def test_many_small_sources_keep_the_ratio(ratio, fakes):
    """Twenty generators of a few fakes each: rounding one by one would keep all of them or none."""
    groups = {
        f"g{i:02}": {"wiki": 1, **{f"f{j:02}": 1 for j in range(4 * (i % 5), 4 * (i % 5) + 4)}} for i in range(100)
    }
    manifest = splits.split(table(groups), folds=2, test_ratio=0.1, seed=42)
    found = kept(manifest, ratio)
    assert (found["label"] == 1).sum() == pytest.approx(fakes, abs=2)
    assert found["source"].nunique() == 21


def test_a_holdout_leaves_the_predicted_samples_as_they_are(large):
    options = {"fraction": 1.0, "val_ratio": 0.2, "seed": 42, "class_ratio": 9.0}
    plain, without = (splits.subsets(large, 0, **options, holdout=holdout) for holdout in (None, "insight"))
    assert set(plain.index[plain == "held_out"]) == set(without.index[without == "held_out"])
    trained = large.loc[without.index[without == "train"]]
    assert set(trained["source"]) == {"wiki", "text2img"}
    assert set(trained.index) < set(plain.index[plain == "train"])


def test_the_choice_follows_the_seed_and_not_the_fraction(large):
    first, again, other = (set(kept(large, 9.0, seed)["sample_id"]) for seed in (1, 1, 2))
    assert first == again != other
    half = large.index[large["fraction_rank"] < 0.5]
    chosen = set(large.loc[half[class_ratio.subsampled(large, half, 9.0, 42)], "sample_id"])
    everything = set(kept(large, 9.0)["sample_id"]) & set(large.loc[half, "sample_id"])
    # the ratio may need one more or less of a fold
    assert len(chosen ^ everything) <= 0.2 * len(everything)


@pytest.mark.parametrize("fold", range(4))
def test_a_ratio_changes_no_groups_of_a_part(large, fold):
    options = {"fraction": 1.0, "val_ratio": 0.2, "seed": 42}
    plain, thinned = (splits.subsets(large, fold, **options, class_ratio=ratio) for ratio in (None, 9.0))
    assert set(thinned.index) < set(plain.index)
    assert (plain[thinned.index] == thinned).all()
    for part in tables.SUBSETS:
        rows = large.loc[thinned.index[thinned == part]]
        assert 6 <= fakes_per_real(rows) <= 14
        assert set(rows["group"]) == set(large.loc[plain.index[plain == part], "group"])


@pytest.mark.parametrize(("ratio", "name"), [(1000.0, "real"), (0.001, "fake")])
def test_a_ratio_that_the_data_cannot_give_is_an_error(large, ratio, name):
    with pytest.raises(
        InputError, match=rf"balance\.ratio: .* no {name} sample in the train part of fold 0 \(\d+ in all\)"
    ):
        splits.subsets(large, 0, fraction=1.0, val_ratio=0.2, seed=42, class_ratio=ratio)


# --- a published split that is kept


def published(samples: pd.DataFrame, test: set[str]) -> pd.Series:
    """Say that some groups are the published test set, and the others its training and validation part."""
    part = samples["group"].map(lambda group: "test" if group in test else "val" if group.endswith("5") else "train")
    return part.astype("str")


def test_a_published_test_set_is_the_test_set_and_the_rest_is_cross_validated():
    samples = even(20)
    test = {f"g{i:02}" for i in (0, 3, 4, 7, 11, 12, 19)}
    manifest = splits.split(samples, folds=3, test_ratio=0.1, seed=1, published=published(samples, test))
    assert set(manifest.loc[manifest["split"] == "test", "group"]) == test
    development = manifest[manifest["split"] == "dev"]
    assert set(development["fold"]) == {0, 1, 2}
    assert {"g05", "g15"} <= set(development["group"])
    tables.check(manifest, tables.MANIFEST, "here")


def test_a_group_in_the_published_test_set_and_outside_it_is_an_error_that_counts_and_names():
    samples = even(20)
    part = published(samples, {"g00", "g01", "g02"})
    for group in ("g07", "g09"):
        part[samples.index[samples["group"] == group][0]] = "test"
    with pytest.raises(
        InputError, match=r"2 of 20 groups are in the published test set and outside it, as g07 \(.*g07.*, .*g07.*\); "
    ):
        splits.split(samples, folds=3, test_ratio=0.1, seed=1, published=part)


def test_a_file_that_is_copied_from_training_into_the_published_test_set_is_found():
    samples = even(20)
    a, b = (samples.index[samples["group"] == group][0] for group in ("g00", "g10"))
    samples.loc[b, "sha256"] = samples.loc[a, "sha256"]
    with pytest.raises(InputError, match=r"1 of 19 groups .* as g00 \(wiki/g00/0, wiki/g10/0\); .*copies of a file"):
        splits.split(samples, folds=3, test_ratio=0.1, seed=1, published=published(samples, {"g00", "g01", "g02"}))


def test_a_published_split_without_a_test_part_is_an_error():
    samples = even(20)
    with pytest.raises(
        InputError, match=r"but no sample is in it .with from_folders: in a folder test, .*run deepfake ingest again"
    ):
        splits.split(samples, folds=3, test_ratio=0.1, seed=1, published=published(samples, set()))
