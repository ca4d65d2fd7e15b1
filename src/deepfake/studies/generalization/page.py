"""The page on other data sets: train set by test set, the generalization gap, and what narrows it."""

from typing import Any

import pandas as pd

from deepfake.config import config_of
from deepfake.config.params import Params
from deepfake.project import paths
from deepfake.reports import findings, forest, pages
from deepfake.reports import settings as shown_settings
from deepfake.reports.columns import Column, Table, text
from deepfake.studies import results
from deepfake.studies.generalization import figures
from deepfake.studies.generalization.analysis import NAME, Found, read
from deepfake.studies.generalization.contrasts import ENSEMBLE

QUESTIONS = {
    "architecture": "Another architecture",
    "combined": "Trained on combined data sets",
    "target": "Trained on another data set alone",
    "fine_tuning": "Fine-tuned",
    "fine_tuning_or_target": "Fine-tuned, not trained from the start",
    "invariant": "Domain-invariant features",
    "ensemble": "Ensemble",
}
"""The heading of each question of `contrasts.pairs`."""
_HEADINGS = {
    "accuracy": "Accuracy",
    "precision": "Precision",
    "recall": "Recall",
    "f1": "F1 (fake)",
    "auc": "AUC",
    "eer": "EER",
    "balanced_accuracy": "Balanced Accuracy",
    "retuned_balanced_accuracy": "Balanced Accuracy, Retuned",
}
"""The figures of the design's table, and those beside them."""
_MOST_FEATURES = 8
_WHY = ("fakes", "reals", "source", "threshold")
"""The prefixes of the findings that say why a data set is harder."""
_FIRST = ("chance", "gap", "between")
"""Those of the findings that stand on top, beside the key ones."""


def write(settings: Params) -> None:
    """Write the page and its figures from the tables and findings of the comparison.

    Args:
        settings: the checked params.yaml.

    Raises:
        InputError: a table or the findings are missing.
    """
    found, named = read(), findings.read(NAME)
    shown = pd.concat([found.of(found.baseline), found.cells[found.cells["kind"] != "trained"]], ignore_index=True)
    figures.accuracy(shown, paths().figure(f"{NAME}_accuracy"))
    figures.matrix(found, paths().figure(f"{NAME}_matrix"))
    figures.sources(found, paths().figure(f"{NAME}_sources"))
    known = found.contrasts["question"].unique()
    if len(known):
        headings = {key: heading for key, heading in QUESTIONS.items() if key in known}
        tests = found.contrasts.assign(table=found.contrasts["question"], name=_names(found.contrasts))
        path = paths().figure(f"{NAME}_contrasts")
        forest.differences(tests, headings, settings.evaluation.rope, path, side_by_side="dataset")
    configs = [config_of(name) for name in found.trained["experiment"].unique()]
    first, why = ([one for one in named.values() if one.id.split(".")[0] in prefixes] for prefixes in (_FIRST, _WHY))
    rest = [one for one in named.values() if one not in first and one not in why]
    pages.write(
        NAME,
        __package__ or "",
        "page.md.j2",
        found=first + [one for one in rest if one.key],
        why=why,
        mitigations=[one for one in rest if not one.key],
        resolution=results.resolution([found.gaps, found.contrasts]),
        baseline=found.baseline,
        in_domain=found.in_domain,
        design=_design(shown),
        matrix=_matrix(found),
        gaps=_gaps(found).markdown(),
        features={name: _features(found, name) for name in found.out_of_domain},
        contrasts=len(known) > 0,
        recommendations=_recommendations(found),
        settings=shown_settings.shared(configs),
        varied=shown_settings.varied(configs),
    )


def _names(contrasts: pd.DataFrame) -> pd.Series:
    return contrasts["experiment"] + " − " + contrasts["baseline"]


def _design(shown: pd.DataFrame) -> str:
    """Return the design's table: the baseline on each data set, and external detectors."""
    rows = [
        {
            "Dataset": figures.label(row) + ("" if row["kind"] == "trained" else f": {row['dataset']}"),
            "Total Files": "?" if row["samples"] != row["samples"] else f"{row['samples']:,.0f}",
            **{heading: _cell(row, key) for key, heading in _HEADINGS.items()},
        }
        for row in shown.to_dict("records")
    ]
    return pd.DataFrame(rows).to_markdown(index=False, disable_numparse=True)


