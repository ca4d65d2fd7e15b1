"""What a column of scores means: numbers as people write them, their scale, and the class that they speak for."""

import re
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from deepfake.datasets.external.columns import NOTHING
from deepfake.datasets.external.options import SKIP, Options
from deepfake.datasets.text_tables import refuse
from deepfake.errors import InputError

Scale = Literal["probability", "percent", "unknown"]
_PERCENT = 50
"""Numbers between 0 and 100 are percent only if one is above it: below, they may be anything."""
_NO_SHARES = frozenset(["logit", "logits", "llr"])
"""What is no probability, wherever its numbers lie."""
_NO_SCORE = -1
"""What many write where no face was found; as a score, it is below all probabilities."""
_CONTRADICTED = 0.95
"""The AUC by which scores that belong to predictions tell these apart at least; thresholds of several folds may differ,
which lowers it a little."""


@dataclass(frozen=True)
class Scores:
    """A column of scores.

    Args:
        values: as in the file, [n]; NaN where there is none; percent signs are taken off.
        scale: what the numbers may be by their range.
        rule: by what that was told.
    """

    values: NDArray[np.float64]
    scale: Scale
    rule: str


def read(cells: pd.Series, separator: str, options: Options) -> Scores:
    """Read the numbers of a column.

    Args:
        cells: their text, indexed by lines.
        separator: what parts the table's columns; where it is no comma, a comma may be the decimal point.
        options: what the user says of the scale.

    Raises:
        InputError: cells are no numbers, or `--score-is` does not fit them.
    """
    missing = cells.str.casefold().isin(NOTHING).to_numpy()
    percent = cells.str.endswith("%").to_numpy(bool)
    text = cells.str.removesuffix("%").str.rstrip() if (signed := bool(percent.any())) else cells
    if separator != "comma" and text.str.contains(",", regex=False).any():
        _check_commas(cells, text, missing)
        text = text.str.replace(",", ".", regex=False)
    # Python and pandas read 1_0 as 10, nobody else does
    values = pd.to_numeric(text.where(~text.str.contains("_", regex=False), "?"), errors="coerce").to_numpy(float)
    # 1e999 would be infinite, though nobody wrote that
    huge = np.isinf(values) & ~text.str.contains("inf", case=False, regex=False).to_numpy()
    bad = (np.isnan(values) & ~missing) | huge
    refuse(
        pd.Series(bad, index=cells.index),
        lambda row: f"{cells.iloc[row]!r} in column {cells.name!r} is no number",
        "every sample needs a score like 0.25",
    )
    refuse(
        pd.Series(signed & ~percent & ~missing, index=cells.index),
        lambda row: f"{cells.iloc[row]!r} in column {cells.name!r} has no percent sign, and others have one",
        "write all scores one way",
    )
    return _scaled(np.where(missing, np.nan, values), signed, cells, options)


def _check_commas(cells: pd.Series, text: pd.Series, missing: NDArray[np.bool_]) -> None:
    """Refuse numbers in which a comma may part thousands, not decimals."""
    comma = text.str.contains(",", regex=False).to_numpy(bool)
    point = text.str.contains(".", regex=False).to_numpy(bool)
    grouped = text.str.fullmatch(r"[+-]?[1-9]\d{0,2}(,\d{3})+").to_numpy(bool)
    # 1,234 beside 567: in a column of decimals some other one has fewer or more digits, or begins with 0
    bad = grouped if (grouped == comma).all() and not (comma | missing).all() else comma & point
    bad = bad if bad.any() else point
    hint = "is it the point or the comma that parts decimals? write 1234.5"
    refuse(pd.Series(bad, index=cells.index), lambda row: f"{cells.iloc[row]!r}", hint)


