"""What a data set holds, source by source: counts, and how sizes, storage and colours are distributed."""

from collections.abc import Iterable, Mapping

import pandas as pd

from deepfake import tables
from deepfake.evaluation.group_means import mean_over_groups
from deepfake.studies.eda.samples import Samples

SIZES = {
    "width": "width (px)",
    "height": "height (px)",
    "aspect": "width / height",
    "bytes_per_pixel": "bytes per pixel",
    "quality": "JPEG quality",
}
COLOURS = {
    "brightness": "brightness",
    "contrast": "contrast",
    "saturation": "saturation",
    "gray": "share of gray images",
    **{f"mean_{channel}": f"mean of {name}" for channel, name in zip("rgb", ("red", "green", "blue"), strict=True)},
    **{f"std_{channel}": f"SD of {name}" for channel, name in zip("rgb", ("red", "green", "blue"), strict=True)},
}
"""The measures of each table, and what they are called."""
_QUANTILES = {"q05": 0.05, "q25": 0.25, "median": 0.5, "q75": 0.75, "q95": 0.95}


def distributions(data: Iterable[Samples], measures: Mapping[str, str]) -> pd.DataFrame:
    """Return how measures are distributed in each source.

    Returns:
        One row a data set, source and measure: `dataset, source, label, measure, samples`, `mean`, `sd` (n - 1),
        `min`, quantiles and `max`. JPEG quality is that of JPEGs only; a source without one has no row for it.
    """
    found = []
    for each in data:
        rows = each.rows.assign(quality=each.rows["quality"].where(each.rows["format"] == "JPEG"))
        for (label, source), part in rows.groupby(["label", "source"]):
            for measure in measures:
                values = part[measure].dropna()
                if not len(values):
                    continue
                quantiles = {name: values.quantile(share) for name, share in _QUANTILES.items()}
                identity = {"dataset": each.name, "source": source, "label": label, "measure": measure}
                facts = {"samples": len(values), "mean": values.mean(), "sd": values.std(), "min": values.min()}
                found.append(identity | facts | quantiles | {"max": values.max()})
    return pd.DataFrame(found)


def summary(data: Iterable[Samples]) -> pd.DataFrame:
    """Return one row a data set: what it holds in all."""
    return pd.DataFrame([_summary(each.name, each.rows) for each in data])


def _summary(name: str, rows: pd.DataFrame) -> dict[str, object]:
    of_group = rows.groupby("group").size()
    return {
        "dataset": name,
        "samples": len(rows),
        "groups": len(of_group),
        "reals": int((rows["label"] == tables.REAL).sum()),
        "fakes": int((rows["label"] == tables.FAKE).sum()),
        "share_fake": rows["label"].mean(),
        "sources": rows["source"].nunique(),
        "fake_sources": rows.loc[rows["label"] == tables.FAKE, "source"].nunique(),
        "test_samples": int((rows["split"] == "test").sum()),
        "test_groups": rows.loc[rows["split"] == "test", "group"].nunique(),
        "smallest_group": int(of_group.min()),
        "median_group": of_group.median(),
        "largest_group": int(of_group.max()),
        "formats": _counted(rows["format"]),
        "modes": _counted(rows["mode"]),
        "sizes": len(rows[["width", "height"]].drop_duplicates()),
        "megabytes": rows["bytes"].sum() / 1e6,
        **{
            f"{measure}_{name}": figure(rows[measure])
            for measure in ("width", "height", "bytes")
            for name, figure in (("min", pd.Series.min), ("median", pd.Series.median), ("max", pd.Series.max))
        },
    }


def _counted(values: pd.Series) -> str:
    """Return how often each value stands there, the most frequent first."""
    counts = values.value_counts().sort_index().sort_values(ascending=False, kind="stable")
    return ", ".join(f"{value} {count}" for value, count in counts.items())


def sources(data: Iterable[Samples]) -> pd.DataFrame:
    """Return samples and groups of each data set, source and split."""
    return pd.DataFrame(
        [
            {
                **{"dataset": each.name, "source": source, "label": label, "split": split},
                **{"samples": len(rows), "groups": rows["group"].nunique()},
            }
            for each in data
            for (label, source, split), rows in each.rows.groupby(["label", "source", "split"])
        ]
    )


def faces(data: Iterable[Samples], confidence: float) -> pd.DataFrame:
    """Return how well faces are found in each source of the data sets in which they were looked for.

    Args:
        data: the data sets.
        confidence: of the intervals.

    Returns:
        One row a data set and source: `samples, groups, found`, the detection rate `share` with its interval over
        groups (`low, high`), `several` (images with more than one face), `faces_per_image`; of the images with a face
        the detector's `confidence` (median) and `confidence_q05`, and the box's share of the image.
    """
    found = []
    for each in data:
        if not each.looked_for:
            continue
        for (label, source), rows in each.rows.groupby(["label", "source"]):
            rate = mean_over_groups(rows["face_found"], rows["group"], bounded=True, confidence=confidence)
            seen = rows[rows["face_found"] == 1]
            boxes = {f"box_{name}": seen["face_share"].quantile(_QUANTILES[name]) for name in ("q05", "median", "q95")}
            found.append(
                {
                    **{"dataset": each.name, "source": source, "label": label},
                    **{"samples": len(rows), "groups": rate.n_groups, "found": len(seen)},
                    **{"share": rate.value, "low": rate.low, "high": rate.high},
                    **{"several": int((rows["faces"] > 1).sum()), "faces_per_image": rows["faces"].mean()},
                    "confidence": seen["confidence"].median(),
                    "confidence_q05": seen["confidence"].quantile(0.05),
                    **boxes,
                }
            )
    columns = "dataset source label samples groups found share low high several faces_per_image confidence"
    boxes = [f"box_{name}" for name in ("q05", "median", "q95")]
    return pd.DataFrame(found, columns=[*columns.split(), "confidence_q05", *boxes])
