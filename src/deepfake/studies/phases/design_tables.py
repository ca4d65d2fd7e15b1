"""The plan's own tables: its columns first, then what we add; as CSV in numbers, as Markdown for people."""

import pandas as pd

from deepfake import config
from deepfake.config.params import Params
from deepfake.reports.columns import Column, Table, interval, mean, number, source_columns, text
from deepfake.reports.wording import p_value
from deepfake.studies.results import Results


def _tested(confidence: float) -> list[Column]:
    """Return what stands behind a difference: its interval, its p-values and whether it is significant."""
    ps = {"bootstrap": "p_bootstrap_holm", "t-test": "p_ttest_holm"}
    return [
        interval(f"{confidence:.0%} interval of Δ", "low", "high", "{:+.3f}"),
        Column("p (Holm, the larger of two tests)", ps, lambda *values: p_value(max(values))),
        Column("significant", {"": "significant"}, lambda value: "yes" if value else "no"),
    ]


def _size(prefix: str = "") -> Column:
    """Return the column of how much was measured."""
    keys = {"": f"{prefix}samples", "groups": f"{prefix}groups"}
    return Column("n (groups)", keys, "{:,} ({})".format)


def models(results: Results, confidence: float, *, experiments: bool = False) -> Table:
    """Return phases 1 and 3 of the plan, `Model | Params | AUC`, with differences to baselines and all figures.

    Args:
        results: of the phase.
        confidence: of its intervals.
        experiments: whether rows are told apart by experiment, rather than by model alone.
    """
    rows = results.rows
    marks = rows["experiment"].isin(results.unplanned).map({True: " †", False: ""})
    numbers = rows.assign(title=rows["experiment"].map(results.titles) + marks)
    columns = [
        *([text("Experiment", "experiment")] if experiments else []),
        text("Model", "title"),
        number("Params", "parameters", "{:,}"),
        mean("AUC (mean ± std)", "auc"),
    ]
    for baseline, tests in results.tests.groupby("baseline", sort=False):
        known = tests.set_index("experiment")
        keys = {
            "": "difference",
            "low": "low",
            "high": "high",
            "p bootstrap": "p_bootstrap_holm",
            "p t-test": "p_ttest_holm",
        }
        named = {name: f"{baseline}_{key}" for name, key in keys.items()}
        numbers = numbers.assign(**{f"{baseline}_{key}": rows["experiment"].map(known[key]) for key in keys.values()})
        columns.append(Column(f"Δ to {results.titles[str(baseline)]}", named, _difference))
    return Table(numbers, [*columns, *_detail(rows, confidence)])


def _difference(difference: float, low: float, high: float, *ps: float) -> str:
    """Write a difference with its interval and the larger of its p-values."""
    return f"{difference:+.3f} [{low:+.3f}, {high:+.3f}], {p_value(max(ps))}"


def _detail(rows: pd.DataFrame, confidence: float) -> list[Column]:
    """Return the columns of all else that is known of an experiment."""
    return [
        interval(f"{confidence:.0%} interval (groups)", "auc_low", "auc_high"),
        interval(f"{confidence:.0%} interval (folds)", "fold_low", "fold_high"),
        number("Train/Val Gap", "train_val_gap", "{:+.3f}"),
        *(number(f"{column.removeprefix('auc_')} AUC", column) for column in source_columns(rows)),
        number("Per-Source AUC Variance", "source_auc_variance", "{:.4f}"),
        number("EER", "eer"),
        number("Balanced Accuracy", "balanced_accuracy"),
        number("Recall (Fake)", "recall_fake"),
        number("Recall (Real)", "recall_real"),
        number("Brier", "brier"),
        number("ECE", "ece"),
        number("Test AUC", "test_auc"),
        _size(),
    ]


_CONDITIONS = {
    "phase2a_geometry": (
        "geometry",
        {"crop": "Original images (standard eval)", "letterbox_real": "Matched geometry (letterboxed real images)"},
    ),
    "phase2a_colour": (
        "normalization",
        {"fixed": "ImageNet normalization", "real training images": "Real-image-only normalization"},
    ),
}
"""What the rows of the plan's tables 2A-1 and 2A-2 differ in, and how it calls them."""


