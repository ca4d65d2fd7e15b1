"""Group-aware splits: no group of samples ever stands on two sides.

The test set, the folds and the nested fractions are fixed once and saved in the manifest, so that all models
see identical splits. The inner validation of a fold follows from the manifest and the seed.
"""

from collections.abc import Iterable

import numpy as np
import pandas as pd

from deepfake import tables
from deepfake.datasets.class_ratio import check_ratio, subsampled
from deepfake.datasets.components import leaders
from deepfake.errors import InputError, unknown

# one random stream for each use of the seed; `class_ratio` has the next one
_TEST, _VALIDATION, _FRACTION = range(3)


def split(
    samples: pd.DataFrame,
    *,
    folds: int,
    test_ratio: float,
    seed: int,
    repeats: int = 1,
    bound: pd.DataFrame | None = None,
    published: pd.Series | None = None,
) -> pd.DataFrame:
    """Give every sample its split, fraction rank, and a fold in each repeat of the cross-validation.

    Args:
        samples: a checked table of samples.
        folds: number of cross-validation folds over the development groups.
        test_ratio: share of the groups that becomes the test set.
        seed: the same seed gives the same splits.
        repeats: how many partitions into folds; `fold` is that of the first one.
        bound: pairs of groups that must not be parted either, in the columns `group` and `other_group`.
        published: each sample's part of a published split: those of `test` become the test set, whatever `test_ratio`.

    Returns:
        The manifest (`tables.MANIFEST`). Groups that share a file, bit for bit, or are bound, are joined into one.

    Raises:
        InputError: a group is in the published test set and outside it, there are too few groups for the folds, or a
            fold would lack a class.
    """
    manifest = samples.assign(group=joined_groups(samples, bound))
    manifest["stratum"] = manifest.groupby("group")["source"].transform(lambda sources: "+".join(sorted(set(sources))))
    if published is None:
        order = _stratified_order(manifest, stream=(seed, _TEST))
        is_test = manifest["group"].isin(order[: max(1, round(test_ratio * len(order)))])
    else:
        is_test = _published_test(manifest, published)
    manifest["split"] = np.where(is_test, "test", "dev")
    manifest["fold"] = tables.TEST_FOLD
    manifest["fraction_rank"] = 0.0
    development = manifest[~is_test]
    # a published test set may have sources of its own, as the attacks that a challenge kept for it
    _check_enough_groups(development, (samples if published is None else development)["source"].unique(), folds)
    partitions = [_partition(development, folds, _repeat_seed(seed, repeat)) for repeat in range(repeats)]
    manifest.loc[development.index, "fold"] = partitions[0]
    numbered = np.array([fold + repeat * folds for repeat, fold in enumerate(partitions)]).T
    manifest["folds"] = str(tables.TEST_FOLD)
    manifest.loc[development.index, "folds"] = [" ".join(map(str, row)) for row in numbered]
    for fold, rows in development.groupby(partitions[0]):
        manifest.loc[rows.index, "fraction_rank"] = _fraction_rank(rows, seed, int(str(fold)))
    verify(manifest)
    return manifest


def _published_test(manifest: pd.DataFrame, published: pd.Series) -> pd.Series:
    """Return which samples are of the published test set; it must hold whole groups."""
    is_test = published == "test"
    if not is_test.any():
        raise InputError(
            "splits keep a published test set, but no sample is in it (with from_folders: in a folder test, testing or "
            "eval); run deepfake ingest again if the catalog has changed, or remove splits from it"
        )
    parted = is_test.groupby(manifest["group"]).nunique() > 1
    if parted.any():
        first = manifest[manifest["group"] == parted.idxmax()]
        inside, outside = (first["sample_id"][is_test[first.index] == side].iloc[0] for side in (True, False))
        raise InputError(
            f"splits: {parted.sum()} of {len(parted)} groups are in the published test set and outside it, "
            f"as {parted.idxmax()} ({inside}, {outside}); samples of a group, and copies of a file, must not be "
            "parted: set another rule for groups, remove the copies, or remove splits from the catalog"
        )
    return is_test


def _repeat_seed(seed: int, repeat: int) -> int:
    """Return the seed of a repeat's partition; the first one is that of a study without repeats."""
    return seed if repeat == 0 else int(np.random.SeedSequence((seed, repeat)).generate_state(1)[0])


