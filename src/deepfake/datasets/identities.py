"""Who is seen in a file: groups of files with several identities, and names that look as if there were several.

A face swap shows two people, and must be parted from neither. A rule in the catalog (`DataSet.identities`) reads all
identities of a file from its path.
"""

import itertools
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import PurePosixPath

import numpy as np

from deepfake import tables
from deepfake.datasets.components import leaders
from deepfake.datasets.layouts.adapters import RawFile
from deepfake.errors import InputError

_MOST_WORDS = 9
"""Words of the longest name of a group that is searched for names of others: it has 2^9 parts."""
_LOOKED_AT = {
    "folder": "folder's name",
    "basename": "file's name without suffix",
    "file": "folder's or file's name without suffix",
}


def groups(paths: Sequence[str], rule: str, where: str, among: str = "file") -> list[str]:
    """Return the group of each file: files that show a person in common are in one, over any number of steps.

    Args:
        paths: of the files, with / between folders.
        rule: a regular expression (`DataSet.identities`).
        where: what a message begins with.
        among: which names are looked at (`DataSet.group`): `folder`, `basename`, or all of a path.

    Returns:
        The first identity of each file's group, in the order of the alphabet.

    Raises:
        InputError: the rule matches nothing in a path, or different identities in several names of it.
    """
    expression = re.compile(rule)
    found = [_identities(path, expression, where, among) for path in paths]
    strange = [path for path, people in zip(paths, found, strict=True) if not people]
    if strange:
        raise InputError(
            f"{where}: identities {rule!r} matches no {_LOOKED_AT[among]} of {len(strange):,} of {len(paths):,} files, "
            f"first {strange[0]}; it has to match a name as a whole (group: {among} says which names are looked at)"
        )
    names, codes = np.unique([name for people in found for name in people] or [""], return_inverse=True)
    of_file = np.repeat(np.arange(len(found)), [len(people) for people in found])
    first = leaders(codes[: len(of_file)], len(names) + of_file, len(names) + len(found))
    return names[first[len(names) :]].tolist()


def bind(files: Sequence[RawFile], rule: str, where: str, among: str = "file") -> list[RawFile]:
    """Return files with the groups that their identities make (see `groups`); those refused keep theirs."""
    wanted = [file for file in files if not file.refused]
    group = iter(groups([file.sample_id for file in wanted], rule, where, among))
    return [file if file.refused else replace(file, group=next(group)) for file in files]


def _identities(path: str, expression: re.Pattern[str], where: str, among: str) -> tuple[str, ...]:
    """Return the identities that a rule finds in a path; none where nothing matches."""
    parts = PurePosixPath(path).with_suffix("").parts
    if among != "file" and "/" not in expression.pattern:
        parts = parts[:-1] if among == "folder" else parts[-1:]
    places = [*parts]
    if "/" in expression.pattern:
        places += ["/".join(parts[start:end]) for start, end in itertools.combinations(range(len(parts) + 1), 2)]
    found: dict[tuple[str, ...], str] = {}
    for place in places:
        match = expression.fullmatch(place)
        people = tuple(person for person in match.groups() if person) if match else ()
        if people:
            found.setdefault(people, place)
    if len(found) > 1:
        one, another = itertools.islice(found.values(), 2)
        raise InputError(
            f"{where}: identities {expression.pattern!r} matches {one!r} and {another!r} in {path}; say group: folder "
            "or group: basename, or what lies beside it too, as in '([0-9]+)/[^/]+' for a folder and the file in it"
        )
    return next(iter(found), ())


def shared_names(files: Iterable[tuple[str, str, int]], rule: str) -> str:
    """Say in a line when names of real groups are part of names of fake ones, as `000` is of `000_003`; else nothing.

    A name is part of another when its words (letters and digits) are words of the other in the same order, and when the
    other has one more word like one of them or the name of another real, a second person (`000_003`, `id0_id1_0000`),
    or goes on after it or before it (`ann_01_swapped`); of a bare number only the first counts, since files are counted
    everywhere. Names that reals and fakes share are fine already.

    Args:
        files: path, group and label of each sample.
        rule: by which groups were made (`DataSet.group`); when it is not by folders, their names are looked at too.
    """
    of_group: dict[str, int] = {}
    of_folder: dict[str, int] = {}
    for path, group, label in files:
        of_group[group] = of_group.get(group, 0) | 1 << label
        if rule != "folder":
            folder = path.rpartition("/")[0]
            of_folder[folder] = of_folder.get(folder, 0) | 1 << label
    # folders that are called after generators go on after the name of a real one: only a second person counts
    for labels, is_file, persons_only in ((of_group, rule == "file", False), (of_folder, False, True)):
        hits, fakes = _shared(dict(zip(labels, _own_names(list(labels), is_file), strict=True)), labels, persons_only)
        if hits:
            return (
                f"names of real groups are part of the names of {len(hits):,} of {fakes:,} fake groups, as "
                f"{hits[0][0]!r} is of {hits[0][1]!r}: where such a fake shows that person, folds must not part them; "
                r"set the key identities in the catalog, as identities: '(\d{3})(?:_(\d{3}))?' for 000 and 000_003"
            )
    return ""


def _shared(
    names: Mapping[str, str], labels: Mapping[str, int], persons_only: bool
) -> tuple[list[tuple[str, str]], int]:
    """Return the fake names that a real one is part of, behind that one, and the number of names of fakes alone.

    Args:
        names: of each group.
        labels: of each group, a bit for each.
        persons_only: only a second person counts.
    """
    of_name: dict[str, int] = {}
    for group, name in names.items():
        of_name[name] = of_name.get(name, 0) | labels[group]
    words = {name: tuple(re.findall(r"[^\W_]+", name)) for name in of_name}
    reals = {words[name]: name for name, bits in of_name.items() if bits >> tables.REAL & 1 and words[name]}
    fakes = [name for name, bits in of_name.items() if bits == 1 << tables.FAKE]
    sizes = sorted({len(real) for real in reals})
    hits = []
    for name in fakes:
        whole = words[name]
        if whole in reals or len(whole) > _MOST_WORDS:
            continue
        parts = (part for size in sizes if size < len(whole) for part in itertools.combinations(whole, size))
        part = next((part for part in parts if part in reals and _is_of(part, whole, reals, persons_only)), None)
        if part is not None:
            hits.append((reals[part], name))
    return hits, len(fakes)


def _own_names(groups: list[str], is_file: bool) -> list[str]:
    """Return each group's own name: the last part that not all groups have, without a file's suffix."""
    parts = [PurePosixPath(group).parts for group in groups]
    if is_file:
        parts = [(*each[:-1], *(PurePosixPath(last).stem for last in each[-1:])) for each in parts]
    common = set.intersection(*map(set, parts)) if len(parts) > 1 else set()
    return [next((part for part in reversed(each) if part not in common), "") for each in parts]


def _is_of(
    part: tuple[str, ...], name: tuple[str, ...], reals: Mapping[tuple[str, ...], str], persons_only: bool
) -> bool:
    """Tell whether a name that holds the words of another also holds a second person, or is made of the other one."""
    left = list(name)
    for word in part:
        left.remove(word)
    if tuple(left) in reals or {_shape(word) for word in part} & {_shape(word) for word in left}:
        return True
    goes_on = part in (name[: len(part)], name[-len(part) :])
    return goes_on and not persons_only and not (len(part) == 1 and part[0].isdigit())


def _shape(word: str) -> str:
    """Return what words of one kind share: numbers their length, others their letters."""
    return "0" * len(word) if word.isdigit() else re.sub(r"\d+", "0", word)
