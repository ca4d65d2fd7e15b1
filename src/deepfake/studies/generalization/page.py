"""The page on other data sets: what detectors are worth beyond their training set, and why."""

from collections.abc import Iterable
from typing import Any

import pandas as pd

from deepfake.config import RunConfig, config_of
from deepfake.config.params import Params
from deepfake.datasets import catalog
from deepfake.project import paths
from deepfake.reports import wording
from deepfake.reports.wording import listed
from deepfake.studies.generalization import difficulty, figures, findings
from deepfake.studies.generalization import phrases as telling
from deepfake.studies.generalization.results import COLUMNS, NAME, Found, read
from deepfake.tables import write_text


def write(settings: Params) -> None:
    """Write reports/cross_dataset.md and its figures from the tables of the comparison.

    Raises:
        InputError: a table is missing.
    """
    found = read(settings)
    configs = {name: config_of(name) for name in found.models}
    shown = pd.concat([found.trained[found.trained["model"] == found.baseline], found.foreign])
    figures.accuracy(shown, paths().figure(f"{NAME}_accuracy"))
    figures.matrix(found, paths().figure(f"{NAME}_matrix"))
    figures.sources(found, paths().figure(f"{NAME}_sources"))
    figures.thresholds(found, paths().figure(f"{NAME}_thresholds"))
    parts = [
        "# Beyond the training set: how detectors fare on other data sets",
        "[Summary](summary.md)",
        wording.scope(settings.preset, settings.dataset),
        f"**In one sentence.** {findings.headline(found)}",
        "## The comparison",
        _plan_table(found, shown),
        wording.picture(f"{NAME}_accuracy", "accuracy and F1 on each data set"),
        _bars_note(found),
        "## The data sets",
        _datasets(found),
        "## The plan's questions",
        "### 1. Does the detector generalise poorly in general, or is it this data set?",
        _bullets(findings.generality(found)),
        "### 2. What makes a data set harder?",
        _bullets(difficulty.sentences(found)),
        wording.picture(f"{NAME}_sources", "every source"),
        "### 3. Architecture or training data?",
        _bullets(findings.causes(found)),
        wording.picture(f"{NAME}_matrix", "trained on, tested on"),
        "### The plan's recommendations, tried",
        _bullets(findings.recommendations(found)),
        "## All detectors",
        _all(found),
        _whole(found),
        wording.picture(f"{NAME}_thresholds", "own and re-tuned thresholds"),
        f"*Balanced accuracy with {found.confidence:.0%} intervals over groups; gray: data sets that the detector has "
        "seen in training (other people of them). Dashed: guessing.*",
        "## How to read this",
        _reading(found, configs),
    ]
    write_text("\n\n".join(part for part in parts if part) + "\n", paths().page(NAME))


def headline(settings: Params) -> str:
    """Return what the comparison across data sets found, in one sentence for the summary."""
    return findings.headline(read(settings))


def _bullets(sentences: Iterable[str]) -> str:
    return "\n".join(f"- {sentence}" for sentence in sentences)


def _plan_table(found: Found, shown: pd.DataFrame) -> str:
    """Return the plan's table, of the baseline and of other people's."""
    rows = []
    for row in telling.records(shown):
        theirs = row["kind"] != "trained" and not pd.isna(row["dataset"])
        label = f"{figures.label(row)}: {row['dataset']}" if theirs else figures.label(row)
        cells = {"Dataset": label, "Total Files": "?" if pd.isna(row["files"]) else f"{row['files']:,.0f}"}
        rows.append(cells | {heading: _cell(row, key) for key, heading in COLUMNS.items()})
    return (
        f"{pd.DataFrame(rows).to_markdown(index=False, disable_numparse=True)}\n\n"
        f"{found.baseline}, trained on {found.home}, at its own thresholds; accuracy, precision, recall, F1, EER and "
        f"balanced accuracy in percent, with {found.confidence:.0%} intervals over groups. *Total Files* are held-out "
        f"files, predicted by the one model of each fold that has seen none of their people. {wording.csv(NAME)}"
    )


