"""The page on class imbalance: what remedies and thresholds change, and whether a remedy is more than a threshold."""

from typing import Any

import pandas as pd

from deepfake import tables
from deepfake.config import RunConfig, config_of, table
from deepfake.config.params import Params
from deepfake.project import paths
from deepfake.reports import columns, wording
from deepfake.reports.columns import Table, source_columns
from deepfake.reports.wording import interval, listed
from deepfake.studies.imbalance import figures, findings, results
from deepfake.studies.imbalance.results import GAP, HALF, METRICS, NAME, SCARCE, TUNED, Found
from deepfake.studies.operating_points import page as operating_points_page

EXPECTED = {
    "recall_real": ("Recall (real)", (0.30, 0.40), (0.60, 0.75)),
    "f1_macro": ("F1 (macro)", (0.50, 0.60), (0.70, 0.80)),
    GAP: ("Precision/recall gap", (0.30, 1.0), (0.0, 0.15)),
    "auc": ("ROC AUC", (0.70, 0.70), (0.85, 1.0)),
}
"""What the plan expects before and after, without having measured it: a metric's name and two ranges."""
_VARIED = ("experiment", "study", "loss", "sampler", "monitor", "domain")
"""What experiments of the table are meant to differ in."""


def write(settings: Params) -> None:
    """Write the page and its figures from the tables of the study."""
    found = results.read(settings)
    expected = [name for name, baselines in table(settings, NAME).items() if found.baseline in baselines]
    detail = list(settings.studies.imbalance.detail) or [found.baseline]
    configs = {name: config_of(name) for name in found.names}
    heads = [name for name in found.names if configs[name].domain.column != "none"]
    histories = {name: pd.read_csv(paths().history(name)) for name in found.names}
    _draw(found, detail, histories, heads)
    parts = [
        f"# Class imbalance: what helps at {found.rows['ratio'].iloc[0]:.1f} fakes for each real",
        "[Summary](summary.md)",
        wording.scope(settings.preset, settings.dataset),
        _conditions(found, list(configs.values())),
        "## What follows",
        _bullets([*findings.sentences(found), findings.unpaired(found, expected)]),
        "## Before and after",
        _before_after(found),
        wording.picture(f"{NAME}_recall", "before and after"),
        f"*Bars: {found.confidence:.0%} intervals over groups. Grey: what the plan expects in the end.*",
        "## The plan's expectations",
        _expectations(found, detail),
        "## The tests",
        _tests(found),
        "## How training went",
        "Each experiment over epochs: mean over the folds that still run, bands are their standard deviation. Training "
        "is measured while it trains, both at probability 0.5. The bars are each fold's best epoch.",
        wording.picture(f"{NAME}_training", "training progress"),
        *_decisions(found, detail),
        *_calibration(found),
        *_domains(found, heads, histories, configs),
    ]
    tables.write_text("\n\n".join(part for part in parts if part) + "\n", paths().page(NAME))


def headline(settings: Params) -> str:
    """Return what the study of class imbalance found, in one sentence for the summary."""
    return findings.headline(results.read(settings))


def _bullets(sentences: list[str]) -> str:
    return "\n".join(f"- {sentence}" for sentence in sentences if sentence)


def _of(frame: pd.DataFrame, names: list[str]) -> dict[str, pd.DataFrame]:
    """Return each experiment's rows."""
    return {name: frame[frame["experiment"] == name].reset_index(drop=True) for name in names}


def _draw(found: Found, detail: list[str], histories: dict[str, pd.DataFrame], heads: list[str]) -> None:
    """Draw all pictures of the page."""
    known = found.experiments.set_index("experiment")
    best = {name: [int(epoch) for epoch in str(known.loc[name, "best_epochs"]).split()] for name in found.names}
    figures.training(histories, best, paths().figure(f"{NAME}_training"))
    if heads:
        with_head, chance = {name: histories[name] for name in heads}, known["domain_chance"]
        figures.domains(with_head, {name: chance[name] for name in heads}, paths().figure(f"{NAME}_domains"))
    curves = {name: pd.read_csv(paths().roc(name)) for name in detail}
    operating_points_page.draw(NAME, _of(found.cuts, detail), _of(found.reliability, detail), curves, found.calibration)
    expected = {metric: (heading, *after) for metric, (heading, _, after) in EXPECTED.items()}
    figures.before_after(found.rows, expected, paths().figure(f"{NAME}_recall"))


