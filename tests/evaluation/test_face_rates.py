import numpy as np
import pandas as pd

from deepfake.evaluation import face_rates


def test_rates_are_counted_source_by_source():
    samples = pd.DataFrame(
        {"sample_id": ["w/1", "w/2", "a/1", "w/3", "n/1"], "source": ["wiki", "wiki", "adm", "wiki", "none"]}
    )
    faces = pd.DataFrame(
        {
            "sample_id": ["n/1", "w/3", "w/2", "w/1", "a/1"],
            "faces": [0, 0, 2, 1, 1],
            "confidence": [0.0, 0.0, 0.95, 0.99, 0.92],
        }
    )
    expected = pd.DataFrame(
        {
            "source": ["wiki", "adm", "none"],
            "samples": [3, 1, 1],
            "found": [2, 1, 0],
            "share": [2 / 3, 1.0, 0.0],
            "several": [1, 0, 0],
            "median_confidence": [0.97, 0.92, np.nan],
        }
    )
    pd.testing.assert_frame_equal(face_rates.summary(faces, samples), expected)