def _cell(row: Any, key: str) -> str:
    """Return a figure with its interval, or a dash."""
    if pd.isna(row[key]):
        return "-"
    form, scale = ("{:.3f}", 1) if key.endswith("auc") else ("{:.1f}", 100)
    value, low, high = (form.format(scale * row[f"{key}{end}"]) for end in ("", "_low", "_high"))
    return value if pd.isna(row[f"{key}_low"]) else f"{value} [{low}, {high}]"


def _bars_note(found: Found) -> str:
    """Say how the plan's colours are to be read."""
    shares = []
    for dataset in found.datasets:
        row = found.row(found.baseline, dataset)
        shares.append(f"{max(row['reals'], row['files'] - row['reals']) / row['files']:.0%} on {dataset}")
    return (
        "*Accuracy: green above 70%, orange above 50%, else red; lines are intervals over groups. The dashed 50% is "
        f"guessing only where classes are equal: here always naming the commoner class gives {listed(shares)} "
        "(diamonds), so a green bar may be worth nothing, and balanced accuracy or AUC is the figure to read.*"
    )


def _datasets(found: Found) -> str:
    """Say what the data sets are, and in what they differ."""
    entries = catalog.load()
    lines = []
    for dataset in found.datasets:
        row = found.row(found.baseline, dataset)
        kin = f" The people are those of {found.home}." if dataset in found.kin else ""
        fakes = listed(sorted(found.fakes(dataset)))
        lines.append(
            f"**{dataset}**: {entries[dataset].title}. {row['files']:,.0f} held-out files of {row['groups']:.0f} "
            f"groups, {row['reals']:,.0f} of them real; fakes: {fakes}.{kin}"
        )
    return "\n\n".join([_bullets(lines), *(_features(found, dataset) for dataset in found.away)])


def _features(found: Found, dataset: str) -> str:
    """Return the features in which a data set's reals differ most from those of home, as a table."""
    rows = found.features[found.features["dataset"] == dataset]
    rows = rows[rows["separability"] > 0].sort_values("separability", ascending=False, kind="stable").head(8)
    if rows.empty:
        return f"The reals of {dataset} are like those of {found.home} in every feature."
    table = [
        {
            "Feature": row["feature"],
            f"{found.home} → {dataset}": figure_of_shift,
            "Separability": f"{row['separability']:.2f}",
            "Score moves with it": "-" if pd.isna(row["correlation"]) else _moves(row, found.significance),
        }
        for row in telling.records(rows)
        for figure_of_shift in [difficulty.shift(row).rpartition(", ")[0]]
    ]
    return (
        f"The reals of {dataset} against those of {found.home}, the most different features first:\n\n"
        f"{pd.DataFrame(table).to_markdown(index=False, disable_numparse=True)}"
    )


def _moves(row: Any, significance: float) -> str:
    star = " \\*" if row["p_holm"] <= significance else ""
    return f"{row['correlation']:+.2f} [{row['correlation_low']:+.2f}, {row['correlation_high']:+.2f}]{star}"


def _all(found: Found) -> str:
    """Return the AUC and the balanced accuracy of all detectors on all data sets."""
    parts = []
    for heading, keys in (("AUC", ("auc",)), ("Balanced accuracy", ("balanced_accuracy", "retuned_balanced_accuracy"))):
        rows = []
        for model in found.models:
            cells = {"Detector": model, "Trained on": found.row(model, found.datasets[0])["trained_on"]}
            for dataset in found.datasets:
                row = found.row(model, dataset)
                told = " → ".join(_cell(row, key) for key in keys)
                cells[dataset] = told + (_marks(row) if heading == "AUC" else "")
            rows.append(cells)
        parts += [f"{heading}:", pd.DataFrame(rows).to_markdown(index=False, disable_numparse=True)]
    note = (
        "\\*: significantly below the first data set that the detector has seen. †: not told from guessing. (seen): in "
        "its training, other people of it. Balanced accuracy in percent, at its own threshold → re-tuned on that data "
        f"set's inner validation. All figures: {wording.csv(NAME)}; tests: {wording.csv(f'{NAME}_tests')}; sources: "
        f"{wording.csv(f'{NAME}_sources')}; features: {wording.csv(f'{NAME}_features')}; matrix, of the first detector "
        f"of each architecture and training data: {wording.csv(f'{NAME}_matrix')}."
    )
    return "\n\n".join([*parts, note])


