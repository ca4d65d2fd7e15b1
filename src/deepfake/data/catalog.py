"""The data sets that the project knows, read from data/catalog.yaml."""

from pathlib import Path
from typing import Literal

import yaml
from pydantic import ValidationError

from deepfake import layout
from deepfake.errors import InputError, unknown
from deepfake.schema import Section, first_mistake

GENERATED = "sample"
"""The data set that the project makes itself."""


class DataSet(Section):
    """One entry of the catalog."""

    title: str
    """What it is, as it stands in a report."""
    modality: Literal["image", "video", "audio"]
    adapter: Literal["source_archives"]
    """How its files are laid out; a key of `ingest.ADAPTERS`."""
    group: Literal["folder", "basename"]
    """What binds samples that must not be parted: the folder that a file lies in, or its name."""
    sources: dict[str, Literal["real", "fake"]]
    """Each source and its label."""
    licence: str
    obtain: str
    """The command or page by which one gets it."""


def load(path: Path = layout.CATALOG) -> dict[str, DataSet]:
    """Read and check the catalog.

    Raises:
        InputError: the file is missing, is not YAML, or an entry has a wrong or unknown key.
    """
    try:
        entries = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except FileNotFoundError:
        raise InputError(f"{path}: not found; run deepfake inside the project") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: not valid YAML: {' '.join(str(error).split())}") from None
    if not isinstance(entries, dict):
        raise InputError(f"{path}: expected a mapping of names to data sets")
    catalog = {}
    for name, entry in entries.items():
        try:
            catalog[name] = DataSet.model_validate(entry)
        except ValidationError as error:
            raise InputError(f"{path}: {first_mistake(error, DataSet, name)}") from None
    return catalog


def find(name: str, path: Path = layout.CATALOG) -> DataSet:
    """Return a data set's entry.

    Raises:
        InputError: the catalog does not know the name.
    """
    catalog = load(path)
    if name not in catalog:
        raise InputError(f"{unknown('data set', name, catalog)} (the catalog is {path})")
    return catalog[name]


def require(name: str, path: Path = layout.CATALOG) -> None:
    """Check that a data set is known and that its raw files are there, or can be made.

    Raises:
        InputError: it is unknown, or it has to be obtained first.
    """
    entry = find(name, path)
    if name != GENERATED and not layout.raw(name).exists():
        raise InputError(f"{layout.raw(name)}: not found; to obtain the data: {entry.obtain}")
