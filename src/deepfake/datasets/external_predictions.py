"""Other people's predictions: a CSV with true labels and a detector's answers or scores, whatever its columns."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from deepfake.datasets.external_columns import Content, Options, Words
from deepfake.datasets.label_vocabulary import Polarity, listed, normal
from deepfake.errors import InputError


@dataclass(frozen=True)
class Taken:
    """What was taken for what, to be told.

    Args:
        separator: between columns: comma, semicolon, tab.
        truth: a column's name, as in the file; so are those that follow.
        pred: None: called by score and threshold.
        score: None: there is none.
        group: None: every row counts as independent.
        source: None: the user names none.
        id: None: rows have no names, and duplicates cannot be seen.
        named: which of the columns the user named; the others were found by what they are called.
        positive: the true labels of the positive class, as in the file.
        negative: those of the other.
        positive_rule: by what they were told apart.
        higher: the class that a higher score speaks for, `positive` or `negative`; None without scores.
        higher_rule: by what that was told.
        threshold: where the score was cut; None: it was not.
        threshold_rule: by what it was chosen.
        called_positive: the words of `pred` that were taken for the positive class, as in the file; none without it.
        called_negative: those that were taken for the other.
        called_rule: by what they were understood; None without `pred`.
    """

    separator: str
    truth: str
    pred: str | None
    score: str | None
    group: str | None
    source: str | None
    id: str | None
    named: tuple[str, ...]
    positive: tuple[str, ...]
    negative: tuple[str, ...]
    positive_rule: str
    higher: str | None
    higher_rule: str | None
    threshold: float | None
    threshold_rule: str | None
    called_positive: tuple[str, ...]
    called_negative: tuple[str, ...]
    called_rule: str | None


@dataclass(frozen=True)
class Foreign:
    """Predictions as the file has them, one row a sample.

    Args:
        labels: 1 for the positive class, else 0, int [n]; both occur.
        called: what the detector calls positive, bool [n].
        scores: finite numbers that grow with the positive class, float [n]; None: there are none.
        groups: the number of each sample's group, int [n]; None: there are none.
        sources: who made each sample, [n]; None: it is not known.
        ids: names of the samples, all different, [n]; None: there are none.
        taken: what was taken for what.
    """

    labels: NDArray[np.int64]
    called: NDArray[np.bool_]
    scores: NDArray[np.float64] | None
    groups: NDArray[np.int64] | None
    sources: NDArray[np.str_] | None
    ids: list[str] | None
    taken: Taken


class _Calls(NamedTuple):
    """What samples are called, bool [n], and how answers in words were understood (`Taken.called_positive`, ...)."""

    called: NDArray[np.bool_]
    positive: tuple[str, ...] = ()
    negative: tuple[str, ...] = ()
    rule: str | None = None


def read(path: Path, options: Options) -> Foreign:
    """Read and check predictions.

    Args:
        path: a CSV file in UTF-8 with a header, with or without a byte order mark, separated by commas, semicolons or
            tabs; capitals and blanks around values play no part.
        options: what the user says about it.

    Raises:
        InputError: no such file, a column or a label is missing or may be several, a value is empty, unknown, repeated
            or no finite number, or there is one class only; it names the line where there is one, as an editor counts.
    """
    if path.is_dir():
        raise InputError(f"{path}: a folder; name a CSV file with predictions")
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            content = Content.read(file, options)
        return _interpreted(content, options)
    except FileNotFoundError:
        raise InputError(f"{path}: not found") from None
    except UnicodeDecodeError:
        raise InputError(f"{path}: not UTF-8; save it again as CSV UTF-8") from None
    except InputError as error:
        raise InputError(f"{path}: {error}") from None


def _interpreted(content: Content, options: Options) -> Foreign:
    """Tell what labels, answers and scores mean."""
    name = content.names
    try:
        polarity = Polarity.of(content.truth.lines, options.positive)
    except InputError as error:
        raise InputError(f"column {name['truth']!r}: {error}{_where(content.truth)}") from None
    labels = _meaning(content.truth, polarity.positive)
    positive, negative = _sides(content.truth, polarity.positive)
    if not (positive and negative):
        raise InputError(
            f"column {name['truth']!r} holds one class only ({listed(positive or negative)}); metrics need both"
        )
    higher = None if content.scores is None else polarity.of_score(name["score"])
    # the negative, not 1 - p: that would round, and tie what differs
    scores = -content.scores if content.scores is not None and higher is False else content.scores
    threshold, rule = None, None
    if content.pred is not None:
        calls = _answers(content.pred, polarity, content.truth)
    else:
        assert content.scores is not None and scores is not None  # there is one of the two
        threshold, rule = _threshold(content.scores, options.threshold)
        calls = _Calls(scores >= (-threshold if higher is False else threshold))
    taken = Taken(
        separator=content.separator,
        truth=name["truth"],
        pred=name.get("pred"),
        score=name.get("score"),
        group=name.get("group"),
        source=name.get("source"),
        id=name.get("id"),
        named=tuple(role for role in name if getattr(options, role, None) is not None),
        positive=positive,
        negative=negative,
        positive_rule=polarity.rule,
        higher=None if scores is None else "negative" if higher is False else "positive",
        higher_rule=None if scores is None else "its name does not say" if higher is None else "its name",
        threshold=threshold,
        threshold_rule=rule,
        called_positive=calls.positive,
        called_negative=calls.negative,
        called_rule=calls.rule,
    )
    groups = None if content.group is None else content.group.codes()
    sources = None if content.source is None else np.array(list(content.source.lines))[content.source.codes()]
    return Foreign(labels, calls.called, scores, groups, sources, content.ids, taken)


def _threshold(scores: NDArray[np.float64], named: float | None) -> tuple[float, str]:
    """Return where scores are cut, on their own scale, and by which rule."""
    if named is not None:
        return named, "as named"
    if scores.min() >= 0 and scores.max() <= 1:
        return 0.5, "all scores lie between 0 and 1"
    return 0.0, "scores lie outside 0 and 1"


def _meaning(words: Words, positive: Mapping[str, bool]) -> NDArray[np.int64]:
    """Return 1 where a row's word is of the positive class, else 0, [n]."""
    return np.array([positive[normal(word)] for word in words.lines], dtype=np.int64)[words.codes()]


