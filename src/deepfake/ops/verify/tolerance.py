"""Which figures of a result file are judged, and how far each may move when detectors are trained again.

Equality bit for bit holds on one kind of processor only, so that a run elsewhere trains other detectors. How much that
moves a figure was measured on the embedded sample (`preset: quick`, 4 folds): 20 trainings at the same commit, seed and
data, in fp32 and restricted to AVX2, against the committed ones in bf16. Root mean squares of the change, the
greatest in brackets; of folds those of the 14 trainings of phases 1 and 2:

| figure | of a training | of one fold |
|---|---|---|
| AUC | .016 (.052) | .030 (.19) |
| EER, average precision, balanced accuracy, ECE | .008 to .022 (.053) | .019 to .041 (.16) |
| AUC of one source, TPR at a fixed FPR, log loss | .013 to .035 (.10) | .016 to .065 (.35) |
| accuracy, precision, recall, F1 at the tuned threshold | .03 to .12 (.30) | .07 to .25 (.79) |

Not counted is the evaluation on letterboxed reals: its AUC fell from .44 to .30, which is no noise to allow for. An
earlier measurement gave .022 for an AUC; the greater is taken. A fold moves by sqrt(4) times as much as the mean of
four, as it should, but with heavier tails: it may move by `FOLD_FACTOR` times as much, or moves that were seen would
count as a difference. No probe of a file and no face moved, which is why those must be equal.
"""

from fnmatch import fnmatchcase
from typing import Literal

Kind = Literal["key", "verdict", "exact", "trained", "unjudged"]
"""What identifies a row; what was concluded; what no training changes; what one does; what follows from the rest."""

AUC_SD, RATE_SD = 0.022, 0.12
"""Retraining noise of figures of one training: of an AUC and what `_NOISIER` does not list, and of the noisiest."""
FOLD_FACTOR = 3.0
RULE = f"""\
Each figure is equal (up to rounding), within retraining noise, or different. Retraining noise is three standard
deviations of the change when the same detectors are trained again, measured on the embedded sample with 4 folds (fp32
against bf16): {3 * AUC_SD:.3f} for an AUC and the like (SD {AUC_SD}), twice that for the AUC of one source, TPR at a
fixed FPR and log loss, {3 * RATE_SD:.2f} for accuracy, precision, recall and F1 at a threshold (SD {RATE_SD}); times
sqrt(2) for a difference of two figures, times {FOLD_FACTOR:.0f} for a single fold.

Figures that no training changes (shortcut probes of files, faces found, numbers of samples) must be equal. Not judged
are rates of a single fold, which may take almost any value, and what follows from other figures: p-values, interval
ends, standard deviations, variances, fitted thresholds and temperatures, numbers of predictions.

A verdict (significant, above chance, severity, a decision) is the same or flipped. Pages, plots and benchmarks are not
compared. The exit code is 1 where a verdict flipped or a figure is different or missing.
"""
"""The rule in words, for the help of the command."""

ROUNDING = 1e-5
"""Tables are written with six significant digits: a figure that is rounded the other way differs by this."""
LAST_DECIMAL = 1e-6
"""The same of metrics, which are rounded to six decimals."""
PLACE = "within"
"""The key that names the object of a JSON file which holds a figure."""

_SKIPPED = (
    *("*/plots/*", "*/bench/*", "*/notebooks/*", "*hard_examples.csv", "*_hard_others.csv", "*_embedding.csv"),
    *("*confidence.csv", "*_reliability.csv"),
)
"""Files that draw or list single predictions, and what notebooks save of other files."""
_UNTRAINED = ("*/probes.csv", "*_probes.csv", "*/faces_*.csv", "*/eda_*.csv")
"""Files without a trained figure: what is neither a key nor a verdict there is exact."""
_FOLDS = ("*_folds.csv",)
"""Files with a row a fold."""

