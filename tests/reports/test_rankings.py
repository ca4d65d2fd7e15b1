"""What is said of models and choices, and the numbers that should, and should not, bring it."""

import numpy as np
import pandas as pd
import pytest

from deepfake.studies import results
from deepfake.studies.phases import rankings
from deepfake.studies.results import Results

pytest_plugins = ["reported_study"]
SPREAD = np.array([-0.01, 0.0, 0.01, 0.0])


def study(aucs: dict[str, float], *, learned=(), parameters=None, tests=(), unplanned=()) -> Results:
    """Return models on four folds with these AUCs; all have learned but those that `learned` says have not."""
    names = list(aucs)
    rows = pd.DataFrame(
        {
            "experiment": names,
            "model": names,
            "parameters": parameters or [10 ** (place + 3) for place in range(len(names))],
            "auc": list(aucs.values()),
            "auc_std": 0.01,
            "auc_low": 0.4,
            "auc_high": 0.99,
            "fold_low": 0.4,
            "fold_high": 0.99,
            "learned": [name not in learned for name in names],
            "test_auc": 0.8,
            "eer": 0.2,
            "balanced_accuracy": 0.75,
            "ece": 0.1,
            "brier": 0.15,
            "recall_fake": 0.9,
            "recall_real": 0.6,
            "auc_insight": 0.6,
            "auc_text2img": 0.9,
        }
    )
    # opposite spreads: a lead then has a standard error of its own
    folds = [
        {"experiment": name, "fold": fold, "auc": value}
        for sign, (name, auc) in zip([1, -1] * len(names), aucs.items(), strict=False)
        for fold, value in enumerate(auc + sign * SPREAD)
    ]
    columns = ["table", "baseline", "experiment", "difference", "low", "high", "p_bootstrap_holm", "p_ttest_holm"]
    frame = pd.DataFrame(list(tests), columns=[*columns, "significant"])
    return Results(rows, pd.DataFrame(folds), frame, {name: name.upper() for name in names}, unplanned)


def beside(table, baseline, experiment, difference, *, significant=True) -> tuple:
    p = 0.01 if significant else 0.5
    return (table, baseline, experiment, difference, difference - 0.1, difference + 0.1, p, p, significant)


@pytest.mark.parametrize(
    ("aucs", "chosen", "leader"),
    [
        ({"small": 0.80, "large": 0.90}, "large", False),
        ({"small": 0.899, "large": 0.90}, "small", True),
        ({"small": 0.95, "large": 0.90}, "small", False),
    ],
)
def test_the_final_model_is_told_with_the_reason_why_another_leads(study_settings, aucs, chosen, leader):
    answer = rankings.final(study(aucs), chosen, study_settings)
    assert chosen.upper() in answer.short and f"{aucs[chosen]:.3f}" in answer.short
    assert ("LARGE" in answer.note) is leader


def test_a_final_model_that_guesses_is_called_so(study_settings):
    found = study({"a": 0.51, "b": 0.49}, learned=("a", "b"))
    answer = rankings.final(found, "a", study_settings)
    assert "guessing" in answer.short
    assert "guessing" in rankings.errors(found, "a").short


@pytest.mark.parametrize(
    ("fake", "real", "said"),
    [
        (0.9, 0.6, "it accuses reals more"),
        (0.6, 0.9, "it misses fakes more"),
        (0.7, 0.7, "it misses fakes as often"),
    ],
)
def test_errors_are_told_by_their_direction(fake, real, said):
    found = study({"a": 0.8})
    found.rows[["recall_fake", "recall_real"]] = [[fake, real]]
    answer = rankings.errors(found, "a")
    assert answer.short.startswith(said)
    assert f"{1 - fake:.0%} of fakes" in answer.short and f"{1 - real:.0%} of reals" in answer.short
    assert "insight" in answer.short and "text2img" not in answer.short
    assert "insight 0.600, text2img 0.900" in answer.numbers


RISING = {"a": 0.6, "b": 0.65, "c": 0.7, "d": 0.75, "e": 0.8, "f": 0.85}


@pytest.mark.parametrize(
    ("aucs", "learned", "said"),
    [
        (RISING, (), "yes"),
        (dict(zip(RISING, reversed(RISING.values()), strict=True)), (), "no, "),
        ({"a": 0.6, "b": 0.8, "c": 0.7, "d": 0.65}, (), "no trend is shown"),
        (RISING, ("a", "b", "c"), "cannot be said"),
    ],
)
def test_size_helps_only_when_ranks_agree_and_models_have_learned(aucs, learned, said):
    answer = rankings.size(study(aucs, learned=learned), 0.05)
    assert answer.short.startswith(said)
    assert f"{len(learned)} of {len(aucs)} models left out" in answer.numbers


def test_size_leaves_out_what_is_not_of_the_plan():
    assert "over 5 models" in rankings.size(study(RISING, unplanned=("f",)), 0.05).numbers


