"""Where every artefact lies, relative to the project root: the only Python that spells these paths.

`dvc.yaml` names the same paths; a test holds the two against each other.
"""

import glob
from pathlib import Path

PARAMS = Path("params.yaml")
CATALOG = Path("data/catalog.yaml")
LOCK = Path("requirements.lock")
"""The pinned packages, with hashes."""
GIT = Path(".git")
DVC = Path(".dvc")
SCRATCH = Path(".scratch")
"""Unfinished work that a killed run picks up again; never versioned, safe to delete."""
STORE = Path(".store")
"""Finished entries of the run store that no study of params.yaml holds, and unfinished ones; never versioned."""
PROVENANCE = STORE / "provenance"
RUNS = Path("runs")
REPORTS = Path("reports")
SUMMARY = REPORTS / "summary.md"
PHOTOGRAPHS = REPORTS / "photographs"
"""Pictures that show photographs, which may not be redistributed: DVC keeps them, git does not."""
METRICS = REPORTS / "metrics"
DECISION = REPORTS / "decisions" / "phase2.json"
"""What phase 2 decided (`config.Decision`)."""
FINALISTS = REPORTS / "decisions" / "phase3.json"
"""The runs that phase 4 goes on with (`config.Finalists`)."""
STUDIES = (
    *("custom", "phase1", "phase2", "phase3", "phase4", "imbalance", "generalization"),
    *("probes", "shortcuts", "robustness", "explain", "faces", "summary"),
)
"""What the results in reports are named after: a folder each, in which every name begins with it."""
CHECKPOINTS = "checkpoints"
RUN_CONFIG = "config.json"
RUN_PREDICTIONS = "predictions.parquet"
RUN_HISTORY = "history.csv"
RUN_ROC = "roc.csv"
RUN_CONFUSION = "confusion.csv"
RUN_METRICS = "metrics.json"
"""The files of a run, below its folder."""
ENTRY = "entry.json"
"""What an entry of the run store says of itself: its key, its kind, and the hashes of its files."""
FOLD_WEIGHTS = "weights.safetensors"
FOLD_OPTIMIZER = "optimizer.safetensors"
FOLD_RECORD = "record.json"
FOLD_PREDICTIONS = "predictions.parquet"
FOLD_HISTORY = "history.csv"
FOLD_DONE = "done.json"
"""The results of one fold below `SCRATCH`; the last is written last, so that its existence means all are there."""
CUSTOM_EXPERIMENT = "custom"
"""The name of the run that `model` in params.yaml drives."""
RAW = Path("data/raw")
PREPARED = Path("data/prepared")
UNION = "union"
"""The name of the study's data set joined with others (`cross_dataset.union`), as a data set of its own."""
FOREIGN = Path("data/predictions")
"""The folder of other people's predictions, which the catalog names (CSV)."""


def raw(dataset: str) -> Path:
    """Return the folder of a data set as it was obtained or generated; nothing writes into it afterwards.

    That of the union of data sets is the folder that holds theirs.
    """
    return RAW if dataset == UNION else RAW / dataset


def pointer(dataset: str) -> Path:
    """Return the file by which `dvc add` versions the raw folder of a data set that is obtained, not made."""
    return Path("data/raw") / f"{dataset}.dvc"


def samples(dataset: str) -> Path:
    """Return the table of all samples that could be decoded, before splits (`tables.SAMPLES`)."""
    return Path("data") / dataset / "samples.parquet"


def quarantine(dataset: str) -> Path:
    """Return the CSV of the files that were refused, one reason a row."""
    return Path("data") / dataset / "quarantine.csv"


def duplicates(dataset: str) -> Path:
    """Return the CSV of the files that stand in several groups or under both labels, bit for bit the same."""
    return Path("data") / dataset / "duplicates.csv"


def manifest(dataset: str) -> Path:
    """Return the table of samples with their splits and folds (`tables.MANIFEST`)."""
    return Path("data") / dataset / "manifest.parquet"


def faces(dataset: str) -> Path:
    """Return the table of the faces found in a data set's images (`tables.FACES`)."""
    return Path("data") / dataset / "faces.parquet"


def views(dataset: str) -> Path:
    """Return the folder of what all views of a data set show."""
    return Path("data") / dataset / "views"


def view(dataset: str, name: str) -> Path:
    """Return the folder that says what one view of a data set shows: `regions` and `view_facts`."""
    return views(dataset) / name


def regions(dataset: str, name: str) -> Path:
    """Return the table of the part of each image that a view shows (`tables.REGIONS`)."""
    return view(dataset, name) / "regions.parquet"


def view_facts(dataset: str, name: str) -> Path:
    """Return a view's configuration, and the hash of its pixels (JSON)."""
    return view(dataset, name) / "view.json"


def prepared(dataset: str) -> Path:
    """Return the hashes of all that was prepared of a data set (JSON); what needs all data sets needs the folder."""
    return PREPARED / f"{dataset}.json"


