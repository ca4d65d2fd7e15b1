"""What the files of a run and of a fold are called, below its folder (`project`)."""

ENTRY = "entry.json"
"""What an entry of the run store says of itself: its key, its kind, and the hashes of its files."""
CHECKPOINTS = "checkpoints"
RUN_CONFIG = "config.json"
RUN_PREDICTIONS = "predictions.parquet"
RUN_HISTORY = "history.csv"
RUN_ROC = "roc.csv"
RUN_CONFUSION = "confusion.csv"
RUN_METRICS = "metrics.json"
"""The files of a run, below its folder."""
FOLD_WEIGHTS = "weights.safetensors"
FOLD_OPTIMIZER = "optimizer.safetensors"
FOLD_RECORD = "record.json"
FOLD_PREDICTIONS = "predictions.parquet"
FOLD_HISTORY = "history.csv"
FOLD_DONE = "done.json"
"""The results of one fold of unfinished work; the last is written last, so that its existence means all are there."""


def weights_name(fold: int) -> str:
    """Return the name of the file with one fold's weights."""
    return f"fold{fold}.safetensors"


def record_name(fold: int) -> str:
    """Return the name of the file with what belongs to one fold's weights."""
    return f"fold{fold}.json"


def optimizer_name(fold: int) -> str:
    """Return the name of the file with one fold's optimiser."""
    return f"fold{fold}.optimizer.safetensors"
