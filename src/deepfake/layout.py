"""Where every artefact lies, relative to the project root: the only Python that spells these paths.

`dvc.yaml` names the same paths; a test holds the two against each other.
"""

from pathlib import Path

PARAMS = Path("params.yaml")
CATALOG = Path("data/catalog.yaml")
CHECKED = Path("data/checked.json")
"""The data set that the study uses, written once its name, the preset and all of params.yaml were found right."""
LOCK = Path("requirements.lock")
"""The pinned packages, with hashes."""
GIT = Path(".git")
DVC = Path(".dvc")
SCRATCH = Path(".scratch")
"""Unfinished work that a killed run picks up again; never versioned, safe to delete."""
RUNS = Path("runs")
REPORTS = Path("reports")
SUMMARY = REPORTS / "summary.md"
FIGURES = REPORTS / "figures"
TABLES = REPORTS / "tables"
DECISION = REPORTS / "decisions" / "phase2.json"
"""What phase 2 decided (`config.Decision`)."""
TRAIN_METRICS = REPORTS / "metrics" / "train"
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
UNION = "union"
"""The name of the study's data set joined with others (`cross_dataset.union`), as a data set of its own."""
FOREIGN = Path("data/predictions")
"""The folder of other people's predictions, which the catalog names (CSV)."""
AWAY = Path("data/away")
"""One file for each data set beside the study's (`away`): whatever needs all of them depends on the folder."""


def plan(experiment: str) -> Path:
    """Return an experiment's resolved configuration, on which its training depends (JSON)."""
    return Path("data/plan") / f"{experiment}.json"


def code(stage: str) -> Path:
    """Return the digest of the code that decides the results of one kind of stage (JSON)."""
    return Path("data/plan/code") / f"{stage}.json"


def raw(dataset: str) -> Path:
    """Return the folder of a data set as it was obtained or generated; nothing writes into it afterwards.

    That of the union of data sets is the folder that holds theirs.
    """
    return RAW if dataset == UNION else RAW / dataset


def pointer(dataset: str) -> Path:
    """Return the file by which `dvc add` versions the raw folder of a data set that is obtained, not made."""
    return Path("data/raw") / f"{dataset}.dvc"


def away(dataset: str) -> Path:
    """Return the hashes of all that was prepared of a data set beside the study's (JSON)."""
    return AWAY / f"{dataset}.json"


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


def view(dataset: str, name: str) -> Path:
    """Return the folder that says what one view of a data set shows: `regions` and `view_facts`."""
    return Path("data") / dataset / "views" / name


def regions(dataset: str, name: str) -> Path:
    """Return the table of the part of each image that a view shows (`tables.REGIONS`)."""
    return view(dataset, name) / "regions.parquet"


def view_facts(dataset: str, name: str) -> Path:
    """Return a view's configuration, and the hash of its pixels (JSON)."""
    return view(dataset, name) / "view.json"


def cache(dataset: str) -> Path:
    """Return the folder of decoded images, which can always be made again: neither git nor DVC keeps it."""
    return Path("data") / dataset / "cache"


def run(experiment: str) -> Path:
    """Return the folder of all that one experiment's training leaves behind, except what is committed."""
    return RUNS / experiment


def checkpoints(experiment: str) -> Path:
    """Return the folder of one experiment's checkpoints, one a fold."""
    return run(experiment) / "checkpoints"


def checkpoint(experiment: str, fold: int) -> Path:
    """Return the weights of one fold's best epoch (safetensors)."""
    return checkpoints(experiment) / f"fold{fold}.safetensors"


def checkpoint_record(experiment: str, fold: int) -> Path:
    """Return what belongs to one fold's weights: epoch, metrics, configuration, thresholds, ... (`records.Record`)."""
    return checkpoints(experiment) / f"fold{fold}.json"


def checkpoint_optimizer(experiment: str, fold: int) -> Path:
    """Return the optimiser's state at one fold's best epoch, where it is kept (safetensors)."""
    return checkpoints(experiment) / f"fold{fold}.optimizer.safetensors"


def config(experiment: str) -> Path:
    """Return one experiment's resolved configuration and what training found out (JSON)."""
    return run(experiment) / "config.json"


def predictions(experiment: str) -> Path:
    """Return the table of one experiment's logits (`tables.PREDICTIONS`)."""
    return run(experiment) / "predictions.parquet"


def provenance(experiment: str) -> Path:
    """Return the record of when, where and from which commit an experiment was trained.

    It changes with every run, so DVC does not track it: all that DVC tracks is reproducible bit for bit. By its `key`
    an experiment is known whose results another one of the same configuration may take over.
    """
    return run(experiment) / "provenance.json"


def train_metrics(experiment: str) -> Path:
    """Return one experiment's headline metrics (JSON, committed, read by `dvc metrics`)."""
    return TRAIN_METRICS / f"{experiment}.json"


def plots(experiment: str) -> Path:
    """Return the folder of one experiment's plot data."""
    return REPORTS / "plots" / experiment


def history(experiment: str) -> Path:
    """Return the metrics of each epoch and fold (CSV)."""
    return plots(experiment) / "history.csv"


def roc(experiment: str) -> Path:
    """Return the ROC curve of each held-out fold (CSV)."""
    return plots(experiment) / "roc.csv"


def confusion(experiment: str) -> Path:
    """Return the confusion matrix over all held-out folds (CSV)."""
    return plots(experiment) / "confusion.csv"


def gate(candidate: str) -> Path:
    """Return whether phase 4 goes on with a candidate (`config.Gate`)."""
    return REPORTS / "decisions" / "phase4" / f"{candidate}.json"


def features(dataset: str) -> Path:
    """Return the table of what each file gives away without a look at its content (parquet)."""
    return Path("data") / dataset / "features.parquet"


def probe_scores(dataset: str) -> Path:
    """Return what the joint probe of each subject says of each development sample (`tables.PROBE_SCORES`)."""
    return Path("data") / dataset / "probes.parquet"


def weights(model: str) -> Path:
    """Return a model's ImageNet weights, as timm names them (safetensors)."""
    return Path("data/weights") / f"{model}.safetensors"


def pretrained(model: str) -> Path:
    """Return which weights a model of the study starts from (JSON), so that DVC can tell when they change."""
    return Path("data/pretrained") / f"{model}.json"


def page(name: str) -> Path:
    """Return a page of the report (Markdown), for example `page("phase1")`."""
    return REPORTS / f"{name}.md"


def table(name: str) -> Path:
    """Return a study's table as CSV, for example `table("phase1")`."""
    return TABLES / f"{name}.csv"


def study_metrics(name: str) -> Path:
    """Return a study's metrics (JSON, committed)."""
    return REPORTS / "metrics" / f"{name}.json"


def figure(name: str) -> Path:
    """Return a picture of the report."""
    return FIGURES / f"{name}.png"


def bench(name: str) -> Path:
    """Return a benchmark's table (Markdown, committed, with the machine's name)."""
    return REPORTS / "bench" / f"{name}.md"
