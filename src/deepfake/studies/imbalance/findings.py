"""What the tables on class imbalance say, in sentences that follow from their numbers."""

from collections.abc import Iterable, Iterator
from typing import Any

import pandas as pd

from deepfake.reports.wording import interval, listed
from deepfake.studies.imbalance.results import DECIDED, HALF, METRICS, SCARCE, TUNED, Found
from deepfake.studies.operating_points import figures


def headline(found: Found) -> str:
    """Return what the study found, in one sentence."""
    before, after = (found.row(found.baseline, decision) for decision in (HALF, TUNED))
    opening = (
        f"At {before['ratio']:.1f} fakes for each real {found.baseline} finds {before['recall_real']:.1%} of the reals "
        f"at probability 0.5 and {after['recall_real']:.1%} at tuned thresholds "
        f"(F1 {before['f1_macro']:.3f} → {after['f1_macro']:.3f})"
    )
    if not found.experiments["learned"].any():
        return f"{opening}; no experiment can be told from guessing, so none is shown to detect better."
    ranked, gained = (_raised(found.telling("remedy", *what)) for what in (("auc",), ("f1_macro", HALF)))
    beyond = _beyond(found)
    if not gained:
        closing = "at 0.5 no other experiment is significantly above it in F1"
    elif not beyond:
        closing = (
            f"F1 at 0.5 is significantly higher for {listed(gained)}, but not shown to exceed what moving its "
            "threshold gives"
        )
    else:
        closing = f"{listed(beyond)} stay significantly above it where both have moved their thresholds"
    auc = (
        f"the AUC is significantly higher for {listed(ranked)}"
        if ranked
        else "the AUC is significantly higher for none"
    )
    return f"{opening}; {closing}; {auc}."


def sentences(found: Found) -> Iterator[str]:
    """Yield what follows from the tables, a sentence or a few each."""
    yield _guessing(found)
    yield _imbalance(found)
    yield _tuning(found)
    yield from _other_tuning(found)
    if len(found.names) > 1:
        yield from _remedies(found)
        yield _ranking(found)
        yield _both_moved(found)
        yield _so(found)
    yield _gap(found)
    yield from _selection(found)
    yield _power(found)


def _guessing(found: Found) -> str:
    """Say which experiments do better than guessing."""
    rows = found.experiments
    known, guessing = rows[rows["learned"]], rows[~rows["learned"]]
    spans = f"AUC {rows['auc'].min():.3f} to {rows['auc'].max():.3f}"
    if known.empty:
        return (
            f"**No experiment can be told from guessing** ({spans}; an interval of each reaches down to chance). A "
            "remedy or a threshold then trades recall of reals against recall of fakes, and nothing below says that "
            "one experiment detects better than another."
        )
    if guessing.empty:
        return f"All {len(rows)} experiments rank better than chance ({spans})."
    return (
        f"{listed(guessing['experiment'])} cannot be told from guessing: an interval of the AUC reaches down to "
        "chance. What is said of decisions there is a trade between the classes, not detection. The others rank better "
        f"than chance ({spans} over all)."
    )


def _imbalance(found: Found) -> str:
    """Say what the imbalance does to the baseline at probability 0.5."""
    row = found.row(found.baseline, HALF)
    share = row["ratio"] / (1 + row["ratio"])
    return (
        f"At probability 0.5 **{found.baseline}** finds {row['recall_real']:.1%} of the reals "
        f"{interval(row, 'recall_real_')} and {row['recall_fake']:.1%} of the fakes. Its accuracy of "
        f"{row['accuracy']:.3f} is to be held against {share:.3f}, which calling everything fake would give; its F1 of "
        f"{row['f1_macro']:.3f} against {share / (1 + share):.3f}."
    )


def _tuning(found: Found) -> str:
    """Say what moving the baseline's threshold brings."""
    changes = [
        _change(test)
        for metric in DECIDED
        for _, test in found.telling("threshold", metric).iterrows()
        if test["experiment"] == found.baseline
    ]
    before, after = (found.row(found.baseline, decision) for decision in (HALF, TUNED))
    return (
        f"**What tuning alone brings:** from 0.5 to the threshold of each checkpoint, with nothing retrained, "
        f"**{found.baseline}** changes in {listed(changes)}. It finds {after['recall_fake']:.1%} of the fakes instead "
        f"of {before['recall_fake']:.1%}; balanced accuracy {before['balanced_accuracy']:.3f} → "
        f"{after['balanced_accuracy']:.3f}. The AUC knows no threshold and stays. {_rules(found)}"
    )


def _rules(found: Found) -> str:
    """Say which rule gives the baseline the greatest F1 on held-out samples."""
    cuts = found.cuts[found.cuts["experiment"] == found.baseline]
    tuned = cuts[cuts["cut"].isin(figures.CUTS)]
    best = tuned.iloc[int(tuned["f1_macro"].argmax())]
    return (
        f"Of the rules, {figures.title(best['cut'])} gives it the greatest held-out F1, {best['f1_macro']:.3f} "
        "(read off afterwards, not tested)."
    )


