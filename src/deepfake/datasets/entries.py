"""What an entry of data/catalog.yaml may say: a data set, published figures, or somebody's predictions."""

import re
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Discriminator, Field, StringConstraints, Tag, model_validator

from deepfake import modalities
from deepfake.config.section import Probability, Section
from deepfake.datasets.external.options import Aggregate, Higher, Options, ScoreIs
from deepfake.datasets.label_vocabulary import meaning
from deepfake.datasets.layouts import recipes
from deepfake.errors import unknown


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


def _reads_names(rule: str) -> str:
    """Refuse a rule that is no regular expression, or takes no name from a path."""
    try:
        count = re.compile(rule).groups
    except re.error as error:
        raise ValueError(f"{rule!r} is not a regular expression ({error})") from None
    if not count:
        raise ValueError(f"{rule!r} reads nobody; put (round brackets) around what names a person or a source")
    return rule


def _class(word: str) -> str:
    """Return real or fake for any word that means one of them."""
    said = meaning(word) if isinstance(word, str) else None
    return word if said is None else "fake" if said else "real"


Class = Annotated[Literal["real", "fake"], BeforeValidator(_class)]
"""Real or fake, in any word of `label_vocabulary`."""
_Label = bool | int | float | str
_Labels = _Label | list[_Label]


def _as_words(labels: _Labels) -> tuple[str, ...]:
    """Return one label or several as they stand in a table."""
    return tuple(map(str, labels if isinstance(labels, list) else [labels]))


PathBelow = Annotated[str, AfterValidator(_inside)]
Percent = Annotated[float, Field(ge=0, le=100)]
Pattern = Annotated[str, AfterValidator(_inside)]
SourceRule = Annotated[str, AfterValidator(lambda rule: rule if rule == "label" else _reads_names(rule))]
NamingRule = Annotated[str, AfterValidator(_reads_names)]
FolderName = Annotated[str, StringConstraints(pattern=r"^[^./\\][^/\\]*$")]


class Hub(Section):
    """Where a data set is published: files of a dataset repository on the Hugging Face Hub."""

    repo: Annotated[str, StringConstraints(pattern=r"^[\w.-]+/[\w.-]+$")]
    """Owner and name."""
    revision: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{40}$")]
    """The commit: a branch could change from one day to the next."""
    files: Annotated[list[PathBelow], Field(min_length=1)]


class Published(Section):
    """A published split: patterns (as those of `DataSet.labels`) of the paths of a part's files, or of lists of them.

    A pattern that ends in `.json` or `.txt` is that of lists. A list names files, or folders of frames, with or without
    folders before the name and a suffix behind it, or people as `DataSet.identities` reads them: a file is in the part
    when all its people are. JSON holds names or pairs of names, text a name at the end of each line.
    """

    test: Pattern
    """The test set."""
    train: Pattern | None = None
    """Cross-validated, as all that is not in the test set; named to check that no file is in two parts."""
    val: Pattern | None = None
    """Cross-validated as well."""

    def patterns(self) -> dict[str, str]:
        """Return the pattern of each part that is named."""
        return {part: pattern for part in ("train", "val", "test") if (pattern := getattr(self, part)) is not None}


def _known_word(splits: Any) -> Any:
    """Refuse a word that there is not, before it is taken for patterns."""
    if isinstance(splits, str) and splits != "from_folders":
        raise ValueError(f'{splits!r} is neither from_folders nor patterns of the parts, as {{test: "**/test.json"}}')
    return splits


Splits = Annotated[
    Annotated[Literal["from_folders"], Tag("word")] | Annotated[Published, Tag("")],
    Discriminator(lambda splits: "word" if isinstance(splits, str) else ""),
    BeforeValidator(_known_word),
]