def _partition(development: pd.DataFrame, folds: int, seed: int) -> np.ndarray:
    """Return the fold of each sample, stratified by source, which implies the label."""
    from sklearn.model_selection import StratifiedGroupKFold  # a second or two, which training has no use for

    splitter = StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
    fold_of = np.empty(len(development), dtype=np.int64)
    for fold, (_, held_out) in enumerate(splitter.split(development, development["source"], development["group"])):
        fold_of[held_out] = fold
    return fold_of


def numbered_folds(manifest: pd.DataFrame) -> np.ndarray:
    """Return the folds of each sample in all repeats, int [n, repeats]; -1 throughout for the test set."""
    development = (manifest["split"] == "dev").to_numpy()
    if not development.any():
        return np.full((len(manifest), 1), tables.TEST_FOLD)
    found = np.array(manifest.loc[development, "folds"].str.split().tolist(), dtype=np.int64)
    every = np.full((len(manifest), found.shape[1]), tables.TEST_FOLD)
    every[development] = found
    return every


def shape(manifest: pd.DataFrame) -> tuple[int, int]:
    """Return the number of folds and of repeats."""
    return int(manifest["fold"].max()) + 1, numbered_folds(manifest).shape[1]


def verify(manifest: pd.DataFrame) -> None:
    """Check that no group stands in two splits or folds, no clip in two groups, and that each fold has both classes.

    Raises:
        InputError: naming the group, the clip, or the fold and the class it lacks.
    """
    _check_clips(manifest)
    places = manifest.groupby("group")[["split", "fold", "folds"]].nunique().max(axis=1)
    if (places > 1).any():
        raise InputError(f"manifest: group {places.idxmax()} stands in more than one split or fold; split again")
    labels = manifest["label"].to_numpy()
    for column in numbered_folds(manifest).T:
        for fold in np.unique(column):
            for label, name in ((tables.REAL, "real"), (tables.FAKE, "fake")):
                if not (labels[column == fold] == label).any():
                    where = "the test set" if fold == tables.TEST_FOLD else f"fold {fold}"
                    raise InputError(f"splits: {where} has no {name} sample; use fewer folds or more groups")


def _check_clips(manifest: pd.DataFrame) -> None:
    """Check that all samples of a clip have one label and one group."""
    several = manifest.groupby("clip_id")[["label", "group"]].nunique() > 1
    for column, trouble in (("label", "both real and fake samples"), ("group", "samples of several groups")):
        if several[column].any():
            raise InputError(
                f"manifest: clip {several[column].idxmax()} has {trouble}; mend the data set's entry in the catalog, "
                "or its files"
            )


def check_holdout(manifest: pd.DataFrame, source: str) -> None:
    """Check that a source can be kept from training.

    Raises:
        InputError: the manifest has no such source, it is a real one, or no other fake source is left to train on.
    """
    label_of = manifest.groupby("source")["label"].first()
    fakes = sorted(label_of.index[label_of == tables.FAKE])
    if source not in label_of.index:
        raise InputError(f"holdout: {unknown('source', source, fakes)}")
    if source not in fakes:
        raise InputError(f"holdout: {source} is a source of real samples; name a fake one: {', '.join(fakes)}")
    if len(fakes) == 1:
        raise InputError(f"holdout: {source} is the only fake source; a holdout needs another one to train on")


