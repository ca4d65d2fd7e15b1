"""External predictions: a table with true labels and a detector's predictions or scores, whatever its columns."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from deepfake import tables
from deepfake.datasets import text_tables
from deepfake.datasets.external import clips, columns, keys, labels, scores
from deepfake.datasets.external.columns import NOTHING
from deepfake.datasets.external.options import SKIP, Options
from deepfake.datasets.external.scores import Scores
from deepfake.datasets.label_vocabulary import Classes
from deepfake.datasets.text_tables import refuse
from deepfake.errors import InputError

_WHOLE = {"probability": 1.0, "percent": 100.0}


@dataclass(frozen=True)
class Taken:
    """What was taken for what, to be told.

    Args:
        separator: between columns: comma, semicolon, tab, pipe, blanks.
        header: whether the file names its columns; otherwise they are called 1, 2, ...
        columns: the name of each column that counts, by its role: truth, pred, score, group, source, clip, id.
        named: the roles whose columns the user named; the others were found.
        key: the file that the true labels come from; None: the table itself.
        unused: rows of the key that no prediction is for.
        rows: in the table, before any was left out or joined.
        missing: rows without a score or prediction.
        filled: the score that these got instead; None: they were left out.
        clips_lost: clips of which no row has a score.
        aggregate: how the scores of a clip became one; None: a row is a sample.
        positive: the true labels of the positive class, as in the file.
        negative: those of the other.
        positive_rule: by what they were told apart.
        higher: the class that a higher score speaks for, `positive` or `negative`; None without scores.
        higher_rule: by what that was told.
        scale: what the scores are: probability, percent, confidence or unknown; None without scores.
        scale_rule: by what that was told.
        threshold: where the score was compared; None: nowhere.
        threshold_rule: by what it was chosen; without threshold and calls, why there is none.
        called_positive: the words of `pred` that were taken for the positive class, as in the file; none without it.
        called_negative: those that were taken for the other.
        called_rule: by what they were understood; None without `pred`.
        agreement: the AUC by which scores tell what was predicted; None without both. Below 0.95 they contradict each
            other.
    """

    separator: str
    header: bool
    columns: Mapping[str, str]
    named: tuple[str, ...]
    key: str | None
    unused: int
    rows: int
    missing: int
    aggregate: str | None
    positive: tuple[str, ...]
    negative: tuple[str, ...]
    positive_rule: str
    higher: str | None = None
    higher_rule: str | None = None
    scale: str | None = None
    scale_rule: str | None = None
    threshold: float | None = None
    threshold_rule: str | None = None
    called_positive: tuple[str, ...] = ()
    called_negative: tuple[str, ...] = ()
    called_rule: str | None = None
    agreement: float | None = None
    filled: float | None = None
    clips_lost: int = 0

    @property
    def contradiction(self) -> bool:
        """Whether scores and predictions contradict each other, so that the scores rank nothing."""
        return self.agreement is not None and scores.contradicts(self.agreement)


_OWN = set(tables.PREDICTIONS.columns)
"""The columns that predictions of our own runs have."""


@dataclass(frozen=True)
class ExternalPredictions:
    """Predictions, one row a sample.

    Args:
        labels: 1 for the positive class, else 0, int [n].
        called: what the detector predicts positive, bool [n]; None: its scores have no threshold.
        scores: numbers that grow with the positive class, float [n]; infinite ones are ranks. None: there are none, or
            they contradict what was predicted.
        groups: the number of each sample's group, int [n]; None: there are none.
        sources: who made each sample, [n]; None: it is not known.
        ids: names of the samples, all different, [n]; None: there are none.
        taken: what was taken for what.
    """

    labels: NDArray[np.int64]
    called: NDArray[np.bool_] | None
    scores: NDArray[np.float64] | None
    groups: NDArray[np.int64] | None
    sources: NDArray[np.str_] | None
    ids: list[str] | None
    taken: Taken


def read(path: Path, options: Options) -> ExternalPredictions:
    """Read and check predictions.

    Args:
        path: a table (`text_tables.read`); capitals and blanks around values play no part.
        options: what the user says about it.

    Raises:
        InputError: no such file, a column or a label is missing or may be several, a value is empty, unknown, repeated
            or no number, or labels contradict each other; bad lines are counted, and the first ones shown.
    """
    try:
        table = text_tables.read(path)
        if _OWN.issubset(table.cells.columns):
            raise InputError(
                "predictions of a run of this project: those of different folds are on different scales, and the "
                "samples that it was trained on are among them; what it is worth is in the report (deepfake report)"
            )
        found = columns.find(table, options)
        rows = pd.DataFrame({role: table.cells[name] for role, name in found.items()})
        spare = table.cells[[name for name in table.cells if name not in found.values()]]
        paths = [rows["id"].rename(found["id"])] if "id" in rows else []
        unused = 0
        if options.key is not None:
            key = keys.read(options.key)
            joined = keys.join(rows["id"], key, options.key)
            said = [role for role in joined.rows if getattr(options, str(role)) is not None]
            if "clip" in joined.rows and (options.aggregate is None or "clip" in rows):
                said.append("clip")
            known = joined.rows.drop(columns=said)
            if "group" in known:  # who is in no group is one of his own
                nobody = pd.Series("row " + known.index.astype(str), index=known.index)
                known["group"] = known["group"].where(~_is_nothing(known["group"]), nobody)
            rows = pd.concat([rows.drop(columns=[*known], errors="ignore"), known], axis=1)
            found = found | {str(role): f"{key.columns[str(role)]} of the key" for role in known}
            unused = joined.unused
            spare, paths = pd.concat([spare, joined.others], axis=1), [*paths, joined.names]
        if options.aggregate is not None and "clip" not in rows:
            columns.clips_among([])
        if "group" in rows and options.group is None and rows["group"].nunique() == 1 < len(rows):
            # nobody asked for a group that all rows share
            rows, found = rows.drop(columns="group"), {role: name for role, name in found.items() if role != "group"}
        taken = Taken(
            separator=table.separator,
            header=table.named,
            columns=found,
            named=tuple(role for role in found if getattr(options, role, None) is not None),
            key=None if options.key is None else str(options.key),
            unused=unused,
            rows=len(rows),
            missing=0,
            aggregate=options.aggregate,
            positive=(),
            negative=(),
            positive_rule="",
        )
        return _interpreted(rows, paths, spare, taken, options)
    except InputError as error:
        said = str(error)
        raise InputError(said if said.startswith((str(path), str(options.key))) else f"{path}: {said}") from None


def _interpreted(
    rows: pd.DataFrame, paths: list[pd.Series], spare: pd.DataFrame, taken: Taken, options: Options
) -> ExternalPredictions:
    """Tell what labels, scores and predictions mean."""
    for role in ("truth", "group", "source", "clip", "id"):
        if role in rows and (role not in ("source", "group") or options.key is None):
            _check_filled(rows[role], taken.columns[role])
    rows, numbers, taken = _without_missing(rows, taken, options)
    truth = rows["truth"].rename(taken.columns["truth"])
    paths = [names.loc[rows.index] for names in paths]
    classes = labels.classes(truth, paths, spare.loc[rows.index], options)
    if options.key is not None:
        labels.check_key(truth, classes, spare.loc[rows.index])
    fakes = labels.meaning(truth, classes.positive)
    positive, negative = labels.sides(truth, classes.positive)
    taken = replace(taken, positive=positive, negative=negative, positive_rule=classes.rule)
    if len(positive) > 1 and "source" not in rows and options.negative:
        # each label of a method is who made the sample
        rows = rows.assign(source=rows["truth"])
        taken = replace(taken, columns={**taken.columns, "source": taken.columns["truth"]})
    calls = None
    if "pred" in rows:
        calls = labels.answers(rows["pred"], taken.columns["pred"], classes, rows["truth"])
        sides = {"called_positive": calls.positive, "called_negative": calls.negative, "called_rule": calls.rule}
        taken = replace(taken, **sides)
    called = None if calls is None else calls.called
    growing = None
    if numbers is not None:
        growing, taken = _growing(numbers, called, classes, taken, options)
    if options.aggregate is not None:
        assert growing is not None  # without scores it was refused
        if taken.contradiction:
            raise InputError(
                f"--score-is confidence: many scores in column {taken.columns['score']!r} are below half, so they "
                "speak against what was predicted; leave that option out if they are no confidence"
            )
        fakes, growing, rows = clips.joined(rows, fakes, growing, options.aggregate)
        called = None
    elif "id" in rows:
        _check_unique(rows["id"], taken.columns["id"])
    if called is None and growing is not None and taken.threshold is not None:
        called = growing >= (taken.threshold if taken.higher == "positive" else -taken.threshold)
    if taken.contradiction:
        growing = None
    groups = pd.factorize(rows["group"])[0].astype(np.int64) if "group" in rows else None
    return ExternalPredictions(
        fakes,
        called,
        None if growing is None else scores.finite(growing),
        groups,
        rows["source"].to_numpy(str) if "source" in rows else None,
        rows["id"].tolist() if "id" in rows and options.aggregate is None else None,
        taken,
    )


def _without_missing(rows: pd.DataFrame, taken: Taken, options: Options) -> tuple[pd.DataFrame, Scores | None, Taken]:
    """Return the rows that count, their scores if there are any, and how many had none."""
    if "score" not in rows:
        absent = _is_nothing(rows["pred"])
        if options.missing != "skip":
            _check_filled(rows["pred"], taken.columns["pred"])
        _check_any(absent, "prediction", taken.columns["pred"])
        return rows[~absent], None, replace(taken, missing=int(absent.sum()))
    cells = rows["score"].rename(taken.columns["score"])
    read = scores.read(cells, taken.separator, options)
    filled, absent = scores.fill(read, cells, options.missing)
    lost = set(rows["clip"][absent]) - set(rows["clip"][~absent]) if "clip" in rows and absent.any() else ()
    filled_with = None if options.missing in (None, SKIP) else float(options.missing)
    taken = replace(taken, missing=int(np.isnan(read.values).sum()), filled=filled_with, clips_lost=len(lost))
    if "pred" in rows:
        _check_filled(rows["pred"][~absent], taken.columns["pred"])
    _check_any(absent, "score", taken.columns["score"])
    return rows[~absent], replace(filled, values=filled.values[~absent]), taken


def _growing(
    read: Scores, called: NDArray[np.bool_] | None, classes: Classes, taken: Taken, options: Options
) -> tuple[NDArray[np.float64], Taken]:
    """Return scores that grow with the positive class, and how it was told and where they are compared."""
    if options.score_is == "confidence":
        if called is None:
            raise InputError("--score-is confidence: it needs what was predicted; name that column with --pred COL")
        growing = scores.from_confidence(read.values, called, read.scale)
        half = None if options.aggregate is None else _WHOLE[read.scale] / 2
        taken = replace(taken, scale="confidence", scale_rule="as named", higher="positive", threshold=half)
        taken = replace(taken, threshold_rule="half of the whole", higher_rule="the confidence in what was predicted")
        return growing, replace(taken, agreement=_agreement(growing, called))
    positive, rule = _direction(taken.columns["score"], classes, options)
    agreed = None if called is None else _agreement(read.values if positive else -read.values, called)
    if rule is None:
        rule = "its name does not say"
        if agreed is not None and not scores.contradicts(1 - agreed):
            positive, agreed, rule = False, 1 - agreed, "what was predicted says so"
    threshold, why = (None, None) if called is not None else _threshold(read, options.threshold)
    # the negative, not 1 - p: that would round, and tie what differs
    growing = read.values if positive else -read.values
    return growing, replace(
        taken,
        higher="positive" if positive else "negative",
        higher_rule=rule,
        scale=read.scale,
        scale_rule=read.rule,
        threshold=threshold,
        threshold_rule=why,
        agreement=agreed,
    )


def _agreement(growing: NDArray[np.float64], called: NDArray[np.bool_]) -> float | None:
    """Return how well scores tell what was predicted; None where it is the same of all."""
    agreed = scores.agreement(growing, called)
    return None if np.isnan(agreed) else agreed


def _direction(name: str, classes: Classes, options: Options) -> tuple[bool, str | None]:
    """Return whether a higher score speaks for the positive class, and by what that was told; None: by nothing."""
    if options.higher is not None:
        return (options.higher == "fake") != classes.reversed, "as named"
    by_name = classes.of_score(name)
    return by_name is not False, None if by_name is None else "its name"


def _threshold(read: Scores, named: float | None) -> tuple[float | None, str]:
    """Return where scores are compared, on their own scale, and by which rule; None: it would be invented."""
    if named is not None:
        return named, "as named"
    if read.scale == "unknown":
        return None, f"{read.rule}; give --threshold T"
    return _WHOLE[read.scale] / 2, f"{read.scale}: {read.rule}"


def _is_nothing(cells: pd.Series) -> NDArray[np.bool_]:
    return cells.str.casefold().isin(NOTHING).to_numpy()


def _check_filled(cells: pd.Series, column: str) -> None:
    """Refuse cells that are empty."""
    bad = pd.Series(_is_nothing(cells), index=cells.index)
    refuse(bad, lambda _: f"no value in column {column!r}", "fill it in or remove the row")


def _check_any(absent: NDArray[np.bool_], what: str, column: str) -> None:
    """Refuse a column that is empty throughout."""
    if absent.all():
        raise InputError(f"no row has a {what} in column {column!r}; name another one with --pred or --score COL")


def _check_unique(names: pd.Series, column: str) -> None:
    """Refuse names that are listed twice."""
    first = names.drop_duplicates()
    refuse(
        names.duplicated(),
        lambda row: (
            f"{names.iloc[row]!r} in column {column!r} is listed in line {first.index[first == names.iloc[row]][0]} "
            "already"
        ),
        f"remove one of them, or, if rows share it, say so with --group {column!r}, and for one prediction a clip "
        "also --aggregate mean",
    )
