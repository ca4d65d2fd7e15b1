"""Who must not be parted across data sets: manifests that follow another one's, and unions."""

import pandas as pd
import pytest
import yaml

from conftest import ROOT
from deepfake import tables
from deepfake.config import params
from deepfake.datasets import catalog, partition, shared_identities, splits
from deepfake.errors import InputError

KNOWN = catalog.load(ROOT / "data/catalog.yaml")


def samples(
    dataset: str, fake: str, *, groups: int = 12, photos: int = 3, archive: str = "{source}.zip"
) -> pd.DataFrame:
    rows = [
        {
            "sample_id": f"{source}/{group:02d}_{photo}",
            "clip_id": f"{source}/{group:02d}_{photo}",
            "archive": archive.format(source=source),
            "path": f"{source}/{group:02d}_{photo}.jpg",
            "dataset": dataset,
            "modality": "image",
            "label": label,
            "source": source,
            "group": f"{group:02d}",
            "bytes": 100,
            "sha256": f"{dataset}{source}{group}{photo}",
        }
        for source, label in (("camera", 0), (fake, 1))
        for group in range(groups)
        for photo in range(photos)
    ]
    return pd.DataFrame(rows)


HOME = samples("sample", "insight")
MANIFEST = splits.split(HOME, folds=3, test_ratio=0.1, seed=1)
AWAY = samples("sample_edited", "morph", photos=2)


def test_people_have_the_fold_that_they_have_in_the_data_set_they_come_from():
    found = shared_identities.follow(AWAY, HOME, MANIFEST)
    tables.check(found, tables.MANIFEST, "here")
    for column in ("split", "fold", "fraction_rank"):
        mine, theirs = (frame.groupby("group")[column].agg(["first", "nunique"]) for frame in (found, MANIFEST))
        pd.testing.assert_frame_equal(mine, theirs)
    # by itself it would be split otherwise
    alone = splits.split(AWAY, folds=3, test_ratio=0.1, seed=2)
    assert (alone["fold"].to_numpy() != found["fold"].to_numpy()).any()


def test_groups_that_share_a_file_at_home_stay_together_elsewhere():
    home = HOME.copy()
    home.loc[home["group"] == "01", "sha256"] = home.loc[home["group"] == "04", "sha256"].to_numpy()
    manifest = splits.split(home, folds=3, test_ratio=0.1, seed=1)
    found = shared_identities.follow(AWAY, home, manifest).set_index("sample_id")
    assert set(found.loc[["morph/01_0", "morph/04_0"], "group"]) == {"01"}
    assert found.loc[["morph/01_0", "morph/04_0"], "fold"].nunique() == 1


def test_a_group_that_is_unknown_at_home_is_named():
    away = AWAY.replace({"group": {"03": "stranger"}})
    with pytest.raises(InputError, match="group stranger is not a group of sample; mend or remove groups_of"):
        shared_identities.follow(away, HOME, MANIFEST)


def test_files_shared_by_groups_of_different_folds_are_named():
    fold_of = MANIFEST.groupby("group")["fold"].first()
    one = fold_of.index[fold_of == 0][0]
    other = fold_of.index[fold_of == 1][0]
    away = AWAY.copy()
    away.loc[away["group"] == one, "sha256"] = away.loc[away["group"] == other, "sha256"].to_numpy()
    with pytest.raises(
        InputError, match=r"is the same file, or nearly, as one of group .*, which stands in another fold of sample"
    ):
        shared_identities.follow(away, HOME, MANIFEST)


def test_groups_are_called_after_the_data_set_that_they_come_from():
    found = shared_identities.groups("sample_edited", shared_identities.follow(AWAY, HOME, MANIFEST), KNOWN)
    assert (
        set(found)
        == set(shared_identities.groups("sample", MANIFEST, KNOWN))
        == {f"sample/{group:02d}" for group in range(12)}
    )
    assert shared_identities.groups("dff", MANIFEST, KNOWN).iloc[0] == "dff/00"


@pytest.mark.parametrize("named", ["nothing", "sample_edited"])
def test_a_data_set_cannot_have_the_groups_of_one_without_its_own(named):
    wrong = KNOWN | {"dff": KNOWN["dff"].model_copy(update={"groups_of": named})}
    with pytest.raises(InputError, match=f"dff.groups_of: {named} is no data set with groups of its own"):
        shared_identities.origin("dff", wrong)


def test_a_published_split_of_people_whose_folds_are_known_is_refused(project):
    known = KNOWN | {
        "dff": KNOWN["dff"].model_copy(update={"splits": "from_folders"}),
        "sample": KNOWN["sample"].model_copy(update={"groups_of": "dff"}),
    }
    with pytest.raises(InputError, match=r"data set dff: splits keep .* test set, but sample shows the same people"):
        partition.write("dff", params.load(), known)


