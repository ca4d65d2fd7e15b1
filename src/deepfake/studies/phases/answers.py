"""Answers to the plan's questions: each follows from tests and intervals, and says so where these do not suffice."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd

from deepfake.evaluation.bootstrap import Interval
from deepfake.reports.wording import listed, p_value
from deepfake.studies.results import Results, over_folds


@dataclass(frozen=True)
class Answer:
    """A question of the plan with its answer.

    Args:
        question: as the plan asks it.
        short: a clause that answers it.
        numbers: what the clause follows from.
        note: sentences on what else has to be known, or "".
    """

    question: str
    short: str
    numbers: str
    note: str = ""

    def text(self) -> str:
        """Return the whole answer: first in words, then its numbers."""
        numbers = f" In numbers: {self.numbers}." if self.numbers else ""
        note = f" {self.note}" if self.note else ""
        return f"**{self.question}** {self.headline()}.{numbers}{note}"

    def headline(self) -> str:
        """Return the clause as the beginning of a sentence."""
        return self.short[0].upper() + self.short[1:]


EFFECT = {
    "better": "it improves {names}",
    "worse": "it hurts {names}",
    "open": "no significant difference for {names}",
    "noise": "cannot be said for {names}: not told from guessing either way, so a comparison would rank noise",
}
"""What is said of models that something was changed for."""
AGAINST = {
    "better": "{names} significantly above {against}",
    "worse": "{names} significantly below {against}",
    "open": "no significant difference from {against} for {names}",
    "noise": "no ranking of {names} against {against}: neither is told from guessing, so it would rank noise",
}
"""What is said of models that were compared with another one."""
_GEOMETRY = {
    "worse": "yes, geometry is a cue for {names}: AUC falls when it is matched",
    "better": "no, {names} even gains when geometry is matched",
    "open": "no evidence that geometry is a cue for {names}",
    "noise": "whether geometry is a cue cannot be said: {names} is not told from guessing",
}
_COLOUR = {
    "worse": "yes, colour statistics matter for {names}: AUC falls when those of the real training images are used",
    "better": "colour statistics matter for {names}, but those of the real training images raise the AUC",
    "open": "no evidence that colour statistics are a cue for {names}",
    "noise": "whether colour is a cue cannot be said: {names} is not told from guessing",
}


def compared(question: str, pairs: pd.DataFrame, words: Mapping[str, str], note: str = "") -> Answer:
    """Answer a question from paired tests: what is significant, in which direction, and what stays open.

    Args:
        question: as the plan asks it.
        pairs: tests with the figures of both sides (`Results.pairs`), at least one.
        words: what to say of those that are `better`, `worse`, `open` or `noise`, of `{names}` and `{against}`.
        note: what else has to be known.
    """
    kinds = [verdict(pair) for _, pair in pairs.iterrows()]
    clauses = []
    for kind, template in words.items():
        chosen = pairs[[each == kind for each in kinds]]
        for against, rows in chosen.groupby("against" if "{against}" in template else "table", sort=False):
            names = listed(
                row["title"] if kind == "noise" else f"{row['title']} ({row['difference']:+.3f})"
                for _, row in rows.iterrows()
            )
            clauses.append(template.format(names=names, against=against))
    return Answer(question, "; ".join(clauses), "; ".join(_figures(pair) for _, pair in pairs.iterrows()), note)


def verdict(pair: Any) -> str:
    """Tell whether a test finds an experiment `better` or `worse`, leaves it `open`, or compares `noise`."""
    if not (pair["a_learned"] or pair["b_learned"]):
        return "noise"
    if not pair["significant"]:
        return "open"
    return "better" if pair["difference"] > 0 else "worse"


def framed(answer: Answer, pairs: pd.DataFrame, views: Mapping[str, str], framings: pd.DataFrame) -> Answer:
    """Add to an answer what a view's framing gives away, where that is severe: then an AUC is no evidence of detection.

    Args:
        answer: of `compared`.
        pairs: the tests that it follows from.
        views: the view of each experiment.
        framings: the audit's probe of each view's framing, by the name of the view.
    """
    severe = framings[framings["severity"] == "severe"]
    first, other = ({views[name] for name in pairs[end]} for end in ("baseline", "experiment"))
    leaking = severe[severe.index.isin(first | other)]
    if leaking.empty:
        return answer
    leaks = listed(
        f"{view} (AUC {row['auc']:.3f} [{row['auc_low']:.3f}, {row['auc_high']:.3f}], severe)"
        for view, row in leaking.iterrows()
    )
    if first & set(leaking.index):
        so = "so their AUC is not evidence of detection"
    elif any(verdict(pair) == "better" for _, pair in pairs.iterrows()):
        so = "so the gain is not evidence of better detection"
    else:
        so = "so a gain would not be evidence of better detection"
    return replace(answer, short=f"{answer.short}; but the framing alone tells fakes from reals in {leaks}, {so}")


def _figures(pair: Any) -> str:
    """Return the numbers behind a test."""
    p = p_value(max(pair["p_bootstrap_holm"], pair["p_ttest_holm"]))
    excluded = pair["low"] > 0 or pair["high"] < 0
    disagree = ", the tests over groups and folds do not both agree" if excluded and not pair["significant"] else ""
    return (
        f"{pair['title']}: AUC {pair['a_auc']:.3f} → {pair['b_auc']:.3f}, Δ {pair['difference']:+.3f} "
        f"{_signed(pair['low'], pair['high'])}, {p}{disagree}"
    )


def _signed(low: float, high: float) -> str:
    return f"[{low:+.3f}, {high:+.3f}]"


def _where_learned(pairs: pd.DataFrame) -> pd.DataFrame:
    """Return tests in which a baseline that has learned nothing makes the comparison noise: it uses no cue."""
    return pairs.assign(b_learned=pairs["a_learned"])


def geometry(pairs: pd.DataFrame) -> Answer:
    """Say whether a detector uses the geometry of the images (2A-1)."""
    pairs = _where_learned(pairs)
    kinds = {verdict(pair) for _, pair in pairs.iterrows()}
    notes = [
        *(
            ["A part of the drop may come from the black bars, which training never showed."]
            if "worse" in kinds
            else []
        ),
        *([f"A drop of up to {max(0.0, -pairs['low'].min()):.3f} is not excluded."] if "open" in kinds else []),
    ]
    return compared("Is geometry a cue?", pairs, _GEOMETRY, " ".join(notes))


def colour(pairs: pd.DataFrame) -> Answer:
    """Say whether colour statistics matter to a detector (2A-2)."""
    note = (
        "The two normalisations differ by one scale and shift per channel, which a network can learn to undo, so no "
        "difference does not exclude a colour cue."
    )
    pairs = _where_learned(pairs)
    opened = any(verdict(pair) == "open" for _, pair in pairs.iterrows())
    return compared("Are colour statistics a cue?", pairs, _COLOUR, note if opened else "")


_SPECIFIC = {
    "clearly": "features clearly specific to sources without {names}",
    "possibly": "features possibly specific to sources without {names}",
    "suggested": "features specific to sources suggested, not established, without {names}",
    "no": "no features specific to sources shown without {names}",
}


def specific(row: Any, thresholds: tuple[float, float]) -> str:
    """Tell how sure it is that features are specific to the sources trained on, when one is held out.

    Returns:
        `clearly` or `possibly` where in-source minus held-out AUC is significant and its whole interval lies above
        that threshold, `suggested` where only the estimate lies above the first one, else `no`.
    """
    possibly, clearly = thresholds
    if row["delta_significant"] and row["delta_low"] > clearly:
        return "clearly"
    if row["delta_significant"] and row["delta_low"] > possibly:
        return "possibly"
    return "suggested" if row["delta"] > possibly else "no"


def sources(rows: pd.DataFrame, thresholds: tuple[float, float], *, learned: bool) -> Answer:
    """Say whether features are specific to the sources that a detector was trained on (2A-3).

    Args:
        rows: the table of `analysis.holdout`.
        thresholds: `interpretation.source_specific`.
        learned: whether the detector that is trained on all sources is told from guessing.
    """
    question = "Are features specific to the sources trained on?"
    numbers = "; ".join(
        f"{row['source']}: in-source {row['in_source_auc']:.3f}, held out {row['held_out_auc']:.3f}, Δ "
        f"{row['delta']:+.3f} {_signed(row['delta_low'], row['delta_high'])}, {p_value(row['p_delta_holm'])}"
        for _, row in rows.iterrows()
    )
    if not learned:
        short = "cannot be said: trained on all sources, the detector is not told from guessing"
        return Answer(question, short, numbers)
    kinds = [specific(row, thresholds) for _, row in rows.iterrows()]
    clauses = [
        template.format(names=listed(f"{row['source']} ({row['delta']:+.3f})" for _, row in rows[chosen].iterrows()))
        for kind, template in _SPECIFIC.items()
        if (chosen := pd.Series([each == kind for each in kinds], index=rows.index)).any()
    ]
    clauses.append(_benefit(rows))
    notes = [
        f"Suggested: Δ lies above {thresholds[0]:g}, but it is not significant or its interval reaches below."
        if "suggested" in kinds
        else "",
        _benefits(rows),
    ]
    return Answer(question, "; ".join(clauses), numbers, " ".join(note for note in notes if note))


def _benefit(rows: pd.DataFrame) -> str:
    """Say for which sources it brings something to be trained on them."""
    gained = rows[rows["benefit_significant"] & (rows["benefit"] > 0)]
    if gained.empty:
        return "for no source is a benefit of having been trained on it significant"
    return f"having been trained on it brings significantly more for {listed(gained['source'])}"


def _benefits(rows: pd.DataFrame) -> str:
    """Say what benefits are, and why they are beside the plan's rule."""
    each = "; ".join(
        f"{row['source']} {row['benefit']:+.3f} {_signed(row['benefit_low'], row['benefit_high'])}"
        for _, row in rows.iterrows()
    )
    return (
        f"Benefit of having been trained on the source, on the same samples: {each}. Δ also grows where a source is "
        "hard; the benefit grows only where it is foreign."
    )


