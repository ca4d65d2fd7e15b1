"""What makes a data set harder for the baseline: its fakes, its conditions, or where the detector cuts."""

from collections.abc import Iterator
from typing import Any

import pandas as pd

from deepfake.reports.wording import interval, listed
from deepfake.studies.generalization import phrases
from deepfake.studies.generalization.results import Found

APART = 0.5
"""Separability from which on a feature is said to tell two data sets apart: an AUC of .75."""
_SHOWN = 4


def sentences(found: Found) -> Iterator[str]:
    """Yield what is known of each away data set, and what a comparison of them says."""
    model = found.baseline
    if not found.knows(model, found.home):
        yield f"**Cannot be said**: {model} is {phrases.GUESSING} at home ({phrases.auc(found, model, found.home)})."
    for dataset in found.away:
        if found.knows(model, found.home) and found.knows(model, dataset):
            yield _classes(found, dataset)
            yield _sources(found, dataset)
            yield _threshold(found, dataset)
        elif found.knows(model, found.home):
            yield (
                f"**{dataset}**: {model} is {phrases.GUESSING} there ({phrases.auc(found, model, dataset)}), so "
                "whether fakes get lost or reals accused, and whether another threshold helps, cannot be said."
            )
            yield _sources(found, dataset)
        yield _followed(found, dataset)
    if found.knows(model, found.home):
        yield from _why(found)


def _classes(found: Found, dataset: str) -> str:
    """Say whether fakes get lost or reals get accused, at the detector's own thresholds."""
    away, home = (found.row(found.baseline, name) for name in (dataset, found.home))
    tests = {metric: found.asked("class", dataset=dataset, metric=metric).iloc[0] for metric in _CLASSES}
    lost, accused = tests["recall_fake"], tests["false_positive_rate"]
    worse = [
        *(["fakes get lost"] if lost["significant"] and lost["difference"] > 0 else []),
        *(["reals get accused"] if accused["significant"] and accused["difference"] < 0 else []),
    ]
    follows = f"**{listed(worse)}**" if worse else "neither lost fakes nor accused reals are shown"
    return (
        f"**{dataset}**, at {found.baseline}'s own thresholds: {follows}. It finds {phrases.percent(away, 'recall')} "
        f"of the fakes, at home {home['recall']:.1%} (home minus away {phrases.test(lost)}); it accuses "
        f"{_accused(away):.1%} of the reals, at home {_accused(home):.1%} (home minus away {phrases.test(accused)})."
    )


_CLASSES = ("recall_fake", "false_positive_rate")


def _accused(row: Any) -> float:
    """Return the share of reals that is called fake, which recall and balanced accuracy determine."""
    return 1 + row["recall"] - 2 * row["balanced_accuracy"]


def _sources(found: Found, dataset: str) -> str:
    """Name the fakes that are hardest there, and what became of those that home has, too."""
    rows = found.sources[(found.sources["model"] == found.baseline) & (found.sources["dataset"] == dataset)]
    fakes = rows[rows["label"] == "fake"].sort_values("auc")
    told = [
        f"{row['source']} {row['auc']:.3f} {interval(row, 'auc_')} (n = {row['files']:,})"
        for row in phrases.records(fakes)
    ]
    text = f"**{dataset}**, AUC of each kind of fakes against all reals, the hardest first: {', '.join(told)}."
    shared = phrases.records(found.asked("source", dataset=dataset))
    if not shared:
        return f"{text} None of them is in {found.home}, so they cannot be held against home one by one."
    changes = [f"{row['source']} {phrases.test(row)}" for row in shared]
    return f"{text} Home minus away of the same kind: {'; '.join(changes)}."


def _threshold(found: Found, dataset: str) -> str:
    """Say whether re-tuning the threshold mends what is lost, or whether the ranking suffers."""
    away, home = (found.row(found.baseline, name) for name in (dataset, found.home))
    moved = found.asked("threshold", model=found.baseline, dataset=dataset).iloc[0]
    ranked = found.asked("gap", model=found.baseline, dataset=dataset, metric="auc").iloc[0]
    mends, worse = (bool(row["significant"]) and row["difference"] > 0 for row in (moved, ranked))
    follows = {
        (
            True,
            True,
        ): "**both**: a threshold from its own inner validation mends a part, the rest is the ranking",
        (True, False): "**the threshold**: re-tuned it is better, and the ranking is not shown to be worse",
        (False, True): "**the ranking**: re-tuning the threshold is not shown to help",
        (False, False): "**neither is shown**: re-tuning is not shown to help, nor the ranking to be worse",
    }[(mends, worse)]
    return (
        f"**{dataset}**, threshold or ranking? {follows}. Balanced accuracy "
        f"{phrases.percent(away, 'balanced_accuracy')} at its own thresholds, "
        f"{phrases.percent(away, 'retuned_balanced_accuracy')} re-tuned (change {phrases.test(moved)}), "
        f"{phrases.percent(home, 'balanced_accuracy')} at home; AUC, home minus away {phrases.test(ranked)}."
    )


