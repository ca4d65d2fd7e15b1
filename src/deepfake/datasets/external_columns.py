"""The rows of a CSV with somebody's predictions: which columns count, and what stands in them."""

import csv
import math
import re
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TextIO

import numpy as np
from numpy.typing import NDArray

from deepfake.datasets.label_vocabulary import listed, names_a_score
from deepfake.errors import InputError, unknown

_SEPARATORS = {",": "comma", ";": "semicolon", "\t": "tab"}
_NAMES = {
    "truth": "label labels true truth y_true target actual ground_truth groundtruth gt true_label label_true class y",
    "pred": "pred preds prediction predictions predicted y_pred y_hat yhat pred_label predicted_label label_pred "
    "decision verdict",
    "group": "group groups group_id speaker speaker_id video video_id identity identity_id subject subject_id person "
    "person_id",
    "id": "id sample_id file filename file_name path filepath file_path utt utt_id utterance image img audio",
}
"""What columns are called that hold the truth, and so on; scores by `label_vocabulary.names_a_score`."""
_MOST_LABELS = 20
"""A column with more different words holds no labels."""
_NOTHING = {"", "nan", "na", "n/a", "none", "null"}


@dataclass(frozen=True)
class Options:
    """What the user says about the file; None: it is found.

    Args:
        truth: the column of the true labels.
        pred: the column of what the detector called each sample.
        score: the column of its scores.
        positive: the true label of the positive class.
        group: the column of what binds samples that are not independent.
        threshold: the score from which on a sample is called positive, on the scale of the column.
        source: the column of who made each sample; never found by itself.
    """

    truth: str | None = None
    pred: str | None = None
    score: str | None = None
    positive: str | None = None
    group: str | None = None
    threshold: float | None = None
    source: str | None = None


class Words:
    """A column of words that repeat: each kept once, with the line where it first stands.

    Args:
        column: what it is called.
        most: how many different words it may hold; None: any number.
        hint: what to do if there are more.
    """

    def __init__(self, column: str, most: int | None = None, hint: str = "") -> None:
        self.column, self.most, self.hint = column, most, hint
        self.lines: dict[str, int] = {}
        self._numbers: dict[str, int] = {}
        self._codes = array("q")

    def add(self, cell: str, line: int) -> None:
        """Take the next row's word; `line` is where the row begins."""
        word = cell.strip()
        number = self._numbers.get(word)
        if number is None:
            number = self._numbers[word] = len(self._numbers)
            self.lines[word] = line
            if word.casefold() in _NOTHING:
                raise InputError(f"line {line}: no value in column {self.column!r}; fill it in or remove the row")
            if self.most is not None and number >= self.most:
                raise InputError(
                    f"line {line}: column {self.column!r} has more than {self.most} different values, so it holds no "
                    f"labels; {self.hint}"
                )
        self._codes.append(number)

    def codes(self) -> NDArray[np.int64]:
        """Return the number of each row's word, in the order of `lines`, [n]."""
        return np.array(self._codes, dtype=np.int64)


@dataclass(frozen=True)
class Content:
    """The columns that count, read once from the first row to the last.

    Args:
        separator: between columns: comma, semicolon or tab.
        names: what the columns of truth, pred, score, group, source and id are called, those that there are; truth is,
            and one of pred and score.
        truth: the true labels.
        pred: what the detector called each sample.
        group: each sample's group.
        source: who made each sample.
        scores: finite numbers, [n].
        ids: all different, [n].
    """

    separator: str
    names: dict[str, str]
    truth: Words
    pred: Words | None
    group: Words | None
    source: Words | None
    scores: NDArray[np.float64] | None
    ids: list[str] | None

    @classmethod
    def read(cls, file: TextIO, options: Options) -> "Content":
        """Find the columns and read them.

        Args:
            file: a CSV from its beginning, opened as the module csv asks for.
            options: which columns the user names.

        Raises:
            InputError: a column is missing or may be several, a row is uneven, or a value empty, repeated or no number.
        """
        separator = _separator(next((line for line in file if line.strip()), ""))
        file.seek(0)
        lines = _lines(file, separator)
        _, cells = next(lines, (0, []))
        header = [name.strip() for name in cells]
        columns = _columns(header, options)
        names = {role: header[place] for role, place in columns.items()}
        truth = Words(names["truth"], _MOST_LABELS, "name another one with --truth COL")
        pred = Words(names["pred"], _MOST_LABELS, "scores are named with --score COL") if "pred" in names else None
        group = Words(names["group"]) if "group" in names else None
        source = (
            Words(names["source"], _MOST_LABELS, "name another one with --source COL") if "source" in names else None
        )
        read = {"truth": truth, "pred": pred, "group": group, "source": source}
        words = [(columns[role], of) for role, of in read.items() if of]
        score, ident = columns.get("score"), columns.get("id")
        scores, ids = array("d"), dict[str, int]()
        for line, cells in lines:
            if len(cells) != len(header):
                raise InputError(
                    f"line {line}: {len(cells)} values for {len(header)} columns; put a value that holds the separator "
                    'between "quotes"'
                )
            for place, column in words:
                column.add(cells[place], line)
            if score is not None:
                scores.append(_number(cells[score], names["score"], line))
            if ident is not None:
                _keep(ids, cells[ident].strip(), names["id"], line)
        if not truth.lines:
            raise InputError("no rows below the header; it needs one a sample")
        has_scores, has_ids = score is not None, ident is not None
        return cls(
            _SEPARATORS[separator],
            names,
            truth,
            pred,
            group,
            source,
            np.array(scores) if has_scores else None,
            list(ids) if has_ids else None,
        )