_REMOVAL = {
    "removes": "it removes shortcuts for {names}: gap and source variance both fall, their intervals below 0",
    "tends": "it tends to remove shortcuts for {names}: gap and source variance both fall, at least one within noise",
    "over": "it over-regularises {names}: training AUC falls, and held-out AUC significantly with it",
    "none": "no evidence that it removes shortcuts for {names}: gap and source variance do not both fall",
    "noise": "cannot be said for {names}: with or without it, what was learned is not told from guessing, so gaps mean "
    "nothing",
}


def removal(pair: Any, train: Interval) -> str:
    """Tell whether augmentation removes shortcuts or over-regularises.

    Args:
        pair: a test, with the changes of gap and source variance, of an augmented experiment against a plain one.
        train: how the AUC on training samples changes.

    Returns:
        A key of `_REMOVAL`. Over-regularising comes first: gap and variance fall, too, when a detector forgets all.
    """
    if pair["a_learned"] and pair["significant"] and pair["difference"] < 0 and train.estimate < 0:
        return "over"
    if not (pair["a_learned"] and pair["b_learned"]):
        return "noise"
    changes = ("train_val_gap", "source_auc_variance")
    if all(pair[f"{key}_high"] < 0 for key in changes):
        return "removes"
    return "tends" if all(pair[f"{key}_change"] < 0 for key in changes) else "none"


