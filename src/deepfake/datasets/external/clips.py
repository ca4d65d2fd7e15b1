"""From one score a frame or window to one a clip."""

from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from deepfake.datasets.external.options import Aggregate
from deepfake.datasets.text_tables import refuse


class Clips(NamedTuple):
    """Clips in the order in which they are first listed: labels and scores [n], and each one's first row."""

    labels: NDArray[np.int64]
    scores: NDArray[np.float64]
    rows: pd.DataFrame


def joined(rows: pd.DataFrame, labels: NDArray[np.int64], scores: NDArray[np.float64], how: Aggregate) -> Clips:
    """Join the rows of each clip; scores are averaged, or their greatest or median taken, as they are in the file.

    Args:
        rows: with a column `clip`, indexed by lines.
        labels: of the rows, 0 or 1.
        scores: of the rows, growing with the positive class.
        how: they become one.

    Raises:
        InputError: a clip has rows of both classes, or of several groups, or infinite scores that cancel out.
    """
    codes, names = pd.factorize(rows["clip"])
    first = pd.Series(np.arange(len(rows))).groupby(codes).first().to_numpy()
    kinds = {"both classes": pd.Series(labels), "several groups": rows.get("group")}
    for said, values in kinds.items():
        if values is not None:
            own = values.to_numpy()
            other = pd.Series(own != own[first][codes], index=rows.index)
            refuse(other, lambda row, said=said: f"clip {names[codes[row]]!r} has rows of {said}", "check --clip")
    with np.errstate(invalid="ignore"):  # inf and -inf in one clip
        of_clip = pd.Series(scores).groupby(codes).agg(how).to_numpy(float)
    refuse(
        pd.Series(np.isnan(of_clip), index=rows.index[first]),
        lambda clip: f"clip {names[clip]!r} has scores of inf and of -inf, which have no {how}",
        "write finite scores, or take --aggregate max",
    )
    return Clips(labels[first], of_clip, rows.iloc[first])
