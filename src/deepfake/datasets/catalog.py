"""The data sets that the project knows, and other people's results beside its own, read from data/catalog.yaml."""

import re
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import ValidationError

from deepfake import originals, project, tables
from deepfake.config import params
from deepfake.config.section import Section, first_mistake
from deepfake.datasets.entries import DataSet, Predictions, Reported
from deepfake.errors import InputError, unknown
from deepfake.project import paths

GENERATED = ("sample", "sample_edited", "sample_resent", "sample_audio", "sample_speech", "sample_video")
"""The data sets that the project makes itself."""
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]*")
_OTHERS = ("reported", "predictions")
"""Keys of the catalog under which other people's results stand, not data sets."""
_RESERVED = {"raw", "predictions", "prepared", "weights", project.UNION, *_OTHERS}
"""Names that are folders of `data/` already, or have a meaning of their own."""


_Entry = TypeVar("_Entry", bound=Section)
_LINKED = "Raw data that this workspace lacked is linked to where the one that DVC copied it from has it.\n"


def load(path: Path | None = None) -> dict[str, DataSet]:
    """Read and check the data sets of the catalog.

    Raises:
        InputError: the file is missing, is not YAML, or an entry has a wrong name or a wrong or unknown key.
    """
    path = path or paths().catalog
    entries = {name: entry for name, entry in _read(path).items() if name not in _OTHERS}
    for name in entries:
        if not is_name(name):
            raise InputError(
                f"{path}: {name!r} cannot name a data set, since folders are called after it; "
                f"use small letters, digits, - and _, but none of {', '.join(sorted(_RESERVED))}"
            )
    return _checked(entries, DataSet, str(path))


def is_name(name: Any) -> bool:
    """Tell whether something can name a data set."""
    return isinstance(name, str) and bool(_NAME.fullmatch(name)) and name not in _RESERVED


def load_reported(path: Path | None = None) -> dict[str, Reported]:
    """Read and check the catalog's published results.

    Raises:
        InputError: as in `load`.
    """
    path = path or paths().catalog
    return _others(path, "reported", Reported)


def load_predictions(path: Path | None = None) -> dict[str, Predictions]:
    """Read and check which files of predictions join the comparison; the files are not opened.

    Raises:
        InputError: as in `load`.
    """
    path = path or paths().catalog
    return _others(path, "predictions", Predictions)


def _read(path: Path) -> dict[Any, Any]:
    """Read the catalog as it is written."""
    try:
        entries = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except FileNotFoundError:
        raise InputError(f"{path}: not found; run deepfake inside the project") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: not valid YAML: {' '.join(str(error).split())}") from None
    if not isinstance(entries, dict):
        raise InputError(f"{path}: expected a mapping of names to data sets")
    return entries


def _others(path: Path, key: str, schema: type[_Entry]) -> dict[str, _Entry]:
    """Read and check the entries below one of `_OTHERS`."""
    entries = _read(path).get(key) or {}
    if not isinstance(entries, dict):
        raise InputError(f"{path}: {key}: expected a mapping of names to entries")
    for name in entries:
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise InputError(f"{path}: {key}: {name!r} cannot be a name; use small letters, digits, - and _")
    return _checked(entries, schema, f"{path}: {key}")


def _checked(entries: dict[str, Any], schema: type[_Entry], where: str) -> dict[str, _Entry]:
    """Check entries that have good names."""
    checked = {}
    for name, entry in entries.items():
        try:
            checked[name] = schema.model_validate(entry)
        except ValidationError as error:
            raise InputError(f"{where}: {first_mistake(error, schema, name)}") from None
    return checked


def find(name: str, path: Path | None = None) -> DataSet:
    """Return a data set's entry.

    Raises:
        InputError: the catalog does not know the name.
    """
    path = path or paths().catalog
    catalog = load(path)
    if name not in catalog:
        raise InputError(f"{unknown('data set', name, catalog)} (the catalog is {path})")
    return catalog[name]


def require(name: str, path: Path | None = None) -> None:
    """Check that a data set is known and that its raw files are there, or can be made or pulled.

    Raises:
        InputError: it is unknown, or it has to be obtained first.
    """
    path = path or paths().catalog
    entry = find(name, path)
    # what DVC versions it pulls, or says itself that it is missing
    if name not in GENERATED and not paths().raw(name).exists() and not paths().pointer(name).exists():
        raise InputError(f"{paths().raw(name)}: not found; to obtain the data: {entry.obtain}")


def attach(name: str, path: Path) -> None:
    """Make a data set's raw folder a link to where its files lie, so that all stages find them there.

    Args:
        name: the data set.
        path: the folder with its files; nothing is written into it.

    Raises:
        InputError: the path is not a folder, or the raw folder is there already and is another one.
    """
    link, target = paths().raw(name), path.resolve()
    if not target.is_dir():
        raise InputError(f"{path}: not a folder; name the one that holds the files of {name}")
    if link.is_symlink() or link.exists():
        if link.resolve() == target:
            return
        kind = f"a link to {link.readlink()}" if link.is_symlink() else "there already"
        raise InputError(f"{link}: is {kind}; remove it to use {path} instead")
    link.parent.mkdir(parents=True, exist_ok=True)
    link.symlink_to(target, target_is_directory=True)


def link_from_original() -> list[str]:
    """Link raw data that DVC's copy of a workspace (`originals`) lacks to where the original has it.

    DVC copies what git or DVC versions. What is linked or lies in `data/raw` unversioned would be missing. The file
    that is written makes the stages that read raw data wait for this.

    Returns:
        A line for each data set in use that neither workspace has.
    """
    tables.write_text(_LINKED, paths().links)
    if (above := originals.original(paths().root)) is None:
        return []
    for found in sorted(project.Project(above).raw_data.glob("*/")):
        link = paths().raw(found.name)
        # DVC brings what it versions, and what a stage makes
        brought = found.name in GENERATED or paths().pointer(found.name).exists()
        if not brought and not link.exists() and not link.is_symlink():
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(found.resolve(), target_is_directory=True)
    settings, missing = params.load(), []
    for name in (settings.dataset, *settings.studies.generalization.datasets):
        try:
            require(name)
        except InputError as error:
            missing.append(str(error))
    return missing