def _followed(found: Found, dataset: str) -> str:
    """Say in what the data set differs most, and with what the score moves there."""
    rows = found.features[found.features["dataset"] == dataset]
    apart = rows[rows["separability"] >= APART].sort_values("separability", ascending=False, kind="stable")
    different = [f"{row['feature']} ({shift(row)})" for row in phrases.records(apart.head(_SHOWN))]
    more = f" and {len(apart) - _SHOWN} more" if len(apart) > _SHOWN else ""
    told = f"its reals differ from those of {found.home} most in {', '.join(different)}{more}"
    if apart.empty:
        told = f"no single feature tells its reals from those of {found.home} well (separability {APART:g} or more)"
    moved = rows[rows["p_holm"] <= found.significance]
    moved = moved.loc[moved["correlation"].abs().sort_values(ascending=False, kind="stable").index]
    files = found.row(found.baseline, dataset)["files"]
    if moved.empty:
        score = f"no feature is shown to move {found.baseline}'s score"
    else:
        named = [_correlation(row) for row in phrases.records(moved.head(_SHOWN))]
        both = [name for name in moved["feature"] if name in set(apart["feature"])]
        score = f"{found.baseline}'s score moves with {', '.join(named)}" + (
            f"; of the features that differ so much it moves with {listed(both)}"
            if both
            else "; with none of the features that differ so much"
        )
    return (
        f"**{dataset}**, conditions: {told}; {score} (rank correlation within folds and classes, n = {files:,.0f}; it "
        "shows what goes together, not what causes it)."
    )


def _correlation(row: Any) -> str:
    ends = f"[{row['correlation_low']:+.2f}, {row['correlation_high']:+.2f}]"
    p = "< 0.001" if row["p_holm"] < 0.001 else f"{row['p_holm']:.3f}"
    return f"{row['feature']} ({row['correlation']:+.2f} {ends}, p {p})"


def shift(row: Any) -> str:
    """Return how a feature differs between home and away."""
    told = (
        f"{row['home_value']} in {row['home_share']:.0%} → {row['away_value']} in {row['away_share']:.0%}"
        if isinstance(row["home_value"], str)
        else f"median {row['home_median']:.4g} → {row['away_median']:.4g}"
    )
    return f"{told}, separability {row['separability']:.2f}"


def _why(found: Found) -> Iterator[str]:
    """Hold data sets of the same manipulations against those of others, and ask whether one can be learned at all."""
    # equal names of sources mean the same manipulations only in data sets of the same making
    same = [name for name in found.away if name in found.kin and found.fakes(name) == found.fakes(found.home)]
    other = [name for name in found.away if not found.fakes(name) & found.fakes(found.home)]
    for dataset in same:
        row = found.asked("gap", model=found.baseline, dataset=dataset, metric="auc").iloc[0]
        costs = bool(row["significant"]) and row["difference"] > 0
        yield (
            f"**Do conditions alone cost?** {dataset} has the manipulations of {found.home}; only conditions differ. "
            f"{'**They alone cost**' if costs else 'They are not shown to cost'}: AUC, home minus away "
            f"{phrases.test(row)}."
        )
    for dataset in other:
        for reference in same:
            yield _more(found, dataset, reference)
        yield from _learnable(found, dataset)
    if other and not same:
        yield (
            f"**Conditions or manipulations?** Cannot be said: {listed(other)} {_differ(other)} from {found.home} in "
            "both, and no away data set in conditions alone."
        )


def _differ(names: list[str]) -> str:
    return "differs" if len(names) == 1 else "differ"


def _more(found: Found, dataset: str, reference: str) -> str:
    """Say whether a data set of other manipulations is harder than one of other conditions alone.

    It has conditions of its own, not those of the other one, so no difference is one of manipulations.
    """
    either = found.asked("between")
    row = either[either["dataset"].isin([dataset, reference]) & either["baseline_dataset"].isin([dataset, reference])]
    turned = _turned(row.iloc[0]) if row["dataset"].iloc[0] == reference else row.iloc[0]
    more = bool(turned["significant"]) and turned["difference"] > 0
    less = bool(turned["significant"]) and turned["difference"] < 0
    follows = (
        f"**{dataset} is harder than {reference}**"
        if more
        else f"**{dataset} is easier than {reference}**"
        if less
        else f"{dataset} and {reference} are not shown to differ"
    )
    cause = " Which of its manipulations and its own conditions does it, cannot be told." if more or less else ""
    return (
        f"**And other manipulations?** {dataset} has other ones than {found.home}, and conditions of its own: "
        f"{follows}. AUC, {reference} minus {dataset} {phrases.test(turned)}.{cause}"
    )


def _turned(row: Any) -> Any:
    """Return a test the other way round."""
    changed = {"difference": -row["difference"], "low": -row["high"], "high": -row["low"]}
    return pd.Series({**row.to_dict(), **changed})


def _learnable(found: Found, dataset: str) -> Iterator[str]:
    """Say whether the same architecture can learn a data set when it is trained there."""
    for row in phrases.records(found.asked("elsewhere", baseline=found.baseline, dataset=dataset)):
        if found.row(row["model"], dataset)["home"] != 1:
            continue
        told = phrases.auc(found, row["model"], dataset)
        if not found.knows(row["model"], dataset):
            yield (
                f"{row['model']}, the same architecture trained on {dataset} itself, is {phrases.GUESSING} there "
                f"({told}), so whether the data set is hard in itself cannot be said."
            )
            continue
        helps = bool(row["significant"]) and row["difference"] > 0
        follows = "**it is not hard in itself**, only unknown" if helps else "training there is not shown to help"
        yield (
            f"Is {dataset} hard in itself? {row['model']}, the same architecture trained there, has {told} on other "
            f"people of it: {follows} (against {found.baseline} {phrases.test(row)})."
        )
