"""What the comparison across data sets says: whether a detector generalises, and whether architecture or data help."""

from collections.abc import Iterator
from typing import Any

import pandas as pd

from deepfake.reports.wording import listed
from deepfake.studies.generalization import phrases
from deepfake.studies.generalization.results import Found


def headline(found: Found) -> str:
    """Return what the comparison found, in one sentence."""
    model, home = found.baseline, found.home
    opening = f"{model} has {phrases.auc(found, model, home)} on held-out files of {home}"
    if not found.knows(model, home):
        return f"{opening}, which is not told from guessing, so nothing can be said of what it loses elsewhere."
    told = [_short(found, row) for row in phrases.records(_gaps(found))]
    if not told:
        return f"{opening}; it was tried nowhere else."
    return f"{opening}; elsewhere {listed(told)}; {_helped(found)}."


def _helped(found: Found) -> str:
    """Say what does better away than the baseline; what was not held against it there is not named."""
    remedies = _remedies(found)
    helps = phrases.gains(found, remedies, 1)
    if len(helps):
        return f"significantly better there: {listed([_gain(found, row) for row in phrases.records(helps)])}"
    tried = list(dict.fromkeys(words for question, words in _REMEDIES.items() if question in set(remedies["question"])))
    if not tried:
        return "nothing else was held against it there"
    if len(tried) == 1:
        return f"{tried[0]} is not shown to do better there"
    return f"neither {', '.join(tried[:-1])} nor {tried[-1]} is shown to do better there"


def _gain(found: Found, row: Any) -> str:
    """Say by how much a detector does better on a data set, and whether it knows that one from training."""
    seen = ", seen in training" if found.row(row["model"], row["dataset"])["home"] == 1 else ""
    return f"{row['model']} on {row['dataset']} ({row['difference']:+.3f}{seen})"


_REMEDIES = {
    "architecture": "another architecture",
    "data": "training on the union",
    "elsewhere": "training on another data set",
    "fine_tuning": "fine-tuning",
    "scratch": "fine-tuning",
    "domains": "a domain head",
    "ensemble": "an ensemble",
}
"""What may be held against the baseline, by the question of the tests."""


def _short(found: Found, row: Any) -> str:
    """Say what is lost on one data set, in a few words."""
    there = found.row(row["model"], row["dataset"])
    guess = "" if there["learned"] else f", {phrases.GUESSING}"
    told = f"home minus away {row['difference']:+.3f}, {phrases.verdict(row)}{guess}"
    return f"{there['auc']:.3f} on {row['dataset']} ({told})"


def _remedies(found: Found) -> pd.DataFrame:
    """Return the tests of what is held against the baseline on data sets that the baseline has not seen."""
    against = found.tests["question"].isin(_REMEDIES.keys()) & (found.tests["baseline"] == found.baseline)
    return found.tests[against & found.tests["dataset"].isin(found.away)]


def _gaps(found: Found) -> pd.DataFrame:
    """Return the tests of what the baseline's AUC loses."""
    return found.asked("gap", model=found.baseline, metric="auc")


def generality(found: Found) -> Iterator[str]:
    """Yield the answer to the first question: does it generalise poorly in general, or is it this data set?"""
    model, home = found.baseline, found.home
    if not found.knows(model, home):
        yield (
            f"**Cannot be said**: {model} is {phrases.GUESSING} at home ({phrases.auc(found, model, home)}), so it has "
            "nothing to lose elsewhere."
        )
        return
    gaps = _gaps(found)
    for row in phrases.records(gaps):
        dataset = row["dataset"]
        guess = "" if found.knows(model, dataset) else f" There it is {phrases.GUESSING}{_nothing(row)}."
        yield (
            f"**{dataset}**: {phrases.auc(found, model, dataset)}; at home {phrases.auc(found, model, home)}; "
            f"home minus away {phrases.test(row)}.{guess}"
        )
    yield _in_general(found, gaps)


def _nothing(row: Any) -> str:
    """Say that nothing can be said of a loss that is not shown where a detector guesses."""
    return "" if row["significant"] else ", and no loss is shown: nothing can be said"


def _in_general(found: Found, gaps: pd.DataFrame) -> str:
    """Say whether the loss is one data set's, some data sets' or any's."""
    lost = gaps[gaps["significant"].astype(bool) & (gaps["difference"] > 0)]
    rest = gaps.drop(lost.index)
    few = f"{len(gaps)} away data sets are few" + (
        f", and {'all' if set(gaps['dataset']) <= found.kin else 'some'} of them show the people of {found.home}"
        if set(gaps["dataset"]) & found.kin
        else ""
    )
    if gaps.empty:
        return "**Cannot be said**: there is no away data set."
    if len(gaps) == 1:
        what = "It loses there" if len(lost) else "No loss is shown there"
        return f"**{what}; with one away data set, *this data set* and *any other* cannot be told apart.**"
    if rest.empty:
        return f"**It loses significantly on all of {phrases.names(gaps)}: it is not one data set's doing.** {few}."
    partly = rest[rest["over_groups"].astype(bool) & (rest["difference"] > 0)]
    also = f" Over groups alone it loses on {phrases.names(partly)}, too." if len(partly) else ""
    if lost.empty:
        return (
            f"**It is not shown to lose significantly anywhere**, which is not the same as losing nothing.{also} {few}."
        )
    return (
        f"**It loses significantly on {phrases.names(lost)}; on {phrases.names(rest)} it is not shown to.**{also}"
        f"{_between(found, lost, rest)} {few}."
    )


