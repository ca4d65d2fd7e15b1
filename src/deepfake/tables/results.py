"""The result tables of the studies: what columns each has, checked whenever one is written or read.

They are CSV files for people and for git below `reports`; what a study writes today, a page reads back next year.
"""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from deepfake.errors import InputError
from deepfake.project import paths
from deepfake.tables import write_csv
from deepfake.tables.result_table import ResultTable
from deepfake.tables.schemas import comparisons, data, examined, studies

if TYPE_CHECKING:
    import pandas as pd

RESULTS: dict[str, ResultTable] = comparisons.TABLES | data.TABLES | examined.TABLES | studies.TABLES
"""Each result table by its name; * stands for what the same table is called by elsewhere: a phase, a data set.

A table of one's own data or run goes by the same name behind `own_<data set or run>_`.
"""


def find(name: str) -> tuple[ResultTable, str]:
    """Return the schema of a table, and the command that writes it.

    Raises:
        KeyError: no table has this name.
    """
    bare, subject = name, ""
    if name.startswith("own_"):
        bare = max((known for known in RESULTS if name.endswith(f"_{known}")), key=len, default=name)
        subject = f" {name.removeprefix('own_').removesuffix(f'_{bare}')}"
    # a table's own schema goes before that of its kind
    pattern = next((known for known in (bare, *RESULTS) if known in RESULTS and fnmatchcase(bare, known)), None)
    if pattern is None:
        raise KeyError(name)
    varying = bare[len(pattern.split("*")[0]) :]
    command = RESULTS[pattern].command or paths().results(bare).name
    return RESULTS[pattern], f"deepfake {command.replace('*', varying)}{subject}"


def write(frame: pd.DataFrame, name: str) -> None:
    """Check a result table and write it.

    Raises:
        ValueError: it does not fit its schema, which is a mistake of this program.
    """
    path = paths().table(name)
    if faults := _faults(frame, find(name)[0]):
        raise ValueError(f"{path}: {faults[0]}")
    write_csv(frame, path)


def read(name: str) -> pd.DataFrame:
    """Read and check a result table; columns of words are words, even where they look like numbers.

    Raises:
        InputError: it is missing, unreadable or does not fit its schema.
    """
    import pandas as pd

    path = paths().table(name)
    table, command = find(name)
    words = {column: str for column, kind in table.columns.items() if kind.startswith("str")}
    try:
        frame = pd.read_csv(path, dtype=words)
    except FileNotFoundError:
        raise InputError(f"{path}: not found; run {command}, or dvc repro") from None
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: not a readable table: {' '.join(str(error).split())}; run {command}") from None
    if faults := _faults(frame, table):
        raise InputError(f"{path}: {faults[0]}; run {command} again")
    return frame


def _faults(frame: pd.DataFrame, table: ResultTable) -> list[str]:
    """Return what is wrong with a table."""
    missing = [name for name in table.columns if name not in frame.columns and name not in table.optional]
    if missing:
        return [f"lacks column {', '.join(missing)}"]
    # by place: where two models go by one title, so do the columns of what a page compares with them
    faults = []
    for place, name in enumerate(map(str, frame.columns)):
        kind = table.kind(name)
        if kind is None:
            faults.append(f"unknown column {name}")
        elif not _fits(frame.iloc[:, place], kind):
            faults.append(f"column {name}: expected {kind}")
    if table.key and frame.duplicated(list(table.key)).any():
        row = frame[frame.duplicated(list(table.key))].iloc[0]
        faults.append(f"{', '.join(f'{name}={row[name]}' for name in table.key)} stands there more than once")
    return faults


def _fits(values: pd.Series, kind: str) -> bool:
    """Tell whether all values of a column are of a kind."""
    present = values[values.notna() & (values.astype(str) != "")].infer_objects()
    if len(present) < len(values) and not (kind.endswith("?") or kind == "float"):
        return False
    if not len(present):
        return True
    dtype = present.dtype.kind
    if kind.startswith("int"):
        return dtype in "iu" or (dtype == "f" and bool((present % 1 == 0).all()))
    return dtype in {"str": "O", "float": "iuf", "bool": "b"}[kind.removesuffix("?")]