class DataSet(Section):
    """One entry of the catalog; `deepfake ingest --look PATH` writes one for files that one has.

    Three adapters read files as they were obtained:

    - `sources`: one archive `<source>.zip` a source, or its unpacked folder `<source>/`; `sources` gives the labels.
    - `folder`: `real/` and `fake/`, or `real/<source>/` and `fake/<source>/`, with any depth below; what lies beside
      them is not read. Where there are no such two folders, those at any depth are taken whose name is a word of a
      class (real, original, fake, ai, ...), in any capitals, with numbers or the part of a split beside it
      (`train/REAL`, `1_fake`); or with `labels` those that it describes; or with `table` the files that a CSV names.
    - `metadata`: what each `metadata.json` of DFDC says of the videos beside it, or of the folders of their frames;
      a fake is in the group of its original.

    Folders called after a part of a split (`train`, `val`, `test`) or after how files are stored (`c23`, `frames`,
    `images`) name neither sources nor groups.
    """

    recipe: str | None = None
    """A layout that is known by name (`layouts/recipes.yaml`): it sets the keys that the entry does not set."""
    title: str
    """What it is, as it stands in a report."""
    modality: Annotated[str, AfterValidator(_known_modality)]
    """A key of `modalities.MODALITIES`."""
    adapter: Literal["sources", "folder", "metadata"]
    """How its files are laid out; a key of `adapters.ADAPTERS`."""
    labels: Annotated[dict[Pattern, Class], Field(min_length=1)] | None = None
    """With adapter `folder`: patterns of paths below the data set's folder, and the class of the files that match.
    `*` and `?` stand for letters of one name, `**` for any number of folders: `"**/1_fake/**": fake`. A file that
    matches both classes is an error; one that matches none is passed over and counted."""
    source: SourceRule | None = None
    """A regular expression that is searched in a file's path: its first group that matches names the source; where it
    does not match, and everywhere with the word `label`, the source is called real or fake. Without this key: the
    folder right below that of the class. With `table`, each source in it has to match as a whole: any other one is an
    error."""
    group: Literal["folder", "basename", "file"]
    """What binds samples that must not be parted: the folder that a file lies in (below its source), its name without
    the suffix, or nothing (every file is a group of its own)."""
    identities: NamingRule | None = None
    r"""Who is seen in a file: a regular expression that reads them from its path, each of its (groups) one person.
    `(\d{3})(?:_(\d{3}))?` reads one from `000` and two from `000_003`; files that show a person in common are never
    parted, so a face swap stays with both its people. It has to match a whole name: that of a folder with
    `group: folder`, of the file without its suffix with `group: basename`, of either otherwise; with / in it, names one
    below the other. Each file needs a match, and the same people wherever there are several."""
    groups_of: str | None = None
    """A data set whose groups these are, too: samples of equally named groups are never parted, across both."""
    splits: Splits | None = None
    """Keeps a published split, of which all but the test set is cross-validated. `from_folders`: files below a folder
    `test` (or `testing`, `eval`) are the test set; `{test: "**/test.json"}`: those that lists name, or that lie where
    patterns say (`Published`). Without this key the test set is drawn."""
    near_duplicates: Literal["report", "join"] = "report"
    """What becomes of near-duplicates in different groups: they are listed, or splits also make one group of them."""
    sources: dict[FolderName, Class] = Field(default={})
    """With adapter `sources`: each source and its label."""
    table: PathBelow | None = None
    """With adapter `folder`: a table below the data set's folder with columns `path`, `label` (real or fake in any word
    that `deepfake evaluate` knows, or 0 and 1) and, if wanted, `source` and `group`. With `*` in it, it is a pattern of
    several tables (as those of `labels`)."""
    table_names: Literal["paths", "files"] = "paths"
    """With `table`: what its column `path` holds. `paths` start from the folder that the table lies in; `files` are
    names, with or without suffix, of files anywhere below the data set's folder."""
    columns: dict[Literal["path", "label", "source", "group"], str | int] = Field(default={})
    """With `table`: the names of its columns where they are called otherwise; without a header their numbers."""
    positive: _Labels = Field(default=[])
    """With `table`: the labels of fakes, where the table does not say it in words: `positive: 0` where 1 means real."""
    negative: _Labels = Field(default=[])
    """With `table`: the labels of reals; all others are then fake, and each is a source: `negative: original`."""
    hub: Hub | None = None
    """Where `deepfake data fetch` finds it."""
    licence: str
    obtain: str
    """The command or page by which one gets it."""

    @model_validator(mode="before")
    @classmethod
    def _with_its_recipe(cls, entry: Any) -> Any:
        """Fill in the keys of the recipe, and let identities stand without `group`."""
        if isinstance(entry, dict) and isinstance(entry.get("recipe"), str):
            entry = recipes.find(entry["recipe"]).entry | entry
        if isinstance(entry, dict) and entry.get("identities") is not None:
            return {"group": "file"} | entry
        return entry

    @model_validator(mode="after")
    def _has_people_of_its_own(self) -> "DataSet":
        if self.identities is not None and self.groups_of is not None:
            raise ValueError("identities and groups_of exclude each other: groups are named after the first of several")
        return self

    @model_validator(mode="after")
    def _fits_its_adapter(self) -> "DataSet":
        if self.adapter == "sources" and set(self.sources.values()) != {"real", "fake"}:
            raise ValueError("adapter sources needs the key sources: each source and its label, both real and fake")
        if self.adapter == "sources" and self.table is not None:
            raise ValueError("table goes with adapter folder; adapter sources takes the labels from sources")
        told = self.columns or self.labels_named() != ((), ()) or self.table_names != "paths"
        if self.table is None and told:
            raise ValueError(
                "columns, positive, negative and table_names say what stands in a table; add the key table"
            )
        if self.adapter != "sources" and self.sources:
            raise ValueError(
                f"adapter {self.adapter} takes the sources from the folders or the table; remove the key sources"
            )
        if self.labels is not None and (self.adapter != "folder" or self.table is not None):
            raise ValueError("labels goes with adapter folder, without table")
        if self.labels is not None and set(self.labels.values()) != {"real", "fake"}:
            raise ValueError("labels needs patterns of both real and fake")
        if self.splits is not None and self.groups_of is not None:
            raise ValueError("splits and groups_of: the groups have their places in the other data set already")
        if self.source is not None and self.adapter == "sources":
            raise ValueError("source goes with adapters folder and metadata; adapter sources takes them from sources")
        return self

    def labels_named(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Return the labels of fakes and of reals that the entry names (`positive`, `negative`), as words."""
        return _as_words(self.positive), _as_words(self.negative)


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


_AS_THEY_ARE = ("truth", "pred", "score", "group", "clip", "threshold", "higher", "score_is", "aggregate")


class Predictions(Section):
    """Somebody's predictions as a row of the comparison; what is not named is found, as `deepfake evaluate` does."""

    title: str
    """What the row is called."""
    file: PathBelow
    """A CSV file below `Project.external_predictions`."""
    dataset: str
    """What it was measured on, as it stands in a report."""
    truth: str | None = None
    """The column of the true labels; like all columns by its name or number."""
    pred: str | None = None
    """The column of what the detector predicted."""
    score: str | None = None
    """The column of its scores."""
    positive: _Labels = Field(default=[])
    """The labels of the positive class."""
    negative: _Labels = Field(default=[])
    """The labels of the other class; all others are then positive."""
    group: str | None = None
    """The column of what samples share, so that they are not independent."""
    clip: str | None = None
    """The column of the clips whose rows `aggregate` joins."""
    threshold: float | None = None
    """The score from which on a sample is predicted positive."""
    higher: Higher | None = None
    """The class that a higher score speaks for."""
    score_is: ScoreIs | None = None
    """What the scores are, where their range does not say."""
    missing: str | float | None = None
    """What becomes of rows without a score: `skip`, or the score that they get."""
    key: PathBelow | None = None
    """A second file, below the same folder, that holds the true labels by the name of each sample."""
    aggregate: Aggregate | None = None
    """How the scores of a clip become one."""

    def options(self, folder: Path) -> Options:
        """Return what the entry says about its file, which lies in a folder."""
        given: dict[str, Any] = {name: getattr(self, name) for name in _AS_THEY_ARE}
        positive, negative = _as_words(self.positive), _as_words(self.negative)
        missing = None if self.missing is None else str(self.missing)
        key = None if self.key is None else folder / self.key
        return Options(**given, positive=positive, negative=negative, missing=missing, key=key)
