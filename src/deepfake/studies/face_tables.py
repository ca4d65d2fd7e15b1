"""The faces of a data set as tables: each image's, and how often each source has one."""

import pandas as pd

from deepfake import tables
from deepfake.evaluation import face_rates
from deepfake.project import paths
from deepfake.tables import results as result_tables


def write(dataset: str, faces: pd.DataFrame, samples: pd.DataFrame) -> pd.DataFrame:
    """Write the faces of a data set (`tables.FACES`), and return how often each source has one."""
    rates = face_rates.summary(faces, samples)
    result_tables.write(rates, f"faces_{dataset}")
    tables.write(faces, paths().faces(dataset), tables.FACES)
    return rates


def write_none(dataset: str) -> None:
    """Write that no faces were looked for: tables without rows."""
    samples = tables.read(paths().samples(dataset), tables.SAMPLES).iloc[:0]
    faces = pd.DataFrame({column: [] for column in tables.FACES.columns}).astype({"sample_id": str, "faces": int})
    write(dataset, faces, samples)