def _conditions(found: Found, configs: list[RunConfig]) -> str:
    """Say what was compared, under which conditions, on how many samples."""
    first = configs[0]
    differing = [
        key
        for key in RunConfig.model_fields
        if key not in _VARIED and len({str(getattr(config, key)) for config in configs}) > 1
    ]
    alike = f"**They also differ in {listed(differing)}.**" if differing else "All else is the same:"
    ratio = (
        f"samples are left out until there are {first.class_ratio:g} fakes for each real, in training, validation, "
        "held-out and test samples alike, of each source and fold the same share and evenly from all groups"
        if first.class_ratio
        else "classes are as the data set has them"
    )
    row = found.row(found.baseline, HALF)
    compared = pd.DataFrame(
        {
            "Experiment": [config.experiment for config in configs],
            "Loss": [wording.loss(config) for config in configs],
            "Sampler": [wording.sampler(config) for config in configs],
            "Best epoch by": [config.monitor for config in configs],
            "Domains": [wording.domains(config) for config in configs],
            "Fakes for each real": [f"{found.row(config.experiment, HALF)['ratio']:.2f}" for config in configs],
        }
    )
    return "\n\n".join(
        [
            compared.to_markdown(index=False, disable_numparse=True),
            f"{alike} {first.model}; {wording.view(first)}; {wording.augmentation(first)}; "
            f"{wording.statistics(first)}; {wording.weights(first)}; {first.fraction:.0%} of the development groups, "
            f"{first.folds} grouped folds; {ratio}; AdamW, learning rate {first.lr:g}, weight decay "
            f"{first.weight_decay:g}, cosine schedule over {first.epochs} epochs, early stopping after "
            f"{first.early_stopping_patience}; batches of {first.batch_size}. {found.baseline} is held out on "
            f"{row['samples']:,.0f} samples of {row['groups']:.0f} groups, {row['reals']:,.0f} of them real.",
            "*Tuned*: at each checkpoint's own threshold (Youden's J on its inner validation). F1 is the mean of both "
            "classes', the gap is |precision - recall| of the reals. A figure is the mean over held-out folds, in "
            f"brackets its {found.confidence:.0%} interval by bootstrap over groups. A difference is significant when "
            "the paired bootstrap over groups and the corrected t-test over folds agree, after Holm's correction over "
            "all tests of a column. Thresholds count as given: how they would have come out on "
            "other validation samples is in the spread over folds alone. Where every fold finds none of a class, or "
            "all, the interval is a point: there is nothing to resample, and no certainty.",
        ]
    )


def _before_after(found: Found) -> str:
    """Return the plan's table: recall, F1, gap and AUC, at probability 0.5 and tuned."""
    shown = {"Experiment": found.names}
    for metric, (heading, _, _) in EXPECTED.items():
        for decision, words in ((HALF, "at 0.5"), (TUNED, "tuned")):
            if metric != "auc" or decision == HALF:
                rows = [found.row(name, decision) for name in found.names]
                cells = [f"{row[metric]:.3f} {interval(row, f'{metric}_')}{_mark(row, metric)}" for row in rows]
                shown[heading if metric == "auc" else f"{heading}, {words}"] = cells
    return f"{pd.DataFrame(shown).to_markdown(index=False, disable_numparse=True)}\n\n{_MARKED} {wording.csv(NAME)}"


_MARKED = f"†: fewer than {SCARCE:.0%} of the reals are found, so that the gap says nothing."


def _mark(row: Any, metric: str) -> str:
    """Return a mark where a gap says nothing."""
    return " †" if metric == GAP and row["recall_real"] < SCARCE else ""


