"""What the parts of a split hold."""

import pandas as pd

from deepfake import tables


def count(manifest: pd.DataFrame) -> pd.DataFrame:
    """Count what each fold and the test set hold, in clips: images, or files that give several samples.

    Args:
        manifest: a checked manifest.

    Returns:
        int64: a column for each fold of the first repeat, the test set and all; rows `groups`, `reals`, `fakes`, and
        those of each source, of reals first.
    """
    manifest = manifest[~manifest["clip_id"].duplicated()]
    folds = sorted(set(manifest["fold"]) - {tables.TEST_FOLD})
    parts = {f"fold {fold}": manifest[manifest["fold"] == fold] for fold in folds}
    parts |= {"test set": manifest[manifest["fold"] == tables.TEST_FOLD], "all": manifest}
    sources = manifest[["label", "source"]].drop_duplicates().sort_values(["label", "source"])["source"]
    counts = {}
    for part, rows in parts.items():
        fakes = int((rows["label"] == tables.FAKE).sum())
        of_source = rows["source"].value_counts().reindex(sources, fill_value=0)
        counts[part] = [rows["group"].nunique(), len(rows) - fakes, fakes, *of_source]
    return pd.DataFrame(counts, index=pd.Index(["groups", "reals", "fakes", *sources]), dtype="int64")
