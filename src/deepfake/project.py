"""Where every artefact of a project lies: the only Python that spells these paths.

Each thread, notebook cell or worker is in the project that it entered (`Project(root).entered()`), whatever the working
directory. `dvc.yaml` names the same paths; a test holds the two against each other.
"""

import glob
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path

from deepfake import originals, run_files
from deepfake.errors import InputError

PARAMS = "params.yaml"
"""The file that makes a folder a project."""
STUDIES = (
    *("custom", "phase1", "phase2", "phase3", "phase4", "final", "imbalance", "generalization", "audio", "video"),
    *("eda", "probes", "shortcuts", "robustness", "explain", "faces", "summary"),
)
"""What the results in reports are named after: a folder each, in which every name begins with it."""
CUSTOM_EXPERIMENT = "custom"
"""The name of the run that `model` in params.yaml drives."""
UNION = "union"
"""The name of the study's data set joined with others (`studies.generalization.union`), as a data set of its own."""


@dataclass(frozen=True)
class Project:
    """A folder with a params.yaml, and the paths below it.

    Args:
        root: the folder; messages show paths as this begins, so a command gives it relative to where it was called.
    """

    root: Path

    @contextmanager
    def entered(self) -> "Iterator[Project]":
        """Work in this project: for this thread and what it calls, until the block ends."""
        token = _CURRENT.set(self)
        try:
            yield self
        finally:
            _CURRENT.reset(token)

    def enter(self) -> None:
        """Work in this project from now on: for processes that have no other."""
        _CURRENT.set(self)

    @property
    def params(self) -> Path:
        """Return params.yaml."""
        return self.root / PARAMS

    @property
    def catalog(self) -> Path:
        """Return the catalog of data sets."""
        return self.root / "data/catalog.yaml"

    @property
    def lock(self) -> Path:
        """Return the pinned packages, with hashes."""
        return self.root / "requirements.lock"

    @property
    def git(self) -> Path:
        """Return what git keeps: a folder, in a worktree a file."""
        return self.root / ".git"

    @property
    def dvc(self) -> Path:
        """Return DVC's own folder."""
        return self.root / ".dvc"

    @property
    def scratch(self) -> Path:
        """Return the folder of unfinished work that a killed run picks up again; never versioned, safe to delete."""
        return self.root / ".scratch"

    @property
    def store(self) -> Path:
        """Return the folder of unfinished entries and of those of no study; DVC's copies share it (`originals`)."""
        return (originals.original(self.root) or self.root) / ".store"

    @property
    def provenances(self) -> Path:
        """Return the folder of the records of when, where and from which commit runs were computed."""
        return self.root / ".store" / "provenance"

    @property
    def heat(self) -> Path:
        """Return the folder of heat maps that need not be computed again; they can always be made again."""
        return self.store / "heat"

    @property
    def runs(self) -> Path:
        """Return the folder of all studies' runs."""
        return self.root / "runs"

    @property
    def raw_data(self) -> Path:
        """Return the folder of all raw data sets."""
        return self.root / "data/raw"

    @property
    def external_predictions(self) -> Path:
        """Return the folder of other people's predictions, which the catalog names (CSV)."""
        return self.root / "data/predictions"

    @property
    def reports(self) -> Path:
        """Return the folder of what people read."""
        return self.root / "reports"

    @property
    def site(self) -> Path:
        """Return the folder of the report as a site, which a browser opens from here."""
        return self.reports / "site"

    @property
    def decision(self) -> Path:
        """Return what phase 2 decided (`config.Decision`)."""
        return self.reports / "decisions" / "phase2.json"

    @property
    def finalists(self) -> Path:
        """Return the runs that phase 4 goes on with (`config.Finalists`)."""
        return self.reports / "decisions" / "phase3.json"

    @property
    def final(self) -> Path:
        """Return the study's final model, which `deepfake predict` asks (`config.Final`)."""
        return self.reports / "decisions" / "final.json"

    def _data(self, dataset: str) -> Path:
        """Return the folder of what was made of a data set."""
        return self.root / "data" / dataset

    def raw(self, dataset: str) -> Path:
        """Return the folder of a data set as it was obtained or generated; the union's holds those of its members."""
        return self.raw_data if dataset == UNION else self.raw_data / dataset

    def pointer(self, dataset: str) -> Path:
        """Return the file by which `dvc add` versions the raw folder of a data set that is obtained, not made."""
        return self.raw_data / f"{dataset}.dvc"

    @property
    def links(self) -> Path:
        """Return the file that says that raw data is linked (`catalog.link_from_original`); git does not keep it."""
        return self.raw_data / "links.txt"

    def samples(self, dataset: str) -> Path:
        """Return the table of all samples that could be decoded, before splits (`tables.SAMPLES`)."""
        return self._data(dataset) / "samples.parquet"

    def media(self, dataset: str) -> Path:
        """Return the table of what each sample's medium is: size, format (`tables.MEDIA`)."""
        return self._data(dataset) / "media.parquet"

    def quarantine(self, dataset: str) -> Path:
        """Return the CSV of the files that were refused, one reason a row."""
        return self._data(dataset) / "quarantine.csv"

    def duplicates(self, dataset: str) -> Path:
        """Return the CSV of the files that stand in several groups or under both labels, bit for bit the same."""
        return self._data(dataset) / "duplicates.csv"

    def near_duplicates(self, dataset: str) -> Path:
        """Return the CSV of the pairs of groups that hold nearly the same medium (`near_duplicates.find`)."""
        return self._data(dataset) / "near_duplicates.csv"

    def manifest(self, dataset: str) -> Path:
        """Return the table of samples with their splits and folds (`tables.MANIFEST`)."""
        return self._data(dataset) / "manifest.parquet"

    def faces(self, dataset: str) -> Path:
        """Return the table of the faces found in a data set's images (`tables.FACES`)."""
        return self._data(dataset) / "faces.parquet"

    def views(self, dataset: str) -> Path:
        """Return the folder of what all views of a data set show."""
        return self._data(dataset) / "views"

    def view(self, dataset: str, name: str) -> Path:
        """Return the folder that says what one view of a data set shows: `regions` and `view_facts`."""
        return self.views(dataset) / name

    def regions(self, dataset: str, name: str) -> Path:
        """Return the table of the part of each image that a view shows (`tables.REGIONS`)."""
        return self.view(dataset, name) / "regions.parquet"

    def view_facts(self, dataset: str, name: str) -> Path:
        """Return a view's configuration, and the hash of its pixels (JSON)."""
        return self.view(dataset, name) / "view.json"

    def cache(self, dataset: str) -> Path:
        """Return the folder of decoded images, which can always be made again: neither git nor DVC keeps it."""
        return self._data(dataset) / "cache"

    def features(self, dataset: str) -> Path:
        """Return the table of what each file shows without a look at its content (`tables.FEATURES`)."""
        return self._data(dataset) / "features.parquet"

    def probe_scores(self, dataset: str) -> Path:
        """Return what the joint probe of each subject says of each development sample (`tables.PROBE_SCORES`)."""
        return self._data(dataset) / "probes.parquet"

    def prepared(self, dataset: str) -> Path:
        """Return the hashes of all that was prepared of a data set (JSON); what needs all takes the folder."""
        return self.root / "data/prepared" / f"{dataset}.json"

    def weights(self, model: str) -> Path:
        """Return a model's ImageNet weights, as timm names them (safetensors)."""
        return self.root / "data/weights" / f"{model}.safetensors"

    def weights_facts(self, model: str) -> Path:
        """Return the statistics that a model's weights were trained with, and where they came from (JSON)."""
        return self.root / "data/weights" / f"{model}.json"

    def study(self, name: str) -> Path:
        """Return the folder of a study's runs, one entry of the run store each."""
        return self.runs / name

    def run(self, experiment: str) -> Path:
        """Return the folder of all that one run leaves behind, whichever study it belongs to; names are unique."""
        found = sorted(self.runs.glob(f"*/{glob.escape(experiment)}/"))
        return found[0] if found else self.runs / "*" / experiment

    def checkpoints(self, experiment: str) -> Path:
        """Return the folder of one experiment's checkpoints, one a fold."""
        return self.run(experiment) / run_files.CHECKPOINTS

    def checkpoint(self, experiment: str, fold: int) -> Path:
        """Return the weights of one fold's best epoch (safetensors)."""
        return self.checkpoints(experiment) / run_files.weights_name(fold)

    def checkpoint_record(self, experiment: str, fold: int) -> Path:
        """Return what belongs to one fold's weights: epoch, metrics, thresholds, ... (`checkpoint_metadata.Record`)."""
        return self.checkpoints(experiment) / run_files.record_name(fold)

    def config(self, experiment: str) -> Path:
        """Return one experiment's resolved configuration and what training found out (JSON)."""
        return self.run(experiment) / run_files.RUN_CONFIG

    def predictions(self, experiment: str) -> Path:
        """Return the table of one experiment's logits (`tables.PREDICTIONS`)."""
        return self.run(experiment) / run_files.RUN_PREDICTIONS

    def history(self, experiment: str) -> Path:
        """Return the metrics of each epoch and fold (CSV)."""
        return self.run(experiment) / run_files.RUN_HISTORY

    def roc(self, experiment: str) -> Path:
        """Return the ROC curve of each held-out fold (CSV)."""
        return self.run(experiment) / run_files.RUN_ROC

    def confusion(self, experiment: str) -> Path:
        """Return the confusion matrix over all held-out folds (CSV)."""
        return self.run(experiment) / run_files.RUN_CONFUSION

    def headline(self, experiment: str) -> Path:
        """Return one run's headline metrics (JSON), which its study's metrics repeat."""
        return self.run(experiment) / run_files.RUN_METRICS

    def provenance(self, experiment: str) -> Path:
        """Return when, where and from which commit a run was computed (JSON): new each time, so DVC hashes it not."""
        return self.provenances / f"{experiment}.json"

    def page(self, name: str) -> Path:
        """Return a page of the report (Markdown), for example `page("phase1")`."""
        return self.reports / f"{name}.md"

    def data_card(self, dataset: str) -> Path:
        """Return the page that says what a data set is and how it was split (Markdown, committed)."""
        return self.reports / "data_cards" / f"{dataset}.md"

    def results(self, name: str) -> Path:
        """Return the folder of a study's tables and figures; what no study of the report owns has one of its own."""
        return self.reports / next((study for study in STUDIES if name.startswith(study)), "own")

    def table(self, name: str) -> Path:
        """Return a study's table as CSV, for example `table("phase1_tests")`."""
        return self.results(name) / f"{name}.csv"

    def figure(self, name: str) -> Path:
        """Return a picture of the report that shows no photograph."""
        return self.results(name) / f"{name}.png"

    def study_metrics(self, name: str) -> Path:
        """Return a study's metrics (JSON, committed)."""
        return self.reports / "metrics" / f"{name}.json"

    def findings(self, study: str) -> Path:
        """Return what a study concludes (JSON, committed)."""
        return self.reports / "findings" / f"{study}.json"

    def photograph(self, name: str) -> Path:
        """Return a picture that shows photographs, which may not be redistributed: DVC keeps it, git does not."""
        return self.reports / "photographs" / f"{name}.png"

    def notebook(self, name: str) -> Path:
        """Return a notebook as a script (jupytext's percent format, committed)."""
        return self.root / "notebooks" / f"{name}.py"

    def executed_notebook(self, name: str) -> Path:
        """Return the folder of what a notebook shows; beside it the notebook executed (.ipynb) and its page (.html)."""
        return self.reports / "notebooks" / name

    def bench(self, name: str) -> Path:
        """Return a benchmark's table (Markdown, committed, with the machine's name)."""
        return self.reports / "bench" / f"{name}.md"


_CURRENT: ContextVar[Project] = ContextVar("project")


def current() -> Project | None:
    """Return the project that this thread works in, or None."""
    return _CURRENT.get(None)


def paths() -> Project:
    """Return the project that this thread works in; without one, an `InputError`."""
    if (here := current()) is None:
        raise InputError("no project: use `with Project(folder).entered():`, or run a command of deepfake")
    return here


def nearest(folder: Path) -> Project | None:
    """Return the project that a folder lies in: the nearest folder upwards that holds a params.yaml, or None."""
    above = (folder, *(folder.joinpath(*[".."] * depth) for depth in range(1, len(folder.resolve().parts))))
    return next((Project(each) for each in above if (each / PARAMS).exists()), None)
