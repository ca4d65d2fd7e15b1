"""Which column of a table holds what: as the user says, or by what it is called, or without a header by its content."""

import re
from collections.abc import Iterable

import numpy as np
import pandas as pd

from deepfake.datasets.external.options import Options
from deepfake.datasets.label_vocabulary import is_number, listed, meaning, named_class, names_a_score
from deepfake.datasets.text_tables import NUMBER, TextTable
from deepfake.errors import InputError, unknown

NAMES = {
    "truth": "label labels true truth y_true target actual ground_truth groundtruth gt true_label label_true class key "
    "y",
    "pred": "pred preds prediction predictions predicted y_pred y_hat yhat pred_label predicted_label label_pred "
    "decision verdict",
    "group": "group groups group_id speaker speaker_id video video_id identity identity_id subject subject_id person "
    "person_id",
    "source": "source attack attack_type attack_id method generator system algorithm",
    "clip": "clip clip_id video video_id",
    "id": "id sample_id file filename file_name path filepath file_path utt utt_id utterance image img audio",
}
"""What columns are called that hold the truth, and so on; scores by `label_vocabulary.names_a_score`."""
ROLES = ("truth", "pred", "score", "group", "source", "clip")
"""What the user can name a column for."""
MOST_LABELS = 20
"""A column with more different words holds no labels."""
_MOST_CODES = 10
"""Whole numbers that may stand for classes; more of them are scores, such as percent."""
NOTHING = ("", "nan", "na", "n/a", "#n/a", "<na>", "none", "null", "-")
"""What is written where there is no value."""


def find(table: TextTable, options: Options) -> dict[str, str]:
    """Return the name of each column that counts, by its role: those of `NAMES` and `score`.

    Raises:
        InputError: a column is missing or may be several.
    """
    cells, names = table.cells, [str(name) for name in table.cells.columns]
    given = {role: getattr(options, role) for role in ROLES}
    found = {role: named(name, f"--{role}", names) for role, name in given.items() if name is not None}
    apart = [column for role, column in found.items() if role not in ("clip", "group")]
    if len(set(apart)) < len(apart) or {found.get("clip"), found.get("group")} - {None} & set(apart):
        raise InputError(f"one column for two of {', '.join(f'--{role}' for role in found)}; name different ones")
    _check_options(options, found)
    if not table.named:
        found |= _by_content(cells, found, options)
        if options.aggregate is not None and "clip" not in found:
            found["clip"] = found["group"] if "group" in found else clips_among([])
        return found
    roles = ["truth"] * (options.key is None) + ["pred"] * (options.threshold is None) + ["score", "group", "id"]
    for role in roles:
        taken = set(found.values())
        if role not in found and (name := _called(role, cells, taken, options)) is not None:
            found[role] = name
    if options.aggregate is not None and "clip" not in found:
        free = [name for name in names if name == found.get("group") or name not in found.values()]
        if options.group is not None or options.key is None or called_like("clip", free):
            found["clip"] = found["group"] if options.group is not None else clips_among(free)
    if options.key is not None and "id" not in found:
        # frames of a video are found in the key by the name of the video
        like = [found[role] for role in ("clip", "group") if role in found]
        like = called_like("id", like) + called_like("clip", like)
        if like:
            found["id"] = like[0]
    if options.aggregate is not None and options.score_is != "confidence":
        found.pop("pred", None)  # what is predicted of a clip follows from its score
    _check_complete(cells, found, options, table.named)
    return found


def named(name: str, option: str, names: list[str]) -> str:
    """Return the column that the user means; capitals count only where two names differ by nothing else.

    Raises:
        InputError: there is none.
    """
    if name in names:
        return name
    alike = [column for column in names if column.casefold() == name.strip().casefold()]
    if len(alike) == 1:
        return alike[0]
    if name.isdecimal() and 1 <= int(name) <= len(names):
        return names[int(name) - 1]
    raise InputError(f"{option}: {unknown('column', name, names)}")


def called_like(role: str, names: Iterable[str]) -> list[str]:
    """Return the columns that are called like a role (`NAMES`), the best known name first."""
    known = NAMES[role].split()
    plain = {name: re.sub(r"[\s.-]+", "_", name.casefold()) for name in names}
    return sorted((name for name in plain if plain[name] in known), key=lambda name: known.index(plain[name]))


def are_numbers(cells: pd.Series) -> bool:
    """Tell whether all cells are numbers, but for those that are empty."""
    words = [word for word in cells.unique() if word.casefold() not in NOTHING]
    return bool(words) and all(NUMBER.fullmatch(word) for word in words)


def hold_classes(cells: pd.Series) -> bool:
    """Tell whether all cells are words for real or fake."""
    words = cells.unique()
    return len(words) <= MOST_LABELS and all(meaning(word) is not None for word in words)


def clips_among(free: list[str]) -> str:
    """Return the column of clips.

    Args:
        free: columns that hold nothing else.

    Raises:
        InputError: there is none, or it may be several.
    """
    found = called_like("clip", free)
    if len(found) != 1:
        said = f"{listed(found)} may each be that of clips" if found else "none is called so"
        raise InputError(f"--aggregate: no column of clips: {said}; name it with --clip COL")
    return found[0]


def _check_options(options: Options, found: dict[str, str]) -> None:
    """Refuse options that cannot both hold."""
    if options.threshold is not None and not np.isfinite(options.threshold):
        raise InputError("--threshold: give a finite number")
    if options.threshold is not None and "pred" in found:
        raise InputError("--pred and --threshold both say what is predicted positive; leave one of them out")
    if options.key is not None and "truth" in found:
        raise InputError("--truth and --key both give the true labels; leave one of them out")
    if options.aggregate is not None and "pred" in found and options.score_is != "confidence":
        raise InputError("--aggregate joins scores, not what was predicted; leave --pred out")
    if options.clip is not None and options.aggregate is None:
        raise InputError("--clip goes with --aggregate; say how scores of a clip become one, such as --aggregate mean")


