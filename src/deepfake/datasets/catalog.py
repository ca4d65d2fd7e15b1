"""The data sets that the project knows, and other people's results beside its own, read from data/catalog.yaml."""

import re
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Literal, TypeVar

import yaml
from pydantic import AfterValidator, Field, StringConstraints, ValidationError, model_validator

from deepfake import modalities, originals, project, tables
from deepfake.config import params
from deepfake.config.section import Probability, Section, first_mistake
from deepfake.errors import InputError, unknown
from deepfake.project import paths

GENERATED = ("sample", "sample_edited", "sample_resent")
"""The data sets that the project makes itself."""
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]*")
_OTHERS = ("reported", "predictions")
"""Keys of the catalog under which other people's results stand, not data sets."""
_RESERVED = {"raw", "predictions", "prepared", "weights", project.UNION, *_OTHERS}
"""Names that are folders of `data/` already, or have a meaning of their own."""


def _inside(path: str) -> str:
    """Refuse a path that does not stay below the folder it starts from."""
    if not PurePosixPath(path).parts or PurePosixPath(path).is_absolute() or ".." in path.split("/") or "\\" in path:
        raise ValueError(f"{path!r} must name a file below the data set's folder, with / between folders")
    return path


def _known_modality(name: str) -> str:
    """Refuse a modality that there is not."""
    if name not in modalities.MODALITIES:
        raise ValueError(unknown("modality", name, modalities.MODALITIES))
    return name


PathBelow = Annotated[str, AfterValidator(_inside)]
Percent = Annotated[float, Field(ge=0, le=100)]
FolderName = Annotated[str, StringConstraints(pattern=r"^[^./\\][^/\\]*$")]


class Hub(Section):
    """Where a data set is published: files of a dataset repository on the Hugging Face Hub."""

    repo: Annotated[str, StringConstraints(pattern=r"^[\w.-]+/[\w.-]+$")]
    """Owner and name."""
    revision: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{40}$")]
    """The commit: a branch could change from one day to the next."""
    files: Annotated[list[PathBelow], Field(min_length=1)]


class DataSet(Section):
    """One entry of the catalog.

    Two adapters read files as they were obtained:

    - `sources`: one archive `<source>.zip` a source, or its unpacked folder `<source>/`; `sources` gives the labels.
    - `folder`: `real/` and `fake/`, or `real/<source>/` and `fake/<source>/`, with any depth below; what lies beside
      them is not read. With `table`, the files that a CSV names instead.
    """

    title: str
    """What it is, as it stands in a report."""
    modality: Annotated[str, AfterValidator(_known_modality)]
    """A key of `modalities.MODALITIES`."""
    adapter: Literal["sources", "folder"]
    """How its files are laid out; a key of `adapters.ADAPTERS`."""
    group: Literal["folder", "basename", "file"]
    """What binds samples that must not be parted: the folder that a file lies in (below its source), its name without
    the suffix, or nothing (every file is a group of its own)."""
    groups_of: str | None = None
    """A data set whose groups these are, too: samples of equally named groups are never parted, across both."""
    near_duplicates: Literal["report", "join"] = "report"
    """What becomes of near-duplicates in different groups: they are listed, or splits also make one group of them."""
    sources: dict[FolderName, Literal["real", "fake"]] = Field(default={})
    """With adapter `sources`: each source and its label."""
    table: PathBelow | None = None
    """With adapter `folder`: a CSV file below the data set's folder with columns `path`, `label` (real or fake, or 0 or
    1) and, if wanted, `source` and `group`. Paths start from the folder that the CSV lies in."""
    hub: Hub | None = None
    """Where `deepfake data fetch` finds it."""
    licence: str
    obtain: str
    """The command or page by which one gets it."""

    @model_validator(mode="after")
    def _fits_its_adapter(self) -> "DataSet":
        if self.adapter == "sources" and set(self.sources.values()) != {"real", "fake"}:
            raise ValueError("adapter sources needs the key sources: each source and its label, both real and fake")
        if self.adapter == "sources" and self.table is not None:
            raise ValueError("table goes with adapter folder; adapter sources takes the labels from sources")
        if self.adapter == "folder" and self.sources:
            raise ValueError("adapter folder takes the sources from the folders or the table; remove the key sources")
        return self


class Reported(Section):
    """Figures that somebody published: a row of the comparison without predictions to check them by."""

    title: str
    """What the row is called."""
    accuracy: Percent | None = None
    precision: Percent | None = None
    """Of the positive class, as recall and F1."""
    recall: Percent | None = None
    f1: Percent | None = None
    auc: Probability | None = None
    measured_on: str
    source: str
    """Where it was published."""

    @model_validator(mode="after")
    def _says_something(self) -> "Reported":
        if all(getattr(self, name) is None for name in REPORTED):
            raise ValueError(f"give at least one of {', '.join(REPORTED)}")
        return self


REPORTED = ("accuracy", "precision", "recall", "f1", "auc")
"""The figures of a `Reported`: shares in percent, the AUC between 0 and 1."""


class Predictions(Section):
    """Somebody's predictions as a row of the comparison; what is not named is found, as `deepfake evaluate` does."""

    title: str
    """What the row is called."""
    file: PathBelow
    """A CSV file below `Project.external_predictions`."""
    dataset: str
    """What it was measured on, as it stands in a report."""
    truth: str | None = None
    """The column of the true labels."""
    pred: str | None = None
    """The column of what the detector called each sample."""
    score: str | None = None
    """The column of its scores."""
    positive: str | None = None
    """The label of the positive class."""
    group: str | None = None
    """The column of what binds samples that are not independent."""
    threshold: float | None = None
    """The score from which on a sample is called positive."""


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
        if not isinstance(name, str) or not _NAME.fullmatch(name) or name in _RESERVED:
            raise InputError(
                f"{path}: {name!r} cannot name a data set, since folders are called after it; "
                f"use small letters, digits, - and _, but none of {', '.join(sorted(_RESERVED))}"
            )
    return _checked(entries, DataSet, str(path))


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
