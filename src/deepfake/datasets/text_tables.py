"""Tables as people save them: text with columns, whatever parts these and however it is encoded."""

import csv
import io
import json
import re
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from deepfake.datasets.label_vocabulary import meaning
from deepfake.errors import InputError

_SEPARATORS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "pipe"}
_BLANKS = "blanks"
_JSON_LINES = (".jsonl", ".ndjson")
_PARQUET = ".parquet"
_BYTE_ORDER_MARKS = ((b"\xef\xbb\xbf", "utf-8"), (b"\xff\xfe", "utf-16-le"), (b"\xfe\xff", "utf-16-be"))
_SHOWN = 5
"""Bad lines that a message shows; all are counted."""
NUMBER = re.compile(r"[+-]?(\d+[.,]?\d*|[.,]\d+)(e[+-]?\d+)?( ?%)?|[+-]?(inf|infinity)", re.IGNORECASE)


@dataclass(frozen=True)
class TextTable:
    """A table whose cells are text.

    Args:
        cells: without the blanks around them, one column a name; its index is the line that a row begins in, as an
            editor counts.
        named: whether the file names its columns; otherwise they are called 1, 2, 3, ...
        separator: comma, semicolon, tab, pipe or blanks; JSON and Parquet have their own.
        encoding: utf-8, utf-16-le or utf-16-be.
        comments: lines passed over because they begin with #.
    """

    cells: pd.DataFrame
    named: bool
    separator: str
    encoding: str
    comments: int


def read(path: Path) -> TextTable:
    """Read a table.

    Args:
        path: text in UTF-8, or in UTF-16 as spreadsheets save it, with or without a byte order mark; or JSON, by its
            suffix: an object with a value or an object for each name, a list of objects, or an object a line
            (.jsonl); or Parquet (.parquet). A first line `sep=;` says what parts the columns; otherwise the first row
            does, which may be the header or not.

    Raises:
        InputError: there is no such file, it is no text, or rows are uneven; the message starts with the path.
    """
    if path.is_dir():
        raise InputError(f"{path}: a folder; name a CSV file")
    try:
        if path.suffix.lower() == _PARQUET:
            return _of_parquet(path)
        text, encoding = _decoded(path.read_bytes())
        if path.suffix.lower() in _JSON_LINES:
            return _of_objects(_json_lines(text), encoding)
        return _of_json(text, encoding) if path.suffix.lower() == ".json" else _parsed(text, encoding)
    except FileNotFoundError:
        raise InputError(f"{path}: not found") from None
    except InputError as error:
        raise InputError(f"{path}: {error}") from None


def refuse(bad: "pd.Series[bool]", what: Callable[[int], str], hint: str) -> None:
    """Raise an error about the lines for which `bad` is true, if there are any: all counted, the first five shown.

    Args:
        bad: indexed by lines.
        what: says of a row, by its place, what is wrong with it.
        hint: what to do.
    """
    places = bad.to_numpy().nonzero()[0]
    if len(places):
        raise told([(int(str(bad.index[place])), what(int(place))) for place in places[:_SHOWN]], len(places), hint)


def told(first: Sequence[tuple[int, str]], count: int, hint: str) -> InputError:
    """Return the error about lines that cannot be used: the first of them, each with what is wrong, and how many."""
    rest = count - len(first)
    if count > 1 and len({what for _, what in first}) == 1:
        lines = ", ".join(f"{line}" for line, _ in first) + (f" and {rest:,} more" if rest else "")
        return InputError(f"lines {lines}: {first[0][1]}; {hint}")
    lines = "; ".join(f"line {line}: {what}" for line, what in first) + (f"; and {rest:,} more" if rest else "")
    return InputError(f"{f'{count:,} bad lines: ' if count > 1 else ''}{lines}; {hint}")


def _decoded(data: bytes) -> tuple[str, str]:
    """Return a file's text, and how it was encoded."""
    mark, encoding = next((found for found in _BYTE_ORDER_MARKS if data.startswith(found[0])), (b"", "utf-8"))
    if not mark:
        # Latin letters in UTF-16 have a zero byte each
        for name, zeros in (("utf-16-le", data[1:400:2]), ("utf-16-be", data[:400:2])):
            if len(zeros) > 1 and zeros.count(0) > 0.9 * len(zeros):
                encoding = name
    try:
        text = data[len(mark) :].decode(encoding)
    except UnicodeDecodeError as error:
        line = data[: len(mark) + error.start].count(b"\n") + 1
        raise InputError(f"line {line}: not UTF-8; save it again as CSV UTF-8") from None
    if "\0" in text:
        raise InputError("not a text file; save it as CSV UTF-8")
    return text, encoding


def _of_json(text: str, encoding: str) -> TextTable:
    """Read objects as rows: a number or word alone is the `score`, the name of an object the `file`."""
    try:
        content = json.loads(text)
    except json.JSONDecodeError as error:
        raise InputError(f"line {error.lineno}: not valid JSON ({error.msg})") from None
    if isinstance(content, dict):
        known = {name: value if isinstance(value, dict) else {"score": value} for name, value in content.items()}
        content = [{"file": name, **value} for name, value in known.items()]
    return _of_objects(content, encoding)


def _of_parquet(path: Path) -> TextTable:
    """Read a table of typed columns; numbers keep all their digits."""
    try:
        return _of_cells(pd.read_parquet(path), "Parquet", "utf-8")
    except FileNotFoundError:
        raise
    except (OSError, ValueError):  # pyarrow's errors are both
        raise InputError("not a Parquet file, or a damaged one") from None


