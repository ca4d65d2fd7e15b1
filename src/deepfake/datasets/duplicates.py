"""Files that are the same bit for bit and stand in several groups or under both labels."""

import pandas as pd

PLACEHOLDER_GROUPS = 10
"""Groups in more of which a file shows nobody, as the picture that a site sends for one that is gone."""
PLACEHOLDER_SHARE = 0.05
"""Share of all groups beyond which that holds also for a file with one label; copies of it to balance classes are
few beside all groups."""
PLACEHOLDER = "a placeholder: "
"""What the reason begins with for which such a file is set aside."""


def find(samples: pd.DataFrame) -> pd.DataFrame:
    """Find the files that stand in several groups or under both labels, bit for bit the same.

    The first would bring a training image into the test set, so splits join such groups. The second is a mistake in
    the data that nothing can mend: one of the labels is wrong.

    Args:
        samples: `tables.SAMPLES`.

    Returns:
        One row a file: `sha256`; `samples` and `groups`, their names with ` | ` between them; `both_labels`, 1 when it
        is labelled real and fake.
    """
    counts = _counts(samples)
    repeated = samples[((counts["group"] > 1) | (counts["label"] > 1)).to_numpy()]
    kept = ["sha256", "sample_id", "group", "label"]
    of_file = repeated[kept].groupby("sha256", sort=False)
    of_group = repeated[kept].drop_duplicates(["sha256", "group"]).groupby("sha256", sort=False)
    table = pd.DataFrame(
        {
            "samples": of_file["sample_id"].agg(" | ".join),
            "groups": of_group["group"].agg(" | ".join),
            "both_labels": (of_file["label"].nunique() > 1).astype(int),
        }
    )
    return table.rename_axis("sha256").reset_index()


def placeholders(samples: pd.DataFrame) -> pd.Series:
    """Find the files that stand for pictures that are not there: one file in very many groups.

    Splits would join all these groups into one, which no folds can share; to part its copies would bring a training
    image into the test set. It shows nobody, so nothing is lost without it. A file is a placeholder when it stands in
    more than `PLACEHOLDER_GROUPS` groups, and is labelled both real and fake or stands in more than
    `PLACEHOLDER_SHARE` of all groups.

    Args:
        samples: `tables.SAMPLES`.

    Returns:
        Why each sample is not to be used, empty where it may be; indexed like the samples.
    """
    counts = _counts(samples)
    both = counts["label"] > 1
    large = counts["group"] > PLACEHOLDER_SHARE * samples["group"].nunique()
    many = (counts["group"] > PLACEHOLDER_GROUPS) & (both | large)
    said = [
        f"{PLACEHOLDER}one file in {groups:,} groups, {'real and fake' if labels > 1 else 'of one label'}"
        for groups, labels in counts[["group", "label"]].itertuples(index=False)
    ]
    return pd.Series(said, index=samples.index, dtype="str").where(many, "")


def _counts(samples: pd.DataFrame) -> pd.DataFrame:
    """Return in how many groups and under how many labels each sample's file stands, indexed like the samples."""
    return samples.groupby("sha256")[["group", "label"]].transform("nunique")
