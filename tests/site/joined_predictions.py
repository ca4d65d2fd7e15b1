"""Predictions beside what the manifest says of their samples, joined by pandas alone."""

import pandas as pd

from deepfake.project import paths


def joined(name: str) -> pd.DataFrame:
    """Return all predictions of a run on the sample, with labels, sources and groups."""
    manifest = pd.read_parquet(paths().manifest("sample"))[["sample_id", "label", "source", "group"]]
    return pd.read_parquet(paths().predictions(name)).merge(manifest, on="sample_id")