def _between(found: Found, lost: pd.DataFrame, rest: pd.DataFrame) -> str:
    """Say whether data sets with and without a significant loss differ; else the line between them is none."""
    sides = set(lost["dataset"]), set(rest["dataset"])
    told = [
        f" AUC on {row['baseline_dataset']} minus {row['dataset']}: {phrases.test(row)}."
        for row in phrases.records(found.asked("between"))
        if any(row["dataset"] in one and row["baseline_dataset"] in other for one, other in (sides, sides[::-1]))
    ]
    return "".join(told)


def causes(found: Found) -> Iterator[str]:
    """Yield the answer to the third question: architecture or training data?"""
    model = found.baseline
    against = {question: found.asked(question, baseline=model) for question in ("architecture", "data")}
    for dataset in found.away:
        tests = {question: each[each["dataset"] == dataset] for question, each in against.items()}
        yield f"**{dataset}**{_exposure(found, tests['data'])}: {_conclusion(found, tests)}. {_figures(found, tests)}"
    others = [name for name in against["data"]["model"].unique() if name]
    at_home = against["data"][against["data"]["dataset"] == found.home]
    if others and len(at_home):
        costs = phrases.gains(found, at_home, -1)
        yield (
            f"At home the union {'**costs**' if len(costs) else 'is not shown to cost anything'}: "
            f"{phrases.on_each(found, at_home)}."
        )
    for question, words in (("data", "trained on the union"), ("architecture", "on the same data")):
        for _, tests in _others(found, question):
            row = tests.iloc[0]
            yield f"Beside that, {row['model']} against {row['baseline']}, {words}: {phrases.on_each(found, tests)}."


def _others(found: Found, question: str) -> Iterator[tuple[Any, pd.DataFrame]]:
    """Yield the comparisons of a question that are not with the baseline."""
    tests = found.asked(question)
    yield from tests[tests["baseline"] != found.baseline].groupby(["model", "baseline"], sort=False)


def _exposure(found: Found, data: pd.DataFrame) -> str:
    """Say whether a data set is a part of the union."""
    if data.empty:
        return ""
    row = data.iloc[0]
    inside = found.row(row["model"], row["dataset"])["home"] == 1
    return " (part of the union; other people of it)" if inside else " (never seen, by the union neither)"


def _conclusion(found: Found, tests: dict[str, pd.DataFrame]) -> str:
    """Say which of the two is shown to help on a data set."""
    if any(each.empty for each in tests.values()):
        missing = " and ".join(_MEANS[question] for question, each in tests.items() if each.empty)
        return f"**cannot be said**: there is no detector with {missing}"
    if not any(phrases.rankable(found, row) for each in tests.values() for row in phrases.records(each)):
        return "**cannot be said**: none of the detectors is told from guessing there"
    helps = {question: len(phrases.gains(found, each, 1)) > 0 for question, each in tests.items()}
    return {
        (False, True): "**the training data**: more of it helps, another architecture is not shown to",
        (True, False): "**the architecture**: another one helps, more training data is not shown to",
        (True, True): "**both** are shown to help",
        (False, False): "**cannot be said**: neither another architecture nor more training data is shown to help",
    }[(helps["architecture"], helps["data"])]


_MEANS = {"architecture": "another architecture on the same data", "data": "the same architecture on the union"}


def _figures(found: Found, tests: dict[str, pd.DataFrame]) -> str:
    """Return the differences that a conclusion rests on."""
    told = [
        f"{_MEANS[question]} ({row['model']}): {phrases.test(row)}"
        + ("" if phrases.rankable(found, row) else ", but neither is told from guessing")
        for question, each in tests.items()
        for row in phrases.records(each)
    ]
    return f"{_capital('; '.join(told))}." if told else ""


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


_RECOMMENDED = {
    "fine_tuning": "Fine-tuning",
    "scratch": "Fine-tuning in place of training from the start",
    "domains": "A domain head",
    "ensemble": "An ensemble",
}
"""What the plan recommends, and what else was tried, by the question of the tests."""


def recommendations(found: Found) -> Iterator[str]:
    """Yield what came of the plan's recommendations, a line a comparison."""
    for question, words in _RECOMMENDED.items():
        for _, tests in found.asked(question).groupby(["model", "baseline"], sort=False):
            model, baseline = str(tests["model"].iloc[0]), str(tests["baseline"].iloc[0])
            seen = [row["dataset"] for row in phrases.records(tests) if found.row(model, row["dataset"])["home"] == 1]
            better, worse = (phrases.gains(found, tests, sign) for sign in (1, -1))
            clauses = [
                *([f"**better** on {phrases.names(better)}"] if len(better) else []),
                *([f"**worse** on {phrases.names(worse)}"] if len(worse) else []),
            ]
            follows = " and ".join(clauses) or "no difference is shown"
            yield (
                f"{words}: **{model}** (it has seen {listed(seen) if seen else 'none of them'}) against "
                f"**{baseline}**: {follows}: {phrases.on_each(found, tests)}."
            )
