"""What the study of class imbalance concludes: one finding a question, from its tables."""

from collections.abc import Iterator
from typing import Any

from deepfake.config.params import Params
from deepfake.evaluation.decisions import GAP
from deepfake.reports.findings import Finding, Verdict, above_chance, figures_of, tested
from deepfake.studies.imbalance.analysis import EXPECTED, F1
from deepfake.studies.imbalance.results import Found
from deepfake.studies.operating_points.analysis import HALF

_ANY = {
    "f1_half": ("Does any mitigation improve macro F1 at probability 0.5?", "Δ macro F1", False),
    "f1_tuned": ("Does any mitigation improve macro F1 once both thresholds are tuned?", "Δ macro F1", False),
    "auc": ("Does any mitigation of class imbalance improve the AUC?", "ΔAUC", True),
}
"""Questions that all mitigations answer together: Holm's correction over them keeps the error of "any" in bounds."""
_EACH = {
    "auc": ("Does {} improve the AUC?", "ΔAUC"),
    "f1_tuned": ("Does {} improve macro F1 once both thresholds are tuned?", "Δ macro F1"),
}
_ASKED = {
    "recall_real": ("Is recall (real) of {} at probability 0.5 better than the {:.0%} expected?", "recall (real)"),
    F1: ("Is macro F1 of {} at the best-F1 threshold better than the {:.0%} expected?", "macro F1"),
    GAP: ("Is the precision-recall gap (real) of {} at that threshold below the {:.0%} expected?", "gap"),
    "auc": ("Is the AUC of {} better than the {:.0%} expected?", "AUC"),
}


def of(found: Found, settings: Params) -> list[Finding]:
    """Return the findings in the order in which the page asks the questions."""
    return [
        _chance(found),
        *_threshold(found),
        *(one for question in _ANY for one in _any(found, question)),
        *(one for question in _EACH for one in _each(found, question)),
        *_expectations(found, settings),
    ]


def solution(found: Found, settings: Params) -> str:
    """Return the run that is held against the design's expectations: the last that params.yaml shows in detail."""
    return next(reversed(settings.studies.imbalance.detail), found.baseline)


def _chance(found: Found) -> Finding:
    question = f"Is {found.labels[found.baseline]} above chance?"
    return above_chance("chance", question, found.row(found.baseline, HALF))


def _threshold(found: Found) -> Iterator[Finding]:
    """Yield whether tuning the baseline's threshold is enough by itself."""
    tests = found.asked("threshold")
    for _, test in tests[tests["experiment"] == found.baseline].iterrows():
        question = f"Does tuning the threshold alone improve macro F1 of {found.labels[found.baseline]}?"
        yield tested("threshold", question, test, measure="Δ macro F1")


def _any(found: Found, question: str) -> Iterator[Finding]:
    """Yield whether any mitigation is better, by the verdict on each."""
    tests = found.asked(question)
    if tests.empty:
        return
    better = tests[tests["verdict"] == "better"]
    words = set(tests["verdict"])
    verdict: Verdict = (
        "better"
        if len(better)
        else "undecided"
        if "undecided" in words
        else "worse"
        if words == {"worse"}
        else "equivalent"
    )
    # the largest difference that is sure, else the largest there is; of what is open only where that is the verdict
    shown = better if len(better) else tests[tests["verdict"] == verdict]
    row = shown.sort_values("difference").iloc[-1]
    asked, measure, key = _ANY[question]
    note = f"{len(better)} of {len(tests)} do; the effect is that of {found.labels[row['experiment']]}."
    yield tested(f"any.{question}", asked, row, measure=measure, verdict=verdict, note=note, key=key)


def _each(found: Found, question: str) -> Iterator[Finding]:
    asked, measure = _EACH[question]
    for _, test in found.asked(question).iterrows():
        label = found.labels[test["experiment"]]
        yield tested(f"{question}.{test['experiment']}", asked.format(label), test, measure=measure)


def _expectations(found: Found, settings: Params) -> Iterator[Finding]:
    """Yield whether the design's solution reaches what the design expects of it."""
    name = solution(found, settings)
    for metric, (question, measure) in _ASKED.items():
        rows = found.expectations[found.expectations["metric"] == metric]
        row: Any = rows.set_index("experiment").loc[name]
        yield Finding(
            id=f"expected.{metric}",
            question=question.format(found.labels[name], EXPECTED[metric].target),
            verdict=row["verdict"],
            measure=measure,
            note=_beside(found, name, metric, row),
            **figures_of(row, "value", "low", "high", "p"),
        )


def _beside(found: Found, name: str, metric: str, row: Any) -> str:
    """Return why nothing is decided, or the recall that a good figure may have cost at the same threshold."""
    if isinstance(row["reason"], str) and row["reason"]:
        return f"Undecided: {row['reason']}."
    other = {"recall_real": "recall_fake", GAP: "recall_real"}.get(metric)
    if other is None:
        return ""
    value = found.row(name, EXPECTED[metric].decision)[other]
    return f"At that threshold recall ({other.removeprefix('recall_')}) is {value:.0%}."