_RATES = ("*accuracy", "*precision*", "*recall*", "*f1*", "false_positive_rate", "called", "share")
_STEADY = ("*balanced*accuracy*", "average*precision*")
"""Names that `_RATES` would take too."""
_COLUMNS: tuple[tuple[str, Kind, tuple[str, ...]], ...] = (
    ("*/decisions/*", "verdict", ("*",)),
    ("*gradcam.csv", "key", ("verdict",)),
    ("*gradcam.csv", "unjudged", ("images", "groups", "cells", "without_heat")),
    ("*", "key", ("fold", "level", "label", "bin", "strength", "in_domain", "cut", "decision", "holdout")),
    ("*", "verdict", ("significant", "*_significant", "over_groups", "learned", "above_chance")),
    ("*", "verdict", ("severity", "verdict", "chance", "chosen", "overlap")),
    (
        "*",
        "exact",
        (
            "samples",
            "groups",
            "files",
            "reals",
            "models",
            "repeats",
            "sources",
            "n_*",
            "n (groups)*",
            "param*",
            "resolution",
        ),
    ),
    ("*", "exact", ("fraction", "class_ratio", "ratio", "domain_chance", "separability", "leak_auc", "*_leaks")),
    ("*", "exact", ("*_median", "*_domain_share", "*_domain_value", "files_auc", "view_auc")),
    ("*", "unjudged", ("low", "high", "*_low", "*_high", "* low", "* high", "std", "*_std", "* std", "standard_error")),
    ("*", "unjudged", ("p", "p_*", "p (*", "p of *", "* p bootstrap", "* p t-test", "*variance*", "*_p")),
    ("*", "unjudged", ("threshold", "temperature", "probability", "best_epoch*", "folds_at_bound", "blind_folds")),
    ("*", "unjudged", ("detectable", "folds_beyond")),
    ("*", "unjudged", ("count", "errors", "confident", "pairs", "chance", "significant_*", "true_*", "false_fakes")),
    ("*", "unjudged", ("false_reals", "rank", "worst", "conclusion", "refused", "gap_from")),
    # these are as steady as an AUC
    ("*_folds.csv", "trained", _STEADY),
    ("*_folds.csv", "unjudged", _RATES),
)
"""The kind of columns by file and name (lower case), the first that fits; else text is a key, a number is trained."""
_NOISIER: tuple[tuple[float, tuple[str, ...]], ...] = (
    (AUC_SD, _STEADY),
    (
        2 * AUC_SD,
        ("auc_*", "tpr", "tpr_at_*", "held*out*auc", "trained_auc", "in?source?auc", "same source*", "benefit*"),
    ),
    (2 * AUC_SD, ("delta", "δ (in-source*", "text2img auc", "inpainting auc", "insight auc", "log_loss*")),
    (RATE_SD, (*_RATES, "recall (*", "r2", "spearman_*", "*correlation", "area", "excess")),
    (RATE_SD, ("face", "border", "background", "*_area", "*_excess", "border_change", "background_change")),
    # what is decided at thresholds
    (RATE_SD, ("risk*", "aurc")),
    (RATE_SD, ("*kappa", "spearman", "both_wrong", "independent", "right", "nobody", "percentile")),
)
"""The standard deviation of what is noisier than an AUC, by name; the first that fits."""
_CHANGES = ("difference", "change", "*_change", "*gap*", "drop", "behind", "gain", "benefit*", "delta", "excess", "δ*")
"""Columns that hold a difference of two figures."""


def compared(path: str) -> bool:
    """Return whether a file's figures are compared: it is CSV or JSON and neither draws nor lists predictions."""
    return path.endswith((".csv", ".json")) and not _fits(path, _SKIPPED)


def kind(file: str, column: str, cells: list[str]) -> Kind:
    """Return the kind of a column.

    Args:
        file: path of its file, with slashes.
        column: its name.
        cells: all that stands in it.
    """
    if column == PLACE:
        return "key"
    exact = _fits(file, _UNTRAINED)
    for files, known, names in _COLUMNS:
        if fnmatchcase(file, files) and _fits(column.lower(), names):
            return "exact" if exact and known == "unjudged" else known
    if any(cell and number(cell) is None for cell in cells):
        return "key"
    return "exact" if exact else "trained"


def allowed(file: str, column: str, metric: str = "") -> float | None:
    """Return how far a trained figure may move, None where it is not judged.

    Args:
        file: path of its file.
        column: where it stands.
        metric: what it measures, where the row says that.
    """
    name = (metric or column).lower()
    if metric and kind(file, metric, []) == "unjudged":
        return None
    sd = next((sd for sd, names in _NOISIER if _fits(name, names)), AUC_SD)
    change = 2**0.5 if _fits(column.lower(), _CHANGES) else 1
    return 3 * sd * change * (FOLD_FACTOR if _fits(file, _FOLDS) else 1)


def number(cell: str) -> float | None:
    """Return the number that a cell holds, if it does."""
    try:
        return float(cell)
    except ValueError:
        return None


def _fits(name: str, patterns: tuple[str, ...]) -> bool:
    """Return whether a name fits one of several patterns."""
    return any(fnmatchcase(name, pattern) for pattern in patterns)