def _other_tuning(found: Found) -> Iterator[str]:
    """Say what tuning does to the other experiments."""
    told = [
        f"{METRICS[metric]} {_effect(tests[tests['experiment'] != found.baseline])}"
        for metric in DECIDED
        for tests in [found.telling("threshold", metric)]
    ]
    if len(found.names) > 1:
        yield f"Tuning the thresholds of the other experiments: {'; '.join(told)}."


def _remedies(found: Found) -> Iterator[str]:
    """Say what the other experiments change, at the same decision of both sides."""
    against = {HALF: "both at probability 0.5", TUNED: "both at tuned thresholds"}
    for decision, words in against.items():
        told = [
            f"{METRICS[metric]} {_effect(tests)}"
            for metric in DECIDED
            for tests in [found.telling("remedy", metric, decision)]
        ]
        yield f"Against **{found.baseline}**, {words}: {'; '.join(told)}."


def _ranking(found: Found) -> str:
    """Say whether a remedy ranks better."""
    return (
        f"Do they rank better, or only decide elsewhere? The AUC {_effect(found.telling('remedy', 'auc'))}, against "
        f"**{found.baseline}**."
    )


def _both_moved(found: Found) -> str:
    """Compare remedies with the baseline where a moved threshold can make no difference."""
    told = [
        f"{METRICS[metric]} at {rule} {_effect(found.telling('beyond', metric))}"
        for metric, rule in (("f1_macro", "each one's best-F1 threshold"), ("balanced_accuracy", "each one's Youden"))
    ]
    return (
        f"Would moving the threshold of **{found.baseline}** do as well? Both at the threshold that is chosen for the "
        f"metric, where nothing is left of a remedy that only moves logits: {'; '.join(told)}."
    )


def _beyond(found: Found) -> list[str]:
    """Return the experiments that stay significantly above the baseline when both have moved their thresholds."""
    names = [_raised(found.telling("beyond", metric)) for metric in ("f1_macro", "balanced_accuracy")]
    return list(dict.fromkeys([*names[0], *names[1]]))


def _so(found: Found) -> str:
    """Draw the conclusion: more than a moved threshold, or not."""
    gained = [_raised(found.telling("remedy", metric, HALF)) for metric in ("recall_real", "f1_macro")]
    names = list(dict.fromkeys([*gained[0], *gained[1]]))
    if not names:
        return f"**So** no remedy is shown to improve recall (real) or F1 at 0.5{_over_groups(found)}."
    ranked, beyond = _raised(found.telling("remedy", "auc")), _beyond(found)
    why = {
        name: [
            *(["its AUC is significantly higher"] if name in ranked else []),
            *(["it stays significantly above when both thresholds are moved"] if name in beyond else []),
        ]
        for name in names
    }
    more = [f"{name} ({listed(reasons)})" for name, reasons in why.items() if reasons]
    same = [name for name, reasons in why.items() if not reasons]
    clauses = []
    if more:
        clauses.append(f"is more than a moved threshold for {listed(more)}")
    if same:
        clauses.append(
            f"cannot be told from a moved threshold for {listed(same)}: neither the AUC nor what is decided when both "
            "thresholds are moved is significantly higher"
        )
    return f"**So** what is gained at 0.5 in recall (real) or F1 {'; it '.join(clauses)}."


def _over_groups(found: Found) -> str:
    """Say which remedies these trained models would keep on other people, though retraining might not repeat them."""

    def raised(*asked: str) -> list[str]:
        return _raised(found.telling(*asked), "over_groups")

    gained = dict.fromkeys([*raised("remedy", "recall_real", HALF), *raised("remedy", "f1_macro", HALF)])
    if not gained:
        return ", and there is no gain to explain"
    more = dict.fromkeys(
        [*raised("remedy", "auc"), *raised("beyond", "f1_macro"), *raised("beyond", "balanced_accuracy")]
    )
    explained = [name for name in gained if name not in more]
    told = [f"over groups alone {listed(gained)} {'does' if len(gained) == 1 else 'do'}"]
    if explained:
        whom = "" if len(explained) == len(gained) else f" of {listed(explained)}"
        told.append(
            f"even so neither the AUC{whom} nor what is decided where both thresholds are moved is higher: nothing "
            "shows that the gain is more than a moved threshold"
        )
    return f"; {'; '.join(told)}"