def test_a_union_has_every_sample_once_in_its_own_fold_under_its_data_set():
    away = shared_identities.follow(samples("sample_edited", "morph", archive=""), HOME, MANIFEST)
    found = shared_identities.union({"sample": MANIFEST, "sample_edited": away}, KNOWN)
    tables.check(found, tables.MANIFEST, "here")
    assert len(found) == len(MANIFEST) + len(away)
    assert found["fold"].tolist() == [*MANIFEST["fold"], *away["fold"]]
    packed, loose = found.iloc[0], found.iloc[-1]
    assert (packed["sample_id"], packed["archive"]) == ("sample/camera/00_0", "sample/camera.zip")
    assert packed["clip_id"] == "sample/camera/00_0"
    assert packed["path"] == MANIFEST["path"].iloc[0]
    assert (loose["archive"], loose["path"]) == ("", f"sample_edited/{away['path'].iloc[-1]}")
    assert found.groupby("group")["dataset"].nunique().eq(2).all()
    assert not found[found["fold"] == 0]["group"].isin(found[found["fold"] == 1]["group"]).any()


def test_data_sets_without_people_in_common_keep_their_groups_apart():
    away = splits.split(AWAY.assign(dataset="dff"), folds=3, test_ratio=0.1, seed=2)
    found = shared_identities.union({"sample": MANIFEST, "dff": away}, KNOWN)
    assert found["group"].nunique() == 24


def test_data_sets_of_different_folds_cannot_be_joined():
    away = splits.split(AWAY, folds=2, test_ratio=0.1, seed=2)
    with pytest.raises(
        InputError, match=r"different numbers of folds or repeats \(sample 3 x 1, sample_edited 2 x 1\)"
    ):
        shared_identities.union({"sample": MANIFEST, "sample_edited": away}, KNOWN)


def test_data_sets_of_different_repeats_cannot_be_joined():
    away = splits.split(AWAY, folds=3, repeats=2, test_ratio=0.1, seed=2)
    with pytest.raises(InputError, match=r"folds or repeats \(sample 3 x 1, sample_edited 3 x 2\)"):
        shared_identities.union({"sample": MANIFEST, "sample_edited": away}, KNOWN)


def test_people_have_their_folds_of_every_repeat():
    """Otherwise a detector of a later repeat would have seen at home whom it is asked about elsewhere."""
    repeated = splits.split(HOME, folds=3, repeats=2, test_ratio=0.1, seed=1)
    followed = shared_identities.follow(AWAY, HOME, repeated)
    mine, theirs = (frame.groupby("group")["folds"].agg(["first", "nunique"]) for frame in (followed, repeated))
    pd.testing.assert_frame_equal(mine, theirs)
    joined = shared_identities.union({"sample": repeated, "sample_edited": followed}, KNOWN)
    assert splits.shape(joined) == (3, 2)
    options = {"fraction": 1.0, "val_ratio": 0.2, "seed": 1}
    for fold in range(6):
        part = splits.subsets(joined, fold, **options)
        groups = joined.loc[part.index, "group"].groupby(part).agg(set)
        assert not groups["held_out"] & (groups["train"] | groups["validation"])


def test_a_file_shared_by_groups_that_only_a_later_repeat_parts_is_named():
    repeated = splits.split(HOME, folds=3, repeats=3, test_ratio=0.1, seed=1)
    places = repeated.groupby("group")[["fold", "folds"]].first().query("fold == 0")
    one, other = next(
        (a, b) for a in places.index for b in places.index if places.loc[a, "folds"] != places.loc[b, "folds"]
    )
    away = AWAY.copy()
    away.loc[away["group"] == one, "sha256"] = away.loc[away["group"] == other, "sha256"].to_numpy()
    with pytest.raises(InputError, match="which stands in another fold of sample"):
        shared_identities.follow(away, HOME, repeated)


def test_a_file_in_two_groups_of_a_union_is_named():
    away = splits.split(AWAY.assign(dataset="dff"), folds=3, test_ratio=0.1, seed=2)
    theirs = away.index[away["fold"] == 1][0]
    away.loc[theirs, "sha256"] = MANIFEST.loc[MANIFEST["fold"] == 0, "sha256"].iloc[0]
    with pytest.raises(InputError, match="are the same file in different groups"):
        shared_identities.union({"sample": MANIFEST, "dff": away}, KNOWN)


def test_every_data_set_of_the_catalog_has_an_origin():
    entries = yaml.safe_load((ROOT / "data/catalog.yaml").read_text("utf-8"))
    found = {name: shared_identities.origin(name, KNOWN) for name in KNOWN}
    assert found == {name: entries[name].get("groups_of", name) for name in KNOWN}
