"""What the words of a table mean: its true labels, and what a detector predicted."""

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from deepfake.datasets import label_evidence
from deepfake.datasets.external import columns
from deepfake.datasets.external.columns import MOST_LABELS
from deepfake.datasets.external.options import Options
from deepfake.datasets.label_vocabulary import Classes, is_number, listed, normal
from deepfake.datasets.text_tables import refuse
from deepfake.errors import InputError


class Calls(NamedTuple):
    """What samples are predicted, bool [n], and how words were understood (`Taken.called_positive`, ...)."""

    called: NDArray[np.bool_]
    positive: tuple[str, ...]
    negative: tuple[str, ...]
    rule: str


def classes(truth: pd.Series, paths: Sequence[pd.Series], spare: pd.DataFrame, options: Options) -> Classes:
    """Tell which labels are positive; labels that are numbers must not contradict words.

    Args:
        truth: the labels, named after their column, indexed by lines.
        paths: the names of the samples, likewise, in the table and in the key.
        spare: the table's columns that nothing else is known of.
        options: what the user says.

    Raises:
        InputError: labels cannot be told apart, or contradict each other.
    """
    words = truth.unique()
    if len(words) > MOST_LABELS and not options.negative:
        raise InputError(
            f"column {truth.name!r} has more than {MOST_LABELS} different values, so it holds no labels; name another "
            "one with --truth COL"
        )
    try:
        found = Classes.of(words, options.positive, options.negative, str(truth.name))
    except InputError as error:
        raise InputError(f"column {truth.name!r}: {error}{_first_lines(truth)}") from None
    if not (options.positive or options.negative) and all(map(is_number, words)):
        fake = meaning(truth, found.positive) == 1
        right, turned = (next((w for w in words if found.positive[normal(w)] is side), "0") for side in (True, False))
        remedy = f"say which one is fake: --positive {turned} if the words are right, --positive {right} if not"
        others = [label_evidence.in_words(spare[name]) for name in spare]
        others = [column for column in others if columns.hold_classes(column)]
        label_evidence.contradictions(fake, truth, None, others, remedy=remedy)
        for names in paths:
            label_evidence.contradictions(fake, truth, names, (), remedy=remedy)
    return found


def check_key(truth: pd.Series, classes: Classes, own: pd.DataFrame) -> None:
    """Refuse labels of the table that contradict those of the key.

    Args:
        truth: the labels of the key, indexed by lines.
        classes: which of them are positive.
        own: the table's columns that nothing else is known of.
    """
    fake = meaning(truth, classes.positive) == 1
    for name in columns.called_like("truth", [str(name) for name in own]):
        words = own[name].unique()
        told = classes.of_calls(words) if len(words) <= MOST_LABELS else None
        if told is None:
            continue
        wrong = (meaning(own[name], told) == 1) != fake
        refuse(
            pd.Series(wrong, own.index),
            lambda row, name=name: f"{own[name].iloc[row]!r} in column {name!r}, but {truth.iloc[row]!r} in the key",
            f"if that column is what was predicted: --pred {name!r}; otherwise leave --key out or correct one of them",
        )


def answers(pred: pd.Series, column: str, classes: Classes, truth: pd.Series) -> Calls:
    """Return what the detector predicted."""
    words = [str(word) for word in pred.unique()[: MOST_LABELS + 1]]
    understood = classes.of_calls(words) if len(words) <= MOST_LABELS else None
    if understood is not None:
        rule = "words of the truth" if understood.keys() <= classes.positive.keys() else "known words"
        return Calls(meaning(pred, understood) == 1, *sides(pred, understood), rule)
    strange = [word for word in words if normal(word) not in classes.positive]
    line = pred.index[int((pred == strange[0]).to_numpy().argmax())]
    hint = "use the same words, or 1 and 0"
    if all(re.fullmatch(r"[+-]?[\d.]+(e[+-]?\d+)?", word.casefold()) for word in strange):
        hint = f"if these are scores: --score {column!r}"
    raise InputError(
        f"line {line}: column {column!r} has {listed(words, 5)}, which is not understood beside "
        f"{listed(truth.unique(), 5)} in the truth; {hint}"
    )


def meaning(words: pd.Series, positive: Mapping[str, bool]) -> NDArray[np.int64]:
    """Return 1 where a row's word is of the positive class, else 0, [n]."""
    codes, known = pd.factorize(words)
    return np.array([positive[normal(word)] for word in known], dtype=np.int64)[codes]


def sides(words: pd.Series, positive: Mapping[str, bool]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the words of the positive class and those of the other, as in the file."""
    known = [str(word) for word in words.unique()]
    of_positive = tuple(word for word in known if positive[normal(word)])
    return of_positive, tuple(word for word in known if not positive[normal(word)])


def _first_lines(words: pd.Series) -> str:
    """Say in which lines different labels are first, when they are few."""
    lines: dict[str, int] = {}
    for line, word in words.drop_duplicates().items():
        lines.setdefault(normal(str(word)), int(str(line)))
    return f" (first in line {', '.join(map(str, lines.values()))})" if len(lines) <= 10 else ""