def _json_lines(text: str) -> list[object]:
    """Read a value from each line that is not empty."""
    values = []
    for number, line in enumerate(text.split("\n"), start=1):
        try:
            values += [json.loads(line)] if line.strip() else []
        except json.JSONDecodeError as error:
            raise InputError(f"line {number}: not valid JSON ({error.msg})") from None
    return values


def _of_objects(content: object, encoding: str) -> TextTable:
    """Read a list of objects as rows."""
    if not isinstance(content, list) or not content or not all(isinstance(row, dict) for row in content):
        raise InputError("no rows in it; expected an object for each file, by its name, or a list of objects")
    return _of_cells(pd.DataFrame(content), "JSON", encoding)


def _of_cells(cells: pd.DataFrame, separator: str, encoding: str) -> TextTable:
    """Return values as text."""
    cells = cells.map(lambda value: "" if value is None or value != value else str(value).strip()).astype("str")
    return TextTable(cells.set_axis(pd.RangeIndex(1, len(cells) + 1), axis="index"), True, separator, encoding, 0)


def _parsed(text: str, encoding: str) -> TextTable:
    """Tell rows and columns apart."""
    stream = io.StringIO(text, newline="")
    said = re.match(r"sep=(.)\r?\n", text)
    first = 2 if said else 1
    if said:
        stream.readline()
    lines = _Lines(stream)
    if (begin := re.search(r"^(?!#).*\S.*$", text[said.end() if said else 0 :], re.MULTILINE)) is None:
        raise InputError("the file is empty; it needs a row a sample")
    separator = said[1] if said else _separator(begin[0])
    source = iter(lines) if re.search("^#", text, re.MULTILINE) else stream
    # one list of cells, not one a row: millions of lists would keep the garbage collector busy
    numbers, flat, uneven, wide = array("q"), list[str](), list[tuple[int, int]](), 0
    for line, cells in _rows(source, separator):
        wide = wide or len(cells)
        if len(cells) == wide:
            numbers.append(line + first - 1)
            flat.extend(cells)
        else:
            uneven.append((line + first - 1, len(cells)))
    if uneven:
        shown = [(line, f"{count} values for {wide} columns") for line, count in uneven[:_SHOWN]]
        hint = 'name all columns, and put a value that holds the separator between "quotes"'
        if separator == " ":
            hint = "blanks separate columns here, in quotes as well; save it with commas or tabs if values hold blanks"
        raise told(shown, len(uneven), hint)
    alike = [line for line, text in lines.comments if len(_split(text, separator)) == wide > 1]
    if doubtful := [line for line in alike if line + first - 1 > numbers[0]]:
        raise InputError(
            f"line {doubtful[0] + first - 1}: begins with # and has as many values as a row; remove it, or put the "
            'value between "quotes"'
        )
    columns = [pd.Series(flat[place::wide], dtype="str").str.strip() for place in range(wide)]
    named = _is_header(columns)
    names = [str(place) for place in range(1, wide + 1)]
    if named:
        names = [str(column.iloc[0]) or name for column, name in zip(columns, names, strict=True)]
    for name in names:
        if names.count(name) > 1:
            raise InputError(f"line {numbers[0]}: column {name!r} is listed more than once; remove or rename one")
    cells = pd.DataFrame(dict(zip(names, columns, strict=True))).set_axis(pd.Index(numbers), axis="index")
    if named:
        again = cells.iloc[1:][columns[0].to_numpy()[1:] == columns[0].iloc[0]]
        again = again[(again == again.columns.to_numpy()).all(axis=1)]
        refuse(pd.Series(True, again.index), lambda _: "the header once more", "remove it")
    known = _SEPARATORS.get(separator, _BLANKS if separator.isspace() else separator)
    return TextTable(cells.iloc[1:] if named else cells, named, known, encoding, len(lines.comments))


class _Lines:
    """The lines of a stream, those that begin with # as empty ones, so that the others keep their numbers."""

    def __init__(self, stream: io.StringIO):
        """Read nothing yet."""
        self._stream = stream
        self.comments: list[tuple[int, str]] = []

    def __iter__(self) -> Iterator[str]:
        """Yield the lines."""
        for number, line in enumerate(self._stream, start=1):
            if line.startswith("#"):
                self.comments.append((number, line))
                line = "\n"
            yield line


def _separator(line: str) -> str:
    """Return what parts a row into the most columns; blanks where nothing else does."""
    best = max(_SEPARATORS, key=line.count)
    return " " if best not in line and len(line.split()) > 1 else best


def _split(line: str, separator: str) -> list[str]:
    return line.split() if separator == " " else line.split(separator)


def _rows(lines: Iterable[str], separator: str) -> Iterator[tuple[int, list[str]]]:
    """Yield the line that each row begins in, and its cells; blank lines are passed over."""
    if separator == " ":
        yield from ((number, cells) for number, line in enumerate(lines, start=1) if (cells := line.split()))
        return
    reader = csv.reader(lines, delimiter=separator, strict=True, skipinitialspace=True)
    line = 1
    try:
        for cells in reader:
            if cells and (len(cells) > 1 or cells[0].strip()):
                yield line, cells
            line = reader.line_num + 1
    except csv.Error as error:
        raise InputError(f"line {line}: not valid CSV ({error}); fix the quotes there") from None


def _is_header(columns: Sequence[pd.Series]) -> bool:
    """Tell whether the first row names the columns.

    It does not when it has a number or a hyphen, or a class above another one.
    """
    first = [column.iloc[0] for column in columns]
    if "-" in first or any(map(NUMBER.fullmatch, first)):
        return False
    return not any(all(meaning(word) is not None for word in column.iloc[:2]) for column in columns)
