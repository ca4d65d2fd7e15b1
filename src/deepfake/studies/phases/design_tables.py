"""The tables of the study design: its columns first, then what we add."""

from collections.abc import Mapping

import pandas as pd

from deepfake import config
from deepfake.config.params import Params
from deepfake.reports.columns import Column, Table, estimate, interval, number, p_value, source_columns, text
from deepfake.studies.results import Results

_DELTA = "{:+.3f}"


def _verdict() -> list[Column]:
    """Return a contrast: its difference with the interval and the p-value of the test that gives the verdict."""
    return [
        estimate("ΔAUC [interval]", "difference", "low", "high", _DELTA),
        text("Verdict", "verdict"),
        p_value("p (Holm)", "p"),
    ]


def _size(prefix: str = "") -> Column:
    """Return the column of how much was measured."""
    keys = {"": f"{prefix}samples", "groups": f"{prefix}groups", "repeats": f"{prefix}repeats"}
    return Column("n (groups) × repeats", keys, "{:,} ({}) × {}".format)


def _auc(prefix: str = "", heading: str = "AUC [interval]") -> Column:
    return estimate(heading, f"{prefix}auc", f"{prefix}auc_low", f"{prefix}auc_high")


def models(results: Results, rationales: Mapping[str, str] | None = None) -> Table:
    """Return phases 1 and 3 of the design, `Model | Params | AUC`, with the contrast to each baseline and all figures.

    Args:
        results: of the phase.
        rationales: why each run was chosen, where the design says so.
    """
    rows = results.rows
    numbers = rows.assign(
        title=[results.label(name) for name in rows["experiment"]],
        rationale=rows["experiment"].map(dict(rationales or {})),
    )
    columns = [
        text("Model", "title"),
        number("Params", "parameters", "{:,}"),
        *([text("Rationale", "rationale")] if rationales else []),
        _auc(),
        Column("AUC (all pairs, mean ± std)", {"": "auc_all", "std": "auc_std"}, "{:.3f} ± {:.3f}".format),
    ]
    for baseline, tests in results.tests.groupby("baseline", sort=False):
        known = tests.set_index("experiment")
        keys = {key: f"{baseline}_{key}" for key in ("difference", "low", "high", "verdict")}
        numbers = numbers.assign(**{name: rows["experiment"].map(known[key]) for key, name in keys.items()})
        columns.append(
            Column(
                f"Δ to {results.label(str(baseline))}",
                {"": keys["difference"], "low": keys["low"], "high": keys["high"], "verdict": keys["verdict"]},
                "{:+.3f} [{:+.3f}, {:+.3f}] {}".format,
            )
        )
    return Table(numbers, [*columns, *_detail(rows)])


def _detail(rows: pd.DataFrame) -> list[Column]:
    """Return the columns of all else that is known of a run."""
    return [
        number("Train/Val Gap", "train_val_gap", _DELTA),
        *(number(f"{column.removeprefix('auc_')} AUC", column) for column in source_columns(rows)),
        *SOURCE_SPREAD,
        number("AP", "average_precision"),
        number("TPR at 1% FPR", "tpr_at_fpr_1"),
        number("EER", "eer"),
        number("Balanced Accuracy", "balanced_accuracy"),
        number("Recall (Fake)", "recall_fake"),
        number("Recall (Real)", "recall_real"),
        number("Brier", "brier"),
        number("ECE", "ece"),
        _size(),
    ]


_CONDITIONS = {
    "phase2a_geometry": (
        "geometry",
        {
            "crop": "Square crop (standard)",
            "letterbox_real": "Square crop, evaluated with reals letterboxed",
            "letterbox": "Square crop, evaluated with both letterboxed",
            "resize": "Plain resize (shape visible)",
            "matched": "Plain resize, evaluated with equal shapes",
        },
    ),
    "phase2a_colour": (
        "normalization",
        {"fixed": "ImageNet normalization", "real training images": "Real-image-only normalization"},
    ),
}
"""What the rows of 2A-1 and 2A-2 differ in, and how the design calls them."""


