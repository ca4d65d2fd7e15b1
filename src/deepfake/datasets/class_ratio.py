"""Subsampling to a number of fakes for each real, evenly over folds, sources and groups."""

import numpy as np
import pandas as pd

from deepfake import tables
from deepfake.errors import InputError

_STREAM = 3
"""Of the seed: those before it are used by `splits`."""


def subsampled(manifest: pd.DataFrame, in_use: pd.Index, ratio: float, seed: int) -> np.ndarray:
    """Choose the samples that stay when there are to be so many fakes for each real; those of a clip stay together.

    The class of which there are too many loses the same share in every fold, spread evenly over its sources and groups:
    where a group has one sample of a source, groups are sampled; where it has many, each keeps some. The choice is
    nested: what stays at one ratio stays at any that takes less away.

    Args:
        manifest: a checked manifest.
        in_use: index of the samples to choose from, whole clips.
        ratio: fakes for each real, counted in clips.
        seed: the same seed gives the same choice.

    Returns:
        bool [len(in_use)].
    """
    clips = manifest["clip_id"]
    first = ~clips.duplicated()
    asked = in_use[first[in_use]]
    kept = clips[asked[_subsampled(manifest[first], asked, ratio, seed)]]
    return clips[in_use].isin(kept).to_numpy()


def _subsampled(manifest: pd.DataFrame, in_use: pd.Index, ratio: float, seed: int) -> np.ndarray:
    """Choose as `subsampled`, bool [len(in_use)], where each sample is a clip of its own."""
    rng = np.random.default_rng((seed, _STREAM))
    # drawn for the whole manifest, so that fractions see the same order
    rows = manifest[["label", "fold", "source", "group"]].assign(chance=rng.random(len(manifest)))
    of_group = rows.groupby(["source", "group"])["chance"]
    offset = pd.Series(rng.random(of_group.ngroups)).loc[of_group.ngroup()].to_numpy()
    # the samples of a group stand at even distances, beginning anywhere; so do those of a source, whatever its groups
    rows["place"] = (of_group.rank(method="first") - 1 + offset) / of_group.transform("size")
    rows = rows.loc[in_use]
    of_source = rows.groupby(["fold", "label", "source"])["place"]
    rows = rows.assign(turn=(of_source.rank(method="first") - 0.5) / of_source.transform("size"))
    reals, fakes = ((rows["label"] == label).sum() for label in (tables.REAL, tables.FAKE))
    share = {tables.REAL: min(1.0, fakes / (ratio * reals)), tables.FAKE: min(1.0, ratio * reals / fakes)}
    # sources take turns in proportion to their sizes; of equal turns the earlier place comes first
    order = rows.sort_values(["turn", "place"], kind="stable").groupby(["fold", "label"]).cumcount()
    wanted = (rows.groupby(["fold", "label"])["place"].transform("size") * rows["label"].map(share)).round()
    return (order.reindex(rows.index) < wanted).to_numpy()


def check_ratio(manifest: pd.DataFrame, parts: pd.Series, fold: int, ratio: float) -> None:
    """Check that a ratio has left both classes in every part of a fold.

    Args:
        manifest: a checked manifest.
        parts: the part of each sample in use (`splits.subsets`).
        fold: what it is called in the message.
        ratio: fakes for each real.

    Raises:
        InputError: a class is missing in a part.
    """
    labels = manifest.loc[parts.index, "label"]
    for part in tables.SUBSETS:
        for label, name in ((tables.REAL, "real"), (tables.FAKE, "fake")):
            if not (labels[parts == part] == label).any():
                raise InputError(
                    f"balance.ratio: {ratio:g} fakes for each real leave no {name} sample in the {part} part of fold "
                    f"{fold} ({(labels == label).sum()} in all); use a ratio nearer to that of the data, or more data"
                )