def subsets(
    manifest: pd.DataFrame,
    fold: int,
    *,
    fraction: float,
    val_ratio: float,
    seed: int,
    holdout: str | None = None,
    class_ratio: float | None = None,
) -> pd.Series:
    """Return each sample's part when `fold` is held out.

    Args:
        manifest: a checked manifest.
        fold: the fold to hold out, numbered on through all repeats.
        fraction: share of the training groups in use; smaller fractions are contained in larger ones. Whatever it is,
            the whole fold is held out: detectors trained on different shares are judged on the same samples.
        val_ratio: share of the training groups that becomes the inner validation.
        seed: the same seed gives the same inner validation.
        holdout: a source that is neither trained nor validated on (`check_holdout`); the groups of the inner
            validation are the same as without it.
        class_ratio: fakes for each real (`class_ratio.subsampled`), None for all samples; the groups of each part are
            the same.

    Returns:
        One of `tables.SUBSETS` for each sample in use, indexed like the manifest; samples of the test set, and those
        that the fraction, the holdout or the ratio leaves out, are missing.

    Raises:
        InputError: there are too few groups to train and to validate on, or too few samples for the ratio.
    """
    development = manifest["split"] == "dev"
    held_out = pd.Series((numbered_folds(manifest) == fold).any(axis=1), index=manifest.index)
    in_use = manifest[development & (held_out | (manifest["fraction_rank"] < fraction))]
    # before a source is held out: what is predicted stays the same, whatever is trained on
    kept = in_use.index
    if class_ratio is not None:
        chosen = manifest.index[development]
        judged = chosen[subsampled(manifest, chosen, class_ratio, seed) & held_out[chosen]]  # the same for all shares
        trained = kept[subsampled(manifest, kept, class_ratio, seed) & ~held_out[kept]]
        kept = judged.union(trained)
    parts = pd.Series("train", index=in_use.index, name="subset")
    parts[held_out[in_use.index]] = "held_out"
    training = in_use[parts == "train"]
    order = _stratified_order(training, stream=(seed, _VALIDATION, fold))
    count = max(1, round(val_ratio * len(order)))
    parts[in_use["group"].isin(order[:count]) & (parts == "train")] = "validation"
    parts = parts[(in_use["source"] != holdout) | (parts == "held_out")]
    for part in ("train", "validation"):
        if manifest.loc[parts.index[parts == part], "label"].nunique() < 2:
            without = f" without {holdout}" if holdout else ""
            raise InputError(
                f"fold {fold}: its {part} part of {len(order)} training groups{without} lacks a class; "
                "use a larger fraction, fewer folds or more groups"
            )
    if class_ratio is None:
        return parts
    parts = parts[parts.index.isin(kept)]
    check_ratio(manifest, parts, fold, class_ratio)
    return parts


def joined_groups(samples: pd.DataFrame, bound: pd.DataFrame | None = None) -> pd.Series:
    """Return the group of each sample, groups joined where they share a file bit for bit or are bound (see `split`)."""
    group_codes, groups = pd.factorize(samples["group"], sort=True)
    file_codes, files = pd.factorize(samples["sha256"])
    # groups and files are the nodes: one file in n groups makes n edges, and not n² pairs of groups
    ends = [(group_codes, len(groups) + file_codes)]
    if bound is not None:
        pairs = [pd.Index(groups).get_indexer(pd.Index(bound[column])) for column in ("group", "other_group")]
        if any((end < 0).any() for end in pairs):
            raise InputError("splits: a near-duplicate is of a group that no sample has; run deepfake ingest again")
        ends.append((pairs[0], pairs[1]))
    one, other = (np.concatenate(column) for column in zip(*ends, strict=True))
    # a joined group is named after its first member
    first = np.asarray(groups)[leaders(one, other, len(groups) + len(files))[: len(groups)]]
    return pd.Series(first[group_codes], index=samples.index, dtype="str")


def _stratified_order(rows: pd.DataFrame, stream: tuple[int, ...]) -> list[str]:
    """Return the groups in a random order of which every beginning is stratified.

    Groups of the same composition (the set of their sources, or what it is in the data set that they come from) form
    a stratum. Each stratum is shuffled and spread evenly over the order.
    """
    strata = rows.groupby("group")["stratum"].first()
    rng = np.random.default_rng(stream)
    place = pd.Series(0.0, index=strata.index)
    for _, members in strata.groupby(strata):
        spread = (rng.permutation(len(members)) + rng.random()) / len(members)
        place[members.index] = spread
    return place.sort_values(kind="stable").index.tolist()


def _fraction_rank(rows: pd.DataFrame, seed: int, fold: int) -> pd.Series:
    """Return for each sample of a fold its group's rank: it belongs to every fraction above it."""
    order = _stratified_order(rows, stream=(seed, _FRACTION, fold))
    rank = {group: place / len(order) for place, group in enumerate(order)}
    return rows["group"].map(rank)


def _check_enough_groups(development: pd.DataFrame, sources: Iterable[str], folds: int) -> None:
    """Check that each source has a group for every fold, and that a fold leaves enough to train on."""
    groups = development.groupby("source")["group"].nunique().reindex(list(sources), fill_value=0)
    if groups.min() < folds or development["group"].nunique() <= folds:
        raise InputError(
            f"splits: {folds} folds need more than {folds} development groups, and every source in "
            f"{folds} of them; source {groups.idxmin()} is in {groups.min()}; use fewer folds or more groups"
        )
