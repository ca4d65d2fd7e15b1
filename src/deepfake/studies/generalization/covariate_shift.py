"""In what the away data sets differ from home, and how the baseline's logit moves with that."""

from collections.abc import Mapping

import pandas as pd

from deepfake import tables
from deepfake.evaluation import statistics, transfer
from deepfake.modalities.image.features import CONTAINER, PIXELS
from deepfake.studies.generalization.cells import Cell
from deepfake.studies.generalization.scores import Scores

_FAMILIES = {name: family for families in (CONTAINER, PIXELS) for family, names in families.items() for name in names}
"""The family of each feature of `tables.FEATURES`."""
_FOLLOWED = ["correlation", "correlation_low", "correlation_high", "p_holm", "home_correlation"]


def compare(scores: Scores, features: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Compare the features of each data set that the baseline has not seen with those of its home.

    Args:
        scores: the predictions.
        features: of each data set its `tables.FEATURES`.

    Returns:
        One row an away data set and feature: `transfer.shifts` of the held-out reals; of numbers also
        `transfer.follows` (`correlation`, ... on the away data set, `home_correlation` at home), with p-values
        corrected for the number of features.
    """
    model, home = scores.baseline, scores.home(scores.baseline)
    frames = []
    for dataset in scores.away(model) if home else ():
        sides = [_measured(scores.cells[(model, name)], features[name]) for name in (str(home), dataset)]
        reals = [side.loc[side["label"] == tables.REAL, list(_FAMILIES)] for side in sides]
        shifted = transfer.shifts(*reals)
        numbers = [name for name in _FAMILIES if pd.api.types.is_numeric_dtype(sides[0][name])]
        at_home, away = (
            transfer.follows(scores.scored[(model, name)], side[numbers], **scores.draws).set_index("feature")
            for name, side in zip((str(home), dataset), sides, strict=True)
        )
        tested = away["p_value"].dropna()
        away["p_holm"] = pd.Series(statistics.holm(tested), index=tested.index)
        away["home_correlation"] = at_home["correlation"]
        away = away.rename(columns={"low": "correlation_low", "high": "correlation_high"})[_FOLLOWED]
        shifted.insert(0, "family", shifted["feature"].map(_FAMILIES))
        identity = pd.DataFrame({"model": model, "home": home, "dataset": dataset}, index=shifted.index)
        frames.append(pd.concat([identity, shifted.join(away, on="feature")], axis=1))
    columns = ["model", "home", "dataset", "family", *transfer.SHIFTED, *_FOLLOWED]
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(columns=columns)


def _measured(cell: Cell, features: pd.DataFrame) -> pd.DataFrame:
    """Return the held-out samples with their features, in the order of `transfer.Scored`."""
    held_out = cell.joined.loc[cell.joined["subset"] == "held_out", ["sample_id", "label"]]
    return held_out.merge(features, on="sample_id", how="left", validate="many_to_one")
