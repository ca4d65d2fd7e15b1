"""Whether splits keep groups apart, and each part holds the same mixture: counted anew, from the manifest alone."""

from collections.abc import Iterable, Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from deepfake import tables
from deepfake.datasets import splits
from deepfake.studies.eda.samples import Samples

PARTS = (*tables.SUBSETS, "test")
"""The parts of a fold: trained on, inner validation, held out, and the test set, which all folds share."""


def verify(data: Iterable[Samples], val_ratio: float, seed: int) -> pd.DataFrame:
    """Count what the parts of every fold of every repeat hold, and what they share with each other.

    Args:
        data: the data sets.
        val_ratio: share of the training groups that is the inner validation.
        seed: that chooses it.

    Returns:
        One row a data set, repeat, fold and part: `samples, groups, share_fake`; `source_gap`, the largest difference
        between a source's share of the part and of the data set; `shared_groups` and `shared_files`, how many groups,
        and files bit for bit the same, of this part stand in another part too. A count above 0 is a leak.
    """
    found = []
    for each in data:
        folds, repeats = splits.shape(each.rows)
        labels = each.rows["label"].to_numpy()
        sources, groups, files = (pd.factorize(each.rows[column])[0] for column in ("source", "group", "sha256"))
        overall = np.bincount(sources) / len(sources)
        for fold in range(folds * repeats):
            parts = splits.subsets(each.rows, fold, fraction=1.0, val_ratio=val_ratio, seed=seed)
            part_of = parts.reindex(each.rows.index).where(each.rows["split"] != "test", "test").to_numpy()
            masks = {part: part_of == part for part in PARTS}
            for part, mine in masks.items():
                if not mine.any():  # a data set without a test set
                    continue
                shares = np.bincount(sources[mine], minlength=len(overall)) / mine.sum()
                found.append(
                    {
                        **{"dataset": each.name, "repeat": fold // folds, "fold": fold, "part": part},
                        **{"samples": int(mine.sum()), "groups": len(np.unique(groups[mine]))},
                        "share_fake": labels[mine].mean(),
                        "source_gap": np.abs(shares - overall).max(),
                        "shared_groups": _shared(groups, part, masks),
                        "shared_files": _shared(files, part, masks),
                    }
                )
    return pd.DataFrame(found)


def _shared(codes: NDArray[np.intp], part: str, masks: Mapping[str, NDArray[np.bool_]]) -> int:
    """Return how many of a part's groups, or files, stand in another part too."""
    others = [mask for name, mask in masks.items() if name != part]
    return len(np.intersect1d(codes[masks[part]], codes[np.any(others, axis=0)]))


def imbalance(checked: pd.DataFrame) -> float:
    """Return the largest difference between the shares of fakes of a data set's folds (and test set)."""
    shares = checked.loc[checked["part"].isin(["held_out", "test"]), "share_fake"]
    return float(shares.max() - shares.min())