def _separator(line: str) -> str:
    """Return what parts a header into the most columns; a comma where nothing does."""
    return max(_SEPARATORS, key=line.count)


def _lines(file: TextIO, separator: str) -> Iterator[tuple[int, list[str]]]:
    """Yield the line that each row begins in, and its cells; lines that are blank are passed over."""
    reader = csv.reader(file, delimiter=separator, strict=True, skipinitialspace=True)
    line = 1
    try:
        for cells in reader:
            if cells:
                yield line, cells
            line = reader.line_num + 1
    except csv.Error as error:
        raise InputError(f"line {line}: not valid CSV ({error}); mend the quotes there") from None


def _columns(header: list[str], options: Options) -> dict[str, int]:
    """Return where the columns of truth, pred, score, group, source and id stand, those that there are."""
    if not header:
        raise InputError("the file is empty; it needs a header, and a row a sample")
    for name in filter(None, header):
        if header.count(name) > 1:
            raise InputError(f"line 1: column {name!r} stands there more than once; remove or rename one")
    named = {role: getattr(options, role) for role in ("truth", "pred", "score", "group", "source")}
    columns = {role: _named(name, role, header) for role, name in named.items() if name is not None}
    if len(set(columns.values())) < len(columns):
        raise InputError(f"one column for two of {', '.join(f'--{role}' for role in columns)}; name different ones")
    # whoever gives a threshold wants to see it at work
    roles = (
        ["truth", "score", "group", "id"]
        if options.threshold is not None
        else ["truth", "pred", "score", "group", "id"]
    )
    for role in roles:
        if role not in columns and (place := _found(role, header, set(columns.values()))) is not None:
            columns[role] = place
    shown = listed(header)
    if "truth" not in columns:
        more = "" if len(header) > 1 else ", in a file that is separated by commas, semicolons or tabs"
        raise InputError(f"no column of true labels; found: {shown}; name it with --truth COL{more}")
    if options.threshold is not None and not math.isfinite(options.threshold):
        raise InputError("--threshold: give a finite number")
    if options.threshold is not None and "pred" in columns:
        raise InputError("--pred and --threshold both say what is called positive; leave one of them out")
    if options.threshold is not None and "score" not in columns:
        raise InputError(f"no column of scores for --threshold; found: {shown}; name it with --score COL")
    if not columns.keys() & {"pred", "score"}:
        raise InputError(f"no column of predictions; found: {shown}; name it with --pred COL or --score COL")
    return columns


def _named(name: str, role: str, header: list[str]) -> int:
    """Return where a column stands that the user named; capitals count only where two names differ by nothing else."""
    if name in header:
        return header.index(name)
    alike = [place for place, column in enumerate(header) if column.casefold() == name.strip().casefold()]
    if len(alike) != 1:
        raise InputError(f"--{role}: {unknown('column', name, filter(None, header))}")
    return alike[0]


def _found(role: str, header: list[str], taken: set[int]) -> int | None:
    """Return where the column stands that is called like a role; None: there is none."""
    known = _NAMES.get(role, "").split()
    plain = [re.sub(r"[\s.-]+", "_", name.casefold()) for name in header]
    places = [
        place
        for place, name in enumerate(plain)
        if place not in taken and (names_a_score(name) if role == "score" else name in known)
    ]
    if role == "id":  # whichever: it only serves to see duplicates
        places = sorted(places, key=lambda place: known.index(plain[place]))[:1]
    if len(places) > 1:
        several = listed(header[place] for place in places)
        raise InputError(f"{several} may each be the column of --{role}; say which one with --{role} COL")
    return places[0] if places else None


def _keep(ids: dict[str, int], name: str, column: str, line: int) -> None:
    """Note the line of a sample's name; none may stand there twice."""
    if not name:
        raise InputError(f"line {line}: no value in column {column!r}; fill it in or remove the row")
    if (first := ids.setdefault(name, line)) != line:
        raise InputError(
            f"line {line}: {name!r} in column {column!r} stands in line {first} already; remove one of them, or, "
            f"if rows share it, say so with --group {column!r}"
        )


def _number(cell: str, column: str, line: int) -> float:
    """Return a score; every one must be a finite number, written with a decimal point."""
    try:
        number = math.nan if "_" in cell else float(cell)  # Python reads 1_0 as 10, nobody else does
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        what = f"{cell.strip()!r} is no finite number" if cell.strip() else "no value"
        raise InputError(f"line {line}: {what} in column {column!r}; every sample needs a score like 0.25")
    return number