def _scaled(values: NDArray[np.float64], signed: bool, cells: pd.Series, options: Options) -> Scores:
    """Tell the scale of scores by their range, or hold it against what the user says."""
    low, high = np.nanmin(values, initial=np.inf), np.nanmax(values, initial=-np.inf)
    in_one, in_hundred = low >= 0 and high <= 1, low >= 0 and high <= 100
    said = options.score_is
    if said == "probability" and not in_one:
        raise InputError(f"--score-is probability: column {cells.name!r} goes from {low:g} to {high:g}, not 0 to 1")
    if said == "percent" and not in_hundred:
        raise InputError(f"--score-is percent: column {cells.name!r} goes from {low:g} to {high:g}, not 0 to 100")
    if said == "confidence" and not in_hundred:
        raise InputError(f"--score-is confidence: column {cells.name!r} goes from {low:g} to {high:g}, not 0 to 1")
    if said in ("probability", "percent"):
        return Scores(values, said, "as named")
    if words := _words_of(str(cells.name)) & _NO_SHARES:
        return Scores(values, "unknown", f"no probabilities: the column is called {words.pop()}")
    if in_one and not signed:
        return Scores(values, "probability", "all lie between 0 and 1")
    if in_hundred and (signed or high > _PERCENT or said == "confidence"):
        return Scores(values, "percent", "with a percent sign" if signed else "all lie between 0 and 100")
    rule = "no probabilities: they lie outside 0 and 1"
    others = values[~np.isnan(values) & (values != _NO_SCORE)]
    if low == _NO_SCORE and len(others) and others.min() >= 0 and high <= 1:
        rule = f"{(values == _NO_SCORE).sum():,} are -1, the others lie in 0 to 1; where -1 is no score, leave it empty"
    return Scores(values, "unknown", rule)


def _words_of(name: str) -> set[str]:
    return set(re.split(r"[^a-z]+", name.casefold()))


def fill(scores: Scores, cells: pd.Series, missing: str | None) -> tuple[Scores, NDArray[np.bool_]]:
    """Return scores with those filled in that are missing, and which rows are to be left out.

    Raises:
        InputError: scores are missing, and the user does not say what becomes of them.
    """
    absent: NDArray[np.bool_] = np.isnan(scores.values)
    none = np.zeros(len(absent), dtype=bool)
    if missing is None:
        refuse(
            pd.Series(absent, index=cells.index),
            lambda _: f"no value in column {cells.name!r}",
            "fill it in, or say what becomes of such rows with --missing skip or --missing VALUE",
        )
        return scores, none
    if missing == SKIP:
        return scores, absent
    try:
        value = float(missing)
    except ValueError:
        value = np.nan
    if not np.isfinite(value):
        raise InputError(f"--missing: {missing!r} is neither skip nor a number")
    whole = {"probability": 1, "percent": 100}.get(scores.scale, np.inf)
    if absent.any() and scores.scale != "unknown" and not 0 <= value <= whole:
        raise InputError(
            f"--missing {missing}: column {cells.name!r} goes from 0 to {whole:g}; name a score like these"
        )
    if absent.any() and scores.scale == "percent" and 0 < value <= 1:
        raise InputError(f"--missing {missing}: column {cells.name!r} is in percent; write 50 for 0.5")
    return Scores(np.where(absent, value, scores.values), scores.scale, scores.rule), none


def from_confidence(values: NDArray[np.float64], called: NDArray[np.bool_], scale: Scale) -> NDArray[np.float64]:
    """Return the score of the positive class where scores are the confidence in what was predicted."""
    return np.where(called, values, (100 if scale == "percent" else 1) - values)


def agreement(scores: NDArray[np.float64], called: NDArray[np.bool_]) -> float:
    """Return the AUC with which scores tell predictions apart; 1 where they follow one threshold, NaN without both."""
    from scipy.stats import rankdata

    positives = int(called.sum())
    pairs = positives * (len(called) - positives)
    if not pairs:
        return float("nan")
    return float((rankdata(scores)[called].sum() - positives * (positives + 1) / 2) / pairs)


def contradicts(agreed: float) -> bool:
    """Tell by the `agreement` whether predictions and scores contradict each other."""
    return agreed < _CONTRADICTED


def finite(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return scores in the same order without infinite ones: their ranks, where there are any."""
    if np.isfinite(scores).all():
        return scores
    return np.unique(scores, return_inverse=True)[1].astype(float)