def _expectations(found: Found, detail: list[str]) -> str:
    """Hold what the plan expects against what was measured."""
    sides = [(found.baseline, HALF), *((name, TUNED) for name in dict.fromkeys([found.baseline, *detail]))]
    rows = []
    for metric, (heading, before, after) in EXPECTED.items():
        row = {"Metric": heading, "Plan: before": _range(before), "Plan: after": _range(after)}
        for name, decision in sides:
            of = found.row(name, decision)
            told = f"{name}, {'at 0.5' if decision == HALF else 'tuned'}"
            row[told] = f"{of[metric]:.1%}{_mark(of, metric)}"
        rows.append(row)
    return "\n\n".join(
        [
            "The plan's figures are expectations for other data and another model, not measurements; beside them what "
            "was measured here.",
            pd.DataFrame(rows).to_markdown(index=False, disable_numparse=True),
            _bullets([_remark(found, metric) for metric in EXPECTED]),
        ]
    )


def _range(limits: tuple[float, float]) -> str:
    """Return a range of the plan."""
    low, high = limits
    if low == high:
        return f"~{low:.0%}"
    return f"under {high:.0%}" if low == 0 else f"over {low:.0%}" if high == 1 else f"{low:.0%} to {high:.0%}"


def _remark(found: Found, metric: str) -> str:
    """Say where the baseline starts and who gets as far as the plan expects; by the estimates alone."""
    heading, before, after = EXPECTED[metric]
    first = found.row(found.baseline, HALF)
    # a single number of the plan stands for its neighbourhood
    low, high = (before[0] - 0.05, before[1] + 0.05) if before[0] == before[1] else before
    place = "below" if first[metric] < low else "above" if first[metric] > high else "within"
    starts = f"{found.baseline} at 0.5 lies {place} what the plan expects before"
    if _mark(first, metric):
        starts = f"{found.baseline} at 0.5 finds too few reals for its gap to say anything"
    rows = found.rows[found.rows["decision"] == HALF] if metric == "auc" else found.rows
    if metric == GAP:
        good = rows[(rows["recall_real"] >= SCARCE) & (rows[metric] < after[1])]
    else:
        good = rows[rows[metric] >= after[0]]
    reached = [row["experiment"] if metric == "auc" else findings.at(row) for _, row in good.iterrows()]
    return f"**{heading}**: {starts}; what it expects after is reached by {listed(reached) if reached else 'none'}."


def _tests(found: Found) -> str:
    """Return the tests, a table a question."""
    kinds = {
        f"Remedies against {found.baseline}, both at 0.5": ("remedy", HALF),
        f"Remedies against {found.baseline}, both tuned": ("remedy", TUNED),
        "Tuned against 0.5, the same experiment": ("threshold", TUNED),
        f"Remedies against {found.baseline}, both at the threshold chosen for the metric": ("beyond", None),
    }
    parts = []
    for heading, (question, decision) in kinds.items():
        asked = [found.asked(question, metric, decision) for metric in METRICS]
        if question == "remedy" and decision == HALF:
            asked.append(found.asked("remedy", "auc"))
        rows = pd.concat(asked)
        if rows.empty:
            continue
        cells = rows.assign(
            name=rows["metric"].map(METRICS),
            cell=[
                f"{row['difference']:+.3f} {interval(row)}{' *' if row['significant'] else ''}"
                f"{' †' if found.mute(row) else ''}"
                for _, row in rows.iterrows()
            ],
        )
        wide = cells.pivot(index="experiment", columns="name", values="cell")
        wide = wide.loc[cells["experiment"].unique(), cells["name"].unique()]
        shown = wide.rename_axis("Experiment").reset_index()
        parts += [f"{heading}:", shown.to_markdown(index=False, disable_numparse=True)]
    note = (
        "Differences with paired intervals over groups, which are not corrected for their number; \\* is significant. "
        f"A smaller gap is better. {_MARKED} p-values: {wording.csv(f'{NAME}_tests')}."
    )
    return "\n\n".join([*parts, note])


