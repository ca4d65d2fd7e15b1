"""The pictures of heat, which show photographs."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from deepfake import tables
from deepfake.evaluation import attention
from deepfake.project import paths
from deepfake.reports import image_grid
from deepfake.studies.explain.cases import Case


def heat(
    name: str,
    first: Case,
    cases: Mapping[str, Case],
    shown: pd.DataFrame,
    maps: Mapping[str, Mapping[int, np.ndarray]],
) -> None:
    """Draw chosen images, a row each: as the first run sees them, then under the heat of each run, a column each.

    Args:
        name: of the picture.
        first: the run whose images stand in the first column.
        cases: the runs that have heat.
        shown: the images (`shown.shown`).
        maps: each run's heat cell by cell, by row of the manifest.
    """
    images, captions, titles = [], [], []
    by_sample = {run: case.verdicts.set_index("sample_id") for run, case in cases.items()}
    for _, sample in shown.iterrows():
        row = int(sample["row"])
        pictures, texts = [first.images[row]], [_shortened(sample["sample_id"])]
        for run, case in cases.items():
            verdict = by_sample[run].loc[sample["sample_id"]]
            enlarged = attention.enlarged(maps[run][row][None], case.view.size)[0]
            pictures.append(image_grid.overlay(case.images[row], enlarged))
            texts.append(f"{'wrong' if verdict['wrong'] else 'right'}, p(fake) {verdict['probability']:.2f}")
        images.append(pictures)
        captions.append(texts)
        titles.append(f"{sample['source']}\n({'fake' if sample['label'] == tables.FAKE else 'real'})\n{sample['kind']}")
    columns = ["image", *cases]
    image_grid.draw(images, captions, paths().photograph(name), columns=columns, rows=titles)


def _shortened(name: str) -> str:
    """Return a name that fits under an image."""
    return name if len(name) <= 22 else f"{name[:21]}…"