def _whole(found: Found) -> str:
    """Return all figures of all detectors, folded away."""
    tables = []
    for prefix, said in (("", "At their own thresholds:"), ("retuned_", "Re-tuned on the data set:")):
        columns = {key: heading for key, heading in COLUMNS.items() if f"{prefix}{key}" in found.trained.columns}
        rows = [
            {"Detector": row["model"], "Dataset": row["dataset"], "Total Files": f"{row['files']:,.0f}"}
            | {heading: _cell(row, f"{prefix}{key}") for key, heading in columns.items()}
            for row in telling.records(found.trained)
        ]
        tables += [said, pd.DataFrame(rows).to_markdown(index=False, disable_numparse=True)]
    opening = "<details><summary>All figures of all detectors, with their intervals</summary>"
    return "\n\n".join([opening, *tables, "</details>"])


def _marks(row: Any) -> str:
    lost = row["gap"] > 0 and str(row["significant"]) == "True"  # empty where nothing is compared
    marks = (" (seen)", row["home"] == 1), (" \\*", lost), (" †", not row["learned"])
    return "".join(mark for mark, holds in marks if holds)


def _reading(found: Found, configs: dict[str, RunConfig]) -> str:
    """Say how figures were made, and what compared detectors differ in besides what they are compared for."""
    how = (
        "Figures are means over folds; the model of a fold only ever predicts people of its held-out fold, on every "
        "data set. **p a / b**: Holm-corrected over the tests of one question and metric, by bootstrap over groups "
        "(would these models do so with other people?) and by corrected t-test over folds (would others, trained "
        f"again?). **Significant**: both are at most {found.significance:g}; *over groups alone*: only the first. "
        "Home and away are measured on the same draws of people where both show the same people. Intervals are not "
        "corrected. **Told from guessing**: the AUC's intervals over groups and over folds lie above 0.5. "
        "**Separability**: |2 AUC - 1| of telling the data sets' reals apart by one feature; it sees other levels, not "
        "a wider spread about the same level. **Not significant does not mean equal**: the intervals say how large a "
        "difference may still be."
    )
    besides = []
    pairs = found.tests[found.tests["model"] != found.tests["baseline"]]
    for row in telling.records(pairs.drop_duplicates(["question", "model", "baseline"])):
        known = _COMPARED.get(row["question"])
        if known and (differing := _differing(configs[row["baseline"]], configs[row["model"]], known)):
            besides.append(f"{row['model']} and {row['baseline']}: {listed(differing)}.")
    if not besides:
        return how
    opening = "Some of what is compared differs in more than what it is compared for, so a difference may be due to it:"
    return "\n\n".join([how, opening, _bullets(dict.fromkeys(besides))])


_COMPARED = {
    "architecture": {"model"},
    "data": {"dataset"},
    "elsewhere": {"dataset"},
    "domains": {"domain"},
    "fine_tuning": {"dataset", "start_from"},
    "scratch": {"start_from"},
}
"""In what the detectors of each question are meant to differ."""
_FOLLOWS = {"experiment", "study", "oversampling", "keep_optimizer", "view"}
"""What differs without being a condition of its own."""
_WORDS = {
    "pretrained": wording.weights,
    "domain": wording.domains,
    "augmentation": wording.augmentation,
    "loss": wording.loss,
}


def _differing(first: RunConfig, second: RunConfig, known: set[str]) -> list[str]:
    """Return in what two detectors differ beside what is known, in words."""
    sides = first.model_dump(exclude=_FOLLOWS | known), second.model_dump(exclude=_FOLLOWS | known)
    keys = [key for key in sides[0] if sides[0][key] != sides[1][key]]
    told = [f"{key} ({_value(key, first)} → {_value(key, second)})" for key in keys]
    sights = wording.view(first), wording.view(second)
    return told if sights[0] == sights[1] else [*told, f"view ({sights[0]} → {sights[1]})"]


def _value(key: str, config: RunConfig) -> str:
    if key in _WORDS:
        return _WORDS[key](config)
    value = getattr(config, key)
    return f"{value:g}" if isinstance(value, float) else str(value)
