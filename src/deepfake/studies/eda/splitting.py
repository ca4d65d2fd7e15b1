"""Whether splits keep groups apart, and each part holds the same mixture: counted anew, from the manifest alone."""

from collections.abc import Iterable

import pandas as pd

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
        overall = each.rows["source"].value_counts(normalize=True)
        for fold in range(folds * repeats):
            parts = splits.subsets(each.rows, fold, fraction=1.0, val_ratio=val_ratio, seed=seed)
            rows = each.rows.assign(part=parts.reindex(each.rows.index))
            rows.loc[rows["split"] == "test", "part"] = "test"
            rows = rows.dropna(subset="part")
            for part in PARTS:
                mine, others = rows[rows["part"] == part], rows[rows["part"] != part]
                if not len(mine):  # a data set that is tested on only, or has no test set
                    continue
                shares = mine["source"].value_counts(normalize=True).reindex(overall.index, fill_value=0)
                found.append(
                    {
                        **{"dataset": each.name, "repeat": fold // folds, "fold": fold, "part": part},
                        **{"samples": len(mine), "groups": mine["group"].nunique()},
                        "share_fake": mine["label"].mean(),
                        "source_gap": (shares - overall).abs().max(),
                        "shared_groups": len(set(mine["group"]) & set(others["group"])),
                        "shared_files": len(set(mine["sha256"]) & set(others["sha256"])),
                    }
                )
    return pd.DataFrame(found)


def imbalance(checked: pd.DataFrame) -> float:
    """Return the largest difference between the shares of fakes of a data set's folds (and test set)."""
    shares = checked.loc[checked["part"].isin(["held_out", "test"]), "share_fake"]
    return float(shares.max() - shares.min())