def _called(role: str, cells: pd.DataFrame, taken: set[str], options: Options) -> str | None:
    """Return the column that is called like a role; None: there is none."""
    free = [str(name) for name in cells.columns if name not in taken]
    if role == "score":
        return _scores(cells, free, options)
    names = called_like(role, free)
    if role == "id":  # whichever: it only serves to see duplicates, and to find rows in a key
        return names[0] if names else None
    if role == "truth":
        # labels that are many numbers are scores (DFDC); they are told where no others are found
        names = (
            [name for name in names if not _are_scores(cells[name])]
            or [name for name in free if named_class(name) is not None and are_answers(cells[name])]
            or [name for name in names if _are_codes(cells[name])]
        )
    if len(names) > 1:
        several = listed(name for name in free if name in names)
        raise InputError(f"{several} may each be the column of --{role}; say which one with --{role} COL")
    return names[0] if names else None


def _scores(cells: pd.DataFrame, free: list[str], options: Options) -> str | None:
    """Return the column of scores; of two that add up to 1 that of the fakes."""
    names = [name for name in free if names_a_score(name)]
    names = names or [name for name in free if named_class(name) is not None and _are_scores(cells[name])]
    if not names and options.key is not None:
        names = [name for name in called_like("truth", free) if _are_scores(cells[name])]
    if len(names) == 2 and {named_class(name) for name in names} == {True, False}:
        first, second = (pd.to_numeric(cells[name], errors="coerce").to_numpy() for name in names)
        total = first + second
        if any(np.nanmax(np.abs(total - whole), initial=0) < 0.01 * whole for whole in (1, 100)):
            return next(name for name in names if named_class(name))
        raise InputError(
            f"{listed(names)} do not add up to 1, so they are no two sides of one score; say which one with --score COL"
        )
    if len(names) > 1:
        raise InputError(f"{listed(names)} may each be the column of --score; say which one with --score COL")
    return names[0] if names else None


def _are_scores(cells: pd.Series) -> bool:
    """Tell whether cells are numbers that cannot be labels."""
    return are_numbers(cells) and not are_answers(cells)


def _are_codes(cells: pd.Series) -> bool:
    """Tell whether cells are a few whole numbers, such as 0, 1 and 2 for methods: which ones are real must be said."""
    words = cells.unique()
    return len(words) <= _MOST_CODES and all(re.fullmatch(r"\d{1,2}(\.0*)?", word) for word in words)


def are_answers(cells: pd.Series) -> bool:
    """Tell whether cells are labels like 0 and 1, or yes and no."""
    words = [word for word in cells.unique()[: MOST_LABELS + 2] if word.casefold() not in NOTHING]
    return all(map(is_number, words))


def _by_content(cells: pd.DataFrame, found: dict[str, str], options: Options) -> dict[str, str]:
    """Return the columns of a table without a header that are told by what they hold."""
    here = {}
    others = {column for role, column in found.items() if role != "clip"}  # a clip's name is that of its file
    free = [str(name) for name in cells.columns if name not in others]
    kinds = {
        "truth": [name for name in free if options.key is None and hold_classes(cells[name])],
        "score": [name for name in free if _are_scores(cells[name])],
    }
    for role, names in kinds.items():
        if role not in found and len(names) == 1:
            here[role] = names[0]
        elif role not in found and len(names) > 1 and not (role == "score" and "pred" in found):
            raise InputError(
                f"no header, and columns {', '.join(names)} may each be that of --{role}; say which one with "
                f"--{role} N, the first being 1"
            )
    rest = [name for name in free if name not in here.values() and set(cells[name].unique()) - set(NOTHING)]
    rest = [name for name in rest if cells[name].is_unique or options.key is not None]
    if len(rest) == 1:
        here["id"] = rest[0]
    _check_complete(cells, found | here, options, False)
    return here


def _check_complete(cells: pd.DataFrame, found: dict[str, str], options: Options, has_header: bool) -> None:
    """Refuse a table without labels, or without anything to hold against them."""
    names = [str(name) for name in cells.columns]
    if not len(cells):
        raise InputError("no rows below the header; it needs one a sample")
    where = listed(names) if has_header else f"no header, and {len(names)} columns"
    how = "COL" if has_header else "N, the first being 1"
    if options.key is None and "truth" not in found:
        scores = [name for name in called_like("truth", names) if are_numbers(cells[name])]
        if scores and has_header:
            raise InputError(
                f"column {scores[0]!r} holds numbers like {cells[scores[0]].iloc[0]} and no labels; if these are "
                "scores, give the file of true labels with --key FILE (DFDC: metadata.json)"
            )
        more = "" if len(names) > 1 else ", in a file that is separated by commas, semicolons, tabs, | or blanks"
        raise InputError(
            f"no column of true labels; found: {where}; name it with --truth {how}, or give the file that has them "
            f"with --key FILE{more}"
        )
    if options.key is not None and "id" not in found:
        raise InputError(
            f"no column of names to find in the key; found: {where}; "
            + ("call one of them file" if has_header else "write a header above the first row that calls one file")
        )
    if options.threshold is not None and "score" not in found:
        raise InputError(f"no column of scores for --threshold; found: {where}; name it with --score {how}")
    if options.aggregate is not None and "score" not in found:
        raise InputError(f"no column of scores for --aggregate; found: {where}; name it with --score {how}")
    if not found.keys() & {"pred", "score"}:
        raise InputError(f"no column of predictions; found: {where}; name it with --pred or --score {how}")
