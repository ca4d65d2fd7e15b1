"""How often faces were found, source by source: where that differs, the face crop itself gives sources away."""

import pandas as pd


def summary(faces: pd.DataFrame, samples: pd.DataFrame) -> pd.DataFrame:
    """Return one row a source, in the order in which the sources first appear.

    Args:
        faces: `tables.FACES`.
        samples: `tables.SAMPLES` or the manifest; the samples that are counted.

    Returns:
        Columns `source, samples, found, share` (of the samples, in [0, 1]), `several` (images with more than one
        face) and `median_confidence` (of the chosen faces; empty where none was found).
    """
    joined = samples[["sample_id", "source"]].merge(faces, on="sample_id", validate="one_to_one")
    has_face = joined["faces"] > 0
    facts = joined.assign(
        found=has_face, several=joined["faces"] > 1, confidence=joined["confidence"].where(has_face)
    ).groupby("source", sort=False)
    return facts.agg(
        samples=("found", "size"),
        found=("found", "sum"),
        share=("found", "mean"),
        several=("several", "sum"),
        median_confidence=("confidence", "median"),
    ).reset_index()
