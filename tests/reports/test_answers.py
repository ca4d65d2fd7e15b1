"""The words follow from the numbers: each template has numbers that bring it, and numbers that do not."""

import pandas as pd
import pytest

from deepfake.evaluation.bootstrap import Interval
from deepfake.studies.phases import answers
from deepfake.studies.results import Results


def pair(title="A", difference=0.1, *, significant=True, learned=(True, True), **more) -> dict:
    p = 0.01 if significant else 0.4
    reach = 0.05 if significant else 1.0
    return {
        "table": "t",
        "title": title,
        "against": "Base",
        "baseline": "base",
        "experiment": "other",
        "difference": difference,
        "low": difference - reach,
        "high": difference + reach,
        "p_bootstrap_holm": p / 2,
        "p_ttest_holm": p,
        "significant": significant,
        "a_auc": 0.7,
        "b_auc": 0.7 + difference,
        "a_learned": learned[0],
        "b_learned": learned[1],
    } | more


def pairs(*rows: dict) -> pd.DataFrame:
    return pd.DataFrame(rows)


@pytest.mark.parametrize(
    ("row", "said"),
    [
        (pair(), "better"),
        (pair(difference=-0.1), "worse"),
        (pair(significant=False), "open"),
        (pair(learned=(False, False)), "noise"),
        (pair(learned=(False, True)), "better"),
    ],
)
def test_an_effect_is_said_only_when_it_is_significant_and_something_was_learned(row, said):
    answer = answers.compared("Does it help?", pairs(row), answers.EFFECT)
    figure = "" if said == "noise" else f" ({row['difference']:+.3f})"
    assert answers.verdict(row) == said
    assert answer.short == answers.EFFECT[said].format(names=f"A{figure}")


def test_models_are_told_apart_and_all_numbers_given():
    rows = [pair("A"), pair("B", -0.2), pair("C", 0.03, significant=False), pair("D")]
    text = answers.compared("Does it help?", pairs(*rows), answers.EFFECT).text()
    places = [text.index(part) for part in ("Does it help?", "A (+0.100) and D (+0.100)", "B (-0.200)", "C (+0.030)")]
    assert places == sorted(places)
    assert "B: AUC 0.700 → 0.500, Δ -0.200 [-0.250, -0.150], p = 0.010" in text


def test_the_larger_p_is_shown_and_a_disagreement_named():
    row = pair(significant=False, low=0.02, high=0.18)
    text = answers.compared("?", pairs(row), answers.EFFECT).text()
    assert "p = 0.400, " in text and "agree" in text
    assert "agree" not in answers.compared("?", pairs(pair()), answers.EFFECT).text()
    assert "agree" not in answers.compared("?", pairs(pair(significant=False)), answers.EFFECT).text()


def test_models_are_ranked_against_each_baseline():
    rows = [pair("A"), pair("A", -0.2) | {"against": "Other"}, pair("B")]
    short = answers.compared("?", pairs(*rows), answers.AGAINST).short
    assert answers.AGAINST["better"].format(names="A (+0.100) and B (+0.100)", against="Base") in short
    assert answers.AGAINST["worse"].format(names="A (-0.200)", against="Other") in short


def framings(**severities: str) -> pd.DataFrame:
    rows = [{"subject": view, "severity": severity} for view, severity in severities.items()]
    return pd.DataFrame(rows).assign(auc=0.95, auc_low=0.9, auc_high=0.97).set_index("subject")


LEAK = "{} (AUC 0.950 [0.900, 0.970], severe), so "