def _sides(words: Words, positive: Mapping[str, bool]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the words of the positive class and those of the other, as in the file."""
    of_positive = tuple(word for word in words.lines if positive[normal(word)])
    return of_positive, tuple(word for word in words.lines if not positive[normal(word)])


def _answers(pred: Words, polarity: Polarity, truth: Words) -> _Calls:
    """Return what the detector answered."""
    meaning = polarity.of_calls(pred.lines)
    if meaning is not None:
        rule = "words of the truth" if meaning.keys() <= polarity.positive.keys() else "known words"
        return _Calls(_meaning(pred, meaning) == 1, *_sides(pred, meaning), rule)
    strange = [word for word in pred.lines if normal(word) not in polarity.positive]
    hint = "use the same words, or 1 and 0"
    if all(re.fullmatch(r"[+-]?[\d.]+(e[+-]?\d+)?", word.casefold()) for word in strange):
        hint = f"if these are scores: --score {pred.column!r}"
    raise InputError(
        f"line {pred.lines[strange[0]]}: column {pred.column!r} has {listed(pred.lines)}, which is not understood "
        f"beside {listed(truth.lines)} in column {truth.column!r}; {hint}"
    )


def _where(words: Words) -> str:
    """Say in which lines different labels stand first, when they are few."""
    lines: dict[str, int] = {}
    for word, line in words.lines.items():
        lines.setdefault(normal(word), line)
    return f" (first in line {', '.join(map(str, lines.values()))})" if len(lines) <= 10 else ""
