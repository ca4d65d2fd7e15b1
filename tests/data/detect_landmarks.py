"""Find the five facial points of the ORL photographs with MTCNN: the tool that wrote orl_landmarks.csv.

    python tests/data/detect_landmarks.py src/deepfake/synthetic/orl_landmarks.csv

It lies here because the package's data layer imports no torch; the sample reads the committed table.
"""

import sys
import warnings
from collections.abc import Iterable
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import torch

from deepfake.synthetic import landmarks, photographs

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # facenet-pytorch 2.5.3 warns about its own torch.load calls
    from facenet_pytorch import MTCNN

SCALE = 3
MARGIN = 24
"""Pixels of mirrored border: the photographs are cropped so tightly that MTCNN misses some without it."""


def detect(photos: Iterable[photographs.Photograph]) -> pd.DataFrame:
    """Return the columns of `landmarks.COLUMNS`, one row a photograph, coordinates in its own pixels.

    Raises:
        ValueError: no face was found in a photograph.
    """
    detector = MTCNN(select_largest=True, thresholds=[0.5, 0.6, 0.6], device="cpu")
    rows = []
    for photo in photos:
        padded = cv2.copyMakeBorder(photo.pixels, *[MARGIN] * 4, cv2.BORDER_REFLECT_101)
        large = cv2.resize(padded, None, fx=SCALE, fy=SCALE, interpolation=cv2.INTER_CUBIC)
        with torch.inference_mode():
            _, confidence, points = detector.detect(cv2.cvtColor(large, cv2.COLOR_GRAY2RGB), landmarks=True)
        if points is None:
            raise ValueError(f"{photo.name}: no face found")
        # resize maps pixel centres, hence the halves
        found = (np.asarray(points[0], float) + 0.5) / SCALE - 0.5 - MARGIN
        rows.append([photo.person, photo.number, *np.round(found.ravel(), 1), round(float(confidence[0]), 4)])
    return pd.DataFrame(rows, columns=list(landmarks.COLUMNS))


if __name__ == "__main__":
    numbers = range(1, photographs.PHOTOS + 1)
    everything = (photographs.read(person, number) for person in range(1, photographs.PEOPLE + 1) for number in numbers)
    detect(everything).to_csv(Path(sys.argv[1]), index=False, float_format="%.4g")