def conditions(results: Results, table: str, confidence: float) -> Table:
    """Return 2A-1 or 2A-2 of the plan: `Experiment | AUC | Train/Val Gap | Per-Source AUC Variance`."""
    key, names = _CONDITIONS[table]
    rows = results.rows.set_index("experiment").loc[results.experiments(table)].reset_index()
    tests = results.tests[results.tests["table"] == table].drop(columns=["table", "baseline"])
    numbers = rows.merge(tests, on="experiment", how="left").assign(
        title=rows[key].map(names).fillna(rows["experiment"])
    )
    columns = [
        text("Experiment", "title"),
        mean("AUC", "auc"),
        number("Train/Val Gap", "train_val_gap", "{:+.3f}"),
        number("Per-Source AUC Variance", "source_auc_variance", "{:.4f}"),
        interval(f"{confidence:.0%} interval of AUC (groups)", "auc_low", "auc_high"),
        number("Δ", "difference", "{:+.3f}"),
    ]
    return Table(numbers, [*columns, *_tested(confidence), _size()])


def holdout(results: Results, rows: pd.DataFrame, real: list[str], confidence: float) -> Table:
    """Return 2A-3 of the plan, source holdout, with the same source's AUC when it was trained on.

    Args:
        results: of phase 2.
        rows: the table of `analysis.holdout`.
        real: the sources of reals.
        confidence: of its intervals.
    """
    known = results.rows.set_index("experiment")
    fakes = [column.removeprefix("auc_") for column in source_columns(results.rows)]
    baseline = known.loc[results.experiments("phase2a_holdout")[0]]
    first = {
        "title": "Baseline",
        "source": "None",
        "trained_on": "All",
        "in_source_auc": baseline["auc"],
        "in_source_std": baseline["auc_std"],
        "samples": baseline["samples"],
        "groups": baseline["groups"],
    }
    others = rows.assign(
        title="Holdout " + rows["source"],
        trained_on=[", ".join([*real, *(fake for fake in fakes if fake != source)]) for source in rows["source"]],
        samples=rows["experiment"].map(known["samples"]),
        groups=rows["experiment"].map(known["groups"]),
    )
    ps = {"bootstrap": "p_benefit_bootstrap_holm", "t-test": "p_benefit_ttest_holm"}
    columns = [
        text("Experiment", "title"),
        text("Held-out Source", "source"),
        text("Train Sources", "trained_on"),
        mean("Held-out AUC", "held_out_auc", "held_out_std"),
        mean("In-Source AUC", "in_source_auc", "in_source_std"),
        number("Δ (In-Source - Held-out)", "delta", "{:+.3f}"),
        interval(f"{confidence:.0%} interval of Δ (folds)", "delta_low", "delta_high", "{:+.3f}"),
        Column("p of Δ (Holm)", {"": "p_delta_holm"}, p_value),
        number("Same Source, Trained On", "trained_auc"),
        number("Benefit of Training On It", "benefit", "{:+.3f}"),
        interval(f"{confidence:.0%} interval of Benefit", "benefit_low", "benefit_high", "{:+.3f}"),
        Column("p of Benefit (Holm, the larger of two tests)", ps, lambda *values: p_value(max(values))),
        _size(),
    ]
    numbers = pd.concat([pd.DataFrame([first]), others], ignore_index=True)
    return Table(numbers.astype({"samples": int, "groups": int}), columns)


PAIRED = {
    "phase2b": ("{a_resolution}×{a_resolution} AUC", "{b_resolution}×{b_resolution} AUC", "", ""),
    "phase2c": ("No Facecrop AUC", "Facecrop AUC", "", ""),
    "phase2d": ("No Aug AUC", "With Aug AUC", "No Aug", "With Aug"),
    "phase2e": ("Facecrop Only AUC", "Facecrop + Aug AUC", "Only", "With Aug"),
}
"""The plan's headings of two conditions, and how it tells their gaps apart where it asks for them."""


