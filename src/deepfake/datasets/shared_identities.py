"""Who must not be parted across data sets: groups under the name of the data set that they come from.

A data set made of another one's photographs shows the same people (`groups_of` in the catalog). A detector that was
trained on them in one data set must not be judged by them in the other.
"""

from collections.abc import Mapping

import pandas as pd

from deepfake import project
from deepfake.datasets import splits
from deepfake.datasets.entries import DataSet
from deepfake.errors import InputError
from deepfake.project import paths

_PLACE = ["group", "split", "fold", "folds", "fraction_rank", "stratum"]


def origin(dataset: str, catalog: Mapping[str, DataSet]) -> str:
    """Return the data set whose groups a data set has: its own name, unless the catalog says `groups_of`.

    Raises:
        InputError: the catalog knows no such data set, or that one has groups of yet another one.
    """
    named = catalog[dataset].groups_of
    if named is None:
        return dataset
    if named not in catalog or catalog[named].groups_of is not None:
        raise InputError(f"{paths().catalog}: {dataset}.groups_of: {named} is no data set with groups of its own")
    return named


def groups(dataset: str, manifest: pd.DataFrame, catalog: Mapping[str, DataSet]) -> pd.Series:
    """Return each sample's group as `<origin>/<group>`, its name across data sets.

    Args:
        dataset: of the catalog, or `project.UNION`, whose groups have these names already.
        manifest: its `tables.MANIFEST`.
        catalog: all data sets.
    """
    return manifest["group"] if dataset == project.UNION else origin(dataset, catalog) + "/" + manifest["group"]


def follow(
    samples: pd.DataFrame, leaders: pd.DataFrame, manifest: pd.DataFrame, bound: pd.DataFrame | None = None
) -> pd.DataFrame:
    """Give samples the places that their groups have in another data set: split, fold, fraction rank and stratum.

    From the stratum follows who is in a fold's inner validation: the same people in both data sets.

    Args:
        samples: `tables.SAMPLES`.
        leaders: `tables.SAMPLES` of the data set whose groups these are.
        manifest: its `tables.MANIFEST`.
        bound: as in `splits.split`.

    Returns:
        The manifest of the samples (`tables.MANIFEST`). Groups that share a file, bit for bit, or are bound, are joined
        into one.

    Raises:
        InputError: a group is unknown there, two that share a file or are bound stand in different folds there, or a
            fold would lack a class.
    """
    led = manifest.set_index("sample_id").loc[leaders["sample_id"], _PLACE]
    places = led.set_axis(pd.Index(leaders["group"]), axis="index")
    places = places[~places.index.duplicated()]
    if not (known := samples["group"].isin(places.index)).all():
        raise InputError(
            f"splits: group {samples['group'][~known].iloc[0]} is not a group of {manifest['dataset'].iloc[0]}; "
            "mend or remove groups_of in the catalog"
        )
    joined = splits.joined_groups(samples, bound)
    own, first = (places.loc[names, _PLACE].reset_index(drop=True) for names in (samples["group"], joined))
    if (parted := (own[["split", "folds"]] != first[["split", "folds"]]).any(axis=1)).any():
        row = parted.to_numpy().argmax()
        raise InputError(
            f"splits: {samples['sample_id'].iloc[row]} of group {samples['group'].iloc[row]} is the same file, or "
            f"nearly, as one of group {joined.iloc[row]}, which stands in another fold of "
            f"{manifest['dataset'].iloc[0]}; remove one"
        )
    found = samples.reset_index(drop=True).assign(**{column: first[column] for column in _PLACE})
    splits.verify(found)
    return found


def union(manifests: Mapping[str, pd.DataFrame], catalog: Mapping[str, DataSet]) -> pd.DataFrame:
    """Join data sets into one, each sample in the fold that it has in its own.

    Args:
        manifests: `tables.MANIFEST` by data set.
        catalog: all data sets.

    Returns:
        `tables.MANIFEST`, one data set after the other. Samples, clips, archives and loose files are named after their
        data set's folder below `Project.raw_data`, groups across data sets (`groups`).

    Raises:
        InputError: the data sets have different numbers of folds, or a file stands in two groups.
    """
    parts = []
    for name, manifest in manifests.items():
        loose = manifest["archive"] == ""
        parts.append(
            manifest.assign(
                sample_id=f"{name}/" + manifest["sample_id"],
                clip_id=f"{name}/" + manifest["clip_id"],
                archive=(f"{name}/" + manifest["archive"]).where(~loose, ""),
                path=manifest["path"].where(~loose, f"{name}/" + manifest["path"]),
                group=groups(name, manifest, catalog),
            )
        )
    shapes = {name: splits.shape(manifest) for name, manifest in manifests.items()}
    if len(set(shapes.values())) > 1:
        told = ", ".join(f"{name} {folds} x {repeats}" for name, (folds, repeats) in shapes.items())
        raise InputError(f"union: the data sets have different numbers of folds or repeats ({told}); split them again")
    joined = pd.concat(parts, ignore_index=True)
    several = joined.groupby("sha256")["group"].nunique() > 1
    if several.any():
        one, *others = joined[joined["sha256"] == several.idxmax()].drop_duplicates("group")["sample_id"]
        raise InputError(f"union: {one} and {others[0]} are the same file in different groups; remove one of them")
    splits.verify(joined)
    return joined