@pytest.mark.parametrize(
    ("row", "severities", "added"),
    [
        (pair(), {"crop": "none", "face": "moderate"}, ""),
        (pair(), {"crop": "none", "face": "none", "other": "severe"}, ""),
        (pair(), {"crop": "none", "face": "severe"}, LEAK.format("face") + "the gain is not"),
        (pair(significant=False), {"crop": "none", "face": "severe"}, LEAK.format("face") + "a gain would not"),
        (pair(), {"crop": "severe", "face": "none"}, LEAK.format("crop") + "their AUC is not"),
    ],
)
def test_an_answer_says_what_a_framing_gives_away_only_when_it_is_severe(row, severities, added):
    plain = answers.compared("Does it help?", pairs(row), answers.EFFECT)
    found = answers.framed(plain, pairs(row), {"base": "crop", "other": "face"}, framings(**severities))
    assert found.short.startswith(plain.short) and added in found.short
    assert (found == plain) is (added == "")


def test_where_both_sides_leak_neither_auc_counts():
    plain = answers.compared("Does it help?", pairs(pair()), answers.EFFECT)
    found = answers.framed(plain, pairs(pair()), {"base": "face", "other": "face"}, framings(face="severe"))
    assert LEAK.format("face") + "their AUC is not" in found.short


@pytest.mark.parametrize(
    ("row", "said", "noted"),
    [
        (pair(difference=-0.1), "yes", "black bars"),
        (pair(difference=0.1), "no, A (+0.100)", ""),
        (pair(difference=-0.1, significant=False, low=-0.3), "no evidence", "up to 0.300"),
        (pair(difference=0.2, significant=False, low=0.1), "no evidence", "up to 0.000"),
        (pair(difference=0.3, learned=(False, True)), "whether geometry", ""),
        (pair(difference=-0.3, learned=(True, False)), "yes", "black bars"),
    ],
)
def test_geometry_is_a_cue_when_matching_it_takes_something_away(row, said, noted):
    answer = answers.geometry(pairs(row))
    assert answer.short.startswith(said)
    assert noted in answer.note
    assert bool(noted) == bool(answer.note)


@pytest.mark.parametrize(
    ("row", "said"),
    [
        (pair(difference=-0.1), "yes"),
        (pair(difference=0.1), "colour statistics matter"),
        (pair(significant=False), "no evidence"),
        (pair(learned=(False, True)), "whether colour"),
    ],
)
def test_colour_is_a_cue_only_by_a_significant_difference(row, said):
    answer = answers.colour(pairs(row))
    assert answer.short.startswith(said)
    assert bool(answer.note) is (said == "no evidence")


def source(name="s", delta=0.2, low=0.12, *, significant=True, benefit=0.1, foreign=True) -> dict:
    return {
        "source": name,
        "in_source_auc": 0.8,
        "held_out_auc": 0.8 - delta,
        "delta": delta,
        "delta_low": low,
        "delta_high": 2 * delta - low,
        "p_delta_holm": 0.01,
        "delta_significant": significant,
        "benefit": benefit,
        "benefit_low": 0.0,
        "benefit_high": 0.2,
        "benefit_significant": foreign,
    }


@pytest.mark.parametrize(
    ("row", "kind"),
    [
        (source(delta=0.2, low=0.12), "clearly"),
        (source(delta=0.2, low=0.08), "possibly"),
        (source(delta=0.2, low=0.04), "suggested"),
        (source(delta=0.2, low=0.12, significant=False), "suggested"),
        (source(delta=0.06, low=-0.1), "suggested"),
        (source(delta=0.04, low=0.03), "no"),
        (source(delta=-0.2, low=-0.3), "no"),
    ],
)
def test_the_plans_thresholds_hold_for_the_interval_not_the_estimate(row, kind):
    assert answers.specific(row, (0.05, 0.1)) == kind


def test_sources_are_grouped_and_the_benefit_is_said():
    rows = pd.DataFrame([source("x"), source("y", low=0.0, foreign=False), source("z")])
    answer = answers.sources(rows, (0.05, 0.1), learned=True)
    assert "clearly" in answer.short.split("x (+0.200) and z (+0.200)")[0]
    assert "suggested" in answer.short.split("y (+0.200)")[0]
    assert answer.short.endswith("more for x and z")
    assert "0.05" in answer.note


