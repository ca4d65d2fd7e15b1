"""The samples of a data set with all that is known of them without a model: one row a sample."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from deepfake import modalities, tables
from deepfake.datasets import catalog, near_duplicates
from deepfake.errors import InputError
from deepfake.project import paths

_LUMA = {"mean_r": 0.299, "mean_g": 0.587, "mean_b": 0.114}
"""How much each channel adds to the luma, by ITU-R BT.601, as in JPEG."""


@dataclass(frozen=True)
class Samples:
    """A data set that was ingested, split and measured.

    Args:
        name: its key in the catalog.
        rows: the manifest with `notes` of the media, the columns of `tables.FEATURES`, and `brightness`, `contrast`,
            `gray`, `face_found`, `face_share`, `faces` and `confidence`; the last four are 0 where there is no face.
        looked_for: whether faces were looked for.
        quarantine: the files that ingest refused.
        duplicates: the files that stand in several groups or under both labels.
        near_duplicates: the pairs of groups that hold nearly the same picture.
        joined: whether splits join near-duplicates.
    """

    name: str
    rows: pd.DataFrame
    looked_for: bool
    quarantine: pd.DataFrame
    duplicates: pd.DataFrame
    near_duplicates: pd.DataFrame
    joined: bool


def read(dataset: str) -> Samples:
    """Read what is known of a data set.

    Raises:
        InputError: it is not in the catalog, or was not ingested, split or measured, or these are of other samples.
    """
    entry = catalog.find(dataset)
    for path, command in (
        (paths().media(dataset), "ingest"),
        (paths().manifest(dataset), "split"),
        (paths().features(dataset), "features"),
    ):
        if not path.exists():
            raise InputError(f"{path}: not found; run deepfake {command} {dataset}, then deepfake eda {dataset}")
    manifest = tables.read(paths().manifest(dataset), tables.MANIFEST)
    if not set(tables.FEATURES.columns) <= set(modalities.of(manifest).FEATURES.columns):
        raise InputError(
            f"{dataset}: eda is about pictures, these files are of {entry.modality}; run deepfake probe {dataset}"
        )
    features = tables.read(paths().features(dataset), tables.FEATURES)
    keys = ["sample_id", "sha256"]
    if not np.array_equal(features[keys], manifest[keys]):
        path = paths().features(dataset)
        raise InputError(f"{path}: not of the files in the manifest; run deepfake features {dataset}")
    rows = tables.with_media(manifest, paths().media(dataset))[[*manifest.columns, "notes"]]
    rows = rows.drop(columns="bytes").join(features.drop(columns=keys))
    rows["brightness"] = sum(share * rows[channel] for channel, share in _LUMA.items())
    rows["contrast"] = rows[["std_r", "std_g", "std_b"]].mean(axis=1)
    rows["gray"] = (rows["saturation"] == 0).astype(int)
    faces = _faces(dataset, rows)
    return Samples(
        dataset,
        rows.join(faces),
        bool(len(faces.dropna())),
        _csv(paths().quarantine(dataset), dataset),
        _csv(paths().duplicates(dataset), dataset),
        near_duplicates.read(paths().near_duplicates(dataset)),
        entry.near_duplicates == "join",
    )


def _faces(dataset: str, rows: pd.DataFrame) -> pd.DataFrame:
    """Return the face of each sample, indexed like the rows; without values where faces were not looked for."""
    path = paths().faces(dataset)
    columns = ["faces", "confidence", "face_found", "face_share"]
    found = tables.read(path, tables.FACES) if path.exists() else pd.DataFrame()
    if not len(found):
        return pd.DataFrame(np.nan, index=rows.index, columns=columns)
    if not rows["sample_id"].isin(found["sample_id"]).all():
        raise InputError(f"{path}: faces were not looked for in all samples; run deepfake faces {dataset} again")
    found = rows[["sample_id", "width", "height"]].merge(found, on="sample_id", validate="one_to_one")
    # a box may reach beyond the image
    across = found["right"].clip(upper=found["width"]) - found["left"].clip(lower=0)
    down = found["bottom"].clip(upper=found["height"]) - found["top"].clip(lower=0)
    found["face_share"] = across.clip(lower=0) * down.clip(lower=0) / (found["width"] * found["height"])
    found["face_found"] = (found["faces"] > 0).astype(int)
    return found[columns].set_axis(rows.index)


def _csv(path: Path, dataset: str) -> pd.DataFrame:
    """Read a CSV that ingest wrote."""
    try:
        return pd.read_csv(path)
    except (FileNotFoundError, pd.errors.EmptyDataError):
        raise InputError(f"{path}: not found, or empty; run deepfake ingest {dataset}") from None
