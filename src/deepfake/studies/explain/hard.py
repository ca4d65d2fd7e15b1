"""Hard examples: what the explained runs get most wrong, what other models make of it, and whether all err alike."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from deepfake import runtime
from deepfake.config import facts_of
from deepfake.config.params import Evaluation
from deepfake.evaluation import agreement, hard_examples, resampling, verdicts
from deepfake.evaluation.agreement import Panel, Rescued
from deepfake.progress import SILENT, Progress
from deepfake.project import paths
from deepfake.reports import image_grid
from deepfake.reports.columns import Column, Table, estimate, number, text
from deepfake.reports.findings import Finding, Verdict, tested
from deepfake.studies import comparison
from deepfake.studies.explain import cases, deep_figures, panel
from deepfake.studies.explain.cases import Case
from deepfake.tables import results as result_tables

HARD = 10
"""False positives, and as many false negatives, of each explained run."""
GROUPS = 1000
"""Groups that agreement is measured on: each is left out in turn, which of tens of thousands would take hours."""
_ON_PAGE = 3
"""Of each kind of error, on the page; the others are in the CSV and in the picture."""
_WORDS: dict[str, Verdict] = {"better": "above_chance", "worse": "at_chance"}
"""A kappa above 0 is what `compare` calls better than 0."""
_EXAMPLES = [
    text("Experiment", "experiment"),
    text("Error", "kind"),
    number("Rank", "rank", "{}"),
    text("Sample", "sample_id"),
    text("Source", "source"),
    number("Probability of fake", "probability", "{:.2f}"),
    number("From the threshold, in SD", "margin", "{:+.1f}"),
    Column("Others right", {"": "others_right", "of": "others"}, "{:.0f} of {:.0f}".format),
]
_ERRORS = [
    text("Experiment", "experiment"),
    Column("Errors", {"": "errors", "samples": "samples"}, "{:,} of {:,}".format),
    number("Other models", "others", "{:,}"),
    estimate("Of them right [95% CI]", "right", "low", "high", "{:.1%}"),
    number("If independent", "independent", "{:.1%}"),
    number("Nobody right", "nobody", "{:.1%}"),
]


def run(experiments: Sequence[str], evaluation: Evaluation, progress: Progress = SILENT) -> list[Finding]:
    """Write four tables, draw the figure `explain_agreement` and the photographs, and return the findings.

    The tables: `explain_hard_examples` (`hard_examples.hardest`), `explain_hard_others` (what each other run makes of
    them), `explain_errors` (`agreement.rescued`) and `explain_agreement` (`agreement.table`).

    Args:
        experiments: the explained runs, of one data set.
        evaluation: confidence and region of practical equivalence.
        progress: told of images decoded.
    """
    names = panel.names(experiments)
    opened = cases.read(names, progress)
    judged = {name: case.verdicts for name, case in opened.items()}
    sides = Panel.of(judged, {name: facts_of(name)["model"] for name in names})
    hard = {name: hard_examples.hardest(judged[name], HARD) for name in experiments}
    listed = pd.concat(hard, names=["experiment"]).reset_index("experiment")
    result_tables.write(listed, "explain_hard_examples")
    others = of_others(listed, sides)
    result_tables.write(others, "explain_hard_others")
    some = sides.take(_chosen(sides.samples["group"]))
    found = agreement.agreements(some)
    pairs = agreement.table(some, found, evaluation.confidence)
    result_tables.write(pairs, "explain_agreement")
    rescued = agreement.rescued(sides, evaluation.confidence)
    result_tables.write(_errors(rescued, len(sides.samples)), "explain_errors")
    if len(pairs):
        deep_figures.agreement(pairs)
    explained = {name: opened[name] for name in experiments}
    _draw(explained, listed, others)
    labels = cases.labels(explained)
    return [same_errors(some, found, evaluation), *_rescues(rescued, labels, evaluation)]


def _chosen(groups: pd.Series) -> np.ndarray:
    """Return which samples agreement is measured on, bool [n]: of the first `GROUPS` groups by a hash of names."""
    order = sorted(groups.unique(), key=lambda name: (runtime.derived_seed(name), name))
    return groups.isin(order[:GROUPS]).to_numpy()


def of_others(listed: pd.DataFrame, sides: Panel) -> pd.DataFrame:
    """Return what each other run of the panel makes of hard examples.

    Args:
        listed: the table `explain_hard_examples`.
        sides: all runs on the samples that all of them held out; an example that is not among these has no row.

    Returns:
        Columns `experiment, kind, rank, sample_id, other`, `percentile` of the other's logit in its fold, `wrong`.
    """
    percentiles = sides.percentiles()
    place = {sample: row for row, sample in enumerate(sides.samples["sample_id"])}
    rows = [
        {name: example[name] for name in ("experiment", "kind", "rank", "sample_id")}
        | {"other": other, "percentile": percentiles[row, column], "wrong": bool(sides.wrong[row, column])}
        for example in listed.to_dict("records")
        if (row := place.get(example["sample_id"])) is not None
        for column, other in enumerate(sides.names)
        if other != example["experiment"]
    ]
    columns = ["experiment", "kind", "rank", "sample_id", "other", "percentile", "wrong"]
    return pd.DataFrame(rows, columns=columns)


def _errors(rescued: Mapping[str, Rescued], samples: int) -> pd.DataFrame:
    rows = []
    for name, each in rescued.items():
        row = {"experiment": name, "samples": samples, "errors": each.errors, "others": each.others}
        figures = (each.right.value, each.right.low, each.right.high) if each.right else (None, None, None)
        row |= dict(zip(("right", "low", "high"), figures, strict=True))
        rows.append(row | {"independent": each.independent, "nobody": each.nobody})
    return pd.DataFrame(rows)


def same_errors(sides: Panel, found: Mapping[Any, agreement.Agreement], evaluation: Evaluation) -> Finding:
    """Return whether models of different architectures share more errors than chance explains, within sources."""
    question = "Do models of different architectures share more errors than chance explains?"
    mean = agreement.mean_errors(sides, found)
    if mean is None:
        return Finding(id="errors", question=question, verdict="not_run", note="All runs have the same architecture.")
    estimate_ = resampling.trained_models(mean, confidence=evaluation.confidence)
    (verdict,) = verdicts.compare([estimate_], 0.0, evaluation.confidence)
    return tested("errors", question, comparison.told(verdict, 1, 0.0), _WORDS, measure="κ of errors")


def _rescues(rescued: Mapping[str, Rescued], labels: Mapping[str, str], evaluation: Evaluation) -> list[Finding]:
    """Return, of each explained run, whether most models of other architectures get its errors right."""
    known = {name: each for name in labels if (each := rescued[name].right) is not None}
    judged = verdicts.against_chance(list(known.values()), evaluation.rope, evaluation.confidence)
    by_name = dict(zip(known, judged, strict=True))
    found = []
    for name, label in labels.items():
        id_, question = f"rescued.{name}", f"Do most models of other architectures get the errors of {label} right?"
        if name not in by_name:
            note = "It makes no error, or there is no other architecture."
            found.append(Finding(id=id_, question=question, verdict="not_run", note=note))
            continue
        row = comparison.told(by_name[name], len(by_name), evaluation.rope)
        found.append(tested(id_, question, row, measure="share right"))
    return found


def _draw(models: Mapping[str, Case], listed: pd.DataFrame, others: pd.DataFrame) -> None:
    """Draw each run's most confidently wrong samples: a row of false positives, one of false negatives."""
    right = others.assign(right=~others["wrong"].astype(bool)).groupby(["experiment", "sample_id"])["right"]
    counts = {key: f"\n{part.sum()} of {len(part)} others right" for key, part in right}
    images, captions, titles = [], [], []
    for name, model in models.items():
        row_of = model.verdicts.set_index("sample_id")["row"]
        for kind in hard_examples.KINDS.values():
            rows = listed[(listed["experiment"] == name) & (listed["kind"] == kind)]
            empty = HARD - len(rows)
            images.append([*(model.images[row_of[sample]] for sample in rows["sample_id"]), *[None] * empty])
            texts = []
            for _, row in rows.iterrows():
                said = counts.get((name, row["sample_id"]), "\n")
                texts.append(f"{row['source']}\np(fake) {row['probability']:.2f}, {row['margin']:+.1f} sd{said}")
            captions.append([*texts, *[""] * empty])
            titles.append(f"{name}\n{kind}")
    image_grid.draw(images, captions, paths().photograph("hard_examples"), rows=titles)


def values() -> dict[str, Any]:
    """Return what the page's part on hard examples shows, from the tables that `run` left behind."""
    listed, others, errors, pairs = (
        result_tables.read(f"explain_{name}") for name in ("hard_examples", "hard_others", "errors", "agreement")
    )
    right = others.assign(right=~others["wrong"].astype(bool)).groupby(["experiment", "sample_id"])["right"]
    counts = right.agg(others_right="sum", others="count").reset_index()
    shown = listed[listed["rank"] <= _ON_PAGE].merge(counts, on=["experiment", "sample_id"], how="left")
    return {
        "hard": Table(shown, _EXAMPLES).markdown(),
        "hard_errors": Table(errors, _ERRORS).markdown(),
        "hard_models": len(errors),
        "hard_pairs": len(pairs),
    }