RANKING = pd.DataFrame({"candidate": ["b_best", "a_best"], "chosen": [True, False]})


@pytest.mark.parametrize(
    ("tests", "said"),
    [
        ([beside("phase3", "a_best", "b_best", 0.1)], ", significantly above A_BEST"),
        ([beside("phase3", "a_best", "b_best", 0.1, significant=False)], ", not significantly above A_BEST"),
        ([], "; 2 of 2"),
    ],
)
def test_the_best_architecture_is_said_with_what_it_is_above(study_settings, tests, said):
    answer = rankings.best(study({"a_best": 0.7, "b_best": 0.8}, tests=tests), RANKING, study_settings)
    assert answer.short.startswith("B_BEST") and f"(0.800){said}" in answer.short
    assert answer.note.startswith("B_BEST") and "A_BEST" not in answer.note


def test_architectures_that_guess_are_not_ranked(study_settings):
    found = study({"a_best": 0.5, "b_best": 0.51}, learned=("a_best", "b_best"))
    answer = rankings.best(found, RANKING, study_settings)
    assert "would rank noise" in answer.short
    assert "highest" not in answer.short


def test_a_model_outside_the_plan_is_never_called_best(study_settings):
    found = study({"a_best": 0.7, "b_best": 0.8, "other": 0.99}, unplanned=("other",))
    answer = rankings.best(found, RANKING, study_settings)
    assert answer.short.startswith("B_BEST")
    assert "OTHER (AUC 0.990)" in answer.note


def test_depth_compares_the_resnets_alone():
    tests = [beside("phase3", "resnet18", "resnet34", 0.1), beside("phase3", "resnet18", "other", 0.2)]
    aucs = {"resnet18": 0.6, "resnet34": 0.7, "other": 0.8}
    answer = rankings.depth(study(aucs, tests=tests))
    assert "RESNET34 (+0.100)" in answer.short and "OTHER" not in answer.text()
    assert rankings.depth(study(aucs, tests=tests[1:])) is None


def test_one_final_model_leaves_nothing_undecided():
    assert rankings.undecided(study({"a": 0.8})) is None
    tests = [beside("phase4b", "a", "b", -0.1, significant=False)]
    assert "B (-0.100)" in rankings.undecided(study({"a": 0.8, "b": 0.7}, tests=tests)).short


def evidence() -> pd.DataFrame:
    rows = [
        ("resolution", "phase2b", "low", "high", 0.04, 0.01, "high", True),
        ("face_crop", "phase2c", "False", "True", 0.01, 0.02, "False", True),
        ("augmentation", "phase2d", "none", "full", 0.03, 0.01, "full", True),
        ("augmentation_of_faces", "phase2e", "none", "full", -0.1, 0.01, "none", False),
    ]
    columns = ["factor", "table", "simple", "other", "gain", "standard_error", "chosen", "counts"]
    return pd.DataFrame(rows, columns=columns).assign(refused=np.nan)  # as pandas reads empty cells


def test_a_decision_says_what_was_refused_and_why(study_settings):
    tests = [beside(table, "a", "b", 0.1) for table in ("phase2b", "phase2c", "phase2d", "phase2e")]
    found = study({"a": 0.6, "b": 0.7}, tests=tests)
    rows = evidence().astype({"refused": object})
    rows["refused"] = [np.nan, "the framing of face_high tells it (AUC 0.950)", np.nan, np.nan]
    answer = rankings.decision(rows, found, study_settings)
    assert answer.short == "64×64, no face crop, full augmentation"
    assert answer.numbers.count("refused") == 1
    assert "(+0.010)" in answer.note and rows["refused"][1] in answer.note
    assert "refused" not in rankings.decision(evidence(), found, study_settings).text()


@pytest.mark.parametrize(
    ("significant", "learned", "noted"),
    [
        (True, (), None),
        (False, (), "significant"),
        (True, ("a", "b"), "noise"),
    ],
)
def test_a_decision_tells_its_evidence_and_what_it_is_worth(study_settings, significant, learned, noted):
    names = ("phase2b", "phase2c", "phase2d", "phase2e")
    tests = [beside(table, "a", "b", 0.1, significant=significant) for table in names]
    answer = rankings.decision(evidence(), study({"a": 0.6, "b": 0.7}, tests=tests, learned=learned), study_settings)
    assert answer.short == "64×64, no face crop, full augmentation"
    assert "resolution: 64×64 over 48×48 +0.040, standard error 0.010, so 64×64" in answer.numbers
    assert "augmentation with face crop: full augmentation over no augmentation -0.100" in answer.numbers
    assert [word for word in ("significant", "noise") if word in answer.note] == ([noted] if noted else [])


def test_more_data_is_all_against_the_smallest_share(study_settings):
    answer = rankings.scaling(results.read("phase4a", study_settings), study_settings)
    assert answer.numbers.count("AUC") == study_settings.presets["quick"].top