def _cell(row: Any, key: str) -> str:
    """Return a figure with its interval, where there is one; a dash where it is unknown."""
    if row[key] != row[key]:
        return "-"
    form, scale = ("{:.3f}", 1) if key == "auc" else ("{:.1f}%", 100)
    value, low, high = (form.format(scale * row[f"{key}{end}"]) for end in ("", "_low", "_high"))
    return value if row[f"{key}_low"] != row[f"{key}_low"] else f"{value} [{low}, {high}]"


def _matrix(found: Found) -> str:
    """Return the AUC of all detectors on all data sets."""
    rows = []
    for experiment, own in found.trained.groupby("experiment", sort=False):
        first = own.iloc[0].to_dict()
        model = "Ensemble" if first["recipe"] == ENSEMBLE else results.title(first)
        cells = {"Detector": experiment, "Model": model, "Trained On": first["trained_on"]}
        for row in own.to_dict("records"):
            marks = (" (in-domain)" if row["in_domain"] else "") + ("" if row["chance"] == "above_chance" else " †")
            cells[row["dataset"]] = _cell(row, "auc") + marks
        rows.append(cells)
    return pd.DataFrame(rows).to_markdown(index=False, disable_numparse=True)


_VERDICT = [
    Column(
        "Δ [interval]",
        {"": "difference", "low": "low", "high": "high"},
        lambda value, low, high: f"{value:+.3f} [{low:+.3f}, {high:+.3f}]",
    ),
    Column("p", {"": "p"}, lambda p: "< 0.001" if p < 0.001 else f"{p:.3f}"),
    text("Verdict", "verdict"),
]


def _gaps(found: Found) -> Table:
    """Return the generalization gap of every detector."""
    headings = {"Detector": "experiment", "Out-of-Domain": "dataset", "In-Domain": "reference"}
    rows = found.gaps[found.gaps["metric"] == "auc"]
    return Table(rows, [text(heading, key) for heading, key in headings.items()] + _VERDICT)


def _features(found: Found, dataset: str) -> str:
    """Return the features in which a data set's reals differ most from those in-domain; nothing where none differs."""
    rows = found.features[(found.features["dataset"] == dataset) & (found.features["separability"] > 0)]
    rows = rows.sort_values("separability", ascending=False, kind="stable").head(_MOST_FEATURES)
    shown = [
        {
            "Feature": row["feature"],
            f"{found.in_domain} → {dataset}": _shift(row),
            "Separability": f"{row['separability']:.2f}",
            "Correlation with the score [95% CI]": "-" if row["correlation"] != row["correlation"] else _moves(row),
        }
        for row in rows.to_dict("records")
    ]
    return pd.DataFrame(shown).to_markdown(index=False, disable_numparse=True) if shown else ""


def _shift(row: Any) -> str:
    sides = ("in_domain", "out_of_domain")
    if isinstance(row["in_domain_value"], str):
        return " → ".join(f"{row[f'{side}_value']} in {row[f'{side}_share']:.0%}" for side in sides)
    return " → ".join(f"{row[f'{side}_median']:.4g}" for side in sides)


def _moves(row: Any) -> str:
    ends = f" [{row['correlation_low']:+.2f}, {row['correlation_high']:+.2f}]"
    p = "< 0.001" if row["p"] < 0.001 else f"{row['p']:.3f}"
    return f"{row['correlation']:+.2f}{ends}, p {p}"


def _recommendations(found: Found) -> list[dict[str, str]]:
    """Return on which data sets each mitigation of the baseline is better, worse, equivalent or undecided."""
    own = found.contrasts[found.contrasts["baseline"] == found.baseline]
    rows = []
    for (question, experiment), tests in own.groupby(["question", "experiment"], sort=False):
        words = {word: ", ".join(tests.loc[tests["verdict"] == word, "dataset"]) or "-" for word in _WORDS}
        rows.append({"mitigation": f"{QUESTIONS[str(question)]} (`{experiment}`)"} | words)
    return rows


_WORDS = ("better", "equivalent", "worse", "undecided")