def shortcuts(results: Results, table: str, crop: str, confidence: float) -> Answer:
    """Say whether augmentation removes shortcuts (2D or 2E): the plan's rule, with intervals."""
    pairs = results.pairs(table)
    named: dict[str, list[str]] = {kind: [] for kind in _REMOVAL}
    numbers = []
    for _, pair in pairs.iterrows():
        train = results.change(pair["baseline"], pair["experiment"], "train_auc", confidence)
        named[removal(pair, train)].append(pair["title"])
        numbers.append(
            f"{pair['title']}: gap {pair['train_val_gap_change']:+.3f} "
            f"{_signed(pair['train_val_gap_low'], pair['train_val_gap_high'])}, source variance "
            f"{pair['source_auc_variance_change']:+.4f} [{pair['source_auc_variance_low']:+.4f}, "
            f"{pair['source_auc_variance_high']:+.4f}], train AUC {train.estimate:+.3f} "
            f"{_signed(train.low, train.high)}"
        )
    clauses = [_REMOVAL[kind].format(names=listed(names)) for kind, names in named.items() if names]
    return Answer(f"Does augmentation {crop} remove shortcuts?", "; ".join(clauses), "; ".join(numbers))


def interaction(results: Results, confidence: float) -> Answer:
    """Say whether augmentation does something else with a face crop than without: a difference of differences."""
    ends = ["experiment", "baseline", "a_learned", "b_learned"]
    plain, cropped = (results.pairs(table)[["title", *ends]] for table in ("phase2d", "phase2e"))
    named: dict[str, list[str]] = {kind: [] for kind in _INTERACTION}
    numbers = []
    for _, row in plain.merge(cropped, on="title", suffixes=("_plain", "_face")).iterrows():
        gains = [
            results.by_fold(row[f"experiment_{crop}"], "auc") - results.by_fold(row[f"baseline_{crop}"], "auc")
            for crop in ("plain", "face")
        ]
        found = over_folds(gains[1] - gains[0], confidence)
        learned = any(row[f"{end}_learned_{crop}"] for end in "ab" for crop in ("plain", "face"))
        kind = "noise" if not learned else "more" if found.low > 0 else "less" if found.high < 0 else "open"
        named[kind].append(f"{row['title']} ({found.estimate:+.3f})")
        numbers.append(
            f"{row['title']}: augmentation brings {gains[0].mean():+.3f} without and {gains[1].mean():+.3f} with a "
            f"face crop, difference {found.estimate:+.3f} {_signed(found.low, found.high)} over folds"
        )
    clauses = [_INTERACTION[kind].format(names=listed(names)) for kind, names in named.items() if names]
    return Answer(
        "Does augmentation interact with face cropping?",
        "; ".join(clauses),
        "; ".join(numbers),
        "These intervals are not corrected for their number.",
    )


_INTERACTION = {
    "more": "yes, it brings more with a face crop for {names}",
    "less": "yes, it brings less with a face crop for {names}",
    "open": "no interaction is shown for {names}",
    "noise": "cannot be said for {names}: not told from guessing in any of the four conditions",
}