def conditions(results: Results, table: str) -> Table:
    """Return 2A-1 or 2A-2 of the design: `Experiment | AUC | Train/Val Gap | SD of per-source AUC`."""
    key, names = _CONDITIONS[table]
    rows = results.rows.set_index("experiment").loc[results.experiments(table)].reset_index()
    tests = results.tests[results.tests["table"] == table].drop(columns=["table", "samples", "groups", "repeats"])
    against = tests["baseline"].map(results.rows.set_index("experiment")[key]).map(names)
    numbers = rows.merge(tests.assign(against=against), on="experiment", how="left").assign(
        title=rows[key].map(names).fillna(rows["experiment"])
    )
    columns = [
        text("Experiment", "title"),
        _auc(),
        number("Train/Val Gap", "train_val_gap", _DELTA),
        *SOURCE_SPREAD,
        text("Against", "against"),
    ]
    return Table(numbers, [*columns, *_verdict(), _size()])


def holdout(results: Results, rows: pd.DataFrame, real: list[str], thresholds: tuple[float, float]) -> Table:
    """Return 2A-3 of the design, source holdout, with the same source's AUC when it was trained on.

    Args:
        results: of phase 2.
        rows: the table of `analysis.holdout`.
        real: the sources of reals.
        thresholds: `interpretation.source_specific`.
    """
    fakes = [column.removeprefix("auc_") for column in source_columns(results.rows)]
    numbers = rows.assign(
        title="Holdout " + rows["source"],
        trained_on=[", ".join([*real, *(fake for fake in fakes if fake != source)]) for source in rows["source"]],
        reading=[_specific(delta, thresholds) for delta in rows["delta"]],
    )
    columns = [
        text("Experiment", "title"),
        text("Held-out Source", "source"),
        text("Train Sources", "trained_on"),
        number("Held-out AUC", "held_out_auc"),
        number("In-Source AUC", "in_source_auc"),
        estimate("Δ (In-Source - Held-out) [interval]", "delta", "delta_low", "delta_high", _DELTA),
        text("Interpretation of Δ", "reading"),
        number("Same Source, Trained On", "trained_auc"),
        *_verdict(),
        _size(),
    ]
    return Table(numbers, columns)


def _specific(delta: float, thresholds: tuple[float, float]) -> str:
    """Read a delta by the design's thresholds."""
    possible, clear = thresholds
    return "source-specific" if delta > clear else "possibly source-specific" if delta > possible else "shared"


PAIRED = {
    "phase2b": ("{a_resolution}×{a_resolution} AUC", "{b_resolution}×{b_resolution} AUC", "", ""),
    "phase2c": ("No Facecrop AUC", "Facecrop AUC", "", ""),
    "phase2d": ("No Aug AUC", "With Aug AUC", "No Aug", "With Aug"),
    "phase2e": ("Facecrop Only AUC", "Facecrop + Aug AUC", "Only", "With Aug"),
}
"""The design's headings of two conditions, and how it tells their gaps apart where it asks for them."""


def paired(results: Results, table: str) -> Table:
    """Return 2B to 2E of the design: a model a row, `Model | one AUC | other AUC | Δ`, and gaps where it wants them."""
    numbers = results.pairs(table)
    one, other, *sides = PAIRED[table]
    first = numbers.iloc[0]
    metrics = {"Train/Val Gap": ("train_val_gap", _DELTA), "SD of Sources": ("source_auc_sd", "{:.3f}")}
    gaps = [
        number(f"{heading} ({side})", f"{end}_{key}", form)
        for heading, (key, form) in metrics.items()
        for end, side in zip("ab", sides, strict=True)
        if side
    ]
    shown = [_auc("a_", f"{one.format_map(first)} [interval]"), _auc("b_", f"{other.format_map(first)} [interval]")]
    return Table(numbers, [text("Model", "title"), *shown, *_verdict(), *gaps, _size()])