def _gap(found: Found) -> str:
    """Say whether precision and recall of the reals are in balance."""
    before, after = (found.row(found.baseline, decision) for decision in (HALF, TUNED))
    rows = found.rows[found.rows["recall_real"] >= SCARCE]
    text = (
        f"The gap between precision and recall of the reals is {before['precision_recall_gap']:.3f} "
        f"{interval(before, 'precision_recall_gap_')} for **{found.baseline}** at 0.5 and "
        f"{after['precision_recall_gap']:.3f} {interval(after, 'precision_recall_gap_')} tuned."
    )
    if len(rows):
        least = rows.iloc[int(rows["precision_recall_gap"].argmin())]
        text += (
            f" The smallest is that of {at(least)}: {least['precision_recall_gap']:.3f} "
            f"{interval(least, 'precision_recall_gap_')}, with precision {least['precision_real']:.3f} and recall "
            f"{least['recall_real']:.3f}; a gap is small too where both are low."
        )
    scarce = found.rows[found.rows["recall_real"] < SCARCE]
    if len(scarce):
        text += (
            f" Not counted: {listed(at(row) for _, row in scarce.iterrows())}, where fewer than {SCARCE:.0%} of the "
            "reals are found: the gap is 0 when nothing is called real, so no sentence here compares it there."
        )
    return text


def at(row: Any) -> str:
    """Return an experiment with its decision."""
    return f"{row['experiment']} {'tuned' if row['decision'] == TUNED else 'at 0.5'}"


def _selection(found: Found) -> Iterator[str]:
    """Say what another monitor chooses, where nothing else differs."""
    rows = found.experiments.set_index("experiment")
    base = rows.loc[found.baseline]
    for name, row in rows.iterrows():
        if not row["only_monitor_differs"]:
            continue
        tests = [found.telling("remedy", "auc"), found.telling("remedy", "f1_macro", HALF)]
        changes = [
            _change(each[each["experiment"] == name].iloc[0]) for each in tests if name in set(each["experiment"])
        ]
        told = f": {listed(changes)}" if changes else ""
        yield (
            f"Best epochs chosen by {row['monitor']} ({name}) in place of {base['monitor']} ({found.baseline}), with "
            f"nothing else changed, lie at {row['best_epoch']:.1f} instead of {base['best_epoch']:.1f} on average over "
            f"folds{told}. Both are read on the inner validation.{_blind(row)}"
        )


def _blind(row: Any) -> str:
    """Say why epochs chosen by decisions can be early ones."""
    if not row["blind_folds"]:
        return ""
    return (
        f" In {row['blind_folds']:.0f} folds the chosen epoch calls every validation sample fake: while that is so, "
        "what is decided at 0.5 does not change, however the ranking improves, and patience runs out. Where one class "
        "is rare, a monitor that needs no threshold sees more."
    )


def _power(found: Found) -> str:
    """Say what a missing difference does not mean."""
    count = int(found.tests[["question", "decision", "metric"]].value_counts().max())
    return (
        f"**Not significant does not mean equal.** Up to {count} tests of a column are corrected together, and two "
        "must agree: *over groups alone* means that these trained models would differ on other people too, while the "
        "few folds do not settle whether another training would repeat it. The intervals say how large a difference "
        "may still be."
    )


def _change(test: Any) -> str:
    """Return a difference with its interval, and whether it is significant."""
    told = "significant" if test["significant"] else "over groups alone" if test["over_groups"] else "not significant"
    return f"{METRICS[test['metric']]} {test['difference']:+.3f} {interval(test)} ({told})"


def _effect(tests: pd.DataFrame) -> str:
    """Say for which experiments a metric rises, falls or cannot be told to change."""
    significant = tests["significant"].astype(bool)
    clauses = []
    for word, inside in (
        ("rises significantly for", significant & (tests["difference"] > 0)),
        ("falls significantly for", significant & (tests["difference"] < 0)),
    ):
        if inside.any():
            named = [f"{row['experiment']} ({row['difference']:+.3f})" for _, row in tests[inside].iterrows()]
            clauses.append(f"{word} {listed(named)}")
    if tests.empty:
        return "cannot be compared"
    if not clauses:
        largest = tests.iloc[int(tests["difference"].abs().argmax())]
        figures = f"{largest['experiment']}, {largest['difference']:+.3f} {interval(largest)}"
        clauses = [f"changes significantly for none (largest change: {figures})"]
    partly = tests[tests["over_groups"].astype(bool) & ~significant]
    told = [f"{row['experiment']} ({row['difference']:+.3f})" for _, row in partly.iterrows()]
    return " and ".join(clauses) + (f", over groups alone for {listed(told)}" if told else "")


def _raised(tests: pd.DataFrame, by: str = "significant") -> list[str]:
    """Return the experiments for which a metric is higher, by both tests or another column that says so."""
    return tests.loc[tests[by].astype(bool) & (tests["difference"] > 0), "experiment"].tolist()


def unpaired(found: Found, expected: Iterable[str]) -> str:
    """Say which experiments could not be compared with the baseline.

    Args:
        found: the tables.
        expected: the experiments that name it as theirs.
    """
    tested = set(found.telling("remedy", "auc")["experiment"])
    if not (missing := [name for name in expected if name not in tested]):
        return ""
    return f"Not compared with {found.baseline}, since held out on other samples: {listed(missing)}."