def paired(results: Results, table: str, confidence: float) -> Table:
    """Return 2B to 2E of the plan: a model a row, `Model | one AUC | other AUC | Δ`, and gaps where it wants them."""
    numbers = results.pairs(table)
    one, other, *sides = PAIRED[table]
    first = numbers.iloc[0]
    columns = [
        text("Model", "title"),
        mean(one.format_map(first), "a_auc"),
        mean(other.format_map(first), "b_auc"),
        number("Δ", "difference", "{:+.3f}"),
    ]
    metrics = {"Train/Val Gap": ("train_val_gap", "{:+.3f}"), "Source Variance": ("source_auc_variance", "{:.4f}")}
    gaps = [
        [number(f"{heading} ({side})", f"{end}_{key}", form) for end, side in zip("ab", sides, strict=True) if side]
        for heading, (key, form) in metrics.items()
    ]
    return Table(numbers, [*columns, *gaps[0], *_tested(confidence), *gaps[1], _size("b_")])


def scaling(results: Results, settings: Params) -> Table:
    """Return 4A of the plan: a model a row, its AUC on small, medium and all data, and what all brings over small."""
    words = settings.presets[settings.preset].fraction
    keys = ["small", *settings.studies.phase4.fractions]
    shares = {key: f"{getattr(words, key) if isinstance(key, str) else key:.0%}" for key in keys}
    pairs = results.pairs("phase4a")
    whole = pairs[pairs["experiment"].str.endswith(f"_{keys[-1]}")].reset_index(drop=True)
    known = results.rows.set_index("experiment")
    for key in keys:
        names = [config.scaled(str(name), key) for name in whole["baseline"]]
        whole = whole.assign(
            **{f"{key}_{metric}": known.loc[names, metric].to_numpy() for metric in ("auc", "auc_std")}
        )
    columns = [
        text("Model", "title"),
        *(mean(f"{share} Data AUC", f"{key}_auc") for key, share in shares.items()),
        number(f"Δ ({shares[keys[-1]]} - {shares['small']})", "difference", "{:+.3f}"),
    ]
    return Table(whole, [*columns, *_tested(settings.evaluation.confidence), _size("b_")])


SHORTCUT_METRICS = {"train_auc": "Train AUC", "auc": "Held-out AUC", "train_val_gap": "Train/Val Gap"}


def shortcut_removal(results: Results, confidence: float) -> pd.DataFrame:
    """Return what augmentation does to gap and sources (2D and 2E): a row a table, model and metric.

    Returns:
        Columns `table, model, metric, without, with, change, low, high`; intervals over folds.
    """
    sources = {column: f"{column.removeprefix('auc_')} AUC" for column in source_columns(results.rows)}
    metrics = {**SHORTCUT_METRICS, **sources, "source_auc_variance": "AUC Variance"}
    found = []
    for table in ("phase2d", "phase2e"):
        for _, pair in results.pairs(table).iterrows():
            baseline, other = str(pair["baseline"]), str(pair["experiment"])
            for key, metric in metrics.items():
                change = results.change(baseline, other, key, confidence)
                values = (pair[f"a_{key}"], pair[f"b_{key}"], change.estimate, change.low, change.high)
                found.append((table, pair["title"], metric, *values))
    return pd.DataFrame(found, columns=["table", "model", "metric", "without", "with", "change", "low", "high"])


def removal(rows: pd.DataFrame, confidence: float) -> Table:
    """Return the plan's shortcut removal of one model: `Metric | Without Aug | With Aug | Interpretation`."""
    columns = [
        text("Metric", "metric"),
        number("Without Aug", "without", "{:.4f}"),
        number("With Aug", "with", "{:.4f}"),
        text("Interpretation", "reading"),
        number("Change", "change", "{:+.4f}"),
        interval(f"{confidence:.0%} interval (folds)", "low", "high", "{:+.4f}"),
    ]
    return Table(rows.assign(reading=[_reading(row) for _, row in rows.iterrows()]), columns)


def _reading(row: pd.Series) -> str:
    """Say where a metric goes, whether that is wanted, and whether it is more than noise."""
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