@pytest.mark.parametrize("row", [source(foreign=False), source(benefit=-0.1)])
def test_no_benefit_is_no_evidence_of_a_foreign_source(row):
    short = answers.sources(pd.DataFrame([row]), (0.05, 0.1), learned=True).short
    assert "for no source is a benefit" in short


def test_a_detector_of_nothing_has_no_source_specific_features():
    answer = answers.sources(pd.DataFrame([source()]), (0.05, 0.1), learned=False)
    assert answer.short.startswith("cannot be said")
    assert "clearly" not in answer.text()


def removed(gap=(-0.1, -0.01), variance=(-0.01, -0.001), **more) -> dict:
    changes = {}
    for key, (estimate, high) in {"train_val_gap": gap, "source_auc_variance": variance}.items():
        changes |= {f"{key}_change": estimate, f"{key}_low": 2 * estimate - high, f"{key}_high": high}
    return pair(**({"difference": 0.01, "significant": False} | more)) | changes


@pytest.mark.parametrize(
    ("row", "train", "kind"),
    [
        (removed(), -0.1, "removes"),
        (removed(gap=(-0.1, 0.01)), -0.1, "tends"),
        (removed(variance=(-0.01, 0.001)), -0.1, "tends"),
        (removed(gap=(0.1, 0.2)), -0.1, "none"),
        (removed(variance=(0.01, 0.02)), -0.1, "none"),
        (removed(difference=-0.2, significant=True), -0.1, "over"),
        (removed(difference=-0.2, significant=True, learned=(True, False)), -0.1, "over"),
        (removed(difference=-0.2, significant=True), 0.1, "removes"),
        (removed(difference=-0.2, significant=False), -0.1, "removes"),
        (removed(difference=0.2, significant=True), -0.1, "removes"),
        (removed(learned=(True, False)), -0.1, "noise"),
        (removed(learned=(False, True)), -0.1, "noise"),
    ],
)
def test_shortcuts_are_removed_only_when_gap_and_variance_fall_and_not_all_with_them(row, train, kind):
    assert answers.removal(row, Interval(train, train - 0.1, train + 0.1, 0.95)) == kind


def interacting(gains: dict[str, list[float]], *, learned=True) -> Results:
    names = ["plain", "plain_aug", "face", "face_aug"]
    zero = [0.5] * 4
    aucs = {"plain": zero, "plain_aug": gains["plain"], "face": zero, "face_aug": gains["face"]}
    folds = pd.DataFrame(
        [{"experiment": name, "fold": fold, "auc": value} for name in names for fold, value in enumerate(aucs[name])]
    )
    rows = pd.DataFrame({"experiment": names, "learned": learned})
    tests = pd.DataFrame(
        [
            {"table": "phase2d", "baseline": "plain", "experiment": "plain_aug"},
            {"table": "phase2e", "baseline": "face", "experiment": "face_aug"},
        ]
    )
    return Results(rows, folds, tests, dict.fromkeys(names, "A"), ())


@pytest.mark.parametrize(
    ("plain", "face", "learned", "said"),
    [
        ([0.5, 0.51, 0.5, 0.51], [0.71, 0.71, 0.7, 0.7], True, "more"),
        ([0.71, 0.71, 0.7, 0.7], [0.5, 0.51, 0.5, 0.51], True, "less"),
        ([0.5, 0.6, 0.7, 0.8], [0.8, 0.7, 0.6, 0.5], True, "open"),
        ([0.5, 0.51, 0.5, 0.51], [0.7, 0.71, 0.7, 0.7], False, "noise"),
    ],
)
def test_interaction_is_a_difference_of_differences(plain, face, learned, said):
    answer = answers.interaction(interacting({"plain": plain, "face": face}, learned=learned), 0.95)
    gained = sum(face) / 4 - sum(plain) / 4
    assert answer.short.replace("-0.000", "+0.000") == answers._INTERACTION[said].format(names=f"A ({gained:+.3f})")
