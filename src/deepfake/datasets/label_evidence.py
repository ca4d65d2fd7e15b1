"""What a table says of its labels beside them: words for a class in the paths, or in another column."""

from collections.abc import Callable, Iterable

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from deepfake import tables
from deepfake.datasets.label_vocabulary import Classes, is_number, meaning, named_class, normal
from deepfake.datasets.layouts.labelling import class_of_folder
from deepfake.errors import InputError

_SILENT = -1
"""What says nothing of a row's class."""


def contradictions(
    fake: NDArray[np.bool_],
    labels: pd.Series,
    paths: pd.Series | None,
    others: Iterable[pd.Series],
    *,
    remedy: str,
) -> None:
    """Raise an error where labels that are numbers contradict words.

    A folder in a row's path is believed at once. Another column, or the names of files, are believed where they
    contradict most rows: they may mean something else (`fake_smile.jpg`, what people answered).

    Args:
        fake: what the numbers are taken for, [n].
        labels: the numbers as the table has them, indexed by lines; the name is that of the column.
        paths: of the files, likewise; None: there are none.
        others: further columns that may hold words for the classes.
        remedy: how to say which number means fake.

    Raises:
        InputError: it shows both, and how many rows are like that.
    """
    for column in others:
        _compare(fake, labels, column, _each(column, meaning), 0.5, remedy)
    if paths is not None:
        parts = paths.str.replace("\\", "/", regex=False).str.rpartition("/")
        _compare(fake, labels, paths, _each(parts[0], _of_folders), 0.0, remedy)
        words = parts[2].str.replace(r"\.\w+$", "", regex=True).str.replace(r"[^a-zA-Z]+", " ", regex=True)
        _compare(fake, labels, paths, _each(words, _of_words), 0.5, remedy)


def in_words(cells: pd.Series) -> pd.Series:
    """Return a column like `is_real` that holds numbers as words for the classes; any other one as it is."""
    name = str(cells.name)
    if not normal(name).startswith("is") or named_class(name) is None:
        return cells
    words = cells.unique()
    if not all(map(is_number, words)):
        return cells
    told = Classes.of(words, column=name).positive
    return cells.map({word: "fake" if told[normal(word)] else "real" for word in words})


def _compare(
    fake: NDArray[np.bool_], labels: pd.Series, column: pd.Series, said: NDArray[np.int8], share: float, remedy: str
) -> None:
    """Raise the error where more than a share of the rows of which something is said contradict it."""
    wrong = (said != _SILENT) & (said != fake)
    if wrong.sum() > share * (said != _SILENT).sum():
        row = int(wrong.argmax())
        taken, told = ("fake" if value else "real" for value in (fake[row], said[row]))
        raise InputError(
            f"line {labels.index[row]}: {labels.iloc[row]!r} in column {labels.name!r} would mean {taken}, but "
            f"{column.iloc[row]!r} in column {column.name!r} says {told} ({wrong.sum():,} of {len(fake):,} rows); "
            f"{remedy}"
        )


def _each(column: pd.Series, judge: Callable[[str], bool | None]) -> NDArray[np.int8]:
    """Return for each row 1 where its text means fake, 0 real, -1 where it says nothing; each text is judged once."""
    codes, texts = pd.factorize(column)
    known = [judge(text) for text in texts]
    return np.array([_SILENT if one is None else one for one in known], np.int8)[codes]


def _of_folders(path: str) -> bool | None:
    """Return what the deepest of some folders says that is called after a class."""
    said = next((said for name in reversed(path.split("/")) if (said := class_of_folder(name)) is not None), None)
    return None if said is None else said == tables.FAKE


def _of_words(text: str) -> bool | None:
    """Return what words say, where they are of one class only."""
    said = {meaning(word) for word in text.split()} - {None}
    return said.pop() if len(said) == 1 else None