def cache(dataset: str) -> Path:
    """Return the folder of decoded images, which can always be made again: neither git nor DVC keeps it."""
    return Path("data") / dataset / "cache"


def study(name: str) -> Path:
    """Return the folder of a study's runs, one entry of the run store each."""
    return RUNS / name


def run(experiment: str) -> Path:
    """Return the folder of all that one run leaves behind, whichever study it belongs to; names are unique."""
    found = sorted(RUNS.glob(f"*/{glob.escape(experiment)}/"))
    return found[0] if found else RUNS / "*" / experiment


def checkpoints(experiment: str) -> Path:
    """Return the folder of one experiment's checkpoints, one a fold."""
    return run(experiment) / CHECKPOINTS


def weights_name(fold: int) -> str:
    """Return the name of the file with one fold's weights."""
    return f"fold{fold}.safetensors"


def record_name(fold: int) -> str:
    """Return the name of the file with what belongs to one fold's weights."""
    return f"fold{fold}.json"


def optimizer_name(fold: int) -> str:
    """Return the name of the file with one fold's optimiser."""
    return f"fold{fold}.optimizer.safetensors"


def checkpoint(experiment: str, fold: int) -> Path:
    """Return the weights of one fold's best epoch (safetensors)."""
    return checkpoints(experiment) / weights_name(fold)


def checkpoint_record(experiment: str, fold: int) -> Path:
    """Return what belongs to one fold's weights: epoch, metrics, configuration, thresholds, ... (`records.Record`)."""
    return checkpoints(experiment) / record_name(fold)


def checkpoint_optimizer(experiment: str, fold: int) -> Path:
    """Return the optimiser's state at one fold's best epoch, where it is kept (safetensors)."""
    return checkpoints(experiment) / optimizer_name(fold)


def config(experiment: str) -> Path:
    """Return one experiment's resolved configuration and what training found out (JSON)."""
    return run(experiment) / RUN_CONFIG


def predictions(experiment: str) -> Path:
    """Return the table of one experiment's logits (`tables.PREDICTIONS`)."""
    return run(experiment) / RUN_PREDICTIONS


def entry(experiment: str) -> Path:
    """Return what a run's entry of the store says of itself (`runs.store.Entry`)."""
    return run(experiment) / ENTRY


def provenance(experiment: str) -> Path:
    """Return the record of when, where and from which commit a run was computed.

    It changes with every run, so it lies outside what DVC hashes: all that DVC tracks is reproducible bit for bit.
    """
    return PROVENANCE / f"{experiment}.json"


def history(experiment: str) -> Path:
    """Return the metrics of each epoch and fold (CSV)."""
    return run(experiment) / RUN_HISTORY


def roc(experiment: str) -> Path:
    """Return the ROC curve of each held-out fold (CSV)."""
    return run(experiment) / RUN_ROC


def confusion(experiment: str) -> Path:
    """Return the confusion matrix over all held-out folds (CSV)."""
    return run(experiment) / RUN_CONFUSION


def headline(experiment: str) -> Path:
    """Return one run's headline metrics (JSON), which its study's metrics repeat."""
    return run(experiment) / RUN_METRICS


def features(dataset: str) -> Path:
    """Return the table of what each file gives away without a look at its content (parquet)."""
    return Path("data") / dataset / "features.parquet"


def probe_scores(dataset: str) -> Path:
    """Return what the joint probe of each subject says of each development sample (`tables.PROBE_SCORES`)."""
    return Path("data") / dataset / "probes.parquet"


def weights(model: str) -> Path:
    """Return a model's ImageNet weights, as timm names them (safetensors)."""
    return Path("data/weights") / f"{model}.safetensors"


def weights_facts(model: str) -> Path:
    """Return the statistics that a model's weights were trained with, and where they came from (JSON)."""
    return Path("data/weights") / f"{model}.json"


def page(name: str) -> Path:
    """Return a page of the report (Markdown), for example `page("phase1")`."""
    return REPORTS / f"{name}.md"


def results(name: str) -> Path:
    """Return the folder of a study's tables and figures; what no study of the report owns has one of its own."""
    return REPORTS / next((study for study in STUDIES if name.startswith(study)), "own")


def table(name: str) -> Path:
    """Return a study's table as CSV, for example `table("phase1_tests")`."""
    return results(name) / f"{name}.csv"


def study_metrics(name: str) -> Path:
    """Return a study's metrics (JSON, committed)."""
    return METRICS / f"{name}.json"


def figure(name: str) -> Path:
    """Return a picture of the report that shows no photograph."""
    return results(name) / f"{name}.png"


def photograph(name: str) -> Path:
    """Return a picture of the report that shows photographs."""
    return PHOTOGRAPHS / f"{name}.png"


def bench(name: str) -> Path:
    """Return a benchmark's table (Markdown, committed, with the machine's name)."""
    return REPORTS / "bench" / f"{name}.md"