def _decisions(found: Found, detail: list[str]) -> list[str]:
    """Return the section on thresholds: tables, curves, matrices and classification reports."""
    parts = ["## Thresholds", f"{operating_points_page.NOTE} All experiments: {wording.csv(f'{NAME}_thresholds')}."]
    of = _of(found.cuts, detail)
    for name, rows in of.items():
        parts += [f"### {name}", operating_points_page.table(rows)]
    parts += operating_points_page.pictures(NAME)
    parts.append("## Classification report")
    for name, rows in of.items():
        parts += [f"**{name}**", operating_points_page.report(rows)]
    return parts


def _calibration(found: Found) -> list[str]:
    """Return the section on probabilities."""
    return [
        "## Calibration",
        _bullets(operating_points_page.calibrated(found.calibration)),
        operating_points_page.calibration(found.calibration, found.confidence),
        operating_points_page.CALIBRATION_NOTE,
        wording.picture(f"{NAME}_reliability", "reliability"),
    ]


def _domains(
    found: Found, heads: list[str], histories: dict[str, pd.DataFrame], configs: dict[str, RunConfig]
) -> list[str]:
    """Return the section on domain-adversarial training, where there is any."""
    if not heads:
        return []
    rows = found.experiments.set_index("experiment")
    sentences = [_domain(found, name, rows.loc[name], histories[name], configs[name].domain.column) for name in heads]
    shown = found.experiments[found.experiments["experiment"].isin([found.baseline, *heads])]
    sources = source_columns(shown)
    table = Table(
        shown,
        [
            columns.text("Experiment", "experiment"),
            columns.mean("AUC", "auc"),
            *(columns.number(f"{source.removeprefix('auc_')} AUC", source) for source in sources),
            columns.number("Per-source AUC variance", "source_auc_variance", "{:.4f}"),
        ],
    )
    return [
        "## Domain-adversarial training",
        "A second head learns to tell the domain of a sample, and its reversed gradient teaches the features to hide "
        "it. Only samples of a class with several domains take part: that of the others says nothing but the label.",
        _bullets(sentences),
        table.markdown(),
        wording.picture(f"{NAME}_domains", "losses, domain accuracy and weight"),
        "*While training: mean over running folds, bands are their standard deviation; dotted: inner validation. "
        "The head learns beside the "
        "features it is to be kept from: a low accuracy shows that this head fails, not that no other could tell.*",
    ]


def _domain(found: Found, name: str, row: Any, history: pd.DataFrame, column: str) -> str:
    """Say what became of the losses, whether the head still tells domains, and whether sources became more alike."""
    last = history.sort_values("epoch").groupby("fold").last()
    first = history.sort_values("epoch").groupby("fold").first()
    accuracy, chance = last["train_domain_accuracy"], row["domain_chance"]
    text = (
        f"**{name}** ({column}): from the first to the last epoch the class loss goes from "
        f"{first['train_class_loss'].mean():.3f} to {last['train_class_loss'].mean():.3f}, the domain loss from "
        f"{first['train_domain_loss'].mean():.3f} to {last['train_domain_loss'].mean():.3f}. In the last epoch the "
        f"head is right in {accuracy.mean():.1%} ± {accuracy.std(ddof=1):.1%} of the samples, where the most frequent "
        f"domain makes up {chance:.1%}."
    )
    if pd.isna(row["source_auc_variance_change"]):
        return text
    told = (
        "falls" if row["source_auc_variance_high"] < 0 else "rises" if row["source_auc_variance_low"] > 0 else "stays"
    )
    words = "cannot be shown to change" if told == "stays" else told
    return (
        f"{text} The variance of the per-source AUC {words} against {found.baseline}: "
        f"{row['source_auc_variance_change']:+.4f} [{row['source_auc_variance_low']:+.4f}, "
        f"{row['source_auc_variance_high']:+.4f}] ({found.confidence:.0%} interval over folds)."
    )