def scaling(results: Results, settings: Params) -> Table:
    """Return 4A of the design: a model a row, its AUC on small, medium and all data, and what all brings over small."""
    words = settings.presets[settings.preset].fraction
    keys = ["small", *settings.studies.phase4.fractions]
    shares = {key: f"{getattr(words, key) if isinstance(key, str) else key:.0%}" for key in keys}
    pairs = results.pairs("phase4a")
    whole = pairs[pairs["experiment"].str.endswith(f"_{keys[-1]}")].reset_index(drop=True)
    known = results.rows.set_index("experiment")
    ends = ("auc", "auc_low", "auc_high")
    parts = [whole]
    for key in keys:
        names = [config.scaled(str(name), key) for name in whole["baseline"]]
        parts.append(known.loc[names, list(ends)].add_prefix(f"{key}_").reset_index(drop=True))
    whole = pd.concat(parts, axis=1)
    columns = [
        text("Model", "title"),
        *(_auc(f"{key}_", f"{share} Data AUC [interval]") for key, share in shares.items()),
    ]
    return Table(whole, [*columns, *_verdict(), _size()])


SOURCE_SPREAD = (
    number("SD of per-source AUC", "source_auc_sd"),
    text("Hardest source", "hardest_source"),
)
"""How far the sources lie apart beyond noise; the design's column of their variance, of which its example is the SD."""
SHORTCUT_METRICS = {"train_auc": "Train AUC", "auc": "Held-out AUC", "train_val_gap": "Train/Val Gap"}


def shortcut_removal(results: Results, confidence: float) -> pd.DataFrame:
    """Return what augmentation does to gap and sources (2D and 2E): a row a table, model and metric.

    Returns:
        Columns `table, model, metric, without, with, change, low, high`; 95% CI (repeated cross-validation; of the
        variance over sources by groups).
    """
    sources = {column: f"{column.removeprefix('auc_')} AUC" for column in source_columns(results.rows)}
    means = results.folds.groupby("experiment").mean(numeric_only=True)
    found = []
    for table in ("phase2d", "phase2e"):
        for _, pair in results.pairs(table).iterrows():
            baseline, other = str(pair["baseline"]), str(pair["experiment"])
            for key, metric in {**SHORTCUT_METRICS, **sources}.items():
                change = results.change(baseline, other, key, confidence)
                values = (means.loc[baseline, key], means.loc[other, key], change.estimate, change.low, change.high)
                found.append((table, pair["title"], metric, *values))
            ends = ("a_source_auc_variance", "b_source_auc_variance")
            changes = [f"source_auc_variance_{figure}" for figure in ("change", "low", "high")]
            found.append((table, pair["title"], "AUC Variance", *pair[[*ends, *changes]]))
    return pd.DataFrame(found, columns=["table", "model", "metric", "without", "with", "change", "low", "high"])


def removal(rows: pd.DataFrame) -> Table:
    """Return the design's shortcut removal of one model: `Metric | Without Aug | With Aug | Interpretation`."""
    columns = [
        text("Metric", "metric"),
        number("Without Aug", "without", "{:.4f}"),
        number("With Aug", "with", "{:.4f}"),
        text("Interpretation", "reading"),
        number("Change", "change", "{:+.4f}"),
        interval("95% CI", "low", "high", "{:+.4f}"),
    ]
    return Table(rows.assign(reading=[_reading(row) for _, row in rows.iterrows()]), columns)


def _reading(row: pd.Series) -> str:
    """Return where a metric goes, whether that is wanted, and whether it is more than noise."""
    if row["change"] == 0:
        return "→ no change"
    falls = row["change"] < 0
    arrow = "↓" if falls else "↑"
    if row["low"] <= 0 <= row["high"]:
        return f"{arrow} within noise"
    if row["metric"] == "Train AUC":
        return f"{arrow} {'expected' if falls else 'unexpected'}"
    wanted = falls if row["metric"] in ("Train/Val Gap", "AUC Variance") else not falls
    return f"{arrow} {'good' if wanted else 'bad'}"
